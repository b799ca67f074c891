/**
 * {@linkcode MlflowClient}: experiments, runs, artifacts, logged and registered models by explicit ids, for programs that keep
 * track of runs themselves.
 *
 * @module
 */
import { basename, join, posix } from "@std/path";
import { decodeText, type DownloadOptions, parseDict, parseImage } from "./artifacts.ts";
import { openRepository, openRunRepository } from "./artifacts/open_repository.ts";
import type { ArtifactRepository, TransferOptions } from "./artifacts/repository.ts";
import type {
  Dataset,
  DatasetInput,
  DatasetSummary,
  Experiment,
  Figure,
  FileInfo,
  Image,
  LoggedModel,
  LoggedModelInput,
  LoggedModelOutput,
  Metric,
  MetricInput,
  MetricOfRun,
  RunInfo,
  RunRecord,
  RunStatus,
  ViewType,
} from "./entities.ts";
import { datasetInput, type LogInputOptions } from "./dataset.ts";
import { distinctTime } from "./tracking/distinct_time.ts";
import { doing, MlflowError } from "./errors.ts";
import { imageOptions, type ImageSource, type LogImageOptions, takeImage, writeImage } from "./tracking/image_log.ts";
import type { LoadImageOptions } from "./images.ts";
import type { SaveModelOptions } from "./model/save.ts";
import type { TfjsModelLike } from "./model/tfjs_model.ts";
import { pythonText, pythonTexts } from "./python_text.ts";
import { RegistryClient } from "./registry_client.ts";
import { registryUriOf } from "./registry/registry_uri.ts";
import { SearchResults } from "./search.ts";
import { absoluteUri, openStore } from "./stores/open_store.ts";
import type { Batch, LoggedModelSearch, NewLoggedModel, NewRun, RunUpdate, TrackingStore } from "./stores/store.ts";
import { type LoadTableOptions, loadTables, type Table, type TableData, takeTable, writeTable } from "./table.ts";
import { getTrackingUri } from "./tracking/tracking_uri.ts";
import { checkArtifactPath, LIMITS } from "./validate.ts";

export type {
  Dataset,
  DatasetInput,
  DatasetSummary,
  Experiment,
  Figure,
  FileInfo,
  Image,
  LifecycleStage,
  LoggedModel,
  LoggedModelInput,
  LoggedModelMetric,
  LoggedModelOutput,
  LoggedModelStatus,
  Metric,
  MetricInput,
  MetricOfRun,
  ModelVersion,
  ModelVersionStage,
  ModelVersionStatus,
  Param,
  RegisteredModel,
  RunData,
  RunInfo,
  RunInputs,
  RunOutputs,
  RunRecord,
  RunStatus,
  Tag,
  TensorLike,
  ViewType,
} from "./entities.ts";
export type { DownloadOptions } from "./artifacts.ts";
export type { TransferOptions, TransferProgress } from "./artifacts/repository.ts";
export type { LogInputOptions } from "./dataset.ts";
export { type ErrorCode, MlflowError, type MlflowErrorOptions } from "./errors.ts";
export type { ImageSource, LogImageOptions } from "./tracking/image_log.ts";
export {
  type CreateModelVersionOptions,
  type CreateRegisteredModelOptions,
  RegistryClient,
  type RegistrySearchOptions,
} from "./registry_client.ts";
export { SearchResults } from "./search.ts";
export type { Page } from "./entities.ts";
export type { SaveModelOptions } from "./model/save.ts";
export type { SymbolicTensorLike, TfjsModelLike } from "./model/tfjs_model.ts";
export type { LoadImageOptions, ReadImageOptions } from "./images.ts";
export type { Interpolation } from "./image/resize.ts";
export type { NewModelVersion, VersionNumber } from "./stores/registry_store.ts";
export type { Batch, LoggedModelOrder, LoggedModelSearch, NewLoggedModel, NewRun, RunUpdate } from "./stores/store.ts";
export type { LoadTableOptions, Table, TableData } from "./table.ts";

/** When a value was measured, and on what. */
export interface LogMetricOptions {
  /** The step (epoch, batch, …) the value belongs to. @default {0} */
  readonly step?: number;
  /** When it was measured, in milliseconds since the Unix epoch. @default {now} */
  readonly timestamp?: number;
  /** The logged model that the value also describes. */
  readonly modelId?: string;
  /** The dataset that the model was measured on. */
  readonly dataset?: Dataset | { readonly name: string; readonly digest: string };
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

/** A search for logged models of certain experiments. */
export interface SearchLoggedModelsOptions extends Omit<LoggedModelSearch, "pageToken"> {
  /** The experiments to look in, or what finds them when the search begins. */
  readonly experimentIds: readonly string[] | (() => Promise<readonly string[]>);
  /** The most models to give. @default {Infinity} */
  readonly maxResults?: number;
}

/** Extras of a new experiment. */
export interface CreateExperimentOptions {
  /** Where the artifacts of its runs go: a path or a URI. @default {a folder named by its id below ./mlruns} */
  readonly artifactLocation?: string;
  /** Its tags. */
  readonly tags?: Readonly<Record<string, string>>;
}

/** How a model is logged. */
export interface LogModelOptions extends SaveModelOptions {
  /** The name shown in the UI; not one of `/`, `:`, `.`, `%` and quotes may be in it. @default {"model"} */
  readonly name?: string;
  /** The step of the training that the model is of: the metrics of that step are linked to it. @default {the latest} */
  readonly step?: number;
  /** A free word for its kind, such as `"classifier"`. */
  readonly modelType?: string;
  /** Params of the model, besides those of its run. */
  readonly params?: Readonly<Record<string, unknown>>;
  /** Tags of the model, and of the version that it is registered as. */
  readonly tags?: Readonly<Record<string, unknown>>;
  /** Registers the model by this name: it becomes the next version of it. @default {it is not registered} */
  readonly registeredModelName?: string;
  /**
   * The id of a logged model that was made before, as by `initializeLoggedModel`, whose files these become: metrics can
   * be logged to it while it is trained. It keeps its name and kind.
   *
   * @default {a new one}
   */
  readonly modelId?: string;
}

/** Entries asked of a store at a time. */
const PAGE_SIZE = 1000;
/** Runs of which a client remembers where their artifacts are: it does not change. */
const KNOWN_RUNS = 1000;

/**
 * Experiments, runs, artifacts, logged and registered models by explicit ids.
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
export class MlflowClient extends RegistryClient {
  /** The tracking URI that the client works with. */
  readonly trackingUri: string;
  readonly #uri: string;
  readonly #artifactUris = new Map<string, string>();

  /**
   * Makes a client; the store is opened at its first use.
   *
   * @param trackingUri such as `sqlite:///mlflow.db`. @default {the one that `getTrackingUri` gives}
   * @param registryUri where registered models are kept. @default {the one set by `setRegistryUri` or
   * `MLFLOW_REGISTRY_URI`, else `trackingUri`}
   */
  constructor(trackingUri: string = getTrackingUri(), registryUri: string = registryUriOf(trackingUri)) {
    super(trackingUri, registryUri);
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

  /** Removes a tag of an experiment. */
  async deleteExperimentTag(experimentId: string, key: string): Promise<void> {
    await this.#do(
      `Cannot delete tag "${key}" of experiment "${experimentId}"`,
      (store) => store.deleteExperimentTag(experimentId, key),
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
    const { modelId, timestamp = modelId === undefined ? undefined : distinctTime(Date.now()) } = options;
    await this.#do(
      `Cannot log metric "${key}" to run "${runId}"`,
      (store) => store.logBatch(runId, { metrics: [metricInput(key, value, { ...options, timestamp })] }),
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
  async logBatch(runId: string, batch: Batch): Promise<void> {
    const { metrics = [] } = batch;
    const [params, tags] = [batch.params, batch.tags].map((list = []) =>
      list.map(({ key, value }) => ({ key, value: pythonText(value) }))
    );
    const parts = [named("metric", metrics), named("param", params), named("tag", tags)].filter((part) => part !== "");
    const action = `Cannot log ${parts.join(" and ") || "nothing"} to run "${runId}"`;
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

  /**
   * The values of a metric, by time, then step, then value.
   *
   * @param options `maxResults`: the most values to give. @default {Infinity}
   */
  async getMetricHistory(
    runId: string,
    key: string,
    options: { readonly maxResults?: number } = {},
  ): Promise<Metric[]> {
    return await this.#do(`Cannot get the history of metric "${key}" of run "${runId}"`, async (store) => {
      const getPage = (pageToken: string | undefined) => store.getMetricHistory(runId, key, { pageToken });
      return await new SearchResults(getPage, options.maxResults).toArray();
    });
  }

  /**
   * The values of a metric of several runs, for a chart: between two steps, thinned out evenly, the first and the last one
   * always among them; by run, then step, then time.
   *
   * @param options `startStep`, `endStep`: the first and the last step, both or none; `maxResults`: the most values of a run
   */
  async getMetricHistoryBulkInterval(
    runIds: readonly string[],
    key: string,
    options: { readonly startStep?: number; readonly endStep?: number; readonly maxResults?: number } = {},
  ): Promise<MetricOfRun[]> {
    return await this.#do(
      `Cannot get the history of metric "${key}" of ${runIds.length} runs`,
      (store) => store.getMetricHistoryBulkInterval(runIds, key, options),
    );
  }

  /** Records that a run has used a dataset: see `datasetFromTensors`, `datasetFromRows` and `datasetFromImages`. */
  async logInput(runId: string, dataset: Dataset, options: LogInputOptions = {}): Promise<void> {
    await this.logInputs(runId, { datasets: [datasetInput({ ...options, dataset })] });
  }

  /** Records datasets and models that a run has used. The same use is kept once. */
  async logInputs(
    runId: string,
    inputs: { readonly datasets?: readonly DatasetInput[]; readonly models?: readonly LoggedModelInput[] },
  ): Promise<void> {
    await this.#do(`Cannot log inputs of run "${runId}"`, (store) => store.logInputs(runId, inputs));
  }

  /** The datasets that the runs of experiments have used. */
  async searchDatasets(experimentIds: readonly string[]): Promise<DatasetSummary[]> {
    return await this.#do("Cannot search datasets", (store) => store.searchDatasets(experimentIds));
  }

  /** The parent of a nested run, or undefined. */
  async getParentRun(runId: string): Promise<RunRecord | undefined> {
    const parent = (await this.getRun(runId)).data.tags["mlflow.parentRunId"];
    return parent === undefined ? undefined : await this.getRun(parent);
  }

  /** Copies a local file among the run's artifacts, into the folder `artifactPath` or their root. */
  async logArtifact(
    runId: string,
    localPath: string,
    artifactPath = "",
    options: TransferOptions = {},
  ): Promise<void> {
    await this.#do(`Cannot log artifact "${localPath}" to run "${runId}"`, async () => {
      await uploadFile(await this.#ownArtifacts(runId), localPath, artifactPath, options);
    });
  }

  /** Copies what is in a local folder, with its folders, among the run's artifacts. */
  async logArtifacts(
    runId: string,
    localDirectory: string,
    artifactPath = "",
    options: TransferOptions = {},
  ): Promise<void> {
    await this.#do(`Cannot log artifacts "${localDirectory}" to run "${runId}"`, async () => {
      await uploadFolder(await this.#ownArtifacts(runId), localDirectory, artifactPath, options);
    });
  }

  /** Writes bytes or a stream to a file among the run's artifacts. */
  async logBytes(
    runId: string,
    content: Uint8Array | ReadableStream<Uint8Array>,
    artifactFile: string,
    options: TransferOptions = {},
  ): Promise<void> {
    await this.#do(
      `Cannot log artifact "${artifactFile}" to run "${runId}"`,
      async () => await (await this.#ownArtifacts(runId)).write(artifactFile, content, options),
    );
  }

  /** Writes what a stream gives to a file among the run's artifacts, in pieces. */
  async logStream(
    runId: string,
    stream: ReadableStream<Uint8Array>,
    artifactFile: string,
    options: TransferOptions = {},
  ): Promise<void> {
    await this.logBytes(runId, stream, artifactFile, options);
  }

  /** Writes text, as UTF-8, to a file among the run's artifacts. */
  async logText(runId: string, text: string, artifactFile: string): Promise<void> {
    await this.logBytes(runId, new TextEncoder().encode(text), artifactFile);
  }

  /** Writes a value to a file among the run's artifacts: as YAML where it ends in `.yaml` or `.yml`, else as JSON. */
  async logDict(runId: string, dictionary: unknown, artifactFile: string): Promise<void> {
    const text = /\.ya?ml$/i.test(artifactFile) ? await toYaml(dictionary) : toJson(dictionary);
    await this.logText(runId, text, artifactFile);
  }

  /** Writes a figure to a file among the run's artifacts, which ends in `.png` or `.svg`. */
  async logFigure(runId: string, figure: Figure, artifactFile: string): Promise<void> {
    if (/\.svg$/i.test(artifactFile)) await this.logText(runId, await figure.toSvg(), artifactFile);
    else if (/\.png$/i.test(artifactFile)) await this.logBytes(runId, await figure.toPng(), artifactFile);
    else throw new TypeError(`A figure is written to a file that ends in .png or .svg: received "${artifactFile}"`);
  }

  /**
   * Logs an image: to a file among the run's artifacts, or by `key` and `step`, which gives MLflow's UI a slider over the
   * steps. By a key its PNG and a small WebP are written to the folder `images`.
   *
   * @param target the file, or how the image is logged
   */
  async logImage(runId: string, image: ImageSource, target: string | LogImageOptions): Promise<void> {
    const options = imageOptions(target);
    await writeImage(this, runId, takeImage(image, options), options);
  }

  /**
   * Writes a table to a `.json` or `.parquet` file among the run's artifacts, behind the rows that are there. Its images
   * are files beside it. `mlflow.load_table` reads it, and MLflow's UI shows one of JSON.
   */
  async logTable(runId: string, data: TableData, artifactFile: string): Promise<void> {
    await writeTable(this, runId, takeTable(data), artifactFile);
  }

  /** Reads a table of runs of an experiment, the latest run's rows first. */
  async loadTable(experimentId: string, artifactFile: string, options: LoadTableOptions = {}): Promise<Table> {
    return await loadTables(this, experimentId, artifactFile, options);
  }

  /** A text file among the run's artifacts, read as UTF-8. */
  async loadText(runId: string, path: string): Promise<string> {
    return decodeText(await this.readArtifact(runId, path));
  }

  /** A JSON file among the run's artifacts, or a YAML one, which ends in `.yaml` or `.yml`. */
  async loadDict(runId: string, path: string): Promise<unknown> {
    return await parseDict(await this.readArtifact(runId, path), path);
  }

  /** An image among the run's artifacts. */
  async loadImage(runId: string, path: string, options: LoadImageOptions = {}): Promise<Image> {
    return await parseImage(await this.readArtifact(runId, path), options);
  }

  /**
   * The files and folders in a folder of the run's artifacts; none for a file or a missing folder. As in Python, the
   * files of a model that the run has put out are in the folder of its name, which the root does not list.
   */
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
   * @param destination the folder to copy into, or how it is copied. @default {a new temporary folder}
   */
  async downloadArtifacts(runId: string, path: string, destination: string | DownloadOptions = {}): Promise<string> {
    const { localDirectory, ...options } = typeof destination === "string"
      ? { localDirectory: destination }
      : destination;
    return await this.#do(`Cannot download artifacts "${path}" of run "${runId}"`, async () => {
      const name = basename(checkArtifactPath(path));
      const target = join(localDirectory ?? await Deno.makeTempDir({ prefix: "mlflow-" }), name);
      await (await this.#artifacts(runId)).download(path, target, options);
      return target;
    });
  }

  /**
   * Logs a tfjs model as an output of a run: its topology, weights and signature, with the run's params, and with
   * the run's metrics linked to it. Should writing its files break, the logged model is left `FAILED`.
   */
  async logModel(runId: string, model: TfjsModelLike, options: LogModelOptions = {}): Promise<LoggedModel> {
    const { name = "model", step, modelType, params = {}, tags = {}, modelId: given, ...rest } = options;
    const { registeredModelName, ...content } = rest;
    return await this.#do(`Cannot log model "${name}" to run "${runId}"`, async (store) => {
      const { info, data } = await store.getRun(runId);
      const ofModel = { params: { ...data.params, ...pythonTexts(params) }, tags: pythonTexts(tags) };
      const origin = ["mlflow.user", "mlflow.source.name", "mlflow.source.type"].filter((key) => key in data.tags);
      const created = given === undefined
        ? await store.createLoggedModel({
          experimentId: info.experimentId,
          name,
          sourceRunId: runId,
          modelType,
          params: ofModel.params,
          tags: { ...Object.fromEntries(origin.map((key) => [key, data.tags[key]])), ...ofModel.tags },
        })
        : await this.#added(store, given, ofModel);
      const { modelId, artifactLocation: location } = created;
      try {
        await store.logOutputs(runId, [{ modelId, step: step ?? 0 }]);
        await this.#linkMetrics(store, runId, Object.keys(data.metrics), modelId, step);
        const folder = { repository: await openRepository(location, { trackingUri: this.#uri }), path: "" };
        const { writeModel } = await import("./model/save.ts");
        await writeModel(model, folder, { modelId, runId, location }, content);
      } catch (error) {
        // The error that broke it is the one to be told.
        await store.finalizeLoggedModel(modelId, "FAILED").catch(() => {});
        throw error;
      }
      const logged = await store.finalizeLoggedModel(modelId, "READY");
      if (registeredModelName === undefined) return logged;
      const { registerModel } = await import("./model_registry.ts");
      await registerModel(`models:/${modelId}`, registeredModelName, { tags: options.tags, client: this });
      // The version is noted at the model.
      return await store.getLoggedModel(modelId);
    });
  }

  /** Adds params, those that it has not, and tags to a logged model. */
  async #added(
    store: TrackingStore,
    modelId: string,
    { params, tags }: {
      readonly params: Readonly<Record<string, string>>;
      readonly tags: Readonly<Record<string, string>>;
    },
  ): Promise<LoggedModel> {
    const model = await store.getLoggedModel(modelId);
    const missing = Object.entries(params).filter(([key]) => !(key in model.params));
    if (missing.length > 0) {
      await store.logLoggedModelParams(modelId, missing.map(([key, value]) => ({ key, value })));
    }
    if (Object.keys(tags).length > 0) await store.setLoggedModelTags(modelId, tags);
    return model;
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
    await this.#do(
      `Cannot set tags of model "${modelId}"`,
      (store) => store.setLoggedModelTags(modelId, pythonTexts(tags)),
    );
  }

  /** Removes a tag of a logged model. */
  async deleteLoggedModelTag(modelId: string, key: string): Promise<void> {
    await this.#do(
      `Cannot delete tag "${key}" of model "${modelId}"`,
      (store) => store.deleteLoggedModelTag(modelId, key),
    );
  }

  /** Adds params to a logged model. They are written as Python would write them. */
  async logModelParams(modelId: string, params: Readonly<Record<string, unknown>>): Promise<void> {
    const list = Object.entries(pythonTexts(params)).map(([key, value]) => ({ key, value }));
    await this.#do(`Cannot log params of model "${modelId}"`, (store) => store.logLoggedModelParams(modelId, list));
  }

  /** Copies a local file among a logged model's files, into the folder `artifactPath` or their root. */
  async logModelArtifact(
    modelId: string,
    localPath: string,
    artifactPath = "",
    options: TransferOptions = {},
  ): Promise<void> {
    await this.#do(`Cannot log artifact "${localPath}" to model "${modelId}"`, async () => {
      await uploadFile(await this.#modelArtifacts(modelId), localPath, artifactPath, options);
    });
  }

  /** Copies what is in a local folder, with its folders, among a logged model's files. */
  async logModelArtifacts(
    modelId: string,
    localDirectory: string,
    artifactPath = "",
    options: TransferOptions = {},
  ): Promise<void> {
    await this.#do(`Cannot log artifacts "${localDirectory}" to model "${modelId}"`, async () => {
      await uploadFolder(await this.#modelArtifacts(modelId), localDirectory, artifactPath, options);
    });
  }

  /** The files and folders in a folder of a logged model's files; none for a file or a missing folder. */
  async listLoggedModelArtifacts(modelId: string, path = ""): Promise<FileInfo[]> {
    return await this.#do(
      `Cannot list artifacts "${path}" of model "${modelId}"`,
      async () => await (await this.#modelArtifacts(modelId)).list(path),
    );
  }

  /** Moves a logged model to the trash. */
  async deleteLoggedModel(modelId: string): Promise<void> {
    await this.#do(`Cannot delete model "${modelId}"`, (store) => store.deleteLoggedModel(modelId));
  }

  /** The logged models of the experiments that the filter finds; without an order the latest made comes first. */
  searchLoggedModels(options: SearchLoggedModelsOptions): SearchResults<LoggedModel> {
    const { experimentIds, maxResults, ...search } = options;
    return this.#search(
      "models",
      maxResults,
      async (store, page) =>
        await store.searchLoggedModels(typeof experimentIds === "function" ? await experimentIds() : experimentIds, {
          ...search,
          ...page,
        }),
    );
  }

  /** Records that a run has put out models. */
  async logOutputs(runId: string, models: readonly LoggedModelOutput[]): Promise<void> {
    await this.#do(`Cannot log outputs of run "${runId}"`, (store) => store.logOutputs(runId, models));
  }

  /** Where a run's own artifacts are written. */
  async #ownArtifacts(runId: string): Promise<ArtifactRepository> {
    let artifactUri = this.#artifactUris.get(runId);
    if (artifactUri === undefined) {
      const store = await openStore(this.#uri);
      ({ info: { artifactUri } } = await store.getRun(runId));
      if (this.#artifactUris.size >= KNOWN_RUNS) this.#artifactUris.delete(this.#artifactUris.keys().next().value!);
      this.#artifactUris.set(runId, artifactUri);
    }
    return await openRepository(artifactUri, { trackingUri: this.#uri });
  }

  async #artifacts(runId: string): Promise<ArtifactRepository> {
    return await openRunRepository(runId, { trackingUri: this.#uri });
  }

  async #modelArtifacts(modelId: string): Promise<ArtifactRepository> {
    const store = await openStore(this.#uri);
    return await openRepository((await store.getLoggedModel(modelId)).artifactLocation, { trackingUri: this.#uri });
  }

  /** With an open store the work starts before this returns. */
  async #do<T>(action: string, work: (store: TrackingStore) => Promise<T>): Promise<T> {
    const opened = openStore(this.#uri);
    const store = opened instanceof Promise ? await opened : opened;
    return await doing(action, () => work(store));
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

/** A metric's value, of whose dataset only what identifies it goes along. */
export function metricInput(key: string, value: number, { dataset, ...options }: LogMetricOptions): MetricInput {
  if (dataset === undefined) return { ...options, key, value };
  return { ...options, key, value, dataset: { name: dataset.name, digest: dataset.digest } };
}

async function stat(path: string): Promise<Deno.FileInfo> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new MlflowError("RESOURCE_DOES_NOT_EXIST", "there is no such file or folder", { cause: error });
  }
}

async function uploadFile(
  artifacts: ArtifactRepository,
  localPath: string,
  artifactPath: string,
  options: TransferOptions,
): Promise<void> {
  const { isDirectory } = await stat(localPath);
  if (isDirectory) throw new MlflowError("INVALID_PARAMETER_VALUE", "it is a folder: log it with logArtifacts");
  await artifacts.upload(localPath, posix.join(checkArtifactPath(artifactPath), basename(localPath)), options);
}

async function uploadFolder(
  artifacts: ArtifactRepository,
  localDirectory: string,
  path: string,
  options: TransferOptions,
): Promise<void> {
  if (!(await stat(localDirectory)).isDirectory) {
    throw new MlflowError("INVALID_PARAMETER_VALUE", "it is a file: log it with logArtifact");
  }
  await artifacts.upload(localDirectory, checkArtifactPath(path), options);
}

/** The YAML library takes longer to load than a run to start: it is loaded where it is used. */
async function toYaml(value: unknown): Promise<string> {
  const { writeYaml } = await import("./yaml.ts");
  return writeYaml(value, { sortKeys: true });
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

/** `metric "loss"`, `params "a" and 3 more`. */
function named(noun: string, list: readonly { readonly key: string }[]): string {
  if (list.length === 0) return "";
  const more = list.length > 1 ? ` and ${list.length - 1} more` : "";
  return `${noun}${list.length > 1 ? "s" : ""} ${JSON.stringify(list[0].key) ?? "without a key"}${more}`;
}
