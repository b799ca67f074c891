import type { SQLInputValue } from "node:sqlite";
import type { Metric, MetricOfRun, Page } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import { type CheckedMetric, secondModelValue } from "../validate.ts";
import { pageOf, pageOffset, resultLimit } from "./page.ts";
import type { SqliteDatabase } from "./sqlite_database.ts";
import { METRIC_COLUMNS, type MetricRow, toMetric, toMetricRow } from "./sqlite_rows.ts";

/**
 * Many rows in one statement take half the time of as many statements; the largest statement first. What is the same
 * in all rows is bound once, and a NaN is null on its way.
 */
const INSERTS = [250, 25, 1].map((size) => ({
  size,
  sql: "INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan) SELECT ?, column1, COALESCE(column2, 0), " +
    `column3, column4, column2 IS NULL FROM (VALUES ${Array(size).fill("(?, ?, ?, ?)").join(", ")}) WHERE true ` +
    "ON CONFLICT DO NOTHING",
}));

/**
 * That a value is one of a run's metric.
 *
 * Without statistics SQLite takes a key to be as rare as a run, and would look through all runs' values of that key
 * because those come in order. What is said here of keys makes it begin with the run, on MLflow's newer index over run,
 * key and step where a file has it.
 */
const OF_RUN_AND_KEY = "run_uuid = ? AND likelihood(key = ?, 0.9)";

/** The values of metrics in MLflow's tables. What writes is called inside a transaction. */
export class SqliteMetrics {
  readonly #db: SqliteDatabase;

  constructor(db: SqliteDatabase) {
    this.#db = db;
  }

  /** Adds values, and renews the latest value of each metric. */
  put(runId: string, metrics: readonly CheckedMetric[]): void {
    const rows = metrics.map(toMetricRow);
    this.#insert(runId, rows);
    const latest = new Map<string, MetricRow>();
    for (const [i, row] of rows.entries()) {
      if (isLater(row, latest.get(row.key))) latest.set(row.key, row);
      const { modelId, dataset } = metrics[i];
      if (modelId !== undefined) this.#putModelMetric(runId, modelId, row, dataset);
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

  /** All values of a metric. */
  history(
    runId: string,
    key: string,
    options: { readonly maxResults?: number; readonly pageToken?: string },
  ): Page<Metric> {
    const limit = resultLimit(options.maxResults, 25_000);
    const offset = pageOffset(options.pageToken);
    const rows = this.#db.all(
      `SELECT ${METRIC_COLUMNS} FROM metrics WHERE ${OF_RUN_AND_KEY} ` +
        "ORDER BY metrics.timestamp, metrics.step, value, is_nan LIMIT ? OFFSET ?",
      runId,
      key,
      limit + 1,
      offset,
    );
    return pageOf(rows.map(toMetric), limit, offset);
  }

  /** A metric's values between two steps, thinned out as MLflow does: the first of each of `count` equal parts, and the last. */
  sample(runId: string, key: string, count: number, startStep: number, endStep: number): MetricOfRun[] {
    const rows = this.#db.all(
      `WITH points AS (SELECT key, value, is_nan, timestamp, step, NTILE(?) OVER ordered AS part, ROW_NUMBER() OVER ` +
        `ordered AS place FROM metrics WHERE ${OF_RUN_AND_KEY} AND step BETWEEN ? AND ? ` +
        "WINDOW ordered AS (ORDER BY step, timestamp, value, is_nan)), " +
        "parts AS (SELECT *, LAG(part) OVER places IS NOT part AS is_first, LEAD(part) OVER places IS NULL AS is_last " +
        "FROM points WINDOW places AS (ORDER BY place)) " +
        `SELECT ${METRIC_COLUMNS}, is_first FROM parts WHERE is_first OR is_last ORDER BY place`,
      count,
      runId,
      key,
      startStep,
      endStep,
    );
    // Where the last value begins no part, it takes the place of the one before it if that is one too many.
    if (rows.length > count) rows.splice(-2, 1);
    return rows.map((row) => ({ ...toMetric(row), runId }));
  }

  #insert(runId: string, rows: readonly MetricRow[]): void {
    let done = 0;
    for (const { size, sql } of INSERTS) {
      for (; done + size <= rows.length; done += size) {
        const values: SQLInputValue[] = [runId];
        for (let i = done; i < done + size; i++) {
          const { key, value, timestamp, step, isNan } = rows[i];
          values.push(key, isNan ? null : value, timestamp, step);
        }
        this.#db.run(sql, ...values);
      }
    }
  }

  /** MLflow's table for the metrics of models has no column for NaN, which reads back as 0 from there. */
  #putModelMetric(runId: string, modelId: string, row: MetricRow, dataset: CheckedMetric["dataset"]): void {
    if (this.#db.get("SELECT 1 FROM logged_models WHERE model_id = ?", modelId) === undefined) {
      throw new MlflowError("BAD_REQUEST", `Logged model with ID '${modelId}' not found.`);
    }
    const added = this.#db.run(
      "INSERT INTO logged_model_metrics (model_id, metric_name, metric_timestamp_ms, metric_step, metric_value, " +
        "experiment_id, run_id, dataset_uuid, dataset_name, dataset_digest) " +
        "SELECT ?, ?, ?, ?, ?, experiment_id, run_uuid, (SELECT dataset_uuid FROM datasets d WHERE d.experiment_id = " +
        "runs.experiment_id AND d.name = ? AND d.digest = ?), ?, ? FROM runs WHERE run_uuid = ? ON CONFLICT DO NOTHING",
      modelId,
      row.key,
      row.timestamp,
      row.step,
      row.value,
      dataset?.name ?? null,
      dataset?.digest ?? null,
      dataset?.name ?? null,
      dataset?.digest ?? null,
      runId,
    );
    if (added > 0) return;
    const { metric_value, dataset_name, dataset_digest } = this.#db.get(
      "SELECT metric_value, dataset_name, dataset_digest FROM logged_model_metrics WHERE model_id = ? AND metric_name = ? " +
        "AND metric_timestamp_ms = ? AND metric_step = ? AND run_id = ?",
      modelId,
      row.key,
      row.timestamp,
      row.step,
      runId,
    )!;
    const [name, digest] = [dataset?.name ?? null, dataset?.digest ?? null];
    if (metric_value === row.value && dataset_name === name && dataset_digest === digest) return;
    throw secondModelValue(modelId, row);
  }
}

/** MLflow's order of "latest": by step, then time, then value. */
function isLater(row: MetricRow, other: MetricRow | undefined): boolean {
  if (other === undefined) return true;
  return (row.step - other.step || row.timestamp - other.timestamp || row.value - other.value) > 0;
}
