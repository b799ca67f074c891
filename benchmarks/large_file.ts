/** A database as large teams have: 100,000 runs of one experiment, 10 million values of metrics. */
import { DatabaseSync } from "node:sqlite";

/** The runs of the file. */
export const LARGE_RUNS = 100_000;
/** The values of metrics that each of them has: 10 metrics, 10 steps. */
const VALUES_PER_RUN = 100;

/** A number from 0 to 1 that looks like chance, of the run `i` and a text of SQL. */
const chance = (salt: string | number) => `(((i * 2654435761 + ${salt} * 40503) & 4294967295) % 1000003 / 1000003.0)`;
const RUN_ID = [1, 2, 3, 4].map((k) => `((i + ${k * 77_777}) * 2654435761 & 4294967295)`).join(", ");

/**
 * Writes the runs into an empty tracking database, by SQL and in the order of time, as a team's years would have.
 *
 * Each has 10 metrics of 10 steps, 10 params and 6 tags; a hundredth is deleted. Takes two minutes.
 *
 * @param experimentId the experiment that all runs are of, as a whole number
 */
export function fillLarge(path: string, experimentId: number): void {
  using database = new DatabaseSync(path, { enableForeignKeyConstraints: false });
  database.exec("PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; PRAGMA temp_store = MEMORY");
  const start = Date.now() - LARGE_RUNS * 60_000;
  database.exec("CREATE TEMP TABLE seeded (i INTEGER PRIMARY KEY, id TEXT, start INTEGER)");
  database.exec(
    `WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < ${LARGE_RUNS - 1}) ` +
      `INSERT INTO seeded SELECT i, printf('%08x%08x%08x%08x', ${RUN_ID}), ${start} + i * 60000 FROM s`,
  );
  database.exec("BEGIN");
  database.exec(
    "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, " +
      "end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) SELECT id, 'run-' || i, 'UNKNOWN', '', " +
      "'', 'user' || (i % 20), iif(i % 50 = 7, 'FAILED', 'FINISHED'), start, " +
      `start + CAST(${chance(1)} * 7200000 AS INTEGER), '', iif(i % 100 = 13, 'deleted', 'active'), ` +
      `'/data/mlruns/${experimentId}/' || id || '/artifacts', ${experimentId} FROM seeded`,
  );
  const insert = (table: string, key: string, value: string, where: string = "1") =>
    database.exec(
      `INSERT INTO ${table} (key, value, run_uuid) SELECT '${key}', ${value}, id FROM seeded WHERE ${where}`,
    );
  insert("params", "seed", `CAST(CAST(${chance(2)} * 1000000 AS INTEGER) AS TEXT)`);
  insert("params", "lr", "CASE i * 7919 % 7 WHEN 0 THEN '0.1' WHEN 1 THEN '0.01' ELSE '0.001' END");
  insert("params", "rarely", "'' || i % 40", "i % 997 = 5");
  for (let k = 0; k < 7; k++) insert("params", `param_${k}`, `'' || CAST(${chance(10 + k)} * 50 AS INTEGER)`);
  insert("tags", "mlflow.runName", "'run-' || i");
  insert("tags", "mlflow.user", "'user' || (i % 20)");
  insert("tags", "mlflow.source.name", "'file:///home/team/train.ts'");
  insert("tags", "mlflow.source.type", "'LOCAL'");
  insert("tags", "team", "'team ' || (i * 7919 % 11)");
  insert("tags", "candidate", "'yes'", "i % 1009 = 3");
  database.exec(
    "INSERT INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source) " +
      `SELECT 'dataset' || i, ${experimentId}, 'digits ' || i, 'd' || i, 'local', '{}' FROM seeded WHERE i < 50`,
  );
  database.exec(
    "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step) " +
      "SELECT 'input' || id, 'DATASET', 'dataset' || (i * 7919 % 50), 'RUN', id, 0 FROM seeded",
  );
  database.exec(
    "INSERT INTO input_tags (input_uuid, name, value) SELECT 'input' || id, 'mlflow.data.context', 'training' FROM seeded",
  );
  const value = `${chance("(20 + k)")} * (1 + step / 10.0)`;
  const keys = "(WITH RECURSIVE s(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM s WHERE k < 9) SELECT k FROM s)";
  database.exec(
    "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) " +
      `SELECT 'metric_' || k, ${value}, start + 9000, step, 0, id FROM seeded, ${keys}, (SELECT 9 AS step)`,
  );
  database.exec(
    "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid) " +
      `SELECT 'metric_' || k, ${value}, start + step * 1000, step, 0, id FROM seeded, ` +
      `(SELECT a.k, b.k AS step FROM ${keys} a, ${keys} b)`,
  );
  database.exec("COMMIT");
  const { n } = database.prepare("SELECT COUNT(*) AS n FROM metrics").get() as { n: number };
  if (n !== LARGE_RUNS * VALUES_PER_RUN) throw new Error(`Cannot fill "${path}": ${n} values of metrics`);
  database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
}
