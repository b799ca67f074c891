/** What MLflow's own UI shows of registered models, in a real browser. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient } from "../client.ts";
import { registerModel } from "../model_registry.ts";
import { missingChromium } from "./support/chromium.ts";
import { mlflowTest } from "./support/mlflow.ts";
import { MlflowPages } from "./support/mlflow_pages.ts";

/** What the page of a version reads its schema from. */
const MLMODEL = `flavors:
  tensorflowjs: {data: data}
signature:
  inputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 28, 28, 1]}, "name": "pixels"}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 10]}}]'
`;

mlflowTest(
  "mlflow ui shows a registered model, its versions, aliases, tags and where they come from",
  { missing: missingChromium() },
  async (mlflow) => {
    const client = new MlflowClient(`sqlite:///${join(mlflow.dir, "mlflow.db")}`);
    const experimentId = await client.createExperiment("digits", { artifactLocation: join(mlflow.dir, "mlruns", "1") });
    const { info: { runId } } = await client.createRun({ experimentId, runName: "fearless-owl-42" });
    const { modelId } = await client.createLoggedModel({ experimentId, name: "classifier", sourceRunId: runId });
    await client.logOutputs(runId, [{ modelId, step: 0 }]);
    await Deno.writeTextFile(join(mlflow.dir, "MLmodel"), MLMODEL);
    await client.logModelArtifact(modelId, join(mlflow.dir, "MLmodel"));
    await client.finalizeLoggedModel(modelId, "READY");
    await client.setTerminated(runId);
    for (let i = 0; i < 3; i++) {
      await registerModel(`models:/${modelId}`, "digit-reader", { client, tags: { checked: i > 0, by: "Deno" } });
    }
    await client.updateRegisteredModel("digit-reader", { description: "Reads **one** digit" });
    await client.updateModelVersion("digit-reader", 2, { description: "Trained for eight epochs" });
    await client.setRegisteredModelTag("digit-reader", "team", "vision");
    await client.setRegisteredModelAlias("digit-reader", "champion", 2);
    await client.setRegisteredModelAlias("digit-reader", "challenger", 3);

    await using ui = await mlflow.ui();
    await using pages = await MlflowPages.open(ui.url);
    await pages.registeredModels(["digit-reader", "Version 3", "challenger", "+1", "team: vision"]);
    await keepScreenshot(pages, "registered_models");

    const versions = ["Version 1", "Version 2", "Version 3", "champion", "challenger", "checked"];
    await pages.registeredModel("digit-reader", [...versions, "Reads one digit", "vision"]);
    await keepScreenshot(pages, "registered_model");

    const sources = ["classifier", "fearless-owl-42"];
    await pages.modelVersion("digit-reader", 2, [
      ...sources,
      "champion",
      "Trained for eight epochs",
      "True",
      "Inputs (1)",
    ]);
    await keepScreenshot(pages, "model_version");

    const logged = await pages.model(experimentId, modelId, "fearless-owl-42");
    await keepScreenshot(pages, "registered_logged_model");
    assertStringIncludes(logged, "digit-reader");
    assertEquals(pages.errors, []);
  },
);

async function keepScreenshot(pages: MlflowPages, name: string): Promise<void> {
  const folder = Deno.env.get("MLFLOW_SCREENSHOTS");
  if (!folder) return;
  await Deno.mkdir(folder, { recursive: true });
  await pages.page.screenshot(join(folder, `${name}.png`));
}
