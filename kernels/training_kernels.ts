import { batchMatMul } from "./batch_mat_mul.ts";
import { conv2dBackpropFilter } from "./conv2d_backprop_filter.ts";
import { conv2dBackpropInput } from "./conv2d_backprop_input.ts";
import { maxPoolGrad } from "./max_pool_grad.ts";
import type { KernelConfig, KernelFunction, WindowInfo } from "./wasm_backend.ts";
import { WasmOps } from "./wasm_ops.ts";

/** What the kernels need of TensorFlow.js: its registry of kernels and its window arithmetic. */
export interface KernelRegistry {
  getKernel(kernelName: string, backendName: string): KernelConfig | undefined;
  registerKernel(config: KernelConfig): void;
  unregisterKernel(kernelName: string, backendName: string): void;
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
  const found = new Map<string, KernelFunction>();
  const lookup = (kernelName: string): KernelFunction => {
    let kernel = found.get(kernelName);
    if (kernel === undefined) {
      kernel = tf.getKernel(kernelName, "wasm")!.kernelFunc;
      found.set(kernelName, kernel);
    }
    return kernel;
  };

  replace(tf, "BatchMatMul", (stock) => (args) => batchMatMul(new WasmOps(lookup, args.backend), stock!, args));

  replace(tf, "Conv2DBackpropInput", () => ({ inputs, backend, attrs }) => {
    const { dy, filter } = inputs;
    const { inputShape, strides, pad, dimRoundingMode } = attrs;
    const info = tf.backend_util.computeConv2DInfo(inputShape, filter.shape, strides, 1, pad, dimRoundingMode);
    return conv2dBackpropInput(new WasmOps(lookup, backend), dy, filter, info);
  });

  replace(tf, "Conv2DBackpropFilter", () => ({ inputs, backend, attrs }) => {
    const { x, dy } = inputs;
    const { filterShape, strides, pad, dimRoundingMode } = attrs;
    const info = tf.backend_util.computeConv2DInfo(x.shape, filterShape, strides, 1, pad, dimRoundingMode);
    return conv2dBackpropFilter(new WasmOps(lookup, backend), x, dy, info);
  });

  replace(tf, "MaxPoolGrad", () => ({ inputs, backend, attrs }) => {
    const { input, dy } = inputs;
    const { filterSize, strides, pad, dimRoundingMode } = attrs;
    const info = tf.backend_util.computePool2DInfo(input.shape, filterSize, strides, 1, pad, dimRoundingMode);
    return maxPoolGrad(backend, input, dy, info);
  });
}

/** Puts a kernel in the place of the backend's own, whose function `make` gets, if there is one. */
function replace(
  tf: KernelRegistry,
  kernelName: string,
  make: (stock: KernelFunction | undefined) => KernelFunction,
): void {
  const stock = tf.getKernel(kernelName, "wasm");
  if (stock !== undefined) tf.unregisterKernel(kernelName, "wasm"); // else tfjs warns of a second registration
  // the stock's setup stays: it binds the function that ours may fall back to when the backend starts
  tf.registerKernel({ ...stock, kernelName, backendName: "wasm", kernelFunc: make(stock?.kernelFunc) });
}
