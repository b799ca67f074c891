import { assert, assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { join } from "@std/path";
import type { ViewType } from "../../entities.ts";
import { SqliteDatabase } from "../../stores/sqlite_database.ts";
import { readRunSearch } from "../../stores/sqlite_query.ts";
import { findRuns } from "../../stores/sqlite_run_search.ts";
import { SqliteStore } from "../../stores/sqlite_store.ts";

const FILTERS = [
  "",
  "metrics.acc > 0.9",
  "metrics.acc > 0.2 AND metrics.acc < 0.3",
  "metrics.acc != 0.5 AND metrics.acc < 0.6",
  "metrics.acc != 0.5",
  "metrics.rare >= 0",
  "params.lr = '3' AND metrics.acc > 0.2",
  "params.lr = '3' AND tags.odd = 'yes' AND metrics.acc < 0.7",
  "params.id = '77'",
  "params.id LIKE '7%' AND status = 'RUNNING'",
  "params.id IS NOT NULL AND params.lr ILIKE '_'",
  "params.id IS NULL",
  "params.lr IS NULL AND params.lr != '1'",
  "params.none = 'x'",
  "tags.odd = 'yes' AND metrics.acc <= 0.3",
  "tags.empty IS NOT NULL AND status != 'FAILED'",
  "tags.odd IS NULL AND tags.empty IS NULL",
  "attributes.run_name = 'run 77'",
  "run_name ILIKE '%RUN 7%' AND run_name LIKE '%7'",
  "run_id IN ('00000000000000000000000000000007', '00000000000000000000000000000070')",
  "status = 'FAILED'",
  "user_id = 'nobody' AND params.lr = '3'",
  "dataset.name = 'digits 3'",
  "dataset.name = 'digits 3' AND dataset.name = 'digits 4'",
  "dataset.context = 'training' AND metrics.acc > 0.5",
  "dataset.context = 'nothing'",
];
const ORDERS = [
  [],
  ["start_time ASC"],
  ["metrics.acc DESC"],
  ["metrics.acc", "params.lr DESC"],
  ["metrics.acc", "start_time"],
  ["metrics.rare DESC", "metrics.acc"],
  ["metrics.none"],
  ["params.lr", "metrics.acc DESC"],
  ["params.lr DESC", "end_time"],
  ["params.id"],
  ["tags.odd", "params.lr"],
  ["tags.empty DESC"],
  ["tags.zero"],
  ["end_time DESC"],
  ["status", "metrics.acc DESC"],
  ["run_id DESC"],
  ["run_name"],
];
/** How many, from where, of how many experiments, and of which stage. */
const PAGES = [[40, 0, 1, "ACTIVE_ONLY"], [300, 5, 2, "ACTIVE_ONLY"], [300, 1100, 2, "ALL"]] as const;

Deno.test("findRuns() gives what the plain query gives, whatever it begins with", async () => {
  const dir = await Deno.makeTempDir();
  const path = join(dir, "mlflow.db");
  try {
    const experiments: bigint[] = [];
    {
      await using store = await SqliteStore.open(`sqlite:///${path}`);
      for (const name of ["large", "small"]) experiments.push(BigInt(await store.createExperiment(name)));
    }
    fill(path, experiments);
    const db = await SqliteDatabase.open(path);
    try {
      let answers = 0;
      for (const filter of FILTERS) {
        for (const orderBy of ORDERS) {
          for (const [limit, offset, count, viewType] of PAGES) {
            const search = readRunSearch({ filter, orderBy, viewType: viewType satisfies ViewType });
            const ids = experiments.slice(0, count);
            // Nothing is many, much is many, and all is.
            const [plain, ...fast] = [1e9, 250, 30].map((few) => findRuns(db, ids, search, limit, offset, few));
            for (const found of fast) assertEquals(found, plain, `${filter} | ${orderBy} | ${limit} from ${offset}`);
            if (plain.length > 0) answers++;
          }
        }
      }
      assert(answers > 500, `${answers} searches found something`);
    } finally {
      db.close();
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

/** Writes 1,200 runs by SQL: equal values, NaN, missing keys and values, datasets, deleted runs. */
function fill(path: string, [large, small]: readonly bigint[]): void {
  using database = new DatabaseSync(path);
  const rows = "WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < 1199) ";
  database.exec("BEGIN");
  database.exec(
    "INSERT INTO runs (run_uuid, name, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri, experiment_id) " +
      `${rows} SELECT printf('%032x', i * 7919 % 1200), 'run ' || i, 'me', CASE i % 4 WHEN 0 THEN 'FAILED' ELSE 'RUNNING' END, ` +
      `i / 5, iif(i % 6, i * 31 % 977, NULL), CASE i % 20 WHEN 3 THEN 'deleted' ELSE 'active' END, '', CASE i % 30 WHEN 7 THEN ${small} ELSE ${large} END FROM s`,
  );
  const insert = (table: string, key: string, value: string, where: string, nan = "") =>
    database.exec(
      `INSERT INTO ${table} (key, value, run_uuid${nan && ", is_nan, step, timestamp"}) ${rows} SELECT '${key}', ` +
        `${value}, printf('%032x', i * 7919 % 1200)${nan && `, ${nan}, 0, 0`} FROM s WHERE ${where}`,
    );
  insert("params", "lr", "'' || (i % 7)", "i % 11");
  insert("params", "id", "'' || i", "1");
  insert("tags", "odd", "'yes'", "i % 2");
  insert("tags", "empty", "iif(i % 3, NULL, '' || i % 2)", "i % 5 = 0");
  insert("tags", "zero", "'a' || char(0) || 'b'", "i % 4");
  insert("tags", "mlflow.runName", "'run ' || i", "i % 700");
  insert("latest_metrics", "acc", "(i * 31 % 20) / 20.0", "i % 9 AND i % 13", "0");
  insert("latest_metrics", "acc", "0", "i % 9 AND i % 13 = 0", "1");
  insert("latest_metrics", "rare", "i / 100", "i % 100 = 0", "0");
  database.exec(
    "INSERT INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source) " +
      `${rows} SELECT 'd' || i, ${large}, 'digits ' || i, 'd', 'local', '{}' FROM s WHERE i < 10`,
  );
  for (const shift of [0, 1]) {
    database.exec(
      "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step) " +
        `${rows} SELECT '${shift}-' || i, 'DATASET', 'd' || ((i + ${shift}) % 10), 'RUN', ` +
        `printf('%032x', i * 7919 % 1200), 0 FROM s WHERE i % 9 = 4`,
    );
  }
  database.exec(
    "INSERT INTO input_tags (input_uuid, name, value) SELECT input_uuid, 'mlflow.data.context', " +
      "iif(source_id = 'd3', 'validation', 'training') FROM inputs",
  );
  database.exec("COMMIT");
}
