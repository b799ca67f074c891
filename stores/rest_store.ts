import { readBooleanEnv } from "../env.ts";
import type {
  DatasetInput,
  DatasetSummary,
  Experiment,
  LoggedModel,
  LoggedModelInput,
  LoggedModelOutput,
  Metric,
  MetricOfRun,
  Page,
  Param,
  RunInfo,
  RunRecord,
} from "../entities.ts";
import { MlflowError } from "../errors.ts";
import {
  checkBatch,
  type CheckedBatch,
  checkExperimentName,
  checkExperimentTag,
  checkLoggedModelName,
  checkRunId,
} from "../validate.ts";
import { HttpClient, type HttpOptions, type HttpRequest } from "./http.ts";
import { pageOf, pageOffset, resultLimit } from "./page.ts";
import { RestRegistry } from "./rest_registry.ts";
import type {
  Batch,
  LoggedModelSearch,
  NewExperiment,
  NewLoggedModel,
  NewRun,
  RunUpdate,
  StoreSearch,
  TrackingStore,
} from "./store.ts";
import {
  type Json,
  readDatasetSummary,
  readExperiment,
  readList,
  readLoggedModel,
  readMetric,
  readMetricOfRun,
  readPage,
  readPart,
  readRun,
  readRunInfo,
  readText,
  writeCheckedMetric,
  writeDatasetInput,
  writeModelInput,
  writeModelOutput,
  writeModelStatus,
  writeRecord,
} from "./wire.ts";

const API = "/api/2.0/mlflow";
const USER_TAG = "mlflow.user";
/** Most values on a page of a metric's history, as MLflow's own client asks for them. */
const HISTORY_PAGE = 25_000;
/** Most bytes of a batch that MLflow's server takes, with room for the run's id and the brackets. */
const MAX_BATCH_BYTES = 1_000_000 - 1000;
/** Most params that a server takes with one request for a logged model. */
const MODEL_PARAMS = 100;

/** A store on an MLflow tracking server, asked over HTTP. */
export class RestStore implements TrackingStore {
  readonly uri: string;
  readonly registry: RestRegistry;
  readonly #http: HttpClient;
  readonly #truncateLongValues: boolean = readBooleanEnv("MLFLOW_TRUNCATE_LONG_VALUES", true);
  /** Servers before MLflow 3.4 give a metric's whole history at once. */
  #pagesHistory = true;

  private constructor(http: HttpClient) {
    // A name and password of the URL stay with the client: an object that is printed must not show them.
    this.uri = http.url;
    this.#http = http;
    this.registry = new RestRegistry(http);
  }

  /**
   * Makes ready to ask a server; nothing is sent yet.
   *
   * @param uri the server's URL, with a path if it has one
   * @param options how requests are sent
   */
  static async open(uri: string, options: HttpOptions = {}): Promise<RestStore> {
    return new RestStore(await HttpClient.open(uri, options));
  }

  async createExperiment(name: string, options: NewExperiment = {}): Promise<string> {
    checkExperimentName(name);
    const tags = writeRecord(options.tags);
    for (const { key, value } of tags) checkExperimentTag(key, value);
    const json = { name, artifact_location: options.artifactLocation || undefined, tags };
    const reply = await this.#post("experiments/create", json, { repeatable: false });
    return readText(reply.experiment_id);
  }

  async getExperiment(experimentId: string): Promise<Experiment> {
    return readExperiment(await this.#get("experiments/get", { experiment_id: experimentId }, "experiment"));
  }

  async getExperimentByName(name: string): Promise<Experiment | undefined> {
    try {
      return readExperiment(await this.#get("experiments/get-by-name", { experiment_name: name }, "experiment"));
    } catch (error) {
      if (error instanceof MlflowError && error.code === "RESOURCE_DOES_NOT_EXIST") return undefined;
      throw error;
    }
  }

  async renameExperiment(experimentId: string, name: string): Promise<void> {
    checkExperimentName(name);
    await this.#post("experiments/update", { experiment_id: experimentId, new_name: name });
  }

  async deleteExperiment(experimentId: string): Promise<void> {
    await this.#post("experiments/delete", { experiment_id: experimentId }, { doneIfMissing: true });
  }

  async restoreExperiment(experimentId: string): Promise<void> {
    await this.#post("experiments/restore", { experiment_id: experimentId }, { doneIfMissing: true });
  }

  async setExperimentTag(experimentId: string, key: string, value: string): Promise<void> {
    checkExperimentTag(key, value);
    await this.#post("experiments/set-experiment-tag", { experiment_id: experimentId, key, value });
  }

  async deleteExperimentTag(experimentId: string, key: string): Promise<void> {
    await this.#post("experiments/delete-experiment-tag", { experiment_id: experimentId, key }, {
      doneIfMissing: true,
    });
  }

  async searchExperiments(search: StoreSearch = {}): Promise<Page<Experiment>> {
    const reply = await this.#post("experiments/search", {
      view_type: search.viewType ?? "ACTIVE_ONLY",
      ...writeSearch(search, 1000),
    });
    return readPage(reply, "experiments", readExperiment);
  }

  async createRun(run: NewRun): Promise<RunRecord> {
    const tags = checkBatch({ tags: writeRecord(run.tags) }, this.#policy).tags;
    const json = {
      experiment_id: run.experimentId,
      user_id: run.userId ?? run.tags?.[USER_TAG] ?? "unknown",
      start_time: run.startTime ?? Date.now(),
      run_name: run.runName || undefined,
      tags,
    };
    const reply = await this.#post("runs/create", json, { repeatable: false, wants: "run" });
    return readRun(readPart(reply, "run"));
  }

  async getRun(runId: string): Promise<RunRecord> {
    return readRun(await this.#get("runs/get", { run_id: runId }, "run"));
  }

  async updateRun(runId: string, { status, endTime, runName }: RunUpdate): Promise<RunInfo> {
    const json = { run_id: runId, status, end_time: endTime, run_name: runName || undefined };
    return readRunInfo(readPart(await this.#post("runs/update", json, { wants: "run_info" }), "run_info"));
  }

  async deleteRun(runId: string): Promise<void> {
    await this.#post("runs/delete", { run_id: runId });
  }

  async restoreRun(runId: string): Promise<void> {
    await this.#post("runs/restore", { run_id: runId });
  }

  /** As the interface says; what does not fit into one request of 1 MB is sent, and written, in several. */
  async logBatch(runId: string, batch: Batch): Promise<void> {
    checkRunId(runId);
    const checked = checkBatch(batch, this.#policy);
    const { metrics, params, tags } = checked;
    if (metrics.length + params.length + tags.length === 1) {
      // The requests for one value alone are those whose errors speak of that value.
      for (const metric of metrics) {
        await this.#post("runs/log-metric", { run_id: runId, ...writeCheckedMetric(metric) });
      }
      for (const param of params) await this.#post("runs/log-parameter", { run_id: runId, ...param });
      for (const tag of tags) await this.#post("runs/set-tag", { run_id: runId, ...tag });
      return;
    }
    for (const json of splitBatch(checked)) await this.#post("runs/log-batch", { run_id: runId, ...json });
  }

  async deleteTag(runId: string, key: string): Promise<void> {
    await this.#post("runs/delete-tag", { run_id: runId, key }, { doneIfMissing: true });
  }

  async getMetricHistory(
    runId: string,
    key: string,
    options: { readonly maxResults?: number; readonly pageToken?: string } = {},
  ): Promise<Page<Metric>> {
    const limit = resultLimit(options.maxResults, HISTORY_PAGE);
    const ask = (page: HttpRequest["query"]) =>
      this.#http.json({
        method: "GET",
        path: `${API}/metrics/get-history`,
        query: { run_id: runId, metric_key: key, ...page },
      });
    let reply: Json;
    try {
      reply = await ask(this.#pagesHistory ? { max_results: limit, page_token: options.pageToken } : {});
    } catch (error) {
      if (!(error instanceof MlflowError) || !error.reason.includes("does not support pagination")) throw error;
      this.#pagesHistory = false;
      reply = await ask({});
    }
    const { items, nextPageToken } = readPage(reply, "metrics", readMetric);
    if (items.length > limit) this.#pagesHistory = false;
    if (this.#pagesHistory && (nextPageToken !== undefined || options.pageToken !== undefined)) {
      return { items, nextPageToken };
    }
    // What comes at once, from an old server, is in no order and of any length.
    const sorted = items.toSorted((a, b) =>
      a.timestamp - b.timestamp || a.step - b.step || (a.value || 0) - (b.value || 0)
    );
    const offset = pageOffset(options.pageToken);
    return pageOf(sorted.slice(offset, offset + limit + 1), limit, offset);
  }

  async getMetricHistoryBulkInterval(
    runIds: readonly string[],
    key: string,
    options: { readonly startStep?: number; readonly endStep?: number; readonly maxResults?: number } = {},
  ): Promise<MetricOfRun[]> {
    const reply = await this.#http.json({
      method: "GET",
      path: `${API}/metrics/get-history-bulk-interval`,
      query: {
        run_ids: runIds,
        metric_key: key,
        start_step: options.startStep,
        end_step: options.endStep,
        max_results: options.maxResults,
      },
    });
    return readList(reply.metrics).map(readMetricOfRun);
  }

  async logInputs(
    runId: string,
    inputs: { readonly datasets?: readonly DatasetInput[]; readonly models?: readonly LoggedModelInput[] },
  ): Promise<void> {
    const datasets = inputs.datasets?.map(writeDatasetInput);
    await this.#post("runs/log-inputs", { run_id: runId, datasets, models: inputs.models?.map(writeModelInput) });
  }

  async searchDatasets(experimentIds: readonly string[]): Promise<DatasetSummary[]> {
    const reply = await this.#http.json({
      method: "POST",
      // The server knows this one only where its own pages look for it.
      path: "/ajax-api/2.0/mlflow/experiments/search-datasets",
      json: { experiment_ids: experimentIds },
      repeatable: true,
    });
    return readList(reply.dataset_summaries).map(readDatasetSummary);
  }

  async searchRuns(experimentIds: readonly string[], search: StoreSearch = {}): Promise<Page<RunRecord>> {
    const reply = await this.#post("runs/search", {
      experiment_ids: experimentIds,
      run_view_type: search.viewType ?? "ACTIVE_ONLY",
      ...writeSearch(search, 1000),
    });
    return readPage(reply, "runs", readRun);
  }

  async createLoggedModel(model: NewLoggedModel): Promise<LoggedModel> {
    checkLoggedModelName(model.name);
    const params = writeRecord(model.params);
    const json = {
      experiment_id: model.experimentId,
      name: model.name,
      model_type: model.modelType,
      source_run_id: model.sourceRunId,
      params: params.slice(0, MODEL_PARAMS),
      tags: writeRecord(model.tags),
    };
    const reply = await this.#post("logged-models", json, { repeatable: false, wants: "model" });
    const made = readLoggedModel(readPart(reply, "model"));
    if (params.length <= MODEL_PARAMS) return made;
    await this.logLoggedModelParams(made.modelId, params.slice(MODEL_PARAMS));
    return await this.getLoggedModel(made.modelId);
  }

  async getLoggedModel(modelId: string): Promise<LoggedModel> {
    return readLoggedModel(await this.#get(modelPath(modelId), {}, "model"));
  }

  async finalizeLoggedModel(modelId: string, status: "READY" | "FAILED"): Promise<LoggedModel> {
    const json = { model_id: modelId, status: writeModelStatus(status) };
    const reply = await this.#send("PATCH", modelPath(modelId), json, { wants: "model" });
    return readLoggedModel(readPart(reply, "model"));
  }

  async logLoggedModelParams(modelId: string, params: readonly Param[]): Promise<void> {
    for (const some of parts(params, MODEL_PARAMS)) {
      const json = { model_id: modelId, params: some };
      await this.#post(`${modelPath(modelId)}/params`, json, { repeatable: false });
    }
  }

  async deleteLoggedModelTag(modelId: string, key: string): Promise<void> {
    const path = `${modelPath(modelId)}/tags/${encodeURIComponent(key)}`;
    await this.#send("DELETE", path, undefined, { doneIfMissing: true });
  }

  async setLoggedModelTags(modelId: string, tags: Readonly<Record<string, string>>): Promise<void> {
    await this.#send("PATCH", `${modelPath(modelId)}/tags`, { tags: writeRecord(tags) });
  }

  async deleteLoggedModel(modelId: string): Promise<void> {
    await this.#send("DELETE", modelPath(modelId), undefined, { doneIfMissing: true });
  }

  async searchLoggedModels(
    experimentIds: readonly string[],
    search: LoggedModelSearch = {},
  ): Promise<Page<LoggedModel>> {
    const reply = await this.#post("logged-models/search", {
      experiment_ids: experimentIds,
      filter: search.filter || undefined,
      datasets: search.datasets?.map(({ name, digest }) => ({ dataset_name: name, dataset_digest: digest })),
      order_by: search.orderBy?.map((order) => ({
        field_name: order.fieldName,
        ascending: order.ascending ?? true,
        dataset_name: order.datasetName,
        dataset_digest: order.datasetDigest,
      })),
      max_results: resultLimit(search.maxResults, 100),
      page_token: search.pageToken,
    });
    return readPage(reply, "models", readLoggedModel);
  }

  async logOutputs(runId: string, models: readonly LoggedModelOutput[]): Promise<void> {
    await this.#post("runs/outputs", { run_id: runId, models: models.map(writeModelOutput) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#http[Symbol.dispose]();
  }

  get #policy() {
    return { truncateLongValues: this.#truncateLongValues };
  }

  /** The object of this name in the reply to a GET. */
  async #get(path: string, query: HttpRequest["query"], wants: string): Promise<Json> {
    return readPart(await this.#http.json({ method: "GET", path: `${API}/${path}`, query, wants }), wants);
  }

  /** Sends a POST; all but those that say so do nothing more if they are done twice. */
  async #post(path: string, json: Json, options: Partial<HttpRequest> = {}): Promise<Json> {
    return await this.#http.json({ repeatable: true, ...options, method: "POST", path: `${API}/${path}`, json });
  }

  async #send(
    method: "PATCH" | "DELETE",
    path: string,
    json?: Json,
    options: Partial<HttpRequest> = {},
  ): Promise<Json> {
    return await this.#http.json({ ...options, method, path: `${API}/${path}`, json });
  }
}

function modelPath(modelId: string): string {
  return `logged-models/${encodeURIComponent(modelId)}`;
}

function writeSearch(search: StoreSearch, maxResults: number): Json {
  return {
    filter: search.filter || undefined,
    order_by: search.orderBy,
    // Without it the server's answer depends on its release.
    max_results: resultLimit(search.maxResults, maxResults),
    page_token: search.pageToken,
  };
}

/** The list in pieces of at most `size`. */
function parts<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));
}

/** A batch as the bodies of requests that each are small enough, in MLflow's order: params, metrics, tags. */
function splitBatch(batch: CheckedBatch): Json[] {
  const entries = [
    ...batch.params.map((param) => ["params", param] as const),
    ...batch.metrics.map((metric) => ["metrics", writeCheckedMetric(metric)] as const),
    ...batch.tags.map((tag) => ["tags", tag] as const),
  ];
  const encoder = new TextEncoder();
  const bodies: Record<string, object[]>[] = [{}];
  let size = 0;
  for (const [name, entry] of entries) {
    const bytes = encoder.encode(JSON.stringify(entry)).length + 1;
    if (size + bytes > MAX_BATCH_BYTES) {
      bodies.push({});
      size = 0;
    }
    size += bytes;
    (bodies.at(-1)![name] ??= []).push(entry);
  }
  return bodies;
}
