import { arrayKernels } from "./array_kernels.ts";
import { batchNormKernels } from "./batch_norm.ts";
import { boolKernels } from "./bool_kernels.ts";
import { clipByValue } from "./clip_by_value.ts";
import { onWasmHeap } from "./cpu_kernel.ts";
import type { DeferredData } from "./deferred_data.ts";
import { dropoutKernels } from "./dropout.ts";
import { convolutionKernels, type KernelTools, poolKernels, type Windows } from "./image_kernels.ts";
import type { NativeOps } from "./native_ops.ts";
import { unsortedSegmentSum } from "./unsorted_segment_sum.ts";
import type {
  KernelArguments,
  KernelConfig,
  KernelFunction,
  TensorInfo,
  WasmBackend,
  WindowInfo,
} from "./wasm_backend.ts";
import { WasmOps } from "./wasm_ops.ts";

/** What the kernels need of TensorFlow.js: its registry of kernels and its window arithmetic. */
export interface KernelRegistry {
  getKernel(kernelName: string, backendName: string): KernelConfig | undefined;
  getKernelsForBackend(backendName: string): KernelConfig[];
  registerKernel(config: KernelConfig): void;
  unregisterKernel(kernelName: string, backendName: string): void;
  buffer(shape: number[], dtype: string, values: ArrayLike<number>): { values: ArrayLike<number> };
  readonly backend_util: {
    // deno-lint-ignore no-explicit-any -- tfjs's tuples of fixed rank, handed through
    computeConv2DInfo(...args: any[]): WindowInfo;
    // deno-lint-ignore no-explicit-any -- as above
    computePool2DInfo(...args: any[]): WindowInfo;
  };
}

/**
 * Registers, for the wasm backend, the kernels that training needs and that the backend lacks, gets wrong or computes
 * slowly. The backend's package must have been imported; whether the backend has started does not matter.
 *
 * @param backend the instance that the kernels will run on
 */
export function registerTrainingKernels(
  tf: KernelRegistry,
  backend: WasmBackend,
  ops: NativeOps,
  deferred: DeferredData,
): void {
  // those of tfjs, before any is replaced
  const stocks = new Map(tf.getKernelsForBackend("wasm").map(({ kernelName, kernelFunc }) => [kernelName, kernelFunc]));
  const stock = (kernelName: string): KernelFunction => stocks.get(kernelName) ?? (() => missing(kernelName));
  const found = new Map<string, KernelFunction>();
  const lookUp = (kernelName: string): KernelFunction => {
    const kernel = found.get(kernelName) ?? tf.getKernel(kernelName, "wasm")?.kernelFunc ?? missing(kernelName);
    found.set(kernelName, kernel);
    return kernel;
  };
  const tools: KernelTools = {
    ops,
    deferred,
    windows: windowsOf(tf),
    run: (kernelName, inputs, attrs) => lookUp(kernelName)({ inputs, attrs, backend }) as TensorInfo,
    free: (tensor) => void backend.disposeData(tensor.dataId),
  };
  const wasmOps = new WasmOps(lookUp, backend);
  const kernels: Record<string, KernelFunction> = {
    ...kernelsOfCpu(tf),
    ...convolutionKernels(tools),
    ...poolKernels(tools),
    ...arrayKernels(tools, stock),
    ...batchNormKernels(tools),
    ...dropoutKernels(tools),
    ...boolKernels(wasmOps, stock),
    UnsortedSegmentSum: ({ inputs: { x, segmentIds }, attrs }) =>
      unsortedSegmentSum(backend, x, segmentIds, attrs.numSegments),
    ClipByValue: (kernelArguments) => clipByValue(wasmOps, stock("ClipByValue"), kernelArguments),
  };
  for (const [kernelName, kernelFunc] of Object.entries(kernels)) {
    const replaced = tf.getKernel(kernelName, "wasm");
    if (replaced !== undefined) tf.unregisterKernel(kernelName, "wasm"); // else tfjs warns of a second registration
    // the stock's setup stays: it binds the function that ours may call, whenever the backend starts
    tf.registerKernel({ ...replaced, kernelName, backendName: "wasm", kernelFunc });
  }
}

/** Kernels that tfjs-wasm gets wrong, for negative inputs of the pools or altogether. */
const WRONG = ["MaxPool3D", "MaxPool3DGrad", "Conv3DBackpropInputV2"];

/** Those that tfjs-wasm lacks or gets wrong, and that are too rare for native code, as the cpu backend computes them. */
function kernelsOfCpu(tf: KernelRegistry): Record<string, KernelFunction> {
  const kernels: Record<string, KernelFunction> = {};
  for (const { kernelName, kernelFunc } of tf.getKernelsForBackend("cpu")) {
    if (tf.getKernel(kernelName, "wasm") !== undefined && !WRONG.includes(kernelName)) continue;
    kernels[kernelName] = onWasmHeap(kernelFunc, tf.buffer);
  }
  return kernels;
}

function missing(kernelName: string): never {
  throw new Error(`Cannot run ${kernelName} on the wasm backend: no such kernel is registered`);
}

/** Places the windows of convolutions and pools from shapes and a kernel's attributes. */
function windowsOf({ backend_util: { computeConv2DInfo, computePool2DInfo } }: KernelRegistry): Windows {
  type Attributes = KernelArguments["attrs"];
  const convolution = (inputShape: number[], filterShape: number[], attrs: Attributes, depthwise: boolean) => {
    const { strides, pad, dimRoundingMode, dataFormat = "NHWC" } = attrs;
    if (dataFormat !== "NHWC") {
      throw new Error(`Cannot convolve on the wasm backend: data format is ${dataFormat}, NHWC is wanted`);
    }
    const dilations = attrs.dilations ?? 1; // layers hand over null
    return computeConv2DInfo(inputShape, filterShape, strides, dilations, pad, dimRoundingMode, depthwise);
  };
  return {
    full: (inputShape, filterShape, attrs) => convolution(inputShape, filterShape, attrs, false),
    depthwise: (inputShape, filterShape, attrs) => convolution(inputShape, filterShape, attrs, true),
    pool: (inputShape, { filterSize, strides, pad, dimRoundingMode }) =>
      computePool2DInfo(inputShape, filterSize, strides, 1, pad, dimRoundingMode),
  };
}
