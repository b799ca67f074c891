/**
 * {@linkcode autolog}: one call, and every training of your tfjs is tracked.
 *
 * @module
 */
import { type AutologSettings, settle } from "./training/settings.ts";
import { trackFit } from "./training/track_fit.ts";

/** The part of your tfjs whose trainings are tracked. */
export interface AutologTensorFlow {
  /** The class of models; its prototype's `fit` and `fitDataset` are replaced. */
  // deno-lint-ignore no-explicit-any -- tfjs's own types of its models are the user's
  readonly LayersModel: { readonly prototype: any };
  /** The class of sequential models, which has both methods of its own. */
  // deno-lint-ignore no-explicit-any -- tfjs's own types of its models are the user's
  readonly Sequential: { readonly prototype: any };
  /** Makes a callback of functions. */
  // deno-lint-ignore no-explicit-any -- tfjs's own types of its callbacks are the user's
  readonly CustomCallback: new (args: any, yieldEvery?: any) => object;
}

/** What is tracked. The names are Python's, in camelCase. */
export interface AutologOptions {
  /** Logs metrics at each epoch's end, the epoch being the step. @default {true, unless logEveryNSteps is given} */
  readonly logEveryEpoch?: boolean;
  /** Logs metrics after every so many batches instead; validation at each epoch's end. */
  readonly logEveryNSteps?: number;
  /** Logs the trained model, as `model`. @default {true} */
  readonly logModels?: boolean;
  /** Keeps with the model what it takes and gives: the types and shapes of its inputs and outputs. @default {true} */
  readonly logModelSignatures?: boolean;
  /** Keeps the first five rows of the training data with the model. @default {false} */
  readonly logInputExamples?: boolean;
  /** Registers each trained model as the next version of the registered model of this name. @default {none} */
  readonly registeredModelName?: string;
  /** Logs what the training and validation data are. @default {true} */
  readonly logDatasets?: boolean;
  /**
   * Draws training against validation, for the loss and each metric, as `plots/loss.png`, …, where there is more than
   * one epoch. Python does not.
   *
   * @default {true}
   */
  readonly logPlots?: boolean;
  /** Keeps checkpoints, as `mlflowCheckpoint` does. @default {true} */
  readonly checkpoint?: boolean;
  /** The metric that says which model is the best. @default {"val_loss"} */
  readonly checkpointMonitor?: string;
  /** Whether the least or the greatest value is the best. @default {"min"} */
  readonly checkpointMode?: "min" | "max";
  /** Keeps one checkpoint, of the best model; otherwise every one is kept. @default {true} */
  readonly checkpointSaveBestOnly?: boolean;
  /** Leaves the optimizer's state out of checkpoints. @default {false} */
  readonly checkpointSaveWeightsOnly?: boolean;
  /** Looks after each epoch, or after so many batches. @default {"epoch"} */
  readonly checkpointSaveFreq?: "epoch" | number;
  /** What a checkpoint becomes: see `mlflowCheckpoint`. @default {"artifact"} */
  readonly checkpointSaveAs?: "artifact" | "model";
  /** Tags of the runs that it starts. */
  readonly extraTags?: Readonly<Record<string, string>>;
  /** Switches it off: `fit` and `fitDataset` are again what they were. @default {false} */
  readonly disable?: boolean;
  /** Tracks only trainings outside of your own runs. @default {false} */
  readonly exclusive?: boolean;
  /** Says nothing of what could not be logged. @default {false} */
  readonly silent?: boolean;
}

type Method = "fit" | "fitDataset";

/** A method of tfjs that was replaced. */
interface Replaced {
  readonly original: PropertyDescriptor;
  readonly tracking: unknown;
}

/** What was done to the prototype of a class of models. */
interface Hook {
  /** How its trainings are tracked; undefined: they are not. */
  settings: AutologSettings | undefined;
  readonly replaced: Map<Method, Replaced>;
}

const hooks = new WeakMap<object, Hook>();

/**
 * Tracks every `fit` and `fitDataset` of models made with your tfjs from now on, as Python's `mlflow.keras.autolog` and
 * `mlflow.tensorflow.autolog` do: what the training was given, or takes where it was given nothing, and the optimizer's
 * settings as params; metrics of each epoch; `model_summary.txt`, curves, checkpoints; the data as inputs, the model as
 * output.
 *
 * A training goes to the active run, which is left open; where there is none, to a run of its own, which ends `FINISHED`,
 * or `FAILED` if the training throws.
 *
 * It never breaks or changes a training: losses are the same bit for bit, errors are tfjs's own, and what cannot be
 * logged is told once. Where no run can be started within 30 seconds, the training begins without one. A training with an `mlflowCallback` of yours gets its metrics from that alone, and goes to its
 * run; one with an `mlflowCheckpoint` its checkpoints.
 *
 * Called again, the new options hold; `{ disable: true }` switches it off.
 *
 * ```ts ignore
 * import * as tf from "@tensorflow/tfjs";
 * import * as mlflow from "@mlflow-deno/mlflow";
 *
 * mlflow.autolog(tf);
 * await model.fit(x, y, { epochs: 10, validationSplit: 0.2 });
 * ```
 *
 * @param tf your tfjs
 */
export function autolog(tf: AutologTensorFlow, options: AutologOptions = {}): void {
  const settings = options.disable ? undefined : settle(options);
  for (const { prototype } of [tf.LayersModel, tf.Sequential]) {
    const hook = hooks.get(prototype) ?? { settings, replaced: new Map() };
    hooks.set(prototype, hook);
    hook.settings = settings;
    for (const method of ["fit", "fitDataset"] as const) {
      if (settings === undefined) restore(prototype, method, hook);
      else replace(tf, prototype, method, hook);
    }
  }
}

/** Arguments of trainings that are tracked already: a sequential model hands them on to a model of layers inside it. */
const handedOn = new WeakSet<object>();

function replace(tf: AutologTensorFlow, prototype: object, method: Method, hook: Hook): void {
  // Where someone has put a method of their own over ours, ours is still called.
  if (hook.replaced.has(method)) return;
  const original = Object.getOwnPropertyDescriptor(prototype, method);
  if (original === undefined) return;
  const place = method === "fit" ? 2 : 1;
  const tracking = function (this: object, ...given: unknown[]): Promise<unknown> {
    const args = given[place] === undefined && method === "fit" ? {} : given[place];
    const train = (data: readonly unknown[], changed: object): Promise<unknown> => {
      handedOn.add(changed);
      return original.value.call(this, ...data, changed);
    };
    const { settings } = hook;
    // What tfjs will refuse is left to it.
    if (settings === undefined || typeof args !== "object" || args === null || handedOn.has(args)) {
      return original.value.apply(this, given);
    }
    return trackFit(tf, settings, { method, model: this, data: given.slice(0, place), args: { ...args }, train });
  };
  Object.defineProperty(prototype, method, { ...original, value: tracking });
  hook.replaced.set(method, { original, tracking });
}

function restore(prototype: object, method: Method, { replaced }: Hook): void {
  const was = replaced.get(method);
  if (was === undefined || Object.getOwnPropertyDescriptor(prototype, method)?.value !== was.tracking) return;
  Object.defineProperty(prototype, method, was.original);
  replaced.delete(method);
}
