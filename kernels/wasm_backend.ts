/**
 * The parts of TensorFlow.js and of its wasm backend that the kernels of this folder lean on, as structural types of
 * our own: no npm type gets into a public signature.
 */

/** The data types that live on the wasm heap. Booleans take one byte. */
export type HeapType = "float32" | "int32" | "bool";

/** A piece of data on a backend with the shape it is seen in; several may share one `dataId`. */
export interface TensorInfo {
  dataId: object;
  shape: number[];
  dtype: string;
}

/** What TensorFlow.js hands a kernel. Which inputs and attributes there are is fixed by the kernel's name. */
export interface KernelArguments {
  // deno-lint-ignore no-explicit-any -- tfjs keeps no table from a kernel's name to its inputs
  inputs: any;
  // deno-lint-ignore no-explicit-any -- tfjs says `{}` here: the backend is the one that the kernel is registered for
  backend: any;
  // deno-lint-ignore no-explicit-any -- as for inputs
  attrs?: any;
}

/** The function of a kernel. Its result is owned by the caller. */
export type KernelFunction = (kernelArguments: KernelArguments) => TensorInfo | TensorInfo[];

/** A kernel as TensorFlow.js's registry holds it. */
export interface KernelConfig {
  kernelName: string;
  backendName: string;
  kernelFunc: KernelFunction;
  // deno-lint-ignore no-explicit-any -- as KernelArguments.backend
  setupFunc?: (backend: any) => void;
  // deno-lint-ignore no-explicit-any -- as KernelArguments.backend
  disposeFunc?: (backend: any) => void;
}

/** What the wasm backend knows of a piece of data. */
export interface DataEntry {
  /** Number of the data on the heap's side. */
  id: number;
  /** Where the data is; null for strings, and while it is not computed. */
  memoryOffset: number | null;
  shape: number[];
  dtype: string;
  refCount: number;
}

/** The wasm backend: an allocator and a table from `dataId` to places on one growing heap. */
export interface WasmBackend {
  readonly dataIdMap: { get(dataId: object): DataEntry | undefined };
  /** Allocates room for a tensor. **May grow the heap: take typed arrays after it.** */
  makeOutput(shape: number[], dtype: string, place?: number, values?: unknown): TensorInfo;
  /** A copy of the data. */
  readSync(dataId: object): ArrayLike<number>;
  /** A view of the tensor's data on the heap, valid until the next allocation. */
  typedArrayFromHeap(tensor: TensorInfo): Float32Array | Int32Array | Uint8Array;
  /** Takes one more reference. */
  incRef(dataId: object): void;
  /** Gives one reference back, and the memory with the last one. */
  disposeData(dataId: object): boolean;
}

/** Where a window stands over an image: what `computeConv2DInfo` and `computePool2DInfo` give, for NHWC. */
export interface WindowInfo {
  batchSize: number;
  inHeight: number;
  inWidth: number;
  inChannels: number;
  outHeight: number;
  outWidth: number;
  outChannels: number;
  strideHeight: number;
  strideWidth: number;
  dilationHeight: number;
  dilationWidth: number;
  filterHeight: number;
  filterWidth: number;
  effectiveFilterHeight: number;
  effectiveFilterWidth: number;
  padInfo: { top: number; left: number; right: number; bottom: number };
}
