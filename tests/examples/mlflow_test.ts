/** The real MLflow reads everything that quickstart.ts and train.ts wrote. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient } from "../../client.ts";
import { deno } from "../support/deno.ts";
import { mlflowTest } from "../support/mlflow.ts";

const ROOT = Deno.realPathSync(new URL("../..", import.meta.url));

/** All of a database, as Python's client sees it. */
const READ_ALL = `
import mlflow, hashlib, os
from mlflow.entities import ViewType
from mlflow.models import Model
mlflow.set_tracking_uri(args)
client = mlflow.MlflowClient()
def files(run_id, path=None):
    found = {}
    for f in client.list_artifacts(run_id, path):
        if f.is_dir: found.update(files(run_id, f.path))
        else:
            local = client.download_artifacts(run_id, f.path)
            found[f.path] = [f.file_size, hashlib.sha256(open(local, "rb").read()).hexdigest()]
    return found
def model_of(id):
    m = client.get_logged_model(id)
    described = Model.load(os.path.join(m.artifact_location, "MLmodel"))
    return {"name": m.name, "status": str(m.status), "params": m.params, "source": m.source_run_id,
            "metrics": sorted([x.key, x.value, x.step] for x in m.metrics),
            "flavors": sorted(described.flavors), "model_id": described.model_id, "run_id": described.run_id,
            "inputs": described.signature.inputs.to_dict(), "outputs": described.signature.outputs.to_dict()}
runs = {}
for e in client.search_experiments(view_type=ViewType.ALL):
    for r in client.search_runs([e.experiment_id], run_view_type=ViewType.ALL):
        runs[r.info.run_id] = {
            "experiment": e.name, "name": r.info.run_name, "status": r.info.status, "start": r.info.start_time,
            "end": r.info.end_time, "user": r.info.user_id, "metrics": r.data.metrics, "params": r.data.params, "tags": r.data.tags,
            "history": {k: [[m.value, m.timestamp, m.step] for m in client.get_metric_history(r.info.run_id, k)] for k in r.data.metrics},
            "files": files(r.info.run_id), "models": {m.model_id: model_of(m.model_id) for m in r.outputs.model_outputs},
        }
result = runs`;

interface PythonRun {
  readonly experiment: string;
  readonly files: Record<string, [number, string]>;
  readonly models: Record<string, Record<string, unknown>>;
  readonly [field: string]: unknown;
}

mlflowTest("MLflow reads everything that quickstart.ts and train.ts wrote", async (mlflow) => {
  const run = (example: string, ...args: string[]) =>
    deno(["run", "-A", "--config", join(ROOT, "deno.json"), join(ROOT, "examples", example), ...args], {
      cwd: mlflow.dir,
    });
  await run("quickstart.ts");
  await run("train.ts", "--epochs", "2", "--limit", "20");
  const uri = `sqlite:///${join(mlflow.dir, "mlflow.db")}`;
  const client = new MlflowClient(uri);
  // Values that no training should give, but some do.
  const [{ info: { runId } }] = await client.searchRuns({ experimentIds: ["1"] }).toArray();
  for (const [step, value] of [NaN, Infinity, -Infinity].entries()) {
    await client.logMetric(runId, "odd", value, { step });
  }

  const python = await mlflow.python<Record<string, PythonRun>>(READ_ALL, uri);
  const experiments = await client.searchExperiments({ viewType: "ALL" }).toArray();
  assertEquals(experiments.map(({ name }) => name), ["digits", "quickstart", "Default"]);
  let count = 0;
  for (const { experimentId, name } of experiments) {
    for await (const { info, data, outputs } of client.searchRuns({ experimentIds: [experimentId], viewType: "ALL" })) {
      count++;
      const seen = python[info.runId];
      const keys = Object.keys(data.metrics);
      const histories = await Promise.all(keys.map((key) => client.getMetricHistory(info.runId, key)));
      const { files, models, ...rest } = seen;
      assertEquals(rest, {
        experiment: name,
        name: info.runName,
        status: info.status,
        start: info.startTime,
        end: info.endTime ?? null,
        user: info.userId,
        metrics: mapValues(data.metrics, asPythonReads),
        params: data.params,
        tags: data.tags,
        history: Object.fromEntries(
          keys.map((
            key,
            i,
          ) => [key, histories[i].map(({ value, timestamp, step }) => [asPythonReads(value), timestamp, step])]),
        ),
      });
      assertEquals(Object.keys(models), outputs.modelOutputs.map(({ modelId }) => modelId));
      for (const [path, [size, hash]] of Object.entries(files)) {
        const ours = await client.readArtifact(info.runId, path);
        assertEquals([ours.length, await sha256(ours)], [size, hash], path);
      }
      if (name === "digits") {
        const [[modelId, model]] = Object.entries(models);
        assertEquals(Object.keys(files).filter((path) => path.startsWith("plots/")).length, 4);
        assertEquals(model, {
          name: "classifier",
          status: "READY",
          params: data.params,
          source: info.runId,
          metrics: Object.entries(data.metrics).map(([key, value]) => [key, value, 1] as const).sort(([a], [b]) =>
            a < b ? -1 : 1
          ),
          flavors: ["keras", "python_function", "tensorflowjs"],
          model_id: modelId,
          run_id: info.runId,
          inputs: [{ type: "tensor", "tensor-spec": { dtype: "float32", shape: [-1, 28, 28, 1] } }],
          outputs: [{ type: "tensor", "tensor-spec": { dtype: "float32", shape: [-1, 10] } }],
        });
      }
    }
  }
  assertEquals(count, Object.keys(python).length);
  assertEquals(count, 4);
});

/** MLflow gives the largest double for infinity. */
function asPythonReads(value: number): number {
  return Math.abs(value) === Infinity ? Math.sign(value) * Number.MAX_VALUE : value;
}

function mapValues(record: Readonly<Record<string, number>>, map: (value: number) => number): Record<string, number> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
