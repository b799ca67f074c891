/**
 * {@linkcode MlflowClient}: experiments, runs, artifacts and logged models by explicit ids, for programs that keep track of
 * runs themselves.
 *
 * @module
 */
import { basename, join, posix } from "@std/path";
import { openRepository } from "./artifacts/open_repository.ts";
import type { ArtifactRepository } from "./artifacts/repository.ts";
import type {
  Experiment,
  Figure,
  FileInfo,
  LoggedModel,
  LoggedModelOutput,
  Metric,
  MetricInput,
  Param,
  RunInfo,
  RunRecord,
  RunStatus,
  Tag,
  ViewType,
} from "./entities.ts";
import { doing, MlflowError } from "./errors.ts";
import { layersModelFiles, type LayersModelLike } from "./model_flavor.ts";
import { pythonText } from "./python_text.ts";
import { SearchResults } from "./search.ts";
import { absoluteUri, openStore } from "./stores/open_store.ts";
import type { NewLoggedModel, NewRun, RunUpdate, TrackingStore } from "./stores/store.ts";
import { getTrackingUri } from "./tracking_uri.ts";
import { LIMITS } from "./validate.ts";
import { writeYaml } from "./yaml.ts";

export type {
  Experiment,
  Figure,
  FileInfo,
  LifecycleStage,
  LoggedModel,
  LoggedModelOutput,
  LoggedModelStatus,
  Metric,
  MetricInput,
  Param,
  RunData,
  RunInfo,
  RunOutputs,
  RunRecord,
  RunStatus,
  Tag,
  ViewType,
} from "./entities.ts";
export { type ErrorCode, MlflowError, type MlflowErrorOptions } from "./errors.ts";
export { SearchResults } from "./search.ts";
export type { Page } from "./entities.ts";
export type { LayersModelLike, SymbolicTensorLike } from "./model_flavor.ts";
export type { NewLoggedModel, NewRun, RunUpdate } from "./stores/store.ts";

/** When a value was measured, and on what. */
export interface LogMetricOptions {
  /** The step (epoch, batch, …) the value belongs to. @default {0} */
  readonly step?: number;
  /** When it was measured, in milliseconds since the Unix epoch. @default {now} */
  readonly timestamp?: number;
  /** The logged model that the value also describes. */
  readonly modelId?: string;
}

/** What `logBatch` writes. */
export interface BatchInput {
  /** Values of metrics. */
  readonly metrics?: readonly MetricInput[];
  /** Params. */
  readonly params?: readonly Param[];
  /** Tags. */
  readonly tags?: readonly Tag[];
}

/** What a search looks for. */
export interface SearchOptions {
  /** MLflow's filter text, such as `metrics.val_accuracy > 0.9 AND params.epochs = '10'`. */
  readonly filter?: string;
  /** MLflow's order terms, such as `metrics.val_accuracy DESC`. */
  readonly orderBy?: readonly string[];
  /** The most entries to give. @default {Infinity} */
  readonly maxResults?: number;
  /** Which of the active and the deleted are looked at. @default {"ACTIVE_ONLY"} */
  readonly viewType?: ViewType;
}

/** A search for runs of certain experiments. */
export interface SearchRunsOptions extends SearchOptions {
  /** The experiments to look in, or what finds them when the search begins. */
  readonly experimentIds: readonly string[] | (() => Promise<readonly string[]>);
}

/** Extras of a new experiment. */
export interface CreateExperimentOptions {
  /** Where the artifacts of its runs go: a path or a URI. @default {a folder named by its id below ./mlruns} */
  readonly artifactLocation?: string;
  /** Its tags. */
  readonly tags?: Readonly<Record<string, string>>;
}

/** How a model is logged. */
export interface LogModelOptions {
  /** The name shown in the UI; not one of `/`, `:`, `.`, `%` and quotes may be in it. @default {"model"} */
  readonly name?: string;
  /** The step of the training that the model is of: the metrics of that step are linked to it. @default {the latest} */
  readonly step?: number;
  /** A free word for its kind, such as `"classifier"`. */
  readonly modelType?: string;
  /** Params of the model, besides those of its run. */
  readonly params?: Readonly<Record<string, unknown>>;
  /** Tags of the model. */
  readonly tags?: Readonly<Record<string, unknown>>;
}

/** Entries asked of a store at a time. */
const PAGE_SIZE = 1000;

/**
 * Experiments, runs, artifacts and logged models by explicit ids.
 *
 * ```ts
 * import { MlflowClient } from "@mlflow-deno/mlflow/client";
 *
 * const client = new MlflowClient("sqlite:///:memory:");
 * const { info } = await client.createRun({ experimentId: "0" });
 * await client.logBatch(info.runId, { metrics: [{ key: "loss", value: 0.5, step: 1 }] });
 * await client.setTerminated(info.runId);
 * ```
 *
 * What a store refuses is an {@linkcode MlflowError} with MLflow's code and sentence.
 */
export class MlflowClient {
  /** The tracking URI that the client works with. */
  readonly trackingUri: string;
  readonly #uri: string;

  /** @param trackingUri such as `sqlite:///mlflow.db`. @default {the one that `getTrackingUri` gives} */
  constructor(trackingUri: string = getTrackingUri()) {
    this.trackingUri = trackingUri;
    this.#uri = absoluteUri(trackingUri);
  }

  /** Makes an experiment and gives its id. A name in use, also by a deleted one, is `RESOURCE_ALREADY_EXISTS`. */
  async createExperiment(name: string, options: CreateExperimentOptions = {}): Promise<string> {
    return await this.#do(`Cannot create experiment "${name}"`, (store) => store.createExperiment(name, options));
  }

  /** The experiment of this id, active or deleted. */
  async getExperiment(experimentId: string): Promise<Experiment> {
    return await this.#do(`Cannot get experiment "${experimentId}"`, (store) => store.getExperiment(experimentId));
  }

  /** The experiment of this name, active or deleted, or undefined. */
  async getExperimentByName(name: string): Promise<Experiment | undefined> {
    return await this.#do(`Cannot get experiment "${name}"`, (store) => store.getExperimentByName(name));
  }

  /** Experiments, the latest made first. */
  searchExperiments(options: SearchOptions = {}): SearchResults<Experiment> {
    return this.#search(
      "experiments",
      options.maxResults,
      (store, page) => store.searchExperiments({ ...options, ...page }),
    );
  }

  /** Renames an active experiment. */
  async renameExperiment(experimentId: string, name: string): Promise<void> {
    await this.#do(
      `Cannot rename experiment "${experimentId}" to "${name}"`,
      (store) => store.renameExperiment(experimentId, name),
    );
  }

  /** Moves an experiment and all its runs to the trash. */
  async deleteExperiment(experimentId: string): Promise<void> {
    await this.#do(`Cannot delete experiment "${experimentId}"`, (store) => store.deleteExperiment(experimentId));
  }

  /** Brings a deleted experiment and all its runs back. */
  async restoreExperiment(experimentId: string): Promise<void> {
    await this.#do(`Cannot restore experiment "${experimentId}"`, (store) => store.restoreExperiment(experimentId));
  }

  /** Sets a tag of an experiment. The value is written as Python would write it. */
  async setExperimentTag(experimentId: string, key: string, value: unknown): Promise<void> {
    await this.#do(
      `Cannot set tag "${key}" of experiment "${experimentId}"`,
      (store) => store.setExperimentTag(experimentId, key, pythonText(value)),
    );
  }

  /** Makes a running run. It gets no tags besides those given and its name's. */
  async createRun(run: NewRun): Promise<RunRecord> {
    return await this.#do(
      `Cannot create a run in experiment "${run.experimentId}"`,
      (store) => store.createRun(run),
    );
  }

  /** The run of this id, active or deleted. */
  async getRun(runId: string): Promise<RunRecord> {
    return await this.#do(`Cannot get run "${runId}"`, (store) => store.getRun(runId));
  }

  /** Changes the status, the end or the name of a run. */
  async updateRun(runId: string, update: RunUpdate): Promise<RunInfo> {
    return await this.#do(`Cannot update run "${runId}"`, (store) => store.updateRun(runId, update));
  }

  /** Ends a run, now by default. */
  async setTerminated(
    runId: string,
    options: { readonly status?: RunStatus; readonly endTime?: number } = {},
  ): Promise<RunInfo> {
    const { status = "FINISHED", endTime = Date.now() } = options;
    return await this.#do(`Cannot end run "${runId}"`, (store) => store.updateRun(runId, { status, endTime }));
  }

  /** Moves a run to the trash. */
  async deleteRun(runId: string): Promise<void> {
    await this.#do(`Cannot delete run "${runId}"`, (store) => store.deleteRun(runId));
  }

  /** Brings a run back from the trash. */
  async restoreRun(runId: string): Promise<void> {
    await this.#do(`Cannot restore run "${runId}"`, (store) => store.restoreRun(runId));
  }

  /** Runs of the experiments that the filter finds, in the order wanted; the latest started first by default. */
  searchRuns(options: SearchRunsOptions): SearchResults<RunRecord> {
    const { experimentIds } = options;
    return this.#search(
      "runs",
      options.maxResults,
      async (store, page) =>
        await store.searchRuns(typeof experimentIds === "function" ? await experimentIds() : experimentIds, {
          ...options,
          ...page,
        }),
    );
  }

  /** Logs one value of a metric. */
  async logMetric(runId: string, key: string, value: number, options: LogMetricOptions = {}): Promise<void> {
    await this.#do(
      `Cannot log metric "${key}" to run "${runId}"`,
      (store) => store.logBatch(runId, { metrics: [{ ...options, key, value }] }),
    );
  }

  /** Logs a param. The value is written as Python would write it: `True`, `None`, `1e-05`. */
  async logParam(runId: string, key: string, value: unknown): Promise<void> {
    await this.#do(
      `Cannot log param "${key}" to run "${runId}"`,
      (store) => store.logBatch(runId, { params: [{ key, value: pythonText(value) }] }),
    );
  }

  /** Sets a tag of a run; `mlflow.runName` renames it. The value is written as Python would write it. */
  async setTag(runId: string, key: string, value: unknown): Promise<void> {
    await this.#do(
      `Cannot set tag "${key}" of run "${runId}"`,
      (store) => store.logBatch(runId, { tags: [{ key, value: pythonText(value) }] }),
    );
  }

  /** Removes a tag of a run. */
  async deleteTag(runId: string, key: string): Promise<void> {
    await this.#do(`Cannot delete tag "${key}" of run "${runId}"`, (store) => store.deleteTag(runId, key));
  }

  /**
   * Logs metrics, params and tags in one go: all or none of them, as long as they are not more than a store takes at
   * once (1,000 metrics, 100 params, 100 tags). More are written in several goes.
   */
  async logBatch(runId: string, batch: BatchInput): Promise<void> {
    const { metrics = [], params = [], tags = [] } = batch;
    const action = `Cannot log ${counted(metrics, "metric")}, ${counted(params, "param")} and ${
      counted(tags, "tag")
    } to run "${runId}"`;
    await this.#do(action, async (store) => {
      const goes = Math.max(
        1,
        Math.ceil(metrics.length / (LIMITS.metricsPerBatch - LIMITS.paramsPerBatch - LIMITS.tagsPerBatch)),
        Math.ceil(params.length / LIMITS.paramsPerBatch),
        Math.ceil(tags.length / LIMITS.tagsPerBatch),
      );
      const whole = metrics.length + params.length + tags.length <= LIMITS.entitiesPerBatch &&
        params.length <= LIMITS.paramsPerBatch && tags.length <= LIMITS.tagsPerBatch;
      if (whole) return await store.logBatch(runId, { metrics, params, tags });
      const part = <T>(list: readonly T[], go: number) =>
        list.slice(Math.floor(list.length * go / goes), Math.floor(list.length * (go + 1) / goes));
      for (let go = 0; go < goes; go++) {
        await store.logBatch(runId, { metrics: part(metrics, go), params: part(params, go), tags: part(tags, go) });
      }
    });
  }

  /** All values of a metric, by time, then step, then value. */
  async getMetricHistory(runId: string, key: string): Promise<Metric[]> {
    return await this.#do(`Cannot get the history of metric "${key}" of run "${runId}"`, async (store) => {
      return await new SearchResults((pageToken) => store.getMetricHistory(runId, key, { pageToken })).toArray();
    });
  }

  /** Copies a local file among the run's artifacts, into the folder `artifactPath` or their root. */
  async logArtifact(runId: string, localPath: string, artifactPath = ""): Promise<void> {
    await this.#do(`Cannot log artifact "${localPath}" to run "${runId}"`, async () => {
      const { isDirectory } = await stat(localPath);
      if (isDirectory) {
        throw new MlflowError("INVALID_PARAMETER_VALUE", "it is a folder: log it with logArtifacts");
      }
      await (await this.#artifacts(runId)).upload(localPath, posix.join(artifactPath, basename(localPath)));
    });
  }

  /** Copies what is in a local folder, with its folders, among the run's artifacts. */
  async logArtifacts(runId: string, localDirectory: string, artifactPath = ""): Promise<void> {
    await this.#do(`Cannot log artifacts "${localDirectory}" to run "${runId}"`, async () => {
      if (!(await stat(localDirectory)).isDirectory) {
        throw new MlflowError("INVALID_PARAMETER_VALUE", "it is a file: log it with logArtifact");
      }
      await (await this.#artifacts(runId)).upload(localDirectory, artifactPath);
    });
  }

  /** Writes bytes or a stream to a file among the run's artifacts. */
  async logBytes(
    runId: string,
    content: Uint8Array | ReadableStream<Uint8Array>,
    artifactFile: string,
  ): Promise<void> {
    await this.#do(
      `Cannot log artifact "${artifactFile}" to run "${runId}"`,
      async () => await (await this.#artifacts(runId)).write(artifactFile, content),
    );
  }

  /** Writes text, as UTF-8, to a file among the run's artifacts. */
  async logText(runId: string, text: string, artifactFile: string): Promise<void> {
    await this.logBytes(runId, new TextEncoder().encode(text), artifactFile);
  }

  /** Writes a value to a file among the run's artifacts: as YAML where it ends in `.yaml` or `.yml`, else as JSON. */
  async logDict(runId: string, dictionary: unknown, artifactFile: string): Promise<void> {
    const yaml = /\.ya?ml$/i.test(artifactFile);
    await this.logText(runId, yaml ? writeYaml(dictionary, { sortKeys: true }) : toJson(dictionary), artifactFile);
  }

  /** Writes a figure to a file among the run's artifacts, which ends in `.png` or `.svg`. */
  async logFigure(runId: string, figure: Figure, artifactFile: string): Promise<void> {
    if (/\.svg$/i.test(artifactFile)) await this.logText(runId, await figure.toSvg(), artifactFile);
    else if (/\.png$/i.test(artifactFile)) await this.logBytes(runId, await figure.toPng(), artifactFile);
    else throw new TypeError(`A figure is written to a file that ends in .png or .svg: received "${artifactFile}"`);
  }

  /** The files and folders in a folder of the run's artifacts; none for a file or a missing folder. */
  async listArtifacts(runId: string, path = ""): Promise<FileInfo[]> {
    return await this.#do(
      `Cannot list artifacts "${path}" of run "${runId}"`,
      async () => await (await this.#artifacts(runId)).list(path),
    );
  }

  /** The bytes of a file among the run's artifacts. */
  async readArtifact(runId: string, path: string): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#do(
      `Cannot read artifact "${path}" of run "${runId}"`,
      async () => await (await this.#artifacts(runId)).read(path),
    );
  }

  /**
   * Copies a file or folder of the run's artifacts to a local folder and gives the path it has there.
   *
   * @param path the file or folder; all artifacts for the empty text
   * @param localDirectory where to. @default {a new temporary folder}
   */
  async downloadArtifacts(runId: string, path: string, localDirectory?: string): Promise<string> {
    return await this.#do(`Cannot download artifacts "${path}" of run "${runId}"`, async () => {
      const target = join(localDirectory ?? await Deno.makeTempDir({ prefix: "mlflow-" }), path);
      await (await this.#artifacts(runId)).download(path, target);
      return target;
    });
  }

  /**
   * Logs a tfjs layers model as an output of a run: its topology, weights and signature, with the run's params, and with
   * the run's metrics linked to it. Should writing its files break, the logged model is left `FAILED`.
   */
  async logModel(runId: string, model: LayersModelLike, options: LogModelOptions = {}): Promise<LoggedModel> {
    const { name = "model", step, modelType, params = {}, tags = {} } = options;
    return await this.#do(`Cannot log model "${name}" to run "${runId}"`, async (store) => {
      const { info, data } = await store.getRun(runId);
      const origin = ["mlflow.user", "mlflow.source.name", "mlflow.source.type"].filter((key) => key in data.tags);
      const created = await store.createLoggedModel({
        experimentId: info.experimentId,
        name,
        sourceRunId: runId,
        modelType,
        params: { ...data.params, ...texts(params) },
        tags: { ...Object.fromEntries(origin.map((key) => [key, data.tags[key]])), ...texts(tags) },
      });
      const { modelId, artifactLocation: location } = created;
      try {
        await store.logOutputs(runId, [{ modelId, step: step ?? 0 }]);
        await this.#linkMetrics(store, runId, Object.keys(data.metrics), modelId, step);
        const repository = openRepository(location, { trackingUri: this.#uri });
        for (const [path, content] of await layersModelFiles(model, { modelId, runId, location })) {
          await repository.write(path, content);
        }
      } catch (error) {
        await store.finalizeLoggedModel(modelId, "FAILED");
        throw error;
      }
      return await store.finalizeLoggedModel(modelId, "READY");
    });
  }

  /** Logs the run's metrics, of the step or the latest ones, once more as those of the model. */
  async #linkMetrics(
    store: TrackingStore,
    runId: string,
    keys: readonly string[],
    modelId: string,
    step: number | undefined,
  ): Promise<void> {
    const metrics: MetricInput[] = [];
    for (const key of keys) {
      const history = await new SearchResults((pageToken) => store.getMetricHistory(runId, key, { pageToken }))
        .toArray();
      const latest = history.filter((metric) => step === undefined || metric.step === step)
        .reduce<Metric | undefined>(
          (best, metric) => best !== undefined && best.step > metric.step ? best : metric,
          undefined,
        );
      // MLflow's table of models' metrics cannot hold NaN, and would give 0 for it.
      if (latest !== undefined && !Number.isNaN(latest.value)) metrics.push({ ...latest, modelId });
    }
    if (metrics.length > 0) await this.logBatch(runId, { metrics });
  }

  /** Makes a logged model that waits for its files. */
  async createLoggedModel(model: NewLoggedModel): Promise<LoggedModel> {
    return await this.#do(`Cannot create model "${model.name ?? ""}"`, (store) => store.createLoggedModel(model));
  }

  /** The logged model of this id. */
  async getLoggedModel(modelId: string): Promise<LoggedModel> {
    return await this.#do(`Cannot get model "${modelId}"`, (store) => store.getLoggedModel(modelId));
  }

  /** Says that a logged model's files are complete, or that writing them failed. */
  async finalizeLoggedModel(modelId: string, status: "READY" | "FAILED"): Promise<LoggedModel> {
    return await this.#do(
      `Cannot finalize model "${modelId}"`,
      (store) => store.finalizeLoggedModel(modelId, status),
    );
  }

  /** Sets tags of a logged model. */
  async setLoggedModelTags(modelId: string, tags: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#do(`Cannot set tags of model "${modelId}"`, (store) => store.setLoggedModelTags(modelId, texts(tags)));
  }

  /** Moves a logged model to the trash. */
  async deleteLoggedModel(modelId: string): Promise<void> {
    await this.#do(`Cannot delete model "${modelId}"`, (store) => store.deleteLoggedModel(modelId));
  }

  /** The logged models of the experiments, the latest made first. */
  searchLoggedModels(
    options: { readonly experimentIds: readonly string[]; readonly maxResults?: number },
  ): SearchResults<LoggedModel> {
    return this.#search(
      "models",
      options.maxResults,
      (store, page) => store.searchLoggedModels(options.experimentIds, page),
    );
  }

  /** Records that a run has put out models. */
  async logOutputs(runId: string, models: readonly LoggedModelOutput[]): Promise<void> {
    await this.#do(`Cannot log outputs of run "${runId}"`, (store) => store.logOutputs(runId, models));
  }

  async #artifacts(runId: string): Promise<ArtifactRepository> {
    const store = await openStore(this.#uri);
    return openRepository((await store.getRun(runId)).info.artifactUri, { trackingUri: this.#uri });
  }

  /** With an open store the work starts before this returns. */
  async #do<T>(action: string, work: (store: TrackingStore) => Promise<T>): Promise<T> {
    const store = openStore(this.#uri);
    return await doing(action, () => store instanceof Promise ? store.then(work) : work(store));
  }

  #search<T>(
    what: string,
    maxResults: number | undefined,
    getPage: (
      store: TrackingStore,
      page: { readonly maxResults: number; readonly pageToken: string | undefined },
    ) => Promise<{ readonly items: readonly T[]; readonly nextPageToken: string | undefined }>,
  ): SearchResults<T> {
    const size = Math.min(PAGE_SIZE, maxResults ?? PAGE_SIZE);
    return new SearchResults(
      (pageToken) => this.#do(`Cannot search ${what}`, (store) => getPage(store, { maxResults: size, pageToken })),
      maxResults,
    );
  }
}

async function stat(path: string): Promise<Deno.FileInfo> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new MlflowError("RESOURCE_DOES_NOT_EXIST", "there is no such file or folder", { cause: error });
  }
}

function texts(values: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, pythonText(value)]));
}

/** JSON as Python writes and reads it: numbers that JSON has no word for stay numbers. */
function toJson(value: unknown): string {
  const odd = new Map<string, string>();
  const text = JSON.stringify(value, (_key, entry) => {
    if (typeof entry === "bigint" || (typeof entry === "number" && !Number.isFinite(entry))) {
      const stand = `\u0001${odd.size}\u0001`;
      odd.set(JSON.stringify(stand), String(entry));
      return stand;
    }
    return entry;
  }, 2) ?? "null";
  return [...odd].reduce((json, [stand, number]) => json.replace(stand, number), text);
}

function counted(list: readonly unknown[], noun: string): string {
  return `${list.length} ${noun}${list.length === 1 ? "" : "s"}`;
}
