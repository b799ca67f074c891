/**
 * What MLflow's own UI shows of a training, in a real browser. `MLFLOW_SCREENSHOTS` names a folder to put pictures of
 * the pages in.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient } from "../client.ts";
import { missingChromium } from "./support/chromium.ts";
import { deno } from "./support/deno.ts";
import { type Mlflow, mlflowTest } from "./support/mlflow.ts";
import { MlflowPages } from "./support/mlflow_pages.ts";

const ROOT = Deno.realPathSync(new URL("..", import.meta.url));

/** What a training left in the database of its folder. */
interface Training {
  readonly experimentId: string;
  readonly experimentName: string;
  readonly runId: string;
  readonly runName: string;
  readonly modelId: string;
  readonly modelName: string;
  /** The values of each metric at the steps 0, 1, 2 … */
  readonly metrics: Readonly<Record<string, readonly number[]>>;
  readonly params: Readonly<Record<string, string>>;
  /** An image among the run's artifacts, and its size in pixels. */
  readonly image: { readonly path: string; readonly width: number; readonly height: number };
  /** A text file among the run's artifacts, and a part of it. */
  readonly text: { readonly path: string; readonly includes: string };
  /** A part of the model's MLmodel. */
  readonly mlmodel: string;
}

mlflowTest(
  "mlflow ui shows a training's run, curves, plots and model",
  { missing: missingChromium() },
  async (mlflow) => {
    const training = await writeTraining(mlflow);
    const { experimentId, experimentName, runId, runName, modelId, modelName, metrics, params, image, text } = training;
    await using ui = await mlflow.ui();
    await using pages = await MlflowPages.open(ui.url);

    await pages.experiments(experimentName);
    await keepScreenshot(pages, "experiments");

    const rows = await pages.runs(experimentId, runName);
    await keepScreenshot(pages, "runs");
    const row = rows.find((row) => row["attributes.Run Name"].endsWith(runName));
    assert(row, `no run "${runName}" in ${JSON.stringify(rows)}`);
    assertEquals(row["attributes.Models"], modelName);
    for (const [key, values] of Object.entries(metrics)) assertShows(row[`metrics.${key}`], values.at(-1)!);

    const [metric, values] = Object.entries(metrics)[0];
    const line = { metric, run: runName, x: values.map((_, step) => step), y: values };
    const inAll = await pages.charts(experimentId, runName, metric);
    await keepScreenshot(pages, "charts");
    assertEquals(inAll.find((line) => line.metric === metric && line.run === runName), line);

    const overview = await pages.run(experimentId, runId, 1);
    await keepScreenshot(pages, "run");
    assertStringIncludes(overview, "Finished");
    for (const [key, value] of Object.entries(params)) assertStringIncludes(overview, `${key}\n${value}`);

    const lines = await pages.runCharts(experimentId, runId, runName, metric);
    await keepScreenshot(pages, "run_charts");
    assertEquals(lines.find((line) => line.metric === metric), line);

    const shown = await pages.runImage(experimentId, runId, image.path);
    await keepScreenshot(pages, "run_image");
    assertEquals(shown, { width: image.width, height: image.height });
    await pages.runText(experimentId, runId, text.path, text.includes);
    await keepScreenshot(pages, "run_text");

    const models = await pages.models(experimentId, runName);
    await keepScreenshot(pages, "models");
    const listed = models.find((row) => row.name?.endsWith(modelName));
    assertEquals([listed?.status, listed?.source_run_id], ["Ready", runName]);

    const model = await pages.model(experimentId, modelId, runName);
    await keepScreenshot(pages, "model");
    assertStringIncludes(model, modelId);
    await pages.modelText(experimentId, modelId, "MLmodel", training.mlmodel);
    await keepScreenshot(pages, "model_file");

    assertEquals(pages.errors, []);
  },
);

/** The grid shows three decimals of a number and strips zeros. */
function assertShows(cell: string | undefined, value: number): void {
  assert(cell !== undefined, `no cell for ${value}`);
  assert(Math.abs(Number(cell) - value) <= 0.0005, `the cell says ${cell} for ${value}`);
}

async function keepScreenshot(pages: MlflowPages, name: string): Promise<void> {
  const folder = Deno.env.get("MLFLOW_SCREENSHOTS");
  if (!folder) return;
  await Deno.mkdir(folder, { recursive: true });
  await pages.page.screenshot(join(folder, `${name}.png`));
}

/** Writes a training into `mlflow.db` of the test's folder: the first example, cut short. */
async function writeTraining({ dir }: Mlflow): Promise<Training> {
  const runName = "first-training";
  const args = ["--epochs", "3", "--limit", "60", "--run-name", runName];
  await deno(["run", "-A", "--config", join(ROOT, "deno.json"), join(ROOT, "examples/train.ts"), ...args], {
    cwd: dir,
  });
  const client = new MlflowClient(`sqlite:///${join(dir, "mlflow.db")}`);
  const experiment = await client.getExperimentByName("digits");
  assert(experiment, "the example made no experiment");
  const { experimentId, name: experimentName } = experiment;
  const [{ info, data, outputs }] = await client.searchRuns({ experimentIds: [experimentId] }).toArray();
  const history = async (key: string) => (await client.getMetricHistory(info.runId, key)).map(({ value }) => value);
  return {
    experimentId,
    experimentName,
    runId: info.runId,
    runName,
    modelId: outputs.modelOutputs[0].modelId,
    modelName: "classifier",
    metrics: { accuracy: await history("accuracy"), loss: await history("loss"), val_loss: await history("val_loss") },
    params: { epochs: data.params.epochs, batch_size: data.params.batch_size },
    image: { path: "plots/accuracy.png", width: 1600, height: 1000 },
    text: { path: "model_summary.txt", includes: "Layer (type)" },
    mlmodel: "tensorflowjs:",
  };
}
