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
import { doing, MlflowError } from "../errors.ts";
import { readBooleanEnv, readEnv } from "../env.ts";
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
import { absoluteLocation } from "../artifacts/uri.ts";
import { SqliteDatabase } from "./sqlite_database.ts";
import { SqliteExperiments } from "./sqlite_experiments.ts";
import { SqliteInputs } from "./sqlite_inputs.ts";
import { SqliteMetrics } from "./sqlite_metrics.ts";
import { SqliteModels } from "./sqlite_models.ts";
import { SqliteRegistry } from "./sqlite_registry.ts";
import { SqliteRuns } from "./sqlite_runs.ts";
import { openSchema } from "./sqlite_schema.ts";
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
 * The embedded store: one SQLite file with MLflow's own tables, which MLflow reads and writes beside us.
 *
 * This class checks what it is given and holds the transactions; what is read and written stands in a file for each
 * subject.
 */
export class SqliteStore implements TrackingStore {
  readonly uri: string;
  readonly registry: SqliteRegistry;
  readonly #db: SqliteDatabase;
  readonly #policy: LengthPolicy;
  readonly #experiments: SqliteExperiments;
  readonly #metrics: SqliteMetrics;
  readonly #inputs: SqliteInputs;
  readonly #runs: SqliteRuns;
  readonly #models: SqliteModels;

  private constructor(uri: string, db: SqliteDatabase) {
    this.uri = uri;
    this.#db = db;
    this.#policy = { truncateLongValues: readBooleanEnv("MLFLOW_TRUNCATE_LONG_VALUES", true) };
    this.#experiments = new SqliteExperiments(
      db,
      absoluteLocation(readEnv("_MLFLOW_SERVER_ARTIFACT_ROOT") ?? "./mlruns"),
    );
    this.#metrics = new SqliteMetrics(db);
    this.#inputs = new SqliteInputs(db);
    this.#runs = new SqliteRuns(db, this.#experiments, this.#metrics, this.#inputs);
    this.#models = new SqliteModels(db, this.#experiments);
    this.registry = new SqliteRegistry(db);
  }

  /**
   * Opens a `sqlite:` URI, making the file and its tables where they are missing, or a new and empty store in memory.
   *
   * @param uri `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite:///:memory:`, or `memory:` with any name. As a
   * tracking URI, `memory:name` means the same store wherever it is used in the program, and another name another one
   */
  static async open(uri: string): Promise<SqliteStore> {
    return await doing(`Cannot open tracking store "${uri}"`, async () => {
      const db = await SqliteDatabase.open(sqlitePath(uri));
      try {
        const store = new SqliteStore(uri, db);
        await openSchema(db, () => store.#experiments.insertDefault());
        return store;
      } catch (error) {
        db.close();
        throw error;
      }
    });
  }

  async createExperiment(name: string, options: NewExperiment = {}): Promise<string> {
    const { location, tags } = checkNewExperiment(name, options);
    return await this.#db.write(() => this.#experiments.insert(name, location, tags, options.artifactRoot));
  }

  async getExperiment(experimentId: string): Promise<Experiment> {
    return await this.#db.read(() => this.#experiments.get(experimentId));
  }

  async getExperimentByName(name: string): Promise<Experiment | undefined> {
    return await this.#db.read(() => this.#experiments.getByName(name));
  }

  async renameExperiment(experimentId: string, name: string): Promise<void> {
    checkExperimentName(name);
    await this.#db.write(() => this.#experiments.rename(experimentId, name));
  }

  async deleteExperiment(experimentId: string): Promise<void> {
    await this.#db.write(() => this.#experiments.move(experimentId, "active", "deleted"));
  }

  async restoreExperiment(experimentId: string): Promise<void> {
    await this.#db.write(() => this.#experiments.move(experimentId, "deleted", "active"));
  }

  async setExperimentTag(experimentId: string, key: string, value: string): Promise<void> {
    checkExperimentTag(key, value);
    await this.#db.write(() => this.#experiments.setTag(experimentId, key, value));
  }

  async deleteExperimentTag(experimentId: string, key: string): Promise<void> {
    await this.#db.write(() => this.#experiments.deleteTag(experimentId, key));
  }

  async searchExperiments(search: StoreSearch = {}): Promise<Page<Experiment>> {
    return await this.#db.read(() => this.#experiments.search(search));
  }

  async createRun(run: NewRun): Promise<RunRecord> {
    const tags = Object.entries(run.tags ?? {}).map(([key, value]) => ({ key, value }));
    const checked = checkBatch({ tags }, this.#policy);
    return await this.#db.write(() => this.#runs.insert(run, checked.tags));
  }

  async getRun(runId: string): Promise<RunRecord> {
    return await this.#db.read(() => this.#runs.get(runId));
  }

  async updateRun(runId: string, update: RunUpdate): Promise<RunInfo> {
    return await this.#db.write(() => this.#runs.update(runId, update));
  }

  async deleteRun(runId: string): Promise<void> {
    await this.#db.write(() => this.#runs.move(runId, "deleted"));
  }

  async restoreRun(runId: string): Promise<void> {
    await this.#db.write(() => this.#runs.move(runId, "active"));
  }

  async logBatch(runId: string, batch: Batch): Promise<void> {
    checkRunId(runId);
    const checked = checkBatch(batch, this.#policy);
    await this.#db.write(() => this.#runs.logBatch(runId, checked));
  }

  async deleteTag(runId: string, key: string): Promise<void> {
    await this.#db.write(() => this.#runs.deleteTag(runId, key));
  }

  async getMetricHistory(
    runId: string,
    key: string,
    options: { readonly maxResults?: number; readonly pageToken?: string } = {},
  ): Promise<Page<Metric>> {
    return await this.#db.read(() => this.#metrics.history(runId, key, options));
  }

  async getMetricHistoryBulkInterval(
    runIds: readonly string[],
    key: string,
    options: { readonly startStep?: number; readonly endStep?: number; readonly maxResults?: number } = {},
  ): Promise<MetricOfRun[]> {
    const { startStep, endStep, maxResults } = checkBulkInterval(runIds, options);
    return await this.#db.read(() =>
      runIds.flatMap((runId) => this.#metrics.sample(runId, key, maxResults, startStep, endStep))
    );
  }

  async logInputs(
    runId: string,
    inputs: { readonly datasets?: readonly DatasetInput[]; readonly models?: readonly LoggedModelInput[] },
  ): Promise<void> {
    const { datasets = [], models = [] } = inputs;
    checkRunId(runId);
    checkDatasetInputs(datasets);
    await this.#db.write(() => {
      this.#runs.checkActive(runId);
      this.#inputs.putDatasets(runId, datasets);
      this.#inputs.putModelInputs(runId, models);
    });
  }

  async searchDatasets(experimentIds: readonly string[]): Promise<DatasetSummary[]> {
    const ids = checkDatasetSearch(experimentIds);
    return await this.#db.read(() => this.#inputs.summaries(ids));
  }

  async searchRuns(experimentIds: readonly string[], search: StoreSearch = {}): Promise<Page<RunRecord>> {
    return await this.#db.read(() => this.#runs.search(experimentIds, search));
  }

  async createLoggedModel(model: NewLoggedModel): Promise<LoggedModel> {
    checkLoggedModelName(model.name);
    return await this.#db.write(() => this.#models.insert(model));
  }

  async getLoggedModel(modelId: string): Promise<LoggedModel> {
    return await this.#db.read(() => this.#models.get(modelId));
  }

  async finalizeLoggedModel(modelId: string, status: "READY" | "FAILED"): Promise<LoggedModel> {
    return await this.#db.write(() => this.#models.finalize(modelId, status));
  }

  async logLoggedModelParams(modelId: string, params: readonly Param[]): Promise<void> {
    await this.#db.write(() => this.#models.logParams(modelId, params));
  }

  async setLoggedModelTags(modelId: string, tags: Readonly<Record<string, string>>): Promise<void> {
    await this.#db.write(() => this.#models.setTags(modelId, tags));
  }

  async deleteLoggedModelTag(modelId: string, key: string): Promise<void> {
    await this.#db.write(() => this.#models.deleteTag(modelId, key));
  }

  async deleteLoggedModel(modelId: string): Promise<void> {
    await this.#db.write(() => this.#models.delete(modelId));
  }

  async searchLoggedModels(
    experimentIds: readonly string[],
    search: LoggedModelSearch = {},
  ): Promise<Page<LoggedModel>> {
    return await this.#db.read(() => this.#models.search(experimentIds, search));
  }

  async logOutputs(runId: string, models: readonly LoggedModelOutput[]): Promise<void> {
    await this.#db.write(() => {
      this.#runs.checkActive(runId);
      this.#inputs.putModelOutputs(runId, models);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#db.close();
  }
}

/** The file that a `sqlite:` URI names; three slashes mean a path from the working directory, four one from the root. */
export function sqlitePath(uri: string): string {
  if (uri.startsWith("memory:")) return ":memory:";
  const path = /^sqlite:\/\/\/([^?#]+)$/.exec(uri)?.[1];
  if (path === undefined) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      "a SQLite URI reads sqlite:///relative/path.db, sqlite:////absolute/path.db or sqlite:///:memory:",
    );
  }
  return path;
}
