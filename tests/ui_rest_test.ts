/** What MLflow's own UI shows of logged images, tables, datasets and system metrics, in a real browser. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient } from "../client.ts";
import { datasetFromImages } from "../dataset.ts";
import type { Image } from "../entities.ts";
import { missingChromium } from "./support/chromium.ts";
import { mlflowTest } from "./support/mlflow.ts";
import { MlflowPages } from "./support/mlflow_pages.ts";

/** A disc whose size tells the step. */
function disc(step: number, side = 64): Image {
  const data = new Uint8Array(side * side * 3);
  const radius = side / 8 * (step + 1);
  for (let i = 0; i < side * side; i++) {
    const inside = Math.hypot(i % side - side / 2, Math.floor(i / side) - side / 2) < radius;
    data.set(inside ? [240, 180, 40] : [30, 60, 120], i * 3);
  }
  return { width: side, height: side, channels: 3, data };
}

mlflowTest(
  "mlflow ui shows images with a slider for their steps, tables, datasets and system metrics",
  { missing: missingChromium() },
  async (mlflow) => {
    const client = new MlflowClient(`sqlite:///${join(mlflow.dir, "mlflow.db")}`);
    const experimentId = await client.createExperiment("rest", {
      artifactLocation: join(mlflow.dir, "mlruns", "rest"),
    });
    const { info: { runId } } = await client.createRun({ experimentId, runName: "pictured" });
    for (let step = 0; step < 3; step++) {
      await client.logImage(runId, disc(step), { key: "discs/growing", step });
      await client.logMetric(runId, "system/cpu_utilization_percentage", 20 + step, { step });
      await client.logMetric(runId, "loss", 1 / (step + 1), { step });
    }
    await client.logTable(runId, [0, 1].map((i) => ({ image: disc(i), label: `radius ${i}`, n: i })), "mistakes.json");
    const file = { bytes: 10, sha256: "ab", split: "train" as const };
    const dataset = await datasetFromImages({
      files: [{ ...file, path: "a/1.png", className: "a" }, { ...file, path: "b/1.png", className: "b" }],
    }, { name: "photos", source: "photos" });
    await client.logInput(runId, dataset, { context: "training" });
    await client.setTerminated(runId);

    await using ui = await mlflow.ui();
    await using pages = await MlflowPages.open(ui.url);
    const shown = await pages.runImages(experimentId, runId, "discs/growing");
    await keepScreenshot(pages, "rest_images");
    // The small copy is what is shown.
    assertEquals(shown, { image: { width: 256, height: 256 }, steps: [0, 2] });

    const lines = await pages.runSystemCharts(experimentId, runId, "pictured", "cpu_utilization_percentage");
    await keepScreenshot(pages, "rest_system_metrics");
    const cpu = lines.find(({ metric }) => metric === "system/cpu_utilization_percentage");
    assertEquals(cpu?.y, [20, 21, 22]);

    const table = await pages.runTable(experimentId, runId, "mistakes.json", { text: "radius 1", images: 2 });
    await keepScreenshot(pages, "rest_table");
    assertEquals(table.images, [{ width: 256, height: 256 }, { width: 256, height: 256 }]);

    const panel = await pages.runDataset(experimentId, runId, "photos", dataset.digest);
    await keepScreenshot(pages, "rest_dataset");
    for (const text of ["Training", "num rows: 2", "binary", "Path: photos"]) assertStringIncludes(panel, text);

    assertEquals(pages.errors, []);
  },
);

async function keepScreenshot(pages: MlflowPages, name: string): Promise<void> {
  const folder = Deno.env.get("MLFLOW_SCREENSHOTS");
  if (!folder) return;
  await Deno.mkdir(folder, { recursive: true });
  await pages.page.screenshot(join(folder, `${name}.png`));
}
