import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import * as mlflow from "../fluent.ts";
import { MlflowClient } from "../client.ts";
import { MlflowError } from "../errors.ts";
import { getTrackingUri, setTrackingUri } from "../tracking/tracking_uri.ts";

const VARIABLES = [
  "MLFLOW_TRACKING_URI",
  "MLFLOW_EXPERIMENT_NAME",
  "MLFLOW_EXPERIMENT_ID",
  "MLFLOW_RUN_ID",
  "MLFLOW_RUN_CONTEXT",
];

/** A test with a database of its own, whose default experiment is the active one. */
function test(name: string, check: (client: MlflowClient, dir: string) => Promise<void>): void {
  Deno.test(name, async () => {
    const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
    const before = VARIABLES.map((variable) => [variable, Deno.env.get(variable)] as const);
    for (const variable of VARIABLES) Deno.env.delete(variable);
    try {
      setTrackingUri(`sqlite:///${join(dir, "mlflow.db")}`);
      const client = new MlflowClient();
      await mlflow.setExperiment({ experimentId: "0" });
      await check(client, dir);
      assertEquals(mlflow.activeRun(), undefined, "a run was left active");
    } finally {
      while (mlflow.activeRun() !== undefined) await mlflow.endRun("KILLED");
      setTrackingUri("");
      for (const [variable, value] of before) {
        if (value === undefined) Deno.env.delete(variable);
        else Deno.env.set(variable, value);
      }
      await Deno.remove(dir, { recursive: true });
    }
  });
}

test("setTrackingUri() also tells the programs that this one starts", async () => {
  const uri = getTrackingUri();
  assertEquals(Deno.env.get("MLFLOW_TRACKING_URI"), uri);
  setTrackingUri("");
  assertEquals([getTrackingUri(), Deno.env.get("MLFLOW_TRACKING_URI")], ["sqlite:///mlflow.db", undefined]);
});

test("setExperiment() makes an experiment, and takes it again", async () => {
  const made = await mlflow.setExperiment("flowers");
  assertEquals([made.name, made.lifecycleStage], ["flowers", "active"]);
  assertEquals(Deno.env.get("MLFLOW_EXPERIMENT_ID"), made.experimentId);
  assertEquals((await mlflow.setExperiment("flowers")).experimentId, made.experimentId);
  await mlflow.withRun({}, (run) => assertEquals(run.info.experimentId, made.experimentId));
  await mlflow.setExperiment({ experimentId: "0" });
  await mlflow.withRun({}, (run) => assertEquals(run.info.experimentId, "0"));
});

test(
  "setExperiment() is for the store in force: in another, runs go to its own default experiment",
  async (_client, dir) => {
    const first = getTrackingUri();
    await mlflow.setExperiment("a");
    const { experimentId } = await mlflow.setExperiment("b");
    setTrackingUri(`sqlite:///${join(dir, "other.db")}`);
    await mlflow.withRun({}, (run) => assertEquals(run.info.experimentId, "0"));
    setTrackingUri(first);
    await mlflow.withRun({}, (run) => assertEquals(run.info.experimentId, experimentId));
  },
);

test("setExperiment() makes one experiment, however many ask for it at once", async (client) => {
  const made = await Promise.all(Array.from({ length: 5 }, () => mlflow.setExperiment("same")));
  assertEquals(new Set(made.map(({ experimentId }) => experimentId)).size, 1);
  assertEquals((await client.searchExperiments().toArray()).length, 2);
});

test("setExperiment() refuses a deleted experiment and keeps the one that was active", async (client) => {
  const { experimentId } = await mlflow.setExperiment("gone");
  await mlflow.setExperiment({ experimentId: "0" });
  await mlflow.deleteExperiment(experimentId);
  for (const name of ["gone", { experimentId }]) {
    const error = await assertRejects(() => mlflow.setExperiment(name), MlflowError);
    assertEquals(
      error.message,
      `Cannot set experiment "${typeof name === "string" ? name : experimentId}": ` +
        "Cannot set a deleted experiment 'gone' as the active experiment. You can restore the experiment, or " +
        "permanently delete the experiment to create a new one. (INVALID_PARAMETER_VALUE)",
    );
  }
  await mlflow.withRun({}, (run) => assertEquals(run.info.experimentId, "0"));
  await mlflow.restoreExperiment(experimentId);
  assertEquals((await mlflow.setExperiment("gone")).experimentId, experimentId);
  const unknown = await assertRejects(() => mlflow.setExperiment({ experimentId: "77" }), MlflowError);
  assertEquals(
    unknown.message,
    'Cannot set experiment "77": No Experiment with id=77 exists (RESOURCE_DOES_NOT_EXIST)',
  );
  await assertRejects(() => mlflow.setExperiment(""), MlflowError, "Invalid experiment name: ''");
  assertEquals((await client.getExperiment("0")).name, "Default");
});

test("createExperiment() leaves the active experiment as it is; its tags are the active one's", async (client) => {
  const id = await mlflow.createExperiment("other", { tags: { a: "1" } });
  await mlflow.setExperimentTag("depth", 3);
  assertEquals((await client.getExperiment("0")).tags, { depth: "3" });
  assertEquals((await mlflow.getExperiment(id)).tags, { a: "1" });
  assertEquals((await mlflow.getExperimentByName("other"))?.experimentId, id);
  assertEquals(await mlflow.getExperimentByName("none"), undefined);
  assertEquals((await mlflow.searchExperiments().toArray()).map(({ name }) => name), ["other", "Default"]);
});

test("startRun() gives a run its name, tags and description, beside MLflow's own tags", async (client) => {
  const run = await mlflow.startRun({
    runName: "baseline",
    tags: { layers: 3, frozen: true, "mlflow.user": "somebody" },
    description: "first try",
  });
  assertEquals(mlflow.activeRun(), run);
  await mlflow.endRun();
  const { info, data } = await client.getRun(run.runId);
  assertEquals([info.runName, info.status, info.userId], ["baseline", "FINISHED", "somebody"]);
  const { "mlflow.source.name": source, ...tags } = data.tags;
  assert(source.length > 0);
  assertEquals(
    Object.fromEntries(Object.entries(tags).filter(([key]) => !key.startsWith("mlflow.source.git."))),
    {
      layers: "3",
      frozen: "True",
      "mlflow.user": "somebody",
      "mlflow.runName": "baseline",
      "mlflow.note.content": "first try",
      "mlflow.source.type": "LOCAL",
    },
  );
});

test("startRun() finds a name by itself, or takes that of the tag mlflow.runName", async () => {
  await mlflow.withRun({}, (run) => assert(/^[a-z]+-[a-z]+-\d{1,3}$/.test(run.info.runName), run.info.runName));
  await mlflow.withRun(
    { tags: { "mlflow.runName": "by-tag" } },
    (run) => assertEquals(run.info.runName, "by-tag"),
  );
  const error = await assertRejects(
    () => mlflow.startRun({ runName: "a", tags: { "mlflow.runName": "b" } }),
    MlflowError,
  );
  assertEquals(
    error.message,
    `Cannot create a run in experiment "0": Both 'run_name' argument and 'mlflow.runName' tag are specified, but with ` +
      "different values (run_name='a', mlflow.runName='b'). (INVALID_PARAMETER_VALUE)",
  );
});

test("startRun() refuses a description given twice", async () => {
  const error = await assertRejects(
    () => mlflow.startRun({ description: "a", tags: { "mlflow.note.content": "b" } }),
    MlflowError,
  );
  assertEquals(
    error.message,
    "Cannot start a run: Description is already set via the tag mlflow.note.content in tags. Remove the key " +
      "mlflow.note.content from the tags or omit the description. (INVALID_PARAMETER_VALUE)",
  );
});

test("startRun() goes on with a run", async (client) => {
  const { info } = await client.createRun({ experimentId: "0", runName: "old", tags: { kept: "1" } });
  await client.setTerminated(info.runId, { endTime: 5000 });
  const run = await mlflow.startRun({ runId: info.runId, runName: "new", tags: { more: 2 }, description: "again" });
  assertEquals(run.runId, info.runId);
  const resumed = await client.getRun(info.runId);
  assertEquals([resumed.info.status, resumed.info.endTime, resumed.info.runName], ["RUNNING", 5000, "new"]);
  assertEquals(resumed.data.tags, {
    kept: "1",
    more: "2",
    "mlflow.note.content": "again",
    "mlflow.runName": "new",
  });
  await mlflow.endRun();
  assertEquals((await client.getRun(info.runId)).info.status, "FINISHED");
});

test("startRun() goes on with no run that is deleted, unknown or of another experiment", async (client) => {
  const { info } = await client.createRun({ experimentId: "0" });
  const other = await mlflow.createExperiment("other");
  await mlflow.setExperiment({ experimentId: other });
  const foreign = await assertRejects(() => mlflow.startRun({ runId: info.runId }), MlflowError);
  assertEquals(
    foreign.message,
    `Cannot start run "${info.runId}": it belongs to experiment "0" and the active experiment is "${other}"; set the ` +
      "run's experiment first (INVALID_PARAMETER_VALUE)",
  );
  await mlflow.setExperiment({ experimentId: "0" });
  await client.deleteRun(info.runId);
  const deleted = await assertRejects(() => mlflow.startRun({ runId: info.runId }), MlflowError);
  assertEquals(
    deleted.message,
    `Cannot start run "${info.runId}": Cannot start run with ID ${info.runId} because it is in the deleted state. ` +
      "(INVALID_PARAMETER_VALUE)",
  );
  const missing = "f".repeat(32);
  const unknown = await assertRejects(() => mlflow.startRun({ runId: missing }), MlflowError);
  assertEquals(
    unknown.message,
    `Cannot start run "${missing}": Run with id=${missing} not found (RESOURCE_DOES_NOT_EXIST)`,
  );
});

test("startRun() wants nested: true inside a run, whose child the new one becomes", async (client) => {
  const parent = await mlflow.startRun();
  const error = await assertRejects(() => mlflow.startRun(), MlflowError);
  assertEquals(
    error.message,
    `Cannot start a run: Run with UUID ${parent.runId} is already active. To start a new run, first end the current run ` +
      "with endRun(). To start a nested run, call startRun or withRun with { nested: true } (INVALID_STATE)",
  );
  const child = await mlflow.startRun({ nested: true });
  const grandchild = await mlflow.startRun({ nested: true, parentRunId: child.runId });
  const tag = async (runId: string) => (await client.getRun(runId)).data.tags["mlflow.parentRunId"];
  assertEquals(
    [await tag(parent.runId), await tag(child.runId), await tag(grandchild.runId)],
    [undefined, parent.runId, child.runId],
  );
  assertEquals((await mlflow.getParentRun(child.runId))?.info.runId, parent.runId);
  assertEquals(await mlflow.getParentRun(parent.runId), undefined);
  const other = await assertRejects(
    () => mlflow.startRun({ nested: true, parentRunId: parent.runId }),
    MlflowError,
  );
  assertEquals(
    other.message,
    `Cannot start a run: Current run with UUID ${grandchild.runId} does not match the specified parent_run_id ` +
      `${parent.runId}. To start a new nested run under the parent run with UUID ${grandchild.runId}, first end the ` +
      "current run with endRun(). (INVALID_PARAMETER_VALUE)",
  );
  for (const run of [grandchild, child, parent]) {
    assertEquals(mlflow.activeRun(), run);
    await mlflow.endRun();
  }
});

test("startRun() that nobody waits for is active for what comes after it", async (client) => {
  const first = mlflow.startRun({ runName: "first" });
  const refused = mlflow.startRun({ runName: "refused" });
  const child = mlflow.startRun({ runName: "child", nested: true });
  const inner = mlflow.withRun({ runName: "inner", nested: true }, (run) => run.runId);
  const logged = mlflow.logParam("by", "child");
  const error = await assertRejects(() => refused, MlflowError);
  assertEquals([error.code, error.reason.includes("is already active")], ["INVALID_STATE", true]);
  const [{ runId }, nested] = await Promise.all([first, child]);
  const parentOf = async (id: string) => (await client.getRun(id)).data.tags["mlflow.parentRunId"];
  assertEquals([await parentOf(nested.runId), await parentOf(await inner)], [runId, nested.runId]);
  await logged;
  assertEquals((await nested.get()).data.params, { by: "child" });
  await mlflow.endRun();
  await mlflow.endRun();
  const names = (await client.searchRuns({ experimentIds: ["0"] }).toArray()).map(({ info }) => info.runName);
  assertEquals(names.sort(), ["child", "first", "inner"]);
});

test("startRun() that fails leaves nothing to wait for", async () => {
  const failed = mlflow.startRun({ runId: "0".repeat(32) });
  const next = mlflow.startRun();
  await assertRejects(() => failed, MlflowError, "not found");
  const run = await next;
  assertEquals(mlflow.activeRun(), run);
  await mlflow.endRun();
});

test("startRun() takes a parent that is not active, but no deleted one", async (client) => {
  const { info } = await client.createRun({ experimentId: "0" });
  const child = await mlflow.startRun({ parentRunId: info.runId });
  assertEquals((await child.get()).data.tags["mlflow.parentRunId"], info.runId);
  await mlflow.endRun();
  await client.deleteRun(info.runId);
  const error = await assertRejects(() => mlflow.startRun({ parentRunId: info.runId }), MlflowError);
  assertEquals(
    error.message,
    `Cannot start a run: Cannot start run under parent run with ID ${info.runId} because it is in the deleted state. ` +
      "(INVALID_PARAMETER_VALUE)",
  );
});

test("endRun() ends the innermost run with a status, and does nothing without one", async (client) => {
  await mlflow.endRun();
  const run = await mlflow.startRun();
  await mlflow.endRun("KILLED");
  assertEquals((await client.getRun(run.runId)).info.status, "KILLED");
  assertEquals((await mlflow.lastActiveRun())?.info.runId, run.runId);
  const next = await mlflow.startRun();
  assertEquals((await mlflow.lastActiveRun())?.info.runId, next.runId);
  await next.end();
  assertEquals(mlflow.activeRun(), undefined);
  assertEquals((await mlflow.lastActiveRun())?.info.status, "FINISHED");
});

test("withRun() gives the work's result and ends the run FINISHED", async (client) => {
  const result = await mlflow.withRun({ runName: "a" }, async (run) => {
    await run.logMetric("m", 1);
    return run.runId;
  });
  const { info, data } = await client.getRun(result);
  assertEquals([info.status, data.metrics], ["FINISHED", { m: 1 }]);
  assertEquals((await mlflow.lastActiveRun())?.info.runId, result);
});

test("withRun() ends the run FAILED and throws the work's own error on", async (client) => {
  const wanted = new RangeError("no");
  for (
    const work of [
      () => Promise.reject(wanted),
      () => {
        throw wanted;
      },
    ]
  ) {
    let runId = "";
    const error = await assertRejects(() =>
      mlflow.withRun({}, (run) => {
        runId = run.runId;
        return work();
      })
    );
    assert(error === wanted);
    assertEquals((await client.getRun(runId)).info.status, "FAILED");
  }
});

test("withRun() throws the work's error also where the run cannot be ended, and that one where the work is done", async (client) => {
  const told: unknown[] = [];
  const { error: original } = console;
  console.error = (text) => told.push(text);
  try {
    await assertRejects(
      () =>
        mlflow.withRun({}, async (run) => {
          await client.deleteRun(run.runId);
          throw new RangeError("of the work");
        }),
      RangeError,
      "of the work",
    );
  } finally {
    console.error = original;
  }
  assertEquals(told.length, 1);
  assert(String(told[0]).includes("must be in the 'active' state"), String(told[0]));
  await assertRejects(
    () => mlflow.withRun({}, (run) => client.deleteRun(run.runId)),
    MlflowError,
    "must be in the 'active' state",
  );
});

test("withRun() ends the runs that were left open inside it, also where one cannot be ended", async (client) => {
  const ids: string[] = [];
  await mlflow.withRun({}, async (run) => {
    ids.push(run.runId, (await mlflow.startRun({ nested: true })).runId);
  });
  await assertRejects(() =>
    mlflow.withRun({}, async (run) => {
      ids.push(run.runId);
      await client.deleteRun((await mlflow.startRun({ nested: true })).runId);
    }), MlflowError);
  await mlflow.withRun({}, async (run) => {
    await run.end("KILLED");
    ids.push((await mlflow.startRun()).runId);
  });
  for (const id of ids) assertEquals((await client.getRun(id)).info.status, "FINISHED");
});

test("withRun() keeps twenty runs at once apart, and the runs nested in them", async (client) => {
  const ids = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      mlflow.withRun({ runName: `run ${i}` }, async (run) => {
        await mlflow.logParam("i", i);
        const child = await mlflow.withRun({ nested: true }, async (child) => {
          await mlflow.logMetric("child", i);
          await Promise.resolve();
          assertEquals(mlflow.activeRun(), child);
          return child.runId;
        });
        const started = await mlflow.startRun({ nested: true });
        await mlflow.logMetric("started", i);
        await mlflow.endRun();
        await mlflow.logMetric("i", i);
        assertEquals(mlflow.activeRun(), run);
        return [run.runId, child, started.runId];
      })),
  );
  for (const [i, [runId, child, started]] of ids.entries()) {
    const records = await Promise.all([runId, child, started].map((id) => client.getRun(id)));
    assertEquals(records.map(({ data }) => data.metrics), [{ i }, { child: i }, { started: i }]);
    assertEquals(records[0].data.params, { i: String(i) });
    assertEquals(records.map(({ data }) => data.tags["mlflow.parentRunId"]), [undefined, runId, runId]);
    assertEquals(records.map(({ info }) => info.status), ["FINISHED", "FINISHED", "FINISHED"]);
  }
});

test("startRun() inside withRun() is active there and not outside", async () => {
  const outer = await mlflow.startRun();
  await mlflow.withRun({ nested: true }, async () => {
    const inner = await mlflow.startRun({ nested: true });
    assertEquals(mlflow.activeRun(), inner);
  });
  assertEquals(mlflow.activeRun(), outer);
  await mlflow.endRun();
});

test("logParam() and the like start one run where none is active", async (client) => {
  // None of them waits for the others.
  await Promise.all([
    mlflow.logParam("p", 1),
    mlflow.logMetric("m", 2),
    mlflow.setTag("t", 3),
    mlflow.logMetrics({ n: 4 }),
  ]);
  const run = mlflow.activeRun()!;
  await mlflow.endRun();
  const { data } = await client.getRun(run.runId);
  assertEquals([data.params, data.metrics, data.tags.t], [{ p: "1" }, { m: 2, n: 4 }, "3"]);
  assertEquals((await client.searchRuns({ experimentIds: ["0"] }).toArray()).length, 1);
});

test("log…() all go to the active run", async (client, dir) => {
  await Deno.mkdir(join(dir, "folder"));
  await Deno.writeTextFile(join(dir, "folder", "a.txt"), "a");
  const experimentId = await mlflow.createExperiment("kept", { artifactLocation: join(dir, "artifacts") });
  const id = await mlflow.withRun({ experimentId }, async (run) => {
    await mlflow.logMetrics({ a: 1, b: NaN }, { step: 2, timestamp: 5 });
    await mlflow.logParams({ p: null, q: [1, "a"] });
    await mlflow.setTags({ t: 1e-5, u: 2 });
    await mlflow.deleteTag("u");
    await mlflow.logBatch({ metrics: [{ key: "c", value: 3 }], tags: [{ key: "v", value: "w" }] });
    await mlflow.logEvaluation([0.5, { data: () => Promise.resolve([0.75]) }]);
    await mlflow.logArtifact(join(dir, "folder", "a.txt"), "in/folder");
    await mlflow.logArtifacts(join(dir, "folder"));
    await mlflow.logText("é", "t.txt");
    await mlflow.logDict({ a: 1 }, "d.json");
    return run.runId;
  });
  const { data } = await client.getRun(id);
  assertEquals(data.metrics, { a: 1, b: NaN, c: 3, validation_loss: 0.5, validation_accuracy: 0.75 });
  assertEquals(data.params, { p: "None", q: "[1, 'a']" });
  assertEquals([data.tags.t, data.tags.u, data.tags.v], ["1e-05", undefined, "w"]);
  assertEquals(await mlflow.getMetricHistory(id, "a"), [{ key: "a", value: 1, timestamp: 5, step: 2 }]);
  assertEquals((await client.listArtifacts(id)).map(({ path }) => path), ["a.txt", "d.json", "in", "t.txt"]);
  assertEquals((await client.listArtifacts(id, "in/folder")).map(({ path }) => path), ["in/folder/a.txt"]);
});

test("searchRuns() looks in the active experiment, or in those named", async (client) => {
  const a = await client.createExperiment("a");
  await client.createRun({ experimentId: a, runName: "in a" });
  await mlflow.withRun({ runName: "here" }, () => {});
  const names = async (options: mlflow.SearchActiveRunsOptions) =>
    (await mlflow.searchRuns(options).toArray()).map(({ info }) => info.runName).sort().join();
  assertEquals(await names({}), "here");
  assertEquals(await names({ experimentNames: ["a"] }), "in a");
  assertEquals(await names({ experimentIds: ["0"], experimentNames: ["a"] }), "here,in a");
  const error = await assertRejects(() => names({ experimentNames: ["none"] }), MlflowError);
  assertEquals(error.message, 'Cannot search runs: No experiment is named "none" (RESOURCE_DOES_NOT_EXIST)');
});

test("deleteRun() and restoreRun() move a run to the trash and back", async () => {
  const id = await mlflow.withRun({}, (run) => run.runId);
  await mlflow.deleteRun(id);
  assertEquals((await mlflow.getRun(id)).info.lifecycleStage, "deleted");
  assertEquals((await mlflow.searchRuns().toArray()).length, 0);
  await mlflow.restoreRun(id);
  assertEquals((await mlflow.getRun(id)).info.lifecycleStage, "active");
});
