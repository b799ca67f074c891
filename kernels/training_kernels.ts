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
import type { KernelArguments, KernelConfig, KernelFunction, WindowInfo } from "./wasm_backend.ts";
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

/**
 * Registers, for the wasm backend, the kernels that training needs and that the backend lacks or gets wrong.
 * The backend's package must have been imported; whether the backend has started does not matter.
 */
export function registerTrainingKernels(tf: KernelRegistry): void {
  const { computePool2DInfo } = tf.backend_util;
  const found = new Map<string, KernelFunction>();
  const kernel = (kernelName: string): KernelFunction => {
    const known = found.get(kernelName) ?? tf.getKernel(kernelName, "wasm")!.kernelFunc;
    found.set(kernelName, known);
    return known;
  };

  replace(tf, "BatchMatMul", (stock) => (args) => batchMatMul(new WasmOps(kernel, args.backend), stock!, args));

  replace(tf, "ClipByValue", (stock) => (args) => clipByValue(new WasmOps(kernel, args.backend), stock!, args));

  replace(tf, "Conv2DBackpropFilter", () => ({ inputs: { x, dy }, backend, attrs }) => {
    const info = convolution(tf, x.shape, attrs.filterShape, attrs, "full");
    return conv2dBackpropFilter(new WasmOps(kernel, backend), x, dy, info);
  });

  replace(tf, "Conv2DBackpropInput", () => ({ inputs: { dy, filter }, backend, attrs }) => {
    const info = convolution(tf, attrs.inputShape, filter.shape, attrs, "full");
    return conv2dBackpropInput(new WasmOps(kernel, backend), dy, filter, info);
  });

  replace(tf, "DepthwiseConv2dNativeBackpropFilter", () => ({ inputs: { x, dy }, backend, attrs }) => {
    const info = convolution(tf, x.shape, attrs.filterShape, attrs, "depthwise");
    return depthwiseConv2dBackpropFilter(backend, x, dy, info);
  });

  replace(tf, "DepthwiseConv2dNativeBackpropInput", () => ({ inputs: { dy, filter }, backend, attrs }) => {
    const info = convolution(tf, attrs.inputShape, filter.shape, attrs, "depthwise");
    return depthwiseConv2dBackpropInput(new WasmOps(kernel, backend), dy, filter, info);
  });

  replace(tf, "MaxPoolGrad", () => ({ inputs: { input, dy }, backend, attrs }) => {
    const { filterSize, strides, pad, dimRoundingMode } = attrs;
    return maxPoolGrad(
      backend,
      input,
      dy,
      computePool2DInfo(input.shape, filterSize, strides, 1, pad, dimRoundingMode),
    );
  });

  replace(tf, "Prelu", (stock) => (args) => prelu(new WasmOps(kernel, args.backend), stock!, args));

  replace(tf, "UnsortedSegmentSum", () => ({ inputs: { x, segmentIds }, backend, attrs }) => {
    return unsortedSegmentSum(backend, x, segmentIds, attrs.numSegments);
  });

  for (const kernelName of ["Conv2D", "FusedConv2D"]) {
    replace(
      tf,
      kernelName,
      (stock) =>
        withSafeSamePadding(
          stock!,
          (inputShape, filterShape, attrs) => convolution(tf, inputShape, filterShape, attrs, "full"),
        ),
    );
  }
  for (const kernelName of ["DepthwiseConv2dNative", "FusedDepthwiseConv2D"]) {
    replace(
      tf,
      kernelName,
      (stock) =>
        withSafeSamePadding(
          stock!,
          (inputShape, filterShape, attrs) => convolution(tf, inputShape, filterShape, attrs, "depthwise"),
        ),
    );
  }

  // wrong in tfjs-wasm: negative inputs of the pools, and the convolution's gradient altogether
  for (const kernelName of ["MaxPool3D", "MaxPool3DGrad", "Conv3DBackpropInputV2"]) {
    const onCpu = tf.getKernel(kernelName, "cpu");
    if (onCpu !== undefined) replace(tf, kernelName, () => onWasmHeap(onCpu.kernelFunc, tf.buffer));
  }
}

function convolution(
  tf: KernelRegistry,
  inputShape: number[],
  filterShape: number[],
  attrs: KernelArguments["attrs"],
  kind: "full" | "depthwise",
): WindowInfo {
  const { strides, pad, dimRoundingMode, dataFormat = "NHWC" } = attrs;
  const dilations = attrs.dilations ?? 1; // layers hand over null
  if (dataFormat !== "NHWC") {
    throw new Error(`Cannot convolve on the wasm backend: data format is ${dataFormat}, NHWC is wanted`);
  }
  const depthwise = kind === "depthwise";
  return tf.backend_util.computeConv2DInfo(
    inputShape,
    filterShape,
    strides,
    dilations,
    pad,
    dimRoundingMode,
    depthwise,
  );
}

/** Puts a kernel in the place of the backend's own, whose function `make` gets, if there is one. */
function replace(
  tf: KernelRegistry,
  kernelName: string,
  make: (stock: KernelFunction | undefined) => KernelFunction,
): void {
  const stock = tf.getKernel(kernelName, "wasm");
  if (stock !== undefined) tf.unregisterKernel(kernelName, "wasm"); // else tfjs warns of a second registration
  // the stock's setup stays: it binds the function that ours may call, whenever the backend starts
  tf.registerKernel({ ...stock, kernelName, backendName: "wasm", kernelFunc: make(stock?.kernelFunc) });
}
