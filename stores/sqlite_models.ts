import type { LoggedModel, Page, Param } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import { appendToUri } from "../artifacts/uri.ts";
import { pythonQuote } from "../python_text.ts";
import { parseExperimentId } from "../validate.ts";
import { loggedModelOffset, loggedModelPage, resultLimit } from "./page.ts";
import { randomRunName } from "./run_name.ts";
import type { Row, SqliteDatabase } from "./sqlite_database.ts";
import type { SqliteExperiments } from "./sqlite_experiments.ts";
import { loggedModelQuery } from "./sqlite_query.ts";
import { newId, toModelMetric, toRecord } from "./sqlite_rows.ts";
import { LOGGED_MODEL_STATUSES, type LoggedModelSearch, type NewLoggedModel } from "./store.ts";

/** Logged models in MLflow's tables. What writes is called inside a transaction. */
export class SqliteModels {
  readonly #db: SqliteDatabase;
  readonly #experiments: SqliteExperiments;

  constructor(db: SqliteDatabase, experiments: SqliteExperiments) {
    this.#db = db;
    this.#experiments = experiments;
  }

  insert(model: NewLoggedModel): LoggedModel {
    const modelId = `m-${newId()}`;
    const experiment = this.#experiments.getActive(model.experimentId);
    const experimentId = BigInt(experiment.experimentId);
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
    this.#putParams(modelId, experimentId, Object.entries(model.params ?? {}));
    this.#putTags(modelId, experimentId, model.tags ?? {});
    return this.get(modelId);
  }

  get(modelId: string): LoggedModel {
    const [model] = this.#read([modelId], "active");
    if (model === undefined) throw notFound(modelId);
    return model;
  }

  finalize(modelId: string, status: "READY" | "FAILED"): LoggedModel {
    const changed = this.#db.run(
      "UPDATE logged_models SET status = ?, last_updated_timestamp_ms = ? WHERE model_id = ?",
      LOGGED_MODEL_STATUSES.indexOf(status),
      Date.now(),
      modelId,
    );
    if (changed === 0) throw notFound(modelId);
    return this.#read([modelId], "any")[0];
  }

  logParams(modelId: string, params: readonly Param[]): void {
    this.#putParams(modelId, this.#experimentOf(modelId), params.map(({ key, value }) => [key, value]));
  }

  setTags(modelId: string, tags: Readonly<Record<string, string>>): void {
    this.#putTags(modelId, this.#experimentOf(modelId), tags);
  }

  deleteTag(modelId: string, key: string): void {
    this.#experimentOf(modelId);
    if (this.#db.run("DELETE FROM logged_model_tags WHERE model_id = ? AND tag_key = ?", modelId, key) === 0) {
      throw new MlflowError(
        "RESOURCE_DOES_NOT_EXIST",
        `No tag with key ${pythonQuote(key)} found for model with ID ${pythonQuote(modelId)}.`,
      );
    }
  }

  delete(modelId: string): void {
    const changed = this.#db.run(
      "UPDATE logged_models SET lifecycle_stage = 'deleted', last_updated_timestamp_ms = ? WHERE model_id = ?",
      Date.now(),
      modelId,
    );
    if (changed === 0) throw notFound(modelId);
  }

  search(experimentIds: readonly string[], search: LoggedModelSearch): Page<LoggedModel> {
    const limit = resultLimit(search.maxResults, 100);
    const offset = loggedModelOffset(experimentIds, search);
    const { sql, values } = loggedModelQuery(experimentIds.map(parseExperimentId), search);
    const ids = this.#db.all(`${sql} LIMIT ? OFFSET ?`, ...values, limit + 1, offset).map((row) =>
      String(row.model_id)
    );
    const { items, nextPageToken } = loggedModelPage(ids, limit, offset, experimentIds, search);
    return { items: this.#read(items, "active"), nextPageToken };
  }

  /** The experiment of a model, which may be in the trash: MLflow lets those be changed too. */
  #experimentOf(modelId: string): bigint {
    const row = this.#db.get(
      "SELECT CAST(experiment_id AS TEXT) AS experiment_id FROM logged_models WHERE model_id = ?",
      modelId,
    );
    if (row === undefined) throw notFound(modelId);
    return BigInt(String(row.experiment_id));
  }

  /** The models of these ids and of this stage, in their order, each table read once. */
  #read(modelIds: readonly string[], stage: "active" | "any"): LoggedModel[] {
    const list = JSON.stringify(modelIds);
    const among = "IN (SELECT value FROM json_each(?))";
    const models = new Map(
      this.#db.all(
        "SELECT model_id, CAST(experiment_id AS TEXT) AS experiment_id, name, artifact_location, CAST(creation_timestamp_ms AS REAL) AS created, " +
          "CAST(last_updated_timestamp_ms AS REAL) AS updated, status, model_type, source_run_id FROM logged_models " +
          `WHERE (lifecycle_stage != 'deleted' OR ?) AND model_id ${among}`,
        stage === "any" ? 1 : 0,
        list,
      ).map((row) => [row.model_id, row]),
    );
    const params = byModel(this.#db.all(
      `SELECT model_id, param_key AS key, param_value AS value FROM logged_model_params WHERE model_id ${among}`,
      list,
    ));
    const tags = byModel(this.#db.all(
      `SELECT model_id, tag_key AS key, tag_value AS value FROM logged_model_tags WHERE model_id ${among}`,
      list,
    ));
    const metrics = byModel(this.#db.all(
      "SELECT model_id, metric_name AS key, metric_value AS value, 0 AS is_nan, CAST(metric_timestamp_ms AS REAL) AS " +
        "timestamp, CAST(metric_step AS REAL) AS step, run_id, dataset_name, dataset_digest FROM logged_model_metrics " +
        `WHERE model_id ${among} ORDER BY rowid`,
      list,
    ));
    return modelIds.flatMap((id) => {
      const row = models.get(id);
      if (row === undefined) return [];
      return {
        modelId: id,
        experimentId: String(row.experiment_id),
        name: String(row.name),
        artifactLocation: String(row.artifact_location),
        creationTimestamp: Number(row.created),
        lastUpdatedTimestamp: Number(row.updated),
        status: LOGGED_MODEL_STATUSES[Number(row.status)] ?? "UNSPECIFIED",
        modelType: row.model_type === null ? undefined : String(row.model_type),
        sourceRunId: row.source_run_id === null ? undefined : String(row.source_run_id),
        params: toRecord(params.get(id) ?? []),
        tags: toRecord(tags.get(id) ?? []),
        metrics: (metrics.get(id) ?? []).map(toModelMetric),
      };
    });
  }

  #putParams(modelId: string, experimentId: bigint, params: readonly (readonly [string, string])[]): void {
    for (const [key, value] of params) {
      const added = this.#db.run(
        "INSERT INTO logged_model_params (model_id, experiment_id, param_key, param_value) VALUES (?, ?, ?, ?) " +
          "ON CONFLICT DO NOTHING",
        modelId,
        experimentId,
        key,
        value,
      );
      if (added === 0) throw new MlflowError("BAD_REQUEST", `Model ${modelId} has a param '${key}' already.`);
    }
  }

  #putTags(modelId: string, experimentId: bigint, tags: Readonly<Record<string, string>>): void {
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
}

function byModel(rows: readonly Row[]): Map<unknown, Row[]> {
  return Map.groupBy(rows, (row) => row.model_id);
}

function notFound(modelId: string): MlflowError {
  return new MlflowError("RESOURCE_DOES_NOT_EXIST", `Logged model with ID '${modelId}' not found.`);
}
