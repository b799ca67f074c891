import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { ErrorCode } from "../../errors.ts";
import { MlflowError } from "../../errors.ts";
import type { TrackingStore } from "../../stores/store.ts";

/** What every store promises, sentence by sentence. `open` gives an empty store. */
export function testStoreContract(name: string, open: () => Promise<TrackingStore>): void {
  const test = (promise: string, check: (store: TrackingStore) => Promise<void>) =>
    Deno.test(`${name} ${promise}`, async () => {
      await using store = await open();
      await check(store);
    });
  const newRun = async (store: TrackingStore) => (await store.createRun({ experimentId: "0" })).info.runId;

  test("has the default experiment", async (store) => {
    const experiment = await store.getExperiment("0");
    assertEquals(experiment.name, "Default");
    assertEquals(experiment.lifecycleStage, "active");
    assertStringIncludes(experiment.artifactLocation, "/0");
  });

  test("makes experiments and finds them by name", async (store) => {
    const id = await store.createExperiment("flowers", { tags: { team: "a" } });
    const experiment = await store.getExperimentByName("flowers");
    assertEquals(experiment?.experimentId, id);
    assertEquals(experiment?.tags, { team: "a" });
    assertEquals(await store.getExperimentByName("none"), undefined);
  });

  test("refuses a second experiment of a name, also of a deleted one", async (store) => {
    const id = await store.createExperiment("flowers");
    await refused(
      () => store.createExperiment("flowers"),
      "RESOURCE_ALREADY_EXISTS",
      "Experiment(name=flowers) already exists.",
    );
    await store.deleteExperiment(id);
    await refused(
      () => store.createExperiment("flowers"),
      "RESOURCE_ALREADY_EXISTS",
      "Experiment(name=flowers) already exists.",
    );
  });

  test("refuses bad names and ids of experiments", async (store) => {
    await refused(() => store.createExperiment(""), "INVALID_PARAMETER_VALUE", "Invalid experiment name: ''");
    await refused(
      () => store.createExperiment("x".repeat(501)),
      "INVALID_PARAMETER_VALUE",
      "'name' exceeds the maximum length of 500 characters",
    );
    await refused(() => store.getExperiment("99"), "RESOURCE_DOES_NOT_EXIST", "No Experiment with id=99 exists");
    await refused(
      () => store.getExperiment("abc"),
      "INVALID_PARAMETER_VALUE",
      "Invalid experiment ID 'abc'. Experiment ID must be a valid integer.",
    );
  });

  test("keeps an artifact location that was given", async (store) => {
    const id = await store.createExperiment("elsewhere", { artifactLocation: "s3://bucket/a?x=1" });
    const run = await store.createRun({ experimentId: id });
    assertEquals(run.info.artifactUri, `s3://bucket/a/${run.info.runId}/artifacts?x=1`);
  });

  test("deletes and restores an experiment with its runs", async (store) => {
    const id = await store.createExperiment("flowers");
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
    await store.renameExperiment(id, "trees");
    assertEquals((await store.getExperiment(id)).name, "trees");
  });

  test("lists experiments, the latest made first, in pages", async (store) => {
    for (const name of ["a", "b", "c"]) await store.createExperiment(name);
    const first = await store.searchExperiments({ maxResults: 3 });
    assertEquals(first.items.map(({ name }) => name), ["c", "b", "a"]);
    const second = await store.searchExperiments({ maxResults: 3, pageToken: first.nextPageToken });
    assertEquals(second.items.map(({ name }) => name), ["Default"]);
    assertEquals(second.nextPageToken, undefined);
  });

  test("makes running runs with a random name", async (store) => {
    const { info, data } = await store.createRun({ experimentId: "0", startTime: 1000, tags: { a: "b" } });
    assert(/^[0-9a-f]{32}$/.test(info.runId), info.runId);
    assert(/^[a-z]+-[a-z]+-\d+$/.test(info.runName), info.runName);
    assertEquals(info.status, "RUNNING");
    assertEquals(info.startTime, 1000);
    assertEquals(info.endTime, undefined);
    assertEquals(info.userId, "unknown");
    assertEquals(data.tags, { a: "b", "mlflow.runName": info.runName });
  });

  test("keeps a run's name and its tag the same", async (store) => {
    const { info } = await store.createRun({ experimentId: "0", tags: { "mlflow.runName": "by-tag" } });
    assertEquals(info.runName, "by-tag");
    await store.logBatch(info.runId, { tags: [{ key: "mlflow.runName", value: "renamed" }] });
    assertEquals((await store.getRun(info.runId)).info.runName, "renamed");
    assertEquals((await store.updateRun(info.runId, { runName: "again" })).runName, "again");
    assertEquals((await store.getRun(info.runId)).data.tags["mlflow.runName"], "again");
    await refused(
      () => store.createRun({ experimentId: "0", runName: "a", tags: { "mlflow.runName": "b" } }),
      "INVALID_PARAMETER_VALUE",
      "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values",
    );
  });

  test("updates status and end", async (store) => {
    const runId = await newRun(store);
    const info = await store.updateRun(runId, { status: "FAILED", endTime: 5000 });
    assertEquals([info.status, info.endTime], ["FAILED", 5000]);
  });

  test("keeps NaN, the infinities and odd numbers", async (store) => {
    const runId = await newRun(store);
    const values = [NaN, Infinity, -Infinity, 0, -1.5, 1e-300, 5e-324, 0.1, 2 ** 53];
    await store.logBatch(runId, { metrics: values.map((value, step) => ({ key: "m", value, step, timestamp: step })) });
    assertEquals((await store.getMetricHistory(runId, "m")).items.map(({ value }) => value), values);
    for (const value of [NaN, Infinity, -Infinity]) {
      await store.logBatch(runId, { metrics: [{ key: `latest ${value}`, value }] });
      assertEquals((await store.getRun(runId)).data.metrics[`latest ${value}`], value);
    }
  });

  test("orders a history by time, then step, then value, in pages", async (store) => {
    const runId = await newRun(store);
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

  test("takes the highest step, then time, then value for the latest", async (store) => {
    const runId = await newRun(store);
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

  test("keeps an equal value of a metric once", async (store) => {
    const runId = await newRun(store);
    const metric = { key: "m", value: 1, step: 1, timestamp: 1 };
    await store.logBatch(runId, { metrics: [metric, metric] });
    await store.logBatch(runId, { metrics: [metric] });
    assertEquals((await store.getMetricHistory(runId, "m")).items.length, 1);
  });

  test("never changes a param", async (store) => {
    const runId = await newRun(store);
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

  test("writes all of a batch or none of it", async (store) => {
    const runId = await newRun(store);
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

  test("replaces and removes tags", async (store) => {
    const runId = await newRun(store);
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

  test("refuses to write to deleted and missing runs", async (store) => {
    const runId = await newRun(store);
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
    test(`refuses a metric with ${what}`, async (store) => {
      const runId = await newRun(store);
      // deno-lint-ignore no-explicit-any -- what the types forbid still comes from JavaScript
      await refused(() => store.logBatch(runId, { metrics: [metric as any] }), "INVALID_PARAMETER_VALUE", sentence);
    });
  }

  test("takes keys of 250 characters, letters of any script, slashes, colons and spaces", async (store) => {
    const runId = await newRun(store);
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

  test("refuses params and tags with bad keys, and the same param twice", async (store) => {
    const runId = await newRun(store);
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

  test("cuts long values of params and tags", async (store) => {
    const runId = await newRun(store);
    await quietly(() =>
      store.logBatch(runId, {
        params: [{ key: "p", value: "é".repeat(6001) }],
        tags: [{ key: "t", value: "🌷".repeat(8001) }],
      })
    );
    const { data } = await store.getRun(runId);
    assertEquals([data.params.p, data.tags.t], ["é".repeat(6000), "🌷".repeat(8000)]);
  });

  test("keeps every value of a large batch, and a value given twice once", async (store) => {
    const runId = await newRun(store);
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

  test("refuses batches that are too large", async (store) => {
    const runId = await newRun(store);
    const metrics = Array.from({ length: 1001 }, (_, step) => ({ key: "m", value: 1, step }));
    await refused(
      () => store.logBatch(runId, { metrics }),
      "INVALID_PARAMETER_VALUE",
      "A batch logging request can contain at most 1000 metrics. Got 1001 metrics. Please split up metrics across multiple " +
        "requests and try again.",
    );
  });

  test("searches runs by metrics, params, tags and attributes", async (store) => {
    for (let i = 0; i < 5; i++) {
      const { info } = await store.createRun({ experimentId: "0", runName: `run ${i}`, startTime: i });
      await store.logBatch(info.runId, {
        metrics: [{ key: "acc", value: i === 4 ? NaN : i / 10 }],
        params: [{ key: "lr", value: `0.${i}` }],
        tags: i % 2 ? [{ key: "odd", value: "Yes" }] : [],
      });
    }
    const names = async (filter: string, orderBy: string[] = []) =>
      (await store.searchRuns(["0"], { filter, orderBy })).items.map(({ info }) => info.runName.slice(4)).join("");
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
      () => store.searchRuns(["0"], { filter: "metrics.acc > 'x'" }),
      "INVALID_PARAMETER_VALUE",
      "Expected numeric value type",
    );
  });

  test("searches runs page by page and by stage", async (store) => {
    const ids: string[] = [];
    for (let startTime = 0; startTime < 5; startTime++) {
      ids.push((await store.createRun({ experimentId: "0", startTime })).info.runId);
    }
    await store.deleteRun(ids[0]);
    const seen: string[] = [];
    for (let pageToken: string | undefined, first = true; first || pageToken !== undefined; first = false) {
      const page = await store.searchRuns(["0"], { maxResults: 3, pageToken });
      seen.push(...page.items.map(({ info }) => info.runId));
      pageToken = page.nextPageToken;
    }
    assertEquals(seen, ids.slice(1).reverse());
    assertEquals((await store.searchRuns(["0"], { viewType: "DELETED_ONLY" })).items.map(({ info }) => info.runId), [
      ids[0],
    ]);
    assertEquals((await store.searchRuns(["0"], { viewType: "ALL" })).items.length, 5);
    assertEquals((await store.searchRuns(["77"])).items, []);
  });

  test("keeps logged models, their metrics and whose output they are", async (store) => {
    const { info } = await store.createRun({ experimentId: "0" });
    const model = await store.createLoggedModel({
      experimentId: "0",
      name: "classifier",
      sourceRunId: info.runId,
      modelType: "classifier",
      params: { epochs: "8" },
      tags: { a: "1" },
    });
    assert(/^m-[0-9a-f]{32}$/.test(model.modelId), model.modelId);
    assertEquals(model.status, "PENDING");
    assertStringIncludes(model.artifactLocation, `/0/models/${model.modelId}/artifacts`);
    await store.logOutputs(info.runId, [{ modelId: model.modelId, step: 7 }]);
    await store.logBatch(info.runId, {
      metrics: [{ key: "acc", value: 0.9, step: 7, timestamp: 70, modelId: model.modelId }],
    });
    await store.setLoggedModelTags(model.modelId, { a: "2", b: "3" });
    const ready = await store.finalizeLoggedModel(model.modelId, "READY");
    assertEquals([ready.status, ready.params, ready.tags], ["READY", { epochs: "8" }, { a: "2", b: "3" }]);
    assertEquals(ready.metrics, [{ key: "acc", value: 0.9, step: 7, timestamp: 70, runId: info.runId }]);
    assertEquals((await store.getRun(info.runId)).outputs.modelOutputs, [{ modelId: model.modelId, step: 7 }]);
    assertEquals((await store.searchLoggedModels(["0"])).items.map(({ modelId }) => modelId), [model.modelId]);
    await store.deleteLoggedModel(model.modelId);
    await refused(
      () => store.getLoggedModel(model.modelId),
      "RESOURCE_DOES_NOT_EXIST",
      `Logged model with ID '${model.modelId}' not found.`,
    );
  });

  test("refuses bad names of logged models", async (store) => {
    for (const name of ["", "a/b", "a:b", "a.b", "a%b"]) {
      await refused(
        () => store.createLoggedModel({ experimentId: "0", name }),
        "INVALID_PARAMETER_VALUE",
        "Invalid model name",
      );
    }
  });
}

async function refused(work: () => Promise<unknown>, code: ErrorCode, sentence: string): Promise<void> {
  const error = await assertRejects(work, MlflowError);
  assertEquals(error.code, code, error.message);
  assertStringIncludes(error.reason, sentence);
}

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
