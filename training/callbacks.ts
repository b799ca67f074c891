import type { TrainingCallback } from "../callback.ts";
import type { Run } from "../run.ts";

/** The part of the user's own tfjs that callbacks are made with. */
export interface CallbackMaker {
  /** Makes a callback of functions. */
  // deno-lint-ignore no-explicit-any -- what tfjs's own types say of both is the user's
  readonly CustomCallback: new (args: any, yieldEvery?: any) => object;
}

/** What a callback of ours does, and for which run; by its functions, since tfjs keeps nothing else of it. */
export interface CallbackRole {
  readonly role: "metrics" | "checkpoint";
  /** The run it was made for; any run that is active, if it was made for none. */
  readonly run: object | undefined;
}

const roles = new WeakMap<object, CallbackRole>();

/** What a callback is of ours, as it is or wrapped by `tf.CustomCallback`; undefined if it is none. */
export function roleOf(callback: object): CallbackRole | undefined {
  for (const value of Object.values(callback)) {
    const role = typeof value === "function" ? roles.get(value) : undefined;
    if (role !== undefined) return role;
  }
}

/** The callbacks of a training as a list, made of what it was given as tfjs makes it. */
export function standardCallbacks(tf: CallbackMaker, given: unknown, yieldEvery: unknown): object[] {
  const BaseCallback = Object.getPrototypeOf(tf.CustomCallback);
  const callbacks = given ?? {};
  if (callbacks instanceof BaseCallback) return [callbacks];
  if (Array.isArray(callbacks) && callbacks[0] instanceof BaseCallback) return [...callbacks];
  const configs = Array.isArray(callbacks) ? callbacks : [callbacks];
  return configs.map((config) => new tf.CustomCallback(config, yieldEvery));
}

/** Whether a run is one that this program can log everything to. */
export function isRun(run: object | undefined): run is Run {
  return run !== undefined && "logModel" in run && "logInputs" in run && "logBytes" in run;
}

/** What a callback of ours does. */
export interface CallbackHooks {
  setModel(model: object): void;
  onTrainBegin(): Promise<void>;
  onEpochBegin?(epoch: number): Promise<void>;
  onEpochEnd(epoch: number, logs?: Readonly<Record<string, number>>): Promise<void>;
  onBatchBegin(): Promise<void>;
  onBatchEnd?(batch: number, logs?: Readonly<Record<string, number>>): Promise<void>;
  onTrainEnd(): Promise<void>;
}

/** A callback that tfjs takes alone, wrapped, and in a list behind one of its own. */
export function trainingCallback(hooks: CallbackHooks, role: CallbackRole): TrainingCallback {
  const callback = {
    validationData: null,
    params: {},
    setParams: (params: object) => {
      callback.params = params;
      // tfjs calls it here without asking whether it is there. A wrapped one without it does not make tfjs wait.
      callback.onBatchEnd ??= () => Promise.resolve();
    },
    onEpochBegin: () => Promise.resolve(),
    ...hooks,
  };
  for (const value of Object.values(callback)) if (typeof value === "function") roles.set(value, role);
  return callback as TrainingCallback;
}
