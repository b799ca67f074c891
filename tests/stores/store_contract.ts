/**
 * What every store promises, sentence by sentence.
 *
 * A case makes an experiment of its own and looks at nothing outside it, so that the contract also holds on a server
 * that has been in use for long.
 */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { DatasetInput, ViewType } from "../../entities.ts";
import { MlflowError } from "../../errors.ts";
import type { LoggedModelSearch, TrackingStore } from "../../stores/store.ts";
import { gatedTest } from "../support/gate.ts";
import { type Check, refused, uniqueName } from "./contract_case.ts";
import { REGISTRY_CASES } from "./registry_contract.ts";

/** How a store takes the contract. */
export interface ContractOptions {
  /** The promises that this store does not keep, each with the reason. */
  readonly skip?: Readonly<Record<string, string>>;
  /** Why something that the store needs cannot be used here; undefined where it can. */
  readonly missing?: string | undefined;
}

const CASES = new Map<string, Check>();

/**
 * Registers a test for every promise.
 *
 * @param open gives a store, which is disposed of after the test: a new and empty one, or another client of one server
 */
export function testStoreContract(
  name: string,
  open: () => Promise<TrackingStore>,
  options: ContractOptions = {},
): void {
  for (const { promise, reason, run } of casesOf(open, options)) {
    if (reason === undefined) gatedTest({ name: `${name} ${promise}`, missing: options.missing, fn: run });
    else Deno.test({ name: `${name} ${promise} (skipped: ${reason})`, ignore: true, fn: run });
  }
}

/**
 * Checks every promise as a step of a running test, which may own what the stores need:
 *
 * ```ts ignore
 * mlflowTest("RestStore keeps the contract", async (mlflow, t) => {
 *   await using server = await mlflow.ui();
 *   await checkStoreContract(t, () => RestStore.open(server.url));
 * });
 * ```
 */
export async function checkStoreContract(
  t: Deno.TestContext,
  open: () => Promise<TrackingStore>,
  options: ContractOptions = {},
): Promise<void> {
  for (const { promise, reason, run } of casesOf(open, options)) {
    const name = reason === undefined ? promise : `${promise} (skipped: ${reason})`;
    await t.step({ name, ignore: reason !== undefined, fn: run });
  }
}

function casesOf(open: () => Promise<TrackingStore>, { skip = {} }: ContractOptions) {
  const unknown = Object.keys(skip).find((promise) => !CASES.has(promise));
  if (unknown !== undefined) throw new Error(`Cannot skip "${unknown}": the contract has no such promise`);
  return [...CASES].map(([promise, check]) => ({
    promise,
    reason: Object.hasOwn(skip, promise) ? skip[promise] : undefined,
    run: async () => {
      await using store = await open();
      await check(store, await store.createExperiment(uniqueName("contract")));
    },
  }));
}

function test(promise: string, check: Check): void {
  CASES.set(promise, check);
}

async function newRun(store: TrackingStore, experimentId: string): Promise<string> {
  return (await store.createRun({ experimentId })).info.runId;
}

/** Waits until the clock shows another millisecond, so that what is made next is later. */
async function nextMillisecond(): Promise<void> {
  for (const start = Date.now(); Date.now() === start;) await new Promise((resolve) => setTimeout(resolve, 0));
}

test("has the default experiment", async (store) => {
  const experiment = await store.getExperiment("0");
  assertEquals(experiment.name, "Default");
  assertEquals(experiment.lifecycleStage, "active");
  assertStringIncludes(experiment.artifactLocation, "/0");
});

test("makes experiments and finds them by name", async (store) => {
  const name = uniqueName("flowers");
  const id = await store.createExperiment(name, { tags: { team: "a" } });
  const experiment = await store.getExperimentByName(name);
  assertEquals(experiment?.experimentId, id);
  assertEquals(experiment?.tags, { team: "a" });
  assertEquals(await store.getExperimentByName(uniqueName("none")), undefined);
});

test("refuses a second experiment of a name, also of a deleted one", async (store) => {
  const name = uniqueName("flowers");
  const id = await store.createExperiment(name);
  const sentence = `Experiment(name=${name}) already exists.`;
  await refused(() => store.createExperiment(name), "RESOURCE_ALREADY_EXISTS", sentence);
  await store.deleteExperiment(id);
  await refused(() => store.createExperiment(name), "RESOURCE_ALREADY_EXISTS", sentence);
});

test("refuses bad names and ids of experiments", async (store) => {
  await refused(() => store.createExperiment(""), "INVALID_PARAMETER_VALUE", "Invalid experiment name: ''");
  await refused(
    () => store.createExperiment("x".repeat(501)),
    "INVALID_PARAMETER_VALUE",
    "'name' exceeds the maximum length of 500 characters",
  );
  await refused(
    () => store.getExperiment("987654321"),
    "RESOURCE_DOES_NOT_EXIST",
    "No Experiment with id=987654321 exists",
  );
  await refused(
    () => store.getExperiment("abc"),
    "INVALID_PARAMETER_VALUE",
    "Invalid experiment ID 'abc'. Experiment ID must be a valid integer.",
  );
});

test("keeps an artifact location that was given", async (store) => {
  const id = await store.createExperiment(uniqueName("elsewhere"), { artifactLocation: "s3://bucket/a?x=1" });
  const run = await store.createRun({ experimentId: id });
  assertEquals(run.info.artifactUri, `s3://bucket/a/${run.info.runId}/artifacts?x=1`);
});

test("deletes and restores an experiment with its runs", async (store, id) => {
  const run = await store.createRun({ experimentId: id });
  await store.deleteExperiment(id);
  assertEquals((await store.getExperiment(id)).lifecycleStage, "deleted");
  assertEquals((await store.getRun(run.info.runId)).info.lifecycleStage, "deleted");
  await refused(
    () => store.createRun({ experimentId: id }),
    "INVALID_PARAMETER_VALUE",
    `The experiment ${id} must be in the 'active' state. Current state is deleted.`,
  );
  await refused(() => store.renameExperiment(id, "b"), "INVALID_STATE", "Cannot rename a non-active experiment.");
  await store.restoreExperiment(id);
  assertEquals((await store.getRun(run.info.runId)).info.lifecycleStage, "active");
});

test("renames an experiment, but never to a name in use", async (store, id) => {
  const name = uniqueName("trees");
  await store.renameExperiment(id, name);
  assertEquals((await store.getExperiment(id)).name, name);
  const other = await store.createExperiment(uniqueName("other"));
  await refused(() => store.renameExperiment(other, name), "RESOURCE_ALREADY_EXISTS", "already exists");
});

test("sets, replaces and removes tags of an experiment", async (store, id) => {
  await store.setExperimentTag(id, "team", "a");
  await store.setExperimentTag(id, "team", "b");
  await store.setExperimentTag(id, "place", "é");
  assertEquals((await store.getExperiment(id)).tags, { team: "b", place: "é" });
  await store.deleteExperimentTag(id, "team");
  assertEquals((await store.getExperiment(id)).tags, { place: "é" });
  await refused(
    () => store.deleteExperimentTag(id, "team"),
    "RESOURCE_DOES_NOT_EXIST",
    `No tag with name: team in experiment with id ${id}`,
  );
  await store.deleteExperiment(id);
  const sentence = `The experiment ${id} must be in the 'active' state. Current state is deleted.`;
  await refused(() => store.setExperimentTag(id, "a", "b"), "INVALID_PARAMETER_VALUE", sentence);
  await refused(() => store.deleteExperimentTag(id, "place"), "INVALID_PARAMETER_VALUE", sentence);
});

test("lists experiments, the latest made first, in pages", async (store) => {
  const names: string[] = [];
  for (let i = 0; i < 4; i++) {
    await nextMillisecond();
    names.unshift(uniqueName("listed"));
    await store.createExperiment(names[0]);
  }
  const seen: string[] = [];
  let pageToken: string | undefined;
  do {
    const page = await store.searchExperiments({ maxResults: 3, pageToken });
    seen.push(...page.items.map(({ name }) => name));
    pageToken = page.nextPageToken;
  } while (pageToken !== undefined);
  assertEquals(seen.filter((name) => name.startsWith("listed")).slice(0, 4), names);
  assertEquals(new Set(seen).size, seen.length);
});

test("searches experiments by name, time, id, tag and stage, in any order", async (store) => {
  const prefix = uniqueName("Search");
  const ids: string[] = [];
  const tagged: Record<string, string>[] = [{ team: "a" }, { team: "B" }, {}];
  for (const [i, tags] of tagged.entries()) {
    await nextMillisecond();
    ids.push(await store.createExperiment(`${prefix} ${i}`, { tags }));
  }
  await store.deleteExperiment(ids[2]);
  const found = async (filter: string, orderBy: string[] = [], viewType: ViewType = "ACTIVE_ONLY") => {
    const scoped = filter === "" ? `name LIKE '${prefix}%'` : `name LIKE '${prefix}%' AND ${filter}`;
    const { items } = await store.searchExperiments({ filter: scoped, orderBy, viewType });
    return items.map(({ name }) => name.at(-1)).join("");
  };
  assertEquals(await found(""), "10");
  assertEquals(await found("", [], "ALL"), "210");
  assertEquals(await found("", [], "DELETED_ONLY"), "2");
  assertEquals(await found("", ["name"]), "01");
  assertEquals(await found("", ["creation_time ASC"], "ALL"), "012");
  assertEquals(await found(`name ILIKE '${prefix.toUpperCase()} 1'`), "1");
  assertEquals(await found("tags.team = 'a'"), "0");
  assertEquals(await found("tags.team ILIKE 'b'"), "1");
  assertEquals(await found("tags.team != 'a'", [], "ALL"), "1");
  assertEquals(await found("tags.team IS NULL", [], "ALL"), "2");
  assertEquals(await found("tags.team IS NOT NULL"), "10");
  const { creationTime } = await store.getExperiment(ids[1]);
  assertEquals(await found(`creation_time >= ${creationTime}`, [], "ALL"), "21");
  assertEquals(await found(`attribute.creation_time != ${creationTime}`), "0");
  for (
    const [filter, sentence] of [
      ["lifecycle_stage = 'active'", "Invalid attribute key 'lifecycle_stage' specified"],
      ["name > 'a'", "Invalid comparator"],
      ["name = 1", "Expected a quoted string value"],
      ["creation_time > 'a'", "Expected numeric value type"],
    ]
  ) await refused(() => store.searchExperiments({ filter }), "INVALID_PARAMETER_VALUE", sentence);
  await refused(
    () => store.searchExperiments({ orderBy: ["bogus"] }),
    "INVALID_PARAMETER_VALUE",
    "Invalid attribute key 'bogus' specified",
  );
});

test("makes running runs with a random name", async (store, experimentId) => {
  const { info, data } = await store.createRun({ experimentId, startTime: 1000, tags: { a: "b" } });
  assert(/^[0-9a-f]{32}$/.test(info.runId), info.runId);
  assert(/^[a-z]+-[a-z]+-\d+$/.test(info.runName), info.runName);
  assertEquals(info.status, "RUNNING");
  assertEquals(info.startTime, 1000);
  assertEquals(info.endTime, undefined);
  assertEquals(info.userId, "unknown");
  assertEquals(data.tags, { a: "b", "mlflow.runName": info.runName });
});

test("keeps a run's name and its tag the same", async (store, experimentId) => {
  const { info } = await store.createRun({ experimentId, tags: { "mlflow.runName": "by-tag" } });
  assertEquals(info.runName, "by-tag");
  await store.logBatch(info.runId, { tags: [{ key: "mlflow.runName", value: "renamed" }] });
  assertEquals((await store.getRun(info.runId)).info.runName, "renamed");
  assertEquals((await store.updateRun(info.runId, { runName: "again" })).runName, "again");
  assertEquals((await store.getRun(info.runId)).data.tags["mlflow.runName"], "again");
  await refused(
    () => store.createRun({ experimentId, runName: "a", tags: { "mlflow.runName": "b" } }),
    "INVALID_PARAMETER_VALUE",
    "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values",
  );
});

test("updates status and end", async (store, experimentId) => {
  const runId = await newRun(store, experimentId);
  const info = await store.updateRun(runId, { status: "FAILED", endTime: 5000 });
  assertEquals([info.status, info.endTime], ["FAILED", 5000]);
});

test("keeps NaN, the infinities and odd numbers", async (store, experimentId) => {
  const runId = await newRun(store, experimentId);
  const values = [NaN, Infinity, -Infinity, 0, -1.5, 1e-300, 5e-324, 0.1, 2 ** 53];
  await store.logBatch(runId, { metrics: values.map((value, step) => ({ key: "m", value, step, timestamp: step })) });
  assertEquals((await store.getMetricHistory(runId, "m")).items.map(({ value }) => value), values);
  for (const value of [NaN, Infinity, -Infinity]) {
    await store.logBatch(runId, { metrics: [{ key: `latest ${value}`, value }] });
    assertEquals((await store.getRun(runId)).data.metrics[`latest ${value}`], value);
  }
});

test("orders a history by time, then step, then value, in pages", async (store, experimentId) => {
  const runId = await newRun(store, experimentId);
  const at = (timestamp: number, step: number, value: number) => ({ key: "m", value, step, timestamp });
  await store.logBatch(runId, { metrics: [at(2, 0, 1), at(1, 5, 1), at(1, 4, 9), at(1, 4, 3)] });
  const first = await store.getMetricHistory(runId, "m", { maxResults: 3 });
  assertEquals(first.items.map(({ timestamp, step, value }) => [timestamp, step, value]), [[1, 4, 3], [1, 4, 9], [
    1,
    5,
    1,
  ]]);
  const second = await store.getMetricHistory(runId, "m", { maxResults: 3, pageToken: first.nextPageToken });
  assertEquals(second.items.map(({ timestamp }) => timestamp), [2]);
});

test("takes the highest step, then time, then value for the latest", async (store, experimentId) => {
  const runId = await newRun(store, experimentId);
  const latest = async () => (await store.getRun(runId)).data.metrics.m;
  const log = (step: number, timestamp: number, value: number) =>
    store.logBatch(runId, { metrics: [{ key: "m", value, step, timestamp }] });
  await log(3, 10, 1);
  await log(2, 99, 2);
  assertEquals(await latest(), 1);
  await log(3, 11, 0.5);
  assertEquals(await latest(), 0.5);
  await log(3, 11, 0.7);
  assertEquals(await latest(), 0.7);
  await log(3, 11, 0.6);
  assertEquals(await latest(), 0.7);
  await log(3, 11, NaN);
  // NaN counts as 0, as in MLflow.
  assertEquals(await latest(), 0.7);
  await log(4, 0, -1);
  assertEquals(await latest(), -1);
});

test("keeps an equal value of a metric once", async (store, experimentId) => {
  const runId = await newRun(store, experimentId);
  const metric = { key: "m", value: 1, step: 1, timestamp: 1 };
  await store.logBatch(runId, { metrics: [metric, metric] });
  await store.logBatch(runId, { metrics: [metric] });
  assertEquals((await store.getMetricHistory(runId, "m")).items.length, 1);
});

test("never changes a param", async (store, experimentId) => {
  const runId = await newRun(store, experimentId);
  await store.logBatch(runId, { params: [{ key: "lr", value: "0.1" }, { key: "n", value: "1" }] });
  await store.logBatch(runId, { params: [{ key: "lr", value: "0.1" }] });
  await refused(
    () => store.logBatch(runId, { params: [{ key: "lr", value: "9" }] }),
    "INVALID_PARAMETER_VALUE",
    `Changing param values is not allowed. Param with key='lr' was already logged with value='0.1' for run ID='${runId}'. ` +
      "Attempted logging new value '9'.",
  );
  await refused(
    () => store.logBatch(runId, { params: [{ key: "new", value: "1" }, { key: "n", value: "2" }] }),
    "INVALID_PARAMETER_VALUE",
    "Changing param values is not allowed. Params were already logged='[{'key': 'n', 'old_value': '1', 'new_value': '2'}]' " +
      `for run ID='${runId}'.`,
  );
  assertEquals((await store.getRun(runId)).data.params, { lr: "0.1", n: "1" });
});

test("writes all of a batch or none of it", async (store, experimentId) => {
  const runId = await newRun(store, experimentId);
  await store.logBatch(runId, { params: [{ key: "p", value: "1" }] });
  await assertRejects(
    () =>
      store.logBatch(runId, {
        metrics: [{ key: "m", value: 1 }],
        params: [{ key: "q", value: "1" }, { key: "p", value: "2" }],
        tags: [{ key: "t", value: "1" }],
      }),
    MlflowError,
  );
  const { data } = await store.getRun(runId);
  assertEquals([data.metrics, data.params, data.tags.t], [{}, { p: "1" }, undefined]);
});

test("replaces and removes tags", async (store, experimentId) => {
  const runId = await newRun(store, experimentId);
  await store.logBatch(runId, { tags: [{ key: "t", value: "1" }] });
  await store.logBatch(runId, { tags: [{ key: "t", value: "2" }] });
  assertEquals((await store.getRun(runId)).data.tags.t, "2");
  await store.deleteTag(runId, "t");
  assertEquals((await store.getRun(runId)).data.tags.t, undefined);
  await refused(
    () => store.deleteTag(runId, "t"),
    "RESOURCE_DOES_NOT_EXIST",
    `No tag with name: t in run with id ${runId}`,
  );
});

test("refuses to write to deleted and missing runs", async (store, experimentId) => {
  const runId = await newRun(store, experimentId);
  await store.deleteRun(runId);
  const sentence = `The run ${runId} must be in the 'active' state. Current state is deleted.`;
  await refused(
    () => store.logBatch(runId, { metrics: [{ key: "m", value: 1 }] }),
    "INVALID_PARAMETER_VALUE",
    sentence,
  );
  await refused(() => store.updateRun(runId, { status: "FINISHED" }), "INVALID_PARAMETER_VALUE", sentence);
  await store.restoreRun(runId);
  await store.logBatch(runId, { metrics: [{ key: "m", value: 1 }] });
  await refused(
    () => store.getRun("f".repeat(32)),
    "RESOURCE_DOES_NOT_EXIST",
    `Run with id=${"f".repeat(32)} not found`,
  );
  await refused(
    () => store.logBatch("f".repeat(32), { metrics: [{ key: "m", value: 1 }] }),
    "RESOURCE_DOES_NOT_EXIST",
    `Run with id=${"f".repeat(32)} not found`,
  );
  await refused(
    () => store.logBatch("no id!", {}),
    "INVALID_PARAMETER_VALUE",
    `Invalid value "no id!" for parameter 'run_id' supplied.`,
  );
});

const long = "k".repeat(251);
const badMetrics: readonly [string, Record<string, unknown>, string][] = [
  [
    "a bad character",
    { key: "a*b", value: 1 },
    `Invalid value "a*b" for parameter 'name' supplied: Names may only contain`,
  ],
  ["a path that leaves", { key: "../m", value: 1 }, "This name would resolve to '../m'"],
  ["a path that is not its shortest form", { key: "a//b", value: 1 }, "This name would resolve to 'a/b'"],
  ["a path from the root", { key: "/m", value: 1 }, "This name would resolve to '/m'"],
  ["an empty key", { key: "", value: 1 }, "This name would resolve to '.'"],
  ["a key of 251 characters", { key: long, value: 1 }, "'Metric name' exceeds the maximum length of 250 characters"],
  ["no key", { value: 1 }, "A key name must be provided."],
  ["no value", { key: "m" }, "Missing value for required parameter 'value'."],
  ["a text", { key: "m", value: "1" }, "Please specify value as a valid double (64-bit floating point)"],
  [
    "a boolean",
    { key: "m", value: true, timestamp: 1 },
    "Invalid value true for parameter 'value' supplied: (timestamp=1).",
  ],
  [
    "a time before 1970",
    { key: "m", value: 1, timestamp: -1 },
    "Timestamp must be a nonnegative long (64-bit integer) ",
  ],
  ["a broken step", { key: "m", value: 1, step: 1.5 }, "Step must be a valid long (64-bit integer)."],
  ["a NaN step", { key: "m", value: 1, step: NaN }, "Step must be a valid long (64-bit integer)."],
];
for (const [what, metric, sentence] of badMetrics) {
  test(`refuses a metric with ${what}`, async (store, experimentId) => {
    const runId = await newRun(store, experimentId);
    // deno-lint-ignore no-explicit-any -- what the types forbid still comes from JavaScript
    await refused(() => store.logBatch(runId, { metrics: [metric as any] }), "INVALID_PARAMETER_VALUE", sentence);
  });
}

test("takes keys of 250 characters, letters of any script, slashes, colons and spaces", async (store, experimentId) => {
  const runId = await newRun(store, experimentId);
  for (const key of ["k".repeat(250), "système/é", "a:b c.d-e_f", "損失", "__proto__"]) {
    await store.logBatch(runId, {
      metrics: [{ key, value: 1 }],
      params: [{ key, value: "1" }],
      tags: [{ key, value: "1" }],
    });
    const { data } = await store.getRun(runId);
    assertEquals([Object.hasOwn(data.metrics, key), Object.hasOwn(data.params, key), Object.hasOwn(data.tags, key)], [
      true,
      true,
      true,
    ]);
  }
});

test("refuses params and tags with bad keys, and the same param twice", async (store, experimentId) => {
  const runId = await newRun(store, experimentId);
  await refused(
    () => store.logBatch(runId, { params: [{ key: long, value: "1" }] }),
    "INVALID_PARAMETER_VALUE",
    "'Param key' exceeds the maximum length of 250 characters",
  );
  await refused(
    () => store.logBatch(runId, { tags: [{ key: "a\n", value: "1" }] }),
    "INVALID_PARAMETER_VALUE",
    "Names may only contain",
  );
  await refused(
    () => store.logBatch(runId, { params: [{ key: "a", value: "1" }, { key: "a", value: "1" }] }),
    "INVALID_PARAMETER_VALUE",
    "Duplicate parameter keys have been submitted: ['a']. Please ensure the request contains only one param value per param key.",
  );
});

test("cuts long values of params and tags", async (store, experimentId) => {
  const runId = await newRun(store, experimentId);
  await quietly(() =>
    store.logBatch(runId, {
      params: [{ key: "p", value: "é".repeat(6001) }],
      tags: [{ key: "t", value: "🌷".repeat(8001) }],
    })
  );
  const { data } = await store.getRun(runId);
  assertEquals([data.params.p, data.tags.t], ["é".repeat(6000), "🌷".repeat(8000)]);
});

test("keeps every value of a large batch, and a value given twice once", async (store, experimentId) => {
  const runId = await newRun(store, experimentId);
  const metrics = Array.from({ length: 525 }, (_, step) => ({
    key: `m${step % 2}`,
    value: step % 7 === 0 ? NaN : step,
    timestamp: 1000,
    step,
  }));
  await store.logBatch(runId, { metrics: [...metrics, metrics[2], metrics[3]] });
  for (const key of ["m0", "m1"]) {
    const { items } = await store.getMetricHistory(runId, key);
    assertEquals(items, metrics.filter((metric) => metric.key === key));
  }
  assertEquals((await store.getRun(runId)).data.metrics, { m0: 524, m1: 523 });
});

test("refuses batches that are too large", async (store, experimentId) => {
  const runId = await newRun(store, experimentId);
  const metrics = Array.from({ length: 1001 }, (_, step) => ({ key: "m", value: 1, step }));
  await refused(
    () => store.logBatch(runId, { metrics }),
    "INVALID_PARAMETER_VALUE",
    "A batch logging request can contain at most 1000 metrics. Got 1001 metrics. Please split up metrics across multiple " +
      "requests and try again.",
  );
});

test("searches runs by metrics, params, tags and attributes", async (store, experimentId) => {
  for (let i = 0; i < 5; i++) {
    const { info } = await store.createRun({ experimentId, runName: `run ${i}`, startTime: i });
    await store.logBatch(info.runId, {
      metrics: [{ key: "acc", value: i === 4 ? NaN : i / 10 }],
      params: [{ key: "lr", value: `0.${i}` }],
      tags: i % 2 ? [{ key: "odd", value: "Yes" }] : [],
    });
  }
  const names = async (filter: string, orderBy: string[] = []) =>
    (await store.searchRuns([experimentId], { filter, orderBy })).items.map(({ info }) => info.runName.slice(4)).join(
      "",
    );
  assertEquals(await names(""), "43210");
  assertEquals(await names("metrics.acc > 0.1"), "32");
  assertEquals(await names("metrics.acc != 0.1"), "4320");
  assertEquals(await names("metrics.acc >= 0.1 AND params.lr != '0.2'"), "31");
  assertEquals(await names("params.lr LIKE '0._' and tags.odd = 'Yes'"), "31");
  assertEquals(await names("tags.odd LIKE 'yes'"), "");
  assertEquals(await names("tags.odd ILIKE 'yes'"), "31");
  assertEquals(await names("tags.odd IS NULL"), "420");
  assertEquals(await names("attributes.start_time >= 3"), "43");
  assertEquals(await names("run_name = 'run 2'"), "2");
  assertEquals(await names("attributes.status = 'FINISHED'"), "");
  assertEquals(await names("", ["metrics.acc DESC"]), "32104");
  assertEquals(await names("", ["metrics.acc ASC"]), "01234");
  assertEquals(await names("", ["tags.odd", "start_time ASC"]), "13024");
  await refused(
    () => store.searchRuns([experimentId], { filter: "metrics.acc > 'x'" }),
    "INVALID_PARAMETER_VALUE",
    "Expected numeric value type",
  );
});

test("searches runs page by page and by stage", async (store, experimentId) => {
  const ids: string[] = [];
  for (let startTime = 0; startTime < 5; startTime++) {
    ids.push((await store.createRun({ experimentId, startTime })).info.runId);
  }
  await store.deleteRun(ids[0]);
  const seen: string[] = [];
  for (let pageToken: string | undefined, first = true; first || pageToken !== undefined; first = false) {
    const page = await store.searchRuns([experimentId], { maxResults: 3, pageToken });
    seen.push(...page.items.map(({ info }) => info.runId));
    pageToken = page.nextPageToken;
  }
  assertEquals(seen, ids.slice(1).reverse());
  assertEquals(
    (await store.searchRuns([experimentId], { viewType: "DELETED_ONLY" })).items.map(({ info }) => info.runId),
    [
      ids[0],
    ],
  );
  assertEquals((await store.searchRuns([experimentId], { viewType: "ALL" })).items.length, 5);
  assertEquals((await store.searchRuns(["987654321"])).items, []);
});

test("keeps logged models, their metrics and whose output they are", async (store, experimentId) => {
  const { info } = await store.createRun({ experimentId });
  const model = await store.createLoggedModel({
    experimentId,
    name: "classifier",
    sourceRunId: info.runId,
    modelType: "classifier",
    params: { epochs: "8" },
    tags: { a: "1" },
  });
  assert(/^m-[0-9a-f]{32}$/.test(model.modelId), model.modelId);
  assertEquals(model.status, "PENDING");
  assertStringIncludes(model.artifactLocation, `/${experimentId}/models/${model.modelId}/artifacts`);
  await store.logOutputs(info.runId, [{ modelId: model.modelId, step: 7 }]);
  await store.logBatch(info.runId, {
    metrics: [{ key: "acc", value: 0.9, step: 7, timestamp: 70, modelId: model.modelId }],
  });
  await store.setLoggedModelTags(model.modelId, { a: "2", b: "3" });
  const ready = await store.finalizeLoggedModel(model.modelId, "READY");
  assertEquals([ready.status, ready.params, ready.tags], ["READY", { epochs: "8" }, { a: "2", b: "3" }]);
  assertEquals(ready.metrics, [{
    key: "acc",
    value: 0.9,
    step: 7,
    timestamp: 70,
    runId: info.runId,
    dataset: undefined,
  }]);
  assertEquals((await store.getRun(info.runId)).outputs.modelOutputs, [{ modelId: model.modelId, step: 7 }]);
  assertEquals((await store.searchLoggedModels([experimentId])).items.map(({ modelId }) => modelId), [model.modelId]);
  await store.deleteLoggedModel(model.modelId);
  await refused(
    () => store.getLoggedModel(model.modelId),
    "RESOURCE_DOES_NOT_EXIST",
    `Logged model with ID '${model.modelId}' not found.`,
  );
});

test("adds params to logged models and removes tags of them", async (store, experimentId) => {
  const { modelId } = await store.createLoggedModel({ experimentId, params: { a: "1" }, tags: { t: "1", u: "2" } });
  await store.logLoggedModelParams(modelId, [{ key: "b", value: "2" }, { key: "c", value: "é" }]);
  await store.deleteLoggedModelTag(modelId, "t");
  const model = await store.getLoggedModel(modelId);
  assertEquals([model.params, model.tags], [{ a: "1", b: "2", c: "é" }, { u: "2" }]);
  await refused(
    () => store.deleteLoggedModelTag(modelId, "t"),
    "RESOURCE_DOES_NOT_EXIST",
    `No tag with key 't' found for model with ID '${modelId}'.`,
  );
  const missing = `m-${"f".repeat(32)}`;
  const sentence = `Logged model with ID '${missing}' not found.`;
  for (
    const work of [
      () => store.getLoggedModel(missing),
      () => store.finalizeLoggedModel(missing, "READY"),
      () => store.logLoggedModelParams(missing, [{ key: "a", value: "1" }]),
      () => store.setLoggedModelTags(missing, { a: "1" }),
      () => store.deleteLoggedModelTag(missing, "a"),
      () => store.deleteLoggedModel(missing),
    ]
  ) await refused(work, "RESOURCE_DOES_NOT_EXIST", sentence);
});

test(
  "searches logged models by attributes, params, tags and metrics on datasets, in any order",
  async (store, experimentId) => {
    const runId = await newRun(store, experimentId);
    const datasets = [{ name: "train", digest: "1" }, { name: "test", digest: "2" }];
    const ids: string[] = [];
    for (let i = 0; i < 4; i++) {
      await nextMillisecond();
      const { modelId } = await store.createLoggedModel({
        experimentId,
        name: `model ${i}`,
        modelType: i % 2 ? "odd" : "even",
        sourceRunId: runId,
        params: { lr: `0.${i}` },
        tags: i === 0 ? {} : { stage: `S${i}` },
      });
      ids.push(modelId);
      if (i === 3) continue;
      await store.logBatch(runId, {
        metrics: datasets.map((dataset, d) => ({
          key: "acc",
          value: d === 0 ? i / 10 : 1 - i / 10,
          step: i,
          timestamp: 10 * i + d,
          modelId,
          dataset,
        })),
      });
    }
    const found = async (search: LoggedModelSearch) =>
      (await store.searchLoggedModels([experimentId], search)).items.map(({ name }) => name.at(-1)).join("");
    assertEquals(await found({}), "3210");
    assertEquals(await found({ filter: "name = 'model 1'" }), "1");
    assertEquals(await found({ filter: "name LIKE 'Model%'" }), "");
    assertEquals(await found({ filter: "name ILIKE 'Model%' AND params.lr != '0.2'" }), "310");
    assertEquals(await found({ filter: `model_id IN ('${ids[0]}', '${ids[3]}')` }), "30");
    assertEquals(await found({ filter: "model_type = 'odd'" }), "31");
    assertEquals(await found({ filter: "tags.stage LIKE 'S%'" }), "321");
    assertEquals(await found({ filter: "tags.`stage` NOT IN ('S1')" }), "32");
    assertEquals(await found({ filter: "metrics.acc >= 0.9" }), "10");
    assertEquals(await found({ filter: "metrics.acc >= 0.9", datasets: [{ name: "test" }] }), "10");
    assertEquals(await found({ filter: "metrics.acc >= 0.2", datasets: [{ name: "train" }] }), "2");
    assertEquals(await found({ filter: "metrics.acc >= 0.9", datasets: [{ name: "test", digest: "1" }] }), "");
    assertEquals(await found({ datasets: [{ name: "train", digest: "1" }] }), "210");
    assertEquals(await found({ orderBy: [{ fieldName: "name" }] }), "0123");
    assertEquals(await found({ orderBy: [{ fieldName: "creation_timestamp", ascending: true }] }), "0123");
    assertEquals(
      await found({ orderBy: [{ fieldName: "metrics.acc", ascending: false, datasetName: "train" }] }),
      "2103",
    );
    assertEquals(
      await found({ orderBy: [{ fieldName: "metrics.acc", datasetName: "test", datasetDigest: "2" }] }),
      "2103",
    );
    const first = await store.searchLoggedModels([experimentId], { maxResults: 3, orderBy: [{ fieldName: "name" }] });
    const second = await store.searchLoggedModels([experimentId], {
      maxResults: 3,
      orderBy: [{ fieldName: "name" }],
      pageToken: first.nextPageToken,
    });
    assertEquals([...first.items, ...second.items].map(({ modelId }) => modelId), ids);
    assertEquals(second.nextPageToken, undefined);
    assertEquals(first.items[1].metrics.map(({ dataset }) => dataset?.name).sort(), ["test", "train"]);
    await refused(
      () => store.searchLoggedModels([experimentId], { pageToken: first.nextPageToken }),
      "INVALID_PARAMETER_VALUE",
      "Order by in the page token does not match the requested order by.",
    );
    for (
      const [search, sentence] of [
        [{ filter: "params.a > 'x'" }, "Invalid comparison operator for params.a: '>'."],
        [{ filter: "foo.a = 'x'" }, "Invalid entity type: 'foo'."],
        [{ orderBy: [{ fieldName: "params.lr" }] }, "Only metrics are supported."],
        [{ orderBy: [{ fieldName: "bogus" }] }, "Invalid order by field name: bogus"],
        [{ datasets: [{ name: "" }] }, "`dataset_name` in the `datasets` clause must be specified."],
      ] satisfies [LoggedModelSearch, string][]
    ) await refused(() => store.searchLoggedModels([experimentId], search), "INVALID_PARAMETER_VALUE", sentence);
  },
);

const FLOWERS: DatasetInput = {
  dataset: {
    name: "flowers",
    digest: "d1",
    sourceType: "local",
    source: '{"uri": "/data/flowers"}',
    schema: '{"mlflow_tensorspec": {}}',
    profile: '{"rows": 3}',
  },
  tags: { "mlflow.data.context": "train", note: "é" },
};
const PLAIN: DatasetInput = {
  dataset: { name: "plain", digest: "d2", sourceType: "code", source: "{}" },
  tags: {},
};

test("keeps the datasets and models that a run has used", async (store, experimentId) => {
  const runId = await newRun(store, experimentId);
  const { modelId } = await store.createLoggedModel({ experimentId });
  await store.logInputs(runId, { datasets: [FLOWERS], models: [{ modelId }] });
  await store.logInputs(runId, { datasets: [PLAIN] });
  const { inputs } = await store.getRun(runId);
  const byName = inputs.datasetInputs.toSorted((a, b) => a.dataset.name < b.dataset.name ? -1 : 1);
  assertEquals(byName, [FLOWERS, PLAIN]);
  assertEquals(inputs.modelInputs, [{ modelId }]);
  const { items } = await store.searchRuns([experimentId]);
  assertEquals(items[0].inputs.datasetInputs.length, 2);
});

test("keeps a dataset once in an experiment, and the same use of it once", async (store, experimentId) => {
  const runs = [await newRun(store, experimentId), await newRun(store, experimentId)];
  await store.logInputs(runs[0], { datasets: [FLOWERS, FLOWERS] });
  await store.logInputs(runs[0], { datasets: [{ ...FLOWERS, tags: { "mlflow.data.context": "eval" } }] });
  await store.logInputs(runs[1], { datasets: [{ ...FLOWERS, tags: { "mlflow.data.context": "eval" } }] });
  assertEquals((await store.getRun(runs[0])).inputs.datasetInputs, [FLOWERS]);
  assertEquals((await store.getRun(runs[1])).inputs.datasetInputs[0].tags, { "mlflow.data.context": "eval" });
  const found = async (filter: string) =>
    (await store.searchRuns([experimentId], { filter })).items.map(({ info }) => runs.indexOf(info.runId)).sort();
  assertEquals(await found("dataset.name = 'flowers'"), [0, 1]);
  assertEquals(await found("datasets.digest IN ('d1', 'x') AND dataset.context = 'eval'"), [1]);
  assertEquals(await found("dataset.context LIKE 'tr%'"), [0]);
});

test("lists the datasets that runs of experiments have used", async (store, experimentId) => {
  const other = await store.createExperiment(uniqueName("datasets"));
  for (const id of [experimentId, other]) {
    await store.logInputs(await newRun(store, id), { datasets: [FLOWERS] });
  }
  await store.logInputs(await newRun(store, other), { datasets: [FLOWERS, PLAIN] });
  const found = async (ids: string[]) =>
    (await store.searchDatasets(ids))
      .map(({ experimentId, name, digest, context }) => [ids.indexOf(experimentId), name, digest, context].join(" "))
      .sort();
  assertEquals(await found([experimentId]), ["0 flowers d1 train"]);
  assertEquals(await found([experimentId, other]), ["0 flowers d1 train", "1 flowers d1 train", "1 plain d2 "]);
  assertEquals(await found([await store.createExperiment(uniqueName("none"))]), []);
});

test("refuses bad inputs, and inputs of deleted and missing runs", async (store, experimentId) => {
  const runId = await newRun(store, experimentId);
  for (
    const [change, sentence] of [
      [{ name: "n".repeat(501) }, "'name' exceeds the maximum length of 500 characters"],
      [{ digest: "d".repeat(37) }, "'digest' exceeds the maximum length of 36 characters"],
      [{ source: "s".repeat(65_536) }, "'source' exceeds the maximum length of 65535 characters"],
    ] as const
  ) {
    await refused(
      () => store.logInputs(runId, { datasets: [{ dataset: { ...FLOWERS.dataset, ...change }, tags: {} }] }),
      "INVALID_PARAMETER_VALUE",
      sentence,
    );
  }
  await refused(
    () => store.logInputs("f".repeat(32), { datasets: [FLOWERS] }),
    "RESOURCE_DOES_NOT_EXIST",
    `Run with id=${"f".repeat(32)} not found`,
  );
  await store.deleteRun(runId);
  await refused(
    () => store.logInputs(runId, { datasets: [FLOWERS] }),
    "INVALID_PARAMETER_VALUE",
    `The run ${runId} must be in the 'active' state. Current state is deleted.`,
  );
});

test("thins out the histories of several runs between two steps", async (store, experimentId) => {
  const runs = [await newRun(store, experimentId), await newRun(store, experimentId)];
  for (const [i, runId] of runs.entries()) {
    const metrics = Array.from({ length: 100 }, (_, step) => ({ key: "m", value: step + i, step, timestamp: step }));
    await store.logBatch(runId, { metrics });
  }
  const steps = async (options: { startStep?: number; endStep?: number; maxResults?: number }, ids = runs) =>
    (await store.getMetricHistoryBulkInterval(ids, "m", options)).map(({ runId, step }) => [runs.indexOf(runId), step]);
  assertEquals(await steps({}), runs.flatMap((_, i) => Array.from({ length: 100 }, (_, step) => [i, step])));
  const few = await steps({ maxResults: 5 });
  for (const i of [0, 1]) {
    const own = few.filter(([run]) => run === i).map(([, step]) => step);
    assert(own.length >= 2 && own.length <= 7, String(own));
    assertEquals([own[0], own.at(-1)], [0, 99]);
    assertEquals(own, own.toSorted((a, b) => a - b));
  }
  assertEquals(await steps({ startStep: 10, endStep: 12 }, [runs[1]]), [[1, 10], [1, 11], [1, 12]]);
  const [value] = await store.getMetricHistoryBulkInterval([runs[1]], "m", { startStep: 7, endStep: 7 });
  assertEquals(value, { key: "m", value: 8, step: 7, timestamp: 7, runId: runs[1] });
  await refused(() => steps({ startStep: 1 }), "INVALID_PARAMETER_VALUE", "both must be specified");
  await refused(() => steps({ startStep: 2, endStep: 1 }), "INVALID_PARAMETER_VALUE", "end_step must be greater");
  await refused(() => steps({ maxResults: 0 }), "INVALID_PARAMETER_VALUE", "max_results must be between 1 and 2500.");
});

test("refuses bad names of logged models", async (store, experimentId) => {
  for (const name of ["", "a/b", "a:b", "a.b", "a%b"]) {
    await refused(
      () => store.createLoggedModel({ experimentId, name }),
      "INVALID_PARAMETER_VALUE",
      "Invalid model name",
    );
  }
});

for (const [promise, check] of Object.entries(REGISTRY_CASES)) test(promise, check);

/** Runs work whose warning is expected. */
async function quietly(work: () => Promise<void>): Promise<void> {
  const { warn } = console;
  const warnings: unknown[] = [];
  console.warn = (text) => warnings.push(text);
  try {
    await work();
  } finally {
    console.warn = warn;
  }
  assert(warnings.length > 0, "a warning was expected");
}
