import { arrayKernels } from "./array_kernels.ts";
import { batchNormKernels } from "./batch_norm.ts";
import { type CpuBackend, onWasmHeap } from "./cpu_kernel.ts";
import type { DeferredData } from "./deferred_data.ts";
import { dropoutKernels } from "./dropout.ts";
import { convolutionKernels, type KernelTools, poolKernels, type Windows } from "./image_kernels.ts";
import { lossKernels } from "./losses.ts";
import type { NativeOps } from "./native_ops.ts";
import { whereRight } from "./stock_kernels.ts";
import { unsortedSegmentSum } from "./unsorted_segment_sum.ts";
import type {
  KernelArguments,
  KernelConfig,
  KernelFunction,
  TensorInfo,
  WasmBackend,
  WindowInfo,
} from "./wasm_backend.ts";

/** What the kernels need of TensorFlow.js: its registry of kernels and its window arithmetic. */
export interface KernelRegistry {
  getKernel(kernelName: string, backendName: string): KernelConfig | undefined;
  getKernelsForBackend(backendName: string): KernelConfig[];
  registerKernel(config: KernelConfig): void;
  unregisterKernel(kernelName: string, backendName: string): void;
  findBackendFactory(backendName: string): () => object;
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
  const stocks = stockKernels(tf);
  const stock = (kernelName: string): KernelFunction => stocks[kernelName] ?? (() => missing(kernelName));
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
  const kernels: Record<string, KernelFunction> = {
    ...stocks,
    ...convolutionKernels(tools),
    ...poolKernels(tools),
    ...arrayKernels(tools, stock),
    ...batchNormKernels(tools),
    ...dropoutKernels(tools),
    ...lossKernels(ops),
    UnsortedSegmentSum: ({ inputs: { x, segmentIds }, attrs }) =>
      unsortedSegmentSum(backend, x, segmentIds, attrs.numSegments),
  };
  for (const [kernelName, kernelFunc] of Object.entries(kernels)) {
    const replaced = tf.getKernel(kernelName, "wasm");
    if (replaced !== undefined) tf.unregisterKernel(kernelName, "wasm"); // else tfjs warns of a second registration
    // the stock's setup stays: it binds the function that ours may call, whenever the backend starts
    tf.registerKernel({ ...replaced, kernelName, backendName: "wasm", kernelFunc });
  }
}

/**
 * tfjs's own kernels: those of the wasm backend where they are right, and those of the cpu backend for what is left,
 * which is too rare for native code.
 */
function stockKernels(tf: KernelRegistry): Record<string, KernelFunction> {
  const kernels: Record<string, KernelFunction> = {};
  for (const { kernelName, kernelFunc } of tf.getKernelsForBackend("wasm")) kernels[kernelName] = kernelFunc;
  let backend: CpuBackend | undefined;
  const cpu = (): CpuBackend => {
    if (backend === undefined) {
      backend = tf.findBackendFactory("cpu")() as CpuBackend;
      backend.firstUse = false; // else it greets
    }
    return backend;
  };
  for (const { kernelName, kernelFunc } of tf.getKernelsForBackend("cpu")) {
    const stock = kernels[kernelName];
    const onHeap = onWasmHeap(kernelName, kernelFunc, cpu);
    kernels[kernelName] = stock === undefined ? onHeap : whereRight(kernelName, stock, onHeap);
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
