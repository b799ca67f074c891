/**
 * The fast way to train TensorFlow.js models in Deno: its WebAssembly backend with native kernels on all cores.
 *
 * @module
 */
import { MlflowError } from "./errors.ts";
import type { Library, Started } from "./kernels/start.ts";

/** The release of TensorFlow.js that the kernels are written and tested for. */
const RELEASE = "4.22.0";

/** What {@linkcode useFastBackend} needs of TensorFlow.js: `import * as tf from "@tensorflow/tfjs"` fits. */
export interface TensorFlow {
  /** The release of TensorFlow.js's core, for example `"4.22.0"`. */
  readonly version_core: string;
  /** The name of the backend in use, `""` before there is one. */
  getBackend(): string;
  /** Starts a backend and uses it from now on; false if it cannot start. */
  setBackend(backendName: string): Promise<boolean>;
  /** Waits until a backend has started. */
  ready(): Promise<void>;
  /** What makes a backend that was registered, or null. */
  findBackendFactory(backendName: string): unknown;
  /** Forgets a backend that was registered. */
  removeBackend(backendName: string): void;
}

/** What {@linkcode useFastBackend} may be told. */
export interface FastBackendOptions {
  /**
   * The number of threads that compute, at least 1. The same seed and number of threads give the same numbers, bit for
   * bit.
   *
   * @default {navigator.hardwareConcurrency}
   */
  readonly threads?: number;
}

/** The backend that computes, as {@linkcode useFastBackend} started it. */
export interface Backend {
  /** The name that `tf.getBackend()` gives: `"wasm"`, or tfjs's own choice where that cannot be used. */
  readonly name: string;
  /** The number of threads that compute. */
  readonly threads: number;
  /** The processor's vector instructions that are used: with fused multiply-add, without it, or none. */
  readonly simd: "relaxed" | "plain" | "none";
  /** Why it is not all that was asked for; undefined if it is. */
  readonly reason: string | undefined;
  /** One line for a program's log: `"2 threads (wasm, relaxed SIMD)"`. */
  readonly description: string;
}

let started: Started | undefined;
let starting: Promise<unknown> = Promise.resolve();

/**
 * Makes TensorFlow.js compute, and train, in WebAssembly on all cores: a small convolutional network trains hundreds of
 * times as fast as on the plain JavaScript backend, with the same results but for rounding.
 *
 * Calling it again changes the number of threads at most. Models, optimizers and callbacks need no change, tensors made
 * before move over, and no permission is needed. Worker threads do not keep a program from ending.
 *
 * Every usual layer, optimizer and loss trains. Three-dimensional max pooling, and the gradient of three-dimensional
 * convolutions, run the plain JavaScript kernels. As on TensorFlow.js's other backends, a dilated convolution can be
 * run but not trained.
 *
 * Where workers or shared memory are refused one thread computes, and where relaxed SIMD is missing plain SIMD does.
 * Where the kernels cannot be used at all, with another release of TensorFlow.js or without SIMD, a warning says so and
 * TensorFlow.js keeps the backend that it has: see {@linkcode Backend.reason}.
 *
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs";
 * import { useFastBackend } from "@mlflow-deno/mlflow/backend";
 *
 * const backend = await useFastBackend(tf);
 * console.log(`training on ${backend.description}`);
 * ```
 *
 * @param tf your TensorFlow.js, release 4.22.0
 * @throws {RangeError} if `threads` is not a whole number of at least 1
 * @throws {MlflowError} `INVALID_STATE` if TensorFlow.js already computes on a wasm backend of its own
 */
export async function useFastBackend(tf: TensorFlow, options: FastBackendOptions = {}): Promise<Backend> {
  const { threads } = options;
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1)) {
    throw new RangeError(`Cannot start the wasm backend: threads must be a whole number of at least 1, is ${threads}`);
  }
  // one after the other: the second finds what the first started
  const backend = starting.then(() => start(tf, threads));
  starting = backend.catch(() => {});
  return await backend;
}

async function start(tf: TensorFlow, threads?: number): Promise<Backend> {
  if (tf.version_core !== RELEASE) {
    return await keepBackend(
      tf,
      `TensorFlow.js is release ${tf.version_core}; import it from "npm:@tensorflow/tfjs@${RELEASE}"`,
    );
  }
  if (started !== undefined) {
    if (threads !== undefined && threads !== started.threads) await started.setThreads(threads);
    if (tf.getBackend() !== "wasm") await tf.setBackend("wasm");
    return describe("wasm", started);
  }
  if (hasStarted(tf, "wasm")) {
    throw cannotStart('TensorFlow.js runs its own already; call useFastBackend() before tf.setBackend("wasm")');
  }
  const hadOwn = tf.findBackendFactory("wasm") !== null;
  try {
    // the package registers its own backend with the copy of TensorFlow.js that it finds
    await import("@tensorflow/tfjs-backend-wasm");
    if (tf.findBackendFactory("wasm") === null) {
      return await keepBackend(
        tf,
        "its package found another copy of TensorFlow.js; " + `import yours from "npm:@tensorflow/tfjs@${RELEASE}"`,
      );
    }
    const { startWasmBackend } = await import("./kernels/start.ts");
    started = await startWasmBackend(tf as unknown as Library, threads ?? navigator.hardwareConcurrency);
  } catch (error) {
    // TensorFlow.js would choose what the package registered: it gets gradients wrong
    if (!hadOwn && tf.findBackendFactory("wasm") !== null) tf.removeBackend("wasm");
    return await keepBackend(tf, (error as Error).message);
  }
  return describe("wasm", started);
}

function hasStarted(tf: TensorFlow, backendName: string): boolean {
  return backendName in (tf as unknown as { engine(): { registry: object } }).engine().registry;
}

/** Leaves TensorFlow.js with what it has, and says why. */
async function keepBackend(tf: TensorFlow, reason: string): Promise<Backend> {
  await tf.ready();
  const name = tf.getBackend();
  console.warn(`Cannot start the wasm backend: ${reason}; computing on the slower backend "${name}"`);
  return describe(name, { threads: 1, simd: "none", reason });
}

function describe(
  name: string,
  { threads, simd, reason }: { threads: number; simd: Backend["simd"]; reason: string | undefined },
): Backend {
  const instructions = { relaxed: ", relaxed SIMD", plain: ", SIMD", none: "" }[simd];
  const description = `${threads} ${threads === 1 ? "thread" : "threads"} (${name}${instructions})`;
  return { name, threads, simd, reason, description };
}

function cannotStart(state: string): MlflowError {
  return new MlflowError("INVALID_STATE", state, { action: "Cannot start the wasm backend" });
}
