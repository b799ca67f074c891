/** Gradients of operations that the kernels of this folder compute in fewer passes than tfjs's own. */
import { summedBlocks } from "./array_kernels.ts";
import type { TensorInfo } from "./wasm_backend.ts";

/** A tensor of the user's tfjs. */
type Tensor = TensorInfo;

/** A gradient as tfjs registers it: functions that give `dx` for each input, from `dy` and what was saved. */
interface GradientConfig {
  kernelName: string;
  inputsToSave?: string[];
  outputsToSave?: boolean[];
  gradFunc(
    dy: Tensor,
    saved: Tensor[],
    attrs: { varianceEpsilon?: number; axis?: number | number[] },
  ): Record<string, () => Tensor>;
}

/** What the gradients need of TensorFlow.js. */
export interface GradientRegistry {
  getBackend(): string;
  engine(): { runKernel(kernelName: string, inputs: Record<string, Tensor>, attrs?: object): Tensor };
  getGradient(kernelName: string): GradientConfig | undefined;
  registerGradient(config: GradientConfig): void;
  unregisterGradient(kernelName: string): void;
  step(x: Tensor): Tensor;
  cast(x: Tensor, dtype: string): Tensor;
  mul(a: Tensor, b: Tensor | number): Tensor;
  zerosLike(x: Tensor): Tensor;
  add(a: Tensor, b: Tensor | number): Tensor;
  sub(a: Tensor, b: Tensor): Tensor;
  rsqrt(x: Tensor): Tensor;
  sum(x: Tensor, axes?: number[]): Tensor;
  mean(x: Tensor, axes?: number | number[]): Tensor;
  reshape(x: Tensor, shape: number[]): Tensor;
}

/** Registers the gradients, which on other backends than wasm do what tfjs's own do. */
export function registerGradients(tf: GradientRegistry): void {
  const slope = (y: Tensor) => tf.cast(tf.step(y), "float32");
  const reluGradient = (dy: Tensor, y: Tensor) =>
    tf.getBackend() === "wasm" ? tf.engine().runKernel("ReluGradient", { dy, y }) : tf.mul(dy, slope(y));
  replace(tf, {
    kernelName: "Relu",
    // the result tells where the input was positive, and the input need not be computed for it
    outputsToSave: [true],
    gradFunc: (dy, [y]) => ({ x: () => reluGradient(dy, y) }),
  });
  replace(tf, {
    kernelName: "ReluGradient",
    inputsToSave: ["y"],
    gradFunc: (ddy, [y]) => ({ dy: () => reluGradient(ddy, y), y: () => tf.zerosLike(y) }),
  });
  const { gradFunc: meanGradient } = tf.getGradient("Mean")!;
  replace(tf, {
    kernelName: "Mean",
    inputsToSave: ["x"],
    // tfjs's own makes ones of the shape of `x`, and spreads `dy` over them
    gradFunc: (dy, [x], attrs) => {
      const whole = tf.getBackend() !== "wasm" || summedBlocks(x, attrs) === undefined;
      if (whole) return meanGradient(dy, [x], attrs);
      return { x: () => tf.engine().runKernel("MeanGradient", { dy }, { shape: x.shape, axis: attrs.axis }) };
    },
  });
  replace(tf, {
    kernelName: "MeanGradient",
    inputsToSave: ["dy"],
    gradFunc: (ddy, [dy], { axis }) => ({ dy: () => tf.reshape(tf.mean(ddy, axis), dy.shape) }),
  });
  replace(tf, {
    kernelName: "FusedBatchNorm",
    inputsToSave: ["x", "mean", "variance", "scale"],
    // tfjs's own spreads each column's numbers over all of the data first
    gradFunc: (dy, [x, mean, variance, scale], { varianceEpsilon }) => {
      const slope = () => tf.rsqrt(tf.add(variance, varianceEpsilon ?? 1e-3));
      const scaled = () => scale === undefined ? slope() : tf.mul(scale, slope());
      const ofShape = (value: Tensor, like: Tensor) => {
        const rank = value.shape.length;
        const missing = rank - like.shape.length;
        const axes = value.shape.flatMap((length, axis) =>
          axis < missing || like.shape[axis - missing] === 1 && length !== 1 ? [axis] : []
        );
        return tf.reshape(axes.length === 0 ? value : tf.sum(value, axes), like.shape);
      };
      const spread = () => tf.mul(dy, tf.sub(x, mean));
      return {
        x: () => tf.reshape(tf.mul(dy, scaled()), x.shape),
        mean: () => ofShape(tf.mul(tf.mul(dy, scaled()), -1), mean),
        variance: () => {
          const cubed = tf.mul(tf.mul(slope(), slope()), scaled());
          return tf.mul(ofShape(tf.mul(spread(), cubed), variance), -0.5);
        },
        scale: () => ofShape(tf.mul(spread(), slope()), scale),
        offset: () => ofShape(dy, scale ?? mean),
      };
    },
  });
}

function replace(tf: GradientRegistry, config: GradientConfig): void {
  // tfjs warns of a second registration
  if (tf.getGradient(config.kernelName) !== undefined) tf.unregisterGradient(config.kernelName);
  tf.registerGradient(config);
}
