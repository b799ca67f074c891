import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { clearActiveModel, getActiveModelId } from "../../tracking/active_model.ts";
import { MlflowClient } from "../../client.ts";
import { MlflowError } from "../../errors.ts";
import * as mlflow from "../../fluent.ts";
import {
  createExternalModel,
  deleteLoggedModelTag,
  finalizeLoggedModel,
  getLoggedModel,
  initializeLoggedModel,
  lastLoggedModel,
  logModelParams,
  searchLoggedModels,
  setActiveModel,
  setLoggedModelTags,
} from "../../tracking/logged_models.ts";
import { isTrackingUriSet, setTrackingUri } from "../../tracking/tracking_uri.ts";
import { mlflowTest } from "../support/mlflow.ts";

/** Runs in a store of its own, whose artifacts go to a temporary folder. */
async function tracked(uri: string, check: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
  try {
    setTrackingUri(uri);
    assertEquals(isTrackingUriSet(), true);
    const experimentId = await mlflow.createExperiment(`models ${dir}`, { artifactLocation: dir });
    await mlflow.setExperiment({ experimentId });
    await check(dir);
  } finally {
    while (mlflow.activeRun() !== undefined) await mlflow.endRun("KILLED");
    clearActiveModel();
    setTrackingUri("");
    Deno.env.delete("MLFLOW_EXPERIMENT_ID");
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("createExternalModel() makes a READY model that params, tags and metrics are logged to", () =>
  tracked("memory:external", async (dir) => {
    const run = await mlflow.startRun();
    const made = await createExternalModel({ name: "m", modelType: "kind", params: { lr: 1e-5 }, tags: { a: true } });
    assertEquals([made.status, made.sourceRunId, made.modelType, made.params], ["READY", run.runId, "kind", {
      lr: "1e-05",
    }]);
    assertEquals([made.tags["mlflow.model.isExternal"], made.tags.a], ["true", "True"]);
    assertEquals(made.artifactLocation.startsWith(dir), true);
    await setLoggedModelTags(made.modelId, { b: 2 });
    await deleteLoggedModelTag(made.modelId, "a");
    await logModelParams({ depth: 3 }, made.modelId);
    assertEquals((await lastLoggedModel())?.modelId, made.modelId);
    const { tags, params } = await getLoggedModel(made.modelId);
    assertEquals([tags.a, tags.b, params], [undefined, "2", { lr: "1e-05", depth: "3" }]);
  }));

Deno.test("initializeLoggedModel() makes a PENDING model, finalizeLoggedModel() ends it", () =>
  tracked("memory:pending", async () => {
    const { modelId, status } = await initializeLoggedModel({ name: "m" });
    assertEquals([status, mlflow.activeRun()], ["PENDING", undefined]);
    assertEquals((await finalizeLoggedModel(modelId, "FAILED")).status, "FAILED");
  }));

Deno.test("searchLoggedModels() filters and orders, by metrics of a dataset too", () =>
  tracked("memory:search", async () => {
    const dataset = { name: "d", digest: "1", sourceType: "code", source: "{}" };
    await mlflow.withRun({}, async (run) => {
      for (const [i, name] of ["a", "b", "c"].entries()) {
        const { modelId } = await createExternalModel({ name, params: { i } });
        await run.logMetric("accuracy", i / 10, { modelId, ...(i < 2 ? { dataset } : {}) });
      }
    });
    const names = async (...options: Parameters<typeof searchLoggedModels>) =>
      (await searchLoggedModels(...options).toArray()).map(({ name }) => name);
    assertEquals(await names({ filter: "metrics.accuracy > 0.05", orderBy: [{ fieldName: "metrics.accuracy" }] }), [
      "b",
      "c",
    ]);
    assertEquals(await names({ filter: "metrics.accuracy >= 0", datasets: [{ name: "d" }], maxResults: 1 }), ["b"]);
    assertEquals(await names({ filter: "params.i = '2'" }), ["c"]);
    assertEquals((await names()).length, 3);
  }));

Deno.test("setActiveModel() makes metrics also the model's, by name or id, until it is cleared", () =>
  tracked("memory:active", async () => {
    assertEquals(getActiveModelId(), undefined);
    const { modelId } = await setActiveModel("m");
    assertEquals([getActiveModelId(), (await setActiveModel("m")).modelId], [modelId, modelId]);
    await mlflow.logMetric("loss", 1);
    await mlflow.logMetrics({ loss: 0.5, accuracy: 1 }, { step: 1 });
    await logModelParams({ a: 1 });
    clearActiveModel();
    await mlflow.logMetric("loss", 0, { step: 2 });
    const { metrics, params } = await getLoggedModel(modelId);
    assertEquals([metrics.map(({ key, step }) => [key, step]).sort(), params], [
      [["accuracy", 1], ["loss", 0], ["loss", 1]],
      { a: "1" },
    ]);
    Deno.env.set("MLFLOW_ACTIVE_MODEL_ID", modelId);
    assertEquals(getActiveModelId(), undefined);
    const error = await assertRejects(() => logModelParams({ a: 1 }), MlflowError);
    assertEquals(
      error.message,
      "Cannot log params of a model: no model is active: give its id, or set it by setActiveModel (INVALID_PARAMETER_VALUE)",
    );
    Deno.env.delete("MLFLOW_ACTIVE_MODEL_ID");
    await assertRejects(() => setActiveModel({ modelId: "m-none" }), MlflowError, 'Cannot set active model "m-none"');
  }));

for (const scheme of ["memory", "file"]) {
  Deno.test(`logMetric() keeps values of a model that come within one millisecond, in ${scheme}:`, async () => {
    const folder = await Deno.makeTempDir({ prefix: "mlflow-deno-" });
    await tracked(`${scheme}:${folder}`, async () => {
      const { modelId } = await setActiveModel("m");
      for (let i = 0; i < 20; i++) await mlflow.logMetric("loss", i);
      clearActiveModel();
      const run = mlflow.activeRun()!;
      for (let i = 20; i < 30; i++) await run.logMetric("loss", i, { modelId });
      for (let i = 30; i < 40; i++) await run.client.logMetric(run.runId, "loss", i, { modelId });
      const { metrics } = await getLoggedModel(modelId);
      const all = Array.from({ length: 40 }, (_, i) => i);
      assertEquals(metrics.map(({ value }) => value).sort((a, b) => a - b), all);
      assertEquals((await mlflow.getMetricHistory(run.runId, "loss")).map(({ value }) => value), all);
      const at = { modelId, timestamp: 5, step: 1 };
      await run.logMetric("loss", 1, at);
      await run.logMetric("loss", 1, at);
      const error = await assertRejects(() => run.logMetric("loss", 2, at), MlflowError);
      assertEquals(
        [error.code, error.reason],
        [
          "BAD_REQUEST",
          `Model ${modelId} has another value of metric 'loss' of this time (5) and step (1), and can have one alone.`,
        ],
      );
      assertEquals((await getLoggedModel(modelId)).metrics.length, 41);
    });
    await Deno.remove(folder, { recursive: true });
  });
}

Deno.test("getArtifactUri(), setExperimentTags(), deleteExperimentTag() and flush() work on what is active", () =>
  tracked("memory:rest", async (dir) => {
    const run = await mlflow.startRun();
    assertEquals(await mlflow.getArtifactUri("a/b.txt"), join(dir, run.runId, "artifacts", "a", "b.txt"));
    assertEquals(await mlflow.getArtifactUri(), run.info.artifactUri);
    await mlflow.setExperimentTags({ a: 1, b: true });
    await mlflow.deleteExperimentTag("a");
    assertEquals((await mlflow.getExperiment(run.info.experimentId)).tags, { b: "True" });
    void mlflow.logMetric("m", 1);
    void mlflow.logTable({ a: [1] }, "t.json");
    void mlflow.logStream(new Blob(["s"]).stream(), "s.txt");
    void mlflow.logBytes(Uint8Array.of(1), "b.bin");
    await mlflow.flush();
    const client = new MlflowClient();
    assertEquals((await client.listArtifacts(run.runId)).map(({ path }) => path), ["b.bin", "s.txt", "t.json"]);
    assertEquals((await mlflow.loadTable("t.json")).rows, [{ a: 1 }]);
    assertEquals((await client.getMetricHistory(run.runId, "m", { maxResults: 1 })).length, 1);
    const bulk = await client.getMetricHistoryBulkInterval([run.runId], "m", { maxResults: 5 });
    assertEquals(bulk.map(({ runId, value }) => [runId, value]), [[run.runId, 1]]);
  }));

mlflowTest("MLflow reads the external models that we make", async (mlflow) => {
  await tracked(`sqlite:///${join(mlflow.dir, "mlflow.db")}`, async () => {
    const { modelId } = await createExternalModel({ name: "m", params: { a: 1 } });
    await mlflow.python(
      `
      import mlflow
      from mlflow.models import Model
      model = mlflow.get_logged_model(args)
      assert (model.name, model.status, model.params) == ("m", "READY", {"a": "1"}), model
      described = Model.load(model.artifact_location)
      assert described.model_id == args and described.metadata == {"mlflow.model.isExternal": True}, described
      assert described.signature is not None
      `,
      modelId,
    );
  });
});
