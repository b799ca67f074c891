/** tfjs's optimizers with one pass over each variable, in place of ten operations. */
import type { NativeOps } from "./native_ops.ts";
import { sizeOf } from "./array_kernels.ts";
import type { TensorInfo } from "./wasm_backend.ts";

/** A tensor of the user's tfjs. */
type Tensor = TensorInfo;

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
    readonly backend: {
      epsilon(): number;
      readonly dataIdMap: { get(dataId: object): { readonly refCount: number } };
    };
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

/** What is the same for all variables is computed once: the optimizer gives the steps of one application. */
type StepMaker = (optimizer: Optimizer) => (slot: SlotFinder) => Step;

/** The slot of the variable at hand in one of the optimizer's lists, made where it is missing. */
type SlotFinder = (slots: Slot[], suffix: string, value?: number) => Slot;

/** How many slots each native kernel knows of. */
const SLOTS: Readonly<Record<string, number>> = { sgd: 0, momentum: 1, adagrad: 1, rmsprop: 3, adam: 2 };

/**
 * Makes tfjs's optimizers use the native kernels, wherever the wasm backend computes and all data is float32. Variables
 * and what is remembered of them are changed in their place, unless other tensors share their data.
 */
export function replaceOptimizers(tf: OptimizerLibrary, ops: NativeOps): void {
  const sgd: StepMaker = ({ c }) => {
    const floats = [ops.floats(c)[0]];
    return () => ({ kernel: "sgd", slots: [], floats });
  };
  const momentum: StepMaker = ({ m, c, useNesterov, accumulations }) => {
    const floats = [ops.floats(m)[0], ops.floats(c)[0]];
    const options = [Number(useNesterov)];
    return (slot) => ({ kernel: "momentum", slots: [slot(accumulations, "momentum")], options, floats });
  };
  const adagrad: StepMaker = ({ learningRate, accumulatedGrads, initialAccumulatorValue }) => {
    const floats = [-learningRate, tf.engine().backend.epsilon()];
    return (slot) => ({
      kernel: "adagrad",
      slots: [slot(accumulatedGrads, "accumulator", initialAccumulatorValue)],
      floats,
    });
  };
  const rmsprop: StepMaker = (optimizer) => {
    const { decay, centered, learningRate, epsilon } = optimizer;
    const floats = [decay, 1 - decay, optimizer.momentum, learningRate, epsilon];
    return (slot) => {
      const squares = slot(optimizer.accumulatedMeanSquares, "rms");
      const moments = slot(optimizer.accumulatedMoments, "momentum");
      const means = centered ? [slot(optimizer.accumulatedMeanGrads, "mg")] : [];
      return { kernel: "rmsprop", slots: [squares, moments, ...means], options: [Number(centered)], floats };
    };
  };
  const adam: StepMaker = (optimizer) => {
    const { beta1, beta2, learningRate, epsilon } = optimizer;
    // tfjs keeps the powers of the betas as float32, and so does the correction
    const corrections = [optimizer.accBeta1, optimizer.accBeta2].map((power) => 1 - ops.floats(power)[0]);
    const floats = [beta1, beta2, 1 - beta1, 1 - beta2, ...corrections, -learningRate, epsilon];
    return (slot) => ({
      kernel: "adam",
      slots: [slot(optimizer.accumulatedFirstMoment, "m"), slot(optimizer.accumulatedSecondMoment, "v")],
      floats,
    });
  };
  const powers = ({ accBeta1, accBeta2, beta1, beta2 }: Optimizer) => {
    for (const [power, beta] of [[accBeta1, beta1], [accBeta2, beta2]] as const) {
      own(tf, power);
      ops.floats(power)[0] *= Math.fround(beta);
    }
  };
  replaceOptimizer(tf, ops, tf.SGDOptimizer, sgd);
  replaceOptimizer(tf, ops, tf.MomentumOptimizer, momentum);
  replaceOptimizer(tf, ops, tf.AdagradOptimizer, adagrad);
  replaceOptimizer(tf, ops, tf.RMSPropOptimizer, rmsprop);
  replaceOptimizer(tf, ops, tf.AdamOptimizer, adam, powers);
}

function replaceOptimizer(
  tf: OptimizerLibrary,
  ops: NativeOps,
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
    const stepOf = makeStep(this);
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
      const { kernel, slots, options = [], floats } = stepOf(slot);
      if (gradient === undefined || gradient === null) continue;
      const changed = [value, ...slots.map(({ variable }) => variable)];
      for (const variable of changed) own(tf, variable);
      const [place, ...remembered] = changed.map((variable) => ops.place(variable));
      // where a kernel knows of more slots than this step has, they are not read
      while (remembered.length < SLOTS[kernel]) remembered.push(0);
      const places = [place, ops.place(gradient), ...remembered, place, ...remembered];
      ops.optimize(kernel, places, sizeOf(value.shape), options, floats);
    }
    afterwards?.(this);
    this.incrementIterations();
  };
}

/** Gives a variable data of its own, where other tensors share it: clones, or what waits to be computed from it. */
function own(tf: OptimizerLibrary, variable: Variable): void {
  const { refCount } = tf.engine().backend.dataIdMap.get(variable.dataId);
  if (refCount > 1) tf.tidy(() => variable.assign(tf.mul(variable, 1)));
}
