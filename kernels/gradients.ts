/** Gradients of operations that the kernels of this folder compute in fewer passes than tfjs's own. */

/** A tensor of the user's tfjs. */
interface Tensor {
  readonly shape: number[];
}

/** A gradient as tfjs registers it: functions that give `dx` for each input, from `dy` and what was saved. */
interface GradientConfig {
  kernelName: string;
  inputsToSave?: string[];
  outputsToSave?: boolean[];
  gradFunc(dy: Tensor, saved: Tensor[], attrs: object): Record<string, () => Tensor>;
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
  mul(a: Tensor, b: Tensor): Tensor;
  zerosLike(x: Tensor): Tensor;
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
}

function replace(tf: GradientRegistry, config: GradientConfig): void {
  // tfjs warns of a second registration
  if (tf.getGradient(config.kernelName) !== undefined) tf.unregisterGradient(config.kernelName);
  tf.registerGradient(config);
}
