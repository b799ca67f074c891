import type { KernelArguments, KernelFunction, TensorInfo, WasmBackend } from "./wasm_backend.ts";

/** Looks a kernel of the wasm backend up by its name. */
export type KernelLookup = (kernelName: string) => KernelFunction;

/** Steps of a convolution, `[vertical, horizontal]`. */
export interface ConvolutionSteps {
  /** From one window to the next. @default {[1, 1]} */
  strides?: [number, number];
  /** From one tap of the filter to the next. @default {[1, 1]} */
  dilations?: [number, number];
}

/**
 * The wasm backend's own operations, called below the tape and below `tf.tidy`: each result is the caller's, who gives
 * it back with {@linkcode WasmOps.free}.
 */
export class WasmOps {
  readonly #kernel: KernelLookup;
  readonly #backend: WasmBackend;

  constructor(kernel: KernelLookup, backend: WasmBackend) {
    this.#kernel = kernel;
    this.#backend = backend;
  }

  transpose(x: TensorInfo, perm: number[]): TensorInfo {
    return this.#run("Transpose", { x }, { perm });
  }

  /** Pads with zeros; `paddings` has `[before, after]` for each dimension. */
  pad(x: TensorInfo, paddings: [number, number][]): TensorInfo {
    return this.#run("PadV2", { x }, { paddings, constantValue: 0 });
  }

  slice(x: TensorInfo, begin: number[], size: number[]): TensorInfo {
    return this.#run("Slice", { x }, { begin, size });
  }

  reverse(x: TensorInfo, dims: number[]): TensorInfo {
    return this.#run("Reverse", { x }, { dims });
  }

  sum(x: TensorInfo, axis: number): TensorInfo {
    return this.#run("Sum", { x }, { axis, keepDims: false });
  }

  cast(x: TensorInfo, dtype: string): TensorInfo {
    return this.#run("Cast", { x }, { dtype });
  }

  relu(x: TensorInfo): TensorInfo {
    return this.#run("Relu", { x }, undefined);
  }

  add(a: TensorInfo, b: TensorInfo): TensorInfo {
    return this.#run("Add", { a, b }, undefined);
  }

  subtract(a: TensorInfo, b: TensorInfo): TensorInfo {
    return this.#run("Sub", { a, b }, undefined);
  }

  multiply(a: TensorInfo, b: TensorInfo): TensorInfo {
    return this.#run("Multiply", { a, b }, undefined);
  }

  /** A convolution without padding, NHWC. */
  conv2d(x: TensorInfo, filter: TensorInfo, steps: ConvolutionSteps = {}): TensorInfo {
    return this.#run("Conv2D", { x, filter }, convolutionAttributes(steps));
  }

  /** A depthwise convolution without padding, NHWC. */
  depthwiseConv2d(x: TensorInfo, filter: TensorInfo, steps: ConvolutionSteps = {}): TensorInfo {
    return this.#run("DepthwiseConv2dNative", { x, filter }, convolutionAttributes(steps));
  }

  /** Gives intermediate results back to the heap. */
  free(...tensors: TensorInfo[]): void {
    for (const tensor of tensors) this.#backend.disposeData(tensor.dataId);
  }

  #run(kernelName: string, inputs: KernelArguments["inputs"], attrs: KernelArguments["attrs"]): TensorInfo {
    return this.#kernel(kernelName)({ inputs, attrs, backend: this.#backend }) as TensorInfo;
  }
}

/** The same data seen in another shape; owns nothing. */
export function withShape(tensor: TensorInfo, shape: number[]): TensorInfo {
  return { dataId: tensor.dataId, shape, dtype: tensor.dtype };
}

function convolutionAttributes({ strides = [1, 1], dilations = [1, 1] }: ConvolutionSteps): KernelArguments["attrs"] {
  return { strides, dilations, pad: "valid", dataFormat: "NHWC", dimRoundingMode: undefined };
}
