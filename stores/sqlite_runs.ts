import type { Page, RunInfo, RunRecord } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import { appendToUri } from "../artifacts/uri.ts";
import {
  type ChangedParam,
  type CheckedBatch,
  checkUnchanged,
  givenRunName,
  parseExperimentId,
  RUN_NAME_TAG,
} from "../validate.ts";
import { pageOf, pageOffset, resultLimit } from "./page.ts";
import { randomRunName } from "./run_name.ts";
import type { SqliteDatabase } from "./sqlite_database.ts";
import type { SqliteExperiments } from "./sqlite_experiments.ts";
import type { SqliteInputs } from "./sqlite_inputs.ts";
import type { SqliteMetrics } from "./sqlite_metrics.ts";
import { readRunSearch } from "./sqlite_query.ts";
import { newId, RUN_COLUMNS, toRunInfo } from "./sqlite_rows.ts";
import { readRuns } from "./sqlite_run_records.ts";
import { findRuns } from "./sqlite_run_search.ts";
import type { NewRun, RunUpdate, StoreSearch } from "./store.ts";

const USER_TAG = "mlflow.user";

/** Runs, their params and their tags in MLflow's tables. What writes is called inside a transaction. */
export class SqliteRuns {
  readonly #db: SqliteDatabase;
  readonly #experiments: SqliteExperiments;
  readonly #metrics: SqliteMetrics;
  readonly #inputs: SqliteInputs;

  constructor(db: SqliteDatabase, experiments: SqliteExperiments, metrics: SqliteMetrics, inputs: SqliteInputs) {
    this.#db = db;
    this.#experiments = experiments;
    this.#metrics = metrics;
    this.#inputs = inputs;
  }

  insert(run: NewRun, tags: CheckedBatch["tags"]): RunRecord {
    const runName = givenRunName(run.runName, run.tags?.[RUN_NAME_TAG]) ?? randomRunName();
    const runId = newId();
    const { experimentId, artifactLocation } = this.#experiments.getActive(run.experimentId);
    const info: RunInfo = {
      runId,
      runName,
      experimentId,
      userId: run.userId ?? run.tags?.[USER_TAG] ?? "unknown",
      status: "RUNNING",
      startTime: run.startTime ?? Date.now(),
      endTime: undefined,
      lifecycleStage: "active",
      artifactUri: appendToUri(artifactLocation, runId, "artifacts"),
    };
    this.#db.run(
      "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, " +
        "end_time, source_version, lifecycle_stage, artifact_uri, experiment_id, deleted_time) " +
        "VALUES (?, ?, 'UNKNOWN', '', '', ?, ?, ?, NULL, '', 'active', ?, ?, NULL)",
      runId,
      runName,
      info.userId,
      info.status,
      info.startTime,
      info.artifactUri,
      BigInt(experimentId),
    );
    const all = [...tags.filter(({ key }) => key !== RUN_NAME_TAG), { key: RUN_NAME_TAG, value: runName }];
    for (const { key, value } of all) this.#putTag(runId, key, value);
    return {
      info,
      data: { metrics: {}, params: {}, tags: Object.fromEntries(all.map(({ key, value }) => [key, value])) },
      inputs: { datasetInputs: [], modelInputs: [] },
      outputs: { modelOutputs: [] },
    };
  }

  get(runId: string): RunRecord {
    const [run] = readRuns(this.#db, this.#inputs, [runId]);
    if (run === undefined) throw notFound(runId);
    return run;
  }

  /** Refuses a run that is not there or in the trash. */
  checkActive(runId: string): void {
    const row = this.#db.get("SELECT lifecycle_stage FROM runs WHERE run_uuid = ?", runId);
    if (row === undefined) throw notFound(runId);
    if (row.lifecycle_stage !== "active") {
      throw new MlflowError(
        "INVALID_PARAMETER_VALUE",
        `The run ${runId} must be in the 'active' state. Current state is ${row.lifecycle_stage}.`,
      );
    }
  }

  update(runId: string, { status, endTime, runName }: RunUpdate): RunInfo {
    this.checkActive(runId);
    if (status !== undefined || endTime !== undefined) {
      this.#db.run(
        "UPDATE runs SET status = COALESCE(?, status), end_time = COALESCE(?, end_time) WHERE run_uuid = ?",
        status ?? null,
        endTime ?? null,
        runId,
      );
    }
    if (runName) this.#rename(runId, runName);
    return toRunInfo(this.#db.cells(`SELECT ${RUN_COLUMNS} FROM runs WHERE run_uuid = ?`, runId)[0]);
  }

  move(runId: string, to: "active" | "deleted"): void {
    const changed = this.#db.run(
      "UPDATE runs SET lifecycle_stage = ?, deleted_time = ? WHERE run_uuid = ?",
      to,
      to === "deleted" ? Date.now() : null,
      runId,
    );
    if (changed === 0) throw notFound(runId);
  }

  logBatch(runId: string, { metrics, params, tags }: CheckedBatch): void {
    this.checkActive(runId);
    this.#putParams(runId, params);
    this.#metrics.put(runId, metrics);
    for (const { key, value } of tags) {
      key === RUN_NAME_TAG ? this.#rename(runId, value) : this.#putTag(runId, key, value);
    }
  }

  deleteTag(runId: string, key: string): void {
    this.checkActive(runId);
    if (this.#db.run("DELETE FROM tags WHERE run_uuid = ? AND key = ?", runId, key) === 0) {
      throw new MlflowError("RESOURCE_DOES_NOT_EXIST", `No tag with name: ${key} in run with id ${runId}`);
    }
  }

  search(experimentIds: readonly string[], search: StoreSearch): Page<RunRecord> {
    const limit = resultLimit(search.maxResults, 1000);
    const offset = pageOffset(search.pageToken);
    const ids = findRuns(
      this.#db,
      experimentIds.map(parseExperimentId),
      readRunSearch(search),
      limit + 1,
      offset,
    );
    const { items, nextPageToken } = pageOf(ids, limit, offset);
    return { items: readRuns(this.#db, this.#inputs, items), nextPageToken };
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

  #putParams(runId: string, params: CheckedBatch["params"]): void {
    const changed: ChangedParam[] = [];
    for (const { key, value } of params) {
      const row = this.#db.get("SELECT value FROM params WHERE run_uuid = ? AND key = ?", runId, key);
      if (row === undefined) {
        this.#db.run("INSERT INTO params (run_uuid, key, value) VALUES (?, ?, ?)", runId, key, value);
      } else if (row.value !== value) changed.push({ key, old: String(row.value), value });
    }
    checkUnchanged(runId, changed, params.length);
  }
}

function notFound(runId: string): MlflowError {
  return new MlflowError("RESOURCE_DOES_NOT_EXIST", `Run with id=${runId} not found`);
}
