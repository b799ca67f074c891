import { MlflowError } from "../errors.ts";
import { kerasName, snakeCase } from "./keras_name.ts";

/** An optimizer of tfjs, as far as it tells its settings. */
export interface OptimizerLike {
  /** Its settings. */
  getConfig(): object;
  /** The name of its class. */
  getClassName?(): string;
  /** Batches that it has been applied to. */
  readonly iterations?: number;
}

/** What `tf.callbacks.earlyStopping()` gives. */
export interface EarlyStoppingLike {
  readonly monitor: string;
  readonly minDelta: number;
  readonly patience: number;
  readonly baseline?: number;
  readonly model?: { readonly stopTraining?: boolean } | null;
  readonly stoppedEpoch?: number;
  /** Epochs since the last improvement. */
  readonly wait?: number;
}

type Values = Readonly<Record<string, unknown>>;

/** What `fit` takes an argument for that is left out. */
const FIT: Values = {
  batchSize: 32,
  epochs: 1,
  validationSplit: 0,
  shuffle: true,
  classWeight: undefined,
  sampleWeight: undefined,
  initialEpoch: 0,
  stepsPerEpoch: undefined,
  validationSteps: undefined,
};
/** The same of `fitDataset`; the size of a batch is the dataset's own. */
const FIT_DATASET: Values = {
  epochs: undefined,
  classWeight: undefined,
  initialEpoch: 0,
  batchesPerEpoch: undefined,
  validationBatches: undefined,
  validationBatchSize: undefined,
};
/** Arguments that Keras calls otherwise. */
const KERAS_ARGUMENTS: Readonly<Record<string, string>> = {
  batchesPerEpoch: "steps_per_epoch",
  validationBatches: "validation_steps",
};

/** The arguments of a training, given or not, by Keras's names; without its data, callbacks and verbosity. */
export function fitParams(method: "fit" | "fitDataset", args: Values): Record<string, unknown> {
  const params: Record<string, unknown> = {};
  for (const [key, missing] of Object.entries(method === "fit" ? FIT : FIT_DATASET)) {
    params[KERAS_ARGUMENTS[key] ?? snakeCase(key)] = shown(args[key] ?? missing);
  }
  return params;
}

/** A tensor is told by its shape, and the classes of a weight are numbers, as in Python. */
function shown(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(shown);
  const { shape, dtype } = value as { shape?: unknown; dtype?: unknown };
  if (Array.isArray(shape)) return `Tensor(shape=[${shape.join(", ")}], dtype=${dtype})`;
  return new Map(
    Object.entries(value).map(([key, one]) => [/^\d+$/.test(key) ? Number(key) : key, shown(one)] as const),
  );
}

/** The settings of an early stopping, by Keras's names. */
export function earlyStoppingParams(callback: EarlyStoppingLike): Record<string, unknown> {
  return {
    monitor: kerasName(callback.monitor),
    // tfjs turns the sign of what is to fall.
    min_delta: Math.abs(callback.minDelta),
    patience: callback.patience,
    baseline: callback.baseline,
    restore_best_weights: false,
  };
}

/** Whether it was this early stopping that ended the training. */
export function hasStopped({ model, wait = 0, patience }: EarlyStoppingLike): boolean {
  return model?.stopTraining === true && wait > 0 && wait >= patience;
}

/** Whether a callback is an early stopping. */
export function isEarlyStopping(callback: object): callback is EarlyStoppingLike {
  const { monitor, minDelta, patience } = callback as Partial<EarlyStoppingLike>;
  return typeof monitor === "string" && typeof minDelta === "number" && typeof patience === "number";
}

/** Names that Keras gives to optimizers, and to settings that it calls otherwise than tfjs. */
const OPTIMIZERS: Readonly<Record<string, string>> = { Momentum: "SGD", SGD: "SGD" };
const SETTINGS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  RMSProp: { decay: "rho" },
  Momentum: { useNesterov: "nesterov" },
};

/** The settings of an optimizer, by Keras's names behind `optimizer_`. */
export function optimizerParams(optimizer: OptimizerLike | undefined): Record<string, unknown> {
  if (optimizer === undefined) return {};
  const className = optimizer.getClassName?.() ?? (optimizer.constructor as { className?: string }).className ?? "";
  const config = Object.entries(optimizer.getConfig()).map(([key, value]) =>
    [`optimizer_${SETTINGS[className]?.[key] ?? snakeCase(key)}`, value] as const
  );
  const name = OPTIMIZERS[className] ?? className.toLowerCase();
  return { ...(name === "" ? {} : { optimizer_name: name }), ...Object.fromEntries(config) };
}

/**
 * Logs params of a training to a run that may hold those of another one: what it has with another value stays, and is
 * told, and the rest is logged.
 */
export async function logParamsBeside(
  run: { logParams(params: Values): Promise<void> },
  params: Values,
  report: (error: unknown) => void,
): Promise<void> {
  try {
    await run.logParams(params);
  } catch (error) {
    if (!(error instanceof MlflowError && error.message.includes("Changing param values is not allowed"))) throw error;
    const alone = Object.entries(params).map(([key, value]) => run.logParams({ [key]: value }));
    for (const logged of await Promise.allSettled(alone)) if (logged.status === "rejected") report(logged.reason);
  }
}
