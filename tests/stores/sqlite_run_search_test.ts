import { assert, assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { join } from "@std/path";
import { SqliteStore } from "../../stores/sqlite_store.ts";
import { OWN_INDEXES } from "../../stores/sqlite_schema.ts";

const FILTERS = [
  "",
  "metrics.acc > 0.9",
  "metrics.acc != 0.5 AND metrics.acc < 0.6",
  "metrics.acc != 0.5",
  "metrics.rare >= 0",
  "params.lr = '3' AND metrics.acc > 0.2",
  "params.id = '77'",
  "params.id LIKE '7%' AND status = 'RUNNING'",
  "params.id IS NOT NULL AND params.lr ILIKE '_'",
  "params.none = 'x'",
  "tags.odd = 'yes' AND metrics.acc <= 0.3",
];
const ORDERS = [
  [],
  ["start_time ASC"],
  ["metrics.acc DESC"],
  ["metrics.acc", "params.lr DESC"],
  ["metrics.rare DESC", "metrics.acc"],
  ["metrics.none"],
  ["params.lr", "metrics.acc DESC"],
];

Deno.test("SqliteStore finds the same runs among many with its own indexes and without", async () => {
  const dir = await Deno.makeTempDir();
  const path = join(dir, "mlflow.db");
  try {
    await using store = await SqliteStore.open(`sqlite:///${path}`);
    const experiments = [await store.createExperiment("large"), await store.createExperiment("small")];
    fill(path, experiments.map(Number));
    const answers = async () => {
      const found: Record<string, string[]> = {};
      for (const filter of FILTERS) {
        for (const orderBy of ORDERS) {
          for (const ids of [[experiments[0]], experiments]) {
            for (const [viewType, pageToken] of [["ACTIVE_ONLY", ""], ["ALL", btoa('{"offset": 3480}')]] as const) {
              const { items } = await store.searchRuns(ids, { filter, orderBy, viewType, pageToken, maxResults: 40 });
              found[`${filter} | ${orderBy} | ${ids} | ${viewType}`] = items.map(({ info }) => info.runName);
            }
          }
        }
      }
      return found;
    };
    const fast = await answers();
    {
      using other = new DatabaseSync(path);
      for (const name of Object.keys(OWN_INDEXES)) other.exec(`DROP INDEX ${name}`);
    }
    assertEquals(fast, await answers());
    assert(Object.values(fast).filter((names) => names.length > 0).length > 100);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

/** Writes 3,600 runs by SQL: equal values, NaN, missing keys, deleted runs. */
function fill(path: string, [large, small]: readonly number[]): void {
  using database = new DatabaseSync(path);
  const rows = "WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < 3599) ";
  database.exec("BEGIN");
  database.exec(
    "INSERT INTO runs (run_uuid, name, user_id, status, start_time, lifecycle_stage, artifact_uri, experiment_id) " +
      `${rows} SELECT printf('%032x', i * 7919 % 3600), 'run ' || i, 'me', CASE i % 4 WHEN 0 THEN 'FAILED' ELSE 'RUNNING' END, ` +
      `i / 5, CASE i % 20 WHEN 3 THEN 'deleted' ELSE 'active' END, '', CASE i % 30 WHEN 7 THEN ${small} ELSE ${large} END FROM s`,
  );
  const insert = (table: string, key: string, value: string, where: string, nan = "") =>
    database.exec(
      `INSERT INTO ${table} (key, value, run_uuid${nan && ", is_nan, step, timestamp"}) ${rows} SELECT '${key}', ` +
        `${value}, printf('%032x', i * 7919 % 3600)${nan && `, ${nan}, 0, 0`} FROM s WHERE ${where}`,
    );
  insert("params", "lr", "'' || (i % 7)", "i % 11");
  insert("params", "id", "'' || i", "1");
  insert("tags", "odd", "'yes'", "i % 2");
  insert("latest_metrics", "acc", "(i * 31 % 20) / 20.0", "i % 9 AND i % 13", "0");
  insert("latest_metrics", "acc", "0", "i % 9 AND i % 13 = 0", "1");
  insert("latest_metrics", "rare", "i / 500", "i % 500 = 0", "0");
  database.exec("COMMIT");
}
