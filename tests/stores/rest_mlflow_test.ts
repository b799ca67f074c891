/** RestStore and real MLflow servers. */
import { assertEquals } from "@std/assert";
import type { DatasetInput } from "../../entities.ts";
import { RestStore } from "../../stores/rest_store.ts";
import { type Mlflow, mlflowTest, type MlflowVersion } from "../support/mlflow.ts";
import type { MlflowServer } from "../support/mlflow_server.ts";
import { MLFLOW_3 } from "./mlflow_deviations.ts";
import { checkStoreContract } from "./store_contract.ts";

const RENAME = "renames an experiment, but never to a name in use";
const EXPERIMENTS = "searches experiments by name, time, id, tag and stage, in any order";
const RUNS = "searches runs by metrics, params, tags and attributes";
const MODELS = "searches logged models by attributes, params, tags and metrics on datasets, in any order";

const NO_NULL = "this release knows no IS NULL";
const NO_MODELS = "MLflow 2 has no logged models";
const NO_LISTS = "this release knows lists of run ids alone";
/** What of the registry came with later releases. */
const OLD_REGISTRY = {
  "deletes a version and its aliases, and uses its number no more": "this release keeps the aliases",
  "searches the registry for one of several names": NO_LISTS,
  "refuses a search for the half of a version": "this release finds none",
};
const SKIPPED: Readonly<Record<MlflowVersion, Readonly<Record<string, string>>>> = {
  "3.17.2": MLFLOW_3,
  "3.10.0": {
    ...MLFLOW_3,
    ...OLD_REGISTRY,
    [EXPERIMENTS]: NO_NULL,
    [RUNS]: NO_NULL,
    "takes the alias latest for the version of the highest number": "this release takes the latest of any one stage",
  },
  "3.1.0": {},
  "2.22.5": {
    ...OLD_REGISTRY,
    "takes the alias latest for the version of the highest number": "MLflow 2 has no such alias",
    "takes files and run of a version from its logged model": NO_MODELS,
    "says that a registered model is not there": "MLflow 2 says that the alias is not there",
    [RENAME]: MLFLOW_3[RENAME],
    [EXPERIMENTS]: NO_NULL,
    [RUNS]: NO_NULL,
    [MODELS]: NO_MODELS,
    "keeps logged models, their metrics and whose output they are": NO_MODELS,
    "adds params to logged models and removes tags of them": NO_MODELS,
    "keeps the datasets and models that a run has used": NO_MODELS,
    "refuses bad names and ids of experiments": "MLflow 2 takes an id that is no number for one that is missing",
    "sets, replaces and removes tags of an experiment": "MLflow 2 cannot remove them",
    "lists the datasets that runs of experiments have used": "MLflow 2 keeps a dataset with the first experiment alone",
  },
};

for (const version of ["3.17.2", "3.10.0", "2.22.5"] as const) {
  mlflowTest(`RestStore keeps the contract over MLflow ${version}`, { version }, async (mlflow, t) => {
    // Without it, MLflow 2 would keep its runs in files.
    await using server = await start(mlflow, "sqlite:///mlflow.db");
    await checkStoreContract(t, () => RestStore.open(server.url), { skip: SKIPPED[version] });
    if (version === "3.17.2") await t.step("and either reads what the other wrote", () => bothWays(mlflow, server.url));
  });
}

/** A server without the processes for jobs that MLflow 3 starts beside it, which is up in half the time. */
async function start(mlflow: Mlflow, backendStoreUri: string): Promise<MlflowServer> {
  const env = { MLFLOW_SERVER_ENABLE_JOB_EXECUTION: "false" };
  return await mlflow.ui({ command: "server", backendStoreUri, env });
}

const DATASET: DatasetInput = {
  dataset: { name: "flowers", digest: "d1", sourceType: "local", source: "{}", schema: "[]", profile: '{"rows":3}' },
  tags: { "mlflow.data.context": "train" },
};

/** All that a run holds, by Python's client. */
const READ = `
import mlflow
client = mlflow.MlflowClient(args["url"])
def read(run_id):
    run = client.get_run(run_id)
    return {
        "info": {k: getattr(run.info, k) for k in ("run_id", "run_name", "experiment_id", "user_id", "status",
            "start_time", "end_time", "lifecycle_stage", "artifact_uri")},
        "metrics": run.data.metrics, "params": run.data.params, "tags": run.data.tags,
        "history": [[m.value, m.timestamp, m.step] for m in client.get_metric_history(run_id, "loss")],
        "datasets": [[i.dataset.name, i.dataset.digest, i.dataset.source_type, i.dataset.source, i.dataset.schema,
            i.dataset.profile, {t.key: t.value for t in i.tags}] for i in run.inputs.dataset_inputs],
        "models": [[m.model_id, m.step] for m in run.outputs.model_outputs],
    }
`;

const READ_OURS = `${READ}
model = client.get_logged_model(args["model_id"])
result = {"run": read(args["run_id"]), "model": {"name": model.name, "status": str(model.status), "tags": model.tags,
    "params": model.params, "metrics": [[m.key, m.value, m.step, m.dataset_name] for m in model.metrics]}}
`;

const WRITE_THEIRS = `${READ}
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, Param, RunTag
experiment_id = client.create_experiment("theirs", tags={"team": "b"})
run = client.create_run(experiment_id, run_name="python", tags={"a": "b"}, start_time=1000)
run_id = run.info.run_id
values = [0.1, float("nan"), float("inf"), float("-inf"), 1e-300, -0.5]
client.log_batch(run_id, [Metric("loss", v, 1000 + i, i) for i, v in enumerate(values)],
    [Param("epochs", "10"), Param("名", "é🌷")], [RunTag("c/d", "e")])
client.log_inputs(run_id, [DatasetInput(Dataset("flowers", "d1", "local", "{}", "[]", '{"rows":3}'),
    [InputTag("mlflow.data.context", "train")])])
model = client.create_logged_model(experiment_id, name="m", source_run_id=run_id, params={f"p{i}": str(i) for i in range(250)},
    tags={"x": "y"}, model_type="classifier")
client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 5)])
client.log_metric(run_id, "acc", 0.9, step=5, timestamp=50, model_id=model.model_id, dataset_name="flowers", dataset_digest="d1")
client.finalize_logged_model(model.model_id, "READY")
client.set_terminated(run_id, "FINISHED", 2000)
result = {"experiment_id": experiment_id, "run_id": run_id, "model_id": model.model_id, "run": read(run_id)}
`;

interface PythonRun {
  readonly info: Record<string, unknown>;
  readonly metrics: Record<string, number>;
  readonly params: Record<string, string>;
  readonly tags: Record<string, string>;
  readonly history: [number, number, number][];
  readonly datasets: unknown[][];
  readonly models: [string, number][];
}

async function bothWays(mlflow: Mlflow, url: string): Promise<void> {
  await using store = await RestStore.open(url);
  await using python = mlflow.interpreter();
  const values = [0.1, NaN, Infinity, -Infinity, 1e-300, -0.5];

  const experimentId = await store.createExperiment("ours", { tags: { team: "a" } });
  const { info } = await store.createRun({
    experimentId,
    runName: "deno",
    tags: { "mlflow.user": "me" },
    startTime: 1000,
  });
  await store.logBatch(info.runId, {
    metrics: values.map((value, step) => ({ key: "loss", value, step, timestamp: 1000 + step })),
    params: [{ key: "epochs", value: "10" }, { key: "名", value: "é\n🌷" }],
    tags: [{ key: "a/b", value: "c" }],
  });
  await store.logInputs(info.runId, { datasets: [DATASET] });
  const params = Object.fromEntries(Array.from({ length: 250 }, (_, i) => [`p${i}`, `${i}`]));
  const model = await store.createLoggedModel({
    experimentId,
    name: "m",
    sourceRunId: info.runId,
    params,
    tags: { x: "y" },
  });
  assertEquals(model.params, params);
  await store.logOutputs(info.runId, [{ modelId: model.modelId, step: 3 }]);
  const dataset = { name: "flowers", digest: "d1" };
  await store.logBatch(info.runId, {
    metrics: [{ key: "acc", value: 0.9, step: 3, timestamp: 30, modelId: model.modelId, dataset }],
  });
  await store.finalizeLoggedModel(model.modelId, "READY");
  await store.updateRun(info.runId, { status: "FINISHED", endTime: 2000 });

  const ours = await python.run<{ run: PythonRun; model: unknown }>(READ_OURS, {
    url,
    run_id: info.runId,
    model_id: model.modelId,
  });
  assertEquals(ours.run.info, {
    run_id: info.runId,
    run_name: "deno",
    experiment_id: experimentId,
    user_id: "me",
    status: "FINISHED",
    start_time: 1000,
    end_time: 2000,
    lifecycle_stage: "active",
    artifact_uri: info.artifactUri,
  });
  // MLflow gives the largest double for what it stored as infinity; we give infinity back.
  const max = Number.MAX_VALUE;
  const pythonValues = [0.1, max, -max, 1e-300, -0.5];
  assertEquals(ours.run.history.map(([value]) => value).filter((value) => !Number.isNaN(value)), pythonValues);
  assertEquals(ours.run.metrics, { loss: -0.5, acc: 0.9 });
  assertEquals(ours.run.params, { epochs: "10", "名": "é\n🌷" });
  assertEquals(ours.run.tags, { "mlflow.user": "me", "a/b": "c", "mlflow.runName": "deno" });
  assertEquals(ours.run.datasets, [["flowers", "d1", "local", "{}", "[]", '{"rows":3}', DATASET.tags]]);
  assertEquals(ours.run.models, [[model.modelId, 3]]);
  assertEquals(ours.model, {
    name: "m",
    status: "READY",
    tags: { x: "y" },
    params,
    metrics: [["acc", 0.9, 3, "flowers"]],
  });

  const theirs = await python.run<{ experiment_id: string; run_id: string; model_id: string; run: PythonRun }>(
    WRITE_THEIRS,
    { url },
  );
  assertEquals((await store.getExperimentByName("theirs"))?.tags, { team: "b" });
  const run = await store.getRun(theirs.run_id);
  assertEquals(run.info, {
    runId: theirs.run_id,
    runName: "python",
    experimentId: theirs.experiment_id,
    userId: "unknown",
    status: "FINISHED",
    startTime: 1000,
    endTime: 2000,
    lifecycleStage: "active",
    artifactUri: String(theirs.run.info.artifact_uri),
  });
  assertEquals(run.data, {
    metrics: { loss: -0.5, acc: 0.9 },
    params: { epochs: "10", "名": "é🌷" },
    tags: { a: "b", "c/d": "e", "mlflow.runName": "python" },
  });
  assertEquals(run.inputs, { datasetInputs: [DATASET], modelInputs: [] });
  assertEquals(run.outputs, { modelOutputs: [{ modelId: theirs.model_id, step: 5 }] });
  assertEquals((await store.getMetricHistory(theirs.run_id, "loss")).items.map(({ value }) => value), values);
  const read = await store.getLoggedModel(theirs.model_id);
  assertEquals([read.name, read.status, read.modelType, read.sourceRunId], ["m", "READY", "classifier", theirs.run_id]);
  assertEquals([read.params, read.tags], [params, { x: "y" }]);
  const metric = { key: "acc", value: 0.9, timestamp: 50, step: 5, runId: theirs.run_id, dataset };
  assertEquals(read.metrics, [metric]);
  const found = await store.searchRuns([theirs.experiment_id], {
    filter: "dataset.name = 'flowers' AND metrics.acc > 0.5",
  });
  assertEquals(found.items.map(({ info }) => info.runId), [theirs.run_id]);
  const models = await store.searchLoggedModels([theirs.experiment_id], {
    filter: "metrics.acc > 0.5 AND params.p1 = '1'",
    datasets: [dataset],
    orderBy: [{ fieldName: "metrics.acc", ascending: false, datasetName: "flowers" }],
  });
  assertEquals(models.items.map(({ modelId }) => modelId), [theirs.model_id]);
}
