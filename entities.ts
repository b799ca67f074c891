/** Whether an experiment, run or logged model is there or in MLflow's trash. */
export type LifecycleStage = "active" | "deleted";

/** The states of a run. A run starts `RUNNING`; `SCHEDULED` is for backends that queue runs. */
export type RunStatus = "RUNNING" | "SCHEDULED" | "FINISHED" | "FAILED" | "KILLED";

/** The states of a logged model: `PENDING` while its files are written. */
export type LoggedModelStatus = "UNSPECIFIED" | "PENDING" | "READY" | "FAILED";

/** Which of the active and the deleted a search looks at. */
export type ViewType = "ACTIVE_ONLY" | "DELETED_ONLY" | "ALL";

/** A named group of runs. */
export interface Experiment {
  /** Its id, a whole number as text: `"0"` is the default experiment. */
  readonly experimentId: string;
  /** Its name, unique in its store, deleted experiments included. */
  readonly name: string;
  /** Where the artifacts of its runs and models go by default: a path or a URI. */
  readonly artifactLocation: string;
  /** `"deleted"` once it is in the trash. */
  readonly lifecycleStage: LifecycleStage;
  /** When it was made, in milliseconds since the Unix epoch. */
  readonly creationTime: number;
  /** When its name, stage or tags last changed, in milliseconds since the Unix epoch. */
  readonly lastUpdateTime: number;
  /** Its tags. */
  readonly tags: Readonly<Record<string, string>>;
}

/** What identifies a run and what state it is in. */
export interface RunInfo {
  /** 32 hexadecimal digits. */
  readonly runId: string;
  /** The name shown in the UI. */
  readonly runName: string;
  /** The experiment it belongs to. */
  readonly experimentId: string;
  /** Who started it, or `"unknown"`. */
  readonly userId: string;
  /** Where it stands. */
  readonly status: RunStatus;
  /** When it started, in milliseconds since the Unix epoch. */
  readonly startTime: number;
  /** When it ended, in milliseconds since the Unix epoch; undefined while it goes on. */
  readonly endTime: number | undefined;
  /** `"deleted"` once it is in the trash. */
  readonly lifecycleStage: LifecycleStage;
  /** Where its artifacts are: a path or a URI. */
  readonly artifactUri: string;
}

/** What was logged to a run. */
export interface RunData {
  /** The latest value of each metric: the one of the highest step, then time, then value. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Its parameters, as text. */
  readonly params: Readonly<Record<string, string>>;
  /** Its tags, MLflow's own (`mlflow.…`) included. */
  readonly tags: Readonly<Record<string, string>>;
}

/** A model that a run has put out. */
export interface LoggedModelOutput {
  /** The model's id: `m-` and 32 hexadecimal digits. */
  readonly modelId: string;
  /** The step of the training at which it was logged. */
  readonly step: number;
}

/** Data that a run was made with, as it is described to MLflow. */
export interface Dataset {
  /** Its name, of at most 500 characters. */
  readonly name: string;
  /** What tells it from others of its name, of at most 36 characters. */
  readonly digest: string;
  /** The kind of source, such as `"local"`, `"http"`, `"s3"` or `"code"`. */
  readonly sourceType: string;
  /** Where it came from: a JSON text of at most 65,535 characters. */
  readonly source: string;
  /** Its columns or tensors: a JSON text of at most 1,048,575 characters. */
  readonly schema?: string;
  /** Its size and shape: a JSON text of at most 16,777,215 characters. */
  readonly profile?: string;
}

/** A dataset that a run has used. */
export interface DatasetInput {
  /** The dataset. */
  readonly dataset: Dataset;
  /** Tags of this use; `mlflow.data.context` says what for: `"train"`, `"eval"`, … */
  readonly tags: Readonly<Record<string, string>>;
}

/** A model that a run has used. */
export interface LoggedModelInput {
  /** The model's id. */
  readonly modelId: string;
}

/** What a run has used. */
export interface RunInputs {
  /** The datasets that the run has used. */
  readonly datasetInputs: readonly DatasetInput[];
  /** The models that the run has used. */
  readonly modelInputs: readonly LoggedModelInput[];
}

/** A dataset among those that the runs of an experiment have used. */
export interface DatasetSummary {
  /** The experiment. */
  readonly experimentId: string;
  /** The dataset's name. */
  readonly name: string;
  /** The dataset's digest. */
  readonly digest: string;
  /** What it was used for: the value of the tag `mlflow.data.context`, if there is one. */
  readonly context: string | undefined;
}

/** A value of a metric and the run that it belongs to. */
export interface MetricOfRun extends Metric {
  /** The run's id. */
  readonly runId: string;
}

/** What a run has put out. */
export interface RunOutputs {
  /** The models logged by the run. */
  readonly modelOutputs: readonly LoggedModelOutput[];
}

/** A run as a store holds it, at the moment it was read. */
export interface RunRecord {
  /** What identifies it and what state it is in. */
  readonly info: RunInfo;
  /** What was logged to it. */
  readonly data: RunData;
  /** What it has used. */
  readonly inputs: RunInputs;
  /** What it has put out. */
  readonly outputs: RunOutputs;
}

/** One value of a metric. */
export interface Metric {
  /** The metric's name. */
  readonly key: string;
  /** Its value; NaN and the infinities are kept. */
  readonly value: number;
  /** When it was measured, in milliseconds since the Unix epoch. */
  readonly timestamp: number;
  /** The step (epoch, batch, …) it belongs to. */
  readonly step: number;
}

/** A parameter of a run: it is written once. */
export interface Param {
  /** Its name, of at most 250 characters. */
  readonly key: string;
  /** Its value as text, of at most 6,000 characters. */
  readonly value: string;
}

/** A tag of a run, an experiment or a model. */
export interface Tag {
  /** Its name, of at most 250 characters. */
  readonly key: string;
  /** Its value as text; on a run of at most 8,000 characters. */
  readonly value: string;
}

/** A metric's value on its way to a store. */
export interface MetricInput {
  /** The metric's name, of at most 250 characters. */
  readonly key: string;
  /** Its value; NaN and the infinities are kept. */
  readonly value: number;
  /** When it was measured, in milliseconds since the Unix epoch. @default {now} */
  readonly timestamp?: number;
  /** The step (epoch, batch, …) it belongs to. @default {0} */
  readonly step?: number;
  /** The logged model that the value also describes. */
  readonly modelId?: string;
  /** The dataset that the model was measured on. */
  readonly dataset?: { readonly name: string; readonly digest: string };
}

/** A model of its own identity, as MLflow 3 keeps it: its files, parameters and the metrics measured on it. */
export interface LoggedModel {
  /** `m-` and 32 hexadecimal digits. */
  readonly modelId: string;
  /** The experiment it belongs to. */
  readonly experimentId: string;
  /** The name shown in the UI; not unique. */
  readonly name: string;
  /** Where its files are: a path or a URI. */
  readonly artifactLocation: string;
  /** When it was made, in milliseconds since the Unix epoch. */
  readonly creationTimestamp: number;
  /** When it last changed, in milliseconds since the Unix epoch. */
  readonly lastUpdatedTimestamp: number;
  /** `"READY"` once its files are there. */
  readonly status: LoggedModelStatus;
  /** A free word for its kind, such as `"classifier"`. */
  readonly modelType: string | undefined;
  /** The run that logged it. */
  readonly sourceRunId: string | undefined;
  /** Its parameters, as text. */
  readonly params: Readonly<Record<string, string>>;
  /** Its tags. */
  readonly tags: Readonly<Record<string, string>>;
  /** The values measured on it. */
  readonly metrics: readonly LoggedModelMetric[];
}

/** A value measured on a logged model. */
export interface LoggedModelMetric extends MetricOfRun {
  /** The dataset that it was measured on. */
  readonly dataset: { readonly name: string; readonly digest: string } | undefined;
}

/** A file or folder among a run's or model's artifacts. */
export interface FileInfo {
  /** Its path below the root of the artifacts, with `/`. */
  readonly path: string;
  /** Whether it is a folder. */
  readonly isDir: boolean;
  /** Its size in bytes; undefined for a folder. */
  readonly fileSize: number | undefined;
}

/** One page of a longer list. */
export interface Page<T> {
  /** The page's entries, in order. */
  readonly items: readonly T[];
  /** What to ask the next page with; undefined on the last one. */
  readonly nextPageToken: string | undefined;
}

/**
 * An image in memory, as `loadImage` reads it and `imageGrid` draws it: rows from the top, `channels` values a pixel,
 * each 0 to 255.
 */
export interface Image {
  /** Pixels in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** 1: grayscale. 3: red, green, blue. 4: red, green, blue, alpha (not premultiplied). */
  readonly channels: 1 | 3 | 4;
  /** `height * width * channels` values, 0 to 255. */
  readonly data: Uint8Array | Uint8ClampedArray | Float32Array;
}

/** What is read of a tensor of tfjs: its shape and its values. */
export interface TensorLike {
  /** The size of each dimension. */
  readonly shape: readonly number[];
  /** The type of its values: `"float32"`, `"int32"`, `"bool"`, … @default {that of the array of its values} */
  readonly dtype?: string;
  /** Its values, row by row. */
  data(): Promise<ArrayLike<number>>;
  /** Its values, at once. */
  dataSync?(): ArrayLike<number>;
}

/** A picture that can be written as PNG or as SVG: what the functions of `plots` give and `logFigure` takes. */
export interface Figure {
  /** Width in logical pixels. */
  readonly width: number;
  /** Height in logical pixels. */
  readonly height: number;
  /**
   * The picture as the bytes of a PNG file.
   *
   * @param options `scale`: pixels of the file for a logical pixel. @default {2}
   */
  toPng(options?: { readonly scale?: number }): Promise<Uint8Array<ArrayBuffer>>;
  /** The picture as the text of an SVG file. */
  toSvg(): Promise<string>;
}

/** How far a version of a registered model has come; MLflow has deprecated it in favour of aliases. */
export type ModelVersionStage = "None" | "Staging" | "Production" | "Archived";

/** Whether a version of a registered model can be used. */
export type ModelVersionStatus = "PENDING_REGISTRATION" | "FAILED_REGISTRATION" | "READY";

/** A version of a registered model. */
export interface ModelVersion {
  /** The name of the registered model. */
  readonly name: string;
  /** Its number: 1 for the first one. */
  readonly version: number;
  /** When it was made, in milliseconds since the Unix epoch. */
  readonly creationTimestamp: number;
  /** When it, and not its tags and aliases, was last changed, in milliseconds since the Unix epoch. */
  readonly lastUpdatedTimestamp: number;
  /** What it is, in the words of its makers. */
  readonly description: string | undefined;
  /** Who made it; MLflow's own stores leave it open. */
  readonly userId: string | undefined;
  /** Its stage. */
  readonly currentStage: ModelVersionStage;
  /** What it was made of: `models:/m-…`, `models:/<name>/<version>`, or the path or URI of the model's folder. */
  readonly source: string;
  /** The run that made the model. */
  readonly runId: string | undefined;
  /** A link to that run, if it is kept elsewhere. */
  readonly runLink: string | undefined;
  /** Whether it can be used. */
  readonly status: ModelVersionStatus;
  /** What went wrong with it, if something did. */
  readonly statusMessage: string | undefined;
  /** The logged model that it was made of, where the source or the store tells it. */
  readonly modelId: string | undefined;
  /** Its tags. */
  readonly tags: Readonly<Record<string, string>>;
  /** Its aliases; MLflow's servers leave them out of searches and of `latestVersions`. */
  readonly aliases: readonly string[];
}

/** A registered model: a name under which versions of a model are kept. */
export interface RegisteredModel {
  /** Its name. */
  readonly name: string;
  /** When it was made, in milliseconds since the Unix epoch. */
  readonly creationTimestamp: number;
  /** When it was last changed, in milliseconds since the Unix epoch. */
  readonly lastUpdatedTimestamp: number;
  /** What it is, in the words of its makers. */
  readonly description: string | undefined;
  /** The latest version of each stage that has one. */
  readonly latestVersions: readonly ModelVersion[];
  /** Its tags. */
  readonly tags: Readonly<Record<string, string>>;
  /** Its aliases, and the number of the version that each means. */
  readonly aliases: Readonly<Record<string, number>>;
}
