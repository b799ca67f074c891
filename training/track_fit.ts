import { mlflowCallback, type TrainedModel } from "../callback.ts";
import { type CheckpointedModel, mlflowCheckpoint } from "../checkpoint.ts";
import type { Dataset, TensorLike } from "../entities.ts";
import { activeRun, withRun } from "../fluent.ts";
import { kerasName } from "./keras_name.ts";
import type { TfjsModelLike } from "../model/tfjs_model.ts";
import { trainingCurves } from "../plots.ts";
import type { Run } from "../run.ts";
import { type Batches, isBatches, watched } from "./batches.ts";
import { type CallbackMaker, isRun, roleOf, standardCallbacks } from "./callbacks.ts";
import { earlyStoppingParams, fitParams, hasStopped, isEarlyStopping, logParamsBeside } from "./params.ts";
import { describeBatches, describeTensors, firstRows, namedTensors, rowsOf, type Tensors } from "./data.ts";
import type { AutologSettings } from "./settings.ts";
import { warnOnce } from "./warn.ts";

/** A call of `fit` or `fitDataset`. */
export interface Fit {
  readonly method: "fit" | "fitDataset";
  readonly model: object;
  /** The arguments before the options: inputs and targets, or a dataset. */
  readonly data: readonly unknown[];
  readonly args: Readonly<Record<string, unknown>>;
  /** Calls tfjs's own method. */
  readonly train: (data: readonly unknown[], args: object) => Promise<unknown>;
}

/** What a training of tfjs gives back. */
interface FitHistory {
  readonly epoch: readonly number[];
  readonly history: Readonly<Record<string, readonly (number | object)[]>>;
}

/** What data is used for, in the words of Python's autolog. */
type Context = "train" | "eval";

/** Rows of an input example, as many as in Python. */
const EXAMPLE_ROWS = 5;

type FittedModel = TrainedModel & CheckpointedModel & TfjsModelLike;

/** Lets tfjs train, and tracks it. What it gives or throws is what tfjs gives or throws. */
export async function trackFit(tf: CallbackMaker, settings: AutologSettings, fit: Fit): Promise<unknown> {
  const untracked = () => fit.train(fit.data, { ...fit.args });
  let callbacks: object[];
  try {
    callbacks = standardCallbacks(tf, fit.args.callbacks, fit.args.yieldEvery);
  } catch {
    // tfjs says itself what is wrong with them.
    return await untracked();
  }
  const theirs = callbacks.map(roleOf).find((role) => role?.role === "metrics")?.run;
  // A run that takes no more than metrics gets them already.
  if (theirs !== undefined && !isRun(theirs)) return await untracked();
  const active = theirs ?? activeRun();
  if (active !== undefined && settings.exclusive) return await untracked();

  const report = settings.silent ? () => {} : warnOnce();
  const training: { outcome?: { readonly history: unknown } | { readonly error: unknown } } = {};
  const work = async (run: Run): Promise<void> => {
    const tracked = new TrackedFit(tf, settings, fit, callbacks, run, report);
    const { data, args } = tracked.begin();
    try {
      training.outcome = { history: await fit.train(data, args) };
    } catch (error) {
      training.outcome = { error };
      await tracked.settle();
      throw error;
    }
    await tracked.finish(training.outcome.history as FitHistory);
  };
  try {
    if (active !== undefined) await work(active);
    else await inOwnRun(settings, work);
  } catch (error) {
    if (training.outcome === undefined || "history" in training.outcome) report(error);
  }
  const { outcome } = training;
  if (outcome === undefined) return await untracked();
  if ("error" in outcome) throw outcome.error;
  return outcome.history;
}

/** Does work in a run of its own; not at all where no run is to be had in time, which is told by an error. */
async function inOwnRun({ extraTags, patience }: AutologSettings, work: (run: Run) => Promise<void>): Promise<void> {
  const late = Promise.withResolvers<never>();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    late.reject(new Error(`no run could be started within ${patience / 1000} seconds`));
  }, patience);
  const done = withRun({ tags: { "mlflow.autologging": "tensorflowjs", ...extraTags } }, async (run) => {
    clearTimeout(timer);
    if (isLate) throw new Error("the training has gone on without this run");
    await work(run);
  });
  try {
    await Promise.race([done, late.promise]);
  } finally {
    clearTimeout(timer);
    // What becomes of a run that comes too late concerns nobody.
    done.catch(() => {});
  }
}

/** One training, and the run that it is logged to. */
class TrackedFit {
  readonly #tf: CallbackMaker;
  readonly #settings: AutologSettings;
  readonly #fit: Fit;
  readonly #callbacks: readonly object[];
  readonly #run: Run;
  readonly #report: (error: unknown) => void;
  readonly #model: FittedModel;
  /** What was handed over and may not be written yet. */
  readonly #pending: Promise<unknown>[] = [];
  #inputs: Promise<unknown> = Promise.resolve();
  #example: TensorLike | Readonly<Record<string, TensorLike>> | undefined;
  #checkpoint: ReturnType<typeof mlflowCheckpoint> | undefined;

  constructor(
    tf: CallbackMaker,
    settings: AutologSettings,
    fit: Fit,
    callbacks: readonly object[],
    run: Run,
    report: (error: unknown) => void,
  ) {
    this.#tf = tf;
    this.#settings = settings;
    this.#fit = fit;
    this.#callbacks = callbacks;
    this.#run = run;
    this.#report = report;
    this.#model = fit.model as FittedModel;
  }

  /** Logs what is known before the training, and gives what tfjs is to be called with. */
  begin(): { readonly data: readonly unknown[]; readonly args: object } {
    const { method, data, args } = this.#fit;
    const earlyStopping = this.#callbacks.find(isEarlyStopping);
    this.#logParams({
      ...fitParams(method, args),
      ...(earlyStopping === undefined ? {} : earlyStoppingParams(earlyStopping)),
    });
    const { validationData } = args;
    return {
      data: isBatches(data[0]) ? [this.#watch(data[0], "train")] : this.#describe(data, "train"),
      args: {
        ...args,
        ...(isBatches(validationData) ? { validationData: this.#watch(validationData, "eval") } : {}),
        ...(Array.isArray(validationData) ? { validationData: this.#describe(validationData, "eval") } : {}),
        callbacks: this.#allCallbacks(),
      },
    };
  }

  /** Waits until all that was handed over is written. */
  async settle(): Promise<void> {
    await this.#checkpoint?.onTrainEnd();
    await Promise.all(this.#pending);
  }

  /** Logs what the training has come to. */
  async finish({ epoch, history }: FitHistory): Promise<void> {
    const stopped = this.#callbacks.find(isEarlyStopping);
    if (stopped !== undefined && hasStopped(stopped)) {
      this.#handOver(() => this.#run.logMetrics({ stopped_epoch: stopped.stoppedEpoch ?? 0 }));
    }
    if (this.#settings.logPlots && epoch.length > 1) {
      const named = Object.fromEntries(Object.entries(history).map(([name, values]) => [kerasName(name), values]));
      for (const metric of Object.keys(named).filter((name) => !name.startsWith("val_"))) {
        this.#handOver(async () => {
          const curves = await trainingCurves({ epoch, history: named }, metric);
          await this.#run.logFigure(curves, `plots/${metric}.png`);
        });
      }
    }
    await this.settle();
    const { logModels, logModelSignatures, registeredModelName } = this.#settings;
    if (!logModels) return;
    // After its metrics, the last of which are the model's too.
    await this.#handOver(() =>
      this.#run.logModel(this.#model, {
        ...(logModelSignatures ? {} : { signature: null }),
        inputExample: this.#example,
        registeredModelName,
      })
    );
  }

  /** The user's callbacks and ours behind them; what the user has put there of ours does not come twice. */
  #allCallbacks(): object[] {
    const { logEveryNSteps, checkpoint, monitorWanted } = this.#settings;
    const roles = this.#callbacks.map((callback) => roleOf(callback)?.role);
    const to = { run: this.#run, model: this.#model, onError: this.#report };
    const ours: object[] = [];
    if (!roles.includes("metrics")) ours.push(mlflowCallback({ ...to, logEveryNSteps }));
    // Without validation there is no val_loss to go by, and nobody has asked for it.
    const canChoose = monitorWanted || this.#validates() || checkpoint?.saveBestOnly === false;
    if (checkpoint !== undefined && canChoose && !roles.includes("checkpoint")) {
      this.#checkpoint = mlflowCheckpoint({ ...checkpoint, ...to });
      ours.push(this.#checkpoint);
    }
    return [...this.#callbacks, ...ours.map((callback) => new this.#tf.CustomCallback(callback, "never"))];
  }

  #validates(): boolean {
    const { validationData, validationSplit } = this.#fit.args;
    return (validationData !== undefined && validationData !== null) || Number(validationSplit ?? 0) > 0;
  }

  /** Logs what inputs and targets are, and gives them back. */
  #describe(data: readonly unknown[], context: Context): readonly unknown[] {
    const features = namedTensors(data[0], this.#model.inputNames);
    const targets = namedTensors(data[1], this.#model.outputNames);
    if (features === undefined) return data;
    if (context === "train") this.#takeExample(features);
    if (this.#settings.logDatasets) this.#logInput(() => describeTensors(features, targets), context);
    return data;
  }

  #takeExample(features: Tensors): void {
    if (this.#settings.logModels && this.#settings.logInputExamples) this.#example = firstRows(features, EXAMPLE_ROWS);
  }

  /** A dataset that tells what is in it by its first batch. */
  #watch(batches: Batches, context: Context): Batches {
    if (!this.#settings.logDatasets && context === "eval") return batches;
    return watched(batches, (batch) => {
      const { xs, ys } = batch as { xs?: unknown; ys?: unknown };
      const features = namedTensors(xs, this.#model.inputNames);
      const targets = namedTensors(ys, this.#model.outputNames);
      if (features === undefined) return;
      if (context === "train") {
        this.#takeExample(features);
        this.#logParams({ batch_size: rowsOf(features) });
      }
      if (this.#settings.logDatasets) this.#logInput(() => describeBatches(batches.size, features, targets), context);
    });
  }

  #logInput(describe: () => Promise<Dataset>, context: Context): void {
    // What it is made of is taken now: the training may dispose of it.
    const described = describe();
    const before = this.#inputs;
    this.#inputs = this.#handOver(async () => {
      const dataset = await described;
      // Of two uses of the same data MLflow keeps the first.
      await before;
      await this.#run.logInput(dataset, { context });
    });
  }

  #logParams(params: Readonly<Record<string, unknown>>): void {
    this.#handOver(() => logParamsBeside(this.#run, params, this.#report));
  }

  /** Begins work without waiting for it; should it fail, that is told. */
  #handOver(work: () => Promise<unknown>): Promise<unknown> {
    const done = (async () => await work())().catch(this.#report);
    this.#pending.push(done);
    return done;
  }
}
