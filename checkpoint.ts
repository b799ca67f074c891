/**
 * Checkpoints of a training: {@linkcode mlflowCheckpoint} keeps the model as it gets better, or every so often, and
 * {@linkcode loadCheckpoint} brings one back to go on with.
 *
 * @module
 */
import type { TrainingCallback } from "./callback.ts";
import { MlflowClient } from "./client.ts";
import { doing, MlflowError } from "./errors.ts";
import { activeRun, startRun } from "./fluent.ts";
import { kerasName } from "./training/keras_name.ts";
import { takeArtifacts, takeTrainingArtifacts } from "./model/artifacts.ts";
import { contentOf } from "./model/pieces.ts";
import { type ModelFile, readTfjsFiles, tfjsFiles } from "./model/tfjs_files.ts";
import type { ModelArtifactsLike } from "./model/tfjs_model.ts";
import type { ModelLoader } from "./models.ts";
import { trainingCallback } from "./training/callbacks.ts";
import { numbers } from "./training/logs.ts";
import type { OptimizerLike } from "./training/params.ts";
import { warnOnce } from "./training/warn.ts";

/** The part of a run that checkpoints are written to. */
export interface CheckpointedRun {
  /** Writes bytes or a stream to a file among the run's artifacts. */
  logBytes(content: Uint8Array | ReadableStream<Uint8Array>, artifactFile: string): Promise<void>;
  /** Writes a value to a JSON file among the run's artifacts. */
  logDict(dictionary: unknown, artifactFile: string): Promise<void>;
  /** Sets a tag. */
  setTag(key: string, value: unknown): Promise<void>;
  /** Logs a model; wanted where checkpoints are to be models. */
  // deno-lint-ignore no-explicit-any -- what a run takes of a model is the run's
  logModel?(model: any, options: { name: string; step: number; pythonCopy: boolean }): Promise<unknown>;
}

/** The part of a `tf.LayersModel` that a checkpoint is made of. */
export interface CheckpointedModel {
  /** The optimizer that the model was compiled with. */
  readonly optimizer?: OptimizerLike;
  /** Hands its artifacts to the `save` of a handler. */
  // deno-lint-ignore no-explicit-any -- tfjs's own types of the handler are the user's
  save(handler: any, config?: any): Promise<unknown>;
}

/** When a checkpoint is made, and of what. */
export interface MlflowCheckpointOptions {
  /** The model in training. @default {the one that tfjs names, where it calls the callback in a list, not wrapped} */
  readonly model?: CheckpointedModel;
  /** The run to write to. @default {the active run when the training begins; a new one if there is none} */
  readonly run?: CheckpointedRun;
  /** The metric that says which model is the best, by Keras's name or tfjs's. @default {"val_loss"} */
  readonly monitor?: string;
  /** Whether the least or the greatest value is the best. @default {"min"} */
  readonly mode?: "min" | "max";
  /** Keeps one checkpoint, of the best model; otherwise every one is kept. @default {true} */
  readonly saveBestOnly?: boolean;
  /** Leaves out what the optimizer has come to know. @default {false} */
  readonly saveWeightsOnly?: boolean;
  /** Looks after each epoch, or after so many batches. @default {"epoch"} */
  readonly saveFreq?: "epoch" | number;
  /**
   * What a checkpoint becomes. As a `"model"` of its own, `checkpoint-<step>`, it stands in MLflow's UI among the run's
   * models with its step, the epoch or the number of batches, and the metrics of that step; nothing is replaced, and
   * `loadModel` brings it back.
   *
   * @default {"artifact"}
   */
  readonly saveAs?: "artifact" | "model";
  /**
   * Whether a copy for Python is kept beside, which `mlflow.tensorflow.load_checkpoint` opens. Where Keras has no like of
   * the model it is left out, which is told once.
   *
   * @default {true}
   */
  readonly pythonCopy?: boolean;
  /** What happens when a checkpoint cannot be written: it is told once, or a function gets each error. @default {"warn"} */
  readonly onError?: "warn" | ((error: unknown) => void);
}

const FOLDER = "checkpoints";
const LATEST_TAG = "mlflow.latest_checkpoint_artifact";
/** The ending of a folder with a model as tfjs keeps it. */
const TFJS = ".tfjs";

/** A checkpoint on its way to the run. */
interface Checkpoint {
  /** The model, which meanwhile is trained on. */
  readonly model: CheckpointedModel;
  /** What it was. */
  readonly artifacts: ModelArtifactsLike;
  /** The same for Keras. */
  readonly copy: ModelFile | undefined;
  readonly epoch: number;
  readonly globalStep: number;
  readonly metrics: Readonly<Record<string, number>>;
}

/**
 * Keeps checkpoints of a model in training among the run's artifacts, named as Python's
 * `mlflow.tensorflow.MlflowModelCheckpointCallback` names them: `checkpoints/latest_checkpoint…` of the best model, or
 * `checkpoints/epoch_N/` and `checkpoints/global_step_N/`. Beside each is a JSON file of its metrics, epoch and step, and
 * the run's tag `mlflow.latest_checkpoint_artifact` names the latest. A model is kept as tfjs keeps it, in a folder
 * `….tfjs`, with the state of its optimizer, and as a file of Keras.
 *
 * The training waits while the model is copied, and not while it is written. A checkpoint that cannot be written is told
 * once, and the training goes on.
 *
 * ```ts ignore
 * await model.fit(x, y, { epochs: 50, validationData, callbacks: mlflowCheckpoint({ run, model }) });
 * const { model: best, epoch } = await loadCheckpoint(tf, { runId: run.runId });
 * await best.fit(x, y, { epochs: 80, initialEpoch: epoch + 1 });
 * ```
 */
export function mlflowCheckpoint(options: MlflowCheckpointOptions = {}): TrainingCallback {
  const { monitor = "val_loss", mode = "min", saveBestOnly = true, saveWeightsOnly = false, saveFreq = "epoch" } =
    options;
  const { saveAs = "artifact", pythonCopy = true, onError = "warn" } = options;
  if (mode !== "min" && mode !== "max") throw new TypeError(`mode must be "min" or "max": received "${mode}"`);
  if (saveFreq !== "epoch" && !(Number.isInteger(saveFreq) && saveFreq >= 1)) {
    throw new RangeError(`saveFreq must be "epoch" or a whole number of at least 1: received ${saveFreq}`);
  }
  const report = onError === "warn" ? warnOnce() : onError;
  let { model, run } = options;
  let best: number | undefined;
  let epochNow = 0;
  let batches = 0;
  let savedAt = 0;
  /** The checkpoint that is being written, and the one that is to follow it. */
  let writing: Promise<void> | undefined;
  let next: Checkpoint | undefined;

  const isBest = (metrics: Readonly<Record<string, number>>): boolean => {
    const value = metrics[kerasName(monitor)];
    if (value === undefined) {
      const found = Object.keys(metrics).join(", ") || "none";
      report(new Error(`Cannot keep the best checkpoint: no metric is called "${monitor}", found ${found}`));
      return false;
    }
    // NaN is better than nothing, and nothing more.
    if (best !== undefined && !Number.isNaN(best) && !(mode === "min" ? value < best : value > best)) return false;
    if (best !== undefined && Number.isNaN(value)) return false;
    best = value;
    return true;
  };
  const write = async (checkpoint: Checkpoint): Promise<void> => {
    run ??= activeRun() ?? await startRun();
    if (saveAs === "model") return await logCheckpoint(run, checkpoint, { saveFreq, pythonCopy });
    await writeCheckpoint(run, checkpoint, { saveBestOnly, saveWeightsOnly, saveFreq });
  };
  const start = (checkpoint: Checkpoint): void => {
    writing = write(checkpoint).catch(report).finally(() => {
      writing = undefined;
      const waiting = next;
      next = undefined;
      if (waiting !== undefined) start(waiting);
    });
  };
  const written = async (): Promise<void> => {
    while (writing !== undefined) await writing;
  };
  const check = async (epoch: number, logs: Readonly<Record<string, unknown>> | undefined): Promise<void> => {
    try {
      const metrics = Object.fromEntries(
        Object.entries(await numbers(logs))
          .filter(([name]) => name !== "batch" && name !== "size")
          .map(([name, value]) => [kerasName(name), value]),
      );
      if (saveBestOnly && !isBest(metrics)) return;
      if (model === undefined) throw new Error("Cannot keep a checkpoint: no model is given");
      const artifacts = await modelNow(model, saveWeightsOnly, report);
      const copy = pythonCopy && saveAs === "artifact"
        ? await copyFor(model, artifacts, saveWeightsOnly, report)
        : undefined;
      const checkpoint = { model, artifacts, copy, epoch, globalStep: model.optimizer?.iterations ?? batches, metrics };
      // Where one is kept, a later one takes the place of one that still waits; where all are, none may be lost, and
      // not too many held.
      if (!saveBestOnly || saveAs === "model") await written();
      if (writing === undefined) start(checkpoint);
      else next = checkpoint;
    } catch (error) {
      report(error);
    }
  };

  return trainingCallback({
    setModel: (given) => {
      model ??= given as CheckpointedModel;
    },
    onTrainBegin: async () => {
      batches = savedAt = model?.optimizer?.iterations ?? 0;
    },
    onEpochBegin: async (epoch) => {
      epochNow = epoch;
    },
    onEpochEnd: async (epoch, logs) => {
      if (saveFreq === "epoch") await check(epoch, logs);
    },
    onBatchBegin: async () => {
      batches++;
    },
    ...(saveFreq === "epoch" ? {} : {
      onBatchEnd: async (_batch, logs) => {
        if (batches - savedAt < saveFreq) return;
        savedAt = batches;
        await check(epochNow, logs);
      },
    }),
    onTrainEnd: written,
  }, { role: "checkpoint", run: options.run });
}

/** What the model is now; without the optimizer's state where tfjs cannot tell it. */
async function modelNow(
  model: CheckpointedModel,
  saveWeightsOnly: boolean,
  report: (error: unknown) => void,
): Promise<ModelArtifactsLike> {
  if (!saveWeightsOnly) {
    try {
      return await takeTrainingArtifacts(model);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      report(new Error(`The optimizer's state is left out of the checkpoints: ${reason}`, { cause: error }));
    }
  }
  return await takeArtifacts(model);
}

/** The model as a file for Keras. */
async function copyFor(
  model: CheckpointedModel,
  artifacts: ModelArtifactsLike,
  weightsOnly: boolean,
  report: (error: unknown) => void,
): Promise<ModelFile | undefined> {
  const { kerasCopy } = await import("./model/python_copy.ts");
  const copy = kerasCopy(model, artifacts, { weightsOnly });
  if (typeof copy === "object") return copy;
  report(new Error(`The checkpoints are kept without copies for Python: ${copy}`));
}

/** The path of a checkpoint without its endings: `checkpoints/latest_checkpoint`, `checkpoints/epoch_3/checkpoint`, … */
function stemOf(
  { epoch, globalStep }: { readonly epoch: number; readonly globalStep: number },
  { saveBestOnly, saveFreq }: { readonly saveBestOnly: boolean; readonly saveFreq: "epoch" | number },
): string {
  if (saveBestOnly) return `${FOLDER}/latest_checkpoint`;
  return `${FOLDER}/${saveFreq === "epoch" ? `epoch_${epoch}` : `global_step_${globalStep}`}/checkpoint`;
}

async function writeCheckpoint(
  run: CheckpointedRun,
  { artifacts, copy, epoch, globalStep, metrics }: Checkpoint,
  options: { readonly saveBestOnly: boolean; readonly saveWeightsOnly: boolean; readonly saveFreq: "epoch" | number },
): Promise<void> {
  const stem = stemOf({ epoch, globalStep }, options);
  const folder = `${stem}${options.saveWeightsOnly ? ".weights" : ""}${TFJS}`;
  // A checkpoint takes the place of an earlier one file by file: one that was cut off must not be loaded as one of both.
  const { checksum } = await import("./model/checksum.ts");
  for (const { path, pieces } of tfjsFiles(artifacts, checksum)) {
    await run.logBytes(contentOf(pieces), `${folder}/${path}`);
  }
  if (copy !== undefined) await run.logBytes(contentOf(copy.pieces), `${stem}${copy.path}`);
  await run.logDict({ ...metrics, epoch, global_step: globalStep }, `${stem}_metrics.json`);
  // The tag comes last: what it names is there. Python opens what it names.
  await run.setTag(LATEST_TAG, copy === undefined ? folder : `${stem}${copy.path}`);
}

/** Logs a checkpoint as a model of its own. */
async function logCheckpoint(
  run: CheckpointedRun,
  { model, artifacts, epoch, globalStep }: Checkpoint,
  options: { readonly saveFreq: "epoch" | number; readonly pythonCopy: boolean },
): Promise<void> {
  if (run.logModel === undefined) throw new Error("Cannot keep a checkpoint: the run takes no models");
  const step = options.saveFreq === "epoch" ? epoch : globalStep;
  // All of the model but its values, which are those of then.
  const then = Object.create(model, {
    save: {
      value: (handler: { save(given: ModelArtifactsLike): unknown }) => Promise.resolve(handler.save(artifacts)),
    },
  });
  await run.logModel(then, { name: `checkpoint-${step}`, step, pythonCopy: options.pythonCopy });
}

/** Which checkpoint is loaded. */
export interface LoadCheckpointOptions {
  /** The run that has it. @default {the active run} */
  readonly runId?: string;
  /** The epoch after which it was made, where every epoch was kept. @default {the latest checkpoint} */
  readonly epoch?: number;
  /** The number of batches after which it was made, where `saveFreq` was a number. @default {the latest checkpoint} */
  readonly globalStep?: number;
}

/** A checkpoint that was loaded. */
export interface LoadedCheckpoint<M> {
  /** The model, compiled as it was, with its optimizer's state, unless only weights were saved. */
  readonly model: M;
  /** The epoch after which it was made, counted from 0: training goes on with `initialEpoch: epoch + 1`. */
  readonly epoch: number;
  /** Batches that the model had been trained on. */
  readonly globalStep: number;
  /** The metrics at that time. */
  readonly metrics: Readonly<Record<string, number>>;
}

/**
 * Loads a checkpoint that `mlflowCheckpoint`, or `autolog`, has made, to go on training with or to predict.
 *
 * Without a checkpoint in the run it is `RESOURCE_DOES_NOT_EXIST`.
 *
 * @param tf your tfjs
 */
export async function loadCheckpoint<TF extends ModelLoader>(
  tf: TF,
  options: LoadCheckpointOptions = {},
): Promise<LoadedCheckpoint<Awaited<ReturnType<TF["loadLayersModel"]>>>> {
  const { epoch, globalStep } = options;
  return await doing("Cannot load a checkpoint", async () => {
    if (epoch !== undefined && globalStep !== undefined) {
      throw new MlflowError("INVALID_PARAMETER_VALUE", "only one of epoch and globalStep can be given");
    }
    const active = activeRun();
    const runId = options.runId ?? active?.runId;
    if (runId === undefined) {
      throw new MlflowError("INVALID_PARAMETER_VALUE", "no run is active, and no runId is given");
    }
    await active?.flush();
    const client = new MlflowClient();
    const latest = (await client.getRun(runId)).data.tags[LATEST_TAG];
    if (latest === undefined) {
      throw new MlflowError("RESOURCE_DOES_NOT_EXIST", `run "${runId}" has no checkpoint`);
    }
    const chosen = chosenPath(latest, epoch, globalStep);
    const stem = chosen.replace(/(\.weights)?\.\w+$/, "");
    const folder = `${stem}${/\.weights\.\w+$/.test(chosen) ? ".weights" : ""}${TFJS}`;
    const { epoch: madeAfter, global_step, ...metrics } = await client.loadDict(
      runId,
      `${stem}_metrics.json`,
    ) as Record<string, number>;
    if (/\.(h5|keras)$/.test(chosen) && (await client.listArtifacts(runId, folder)).length === 0) {
      throw new MlflowError("INVALID_PARAMETER_VALUE", `${chosen} is of Keras alone, which tfjs cannot read`);
    }
    const artifacts = await readTfjsFiles((name) => client.readArtifact(runId, `${folder}/${name}`));
    const model = await tf.loadLayersModel({ load: () => Promise.resolve(artifacts) });
    return { model, epoch: madeAfter, globalStep: global_step, metrics };
  });
}

function chosenPath(latest: string, epoch: number | undefined, globalStep: number | undefined): string {
  const name = latest.slice(latest.lastIndexOf("/") + 1);
  if (epoch !== undefined) return `${FOLDER}/epoch_${epoch}/${name}`;
  if (globalStep !== undefined) return `${FOLDER}/global_step_${globalStep}/${name}`;
  return latest;
}
