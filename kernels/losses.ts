/** The cross-entropies of classifiers as one operation, in place of fifteen, and thirty-five for their gradients. */
import { sizeOf } from "./array_kernels.ts";
import type { NativeOps } from "./native_ops.ts";
import type { KernelFunction, TensorInfo } from "./wasm_backend.ts";

/** tfjs's loss function of a model's output: a number for each of the output's last dimensions. */
type Loss = (target: TensorInfo, output: TensorInfo) => TensorInfo;

type LossName = string | ((...args: never[]) => unknown) | null | undefined;

/** A model of tfjs that is ready to train. */
interface Model {
  compile(args: { loss: LossName | LossName[] | Record<string, LossName> }): void;
  readonly outputNames: string[];
  lossFunctions: Loss[];
}

/** What the losses need of TensorFlow.js. */
export interface LossLibrary {
  readonly LayersModel: { readonly prototype: object };
  getBackend(): string;
  engine(): { runKernel(kernelName: string, inputs: object, attrs: object): unknown };
  registerGradient(config: {
    kernelName: string;
    inputsToSave: string[];
    gradFunc(dy: TensorInfo, saved: TensorInfo[], attrs: object): Record<string, () => TensorInfo>;
  }): void;
}

/** What tfjs adds to and takes from probabilities, so that no logarithm is infinite. */
const SMALL = Math.fround(1e-7);
const LARGE = Math.fround(1 - 1e-7);

const clip = (value: number) => value < SMALL ? SMALL : value > LARGE ? LARGE : value;
/** Rounded as tfjs does: near the bounds it tells whether a gradient passes. */
const divide = (value: number, sum: number) => Math.fround(value / Math.fround(sum));
const isInside = (value: number) => value >= SMALL && value <= LARGE;

/**
 * The kernels of the loss and of its gradient. `target` has a class for each row of probabilities (`sparse`), or a
 * share for each of its entries. As in tfjs, a row is divided by its sum, and classes are clipped before it too.
 */
export function lossKernels(ops: NativeOps): Record<string, KernelFunction> {
  return {
    Crossentropy: ({ inputs: { target, output }, attrs: { sparse } }) => {
      const classes = output.shape.at(-1)!;
      const losses = ops.output(output.shape.slice(0, -1));
      const [values, targets, probabilities] = ops.floatsOf(losses, target, output);
      for (let row = 0, from = 0; row < values.length; row++, from += classes) {
        let sum = 0;
        for (let c = 0; c < classes; c++) sum += sparse ? clip(probabilities[from + c]) : probabilities[from + c];
        let loss = 0;
        if (sparse) {
          const label = Math.floor(targets[row]);
          if (label >= 0 && label < classes) loss = -Math.log(clip(divide(clip(probabilities[from + label]), sum)));
        } else {
          for (let c = 0; c < classes; c++) {
            loss -= targets[from + c] * Math.log(clip(divide(probabilities[from + c], sum)));
          }
        }
        values[row] = loss;
      }
      return losses;
    },
    CrossentropyGradient: ({ inputs: { dy, target, output }, attrs: { sparse } }) => {
      const classes = output.shape.at(-1)!;
      const gradient = ops.output(output.shape);
      const [out, dys, targets, probabilities] = ops.floatsOf(gradient, dy, target, output);
      for (let row = 0, from = 0; row < dys.length; row++, from += classes) {
        const bounded = (c: number) => sparse ? clip(probabilities[from + c]) : probabilities[from + c];
        const label = Math.floor(targets[row]);
        const share = (c: number) => sparse ? Number(c === label) : targets[from + c];
        let sum = 0;
        for (let c = 0; c < classes; c++) sum += bounded(c);
        // by the row's entries divided by their sum, and by that sum
        let bySum = 0;
        for (let c = 0; c < classes; c++) {
          const divided = divide(bounded(c), sum);
          out[from + c] = isInside(divided) ? -share(c) / divided / sum : 0;
          bySum -= out[from + c] * divided;
        }
        for (let c = 0; c < classes; c++) {
          const passes = !sparse || isInside(probabilities[from + c]);
          out[from + c] = passes ? (out[from + c] + bySum) * dys[row] : 0;
        }
      }
      return gradient;
    },
  };
}

/** Makes tfjs's models use the operation for the losses that they are given by name, where the wasm backend computes. */
export function replaceLosses(tf: LossLibrary): void {
  const run = (kernelName: string, inputs: object, attrs: object) =>
    tf.engine().runKernel(kernelName, inputs, attrs) as TensorInfo;
  tf.registerGradient({
    kernelName: "Crossentropy",
    inputsToSave: ["target", "output"],
    gradFunc: (dy, [target, output], attrs) => ({
      output: () => run("CrossentropyGradient", { dy, target, output }, attrs),
    }),
  });
  const fused = (stock: Loss, sparse: boolean): Loss => (target, output) => {
    const { shape } = output;
    const rows = sizeOf(shape.slice(0, -1));
    const fits = shape.length > 1 && sizeOf(target.shape) === (sparse ? rows : sizeOf(shape));
    // whole numbers for classes are refused by tfjs
    const numbers = output.dtype === "float32" && (target.dtype === "float32" || !sparse && target.dtype === "int32");
    if (tf.getBackend() !== "wasm" || !fits || !numbers) return stock(target, output);
    return run("Crossentropy", { target, output }, { sparse });
  };
  const model = tf.LayersModel.prototype as Model;
  const stock = model.compile;
  model.compile = function (this: Model, args): void {
    stock.call(this, args);
    const { loss } = args;
    this.lossFunctions = this.lossFunctions.map((lossFunction, i) => {
      const name = typeof loss !== "object" || loss === null
        ? loss
        : Array.isArray(loss)
        ? loss[i]
        : loss[this.outputNames[i]];
      if (name === "sparseCategoricalCrossentropy") return fused(lossFunction, true);
      return name === "categoricalCrossentropy" ? fused(lossFunction, false) : lossFunction;
    });
  };
}
