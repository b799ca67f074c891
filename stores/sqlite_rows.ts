import type { LoggedModelMetric, Metric, RunInfo, RunStatus } from "../entities.ts";
import type { CheckedMetric } from "../validate.ts";
import type { Cells, Row } from "./sqlite_database.ts";

/** The largest finite double: what MLflow writes for infinity, which SQL cannot hold. */
const INFINITY_IN_SQL = Number.MAX_VALUE;

// Times and steps are read as reals: node:sqlite refuses integers above 2^53, which other clients may write.
/** The columns that `toRunInfo` reads. */
export const RUN_COLUMNS: string =
  "run_uuid, name, CAST(experiment_id AS TEXT) AS experiment_id, user_id, status, CAST(start_time AS REAL) AS start_time, " +
  "CAST(end_time AS REAL) AS end_time, lifecycle_stage, artifact_uri";
/** The columns that `toMetric` reads. */
export const METRIC_COLUMNS: string =
  "key, value, is_nan, CAST(timestamp AS REAL) AS timestamp, CAST(step AS REAL) AS step";

/** A value of a metric as MLflow's tables hold it. */
export interface MetricRow {
  readonly key: string;
  readonly value: number;
  readonly timestamp: number;
  readonly step: number;
  readonly isNan: 0 | 1;
}

/** A value of a metric on its way into MLflow's tables. */
export function toMetricRow({ key, value, timestamp, step }: CheckedMetric): MetricRow {
  if (Number.isNaN(value)) return { key, value: 0, timestamp, step, isNan: 1 };
  return { key, value: Math.max(-INFINITY_IN_SQL, Math.min(INFINITY_IN_SQL, value)), timestamp, step, isNan: 0 };
}

/** The number that a table's `value` and `is_nan` stand for. */
export function toValue(value: number, isNan: number): number {
  if (isNan === 1) return NaN;
  return Math.abs(value) === INFINITY_IN_SQL ? Math.sign(value) * Infinity : value;
}

/** A row of `METRIC_COLUMNS`. */
export function toMetric(row: Row): Metric {
  return {
    key: String(row.key),
    value: toValue(Number(row.value), Number(row.is_nan)),
    timestamp: Number(row.timestamp),
    step: Number(row.step),
  };
}

/** A row of `logged_model_metrics`, its columns named as in `metrics`. */
export function toModelMetric(row: Row): LoggedModelMetric {
  const { dataset_name: name, dataset_digest: digest } = row;
  return {
    ...toMetric(row),
    runId: String(row.run_id),
    dataset: name === null ? undefined : { name: String(name), digest: String(digest ?? "") },
  };
}

/** A row of `RUN_COLUMNS`, from the place `start` on. */
export function toRunInfo(cells: Cells, start: number = 0): RunInfo {
  const endTime = cells[start + 6];
  return {
    runId: String(cells[start]),
    runName: String(cells[start + 1] ?? ""),
    experimentId: String(cells[start + 2]),
    userId: String(cells[start + 3] ?? ""),
    status: String(cells[start + 4]) as RunStatus,
    startTime: Number(cells[start + 5]),
    endTime: endTime === null ? undefined : Number(endTime),
    lifecycleStage: cells[start + 7] === "deleted" ? "deleted" : "active",
    artifactUri: String(cells[start + 8] ?? ""),
  };
}

/** Rows of `key` and `value`. */
export function toRecord(rows: readonly Row[]): Record<string, string> {
  return Object.fromEntries(rows.map((row) => [row.key, String(row.value ?? "")]));
}

/** How long the ids of new rows have the same first three digits, in milliseconds: 8 hours. */
const PREFIX_TIME = 28_800_000;

/**
 * A new id: 32 hexadecimal digits, by chance but for the first three.
 *
 * These tell the time roughly, and come back after four years. So what a day's runs write to the many indexes that hold
 * their ids lies side by side, and in a large file costs what it costs in a small one: with ids by chance alone, each
 * row of 100,000 runs has a page of its own to be read and written.
 */
export function newId(): string {
  const prefix = Math.floor(Date.now() / PREFIX_TIME) % 0x1000;
  return prefix.toString(16).padStart(3, "0") + crypto.randomUUID().replaceAll("-", "").slice(3);
}
