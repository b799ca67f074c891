import { pathToFileURL } from "node:url";
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
import { readBooleanEnv } from "../env.ts";
import { MlflowError } from "../errors.ts";
import {
  checkBatch,
  checkBulkInterval,
  checkDatasetInputs,
  checkDatasetSearch,
  checkExperimentName,
  checkExperimentTag,
  checkLoggedModelName,
  checkNewExperiment,
  checkRunId,
  type LengthPolicy,
} from "../validate.ts";
import { FileExperiments } from "./file/experiments.ts";
import { locked } from "./file/files.ts";
import { FileInputs } from "./file/inputs.ts";
import { Layout } from "./file/layout.ts";
import { absoluteFolderUri, folderOf } from "./file/location.ts";
import { FileModels } from "./file/models.ts";
import { FileRegistry } from "./file/registry.ts";
import { FileRuns } from "./file/runs.ts";
import { experimentQuery, isInView, loggedModelQuery } from "./in_memory_search.ts";
import { loggedModelOffset, loggedModelPage, pageOf, pageOffset, resultLimit } from "./page.ts";
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

/**
 * The store of a folder such as `./mlruns`, laid out as MLflow's file store, which MLflow reads and writes beside us
 * where it is told to (`MLFLOW_ALLOW_FILE_STORE=true`).
 *
 * What writes has written when it returns its promise. Of two processes of this library that write to one run one waits
 * for the other; MLflow's own do not.
 */
export class FileStore implements TrackingStore {
  readonly uri: string;
  readonly registry: FileRegistry;
  readonly #policy: LengthPolicy;
  readonly #experiments: FileExperiments;
  readonly #inputs: FileInputs;
  readonly #models: FileModels;
  readonly #runs: FileRuns;

  private constructor(uri: string) {
    const root = folderOf(uri);
    const layout = new Layout(root);
    this.uri = absoluteFolderUri(uri);
    this.#policy = { truncateLongValues: readBooleanEnv("MLFLOW_TRUNCATE_LONG_VALUES", true) };
    // As in MLflow, artifacts get paths in a store that was opened by a path, and URIs in one opened by a URI.
    this.#experiments = new FileExperiments(layout, uri.startsWith("file:") ? pathToFileURL(root).href : root);
    this.#inputs = new FileInputs(layout, this.#experiments);
    this.#models = new FileModels(layout, this.#experiments);
    this.#runs = new FileRuns(layout, this.#experiments, this.#models);
    this.registry = new FileRegistry(root);
  }

  /**
   * Opens a folder, which is made with its default experiment where it is missing.
   *
   * @param uri `./mlruns`, `file:./mlruns` or `file:///home/me/mlruns`
   */
  static async open(uri: string): Promise<FileStore> {
    const root = folderOf(uri);
    try {
      Deno.mkdirSync(root, { recursive: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists || error instanceof Deno.errors.NotADirectory)) throw error;
      throw new MlflowError("INVALID_PARAMETER_VALUE", `${JSON.stringify(root)} is a file and not a folder`, {
        action: `Cannot open tracking store "${uri}"`,
        cause: error,
      });
    }
    const store = new FileStore(uri);
    store.#experiments.makeDefault();
    return store;
  }

  async createExperiment(name: string, options: NewExperiment = {}): Promise<string> {
    const { location, tags } = checkNewExperiment(name, options);
    return this.#experiments.create(name, location, tags, options.artifactRoot);
  }

  async getExperiment(experimentId: string): Promise<Experiment> {
    return await this.#experiments.get(experimentId);
  }

  async getExperimentByName(name: string): Promise<Experiment | undefined> {
    return await this.#experiments.getByName(name);
  }

  async renameExperiment(experimentId: string, name: string): Promise<void> {
    checkExperimentName(name);
    this.#experiments.rename(experimentId, name);
  }

  async deleteExperiment(experimentId: string): Promise<void> {
    this.#experiments.move(experimentId, "deleted");
  }

  async restoreExperiment(experimentId: string): Promise<void> {
    this.#experiments.move(experimentId, "active");
  }

  async setExperimentTag(experimentId: string, key: string, value: string): Promise<void> {
    checkExperimentTag(key, value);
    this.#experiments.setTag(experimentId, key, value);
  }

  async deleteExperimentTag(experimentId: string, key: string): Promise<void> {
    this.#experiments.deleteTag(experimentId, key);
  }

  async searchExperiments(search: StoreSearch = {}): Promise<Page<Experiment>> {
    const limit = resultLimit(search.maxResults, 1000);
    const offset = pageOffset(search.pageToken);
    const query = experimentQuery(search);
    const inView = (await this.#experiments.all()).filter(({ lifecycleStage }) =>
      isInView(lifecycleStage, search.viewType)
    );
    return pageOf(query.find(inView).slice(offset, offset + limit + 1), limit, offset);
  }

  async createRun(run: NewRun): Promise<RunRecord> {
    const tags = Object.entries(run.tags ?? {}).map(([key, value]) => ({ key, value }));
    return await this.#runs.create(run, checkBatch({ tags }, this.#policy).tags);
  }

  async getRun(runId: string): Promise<RunRecord> {
    return await this.#runs.get(runId);
  }

  async updateRun(runId: string, update: RunUpdate): Promise<RunInfo> {
    return this.#runs.update(runId, update);
  }

  async deleteRun(runId: string): Promise<void> {
    this.#runs.move(runId, "deleted");
  }

  async restoreRun(runId: string): Promise<void> {
    this.#runs.move(runId, "active");
  }

  async logBatch(runId: string, batch: Batch): Promise<void> {
    checkRunId(runId);
    this.#runs.logBatch(runId, checkBatch(batch, this.#policy));
  }

  async deleteTag(runId: string, key: string): Promise<void> {
    this.#runs.deleteTag(runId, key);
  }

  async getMetricHistory(
    runId: string,
    key: string,
    options: { readonly maxResults?: number; readonly pageToken?: string } = {},
  ): Promise<Page<Metric>> {
    const limit = resultLimit(options.maxResults, 25_000);
    const offset = pageOffset(options.pageToken);
    return pageOf(this.#runs.history(runId, key).slice(offset, offset + limit + 1), limit, offset);
  }

  async getMetricHistoryBulkInterval(
    runIds: readonly string[],
    key: string,
    options: { readonly startStep?: number; readonly endStep?: number; readonly maxResults?: number } = {},
  ): Promise<MetricOfRun[]> {
    const { startStep, endStep, maxResults } = checkBulkInterval(runIds, options);
    return runIds.flatMap((runId) =>
      this.#runs.sample(runId, key, maxResults, startStep, endStep).map((metric) => ({ ...metric, runId }))
    );
  }

  async logInputs(
    runId: string,
    inputs: { readonly datasets?: readonly DatasetInput[]; readonly models?: readonly LoggedModelInput[] },
  ): Promise<void> {
    const { datasets = [], models = [] } = inputs;
    checkDatasetInputs(datasets);
    const place = this.#runs.activePlace(runId);
    locked(place.folder, () => {
      this.#inputs.putDatasets(place, datasets);
      this.#inputs.putModelInputs(place, models);
    });
  }

  async searchDatasets(experimentIds: readonly string[]): Promise<DatasetSummary[]> {
    checkDatasetSearch(experimentIds);
    return await this.#inputs.summaries(experimentIds);
  }

  async searchRuns(experimentIds: readonly string[], search: StoreSearch = {}): Promise<Page<RunRecord>> {
    const limit = resultLimit(search.maxResults, 1000);
    const offset = pageOffset(search.pageToken);
    return pageOf(await this.#runs.search(experimentIds, search, offset, limit), limit, offset);
  }

  async createLoggedModel(model: NewLoggedModel): Promise<LoggedModel> {
    checkLoggedModelName(model.name);
    return await this.#models.get(this.#models.create(model));
  }

  async getLoggedModel(modelId: string): Promise<LoggedModel> {
    return await this.#models.get(modelId);
  }

  async finalizeLoggedModel(modelId: string, status: "READY" | "FAILED"): Promise<LoggedModel> {
    return await this.#models.finalize(modelId, status);
  }

  async logLoggedModelParams(modelId: string, params: readonly Param[]): Promise<void> {
    this.#models.logParams(modelId, params);
  }

  async setLoggedModelTags(modelId: string, tags: Readonly<Record<string, string>>): Promise<void> {
    this.#models.setTags(modelId, tags);
  }

  async deleteLoggedModelTag(modelId: string, key: string): Promise<void> {
    this.#models.deleteTag(modelId, key);
  }

  async deleteLoggedModel(modelId: string): Promise<void> {
    this.#models.delete(modelId);
  }

  async searchLoggedModels(
    experimentIds: readonly string[],
    search: LoggedModelSearch = {},
  ): Promise<Page<LoggedModel>> {
    const limit = resultLimit(search.maxResults, 100);
    const offset = loggedModelOffset(experimentIds, search);
    const query = loggedModelQuery(search);
    const found = query.find(await this.#models.all(experimentIds)).slice(offset, offset + limit + 1);
    return loggedModelPage(found, limit, offset, experimentIds, search);
  }

  async logOutputs(runId: string, models: readonly LoggedModelOutput[]): Promise<void> {
    const place = this.#runs.activePlace(runId);
    locked(place.folder, () => this.#inputs.putModelOutputs(place, models));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is held open.
  }
}
