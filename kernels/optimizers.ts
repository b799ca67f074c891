/** tfjs's optimizers with one pass over each variable, in place of ten operations. */
import type { NativeOps } from "./native_ops.ts";
import { sizeOf } from "./array_kernels.ts";
import type { KernelFunction, TensorInfo } from "./wasm_backend.ts";

/** A tensor of the user's tfjs. */
interface Tensor extends TensorInfo {
  dataSync(): ArrayLike<number>;
}

interface Variable extends Tensor {
  assign(value: Tensor): void;
}

/** What an optimizer remembers of a variable. */
interface Slot {
  originalName: string;
  variable: Variable;
}

type Gradients = Record<string, Tensor> | { name: string; tensor: Tensor }[];

/** An optimizer of tfjs, with the members that the classes below have in common or for themselves. */
interface Optimizer {
  applyGradients(gradients: Gradients): void;
  incrementIterations(): void;
  readonly learningRate: number;
  readonly momentum: number;
  readonly epsilon: number;
  // Adam
  readonly beta1: number;
  readonly beta2: number;
  readonly accBeta1: Variable;
  readonly accBeta2: Variable;
  readonly accumulatedFirstMoment: Slot[];
  readonly accumulatedSecondMoment: Slot[];
  // SGD and momentum: the negative rate and the momentum as they compute with them
  readonly c: Tensor;
  readonly m: Tensor;
  readonly useNesterov: boolean;
  readonly accumulations: Slot[];
  // RMSProp
  readonly decay: number;
  readonly centered: boolean;
  readonly accumulatedMeanSquares: Slot[];
  readonly accumulatedMoments: Slot[];
  readonly accumulatedMeanGrads: Slot[];
  // Adagrad
  readonly initialAccumulatorValue: number;
  readonly accumulatedGrads: Slot[];
}

interface OptimizerClass {
  readonly prototype: object;
}

/** What the optimizers need of TensorFlow.js. */
export interface OptimizerLibrary {
  readonly AdamOptimizer: OptimizerClass;
  readonly SGDOptimizer: OptimizerClass;
  readonly MomentumOptimizer: OptimizerClass;
  readonly RMSPropOptimizer: OptimizerClass;
  readonly AdagradOptimizer: OptimizerClass;
  getBackend(): string;
  engine(): {
    readonly registeredVariables: Record<string, Variable>;
    readonly backend: { epsilon(): number };
    runKernel(kernelName: string, inputs: Record<string, Tensor>, attrs: object): Tensor[];
  };
  tidy(work: () => void): void;
  fill(shape: number[], value: number): Tensor & { variable(trainable: boolean): Variable };
  mul(a: Tensor, b: number): Tensor;
}

/** One step over a variable: which native kernel, what it remembers, and with which numbers. */
interface Step {
  readonly kernel: string;
  readonly slots: readonly Slot[];
  readonly options?: readonly number[];
  readonly floats: readonly number[];
}

type StepMaker = (optimizer: Optimizer, slot: SlotFinder) => Step;

/** The slot of the variable at hand in one of the optimizer's lists, made where it is missing. */
type SlotFinder = (slots: Slot[], suffix: string, value?: number) => Slot;

/** The kernel that does a step: its inputs are the variable, its gradient and its slots, its outputs all but the gradient. */
export function optimizerKernels(ops: NativeOps): Record<string, KernelFunction> {
  return {
    OptimizerStep: ({ inputs, attrs }) => {
      const { value, gradient, ...slots } = inputs as Record<string, TensorInfo>;
      const remembered = Object.values(slots);
      const outputs = [value, ...remembered].map(({ shape }) => ops.output(shape));
      const [out, ...rest] = outputs;
      const { kernel, order, options, floats } = attrs;
      // where a kernel knows of more slots than this step has, they are not read
      const place = (tensors: readonly TensorInfo[], i: number) => tensors[i] === undefined ? 0 : ops.place(tensors[i]);
      const count = order as number;
      const places = [value, gradient].map((tensor) => ops.place(tensor));
      for (let i = 0; i < count; i++) places.push(place(remembered, i));
      places.push(ops.place(out));
      for (let i = 0; i < count; i++) places.push(place(rest, i));
      ops.optimize(kernel, places, sizeOf(value.shape), options, floats);
      return outputs;
    },
  };
}

/** How many slots each native kernel knows of. */
const SLOTS: Readonly<Record<string, number>> = { sgd: 0, momentum: 1, adagrad: 1, rmsprop: 3, adam: 2 };

/** Makes tfjs's optimizers use the kernel, wherever the wasm backend computes and all data is float32. */
export function replaceOptimizers(tf: OptimizerLibrary): void {
  const sgd: StepMaker = ({ c }) => ({ kernel: "sgd", slots: [], floats: [c.dataSync()[0]] });
  const momentum: StepMaker = (optimizer, slot) => ({
    kernel: "momentum",
    slots: [slot(optimizer.accumulations, "momentum")],
    options: [Number(optimizer.useNesterov)],
    floats: [optimizer.m.dataSync()[0], optimizer.c.dataSync()[0]],
  });
  const adagrad: StepMaker = (optimizer, slot) => ({
    kernel: "adagrad",
    slots: [slot(optimizer.accumulatedGrads, "accumulator", optimizer.initialAccumulatorValue)],
    floats: [-optimizer.learningRate, tf.engine().backend.epsilon()],
  });
  const rmsprop: StepMaker = (optimizer, slot) => {
    const { decay, centered, learningRate, epsilon } = optimizer;
    const squares = slot(optimizer.accumulatedMeanSquares, "rms");
    const moments = slot(optimizer.accumulatedMoments, "momentum");
    const means = centered ? [slot(optimizer.accumulatedMeanGrads, "mg")] : [];
    return {
      kernel: "rmsprop",
      slots: [squares, moments, ...means],
      options: [Number(centered)],
      floats: [decay, 1 - decay, optimizer.momentum, learningRate, epsilon],
    };
  };
  const adam: StepMaker = (optimizer, slot) => {
    const { beta1, beta2, learningRate, epsilon } = optimizer;
    // tfjs keeps the powers of the betas as float32, and so does the correction
    const corrections = [optimizer.accBeta1, optimizer.accBeta2].map((power) => 1 - power.dataSync()[0]);
    return {
      kernel: "adam",
      slots: [slot(optimizer.accumulatedFirstMoment, "m"), slot(optimizer.accumulatedSecondMoment, "v")],
      floats: [beta1, beta2, 1 - beta1, 1 - beta2, ...corrections, -learningRate, epsilon],
    };
  };
  const powers = (optimizer: Optimizer) =>
    tf.tidy(() => {
      optimizer.accBeta1.assign(tf.mul(optimizer.accBeta1, optimizer.beta1));
      optimizer.accBeta2.assign(tf.mul(optimizer.accBeta2, optimizer.beta2));
    });
  replaceOptimizer(tf, tf.SGDOptimizer, sgd);
  replaceOptimizer(tf, tf.MomentumOptimizer, momentum);
  replaceOptimizer(tf, tf.AdagradOptimizer, adagrad);
  replaceOptimizer(tf, tf.RMSPropOptimizer, rmsprop);
  replaceOptimizer(tf, tf.AdamOptimizer, adam, powers);
}

function replaceOptimizer(
  tf: OptimizerLibrary,
  { prototype }: OptimizerClass,
  makeStep: StepMaker,
  afterwards?: (optimizer: Optimizer) => void,
): void {
  const target = prototype as Optimizer;
  const stock = target.applyGradients;
  target.applyGradients = function (this: Optimizer, gradients: Gradients): void {
    const entries: [string, Tensor | undefined][] = Array.isArray(gradients)
      ? gradients.map(({ name, tensor }) => [name, tensor])
      : Object.entries(gradients);
    const variables = tf.engine().registeredVariables;
    const floats = entries.every(([name, gradient]) =>
      variables[name].dtype === "float32" &&
      (gradient === undefined || gradient === null || gradient.dtype === "float32")
    );
    if (tf.getBackend() !== "wasm" || !floats) return stock.call(this, gradients);
    for (const [i, [name, gradient]] of entries.entries()) {
      const value = variables[name];
      const slot: SlotFinder = (slots, suffix, initial = 0) => {
        if (slots[i] === undefined || slots[i] === null) {
          let variable: Variable | undefined;
          tf.tidy(() => variable = tf.fill(value.shape, initial).variable(false));
          slots[i] = { originalName: `${name}/${suffix}`, variable: variable! };
        }
        return slots[i];
      };
      const { kernel, slots, options = [], floats } = makeStep(this, slot);
      if (gradient === undefined || gradient === null) continue;
      tf.tidy(() => {
        const inputs: Record<string, Tensor> = { value, gradient };
        for (const [j, { variable }] of slots.entries()) inputs[`slot${j}`] = variable;
        const attrs = { kernel, order: SLOTS[kernel], options, floats };
        const [next, ...remembered] = tf.engine().runKernel("OptimizerStep", inputs, attrs);
        value.assign(next);
        for (const [j, { variable }] of slots.entries()) variable.assign(remembered[j]);
      });
    }
    afterwards?.(this);
    this.incrementIterations();
  };
}
