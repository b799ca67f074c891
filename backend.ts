/**
 * The fast way to train TensorFlow.js models in Deno: its WebAssembly backend, completed by the kernels that training
 * needs and that the backend lacks or gets wrong.
 *
 * @module
 */
import { MlflowError } from "./errors.ts";
import type { KernelRegistry } from "./kernels/training_kernels.ts";

/** The release of TensorFlow.js that the kernels are written and tested for. */
const RELEASE = "4.22.0";

/** What {@linkcode useFastBackend} needs of TensorFlow.js: `import * as tf from "@tensorflow/tfjs"` fits. */
export interface TensorFlow {
  /** The release of TensorFlow.js's core, for example `"4.22.0"`. */
  readonly version_core: string;
  /** Window and shape arithmetic. */
  readonly backend_util: object;
  /** The settings of the engine. */
  env(): {
    /** The value of a setting. */
    get(flagName: string): unknown;
  };
  /** The name of the backend in use, `""` before there is one. */
  getBackend(): string;
  /** Starts a backend and uses it from now on; false if it cannot start. */
  setBackend(backendName: string): Promise<boolean>;
  /** What makes a backend that was registered, or null. */
  findBackendFactory(backendName: string): unknown;
  /** The kernel that computes an operation on a backend. */
  getKernel(kernelName: string, backendName: string): unknown;
  /** Adds a kernel. */
  registerKernel(config: object): void;
  /** Takes a kernel out. */
  unregisterKernel(kernelName: string, backendName: string): void;
}

/** The backend that computes, as {@linkcode useFastBackend} started it. */
export interface Backend {
  /** The name that `tf.getBackend()` gives. */
  readonly name: "wasm";
  /** The number of threads that compute. */
  readonly threads: number;
  /** Whether the processor's vector instructions are used. */
  readonly simd: boolean;
  /** One line for a program's log: `"1 thread (wasm, SIMD)"`. */
  readonly description: string;
}

let kernelsRegistered = false;
let starting: Promise<Backend> | undefined;

/**
 * Makes TensorFlow.js compute, and train, in WebAssembly: a small convolutional network trains more than a hundred
 * times as fast as on the plain JavaScript backend, with the same results but for rounding.
 *
 * Call it before the first tensor is made; calling it again does nothing. Models, optimizers and callbacks need no
 * change. The backend's binary is read from its npm package, which takes the permission to read it:
 * `--allow-read=node_modules`, or the npm cache where the project has no `node_modules`.
 *
 * Every usual layer, optimizer and loss trains. Three-dimensional max pooling, and the gradient of three-dimensional
 * convolutions, run the plain JavaScript kernels. As on TensorFlow.js's other backends, a dilated convolution can be
 * run but not trained.
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
 * @throws {MlflowError} `PERMISSION_DENIED` if the binary may not be read, `NOT_IMPLEMENTED` if `tf` is another
 * release or the backend cannot start
 */
export async function useFastBackend(tf: TensorFlow): Promise<Backend> {
  // tfjs fails the first of two starts at once
  starting ??= start(tf).finally(() => starting = undefined);
  return await starting;
}

async function start(tf: TensorFlow): Promise<Backend> {
  if (tf.version_core !== RELEASE) {
    throw cannotStart(
      `TensorFlow.js is release ${tf.version_core}; import it from "npm:@tensorflow/tfjs@${RELEASE}"`,
    );
  }
  await assertReadable();
  const { getThreadsCount } = await import("@tensorflow/tfjs-backend-wasm");
  if (tf.findBackendFactory("wasm") === null) {
    throw cannotStart(
      "the backend registered itself with another copy of TensorFlow.js; " +
        `import yours from "npm:@tensorflow/tfjs@${RELEASE}"`,
    );
  }
  if (!kernelsRegistered) {
    const { registerTrainingKernels } = await import("./kernels/training_kernels.ts");
    registerTrainingKernels(tf as unknown as KernelRegistry);
    kernelsRegistered = true;
  }
  if (tf.getBackend() !== "wasm" && !await tf.setBackend("wasm")) {
    throw cannotStart("TensorFlow.js could not start it; its own warning says why");
  }
  const threads = getThreadsCount();
  const simd = tf.env().get("WASM_HAS_SIMD_SUPPORT") === true;
  const description = `${threads} ${threads === 1 ? "thread" : "threads"} (wasm${simd ? ", SIMD" : ""})`;
  return { name: "wasm", threads, simd, description };
}

/**
 * Opens the backend's binary once, before tfjs does: emscripten would print a refusal several times over, and from
 * then on tfjs would try and fail the registered backend again and again.
 */
async function assertReadable(): Promise<void> {
  let folder: URL;
  try {
    // the npm: form, because a bare name resolves through the import map of this package alone, which is not there
    // when the file comes from a registry
    folder = new URL(".", import.meta.resolve("npm:@tensorflow/tfjs-backend-wasm@4.22.0"));
  } catch {
    return; // where the package lies cannot be told: tfjs finds its binary by itself
  }
  if (folder.protocol !== "file:") return;
  try {
    (await Deno.open(new URL("tfjs-backend-wasm-simd.wasm", folder))).close();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotCapable)) throw cannotStart("its binary cannot be read", cause);
    throw new MlflowError(
      "PERMISSION_DENIED",
      `Cannot start the wasm backend: its binary may not be read; run Deno with --allow-read=${permissionPath(folder)}`,
      { cause },
    );
  }
}

/** The folder to allow: the outermost `node_modules`, relative to the working directory where it lies there. */
function permissionPath(folder: URL): string {
  const path = decodeURIComponent(folder.pathname).replace(/^\/(?=[A-Za-z]:)/, "");
  const end = path.indexOf("/node_modules/");
  if (end === -1) return path;
  const parent = path.slice(0, end);
  return parent === Deno.cwd().replaceAll("\\", "/") ? "node_modules" : `${parent}/node_modules`;
}

function cannotStart(state: string, cause?: unknown): MlflowError {
  return new MlflowError("NOT_IMPLEMENTED", `Cannot start the wasm backend: ${state}`, { cause });
}
