import { type BatchNormLibrary, replaceBatchNormalization } from "./batch_norm.ts";
import { DeferredData } from "./deferred_data.ts";
import { type DropoutLibrary, replaceDropout } from "./dropout.ts";
import { type EngineLibrary, replaceSaving } from "./engine.ts";
import { type GradientRegistry, registerGradients } from "./gradients.ts";
import { type LossLibrary, replaceLosses } from "./losses.ts";
import { PLAIN_SIMD, RELAXED_SIMD } from "./native_code.ts";
import { NativeOps } from "./native_ops.ts";
import { type OptimizerLibrary, replaceOptimizers } from "./optimizers.ts";
import { startTfjsModule } from "./tfjs_module.ts";
import { ThreadPool, type ThreadPoolOptions } from "./thread_pool.ts";
import { type KernelRegistry, registerTrainingKernels } from "./training_kernels.ts";
import type { WasmBackend } from "./wasm_backend.ts";

/** What starting the backend needs of TensorFlow.js. */
export type Library =
  & KernelRegistry
  & GradientRegistry
  & OptimizerLibrary
  & BatchNormLibrary
  & DropoutLibrary
  & EngineLibrary
  & LossLibrary
  & {
    registerBackend(name: string, factory: () => object, priority?: number): boolean;
    removeBackend(name: string): void;
    setBackend(name: string): Promise<boolean>;
  };

/** The backend, started. */
export interface Started {
  readonly threads: number;
  readonly simd: "relaxed" | "plain";
  /** Why there are fewer threads than were asked for; undefined if there are not. */
  readonly reason: string | undefined;
  /** Computes on another number of threads from now on. */
  setThreads(threads: number): Promise<void>;
}

/**
 * Starts tfjs's wasm backend on shared memory, with the kernels of this folder, as the backend `"wasm"`.
 *
 * @param threads how many threads are to compute
 * @throws {Error} where the runtime cannot run them
 */
export async function startWasmBackend(tf: Library, threads: number): Promise<Started> {
  const { BackendWasm, setThreadsCount } = await import("@tensorflow/tfjs-backend-wasm");
  const { bytes, simd } = nativeCode();
  const { module, memory, unshared } = await startTfjsModule();
  const code = await WebAssembly.compile(unshared === undefined ? bytes : unsharedCode(bytes));
  setThreadsCount(1); // of tfjs's own operations
  // tfjs's types want the module of Emscripten's loader
  const backend = new BackendWasm(module as never) as unknown as WasmBackend;
  const poolOf = (threads: number) => startPool({ code, memory, heap: module, threads }, unshared);
  const started = await poolOf(threads);
  const ops = new NativeOps(started.pool, backend, module);
  registerTrainingKernels(tf, backend, ops, new DeferredData(backend));
  registerGradients(tf);
  replaceOptimizers(tf, ops);
  replaceBatchNormalization(tf);
  replaceDropout(tf);
  replaceSaving(tf);
  replaceLosses(tf);
  tf.removeBackend("wasm");
  tf.registerBackend("wasm", () => backend, 2);
  if (!await tf.setBackend("wasm")) throw new Error("TensorFlow.js does not start it");
  let { reason } = started;
  return {
    simd,
    get threads() {
      return ops.threads;
    },
    get reason() {
      return reason;
    },
    setThreads: async (threads) => {
      const next = await poolOf(threads);
      reason = next.reason;
      ops.usePool(next.pool);
    },
  };
}

/**
 * Starts the threads, or the one that calls alone where the runtime refuses others.
 *
 * @param unshared why workers cannot share the memory
 */
async function startPool(
  options: ThreadPoolOptions,
  unshared: string | undefined,
): Promise<{ pool: ThreadPool; reason: string | undefined }> {
  const { threads } = options;
  if (unshared !== undefined) {
    const reason = threads > 1 ? `shared memory is refused: ${unshared}` : undefined;
    return { pool: await ThreadPool.start({ ...options, threads: 1 }), reason };
  }
  try {
    const pool = await ThreadPool.start(options);
    return { pool, reason: pool.threads < threads ? `no more than ${pool.threads} threads share a job` : undefined };
  } catch (error) {
    const reason = `workers are refused: ${(error as Error).message}`;
    return { pool: await ThreadPool.start({ ...options, threads: 1 }), reason };
  }
}

/** The native code in the best form that the runtime takes. */
function nativeCode(): { bytes: Uint8Array<ArrayBuffer>; simd: Started["simd"] } {
  for (const [simd, text] of [["relaxed", RELAXED_SIMD], ["plain", PLAIN_SIMD]] as const) {
    const bytes = Uint8Array.fromBase64(text);
    if (WebAssembly.validate(bytes)) return { bytes, simd };
  }
  throw new Error("the runtime or the processor has no SIMD for WebAssembly");
}

/** The same code for a memory that is not shared: the import of the memory says which of them it takes. */
function unsharedCode(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const LIMITS = [0x02, 0x03]; // a memory; with a maximum, shared
  const name = [...new TextEncoder().encode("memory")];
  const wanted = [name.length, ...name, ...LIMITS];
  const at = bytes.findIndex((_, i) => wanted.every((byte, j) => bytes[i + j] === byte));
  return bytes.with(at + wanted.length - 1, 0x01); // with a maximum
}
