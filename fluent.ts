import { AsyncLocalStorage } from "node:async_hooks";
import {
  type Batch,
  type CreateExperimentOptions,
  type LogMetricOptions,
  type LogModelOptions,
  MlflowClient,
  type SearchOptions,
  type SearchResults,
  type TransferOptions,
} from "./client.ts";
import { getActiveModelId } from "./tracking/active_model.ts";
import { defaultTags } from "./tracking/context.ts";
import type { LoggedInput, LogInputOptions } from "./dataset.ts";
import { distinctTime } from "./tracking/distinct_time.ts";
import type {
  Dataset,
  Experiment,
  Figure,
  LoggedModel,
  LoggedModelInput,
  LoggedModelOutput,
  Metric,
  RunRecord,
} from "./entities.ts";
import { readEnv, writeEnv } from "./env.ts";
import { doing, MlflowError } from "./errors.ts";
import type { ImageSource, LogImageOptions } from "./tracking/image_log.ts";
import type { TfjsModelLike } from "./model/tfjs_model.ts";
import { flushOpenRuns } from "./tracking/open_runs.ts";
import { pythonTexts } from "./python_text.ts";
import { type EndStatus, type EvaluationValue, Run } from "./run.ts";
import { isSystemMetricsLoggingEnabled, startSystemMetrics } from "./system_metrics.ts";
import type { LoadTableOptions, Table, TableData } from "./table.ts";
import { getTrackingUri } from "./tracking/tracking_uri.ts";

const NOTE_TAG = "mlflow.note.content";
const PARENT_TAG = "mlflow.parentRunId";

/** The runs that are active in one scope, the innermost last. The program has one scope, and each `withRun` its own. */
interface Scope {
  readonly runs: Run[];
  /** The run that is being started because something is logged and no run is active. */
  starting?: Promise<Run>;
  /** Ends when `startRun` has done its work or failed: what comes after it finds its run active. */
  opening?: Promise<unknown>;
}

const scopes = new AsyncLocalStorage<Scope>();
const programScope: Scope = { runs: [] };
/** The experiment that was set, and the tracking URI whose it is: in another store its id means another one. */
let activeExperiment: { readonly uri: string; readonly id: string } | undefined;
let lastRun: Run | undefined;

/** What a run is started with. */
export interface StartRunOptions {
  /** The name shown in the UI. @default {a random name such as `fearless-owl-42`} */
  readonly runName?: string;
  /** The id of a run to go on with. @default {the environment variable MLFLOW_RUN_ID, once} */
  readonly runId?: string;
  /** The experiment of a new run. @default {the one set by `setExperiment`} */
  readonly experimentId?: string;
  /** Allows a run inside the active one, whose child it becomes. @default {false} */
  readonly nested?: boolean;
  /** The run whose child the new one becomes; with an active run it must be that one. */
  readonly parentRunId?: string;
  /** Tags, besides those that MLflow sets by itself. */
  readonly tags?: Readonly<Record<string, unknown>>;
  /** A text shown at the top of the run's page. */
  readonly description?: string;
  /**
   * Logs CPU, memory, disk, network and GPU as metrics `system/…`, every 10 seconds or as `setSystemMetricsSamplingInterval`
   * says. What a permission hides is left out.
   *
   * @default {the environment variable MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING, or false}
   */
  readonly logSystemMetrics?: boolean;
}

/**
 * Makes the experiment of this name the one that runs are started in, and makes it where it is missing.
 *
 * A deleted experiment is refused with `INVALID_PARAMETER_VALUE`.
 *
 * @param name its name, or `{ experimentId }`
 */
export async function setExperiment(name: string | { readonly experimentId: string }): Promise<Experiment> {
  const shown = typeof name === "string" ? name : name.experimentId;
  const experiment = await doing(`Cannot set experiment "${shown}"`, async () => {
    const client = new MlflowClient();
    const found = typeof name === "string"
      ? await getOrCreateExperiment(client, name)
      : await client.getExperiment(name.experimentId);
    if (found.lifecycleStage === "active") return found;
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `Cannot set a deleted experiment '${found.name}' as the active experiment. You can restore the experiment, or ` +
        "permanently delete the experiment to create a new one.",
    );
  });
  activate(experiment.experimentId);
  writeEnv("MLFLOW_EXPERIMENT_ID", experiment.experimentId);
  return experiment;
}

/** The experiment of this name, which is made where it is missing. */
export async function getOrCreateExperiment(client: MlflowClient, name: string): Promise<Experiment> {
  const found = await client.getExperimentByName(name);
  if (found !== undefined) return found;
  try {
    return await client.getExperiment(await client.createExperiment(name));
  } catch (error) {
    const raced = error instanceof MlflowError && error.code === "RESOURCE_ALREADY_EXISTS"
      ? await client.getExperimentByName(name)
      : undefined;
    if (raced === undefined) throw error;
    return raced;
  }
}

/** Makes an experiment and gives its id; the active experiment stays as it is. */
export async function createExperiment(name: string, options: CreateExperimentOptions = {}): Promise<string> {
  return await new MlflowClient().createExperiment(name, options);
}

/** The experiment of this id, active or deleted. */
export async function getExperiment(experimentId: string): Promise<Experiment> {
  return await new MlflowClient().getExperiment(experimentId);
}

/** The experiment of this name, active or deleted, or undefined. */
export async function getExperimentByName(name: string): Promise<Experiment | undefined> {
  return await new MlflowClient().getExperimentByName(name);
}

/** Experiments, the latest made first. */
export function searchExperiments(options: SearchOptions = {}): SearchResults<Experiment> {
  return new MlflowClient().searchExperiments(options);
}

/** Moves an experiment and all its runs to the trash. */
export async function deleteExperiment(experimentId: string): Promise<void> {
  await new MlflowClient().deleteExperiment(experimentId);
}

/** Brings a deleted experiment and all its runs back. */
export async function restoreExperiment(experimentId: string): Promise<void> {
  await new MlflowClient().restoreExperiment(experimentId);
}

/** Sets a tag of the active experiment. */
export async function setExperimentTag(key: string, value: unknown): Promise<void> {
  const client = new MlflowClient();
  await client.setExperimentTag(await experimentOfNewRuns(client), key, value);
}

/** Sets several tags of the active experiment. */
export async function setExperimentTags(tags: Readonly<Record<string, unknown>>): Promise<void> {
  for (const [key, value] of Object.entries(tags)) await setExperimentTag(key, value);
}

/** Removes a tag of the active experiment. */
export async function deleteExperimentTag(key: string): Promise<void> {
  const client = new MlflowClient();
  await client.deleteExperimentTag(await experimentOfNewRuns(client), key);
}

/**
 * Starts a run, or goes on with one, and makes it the active run of the scope it is called in: of the program, or of
 * the `withRun` around it. `withRun` is the form to prefer, since it also ends the run.
 *
 * With a run active already, only a nested one can be started.
 */
export async function startRun(options: StartRunOptions = {}): Promise<Run> {
  const scope = currentScope();
  const { opening } = scope;
  const open = async () => {
    if (opening !== undefined) await opening;
    const run = await openRun(options, scope);
    scope.runs.push(run);
    return run;
  };
  const opened = open();
  const settled = opened.catch(() => {});
  scope.opening = settled;
  try {
    return await opened;
  } finally {
    if (scope.opening === settled) scope.opening = undefined;
  }
}

/**
 * Starts a run, calls `work` with it, and ends it: `FINISHED`, or `FAILED` if `work` throws, whose error is thrown on.
 *
 * The run is active in `work` and in all that `work` calls, and nowhere else: runs under `Promise.all` do not mix.
 *
 * @returns what `work` returns
 */
export async function withRun<T>(work: (run: Run) => T | Promise<T>): Promise<T>;
/**
 * Starts a run by options, calls `work` with it, and ends it.
 *
 * @returns what `work` returns
 */
export async function withRun<T>(options: StartRunOptions, work: (run: Run) => T | Promise<T>): Promise<T>;
export async function withRun<T>(
  optionsOrWork: StartRunOptions | ((run: Run) => T | Promise<T>),
  maybeWork?: (run: Run) => T | Promise<T>,
): Promise<T> {
  const [options, work] = typeof optionsOrWork === "function" ? [{}, optionsOrWork] : [optionsOrWork, maybeWork!];
  const outer = currentScope();
  if (outer.opening !== undefined) await outer.opening;
  const run = await openRun(options, outer);
  const scope: Scope = { runs: [...outer.runs, run] };
  const around = new Set(outer.runs);
  /** Ends the run and those that were started inside it and left open, the innermost first. */
  const endRuns = async (status: EndStatus) => {
    const inner = scope.runs.filter((other) => other !== run && !around.has(other));
    const ends = await Promise.allSettled([...inner.reverse(), run].map((other) => other.end(status)));
    lastRun = run;
    const failed = ends.find((end) => end.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  };
  let result: T;
  try {
    result = await scopes.run(scope, () => work(run));
  } catch (error) {
    // The error of the work is the one to be told; it must not be lost behind one of the end.
    await endRuns("FAILED").catch((endError) => console.error(String(endError)));
    throw error;
  }
  await endRuns("FINISHED");
  return result;
}

/** Ends the active run of this scope; does nothing without one. */
export async function endRun(status: EndStatus = "FINISHED"): Promise<void> {
  writeEnv("MLFLOW_RUN_ID", undefined);
  const run = activeRun();
  if (run === undefined) return;
  currentScope().runs.pop();
  lastRun = run;
  await run.end(status);
}

/** The active run, or undefined. */
export function activeRun(): Run | undefined {
  const { runs } = currentScope();
  while (runs.at(-1)?.ended) lastRun = runs.pop();
  return runs.at(-1);
}

/** The active run as its store holds it now, or else the one that was active last; undefined if there never was one. */
export async function lastActiveRun(): Promise<RunRecord | undefined> {
  return await (activeRun() ?? lastRun)?.get();
}

/**
 * Logs one value of a metric to the active run, and to the active model; starts a run if there is none, as all `log…`
 * functions do.
 */
export async function logMetric(key: string, value: number, options: LogMetricOptions = {}): Promise<void> {
  const told = ofActiveModel(options);
  await (activeRun() ?? await startedRun()).logMetric(key, value, told);
}

/** Logs the values of several metrics at one step and time to the active run, and to the active model: all or none. */
export async function logMetrics(
  metrics: Readonly<Record<string, number>>,
  options: LogMetricOptions = {},
): Promise<void> {
  const told = ofActiveModel(options);
  await (activeRun() ?? await startedRun()).logMetrics(metrics, told);
}

/** The run of a scope stamps a value when it is told of it; one that has to be started first would be late. */
function ofActiveModel(options: LogMetricOptions): LogMetricOptions {
  const { modelId = getActiveModelId() } = options;
  if (options.timestamp !== undefined || activeRun() !== undefined) return { ...options, modelId };
  const now = Date.now();
  return { ...options, modelId, timestamp: modelId === undefined ? now : distinctTime(now) };
}

/** Logs a param, which keeps its first value, to the active run. */
export async function logParam(key: string, value: unknown): Promise<void> {
  await (activeRun() ?? await startedRun()).logParam(key, value);
}

/** Logs several params to the active run. */
export async function logParams(params: Readonly<Record<string, unknown>>): Promise<void> {
  await (activeRun() ?? await startedRun()).logParams(params);
}

/** Sets a tag of the active run; `mlflow.runName` renames it. */
export async function setTag(key: string, value: unknown): Promise<void> {
  await (activeRun() ?? await startedRun()).setTag(key, value);
}

/** Sets several tags of the active run. */
export async function setTags(tags: Readonly<Record<string, unknown>>): Promise<void> {
  await (activeRun() ?? await startedRun()).setTags(tags);
}

/** Removes a tag of the active run. */
export async function deleteTag(key: string): Promise<void> {
  await (activeRun() ?? await startedRun()).deleteTag(key);
}

/** Logs metrics, params and tags in one go to the active run: all of them or none. */
export async function logBatch(batch: Batch): Promise<void> {
  const timestamp = Date.now();
  const metrics = batch.metrics?.map((metric) => ({ timestamp, ...metric }));
  await (activeRun() ?? await startedRun()).logBatch({ ...batch, metrics });
}

/** Logs what `model.evaluate` gave to the active run, as `validation_loss`, `validation_accuracy`, … */
export async function logEvaluation(
  values: EvaluationValue | readonly EvaluationValue[],
  metricsNames?: readonly string[],
  options: LogMetricOptions = {},
): Promise<void> {
  const stamped = { timestamp: Date.now(), ...options };
  await (activeRun() ?? await startedRun()).logEvaluation(values, metricsNames, stamped);
}

/** Copies a local file among the active run's artifacts, into the folder `artifactPath` or their root. */
export async function logArtifact(
  localPath: string,
  artifactPath?: string,
  options: TransferOptions = {},
): Promise<void> {
  await (activeRun() ?? await startedRun()).logArtifact(localPath, artifactPath, options);
}

/** Copies what is in a local folder among the active run's artifacts. */
export async function logArtifacts(
  localDirectory: string,
  artifactPath?: string,
  options: TransferOptions = {},
): Promise<void> {
  await (activeRun() ?? await startedRun()).logArtifacts(localDirectory, artifactPath, options);
}

/** Writes bytes or a stream to a file among the active run's artifacts. */
export async function logBytes(
  content: Uint8Array | ReadableStream<Uint8Array>,
  artifactFile: string,
  options: TransferOptions = {},
): Promise<void> {
  await (activeRun() ?? await startedRun()).logBytes(content, artifactFile, options);
}

/** Writes what a stream gives to a file among the active run's artifacts, in pieces. */
export async function logStream(
  stream: ReadableStream<Uint8Array>,
  artifactFile: string,
  options: TransferOptions = {},
): Promise<void> {
  await (activeRun() ?? await startedRun()).logStream(stream, artifactFile, options);
}

/** Writes text, as UTF-8, to a file among the active run's artifacts. */
export async function logText(text: string, artifactFile: string): Promise<void> {
  await (activeRun() ?? await startedRun()).logText(text, artifactFile);
}

/** Writes a value as YAML (`.yaml`, `.yml`) or JSON to a file among the active run's artifacts. */
export async function logDict(dictionary: unknown, artifactFile: string): Promise<void> {
  await (activeRun() ?? await startedRun()).logDict(dictionary, artifactFile);
}

/** Writes a figure to a file among the active run's artifacts, which ends in `.png` or `.svg`. */
export async function logFigure(figure: Figure, artifactFile: string): Promise<void> {
  await (activeRun() ?? await startedRun()).logFigure(figure, artifactFile);
}

/**
 * Logs an image to the active run: to a file among its artifacts, or by `key` and `step`, which gives MLflow's UI a slider
 * over the steps.
 */
export async function logImage(image: ImageSource, target: string | LogImageOptions): Promise<void> {
  await (activeRun() ?? await startedRun()).logImage(image, target);
}

/** Writes a table to a `.json` or `.parquet` file among the active run's artifacts, behind the rows that are there. */
export async function logTable(data: TableData, artifactFile: string): Promise<void> {
  await (activeRun() ?? await startedRun()).logTable(data, artifactFile);
}

/** Reads a table of the active experiment's runs, the latest run's rows first. */
export async function loadTable(artifactFile: string, options: LoadTableOptions = {}): Promise<Table> {
  const client = new MlflowClient();
  return await client.loadTable(await experimentOfNewRuns(client), artifactFile, options);
}

/** Records that the active run uses a dataset: see `datasetFromTensors`, `datasetFromRows` and `datasetFromImages`. */
export async function logInput(dataset: Dataset, options: LogInputOptions = {}): Promise<void> {
  await (activeRun() ?? await startedRun()).logInput(dataset, options);
}

/** Records that the active run uses datasets and models. The same use is kept once. */
export async function logInputs(
  datasets: readonly LoggedInput[],
  models: readonly LoggedModelInput[] = [],
): Promise<void> {
  await (activeRun() ?? await startedRun()).logInputs(datasets, models);
}

/** Records that the active run has put out models. */
export async function logOutputs(models: readonly LoggedModelOutput[]): Promise<void> {
  await (activeRun() ?? await startedRun()).logOutputs(models);
}

/**
 * Logs a tfjs model as an output of the active run: its topology, weights and signature, with the run's params and
 * metrics so far.
 */
export async function logModel(model: TfjsModelLike, options: LogModelOptions = {}): Promise<LoggedModel> {
  return await (activeRun() ?? await startedRun()).logModel(model, options);
}

/** Where the active run's artifacts are, or one of them: a path or a URI. Starts a run if there is none. */
export async function getArtifactUri(path?: string): Promise<string> {
  return (activeRun() ?? await startedRun()).getArtifactUri(path);
}

/** Waits until everything that was logged so far, to any run, has been written or has failed. */
export async function flush(): Promise<void> {
  await flushOpenRuns();
}

/** The run of this id, active or deleted. */
export async function getRun(runId: string): Promise<RunRecord> {
  return await new MlflowClient().getRun(runId);
}

/** The parent of a nested run, or undefined. */
export async function getParentRun(runId: string): Promise<RunRecord | undefined> {
  return await new MlflowClient().getParentRun(runId);
}

/** All values of a metric of a run, by time, then step, then value. */
export async function getMetricHistory(runId: string, key: string): Promise<Metric[]> {
  return await new MlflowClient().getMetricHistory(runId, key);
}

/** A search for runs. */
export interface SearchActiveRunsOptions extends SearchOptions {
  /** The experiments to look in. @default {the active experiment} */
  readonly experimentIds?: readonly string[];
  /** The names of the experiments to look in; an unknown name is `RESOURCE_DOES_NOT_EXIST`. */
  readonly experimentNames?: readonly string[];
}

/**
 * Runs that the filter finds: `for await (const run of searchRuns({ filter: "metrics.val_accuracy > 0.9" }))`, or
 * `await searchRuns().toArray()`.
 */
export function searchRuns(options: SearchActiveRunsOptions = {}): SearchResults<RunRecord> {
  const client = new MlflowClient();
  const { experimentIds, experimentNames, ...search } = options;
  if (experimentIds !== undefined && experimentNames === undefined) {
    return client.searchRuns({ ...search, experimentIds });
  }
  const find = async () => {
    if (experimentNames === undefined) return [await experimentOfNewRuns(client)];
    return [
      ...(experimentIds ?? []),
      ...await Promise.all(experimentNames.map((name) => idOfExperiment(client, name))),
    ];
  };
  return client.searchRuns({ ...search, experimentIds: find });
}

/** Moves a run to the trash. */
export async function deleteRun(runId: string): Promise<void> {
  await new MlflowClient().deleteRun(runId);
}

/** Brings a run back from the trash. */
export async function restoreRun(runId: string): Promise<void> {
  await new MlflowClient().restoreRun(runId);
}

function activate(experimentId: string): void {
  activeExperiment = { uri: getTrackingUri(), id: experimentId };
}

function activeExperimentId(): string | undefined {
  return activeExperiment?.uri === getTrackingUri() ? activeExperiment.id : undefined;
}

function currentScope(): Scope {
  return scopes.getStore() ?? programScope;
}

/** The run that is being started, or a new one, to log to; what is logged until it is there goes to the same one. */
function startedRun(): Promise<Run> {
  const scope = currentScope();
  const start = async () => {
    if (scope.opening !== undefined) await scope.opening;
    return activeRun() ?? await startRun();
  };
  return scope.starting ??= start().finally(() => scope.starting = undefined);
}

async function openRun(options: StartRunOptions, scope: Scope): Promise<Run> {
  const { logSystemMetrics = isSystemMetricsLoggingEnabled() } = options;
  const run = await newOrResumedRun(options, scope);
  if (logSystemMetrics) await startSystemMetrics(run);
  return run;
}

async function newOrResumedRun(options: StartRunOptions, scope: Scope): Promise<Run> {
  const active = activeRun();
  if (active !== undefined && !options.nested) {
    throw new MlflowError(
      "INVALID_STATE",
      `Run with UUID ${scope.runs[0].runId} is already active. To start a new run, first end the current run with ` +
        "endRun(). To start a nested run, call startRun or withRun with { nested: true }",
      { action: "Cannot start a run" },
    );
  }
  const client = new MlflowClient();
  const tags = textTags(options);
  const resumed = options.runId ?? readEnv("MLFLOW_RUN_ID");
  if (resumed !== undefined) {
    // The variable stands for one start; a run started later is a new one.
    writeEnv("MLFLOW_RUN_ID", undefined);
    return await resumeRun(client, resumed, options.runName, tags);
  }
  const parentRunId = await checkedParent(client, options.parentRunId, active);
  const record = await client.createRun({
    experimentId: options.experimentId ?? await experimentOfNewRuns(client),
    runName: options.runName,
    tags: { ...(await defaultTags()), ...tags, ...(parentRunId === undefined ? {} : { [PARENT_TAG]: parentRunId }) },
  });
  return new Run(client, record);
}

async function resumeRun(
  client: MlflowClient,
  runId: string,
  runName: string | undefined,
  tags: Readonly<Record<string, string>>,
): Promise<Run> {
  return await doing(`Cannot start run "${runId}"`, async () => {
    const { info } = await client.getRun(runId);
    const active = activeExperimentId();
    if (active !== undefined && active !== info.experimentId) {
      throw new MlflowError(
        "INVALID_PARAMETER_VALUE",
        `it belongs to experiment "${info.experimentId}" and the active experiment is "${active}"; set the ` +
          "run's experiment first",
      );
    }
    if (info.lifecycleStage === "deleted") {
      throw new MlflowError(
        "INVALID_PARAMETER_VALUE",
        `Cannot start run with ID ${runId} because it is in the deleted state.`,
      );
    }
    await client.updateRun(runId, { status: "RUNNING", runName });
    await client.logBatch(runId, { tags: Object.entries(tags).map(([key, value]) => ({ key, value })) });
    return new Run(client, await client.getRun(runId));
  });
}

async function checkedParent(
  client: MlflowClient,
  parentRunId: string | undefined,
  active: Run | undefined,
): Promise<string | undefined> {
  if (parentRunId === undefined) return active?.runId;
  return await doing("Cannot start a run", async () => {
    if (active !== undefined && active.runId !== parentRunId) {
      throw new MlflowError(
        "INVALID_PARAMETER_VALUE",
        `Current run with UUID ${active.runId} does not match the specified parent_run_id ${parentRunId}. To start a new ` +
          `nested run under the parent run with UUID ${active.runId}, first end the current run with endRun().`,
      );
    }
    if ((await client.getRun(parentRunId)).info.lifecycleStage === "deleted") {
      throw new MlflowError(
        "INVALID_PARAMETER_VALUE",
        `Cannot start run under parent run with ID ${parentRunId} because it is in the deleted state.`,
      );
    }
    return parentRunId;
  });
}

function textTags({ tags = {}, description }: StartRunOptions): Record<string, string> {
  const texts = pythonTexts(tags);
  if (description === undefined) return texts;
  if (NOTE_TAG in texts) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `Description is already set via the tag ${NOTE_TAG} in tags. Remove the key ${NOTE_TAG} from the tags or omit the ` +
        "description.",
      { action: "Cannot start a run" },
    );
  }
  return { ...texts, [NOTE_TAG]: description };
}

/** The experiment that a new run goes to: the one set, the one that the environment names, or the default one. */
export async function experimentOfNewRuns(client: MlflowClient): Promise<string> {
  const active = activeExperimentId();
  if (active !== undefined) return active;
  const name = readEnv("MLFLOW_EXPERIMENT_NAME");
  const given = readEnv("MLFLOW_EXPERIMENT_ID");
  // What setExperiment wrote for this program's children is an id of the store that was in force then.
  const id = given === activeExperiment?.id ? undefined : given;
  if (name === undefined) return id ?? "0";
  const experiment = await getOrCreateExperiment(client, name);
  if (id !== undefined && id !== experiment.experimentId) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `The provided MLFLOW_EXPERIMENT_ID '${id}' does not match the id ${experiment.experimentId} of the experiment ` +
        `named by MLFLOW_EXPERIMENT_NAME '${name}'. Only set one of the two variables.`,
    );
  }
  activate(experiment.experimentId);
  return experiment.experimentId;
}

async function idOfExperiment(client: MlflowClient, name: string): Promise<string> {
  const experiment = await client.getExperimentByName(name);
  if (experiment !== undefined) return experiment.experimentId;
  throw new MlflowError("RESOURCE_DOES_NOT_EXIST", `No experiment is named "${name}"`, {
    action: "Cannot search runs",
  });
}
