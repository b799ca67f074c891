import { rememberLoggedModel } from "./tracking/active_model.ts";
import { appendToUri } from "./artifacts/uri.ts";
import {
  type Batch,
  type DownloadOptions,
  type LogMetricOptions,
  type LogModelOptions,
  metricInput,
  type MlflowClient,
  type TransferOptions,
} from "./client.ts";
import { datasetInput, type LoggedInput, type LogInputOptions } from "./dataset.ts";
import { distinctTime } from "./tracking/distinct_time.ts";
import type {
  Dataset,
  Figure,
  FileInfo,
  Image,
  LoggedModel,
  LoggedModelInput,
  LoggedModelOutput,
  RunInfo,
  RunRecord,
  RunStatus,
} from "./entities.ts";
import { imageOptions, type ImageSource, type LogImageOptions, takeImage, writeImage } from "./tracking/image_log.ts";
import { kerasName } from "./training/keras_name.ts";
import type { LoadImageOptions } from "./images.ts";
import type { TfjsModelLike } from "./model/tfjs_model.ts";
import { addOpenRun, removeOpenRun } from "./tracking/open_runs.ts";
import { pythonText } from "./python_text.ts";
import { RunLinks } from "./tracking/run_links.ts";
import { stopSystemMetrics } from "./system_metrics.ts";
import { type TableData, takeTable, writeTable } from "./table.ts";
import { WriteQueue } from "./tracking/write_queue.ts";

/** The states in which a run can end. */
export type EndStatus = Exclude<RunStatus, "RUNNING" | "SCHEDULED">;

/**
 * A run that this program writes to.
 *
 * All its writes go through one queue in the order of the calls. Each call's promise settles when its value is written;
 * `flush` waits for all of them. Values are stamped with the time of the call.
 *
 * A run ends by `end`, or by itself: when its `withRun` is left, on Ctrl-C (`KILLED`), on an error that nobody catches
 * (`FAILED`), and when the program is through (`FINISHED`).
 */
export class Run implements AsyncDisposable {
  /** What the run was when it was started or resumed; `client.getRun` gives its present state. */
  readonly info: RunInfo;
  /** The client of the run's store. */
  readonly client: MlflowClient;
  readonly #queue = new WriteQueue();
  readonly #links: RunLinks;
  #ended = false;
  readonly #open = {
    isEnding: () => this.#ended,
    end: (status: EndStatus) => this.end(status),
    flush: () => this.flush(),
    hurry: () => this.#queue.hurry(),
  };

  /**
   * Takes charge of a run that a store holds; `startRun` and `withRun` do so.
   *
   * @param client the client of the run's store
   * @param record the run as the store gave it
   */
  constructor(client: MlflowClient, record: RunRecord) {
    this.client = client;
    this.info = record.info;
    this.#links = new RunLinks(client, record);
    addOpenRun(this.#open);
  }

  /** 32 hexadecimal digits. */
  get runId(): string {
    return this.info.runId;
  }

  /** Whether the run has been ended by this program. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Logs one value of a metric. NaN and the infinities are kept.
   *
   * As in Python, a model or dataset that it was measured with counts as used by the run, and without `modelId` it is also
   * a value of the model that the run has put out at the same step.
   */
  async logMetric(key: string, value: number, options: LogMetricOptions = {}): Promise<void> {
    await this.logMetrics({ [key]: value }, options);
  }

  /** Logs the values of several metrics at one step and time: all of them or none. */
  async logMetrics(metrics: Readonly<Record<string, number>>, options: LogMetricOptions = {}): Promise<void> {
    const now = Date.now();
    await this.#write(() => {
      const missing = this.#links.missing(options);
      const write = async () => {
        const modelId = options.modelId ?? this.#links.modelOf(options.step ?? 0);
        const timestamp = options.timestamp ?? (modelId === undefined ? now : distinctTime(now));
        // MLflow's table of models' metrics cannot hold NaN, and would give 0 for it.
        const one = (value: number) => ({ ...options, timestamp, modelId: Number.isNaN(value) ? undefined : modelId });
        const entries = Object.entries(metrics);
        if (entries.length === 1) await this.client.logMetric(this.runId, ...entries[0], one(entries[0][1]));
        else {await this.client.logBatch(this.runId, {
            metrics: entries.map(([key, value]) => metricInput(key, value, one(value))),
          });}
      };
      return missing === undefined ? write() : this.#links.logInputs(missing).then(write);
    });
  }

  /** Logs a param, which keeps its first value. It is written as Python would write it: `True`, `None`, `1e-05`. */
  async logParam(key: string, value: unknown): Promise<void> {
    await this.#write(() => this.client.logParam(this.runId, key, value));
  }

  /** Logs several params. */
  async logParams(params: Readonly<Record<string, unknown>>): Promise<void> {
    await this.logBatch({ params: toTexts(params) });
  }

  /** Sets a tag; `mlflow.runName` renames the run, `mlflow.note.content` is its description. */
  async setTag(key: string, value: unknown): Promise<void> {
    await this.#write(() => this.client.setTag(this.runId, key, value));
  }

  /** Sets several tags. */
  async setTags(tags: Readonly<Record<string, unknown>>): Promise<void> {
    await this.logBatch({ tags: toTexts(tags) });
  }

  /** Removes a tag. */
  async deleteTag(key: string): Promise<void> {
    await this.#write(() => this.client.deleteTag(this.runId, key));
  }

  /** Logs metrics, params and tags in one go: all of them or none. */
  async logBatch(batch: Batch): Promise<void> {
    const timestamp = Date.now();
    const metrics = batch.metrics?.map((metric) => ({ timestamp, ...metric }));
    await this.#write(() => this.client.logBatch(this.runId, { ...batch, metrics }));
  }

  /**
   * Logs what `model.evaluate` gave, as `validation_loss`, `validation_accuracy`, …: tfjs calls no callback for it.
   *
   * @param values the scalars that `evaluate` returned, or numbers; one, or one for the loss and for each metric
   * @param metricsNames their names: `model.metricsNames`. @default {["loss", "accuracy"]}
   */
  async logEvaluation(
    values: EvaluationValue | readonly EvaluationValue[],
    metricsNames: readonly string[] = ["loss", "accuracy"],
    options: LogMetricOptions = {},
  ): Promise<void> {
    const timestamp = Date.now();
    const list = Array.isArray(values) ? values as readonly EvaluationValue[] : [values as EvaluationValue];
    if (list.length > metricsNames.length) {
      throw new RangeError(`Cannot log an evaluation: it has ${list.length} values and ${metricsNames.length} names`);
    }
    const numbers = await Promise.all(
      list.map(async (value) => typeof value === "number" ? value : (await value.data())[0]),
    );
    const names = metricsNames.map((name) => `validation_${kerasName(name)}`);
    await this.logMetrics(Object.fromEntries(numbers.map((value, i) => [names[i], value])), { timestamp, ...options });
  }

  /** Copies a local file among the run's artifacts, into the folder `artifactPath` or their root. */
  async logArtifact(localPath: string, artifactPath?: string, options: TransferOptions = {}): Promise<void> {
    await this.#write(() => this.client.logArtifact(this.runId, localPath, artifactPath, options));
  }

  /** Copies what is in a local folder among the run's artifacts. */
  async logArtifacts(localDirectory: string, artifactPath?: string, options: TransferOptions = {}): Promise<void> {
    await this.#write(() => this.client.logArtifacts(this.runId, localDirectory, artifactPath, options));
  }

  /** Writes text, as UTF-8, to a file among the run's artifacts. */
  async logText(text: string, artifactFile: string): Promise<void> {
    await this.#write(() => this.client.logText(this.runId, text, artifactFile));
  }

  /** Writes bytes or a stream to a file among the run's artifacts. */
  async logBytes(
    content: Uint8Array | ReadableStream<Uint8Array>,
    artifactFile: string,
    options: TransferOptions = {},
  ): Promise<void> {
    await this.#write(() => this.client.logBytes(this.runId, content, artifactFile, options));
  }

  /** Writes what a stream gives to a file among the run's artifacts, in pieces. */
  async logStream(
    stream: ReadableStream<Uint8Array>,
    artifactFile: string,
    options: TransferOptions = {},
  ): Promise<void> {
    await this.logBytes(stream, artifactFile, options);
  }

  /** Writes a value to a file among the run's artifacts: as YAML where it ends in `.yaml` or `.yml`, else as JSON. */
  async logDict(dictionary: unknown, artifactFile: string): Promise<void> {
    await this.#write(() => this.client.logDict(this.runId, dictionary, artifactFile));
  }

  /** Writes a figure to a file among the run's artifacts, which ends in `.png` or `.svg`. */
  async logFigure(figure: Figure, artifactFile: string): Promise<void> {
    await this.#write(() => this.client.logFigure(this.runId, figure, artifactFile));
  }

  /**
   * Logs an image: to a file among the run's artifacts, or by `key` and `step`, which gives MLflow's UI a slider over the
   * steps. Its values are taken at once, so that a tensor can be disposed without waiting.
   *
   * ```ts ignore
   * await run.logImage(image, "examples/first.png");
   * await run.logImage(prediction, { key: "predictions", step: epoch });
   * ```
   */
  async logImage(image: ImageSource, target: string | LogImageOptions): Promise<void> {
    const options = { ...imageOptions(target) };
    const stamped = options.key === undefined ? options : { timestamp: Date.now(), ...options };
    const taken = takeImage(image, options);
    await this.#write(() => writeImage(this.client, this.runId, taken, stamped));
  }

  /**
   * Writes a table to a `.json` or `.parquet` file among the run's artifacts, behind the rows that are there: one record
   * a row, or one list a column. `mlflow.load_table` reads it, and MLflow's UI shows one of JSON.
   *
   * ```ts ignore
   * await run.logTable([{ image, label: "rose", predicted: "tulip" }], "mistakes.json");
   * ```
   */
  async logTable(data: TableData, artifactFile: string): Promise<void> {
    const table = takeTable(data);
    await this.#write(() => writeTable(this.client, this.runId, table, artifactFile));
  }

  /** Records that the run uses a dataset: see `datasetFromTensors`, `datasetFromRows` and `datasetFromImages`. */
  async logInput(dataset: Dataset, options: LogInputOptions = {}): Promise<void> {
    await this.logInputs([{ ...options, dataset }]);
  }

  /** Records that the run uses datasets and models. The same use is kept once. */
  async logInputs(datasets: readonly LoggedInput[], models: readonly LoggedModelInput[] = []): Promise<void> {
    const inputs = { datasets: datasets.map(datasetInput), models };
    await this.#write(() => this.#links.logInputs(inputs));
  }

  /** Records that the run has put out models. */
  async logOutputs(models: readonly LoggedModelOutput[]): Promise<void> {
    await this.#write(async () => {
      await this.client.logOutputs(this.runId, models);
      this.#links.addOutputs(models);
    });
  }

  /** Logs a tfjs model as an output of the run, with the run's params and metrics so far. */
  async logModel(model: TfjsModelLike, options: LogModelOptions = {}): Promise<LoggedModel> {
    return await this.#write(async () => {
      const logged = await this.client.logModel(this.runId, model, options);
      this.#links.addOutputs([{ modelId: logged.modelId, step: options.step ?? 0 }]);
      rememberLoggedModel(logged.modelId);
      return logged;
    });
  }

  /** Where the run's artifacts are, or one of them: a path or a URI. */
  getArtifactUri(path = ""): string {
    return path === "" ? this.info.artifactUri : appendToUri(this.info.artifactUri, path);
  }

  /** The files and folders in a folder of the run's artifacts, or in one named as a model that it has put out. */
  async listArtifacts(path?: string): Promise<FileInfo[]> {
    await this.flush();
    return await this.client.listArtifacts(this.runId, path);
  }

  /** Copies a file or folder of the run's artifacts to a local folder and gives the path it has there. */
  async downloadArtifacts(path: string, destination: string | DownloadOptions = {}): Promise<string> {
    await this.flush();
    return await this.client.downloadArtifacts(this.runId, path, destination);
  }

  /** A text file among the run's artifacts, read as UTF-8. */
  async loadText(path: string): Promise<string> {
    await this.flush();
    return await this.client.loadText(this.runId, path);
  }

  /** A JSON file among the run's artifacts, or a YAML one, which ends in `.yaml` or `.yml`. */
  async loadDict(path: string): Promise<unknown> {
    await this.flush();
    return await this.client.loadDict(this.runId, path);
  }

  /** An image among the run's artifacts. */
  async loadImage(path: string, options: LoadImageOptions = {}): Promise<Image> {
    await this.flush();
    return await this.client.loadImage(this.runId, path, options);
  }

  /** The run as its store holds it now, with everything that was logged before this call. */
  async get(): Promise<RunRecord> {
    await this.flush();
    return await this.client.getRun(this.runId);
  }

  /** Waits until everything logged so far has been written or has failed. */
  async flush(): Promise<void> {
    await this.#queue.flush();
  }

  /** Ends the run, after everything logged before. A second call does nothing. */
  async end(status: EndStatus = "FINISHED"): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    stopSystemMetrics(this);
    const endTime = Date.now();
    try {
      await this.#write(() => this.client.setTerminated(this.runId, { status, endTime }));
    } finally {
      removeOpenRun(this.#open);
    }
  }

  /** Ends a run that was not ended as `FAILED`, since leaving a scope by an error cannot be told from leaving it well. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("FAILED");
  }

  #write<T>(write: () => Promise<T>): Promise<T> {
    return this.#queue.add(write);
  }
}

/** A number, or a tfjs scalar as `model.evaluate` returns it. */
export type EvaluationValue = number | { data(): Promise<ArrayLike<number>> };

function toTexts(values: Readonly<Record<string, unknown>>): { key: string; value: string }[] {
  return Object.entries(values).map(([key, value]) => ({ key, value: pythonText(value) }));
}
