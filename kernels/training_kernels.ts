import { batchMatMul } from "./batch_mat_mul.ts";
import { clipByValue } from "./clip_by_value.ts";
import { conv2dBackpropFilter } from "./conv2d_backprop_filter.ts";
import { conv2dBackpropInput, depthwiseConv2dBackpropInput } from "./conv2d_backprop_input.ts";
import { onWasmHeap } from "./cpu_kernel.ts";
import { depthwiseConv2dBackpropFilter } from "./depthwise_conv2d_backprop_filter.ts";
import { maxPoolGrad } from "./max_pool_grad.ts";
import { prelu } from "./prelu.ts";
import { withSafeSamePadding } from "./same_padding.ts";
import { unsortedSegmentSum } from "./unsorted_segment_sum.ts";
import type { KernelArguments, KernelConfig, KernelFunction, WasmBackend, WindowInfo } from "./wasm_backend.ts";
import { WasmOps } from "./wasm_ops.ts";

/** What the kernels need of TensorFlow.js: its registry of kernels and its window arithmetic. */
export interface KernelRegistry {
  getKernel(kernelName: string, backendName: string): KernelConfig | undefined;
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

/** Makes a kernel; it may call the backend's own, where there is one. */
type KernelMaker = (stock: KernelFunction) => KernelFunction;

/**
 * Registers, for the wasm backend, the kernels that training needs and that the backend lacks or gets wrong.
 * The backend's package must have been imported; whether the backend has started does not matter.
 */
export function registerTrainingKernels(tf: KernelRegistry): void {
  for (const [kernelName, make] of Object.entries(kernelMakers(tf))) {
    const stock = tf.getKernel(kernelName, "wasm");
    if (stock !== undefined) tf.unregisterKernel(kernelName, "wasm"); // else tfjs warns of a second registration
    const kernelFunc = make(stock?.kernelFunc ?? (() => missing(kernelName)));
    // the stock's setup stays: it binds the function that ours may call, whenever the backend starts
    tf.registerKernel({ ...stock, kernelName, backendName: "wasm", kernelFunc });
  }
}

function kernelMakers(tf: KernelRegistry): Record<string, KernelMaker> {
  const found = new Map<string, KernelFunction>();
  const lookup = (kernelName: string): KernelFunction => {
    const kernel = found.get(kernelName) ?? tf.getKernel(kernelName, "wasm")?.kernelFunc ?? missing(kernelName);
    found.set(kernelName, kernel);
    return kernel;
  };
  const opsOf = (backend: WasmBackend) => new WasmOps(lookup, backend);
  const { full, depthwise, pool } = windowsOf(tf);
  const cpu = (kernelName: string): KernelMaker => (stock) => {
    const kernel = tf.getKernel(kernelName, "cpu");
    return kernel === undefined ? stock : onWasmHeap(kernel.kernelFunc, tf.buffer);
  };

  return {
    // gradients that tfjs-wasm lacks
    Conv2DBackpropFilter: () => ({ inputs: { x, dy }, backend, attrs }) =>
      conv2dBackpropFilter(opsOf(backend), x, dy, full(x.shape, attrs.filterShape, attrs)),
    DepthwiseConv2dNativeBackpropFilter: () => ({ inputs: { x, dy }, backend, attrs }) =>
      depthwiseConv2dBackpropFilter(backend, x, dy, depthwise(x.shape, attrs.filterShape, attrs)),
    DepthwiseConv2dNativeBackpropInput: () => ({ inputs: { dy, filter }, backend, attrs }) =>
      depthwiseConv2dBackpropInput(opsOf(backend), dy, filter, depthwise(attrs.inputShape, filter.shape, attrs)),
    UnsortedSegmentSum: () => ({ inputs: { x, segmentIds }, backend, attrs }) =>
      unsortedSegmentSum(backend, x, segmentIds, attrs.numSegments),

    // slow in tfjs-wasm
    BatchMatMul: (stock) => (kernelArguments) => batchMatMul(opsOf(kernelArguments.backend), stock, kernelArguments),
    Conv2DBackpropInput: () => ({ inputs: { dy, filter }, backend, attrs }) =>
      conv2dBackpropInput(opsOf(backend), dy, filter, full(attrs.inputShape, filter.shape, attrs)),

    // wrong in tfjs-wasm, each for the inputs that its file tells
    ClipByValue: (stock) => (kernelArguments) => clipByValue(opsOf(kernelArguments.backend), stock, kernelArguments),
    Conv2D: (stock) => withSafeSamePadding(stock, full),
    FusedConv2D: (stock) => withSafeSamePadding(stock, full),
    DepthwiseConv2dNative: (stock) => withSafeSamePadding(stock, depthwise),
    FusedDepthwiseConv2D: (stock) => withSafeSamePadding(stock, depthwise),
    MaxPoolGrad: () => ({ inputs: { input, dy }, backend, attrs }) =>
      maxPoolGrad(backend, input, dy, pool(input.shape, attrs)),
    Prelu: (stock) => (kernelArguments) => prelu(opsOf(kernelArguments.backend), stock, kernelArguments),
    // negative inputs of the pools, and the convolution's gradient altogether; too rare for kernels of our own
    MaxPool3D: cpu("MaxPool3D"),
    MaxPool3DGrad: cpu("MaxPool3DGrad"),
    Conv3DBackpropInputV2: cpu("Conv3DBackpropInputV2"),
  };
}

function missing(kernelName: string): never {
  throw new Error(`Cannot run ${kernelName} on the wasm backend: no such kernel is registered`);
}

/** Places the windows of convolutions and pools from shapes and a kernel's attributes. */
function windowsOf({ backend_util: { computeConv2DInfo, computePool2DInfo } }: KernelRegistry) {
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
    full: (inputShape: number[], filterShape: number[], attrs: Attributes): WindowInfo =>
      convolution(inputShape, filterShape, attrs, false),
    depthwise: (inputShape: number[], filterShape: number[], attrs: Attributes): WindowInfo =>
      convolution(inputShape, filterShape, attrs, true),
    pool: (inputShape: number[], { filterSize, strides, pad, dimRoundingMode }: Attributes): WindowInfo =>
      computePool2DInfo(inputShape, filterSize, strides, 1, pad, dimRoundingMode),
  };
}
