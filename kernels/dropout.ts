/** Dropout as one pass that draws tfjs's own random numbers, and draws them again for the gradient. */
import { sizeOf } from "./array_kernels.ts";
import { assertFloats, type KernelTools } from "./image_kernels.ts";
import type { KernelFunction, TensorInfo } from "./wasm_backend.ts";

/** The kernel of the operation, which is its own gradient: the same seed drops the same entries. */
export function dropoutKernels({ ops }: KernelTools): Record<string, KernelFunction> {
  return {
    Dropout: ({ inputs: { x }, attrs: { rate, seed } }) => {
      assertFloats("Dropout", x);
      const out = ops.output(x.shape);
      ops.dropout(x, sizeOf(x.shape), aleaState(seed), 1 - rate, ops.place(out));
      return out;
    },
  };
}

/**
 * Where Alea, the generator behind tfjs's random tensors, begins for a seed: three fractions and a carry, in units of
 * 2^-32.
 */
export function aleaState(seed: string): number[] {
  let state = 0xefc8249d;
  const mash = (text: string) => {
    for (let i = 0; i < text.length; i++) {
      state += text.charCodeAt(i);
      const product = 0.02519603282416938 * state;
      const whole = product >>> 0;
      const spread = (product - whole) * whole;
      state = (spread >>> 0) + (spread % 1) * 2 ** 32;
    }
    return state >>> 0;
  };
  const fractions = [mash(" "), mash(" "), mash(" ")];
  return [...fractions.map((fraction) => (fraction - mash(seed)) >>> 0), 1];
}

/** tfjs's layer, as far as its training goes. */
interface DropoutLayer {
  call(inputs: TensorInfo | TensorInfo[], kwargs: { training?: boolean }): TensorInfo | TensorInfo[];
  invokeCallHook(inputs: TensorInfo | TensorInfo[], kwargs: object): void;
  getNoiseShape(x: TensorInfo): number[] | null | undefined;
  readonly rate: number;
  readonly seed?: number | string | null;
}

/** What the layer needs of TensorFlow.js. */
export interface DropoutLibrary {
  readonly serialization: {
    readonly SerializationMap: { getMap(): { classNameMap: Record<string, [{ prototype: object }, unknown]> } };
  };
  getBackend(): string;
  engine(): { runKernel(kernelName: string, inputs: object, attrs: object): unknown };
  registerGradient(config: {
    kernelName: string;
    gradFunc(dy: TensorInfo, saved: unknown, attrs: object): Record<string, () => TensorInfo>;
  }): void;
}

/** Makes tfjs's layer use the operation, wherever it trains on the wasm backend and drops entry by entry. */
export function replaceDropout(tf: DropoutLibrary): void {
  const run = (x: TensorInfo, attrs: object) => tf.engine().runKernel("Dropout", { x }, attrs) as TensorInfo;
  tf.registerGradient({ kernelName: "Dropout", gradFunc: (dy, _saved, attrs) => ({ x: () => run(dy, attrs) }) });
  const layer = tf.serialization.SerializationMap.getMap().classNameMap.Dropout[0].prototype as DropoutLayer;
  const stock = layer.call;
  layer.call = function (this: DropoutLayer, inputs, kwargs): TensorInfo | TensorInfo[] {
    const x = Array.isArray(inputs) ? inputs[0] : inputs;
    const { rate, seed } = this;
    const drops = kwargs.training && rate > 0 && rate < 1;
    if (!drops || tf.getBackend() !== "wasm" || x.dtype !== "float32" || !isWhole(this.getNoiseShape(x), x.shape)) {
      return stock.call(this, inputs, kwargs);
    }
    this.invokeCallHook(inputs, kwargs);
    return run(x, { rate, seed: String(seed ?? Math.random()) });
  };
}

function isWhole(noiseShape: number[] | null | undefined, shape: number[]): boolean {
  if (noiseShape === null || noiseShape === undefined) return true;
  return noiseShape.length === shape.length && noiseShape.every((length, i) => length === shape[i]);
}
