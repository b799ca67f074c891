/** Searches in memory give what searches in SQL give. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { MlflowError } from "../../errors.ts";
import { FileStore } from "../../stores/file_store.ts";
import { SqliteStore } from "../../stores/sqlite_store.ts";
import type { LoggedModelSearch, TrackingStore } from "../../stores/store.ts";

const RUN_FILTERS = [
  "",
  ...[">", ">=", "=", "!=", "<", "<="].map((comparator) => `metrics.acc ${comparator} 0.3`),
  "metrics.`a/b c` != 0",
  "metrics.missing != 1",
  "metrics.inf > 1e300",
  ...["=", "!=", "LIKE", "ILIKE"].flatMap((comparator) => [
    `params.lr ${comparator} '0.3'`,
    `tags.word ${comparator} 'Ab%'`,
    `tags.word ${comparator} '_b_'`,
    `run_name ${comparator} 'run 3'`,
    `attributes.status ${comparator} 'FINISHED'`,
    `dataset.name ${comparator} 'even'`,
    `dataset.context ${comparator} 'tra%'`,
  ]),
  "tags.word LIKE '%[x]%'",
  "tags.word LIKE '%.*%'",
  "tags.word LIKE 'l%e'",
  "tags.word IS NULL",
  "tags.word IS NOT NULL AND params.lr IS NOT NULL",
  "params.none IS NULL",
  "attributes.start_time >= 3 AND start_time < 8",
  "end_time > 0",
  "end_time != 5",
  "created = 4",
  "user_id = 'me'",
  "artifact_uri ILIKE '%ARTIFACTS'",
  "dataset.digest IN ('1', '3')",
  "dataset.name NOT IN ('even')",
  "`run name` = 'run 1'",
  "metrics.acc > 'x'",
  "foo.bar = 1",
  "params.lr > '0.1'",
  "metrics.acc > 0.1 OR metrics.acc < 1",
];
const RUN_ORDERS: string[][] = [
  [],
  ["metrics.acc"],
  ["metrics.acc DESC"],
  ["metrics.inf DESC", "start_time"],
  ["metrics.missing", "params.lr DESC"],
  ["tags.word"],
  ["tags.word DESC", "start_time ASC"],
  ["end_time"],
  ["end_time DESC"],
  ["attributes.status", "run_name DESC"],
  ["created"],
  ["start_time", "created"],
  ["metrics.acc", "metrics.acc DESC"],
  ["dataset.name"],
  ["bogus"],
];

Deno.test("searches for runs in memory find what SQLite finds", async () => {
  await withStores(async (stores) => {
    for (const store of stores) await fillRuns(store);
    for (const filter of RUN_FILTERS) {
      await same(stores, filter, async (store) => {
        const { items } = await store.searchRuns(["0"], { filter, viewType: "ALL" });
        return items.map(({ info }) => info.runName);
      });
    }
    for (const orderBy of RUN_ORDERS) {
      await same(stores, orderBy.join(), async (store) => {
        const { items } = await store.searchRuns(["0"], { orderBy });
        return items.map(({ info }) => info.runName);
      });
    }
  });
});

const EXPERIMENT_SEARCHES: readonly [filter: string, orderBy: string[]][] = [
  ["name = 'b'", []],
  ["name != 'b'", ["name"]],
  ["name LIKE 'A%'", ["name DESC"]],
  ["name ILIKE 'A%'", ["name DESC"]],
  ["tags.t = '1'", ["name"]],
  ["tags.t != '1'", ["name"]],
  ["tags.t IS NULL", ["name"]],
  ["experiment_id = '0'", []],
  ["experiment_id != '0'", ["name"]],
  ["experiment_id IN ('0', '7')", []],
  ["experiment_id NOT IN ('0')", ["name"]],
  ["creation_time > 0 AND last_update_time > 5", ["name"]],
  ["", ["creation_time"]],
  ["", ["bogus"]],
  ["", ["tags.t"]],
  ["name like 'a'", []],
];

Deno.test("searches for experiments in memory find what SQLite finds", async () => {
  await withStores(async (stores) => {
    for (const store of stores) {
      for (const name of ["a", "b", "A b", "é"]) {
        for (const start = Date.now(); Date.now() === start;);
        await store.createExperiment(name, { tags: name === "é" ? {} : { t: name === "a" ? "1" : "2" } });
      }
    }
    for (const [filter, orderBy] of EXPERIMENT_SEARCHES) {
      await same(stores, `${filter} ${orderBy}`, async (store) => {
        const { items } = await store.searchExperiments({ filter, orderBy });
        return items.map(({ name }) => name);
      });
    }
  });
});

const MODEL_SEARCHES: readonly LoggedModelSearch[] = [
  { filter: "metrics.acc > 0.2" },
  { filter: "metrics.acc != 0.2" },
  { filter: "metrics.acc <= 0.2", datasets: [{ name: "test" }] },
  { filter: "name LIKE 'model%' AND params.p = '1'" },
  { filter: "params.p != '1'" },
  { filter: "tags.t IN ('x', 'y')" },
  { filter: "tags.t NOT IN ('x')" },
  { filter: "model_type = 'odd'" },
  { filter: "model_type != 'odd'" },
  { filter: "creation_timestamp > 5" },
  { filter: "lifecycle_stage = 'active'" },
  { datasets: [{ name: "test", digest: "d" }] },
  { datasets: [{ name: "none" }] },
  { orderBy: [{ fieldName: "metrics.acc" }] },
  { orderBy: [{ fieldName: "metrics.acc", ascending: false, datasetName: "test" }] },
  { orderBy: [{ fieldName: "model_type" }, { fieldName: "name", ascending: false }] },
  { orderBy: [{ fieldName: "creation_timestamp" }] },
  { filter: "bogus = 1" },
];

Deno.test("searches for logged models in memory find what SQLite finds", async () => {
  await withStores(async (stores) => {
    for (const store of stores) await fillModels(store);
    for (const search of MODEL_SEARCHES) {
      await same(stores, JSON.stringify(search), async (store) => {
        const { items } = await store.searchLoggedModels(["0"], search);
        return items.map(({ name }) => name);
      });
    }
  });
});

const WORDS = [undefined, "Abc", "abc", "a[x]c", "l\ne", "a.*c", "zbz", "", undefined, "AB"];

async function fillRuns(store: TrackingStore): Promise<void> {
  for (const [i, word] of WORDS.entries()) {
    const { info } = await store.createRun({
      experimentId: "0",
      runName: `run ${i}`,
      startTime: i,
      userId: i % 3 ? "me" : "you",
    });
    await store.logBatch(info.runId, {
      metrics: [
        { key: "acc", value: i === 4 ? NaN : i / 10, timestamp: 1 },
        { key: "a/b c", value: i - 5, timestamp: 1 },
        ...(i < 3 ? [{ key: "inf", value: [Infinity, -Infinity, 0][i], timestamp: 1 }] : []),
      ],
      params: i === 7 ? [] : [{ key: "lr", value: `0.${i}` }],
      tags: word === undefined ? [] : [{ key: "word", value: word }],
    });
    if (i % 2 === 0) {
      const dataset = { name: i % 4 ? "even" : "other", digest: String(i), sourceType: "local", source: "{}" };
      await store.logInputs(info.runId, {
        datasets: [{ dataset, tags: i === 0 ? {} : { "mlflow.data.context": "train" } }],
      });
    }
    if (i > 5) await store.updateRun(info.runId, { status: "FINISHED", endTime: i === 9 ? 5 : i });
    if (i === 8) await store.deleteRun(info.runId);
  }
}

async function fillModels(store: TrackingStore): Promise<void> {
  const { info } = await store.createRun({ experimentId: "0" });
  for (let i = 0; i < 5; i++) {
    for (const start = Date.now(); Date.now() === start;);
    const { modelId } = await store.createLoggedModel({
      experimentId: "0",
      name: `model ${i}`,
      modelType: [undefined, "odd", "even"][i % 3],
      params: i === 4 ? {} : { p: String(i) },
      tags: i === 3 ? {} : { t: "xyz"[i % 3] },
    });
    if (i === 2) continue;
    await store.logBatch(info.runId, {
      metrics: [
        { key: "acc", value: i / 10, step: i, timestamp: 5, modelId, dataset: { name: "test", digest: "d" } },
        { key: "acc", value: 1 - i / 10, step: i, timestamp: 4, modelId },
      ],
    });
  }
}

/** Compares the answers of the stores to a question, or the codes and sentences of their refusals. */
async function same(
  stores: readonly TrackingStore[],
  question: string,
  ask: (store: TrackingStore) => Promise<unknown>,
): Promise<void> {
  const answers = await Promise.all(stores.map(async (store) => {
    try {
      return await ask(store);
    } catch (error) {
      assert(error instanceof MlflowError, String(error));
      return error.message;
    }
  }));
  assertEquals([question, answers[0]], [question, answers[1]]);
}

async function withStores(check: (stores: readonly [TrackingStore, TrackingStore]) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "mlflow-deno-" });
  try {
    await using files = await FileStore.open(join(dir, "mlruns"));
    await using sqlite = await SqliteStore.open("sqlite:///:memory:");
    await check([files, sqlite]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
