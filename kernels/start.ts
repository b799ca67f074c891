import { type BatchNormLibrary, replaceBatchNormalization } from "./batch_norm.ts";
import { DeferredData } from "./deferred_data.ts";
import { type DropoutLibrary, replaceDropout } from "./dropout.ts";
import { type EngineLibrary, replaceSaving } from "./engine.ts";
import { type GradientRegistry, registerGradients } from "./gradients.ts";
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
 */
export async function startWasmBackend(tf: Library, threads: number): Promise<Started> {
  const { BackendWasm, setThreadsCount } = await import("@tensorflow/tfjs-backend-wasm");
  const { module, memory } = await startTfjsModule();
  setThreadsCount(1); // of tfjs's own operations
  // tfjs's types want the module of Emscripten's loader
  const backend = new BackendWasm(module as never) as unknown as WasmBackend;
  const { code, simd } = await nativeCode();
  const started = await startPool({ code, memory, heap: module, threads });
  const ops = new NativeOps(started.pool, backend, module);
  registerTrainingKernels(tf, backend, ops, new DeferredData(backend));
  registerGradients(tf);
  replaceOptimizers(tf);
  replaceBatchNormalization(tf);
  replaceDropout(tf);
  replaceSaving(tf);
  tf.removeBackend("wasm");
  tf.registerBackend("wasm", () => backend, 2);
  await tf.setBackend("wasm");
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
      const next = await startPool({ code, memory, heap: module, threads });
      reason = next.reason;
      ops.usePool(next.pool);
    },
  };
}

/** Starts the threads, or the one that calls alone where the runtime refuses workers. */
async function startPool(options: ThreadPoolOptions): Promise<{ pool: ThreadPool; reason: string | undefined }> {
  try {
    return { pool: await ThreadPool.start(options), reason: undefined };
  } catch (error) {
    const reason = `workers are refused: ${(error as Error).message}`;
    return { pool: await ThreadPool.start({ ...options, threads: 1 }), reason };
  }
}

/** The native code in the best form that the runtime takes. */
async function nativeCode(): Promise<{ code: WebAssembly.Module; simd: Started["simd"] }> {
  const relaxed = Uint8Array.fromBase64(RELAXED_SIMD);
  if (WebAssembly.validate(relaxed)) return { code: await WebAssembly.compile(relaxed), simd: "relaxed" };
  return { code: await WebAssembly.compile(Uint8Array.fromBase64(PLAIN_SIMD)), simd: "plain" };
}
