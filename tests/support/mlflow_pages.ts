/**
 * The pages of MLflow's UI, each with its address and with what shows that its content is there, as of MLflow 3.17.2:
 *
 * | page | route behind `/#/experiments` | its content is there when |
 * |---|---|---|
 * | experiment list | | the experiment's name is in the text |
 * | run list | `/ID/runs` | the grid (`[role=gridcell]`, `col-id`, `row-index`) has the run's name |
 * | charts of all runs | `/ID/runs?compareRunsMode=CHART` | `.js-plotly-plot` has the points in its `data` |
 * | run, overview | `/ID/runs/RUN` | `About this run`, `Metrics (n)`, `Parameters (n)`, last `Logged models (n)` |
 * | run, charts | `/ID/runs/RUN/model-metrics` | `.js-plotly-plot` has the points in its `data` |
 * | run, images | `/ID/runs/RUN/model-metrics` | a chart has `[role=slider]` and an image with a `naturalWidth` |
 * | run, system metrics | `/ID/runs/RUN/system-metrics` | as its charts |
 * | run, a dataset | `/ID/runs/RUN` | the name and digest, clicked, open a panel: `Data details for` |
 * | run, artifacts | `/ID/runs/RUN/artifacts` | the tree has the folder's name; an image has a `naturalWidth` |
 * | logged models | `/ID/models` | the grid has the run's name in `source_run_id`, where its id stood first |
 * | logged model | `/ID/models/MODEL` | `About this logged model`, then the run's name |
 * | logged model, artifacts | `/ID/models/MODEL/artifacts` | the tree has `MLmodel` |
 *
 * | page | route behind `/#/models` | its content is there when |
 * |---|---|---|
 * | registered models | | the model's name is in the text |
 * | registered model | `/NAME` | an alias of a version is in the text |
 * | version | `/NAME/versions/1` | what is waited for is in the text |
 *
 * Every route takes `workflowType=machine_learning` behind a `?`: without it the UI opens in its GenAI mode, where the
 * runs are "Training runs" and the logged models "Agent versions". No address opens a file below a folder of the
 * artifacts: the folders have to be clicked. The run list shows no metrics until they are ticked in the menu "Columns",
 * then up to the right edge of the window: the grid has no cells beyond it. Charts are drawn when they come into view.
 */
import { Page } from "./chromium.ts";

/** A line of a chart. */
export interface ChartLine {
  /** The metric's key. */
  readonly metric: string;
  /** The run's name. */
  readonly run: string;
  /** The steps. */
  readonly x: readonly number[];
  /** The values. */
  readonly y: readonly number[];
}

/** A picture as the page shows it, in pixels of the picture itself. */
export interface ShownImage {
  readonly width: number;
  readonly height: number;
}

/** MLflow's UI in a browser. Each method opens one page and returns when its content is there. */
export class MlflowPages implements AsyncDisposable {
  /** The browser's page, for a screenshot or a look at its text. */
  readonly page: Page;
  readonly #url: string;

  private constructor(page: Page, url: string) {
    this.page = page;
    this.#url = url;
  }

  /** Starts a browser for the UI at `url`. */
  static async open(url: string): Promise<MlflowPages> {
    const page = await Page.open({ width: 2000, height: 1000 });
    try {
      await page.goto(`${url}/health`);
      await page.waitForText("OK");
      // The assistant's panel opens by itself on the first visit, over a quarter of the window, and over the registered
      // models a word on what is new.
      for (
        const key of [
          "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1",
          "_mlflow_model_registry_promo_modal_dismissed_v1",
        ]
      ) {
        await page.evaluate(`localStorage.setItem("${key}", "true")`);
      }
    } catch (error) {
      await page[Symbol.asyncDispose]();
      throw error;
    }
    return new MlflowPages(page, url);
  }

  /** What the UI itself said was wrong, less what it says on every server. */
  get errors(): string[] {
    const usual = [/\/users\/current$/, /\/favicon\.ico$/, /ResizeObserver loop/];
    return this.page.errors.filter((error) => !usual.some((pattern) => pattern.test(error)));
  }

  /** The list of experiments, with the one of this name. */
  async experiments(name: string): Promise<void> {
    await this.#goto("");
    await this.page.waitForText(name);
  }

  /** The list of an experiment's runs with all metrics as columns. Returns its cells: one record a run, by column. */
  async runs(experimentId: string, runName: string): Promise<Record<string, string>[]> {
    await this.#goto(`/${experimentId}/runs`);
    await this.page.waitForText(runName);
    await this.page.click("text=Columns");
    await this.page.waitFor(METRICS_ENTRY);
    await this.page.click(`text=${await this.page.evaluate(`${METRICS_ENTRY}.innerText.trim()`)}`);
    await this.page.click("text=Columns");
    await this.page.waitFor(`document.querySelector("[role=gridcell][col-id^=metrics]")`);
    return await this.#grid();
  }

  /** The charts of an experiment's runs, when one has a line for the run and metric. Returns all lines. */
  async charts(experimentId: string, runName: string, metric: string): Promise<ChartLine[]> {
    await this.#goto(`/${experimentId}/runs?compareRunsMode=CHART`);
    return await this.#lines(runName, metric);
  }

  /** A run's overview, with so many logged models, which come last. Returns its text. */
  async run(experimentId: string, runId: string, loggedModels: number): Promise<string> {
    await this.#goto(`/${experimentId}/runs/${runId}`);
    await this.page.waitForText("About this run");
    await this.page.waitForText("Metrics (");
    await this.page.waitForText(`Logged models (${loggedModels})`);
    return await this.page.text();
  }

  /** A run's charts, when one has a line for the metric. Returns all lines. */
  async runCharts(experimentId: string, runId: string, runName: string, metric: string): Promise<ChartLine[]> {
    await this.#goto(`/${experimentId}/runs/${runId}/model-metrics`);
    return await this.#lines(runName, metric);
  }

  /** A run's charts, when the one of the system metric `system/<metric>` is there. Returns all lines. */
  async runSystemCharts(experimentId: string, runId: string, runName: string, metric: string): Promise<ChartLine[]> {
    await this.#goto(`/${experimentId}/runs/${runId}/system-metrics`);
    return await this.#lines(runName, `system/${metric}`);
  }

  /** The images that a run has logged by a key: the one shown, and the steps that the slider reaches. */
  async runImages(
    experimentId: string,
    runId: string,
    key: string,
  ): Promise<{ readonly image: ShownImage; readonly steps: readonly [first: number, last: number] }> {
    await this.#goto(`/${experimentId}/runs/${runId}/model-metrics`);
    await this.page.waitForText(key);
    const image = `[...document.images].find((image) => /compressed\\.webp/.test(decodeURIComponent(image.src)) && ` +
      `image.naturalWidth > 0)`;
    await this.page.waitFor(image);
    const slider = `document.querySelector("[role=slider]")`;
    await this.page.waitFor(slider);
    const [width, height, first, last] = await this.page.evaluate<number[]>(
      `[${image}.naturalWidth, ${image}.naturalHeight, ` +
        `Number(${slider}.getAttribute("aria-valuemin")), Number(${slider}.getAttribute("aria-valuemax"))]`,
    );
    return { image: { width, height }, steps: [first, last] };
  }

  /** A run's overview with the panel of a dataset. Returns its text. */
  async runDataset(experimentId: string, runId: string, name: string, digest: string): Promise<string> {
    await this.#goto(`/${experimentId}/runs/${runId}`);
    await this.page.click(`text=${name} (${digest})`);
    await this.page.waitForText("Data details for");
    await this.page.waitForText("Source type");
    return await this.page.text();
  }

  /** A run's artifacts, opened at a table: its text and images, when the text is there and as many images are loaded. */
  async runTable(
    experimentId: string,
    runId: string,
    path: string,
    wanted: { readonly text: string; readonly images: number },
  ): Promise<{ readonly text: string; readonly images: readonly ShownImage[] }> {
    await this.#goto(`/${experimentId}/runs/${runId}/artifacts`);
    await this.#openFile(path);
    await this.page.waitForText("View as table");
    await this.page.waitForText(wanted.text);
    const images = `[...document.images].filter((image) => /^blob:|table_images/.test(decodeURIComponent(image.src)))`;
    await this.page.waitFor(`${images}.filter((image) => image.naturalWidth > 0).length >= ${wanted.images}`);
    return {
      text: await this.page.text(),
      images: await this.page.evaluate(
        `${images}.map(({ naturalWidth: width, naturalHeight: height }) => ({ width, height }))`,
      ),
    };
  }

  /** A run's artifacts, opened at an image such as "plots/loss.png". */
  async runImage(experimentId: string, runId: string, path: string): Promise<ShownImage> {
    await this.#goto(`/${experimentId}/runs/${runId}/artifacts`);
    await this.#openFile(path);
    const image = `[...document.images].find((image) => image.src.startsWith("blob:") && image.naturalWidth > 0)`;
    await this.page.waitFor(image);
    return await this.page.evaluate(
      `(({ naturalWidth: width, naturalHeight: height }) => ({ width, height }))(${image})`,
    );
  }

  /** A run's artifacts, opened at a text file, when its preview holds `text`. */
  async runText(experimentId: string, runId: string, path: string, text: string): Promise<void> {
    await this.#goto(`/${experimentId}/runs/${runId}/artifacts`);
    await this.#openFile(path);
    await this.page.waitForText(text);
  }

  /** The list of an experiment's logged models, with one from the run. Returns its cells: one record a model. */
  async models(experimentId: string, runName: string): Promise<Record<string, string>[]> {
    await this.#goto(`/${experimentId}/models`);
    // The run's id stands there until its name is known.
    await this.page.waitFor(
      `[...document.querySelectorAll("[col-id=source_run_id]")].some((e) => e.innerText === ${
        JSON.stringify(runName)
      })`,
    );
    return await this.#grid();
  }

  /** A logged model's overview, with the name of the run that it comes from. Returns its text. */
  async model(experimentId: string, modelId: string, runName: string): Promise<string> {
    await this.#goto(`/${experimentId}/models/${modelId}`);
    await this.page.waitForText("About this logged model");
    await this.page.waitForText(runName);
    return await this.page.text();
  }

  /** A logged model's artifacts, opened at a text file such as "MLmodel", when its preview holds `text`. */
  async modelText(experimentId: string, modelId: string, path: string, text: string): Promise<void> {
    await this.#goto(`/${experimentId}/models/${modelId}/artifacts`);
    await this.#openFile(path);
    await this.page.waitForText(text);
  }

  /** The list of registered models, when it shows the texts. */
  async registeredModels(texts: readonly string[]): Promise<void> {
    await this.#goto("", "models");
    await this.#waitForTexts(texts);
  }

  /** The page of a registered model, when it shows the texts. */
  async registeredModel(name: string, texts: readonly string[]): Promise<void> {
    await this.#goto(`/${encodeURIComponent(name)}`, "models");
    await this.#waitForTexts(texts);
  }

  /** The page of a version of a registered model, when it shows the texts. */
  async modelVersion(name: string, version: number, texts: readonly string[]): Promise<void> {
    await this.#goto(`/${encodeURIComponent(name)}/versions/${version}`, "models");
    await this.#waitForTexts(texts);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page[Symbol.asyncDispose]();
  }

  /** A page asks for what it shows in several requests, and shows each answer when it comes. */
  async #waitForTexts(texts: readonly string[]): Promise<void> {
    for (const text of texts) await this.page.waitForText(text);
  }

  async #goto(route: string, section: "experiments" | "models" = "experiments"): Promise<void> {
    // By way of an empty page: a new route alone keeps the document, and what is waited for may stand on the old page.
    await this.page.goto("about:blank");
    const mode = `${route.includes("?") ? "&" : "?"}workflowType=machine_learning`;
    await this.page.goto(`${this.#url}/#/${section}${route}${mode}`);
  }

  async #openFile(path: string): Promise<void> {
    for (const name of path.split("/")) await this.page.click(`text=${name}`);
  }

  async #grid(): Promise<Record<string, string>[]> {
    const cells = await this.page.evaluate<[number, string, string][]>(
      `[...document.querySelectorAll("[role=gridcell]")].map((cell) =>
        [Number(cell.parentElement.getAttribute("row-index")), cell.getAttribute("col-id"), cell.innerText.trim()])`,
    );
    const rows: Record<string, string>[] = [];
    for (const [row, column, text] of cells) (rows[row] ??= {})[column.replaceAll("`", "")] = text;
    return rows;
  }

  async #lines(run: string, metric: string): Promise<ChartLine[]> {
    // The UI draws every line twice, the visible one over the other.
    const lines = `[...document.querySelectorAll(".js-plotly-plot")].flatMap((plot) =>
      plot.data.filter((_, index) => index % 2 === 0).map(({ metricKey, name, x, y }) =>
        ({ metric: metricKey, run: name, x: [...x], y: [...y] })))`;
    await this.page.waitFor(
      `${lines}.some((line) => line.run === ${JSON.stringify(run)} && line.metric === ${JSON.stringify(metric)})`,
    );
    return await this.page.evaluate<ChartLine[]>(lines);
  }
}

// An entry of the menu "Columns" that ticks all metrics.
const METRICS_ENTRY =
  `[...document.querySelectorAll("body *")].findLast((e) => /^Metrics \\(\\d+\\)$/.test(e.innerText?.trim()))`;
