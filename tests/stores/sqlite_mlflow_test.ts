/** SqliteStore and the real MLflow on one file. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient } from "../../client.ts";
import * as fluent from "../../fluent.ts";
import { SqliteStore } from "../../stores/sqlite_store.ts";
import { setTrackingUri } from "../../tracking/tracking_uri.ts";
import { type Mlflow, mlflowTest, type MlflowVersion } from "../support/mlflow.ts";

const WRITER = new URL("../support/writer.ts", import.meta.url);
const CONFIG = new URL("../../deno.json", import.meta.url);

/** What both sides are compared by: all that a run holds. */
const READ_RUN = `
import mlflow
mlflow.set_tracking_uri(args["uri"])
client = mlflow.MlflowClient()
run = client.get_run(args["run_id"])
history = {key: [[m.value, m.timestamp, m.step] for m in client.get_metric_history(args["run_id"], key)]
           for key in run.data.metrics}
result = {
    "info": {k: getattr(run.info, k) for k in
             ("run_id", "run_name", "experiment_id", "user_id", "status", "start_time", "end_time", "lifecycle_stage", "artifact_uri")},
    "metrics": run.data.metrics, "params": run.data.params, "tags": run.data.tags, "history": history,
    "models": [[m.model_id, m.step] for m in run.outputs.model_outputs] if run.outputs else [],
}`;

interface PythonRun {
  readonly info: Record<string, unknown>;
  readonly metrics: Record<string, number>;
  readonly params: Record<string, string>;
  readonly tags: Record<string, string>;
  readonly history: Record<string, [number, number, number][]>;
  readonly models: [string, number][];
}

mlflowTest("MLflow reads what SqliteStore wrote", async (mlflow) => {
  const uri = `sqlite:///${join(mlflow.dir, "mlflow.db")}`;
  await using store = await SqliteStore.open(uri);
  const experimentId = await store.createExperiment("flowers", { tags: { team: "a" } });
  const { info } = await store.createRun({ experimentId, runName: "baseline", tags: { "mlflow.user": "me" } });
  const values = [0.1, NaN, Infinity, -Infinity, 1e-300, -0.5];
  await store.logBatch(info.runId, {
    metrics: values.map((value, step) => ({ key: "loss", value, step, timestamp: 1000 + step })),
    params: [{ key: "epochs", value: "10" }, { key: "名", value: "é\n🌷" }],
    tags: [{ key: "a/b", value: "c" }],
  });
  await store.logBatch(info.runId, { metrics: [{ key: "nan", value: NaN, timestamp: 5 }] });
  const model = await store.createLoggedModel({
    experimentId,
    name: "m",
    sourceRunId: info.runId,
    params: { epochs: "10" },
  });
  await store.logOutputs(info.runId, [{ modelId: model.modelId, step: 3 }]);
  await store.finalizeLoggedModel(model.modelId, "READY");
  await store.updateRun(info.runId, { status: "FINISHED", endTime: info.startTime + 1 });
  const deleted = await store.createRun({ experimentId });
  await store.deleteRun(deleted.info.runId);

  await using python = mlflow.interpreter();
  const run = await python.run<PythonRun>(READ_RUN, { uri, run_id: info.runId });
  assertEquals(run.info, {
    run_id: info.runId,
    run_name: "baseline",
    experiment_id: experimentId,
    user_id: "me",
    status: "FINISHED",
    start_time: info.startTime,
    end_time: info.startTime + 1,
    lifecycle_stage: "active",
    artifact_uri: info.artifactUri,
  });
  // MLflow gives the largest double for what it stored as infinity; we give infinity back.
  const max = Number.MAX_VALUE;
  assertEquals(run.history.loss.map(([value]) => value), [0.1, NaN, max, -max, 1e-300, -0.5]);
  assertEquals([run.metrics.loss, run.metrics.nan], [-0.5, NaN]);
  assertEquals(run.params, { epochs: "10", "名": "é\n🌷" });
  assertEquals(run.tags["a/b"], "c");
  assertEquals(run.models, [[model.modelId, 3]]);
  assertEquals(
    await python.run(
      `
experiment = client.get_experiment_by_name("flowers")
model = client.get_logged_model(args["model_id"])
result = [experiment.experiment_id, experiment.tags, model.name, str(model.status), model.params,
          [r.info.run_id for r in client.search_runs([experiment.experiment_id])],
          [r.info.run_id for r in client.search_runs([experiment.experiment_id], run_view_type=mlflow.entities.ViewType.DELETED_ONLY)]]`,
      { model_id: model.modelId },
    ),
    [experimentId, { team: "a" }, "m", "READY", { epochs: "10" }, [info.runId], [deleted.info.runId]],
  );
});

mlflowTest("SqliteStore reads what MLflow wrote, and goes on writing", async (mlflow) => {
  const uri = `sqlite:///${join(mlflow.dir, "mlflow.db")}`;
  await using python = mlflow.interpreter();
  const runId = await python.run<string>(
    `
import mlflow
mlflow.set_tracking_uri(args)
experiment = mlflow.set_experiment("from python")
with mlflow.start_run(run_name="py", tags={"a": "b"}) as run:
    mlflow.log_params({"lr": 1e-05, "flag": True, "none": None, "list": [1, "a"], "dict": {"k": 1.5}})
    for step, value in enumerate([0.5, float("nan"), float("inf"), float("-inf")]):
        mlflow.log_metric("loss", value, step=step, timestamp=1000 + step)
    mlflow.log_text("hello", "a/b.txt")
result = run.info.run_id`,
    uri,
  );
  const client = new MlflowClient(uri);
  const run = await client.getRun(runId);
  assertEquals([run.info.runName, run.info.status, run.data.tags.a], ["py", "FINISHED", "b"]);
  assertEquals(run.data.params, { lr: "1e-05", flag: "True", none: "None", list: "[1, 'a']", dict: "{'k': 1.5}" });
  assertEquals((await client.getMetricHistory(runId, "loss")).map(({ value }) => value), [
    0.5,
    NaN,
    Infinity,
    -Infinity,
  ]);
  assertEquals(new TextDecoder().decode(await client.readArtifact(runId, "a/b.txt")), "hello");
  const experiment = await client.getExperimentByName("from python");
  assertEquals(experiment?.experimentId, run.info.experimentId);

  // The same settings, written from here: equal values are no change of a param.
  setTrackingUri(uri);
  await fluent.setExperiment("from python");
  const resumed = await fluent.startRun({ runId, tags: { resumed: true } });
  const same = { lr: 1e-5, flag: true, none: null, list: [1, "a"], dict: { k: 1.5 } };
  await resumed.logParams(same);
  await resumed.logMetric("loss", 0.25, { step: 4 });
  await fluent.endRun();
  setTrackingUri("");
  assertEquals((await client.getRun(runId)).info.status, "FINISHED");
  const ours = await client.createRun({ experimentId: run.info.experimentId });
  assertEquals(await client.createExperiment("from deno"), String(Number(experiment?.experimentId) + 1));

  // Python goes on with our run.
  await python.run(
    `
with mlflow.start_run(run_id=args) as run:
    mlflow.log_metric("loss", 1.5, step=1)`,
    ours.info.runId,
  );
  assertEquals((await client.getRun(ours.info.runId)).data.metrics, { loss: 1.5 });
  assertEquals((await client.getRun(ours.info.runId)).info.status, "FINISHED");
  assertEquals((await python.run<PythonRun>(READ_RUN, { uri, run_id: runId })).metrics, { loss: 0.25 });
  assertEquals(await python.run(`result = client.get_run(args).data.tags["resumed"]`, runId), "True");
});

for (const version of ["3.1.0", "3.10.0", "3.17.2"] as const satisfies readonly MlflowVersion[]) {
  mlflowTest(`mlflow ui ${version} brings our file to its head while we write to it`, { version }, async (mlflow) => {
    const uri = `sqlite:///${join(mlflow.dir, "mlflow.db")}`;
    const client = new MlflowClient(uri);
    const experimentId = await client.createExperiment("flowers");
    const { info } = await client.createRun({ experimentId });
    const written: number[] = [];
    const starting = mlflow.ui({ backendStoreUri: uri });
    let started = false;
    starting.finally(() => started = true).catch(() => {});
    for (let step = 0; !started || step < 100; step++) {
      await client.logMetric(info.runId, "m", step, { step });
      await client.logParam(info.runId, `p${step}`, step);
      written.push(step);
      // Time for the server's own process to be waited for.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await using ui = await starting;
    const response = await fetch(`${ui.url}/api/2.0/mlflow/runs/get?run_id=${info.runId}`);
    const { run } = await response.json();
    assertEquals(run.data.metrics[0].value, written.at(-1));
    assertEquals((await client.getMetricHistory(info.runId, "m")).map(({ value }) => value), written);
    assertEquals(Object.keys((await client.getRun(info.runId)).data.params).length, written.length);

    // Everything goes on as before on the file at its new head.
    await usesEverything(client, mlflow);
  });
}

async function usesEverything(client: MlflowClient, mlflow: Mlflow): Promise<void> {
  const experimentId = await client.createExperiment("after");
  assertEquals((await client.getExperimentByName("after"))?.experimentId, experimentId);
  await client.setExperimentTag(experimentId, "a", "b");
  const { info } = await client.createRun({ experimentId, tags: { t: "1" } });
  await client.logBatch(info.runId, {
    metrics: [{ key: "m", value: NaN }],
    params: [{ key: "p", value: "1" }],
    tags: [{ key: "u", value: "2" }],
  });
  const model = await client.createLoggedModel({
    experimentId,
    sourceRunId: info.runId,
    params: { a: "b" },
    tags: { c: "d" },
  });
  await client.logOutputs(info.runId, [{ modelId: model.modelId, step: 0 }]);
  await client.finalizeLoggedModel(model.modelId, "READY");
  await client.deleteRun(info.runId);
  await client.restoreRun(info.runId);
  await client.renameExperiment(experimentId, "renamed");
  await client.setTerminated(info.runId);
  const found = await client.searchRuns({ experimentIds: [experimentId], filter: "params.p = '1'" }).toArray();
  assertEquals(found.map((run) => run.info.runId), [info.runId]);
  // A store that opens the migrated file anew finds it in order.
  const other = await SqliteStore.open(`sqlite:///${join(mlflow.dir, "mlflow.db")}`);
  assertEquals((await other.getRun(info.runId)).data.metrics, { m: NaN });
  await other[Symbol.asyncDispose]();
}

mlflowTest("8 processes log 2,000 values each while MLflow reads", async (mlflow) => {
  const uri = `sqlite:///${join(mlflow.dir, "mlflow.db")}`;
  const client = new MlflowClient(uri);
  const experimentId = await client.createExperiment("crowd");
  const writers = Array.from({ length: 8 }, (_, i) =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--config", CONFIG.pathname, WRITER.pathname, uri, experimentId, String(i), "2000"],
      stdout: "piped",
      stderr: "piped",
    }).output());
  await using python = mlflow.interpreter();
  let done = false;
  const all = Promise.all(writers).finally(() => done = true);
  let reads = 0;
  while (!done) {
    const count = await python.run<number>(
      `
import mlflow
mlflow.set_tracking_uri(args["uri"])
result = sum(len(mlflow.MlflowClient().get_metric_history(r.info.run_id, "value"))
             for r in mlflow.MlflowClient().search_runs([args["experiment_id"]]))`,
      { uri, experiment_id: experimentId },
    );
    assert(count <= 16_000);
    reads++;
  }
  for (const { code, stdout, stderr } of await all) {
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    const history = await client.getMetricHistory(new TextDecoder().decode(stdout).trim(), "value");
    assertEquals(history.map(({ value }) => value).sort((a, b) => a - b), Array.from({ length: 2000 }, (_, i) => i));
  }
  assert(reads > 0);
});
