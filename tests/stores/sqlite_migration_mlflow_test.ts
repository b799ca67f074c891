/** Files of ours go through MLflow's migrations to what MLflow makes itself, with the indexes that only we have. */
import { assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { join } from "@std/path";
import { SqliteStore } from "../../stores/sqlite_store.ts";
import { mlflowTest } from "../support/mlflow.ts";

type Row = Record<string, unknown>;

/** The tables of a database, each with its columns, foreign keys and indexes. */
function schemaOf(path: string): Record<string, unknown> {
  using database = new DatabaseSync(path, { readOnly: true });
  const all = (sql: string, ...values: string[]) => database.prepare(sql).all(...values) as Row[];
  const tables = all("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name");
  return Object.fromEntries(tables.map(({ name: table }) => [String(table), {
    columns: all('SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?) ORDER BY name', String(table)),
    foreignKeys: all(
      'SELECT "table", "from", "to", on_update, on_delete FROM pragma_foreign_key_list(?) ORDER BY "from", "table"',
      String(table),
    ),
    indexes: all('SELECT name, "unique", origin FROM pragma_index_list(?)', String(table)).map((index) => ({
      // The names of the indexes behind constraints only count them.
      name: index.origin === "c" ? index.name : index.origin,
      unique: index.unique,
      columns: all("SELECT name FROM pragma_index_info(?)", String(index.name)).map(({ name }) => name).join(", "),
    })).map((index) => JSON.stringify(index)).sort(),
  }]));
}

const OWN = [
  ["latest_metrics", {
    name: "mlflow_deno_latest_metrics_by_value",
    unique: 0,
    columns: "key, is_nan, value, run_uuid",
  }],
  ["params", { name: "mlflow_deno_params_by_value", unique: 0, columns: "key, value, run_uuid" }],
  ["runs", {
    name: "mlflow_deno_runs_by_end",
    unique: 0,
    columns: "experiment_id, end_time, start_time, run_uuid, lifecycle_stage",
  }],
  [
    "runs",
    { name: "mlflow_deno_runs_by_start", unique: 0, columns: "experiment_id, start_time, run_uuid, lifecycle_stage" },
  ],
  ["tags", { name: "mlflow_deno_tags_by_value", unique: 0, columns: "key, value, run_uuid" }],
] as const;

for (const version of ["3.10.0", "3.17.2"] as const) {
  mlflowTest(`mlflow db upgrade ${version} makes of our file what MLflow makes itself`, { version }, async (mlflow) => {
    const [ours, theirs] = [join(mlflow.dir, "ours.db"), join(mlflow.dir, "theirs.db")];
    {
      await using store = await SqliteStore.open(`sqlite:///${ours}`);
      const { info } = await store.createRun({ experimentId: "0", runName: "before" });
      await store.logBatch(info.runId, {
        metrics: [{ key: "m", value: NaN }, { key: "m", value: 2, step: 1 }],
        params: [{ key: "p", value: "1" }],
      });
    }
    await mlflow.python(
      `
import subprocess, sys
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
subprocess.run([sys.executable, "-m", "mlflow", "db", "upgrade", "sqlite:///ours.db"], check=True, stdout=sys.stderr)
SqlAlchemyStore("sqlite:///theirs.db", "./mlruns")
`,
    );
    const [migrated, made] = [schemaOf(ours), schemaOf(theirs)] as Record<string, { indexes: string[] }>[];
    for (const [table, index] of OWN) made[table].indexes = [...made[table].indexes, JSON.stringify(index)].sort();
    assertEquals(migrated, made);

    await using store = await SqliteStore.open(`sqlite:///${ours}`);
    const found = await store.searchRuns(["0"], {
      filter: "metrics.m > 1 AND params.p = '1'",
      orderBy: ["metrics.m DESC"],
    });
    assertEquals(found.items.map(({ info }) => info.runName), ["before"]);
  });
}
