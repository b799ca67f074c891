import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MlflowClient } from "../client.ts";
import { MlflowError } from "../errors.ts";

const client = new MlflowClient("sqlite:///:memory:");
const newRun = async () => (await client.createRun({ experimentId: "0" })).info.runId;

/** The whole message with which MLflow's rule is told. */
const message = async (work: () => Promise<unknown>) => (await assertRejects(work, MlflowError)).message;

Deno.test("MlflowClient writes batches of any size", async () => {
  const runId = await newRun();
  await client.logBatch(runId, {
    metrics: Array.from({ length: 2500 }, (_, step) => ({ key: "m", value: step, step, timestamp: step })),
    params: Array.from({ length: 250 }, (_, i) => ({ key: `p${i}`, value: `${i}` })),
    tags: Array.from({ length: 101 }, (_, i) => ({ key: `t${i}`, value: `${i}` })),
  });
  const { data } = await client.getRun(runId);
  assertEquals([Object.keys(data.params).length, Object.keys(data.tags).length], [250, 102]);
  const history = await client.getMetricHistory(runId, "m");
  assertEquals(history.map(({ value }) => value), Array.from({ length: 2500 }, (_, i) => i));
  await client.logBatch(runId, {});
});

Deno.test("MlflowClient.logBatch() writes values that JavaScript lets through as Python's text", async () => {
  const runId = await newRun();
  // deno-lint-ignore no-explicit-any -- what the types forbid still comes from JavaScript
  const params = [{ key: "n", value: 10 as any }, { key: "b", value: true as any }];
  await client.logBatch(runId, { params, tags: params });
  await client.logBatch(runId, { params });
  await client.logParam(runId, "n", 10);
  const { data } = await client.getRun(runId);
  assertEquals([data.params, data.tags.n, data.tags.b], [{ n: "10", b: "True" }, "10", "True"]);
});

Deno.test("MlflowClient gives the latest value for times in one go", async () => {
  const runId = await newRun();
  await client.logMetric(runId, "m", 1, { step: 5 });
  await client.logMetric(runId, "m", 2, { step: 4 });
  assertEquals((await client.getRun(runId)).data.metrics, { m: 1 });
  const [{ timestamp }] = await client.getMetricHistory(runId, "m");
  assert(Math.abs(timestamp - Date.now()) < 60_000);
});

Deno.test("MlflowClient ends, renames, deletes and restores runs", async () => {
  const runId = await newRun();
  assertEquals((await client.setTerminated(runId)).status, "FINISHED");
  assertEquals((await client.setTerminated(runId, { status: "KILLED", endTime: 7 })).endTime, 7);
  assertEquals((await client.updateRun(runId, { runName: "new" })).runName, "new");
  await client.setTag(runId, "mlflow.runName", "newer");
  assertEquals((await client.getRun(runId)).info.runName, "newer");
  await client.deleteRun(runId);
  await client.restoreRun(runId);
  assertEquals((await client.getRun(runId)).info.lifecycleStage, "active");
});

Deno.test("MlflowClient renames, deletes and restores experiments, with their runs", async () => {
  const id = await client.createExperiment("a", { tags: { x: "1" } });
  const { info } = await client.createRun({ experimentId: id });
  await client.renameExperiment(id, "b");
  await client.setExperimentTag(id, "y", [1, "a"]);
  assertEquals((await client.getExperiment(id)).tags, { x: "1", y: "[1, 'a']" });
  assertEquals((await client.getExperimentByName("b"))?.experimentId, id);
  await client.deleteExperiment(id);
  assertEquals((await client.getRun(info.runId)).info.lifecycleStage, "deleted");
  const names = async (viewType: "ACTIVE_ONLY" | "DELETED_ONLY" | "ALL") =>
    (await client.searchExperiments({ viewType }).toArray()).map(({ name }) => name);
  assertEquals([await names("ACTIVE_ONLY"), await names("DELETED_ONLY")], [["Default"], ["b"]]);
  assertEquals(
    await message(() => client.createRun({ experimentId: id })),
    `Cannot create a run in experiment "${id}": The experiment ${id} must be in the 'active' state. Current state is ` +
      "deleted. (INVALID_PARAMETER_VALUE)",
  );
  assertEquals(
    await message(() => client.createExperiment("b")),
    'Cannot create experiment "b": Experiment(name=b) already exists. (RESOURCE_ALREADY_EXISTS)',
  );
  await client.restoreExperiment(id);
  assertEquals((await client.getRun(info.runId)).info.lifecycleStage, "active");
});

Deno.test("MlflowClient searches page by page, as far as wanted", async () => {
  const experimentId = await client.createExperiment("pages");
  for (let startTime = 0; startTime < 7; startTime++) await client.createRun({ experimentId, startTime });
  const search = (maxResults?: number) => client.searchRuns({ experimentIds: [experimentId], maxResults });
  const times = async (maxResults?: number) => (await search(maxResults).toArray()).map(({ info }) => info.startTime);
  assertEquals([await times(3), await times()], [[6, 5, 4], [6, 5, 4, 3, 2, 1, 0]]);
  for await (const run of search()) {
    assertEquals(run.info.startTime, 6);
    break;
  }
  assertEquals(
    await message(() => search(0).toArray()),
    "Cannot search runs: Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer of at most " +
      "50000. (INVALID_PARAMETER_VALUE)",
  );
  assertEquals(
    await message(() => client.searchRuns({ experimentIds: ["x"] }).toArray()),
    "Cannot search runs: Invalid experiment ID 'x'. Experiment ID must be a valid integer. (INVALID_PARAMETER_VALUE)",
  );
});

Deno.test("MlflowClient searches experiments by filter and order, and removes their tags", async () => {
  const ids: string[] = [];
  for (const name of ["search b", "search a"]) ids.push(await client.createExperiment(name, { tags: { kind: "s" } }));
  const names = async (filter: string) =>
    (await client.searchExperiments({ filter, orderBy: ["name ASC"] }).toArray()).map(({ name }) => name);
  assertEquals(await names("tags.kind = 's'"), ["search a", "search b"]);
  await client.deleteExperimentTag(ids[0], "kind");
  assertEquals(await names("name LIKE 'search%' AND tags.kind = 's'"), ["search a"]);
});

Deno.test("MlflowClient says what could not be done, to what, and why", async () => {
  const runId = await newRun();
  const long = "k".repeat(251);
  await client.logParam(runId, "lr", 0.1);
  const cases: readonly (readonly [() => Promise<unknown>, string])[] = [
    [
      () => client.logMetric(runId, long, 1),
      `Cannot log metric "${long}" to run "${runId}": 'Metric name' exceeds the maximum length of 250 characters ` +
      "(INVALID_PARAMETER_VALUE)",
    ],
    [
      // deno-lint-ignore no-explicit-any -- what the types forbid still comes from JavaScript
      () => client.logMetric(runId, "m", "high" as any, { timestamp: 1 }),
      `Cannot log metric "m" to run "${runId}": Invalid value "high" for parameter 'value' supplied: (timestamp=1). Please ` +
      "specify value as a valid double (64-bit floating point) (INVALID_PARAMETER_VALUE)",
    ],
    [
      () => client.logParam(runId, "lr", 9),
      `Cannot log param "lr" to run "${runId}": Changing param values is not allowed. Param with key='lr' was already ` +
      `logged with value='0.1' for run ID='${runId}'. Attempted logging new value '9'. (INVALID_PARAMETER_VALUE)`,
    ],
    [
      () => client.logBatch(runId, { metrics: [{ key: "a", value: 1 }, { key: "../b", value: 1 }] }),
      `Cannot log metrics "a" and 1 more to run "${runId}": Invalid value "../b" for parameter 'metrics[1].name' ` +
      "supplied: Names may be treated as files in certain cases, and must not resolve to other names when treated as such. " +
      "This name would resolve to '../b' (INVALID_PARAMETER_VALUE)",
    ],
    [
      () => client.deleteTag(runId, "none"),
      `Cannot delete tag "none" of run "${runId}": No tag with name: none in run with id ${runId} (RESOURCE_DOES_NOT_EXIST)`,
    ],
    [
      () => client.getRun("f".repeat(32)),
      `Cannot get run "${"f".repeat(32)}": Run with id=${"f".repeat(32)} not found (RESOURCE_DOES_NOT_EXIST)`,
    ],
    [
      () => client.getExperiment("abc"),
      `Cannot get experiment "abc": Invalid experiment ID 'abc'. Experiment ID must be a valid integer. ` +
      "(INVALID_PARAMETER_VALUE)",
    ],
    [
      () => client.readArtifact(runId, "none.txt"),
      `Cannot read artifact "none.txt" of run "${runId}": No such artifact: 'none.txt' (RESOURCE_DOES_NOT_EXIST)`,
    ],
    [
      () => client.searchExperiments({ filter: "nothing = 'a'" }).toArray(),
      "Cannot search experiments: Invalid attribute key 'nothing' specified. Valid keys are '{'creation_time', " +
      "'experiment_id', 'last_update_time', 'name'}' (INVALID_PARAMETER_VALUE)",
    ],
  ];
  for (const [work, wanted] of cases) assertEquals(await message(work), wanted);
  await client.deleteRun(runId);
  assertEquals(
    await message(() => client.logMetric(runId, "m", 1)),
    `Cannot log metric "m" to run "${runId}": The run ${runId} must be in the 'active' state. Current state is deleted. ` +
      "(INVALID_PARAMETER_VALUE)",
  );
});

Deno.test("MlflowError carries code, reason and the lower error", () => {
  const cause = new RangeError("low");
  const error = assertThrows(() => {
    throw new MlflowError("INTERNAL_ERROR", "why", { action: "Cannot do", cause });
  }, MlflowError);
  assertEquals([error.name, error.message, error.code, error.reason, error.cause], [
    "MlflowError",
    "Cannot do: why (INTERNAL_ERROR)",
    "INTERNAL_ERROR",
    "why",
    cause,
  ]);
});
