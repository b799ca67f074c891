/**
 * {@linkcode mlflowCallback}: logs a tfjs training, epoch by epoch.
 *
 * @module
 */
import { activeRun, startRun } from "./fluent.ts";
import { kerasName } from "./training/keras_name.ts";
import { trainingCallback } from "./training/callbacks.ts";
import { numbers } from "./training/logs.ts";
import { logParamsBeside, type OptimizerLike, optimizerParams } from "./training/params.ts";
import { warnOnce } from "./training/warn.ts";

/** The part of a run that a training is logged by. */
export interface TrackedRun {
  /** Logs the values of several metrics at one step. */
  logMetrics(
    metrics: Readonly<Record<string, number>>,
    options?: { readonly step?: number; readonly modelId?: string },
  ): Promise<void>;
  /** Logs several params. */
  logParams(params: Readonly<Record<string, unknown>>): Promise<void>;
  /** Writes text to a file among the run's artifacts. */
  logText(text: string, artifactFile: string): Promise<void>;
  /** Waits until everything logged so far has been written or has failed. */
  flush(): Promise<void>;
}

export type { OptimizerLike } from "./training/params.ts";

/** What tfjs hands to a callback: loss and metrics by name; in batches also `batch` and `size`. */
export type Logs = Readonly<Record<string, number>>;

/** The part of a `tf.LayersModel` that is logged when its training begins. */
export interface TrainedModel {
  /** The optimizer that the model was compiled with. */
  readonly optimizer?: OptimizerLike;
  /** Prints the model's layers, line by line. */
  summary(
    lineLength?: number,
    positions?: number[],
    // deno-lint-ignore no-explicit-any -- as tfjs has it
    printFn?: (message?: any, ...optionalParams: any[]) => void,
  ): void;
}

/** How a training is logged. */
export interface MlflowCallbackOptions {
  /** The run to log to. @default {the active run when the training begins; a new one if there is none} */
  readonly run?: TrackedRun;
  /** The model in training: its optimizer's settings and its summary are logged too. tfjs does not tell it itself. */
  readonly model?: TrainedModel;
  /**
   * Chooses what is logged at an epoch's end: it gets the epoch, counted from 0, and the values by the names they are
   * logged by, and returns those to log, with values of its own: `(epoch, logs) => ({ ...logs, f1: … })`.
   */
  readonly metrics?: (epoch: number, logs: Logs) => Logs | Promise<Logs>;
  /** Logs at each epoch's end, the epoch being the step. @default {true, unless logEveryNSteps is given} */
  readonly logEveryEpoch?: boolean;
  /** Logs after every so many batches instead, the number of batches being the step; validation at each epoch's end. */
  readonly logEveryNSteps?: number;
  /** The id of a logged model that the metrics also describe. */
  readonly modelId?: string;
  /** Is put before each metric's name. @default {""} */
  readonly prefix?: string;
  /** Whose names metrics get: Keras says `accuracy` where tfjs says `acc`. @default {"keras"} */
  readonly metricNames?: "keras" | "tfjs";
  /**
   * What happens when something cannot be logged. `"warn"` says so once and lets the training go on; `"throw"` stops
   * it; a function gets each error. @default {"warn"}
   */
  readonly onError?: "warn" | "throw" | ((error: unknown) => void);
}

/**
 * A callback as tfjs takes it: alone in `callbacks`, behind callbacks of tfjs's own in a list, or wrapped as
 * `new tf.CustomCallback(…)`.
 */
export interface TrainingCallback {
  /** As tfjs's callbacks have it; never set. */
  // deno-lint-ignore no-explicit-any -- tfjs's own types of it are the user's
  validationData: any;
  /** What tfjs says of the training. */
  // deno-lint-ignore no-explicit-any -- tfjs's own types of it are the user's
  params: any;
  /** Takes what tfjs says of the training. tfjs calls it where the callback is in a list and not wrapped. */
  setParams(params: object): void;
  /** Takes the model in training, where none was given. tfjs calls it as `setParams`. */
  setModel(model: object): void;
  /** Logs the optimizer and the model's summary. */
  onTrainBegin(logs?: Logs): Promise<void>;
  /** Does what is to be done before an epoch. */
  onEpochBegin(epoch: number, logs?: Logs): Promise<void>;
  /** Logs the epoch's values; the epoch counts from 0. */
  onEpochEnd(epoch: number, logs?: Logs): Promise<void>;
  /** Now and then lets the program see what has happened meanwhile, Ctrl-C among it. */
  onBatchBegin(batch: number, logs?: Logs): Promise<void>;
  /**
   * Logs a batch's values, with `logEveryNSteps`. It makes tfjs wait for each batch, so without that it is there only
   * where tfjs cannot do without: in a list and not wrapped.
   */
  onBatchEnd(batch: number, logs?: Logs): Promise<void>;
  /** Waits until all is written. */
  onTrainEnd(logs?: Logs): Promise<void>;
}

/**
 * How long a training goes on at most before it waits for a timer, in milliseconds. What tfjs itself waits for between
 * batches never lets Deno rest, and Deno looks for signals only when it rests: Ctrl-C would take many seconds.
 */
const BREATH = 100;

/**
 * Logs a training to a run: the dict of metrics at each epoch's end, from step 0, and with `model` also the optimizer's
 * settings (`optimizer_name`, `optimizer_learning_rate`, …) and `model_summary.txt`, as Python's
 * `mlflow.keras.MlflowCallback` does.
 *
 * It never breaks or slows a training: values are handed over and the training goes on; what cannot be logged is told
 * once.
 *
 * ```ts ignore
 * await model.fitDataset(train, { epochs: 10, validationData, callbacks: mlflowCallback({ run, model }) });
 * await model.fit(x, y, { callbacks: [tf.callbacks.earlyStopping(), mlflowCallback({ run })] });
 * await model.fit(x, y, { callbacks: [new tf.CustomCallback(mlflowCallback({ run })), tf.callbacks.earlyStopping()] });
 * ```
 */
export function mlflowCallback(options: MlflowCallbackOptions = {}): TrainingCallback {
  const { metrics, logEveryNSteps, prefix = "", metricNames = "keras", onError = "warn", modelId } = options;
  const logEveryEpoch = options.logEveryEpoch ?? logEveryNSteps === undefined;
  if (logEveryEpoch === (logEveryNSteps !== undefined)) {
    throw new TypeError("Exactly one of logEveryEpoch and logEveryNSteps is wanted");
  }
  if (logEveryNSteps !== undefined && !(Number.isInteger(logEveryNSteps) && logEveryNSteps >= 1)) {
    throw new RangeError(`logEveryNSteps must be a whole number of at least 1: received ${logEveryNSteps}`);
  }
  let { model, run: target } = options;
  let steps = 0;
  let breathed = performance.now();
  const report = reporter(onError);

  const named = async (logs: Logs | undefined): Promise<Record<string, number>> =>
    Object.fromEntries(
      Object.entries(await numbers(logs))
        .filter(([name]) => name !== "batch" && name !== "size")
        .map(([name, value]) => [metricNames === "keras" ? kerasName(name) : name, value]),
    );
  const log = (run: TrackedRun, values: Logs, step: number): Promise<void> => {
    const prefixed = Object.fromEntries(Object.entries(values).map(([name, value]) => [prefix + name, value]));
    return run.logMetrics(prefixed, { step, ...(modelId === undefined ? {} : { modelId }) });
  };
  /** Hands work over without waiting for it, unless an error is to stop the training. */
  const handOver = async (work: (run: TrackedRun) => Promise<void>): Promise<void> => {
    try {
      target ??= activeRun() ?? await startRun();
      const done = work(target);
      if (onError === "throw") await done;
      else done.catch(report);
    } catch (error) {
      report(error);
    }
  };

  return trainingCallback({
    setModel: (given) => {
      model ??= given as TrainedModel;
    },
    onTrainBegin: () =>
      handOver(async (run) => {
        const trained = model;
        steps = trained?.optimizer?.iterations ?? 0;
        if (trained === undefined) return;
        // Both are begun before either is waited for, so that a failure of one does not take the other along.
        await Promise.all([
          logParamsBeside(run, optimizerParams(trained.optimizer), report),
          run.logText(summaryOf(trained), "model_summary.txt"),
        ]);
      }),
    onEpochEnd: async (epoch, logs) => {
      const values = await named(logs);
      if (!logEveryEpoch) {
        const validation = Object.entries(values).filter(([name]) => name.startsWith("val_"));
        if (validation.length > 0) await handOver((run) => log(run, Object.fromEntries(validation), steps));
        return;
      }
      try {
        const chosen = metrics === undefined ? values : await metrics(epoch, values);
        await handOver((run) => log(run, chosen, epoch));
      } catch (error) {
        report(error);
      }
    },
    onBatchBegin: async () => {
      if (performance.now() - breathed < BREATH) return;
      await new Promise((resolve) => setTimeout(resolve, 0));
      breathed = performance.now();
    },
    ...(logEveryNSteps === undefined ? {} : {
      onBatchEnd: async (_batch, logs) => {
        steps++;
        if (steps % logEveryNSteps !== 0) return;
        const values = await named(logs);
        await handOver((run) => log(run, values, steps));
      },
    }),
    onTrainEnd: async () => {
      await target?.flush();
    },
  }, { role: "metrics", run: options.run });
}

function reporter(onError: NonNullable<MlflowCallbackOptions["onError"]>): (error: unknown) => void {
  if (typeof onError === "function") return onError;
  if (onError === "warn") return warnOnce();
  return (error) => {
    throw error;
  };
}

function summaryOf(model: TrainedModel): string {
  const lines: string[] = [];
  model.summary(undefined, undefined, (line) => lines.push(String(line ?? "")));
  return lines.join("\n") + "\n";
}
