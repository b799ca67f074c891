/** Folders that MLflow's file store and ours write and read in turns. */
import { join } from "@std/path";
import { assertEquals } from "@std/assert";
import type { LoggedModel, Metric, RunRecord } from "../../entities.ts";
import { FileStore } from "../../stores/file_store.ts";
import { SqliteStore } from "../../stores/sqlite_store.ts";
import type { TrackingStore } from "../../stores/store.ts";
import { type Mlflow, mlflowTest } from "../support/mlflow.ts";
import type { PythonInterpreter } from "../support/python.ts";

const WRITER = new URL("../support/file_writer.ts", import.meta.url);
const CONFIG = new URL("../../deno.json", import.meta.url);

const NAMES = [
  "flow é: \"x' 損",
  "yes",
  "1:30",
  "null",
  " spaces ",
  "a\nb",
  "#no",
  "- x",
  "0123",
  "1e3",
  "{a: 1}",
  "🌷",
];

mlflowTest("MLflow reads all that FileStore writes, and goes on with it", async (mlflow) => {
  await using python = openPython(mlflow);
  await using store = await FileStore.open(join(mlflow.dir, "mlruns"));
  const written = await writeAll(store);
  const ours = await readAll(store);
  assertEquals(await python.run(READ_ALL), ours);

  await python.run(
    `
    c.log_batch(args, [Metric("m", 7.0, 9000, 100), Metric("new/one", float("-inf"), 1, 2)], [Param("more", "1")],
      [RunTag("mlflow.runName", "renamed"), RunTag("t", "2")])
    c.set_terminated(args, "KILLED", 12345)
    `,
    written.runId,
  );
  const { info, data } = await store.getRun(written.runId);
  assertEquals([info.runName, info.status, info.endTime], ["renamed", "KILLED", 12345]);
  assertEquals([data.metrics.m, data.metrics["new/one"], data.params.more, data.tags.t], [7, -Infinity, "1", "2"]);

  await python.run(
    `
    c.restore_experiment(args["gone"])
    c.delete_experiment(args["kept"])
    c.restore_run(args["deleted"])
    `,
    { gone: written.deletedExperiment, kept: written.experimentId, deleted: written.deletedRun },
  );
  assertEquals((await store.getExperiment(written.deletedExperiment)).lifecycleStage, "active");
  assertEquals((await store.getExperiment(written.experimentId)).lifecycleStage, "deleted");
  assertEquals((await store.getRun(written.runId)).info.lifecycleStage, "deleted");
  await store.restoreExperiment(written.experimentId);
  assertEquals(await python.run(READ_ALL), await readAll(store));
});

mlflowTest("FileStore reads all that MLflow writes, and goes on with it", async (mlflow) => {
  await using python = openPython(mlflow);
  const { runId, modelId } = await python.run<{ runId: string; modelId: string }>(WRITE_ALL, NAMES);
  await using store = await FileStore.open(join(mlflow.dir, "mlruns"));
  assertEquals(await readAll(store), await python.run(READ_ALL));

  await store.logBatch(runId, {
    metrics: [
      { key: "m", value: 1e16, step: 9, timestamp: 9000 },
      { key: "m", value: NaN, step: 10, timestamp: 9001 },
      // A metric of its own: of each metric and dataset, MLflow gives the latest value alone.
      { key: "own", value: 0.75, step: 5, timestamp: 70, modelId, dataset: { name: "ds", digest: "dg" } },
    ],
    params: [{ key: "p", value: "x\ny" }, { key: "q", value: "" }],
    tags: [{ key: "mlflow.runName", value: "ours" }],
  });
  await store.updateRun(runId, { status: "FAILED", endTime: 99 });
  await store.setLoggedModelTags(modelId, { t: "3" });
  await store.deleteRun(runId);
  const theirs = await python.run(READ_ALL);
  assertEquals(theirs, await readAll(store));
  const run = await python.run<unknown[]>(
    `
    r = c.get_run(args)
    result = [r.info.run_name, r.info.status, r.info.end_time, r.info.lifecycle_stage, r.data.metrics["m"], r.data.params]
    `,
    runId,
  );
  assertEquals(run, ["ours", "FAILED", 99, "deleted", NaN, { p: "x\ny", q: "" }]);
});

mlflowTest("mlflow migrate-filestore takes what FileStore writes, and SqliteStore reads it", async (mlflow, t) => {
  const before = await (async () => {
    await using store = await FileStore.open(join(mlflow.dir, "mlruns"));
    const { runId } = await writeAll(store);
    // Logged again: at the second of two equal lines the migration would break off.
    await store.logBatch(runId, { metrics: VALUES });
    return await readAll(store);
  })();
  const uri = `sqlite:///${join(mlflow.dir, "mlflow.db")}`;
  const { success, stderr } = await new Deno.Command(mlflow.executable, {
    args: ["-m", "mlflow", "migrate-filestore", "--source", "mlruns", "--target", uri, "--no-progress"],
    cwd: mlflow.dir,
  }).output();
  assertEquals(success, true, new TextDecoder().decode(stderr));
  const after = await mlflow.python<Everything>(READ_ALL, null, { env: { MLFLOW_TRACKING_URI: uri } });
  assertEquals(comparable(after), comparable(before));
  await t.step("SqliteStore reads it", async () => {
    await using store = await SqliteStore.open(uri);
    assertEquals(comparable(await readAll(store)), comparable(before));
  });
});

/** As a database holds it: infinities that Python reads from one are the largest numbers. */
function comparable(all: Everything): unknown {
  const text = JSON.stringify(
    all,
    (_, value) =>
      typeof value === "number" && Math.abs(value) === Number.MAX_VALUE
        ? String(value * Infinity)
        : typeof value === "number"
        ? String(value)
        : value,
  );
  return JSON.parse(text);
}

Deno.test("four processes write to one run of a FileStore", async () => {
  const dir = await Deno.makeTempDir({ prefix: "mlflow-deno-" });
  try {
    await using store = await FileStore.open(join(dir, "mlruns"));
    const { info } = await store.createRun({ experimentId: "0" });
    const writers = [0, 1, 2, 3].map((number) => startWriter(store.uri, info.runId, number, 100).output());
    const ended = await Promise.all(writers);
    assertEquals(ended.map(({ success }) => success), [true, true, true, true]);
    const { items } = await store.getMetricHistory(info.runId, "shared");
    // Half of the values are the same from all of them.
    assertEquals(items.filter(({ step }) => step < 50).length, 50);
    assertEquals(items.filter(({ step }) => step >= 50).length, 4 * 50);
    const lines = (await Deno.readTextFile(join(dir, "mlruns", "0", info.runId, "metrics", "shared"))).trim().split(
      "\n",
    );
    assertEquals(lines.length, 5 * 50);
    const { data } = await store.getRun(info.runId);
    assertEquals(Object.keys(data.params).length, 4 * 100 + 1);
    const printed = ended.flatMap(({ stdout }) => new TextDecoder().decode(stdout).trim().split("\n"));
    const times = (text: string) => printed.filter((line) => line.includes(text)).length;
    assertEquals([times("made"), times("Experiment(name=raced) already exists.")], [1, 3]);
    assertEquals([times("set"), times("Changing param values is not allowed")], [1, 3]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a process that is killed while it writes to a FileStore leaves all readable", async () => {
  const dir = await Deno.makeTempDir({ prefix: "mlflow-deno-" });
  try {
    await using store = await FileStore.open(join(dir, "mlruns"));
    const { info } = await store.createRun({ experimentId: "0" });
    let before = 0;
    for (const number of [0, 1, 2]) {
      const writer = startWriter(store.uri, info.runId, number, 1_000_000);
      const count = async () => (await store.getMetricHistory(info.runId, "shared")).items.length;
      while (await count() <= before + 20) await new Promise((resolve) => setTimeout(resolve, 5));
      writer.kill("SIGKILL");
      await writer.output();
      const { data, info: { lifecycleStage } } = await store.getRun(info.runId);
      assertEquals([lifecycleStage, /^\d \d+$/.test(data.tags.last)], ["active", true]);
      before = await count();
      // What a batch is made of is written in this order: params, metrics, tags.
      assertEquals(data.params[`${number}/19`], "x");
      await store.logBatch(info.runId, { metrics: [{ key: "after", value: number, step: number }] });
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

function startWriter(uri: string, runId: string, number: number, values: number): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--config", CONFIG.pathname, WRITER.pathname, uri, runId, String(number), String(values)],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

function openPython(mlflow: Mlflow): PythonInterpreter {
  return mlflow.interpreter({
    env: { MLFLOW_ALLOW_FILE_STORE: "true", MLFLOW_TRACKING_URI: join(mlflow.dir, "mlruns") },
  });
}

const VALUES = [NaN, Infinity, -Infinity, 0, -1.5, 1e-7, 5e-324, 0.1, 1e16, 2 ** 53, 1e300].map((value, step) => ({
  key: "m",
  value,
  step,
  timestamp: 1000 + step,
}));

/** Writes some of everything. */
async function writeAll(store: TrackingStore): Promise<{
  readonly experimentId: string;
  readonly runId: string;
  readonly deletedRun: string;
  readonly deletedExperiment: string;
}> {
  const experimentId = await store.createExperiment(NAMES[0], { tags: { team: "a", "nested/tag": "é\n" } });
  for (const name of NAMES.slice(1)) await store.createExperiment(name);
  const { info: { runId } } = await store.createRun({
    experimentId,
    runName: "no",
    tags: { "mlflow.user": "1e5", "a.b/c d": " x " },
    startTime: 17,
  });
  await store.logBatch(runId, {
    metrics: [...VALUES, { key: "a/b", value: 1, step: -3, timestamp: 5 }, { key: "損 失:x", value: 2, timestamp: 0 }],
    params: [{ key: "p", value: "x\ny" }, { key: "empty", value: "" }, { key: "deep/er/key", value: "é🌷" }],
    tags: [{ key: "t", value: "1" }],
  });
  const model = await store.createLoggedModel({
    experimentId,
    name: "true",
    sourceRunId: runId,
    modelType: "cls",
    params: { a: "1" },
    tags: { t: "2" },
  });
  const { modelId } = model;
  await store.logOutputs(runId, [{ modelId, step: 3 }]);
  const dataset = { name: "ds", digest: "0123", sourceType: "local", source: '{"uri": "x"}' };
  await store.logInputs(runId, {
    datasets: [
      { dataset, tags: { "mlflow.data.context": "train" } },
      { dataset: { ...dataset, name: "other é", schema: "{}", profile: "{}" }, tags: {} },
    ],
    models: [{ modelId }],
  });
  await store.logBatch(runId, {
    metrics: [
      { key: "acc", value: 0.5, step: 3, timestamp: 60, modelId },
      { key: "acc", value: 0.25, step: 3, timestamp: 61, modelId, dataset },
    ],
  });
  await store.finalizeLoggedModel(modelId, "READY");
  await store.deleteLoggedModel((await store.createLoggedModel({ experimentId })).modelId);
  const [killed, deleted] = [await store.createRun({ experimentId }), await store.createRun({ experimentId })];
  await store.updateRun(killed.info.runId, { status: "KILLED", endTime: 5 });
  await store.deleteRun(deleted.info.runId);
  const deletedExperiment = await store.createExperiment("gone");
  await store.createRun({ experimentId: deletedExperiment });
  await store.deleteExperiment(deletedExperiment);
  return { experimentId, runId, deletedRun: deleted.info.runId, deletedExperiment };
}

const WRITE_ALL = `
import time
from mlflow import MlflowClient
from mlflow.entities import *
c = MlflowClient()
e = c.create_experiment(args[0].replace("'", ""), tags={"team": "a", "nested/tag": "é"})
for name in args[1:]:
    c.create_experiment(name)
r = c.create_run(e, run_name="yes", tags={"mlflow.user": "me"}).info.run_id
for step, value in enumerate([float("nan"), float("inf"), float("-inf"), 0.1, 1e-7, 1e16, 5, 1e300]):
    c.log_metric(r, "m", value, step=step, timestamp=1000 + step)
c.log_metric(r, "a/b", 1, timestamp=5)
c.log_param(r, "p", "x\\ny")
d = Dataset("ds", "dg", "local", "{}", None, None)
c.log_inputs(r, [DatasetInput(d, [InputTag("mlflow.data.context", "train")])])
m = c.create_logged_model(e, name="mod", source_run_id=r, params={"a": "1"}, tags={"t": "2"}, model_type="cls").model_id
c.log_outputs(r, [LoggedModelOutput(m, 3)])
c.log_inputs(r, models=[LoggedModelInput(m)])
c.log_metric(r, "acc", 0.5, step=0, timestamp=6, model_id=m)
c.log_metric(r, "acc", 0.6, step=0, timestamp=7, model_id=m, dataset_name="ds", dataset_digest="dg")
c.finalize_logged_model(m, "READY")
c.delete_logged_model(c.create_logged_model(e).model_id)
c.delete_run(c.create_run(e).info.run_id)
gone = c.create_experiment("gone")
c.create_run(gone)
c.delete_experiment(gone)
result = {"runId": r, "modelId": m}
`;

/** The same as `readAll` gives, read by MLflow. */
const READ_ALL = `
from mlflow import MlflowClient
from mlflow.entities import *
from mlflow.entities import ViewType
c = MlflowClient()
def metric(m):
    return {"key": m.key, "value": m.value, "timestamp": m.timestamp, "step": m.step}
def model(m):
    return {"modelId": m.model_id, "experimentId": m.experiment_id, "name": m.name,
        "artifactLocation": m.artifact_location, "creationTimestamp": m.creation_timestamp,
        "lastUpdatedTimestamp": m.last_updated_timestamp, "status": str(m.status), "modelType": m.model_type,
        "sourceRunId": m.source_run_id, "params": m.params, "tags": m.tags,
        "metrics": [{**metric(x), "runId": x.run_id,
            "dataset": {"name": x.dataset_name, "digest": x.dataset_digest} if x.dataset_name else None}
            for x in sorted(m.metrics, key=lambda x: (x.key, x.timestamp))]}
def dataset(d):
    return {k: v for k, v in {"name": d.name, "digest": d.digest, "sourceType": d.source_type, "source": d.source,
        "schema": d.schema, "profile": d.profile}.items() if v is not None}
def run(r):
    i = r.info
    return {"info": {"runId": i.run_id, "runName": i.run_name, "experimentId": i.experiment_id, "userId": i.user_id,
            "status": i.status, "startTime": i.start_time, "endTime": i.end_time, "lifecycleStage": i.lifecycle_stage,
            "artifactUri": i.artifact_uri},
        "data": {"metrics": r.data.metrics, "params": r.data.params, "tags": r.data.tags},
        "inputs": {"datasetInputs": sorted([{"dataset": dataset(d.dataset), "tags": {t.key: t.value for t in d.tags}}
                for d in r.inputs.dataset_inputs], key=lambda d: d["dataset"]["name"]),
            "modelInputs": [{"modelId": x.model_id} for x in r.inputs.model_inputs]},
        "outputs": {"modelOutputs": [{"modelId": x.model_id, "step": x.step} for x in r.outputs.model_outputs]},
        "history": {key: [metric(m) for m in sorted(c.get_metric_history(i.run_id, key),
            key=lambda m: (m.timestamp, m.step))] for key in r.data.metrics}}
experiments = c.search_experiments(view_type=ViewType.ALL, order_by=["experiment_id ASC"])
ids = [e.experiment_id for e in experiments]
result = {
    "experiments": [{"experimentId": e.experiment_id, "name": e.name, "artifactLocation": e.artifact_location,
        "lifecycleStage": e.lifecycle_stage, "creationTime": e.creation_time, "lastUpdateTime": e.last_update_time,
        "tags": e.tags} for e in experiments],
    "runs": [run(c.get_run(r.info.run_id)) for r in sorted(c.search_runs(ids, run_view_type=ViewType.ALL), key=lambda r: r.info.run_id)],
    "models": [model(m) for m in sorted(c.search_logged_models(ids), key=lambda m: m.model_id)],
}
`;

/** All that a store holds, in an order of its own and with null for undefined. */
async function readAll(store: TrackingStore): Promise<Everything> {
  const { items } = await store.searchExperiments({ viewType: "ALL" });
  const experiments = items.toSorted((a, b) => a.experimentId < b.experimentId ? -1 : 1);
  const ids = experiments.map(({ experimentId }) => experimentId);
  const runs = (await store.searchRuns(ids, { viewType: "ALL" })).items.toSorted((a, b) =>
    a.info.runId < b.info.runId ? -1 : 1
  );
  const models = (await store.searchLoggedModels(ids)).items.toSorted((a, b) => a.modelId < b.modelId ? -1 : 1);
  const withHistory = await Promise.all(runs.map(async (run) => ({
    ...run,
    inputs: {
      ...run.inputs,
      datasetInputs: run.inputs.datasetInputs.toSorted((a, b) => a.dataset.name < b.dataset.name ? -1 : 1),
    },
    history: Object.fromEntries(
      await Promise.all(
        Object.keys(run.data.metrics).map(async (key): Promise<[string, readonly Metric[]]> => [
          key,
          (await store.getMetricHistory(run.info.runId, key)).items,
        ]),
      ),
    ),
  })));
  return plain({
    experiments,
    runs: withHistory,
    models: models.map((model) => ({
      ...model,
      metrics: model.metrics.toSorted((a, b) => a.key === b.key ? a.timestamp - b.timestamp : a.key < b.key ? -1 : 1),
    })),
  });
}

interface Everything {
  readonly experiments: readonly unknown[];
  readonly runs: readonly (RunRecord & { readonly history: Readonly<Record<string, readonly Metric[]>> })[];
  readonly models: readonly LoggedModel[];
}

function plain<T>(value: T): T {
  if (value === undefined) return null as T;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(plain) as T;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, plain(entry)])) as T;
}
