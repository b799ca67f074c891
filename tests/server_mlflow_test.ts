/** What is logged beside metrics and params, through MLflow's own server: its store and its artifacts. */
import { assertEquals } from "@std/assert";
import { MlflowClient } from "../client.ts";
import { datasetFromRows } from "../dataset.ts";
import { listArtifacts, loadText } from "../artifacts.ts";
import { mlflowTest } from "./support/mlflow.ts";

mlflowTest("MLflow's server keeps images, tables, datasets and models' files as our own stores do", async (mlflow) => {
  await using server = await mlflow.ui({ command: "server" });
  const client = new MlflowClient(server.url);
  const experimentId = await client.createExperiment("served", { tags: { a: "1" } });
  await client.deleteExperimentTag(experimentId, "a");
  assertEquals((await client.getExperiment(experimentId)).tags.a, undefined);
  const { info: { runId } } = await client.createRun({ experimentId });

  const image = { width: 3, height: 2, channels: 3 as const, data: Uint8Array.from({ length: 18 }, (_, i) => i) };
  await client.logImage(runId, image, { key: "k", step: 1, timestamp: 5 });
  const [small, whole] = await client.listArtifacts(runId, "images");
  assertEquals([small, whole].map(({ path }) => path.replace(/[\da-f-]{36}/, "…")), [
    "images/k+step+1+timestamp+5+…+compressed.webp",
    "images/k+step+1+timestamp+5+….png",
  ]);
  assertEquals(await client.loadImage(runId, whole.path), image);

  await client.logTable(runId, { image: [image], n: [1] }, "dir/t.json");
  await client.logTable(runId, { n: 2 }, "dir/t.json");
  const { rows } = await client.loadTable(experimentId, "dir/t.json", { extraColumns: ["run_id"] });
  assertEquals(rows.map(({ n, run_id }) => [n, run_id]), [[1, runId], [2, runId]]);

  const dataset = await datasetFromRows([{ a: 1 }], { name: "rows" });
  await client.logInput(runId, dataset, { context: "training" });
  await client.logMetric(runId, "loss", 0.5, { dataset });
  const [used] = (await client.getRun(runId)).inputs.datasetInputs;
  assertEquals(used, { dataset, tags: { "mlflow.data.context": "training" } });
  assertEquals((await client.searchDatasets([experimentId])).map(({ name, context }) => [name, context]), [
    ["rows", "training"],
  ]);

  await client.logStream(runId, new Blob(["streamed"]).stream(), "s.txt");
  const options = { trackingUri: server.url };
  assertEquals(await loadText(`runs:/${runId}/s.txt`, options), "streamed");
  assertEquals((await listArtifacts(`runs:/${runId}/dir`, options)).map(({ path }) => path), ["dir/t.json"]);

  const { modelId } = await client.createLoggedModel({ experimentId, name: "m", tags: { a: "1" } });
  await client.logModelParams(modelId, { depth: 3 });
  await client.deleteLoggedModelTag(modelId, "a");
  await client.finalizeLoggedModel(modelId, "READY");
  const [found] = await client.searchLoggedModels({
    experimentIds: [experimentId],
    filter: "params.depth = '3'",
    orderBy: [{ fieldName: "creation_timestamp", ascending: true }],
  }).toArray();
  assertEquals([found.modelId, found.params, found.tags.a], [modelId, { depth: "3" }, undefined]);
});
