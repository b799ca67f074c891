import { resolve } from "@std/path";
import type {
  Experiment,
  LoggedModel,
  LoggedModelOutput,
  Metric,
  Page,
  RunInfo,
  RunRecord,
  RunStatus,
  Tag,
} from "../entities.ts";
import { doing, MlflowError } from "../errors.ts";
import { readBooleanEnv, readEnv } from "../env.ts";
import {
  checkBatch,
  type CheckedMetric,
  checkExperimentName,
  checkExperimentTag,
  checkLoggedModelName,
  checkRunId,
  parseExperimentId,
} from "../validate.ts";
import { appendToUri, hasScheme } from "../artifacts/uri.ts";
import { pageOf, pageOffset, resultLimit } from "./page.ts";
import { randomRunName } from "./run_name.ts";
import { experimentQuery, runQuery } from "./sqlite_query.ts";
import { SqliteDatabase } from "./sqlite_database.ts";
import { openSchema } from "./sqlite_schema.ts";
import {
  type Batch,
  LOGGED_MODEL_STATUSES,
  type NewLoggedModel,
  type NewRun,
  type RunUpdate,
  type StoreSearch,
  type TrackingStore,
} from "./store.ts";

/** The largest finite double: what MLflow writes for infinity, which SQL cannot hold. */
const INFINITY_IN_SQL = Number.MAX_VALUE;
const RUN_NAME_TAG = "mlflow.runName";
const USER_TAG = "mlflow.user";

// Times and steps are read as reals: node:sqlite refuses integers above 2^53, which other clients may write.
const RUN_COLUMNS = "run_uuid, name, experiment_id, user_id, status, CAST(start_time AS REAL) AS start_time, " +
  "CAST(end_time AS REAL) AS end_time, lifecycle_stage, artifact_uri";
const EXPERIMENT_COLUMNS = "experiment_id, name, artifact_location, lifecycle_stage, " +
  "CAST(creation_time AS REAL) AS creation_time, CAST(last_update_time AS REAL) AS last_update_time";
const METRIC_COLUMNS = "key, value, is_nan, CAST(timestamp AS REAL) AS timestamp, CAST(step AS REAL) AS step";

/** Many rows in one statement take half the time of as many statements; the largest statement first. */
const METRIC_INSERTS = [250, 25, 1].map((size) => ({
  size,
  sql: "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES " +
    Array(size).fill("(?, ?, ?, ?, ?, ?)").join(", ") + " ON CONFLICT DO NOTHING",
}));

/** The embedded store: one SQLite file with MLflow's own tables, which MLflow reads and writes beside us. */
export class SqliteStore implements TrackingStore {
  readonly uri: string;
  readonly #db: SqliteDatabase;
  readonly #artifactRoot: string;
  readonly #truncateLongValues: boolean;

  private constructor(uri: string, db: SqliteDatabase) {
    this.uri = uri;
    this.#db = db;
    this.#artifactRoot = resolveRoot(readEnv("_MLFLOW_SERVER_ARTIFACT_ROOT") ?? "./mlruns");
    this.#truncateLongValues = readBooleanEnv("MLFLOW_TRUNCATE_LONG_VALUES", true);
  }

  /**
   * Opens a `sqlite:` URI, making the file and its tables where they are missing.
   *
   * @param uri `sqlite:///relative.db`, `sqlite:////absolute.db` or `sqlite:///:memory:`
   */
  static async open(uri: string): Promise<SqliteStore> {
    return await doing(`Cannot open tracking store "${uri}"`, async () => {
      const db = await SqliteDatabase.open(sqlitePath(uri));
      try {
        const store = new SqliteStore(uri, db);
        await openSchema(db, () => store.#insertDefaultExperiment());
        return store;
      } catch (error) {
        db.close();
        throw error;
      }
    });
  }

  async createExperiment(
    name: string,
    options: { readonly artifactLocation?: string; readonly tags?: Readonly<Record<string, string>> } = {},
  ): Promise<string> {
    checkExperimentName(name);
    const tags = Object.entries(options.tags ?? {});
    for (const [key, value] of tags) checkExperimentTag(key, value);
    const given = options.artifactLocation && resolveRoot(options.artifactLocation);
    return await this.#db.write(() => {
      if (this.#findExperimentByName(name) !== undefined) {
        throw new MlflowError("RESOURCE_ALREADY_EXISTS", `Experiment(name=${name}) already exists.`);
      }
      const now = Date.now();
      const id = Number(
        this.#db.get(
          "INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time) " +
            "VALUES (?, ?, 'active', ?, ?) RETURNING experiment_id",
          name,
          given || null,
          now,
          now,
        )!.experiment_id,
      );
      if (!given) {
        this.#db.run(
          "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?",
          appendToUri(this.#artifactRoot, String(id)),
          id,
        );
      }
      for (const [key, value] of tags) this.#putExperimentTag(id, key, value);
      return String(id);
    });
  }

  async getExperiment(experimentId: string): Promise<Experiment> {
    return await this.#db.read(() => this.#experiment(experimentId));
  }

  async getExperimentByName(name: string): Promise<Experiment | undefined> {
    return await this.#db.read(() => {
      const id = this.#findExperimentByName(name);
      return id === undefined ? undefined : this.#experiment(String(id));
    });
  }

  async renameExperiment(experimentId: string, name: string): Promise<void> {
    checkExperimentName(name);
    await this.#db.write(() => {
      const experiment = this.#experiment(experimentId);
      if (experiment.lifecycleStage !== "active") {
        throw new MlflowError("INVALID_STATE", "Cannot rename a non-active experiment.");
      }
      const other = this.#findExperimentByName(name);
      if (other !== undefined && String(other) !== experiment.experimentId) {
        throw new MlflowError("RESOURCE_ALREADY_EXISTS", `Experiment(name=${name}) already exists.`);
      }
      this.#db.run(
        "UPDATE experiments SET name = ?, last_update_time = ? WHERE experiment_id = ?",
        name,
        Date.now(),
        Number(experimentId),
      );
    });
  }

  async deleteExperiment(experimentId: string): Promise<void> {
    await this.#moveExperiment(experimentId, "active", "deleted");
  }

  async restoreExperiment(experimentId: string): Promise<void> {
    await this.#moveExperiment(experimentId, "deleted", "active");
  }

  async setExperimentTag(experimentId: string, key: string, value: string): Promise<void> {
    checkExperimentTag(key, value);
    await this.#db.write(() => {
      const id = this.#activeExperiment(experimentId).experimentId;
      this.#putExperimentTag(Number(id), key, value);
    });
  }

  async searchExperiments(search: StoreSearch = {}): Promise<Page<Experiment>> {
    const limit = resultLimit(search.maxResults, 1000);
    const offset = pageOffset(search.pageToken);
    const { sql, values } = experimentQuery(search);
    const page = `SELECT ${EXPERIMENT_COLUMNS} FROM experiments ${sql} LIMIT ? OFFSET ?`;
    const found = await this.#db.read(() =>
      this.#db.all(page, ...values, limit + 1, offset).map((row) => this.#toExperiment(row))
    );
    return pageOf(found, limit, offset);
  }

  async createRun(run: NewRun): Promise<RunRecord> {
    const tags = { ...run.tags };
    const { tags: checked } = checkBatch({ tags: toTags(tags) }, this.#policy);
    const tagName = tags[RUN_NAME_TAG];
    if (run.runName && tagName && run.runName !== tagName) {
      throw new MlflowError(
        "INVALID_PARAMETER_VALUE",
        "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values " +
          `(run_name='${run.runName}', mlflow.runName='${tagName}').`,
      );
    }
    const runName = run.runName || tagName || randomRunName();
    const runId = crypto.randomUUID().replaceAll("-", "");
    return await this.#db.write(() => {
      const experiment = this.#activeExperiment(run.experimentId);
      this.#db.run(
        "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, " +
          "end_time, source_version, lifecycle_stage, artifact_uri, experiment_id, deleted_time) " +
          "VALUES (?, ?, 'UNKNOWN', '', '', ?, 'RUNNING', ?, NULL, '', 'active', ?, ?, NULL)",
        runId,
        runName,
        run.userId ?? tags[USER_TAG] ?? "unknown",
        run.startTime ?? Date.now(),
        appendToUri(experiment.artifactLocation, runId, "artifacts"),
        Number(experiment.experimentId),
      );
      for (const { key, value } of checked) if (key !== RUN_NAME_TAG) this.#putTag(runId, key, value);
      this.#putTag(runId, RUN_NAME_TAG, runName);
      return this.#run(runId);
    });
  }

  async getRun(runId: string): Promise<RunRecord> {
    return await this.#db.read(() => this.#run(runId));
  }

  async updateRun(runId: string, update: RunUpdate): Promise<RunInfo> {
    return await this.#db.write(() => {
      this.#checkActiveRun(runId);
      if (update.status !== undefined) {
        this.#db.run("UPDATE runs SET status = ? WHERE run_uuid = ?", update.status, runId);
      }
      if (update.endTime !== undefined) {
        this.#db.run("UPDATE runs SET end_time = ? WHERE run_uuid = ?", update.endTime, runId);
      }
      if (update.runName) this.#rename(runId, update.runName);
      return this.#runInfo(runId);
    });
  }

  async deleteRun(runId: string): Promise<void> {
    await this.#moveRun(runId, "deleted", Date.now());
  }

  async restoreRun(runId: string): Promise<void> {
    await this.#moveRun(runId, "active", null);
  }

  async logBatch(runId: string, batch: Batch): Promise<void> {
    checkRunId(runId);
    const { metrics, params, tags } = checkBatch(batch, this.#policy);
    await this.#db.write(() => {
      this.#checkActiveRun(runId);
      this.#putParams(runId, params);
      this.#putMetrics(runId, metrics);
      for (const { key, value } of tags) {
        key === RUN_NAME_TAG ? this.#rename(runId, value) : this.#putTag(runId, key, value);
      }
    });
  }

  async deleteTag(runId: string, key: string): Promise<void> {
    await this.#db.write(() => {
      this.#checkActiveRun(runId);
      if (this.#db.run("DELETE FROM tags WHERE run_uuid = ? AND key = ?", runId, key) === 0) {
        throw new MlflowError("RESOURCE_DOES_NOT_EXIST", `No tag with name: ${key} in run with id ${runId}`);
      }
    });
  }

  async getMetricHistory(
    runId: string,
    key: string,
    options: { readonly maxResults?: number; readonly pageToken?: string } = {},
  ): Promise<Page<Metric>> {
    const limit = resultLimit(options.maxResults, 25_000);
    const offset = pageOffset(options.pageToken);
    const rows = await this.#db.read(() =>
      this.#db.all(
        `SELECT ${METRIC_COLUMNS} FROM metrics WHERE run_uuid = ? AND key = ? ` +
          "ORDER BY metrics.timestamp, metrics.step, value LIMIT ? OFFSET ?",
        runId,
        key,
        limit + 1,
        offset,
      )
    );
    return pageOf(rows.map(toMetric), limit, offset);
  }

  async searchRuns(experimentIds: readonly string[], search: StoreSearch = {}): Promise<Page<RunRecord>> {
    const limit = resultLimit(search.maxResults, 1000);
    const offset = pageOffset(search.pageToken);
    const { sql, values } = runQuery(experimentIds.map(parseExperimentId), search);
    const runs = await this.#db.read(() =>
      this.#runs(
        this.#db.all(`${sql} LIMIT ? OFFSET ?`, ...values, limit + 1, offset).map((row) => String(row.run_uuid)),
      )
    );
    return pageOf(runs, limit, offset);
  }

  async createLoggedModel(model: NewLoggedModel): Promise<LoggedModel> {
    checkLoggedModelName(model.name);
    const modelId = `m-${crypto.randomUUID().replaceAll("-", "")}`;
    return await this.#db.write(() => {
      const experiment = this.#activeExperiment(model.experimentId);
      const experimentId = Number(experiment.experimentId);
      const now = Date.now();
      this.#db.run(
        "INSERT INTO logged_models (model_id, experiment_id, name, artifact_location, creation_timestamp_ms, " +
          "last_updated_timestamp_ms, status, lifecycle_stage, model_type, source_run_id) " +
          "VALUES (?, ?, ?, ?, ?, ?, ?, 'active', ?, ?)",
        modelId,
        experimentId,
        model.name ?? randomRunName(),
        appendToUri(experiment.artifactLocation, "models", modelId, "artifacts"),
        now,
        now,
        LOGGED_MODEL_STATUSES.indexOf("PENDING"),
        model.modelType ?? null,
        model.sourceRunId ?? null,
      );
      for (const [key, value] of Object.entries(model.params ?? {})) {
        this.#db.run(
          "INSERT INTO logged_model_params (model_id, experiment_id, param_key, param_value) VALUES (?, ?, ?, ?)",
          modelId,
          experimentId,
          key,
          value,
        );
      }
      this.#putModelTags(modelId, experimentId, model.tags ?? {});
      return this.#loggedModel(modelId);
    });
  }

  async getLoggedModel(modelId: string): Promise<LoggedModel> {
    return await this.#db.read(() => this.#loggedModel(modelId));
  }

  async finalizeLoggedModel(modelId: string, status: "READY" | "FAILED"): Promise<LoggedModel> {
    return await this.#db.write(() => {
      const changed = this.#db.run(
        "UPDATE logged_models SET status = ?, last_updated_timestamp_ms = ? WHERE model_id = ?",
        LOGGED_MODEL_STATUSES.indexOf(status),
        Date.now(),
        modelId,
      );
      if (changed === 0) throw modelNotFound(modelId);
      return this.#loggedModel(modelId);
    });
  }

  async setLoggedModelTags(modelId: string, tags: Readonly<Record<string, string>>): Promise<void> {
    await this.#db.write(() => this.#putModelTags(modelId, Number(this.#loggedModel(modelId).experimentId), tags));
  }

  async deleteLoggedModel(modelId: string): Promise<void> {
    await this.#db.write(() => {
      const changed = this.#db.run(
        "UPDATE logged_models SET lifecycle_stage = 'deleted', last_updated_timestamp_ms = ? WHERE model_id = ?",
        Date.now(),
        modelId,
      );
      if (changed === 0) throw modelNotFound(modelId);
    });
  }

  async searchLoggedModels(
    experimentIds: readonly string[],
    search: { readonly maxResults?: number; readonly pageToken?: string } = {},
  ): Promise<Page<LoggedModel>> {
    const limit = resultLimit(search.maxResults, 100);
    const offset = pageOffset(search.pageToken);
    const ids = JSON.stringify(experimentIds.map(parseExperimentId));
    const models = await this.#db.read(() =>
      this.#db.all(
        "SELECT model_id FROM logged_models WHERE lifecycle_stage != 'deleted' AND experiment_id IN " +
          "(SELECT value FROM json_each(?)) ORDER BY creation_timestamp_ms DESC, model_id LIMIT ? OFFSET ?",
        ids,
        limit + 1,
        offset,
      ).map((row) => this.#loggedModel(String(row.model_id)))
    );
    return pageOf(models, limit, offset);
  }

  async logOutputs(runId: string, models: readonly LoggedModelOutput[]): Promise<void> {
    await this.#db.write(() => {
      this.#checkActiveRun(runId);
      for (const { modelId, step } of models) {
        this.#db.run(
          "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step) " +
            "VALUES (?, 'RUN_OUTPUT', ?, 'MODEL_OUTPUT', ?, ?)",
          crypto.randomUUID().replaceAll("-", ""),
          runId,
          modelId,
          step,
        );
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#db.close();
  }

  get #policy() {
    return { truncateLongValues: this.#truncateLongValues };
  }

  #insertDefaultExperiment(): void {
    const now = Date.now();
    this.#db.run(
      "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, " +
        "last_update_time) VALUES (0, 'Default', ?, 'active', ?, ?)",
      appendToUri(this.#artifactRoot, "0"),
      now,
      now,
    );
  }

  #findExperimentByName(name: string): number | undefined {
    // MLflow 3.10 brought workspaces; a single user's experiments are all in the one named "default". A running MLflow
    // may add the column at any time, so it is looked for each time.
    const column = this.#db.get("SELECT 1 FROM pragma_table_info('experiments') WHERE name = 'workspace'");
    const workspace = column === undefined ? "" : " AND workspace = 'default'";
    const row = this.#db.get(`SELECT experiment_id FROM experiments WHERE name = ?${workspace}`, name);
    return row === undefined ? undefined : Number(row.experiment_id);
  }

  #experiment(experimentId: string): Experiment {
    const id = parseExperimentId(experimentId);
    const row = this.#db.get(`SELECT ${EXPERIMENT_COLUMNS} FROM experiments WHERE experiment_id = ?`, id);
    if (row === undefined) {
      throw new MlflowError("RESOURCE_DOES_NOT_EXIST", `No Experiment with id=${experimentId} exists`);
    }
    return this.#toExperiment(row);
  }

  #toExperiment(row: Record<string, unknown>): Experiment {
    const id = Number(row.experiment_id);
    const tags = this.#db.all("SELECT key, value FROM experiment_tags WHERE experiment_id = ?", id);
    return {
      experimentId: String(id),
      name: String(row.name),
      artifactLocation: String(row.artifact_location ?? ""),
      lifecycleStage: row.lifecycle_stage === "deleted" ? "deleted" : "active",
      creationTime: Number(row.creation_time),
      lastUpdateTime: Number(row.last_update_time),
      tags: toRecord(tags),
    };
  }

  #activeExperiment(experimentId: string): Experiment {
    const experiment = this.#experiment(experimentId);
    if (experiment.lifecycleStage !== "active") {
      throw new MlflowError(
        "INVALID_PARAMETER_VALUE",
        `The experiment ${experiment.experimentId} must be in the 'active' state. Current state is ${experiment.lifecycleStage}.`,
      );
    }
    return experiment;
  }

  #putExperimentTag(experimentId: number, key: string, value: string): void {
    this.#db.run(
      "INSERT INTO experiment_tags (experiment_id, key, value) VALUES (?, ?, ?) " +
        "ON CONFLICT (key, experiment_id) DO UPDATE SET value = excluded.value",
      experimentId,
      key,
      value,
    );
  }

  async #moveExperiment(experimentId: string, from: "active" | "deleted", to: "active" | "deleted"): Promise<void> {
    await this.#db.write(() => {
      const experiment = this.#experiment(experimentId);
      if (experiment.lifecycleStage !== from) {
        throw new MlflowError("RESOURCE_DOES_NOT_EXIST", `No Experiment with id=${experimentId} exists`);
      }
      const now = Date.now();
      const id = Number(experiment.experimentId);
      this.#db.run(
        "UPDATE experiments SET lifecycle_stage = ?, last_update_time = ? WHERE experiment_id = ?",
        to,
        now,
        id,
      );
      this.#db.run(
        "UPDATE runs SET lifecycle_stage = ?, deleted_time = ? WHERE experiment_id = ?",
        to,
        to === "deleted" ? now : null,
        id,
      );
    });
  }

  #checkActiveRun(runId: string): void {
    const row = this.#db.get("SELECT lifecycle_stage FROM runs WHERE run_uuid = ?", runId);
    if (row === undefined) throw runNotFound(runId);
    if (row.lifecycle_stage !== "active") {
      throw new MlflowError(
        "INVALID_PARAMETER_VALUE",
        `The run ${runId} must be in the 'active' state. Current state is ${row.lifecycle_stage}.`,
      );
    }
  }

  #runInfo(runId: string): RunInfo {
    const row = this.#db.get(`SELECT ${RUN_COLUMNS} FROM runs WHERE run_uuid = ?`, runId);
    if (row === undefined) throw runNotFound(runId);
    return toRunInfo(row);
  }

  #run(runId: string): RunRecord {
    const [run] = this.#runs([runId]);
    if (run === undefined) throw runNotFound(runId);
    return run;
  }

  /** The runs of these ids, in their order, each table read once. */
  #runs(runIds: readonly string[]): RunRecord[] {
    const list = JSON.stringify(runIds);
    const among = "IN (SELECT value FROM json_each(?))";
    const infos = new Map(
      this.#db.all(`SELECT ${RUN_COLUMNS} FROM runs WHERE run_uuid ${among}`, list).map((row) => [row.run_uuid, row]),
    );
    const metrics = byRun(
      this.#db.all(`SELECT run_uuid, ${METRIC_COLUMNS} FROM latest_metrics WHERE run_uuid ${among}`, list),
    );
    const params = byRun(this.#db.all(`SELECT run_uuid, key, value FROM params WHERE run_uuid ${among}`, list));
    const tags = byRun(this.#db.all(`SELECT run_uuid, key, value FROM tags WHERE run_uuid ${among}`, list));
    const outputs = byRun(this.#db.all(
      "SELECT source_id AS run_uuid, destination_id, CAST(step AS REAL) AS step FROM inputs WHERE source_type = 'RUN_OUTPUT' " +
        `AND destination_type = 'MODEL_OUTPUT' AND source_id ${among} ORDER BY rowid`,
      list,
    ));
    return runIds.flatMap((id) => {
      const info = infos.get(id);
      if (info === undefined) return [];
      const modelOutputs = (outputs.get(id) ?? []).map((row) => ({
        modelId: String(row.destination_id),
        step: Number(row.step),
      }));
      return {
        info: toRunInfo(info),
        data: {
          metrics: Object.fromEntries((metrics.get(id) ?? []).map((row) => [row.key, toValue(row)])),
          params: toRecord(params.get(id) ?? []),
          tags: toRecord(tags.get(id) ?? []),
        },
        outputs: { modelOutputs },
      };
    });
  }

  async #moveRun(runId: string, to: "active" | "deleted", deletedTime: number | null): Promise<void> {
    await this.#db.write(() => {
      const changed = this.#db.run(
        "UPDATE runs SET lifecycle_stage = ?, deleted_time = ? WHERE run_uuid = ?",
        to,
        deletedTime,
        runId,
      );
      if (changed === 0) throw runNotFound(runId);
    });
  }

  #rename(runId: string, name: string): void {
    this.#db.run("UPDATE runs SET name = ? WHERE run_uuid = ?", name, runId);
    this.#putTag(runId, RUN_NAME_TAG, name);
  }

  #putTag(runId: string, key: string, value: string): void {
    this.#db.run(
      "INSERT INTO tags (run_uuid, key, value) VALUES (?, ?, ?) ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value",
      runId,
      key,
      value,
    );
  }

  #putParams(runId: string, params: readonly { readonly key: string; readonly value: string }[]): void {
    const changed: { key: string; old: string; value: string }[] = [];
    for (const { key, value } of params) {
      const row = this.#db.get("SELECT value FROM params WHERE run_uuid = ? AND key = ?", runId, key);
      if (row === undefined) {
        this.#db.run("INSERT INTO params (run_uuid, key, value) VALUES (?, ?, ?)", runId, key, value);
      } else if (row.value !== value) changed.push({ key, old: String(row.value), value });
    }
    if (changed.length === 0) return;
    const [first] = changed;
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      params.length === 1
        ? `Changing param values is not allowed. Param with key='${first.key}' was already logged with ` +
          `value='${first.old}' for run ID='${runId}'. Attempted logging new value '${first.value}'.`
        : "Changing param values is not allowed. Params were already logged='[" +
          changed.map(({ key, old, value }) => `{'key': '${key}', 'old_value': '${old}', 'new_value': '${value}'}`)
            .join(", ") +
          `]' for run ID='${runId}'.`,
    );
  }

  #putMetrics(runId: string, metrics: readonly CheckedMetric[]): void {
    const rows = metrics.map(toMetricRow);
    this.#insertMetrics(runId, rows);
    const latest = new Map<string, MetricRow>();
    for (const [i, row] of rows.entries()) {
      if (isLater(row, latest.get(row.key))) latest.set(row.key, row);
      const { modelId } = metrics[i];
      if (modelId !== undefined) this.#putModelMetric(runId, modelId, row);
    }
    for (const row of latest.values()) {
      this.#db.run(
        "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, ?, ?) " +
          "ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value, timestamp = excluded.timestamp, " +
          "step = excluded.step, is_nan = excluded.is_nan WHERE (excluded.step, excluded.timestamp, excluded.value) > " +
          "(latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)",
        row.key,
        row.value,
        row.timestamp,
        row.step,
        row.isNan,
        runId,
      );
    }
  }

  #insertMetrics(runId: string, rows: readonly MetricRow[]): void {
    let done = 0;
    for (const { size, sql } of METRIC_INSERTS) {
      for (; done + size <= rows.length; done += size) {
        const values: (string | number)[] = [];
        for (let i = done; i < done + size; i++) {
          const { key, value, timestamp, step, isNan } = rows[i];
          values.push(key, value, timestamp, runId, step, isNan);
        }
        this.#db.run(sql, ...values);
      }
    }
  }

  /** MLflow's table for the metrics of models has no column for NaN, which reads back as 0 from there. */
  #putModelMetric(runId: string, modelId: string, row: MetricRow): void {
    this.#db.run(
      "INSERT INTO logged_model_metrics (model_id, metric_name, metric_timestamp_ms, metric_step, metric_value, " +
        "experiment_id, run_id) SELECT ?, ?, ?, ?, ?, experiment_id, run_uuid FROM runs WHERE run_uuid = ? ON CONFLICT DO NOTHING",
      modelId,
      row.key,
      row.timestamp,
      row.step,
      row.value,
      runId,
    );
  }

  #putModelTags(modelId: string, experimentId: number, tags: Readonly<Record<string, string>>): void {
    for (const [key, value] of Object.entries(tags)) {
      this.#db.run(
        "INSERT INTO logged_model_tags (model_id, experiment_id, tag_key, tag_value) VALUES (?, ?, ?, ?) " +
          "ON CONFLICT (model_id, tag_key) DO UPDATE SET tag_value = excluded.tag_value",
        modelId,
        experimentId,
        key,
        value,
      );
    }
  }

  #loggedModel(modelId: string): LoggedModel {
    const row = this.#db.get(
      "SELECT model_id, experiment_id, name, artifact_location, creation_timestamp_ms, last_updated_timestamp_ms, " +
        "status, model_type, source_run_id FROM logged_models WHERE model_id = ? AND lifecycle_stage != 'deleted'",
      modelId,
    );
    if (row === undefined) throw modelNotFound(modelId);
    const params = this.#db.all(
      "SELECT param_key AS key, param_value AS value FROM logged_model_params WHERE model_id = ?",
      modelId,
    );
    const tags = this.#db.all(
      "SELECT tag_key AS key, tag_value AS value FROM logged_model_tags WHERE model_id = ?",
      modelId,
    );
    const metrics = this.#db.all(
      "SELECT metric_name AS key, metric_value AS value, 0 AS is_nan, CAST(metric_timestamp_ms AS REAL) AS timestamp, " +
        "CAST(metric_step AS REAL) AS step, run_id FROM logged_model_metrics WHERE model_id = ?",
      modelId,
    );
    return {
      modelId: String(row.model_id),
      experimentId: String(row.experiment_id),
      name: String(row.name),
      artifactLocation: String(row.artifact_location),
      creationTimestamp: Number(row.creation_timestamp_ms),
      lastUpdatedTimestamp: Number(row.last_updated_timestamp_ms),
      status: LOGGED_MODEL_STATUSES[Number(row.status)] ?? "UNSPECIFIED",
      modelType: row.model_type === null ? undefined : String(row.model_type),
      sourceRunId: row.source_run_id === null ? undefined : String(row.source_run_id),
      params: toRecord(params),
      tags: toRecord(tags),
      metrics: metrics.map((metric) => ({ ...toMetric(metric), runId: String(metric.run_id) })),
    };
  }
}

/** The file that a `sqlite:` URI names; three slashes mean a path from the working directory, four one from the root. */
export function sqlitePath(uri: string): string {
  const path = /^sqlite:\/\/\/([^?#]+)$/.exec(uri)?.[1];
  if (path === undefined) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      "a SQLite URI reads sqlite:///relative/path.db, sqlite:////absolute/path.db or sqlite:///:memory:",
    );
  }
  return path;
}

/** An artifact root as it goes into the database: a local path made absolute, a URI as it is. */
function resolveRoot(location: string): string {
  // Without the working directory, `resolve` loads all of node:process to ask for it.
  return hasScheme(location) ? location : resolve(Deno.cwd(), location);
}

function toTags(tags: Readonly<Record<string, string>>): Tag[] {
  return Object.entries(tags).map(([key, value]) => ({ key, value }));
}

function toRecord(rows: readonly Record<string, unknown>[]): Record<string, string> {
  return Object.fromEntries(rows.map((row) => [row.key, String(row.value ?? "")]));
}

function byRun<T extends Record<string, unknown>>(rows: readonly T[]): Map<unknown, T[]> {
  return Map.groupBy(rows, (row) => row.run_uuid);
}

/** A value as MLflow's tables hold it. */
interface MetricRow {
  readonly key: string;
  readonly value: number;
  readonly timestamp: number;
  readonly step: number;
  readonly isNan: 0 | 1;
}

function toMetricRow({ key, value, timestamp, step }: CheckedMetric): MetricRow {
  if (Number.isNaN(value)) return { key, value: 0, timestamp, step, isNan: 1 };
  return { key, value: Math.max(-INFINITY_IN_SQL, Math.min(INFINITY_IN_SQL, value)), timestamp, step, isNan: 0 };
}

/** MLflow's order of "latest": by step, then time, then value. */
function isLater(row: MetricRow, other: MetricRow | undefined): boolean {
  if (other === undefined) return true;
  return (row.step - other.step || row.timestamp - other.timestamp || row.value - other.value) > 0;
}

function toValue(row: Record<string, unknown>): number {
  if (Number(row.is_nan) === 1) return NaN;
  const value = Number(row.value);
  return Math.abs(value) === INFINITY_IN_SQL ? Math.sign(value) * Infinity : value;
}

function toMetric(row: Record<string, unknown>): Metric {
  return { key: String(row.key), value: toValue(row), timestamp: Number(row.timestamp), step: Number(row.step) };
}

function toRunInfo(row: Record<string, unknown>): RunInfo {
  return {
    runId: String(row.run_uuid),
    runName: String(row.name ?? ""),
    experimentId: String(row.experiment_id),
    userId: String(row.user_id ?? ""),
    status: String(row.status) as RunStatus,
    startTime: Number(row.start_time),
    endTime: row.end_time === null ? undefined : Number(row.end_time),
    lifecycleStage: row.lifecycle_stage === "deleted" ? "deleted" : "active",
    artifactUri: String(row.artifact_uri ?? ""),
  };
}

function runNotFound(runId: string): MlflowError {
  return new MlflowError("RESOURCE_DOES_NOT_EXIST", `Run with id=${runId} not found`);
}

function modelNotFound(modelId: string): MlflowError {
  return new MlflowError("RESOURCE_DOES_NOT_EXIST", `Logged model with ID '${modelId}' not found.`);
}
