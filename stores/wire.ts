/**
 * MLflow's JSON: what its servers send and take, and what it is among us. Names are snake_case here and nowhere else;
 * empty lists and unset fields are left out, whole numbers come as numbers or texts.
 */
import type {
  Dataset,
  DatasetInput,
  DatasetSummary,
  Experiment,
  LifecycleStage,
  LoggedModel,
  LoggedModelInput,
  LoggedModelMetric,
  LoggedModelOutput,
  LoggedModelStatus,
  Metric,
  MetricOfRun,
  Page,
  RunInfo,
  RunRecord,
  RunStatus,
  Tag,
} from "../entities.ts";
import type { ErrorCode } from "../errors.ts";
import type { CheckedMetric } from "../validate.ts";

/** An object of MLflow's JSON. */
export type Json = { readonly [name: string]: unknown };

/** The HTTP status that MLflow answers an error code with. */
export const ERROR_STATUSES: Readonly<Record<ErrorCode, number>> = {
  ABORTED: 409,
  ALREADY_EXISTS: 409,
  BAD_REQUEST: 400,
  CANCELLED: 499,
  CUSTOMER_UNAUTHORIZED: 401,
  DATA_LOSS: 500,
  DEADLINE_EXCEEDED: 504,
  ENDPOINT_NOT_FOUND: 404,
  INTERNAL_ERROR: 500,
  INVALID_PARAMETER_VALUE: 400,
  INVALID_STATE: 500,
  NOT_FOUND: 404,
  NOT_IMPLEMENTED: 501,
  PERMISSION_DENIED: 403,
  REQUEST_LIMIT_EXCEEDED: 429,
  RESOURCE_ALREADY_EXISTS: 400,
  RESOURCE_CONFLICT: 409,
  RESOURCE_DOES_NOT_EXIST: 404,
  RESOURCE_EXHAUSTED: 429,
  TEMPORARILY_UNAVAILABLE: 503,
  UNAUTHENTICATED: 401,
};

/** The code that MLflow's client gives to an answer that carries none. */
const CODES_BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: "BAD_REQUEST",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "ENDPOINT_NOT_FOUND",
  409: "ALREADY_EXISTS",
  429: "RESOURCE_EXHAUSTED",
  499: "CANCELLED",
  500: "INTERNAL_ERROR",
  501: "NOT_IMPLEMENTED",
  503: "TEMPORARILY_UNAVAILABLE",
  504: "DEADLINE_EXCEEDED",
};

/** The code that a status stands for where the answer's body holds none. */
export function codeOfStatus(status: number): ErrorCode {
  return CODES_BY_STATUS[status] ?? "INTERNAL_ERROR";
}

/** The code and sentence of an error's body; undefined if it is not one of MLflow's. */
export function readError(
  body: unknown,
  status: number,
): { readonly code: ErrorCode; readonly reason: string } | undefined {
  if (!isJson(body) || typeof body.error_code !== "string" || typeof body.message !== "string") return undefined;
  const known = Object.hasOwn(ERROR_STATUSES, body.error_code);
  return { code: known ? body.error_code as ErrorCode : codeOfStatus(status), reason: body.message };
}

/** Whether a value is an object of JSON and not a list. */
export function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The object of this name in a reply, an empty one where there is none. */
export function readPart(reply: Json, name: string): Json {
  const value = reply[name];
  return isJson(value) ? value : {};
}

/** A page of the list of this name in a reply. */
export function readPage<T>(reply: Json, name: string, read: (json: Json) => T): Page<T> {
  return { items: readList(reply[name]).map(read), nextPageToken: readText(reply.next_page_token) || undefined };
}

/** The objects of a list that is left out where it is empty. */
export function readList(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.filter(isJson) : [];
}

/** A text, empty where it is left out. */
export function readText(value: unknown): string {
  return value === undefined || value === null ? "" : String(value);
}

/** A whole number, 0 where it is left out; servers and proxies that keep to proto3 send it as a text. */
export function readInteger(value: unknown): number {
  const number = Number(value ?? 0);
  return Number.isFinite(number) ? number : 0;
}

/** A number: NaN and the infinities come as texts, and MLflow's databases hold infinity as the largest double. */
export function readDouble(value: unknown): number {
  const number = Number(value ?? 0);
  return Math.abs(number) === Number.MAX_VALUE ? Math.sign(number) * Infinity : number;
}

/** A number as JSON holds it, which has no NaN and no infinities. */
export function writeDouble(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

/** Tags or params of MLflow's JSON. */
export function readRecord(value: unknown): Record<string, string> {
  return Object.fromEntries(readList(value).map(({ key, value }) => [readText(key), readText(value)]));
}

/** Tags or params as MLflow's JSON lists them. */
export function writeRecord(record: Readonly<Record<string, string>> = {}): Tag[] {
  return Object.entries(record).map(([key, value]) => ({ key, value }));
}

function readStage(value: unknown): LifecycleStage {
  return value === "deleted" ? "deleted" : "active";
}

/** An experiment of a reply. */
export function readExperiment(json: Json): Experiment {
  return {
    experimentId: readText(json.experiment_id),
    name: readText(json.name),
    artifactLocation: readText(json.artifact_location),
    lifecycleStage: readStage(json.lifecycle_stage),
    creationTime: readInteger(json.creation_time),
    lastUpdateTime: readInteger(json.last_update_time),
    tags: readRecord(json.tags),
  };
}

/** An experiment for a reply. */
export function writeExperiment(experiment: Experiment): Json {
  return {
    experiment_id: experiment.experimentId,
    name: experiment.name,
    artifact_location: experiment.artifactLocation,
    lifecycle_stage: experiment.lifecycleStage,
    last_update_time: experiment.lastUpdateTime,
    creation_time: experiment.creationTime,
    ...filled("tags", writeRecord(experiment.tags)),
  };
}

/** What identifies a run, of a reply. */
export function readRunInfo(json: Json): RunInfo {
  return {
    runId: readText(json.run_id ?? json.run_uuid),
    runName: readText(json.run_name),
    experimentId: readText(json.experiment_id),
    userId: readText(json.user_id),
    status: readText(json.status) as RunStatus,
    startTime: readInteger(json.start_time),
    endTime: json.end_time === undefined || json.end_time === null ? undefined : readInteger(json.end_time),
    lifecycleStage: readStage(json.lifecycle_stage),
    artifactUri: readText(json.artifact_uri),
  };
}

/** What identifies a run, for a reply. */
export function writeRunInfo(info: RunInfo): Json {
  return {
    run_uuid: info.runId,
    experiment_id: info.experimentId,
    run_name: info.runName,
    user_id: info.userId,
    status: info.status,
    start_time: info.startTime,
    ...info.endTime === undefined ? {} : { end_time: info.endTime },
    artifact_uri: info.artifactUri,
    lifecycle_stage: info.lifecycleStage,
    run_id: info.runId,
  };
}

/** A run of a reply. */
export function readRun(json: Json): RunRecord {
  const [info, data, inputs, outputs] = [json.info, json.data, json.inputs, json.outputs].map((part) =>
    isJson(part) ? part : {}
  );
  return {
    info: readRunInfo(info),
    data: {
      metrics: Object.fromEntries(readList(data.metrics).map(({ key, value }) => [readText(key), readDouble(value)])),
      params: readRecord(data.params),
      tags: readRecord(data.tags),
    },
    inputs: {
      datasetInputs: readList(inputs.dataset_inputs).map(readDatasetInput),
      modelInputs: readList(inputs.model_inputs).map(readModelInput),
    },
    outputs: { modelOutputs: readList(outputs.model_outputs).map(readModelOutput) },
  };
}

/**
 * A run for a reply. MLflow's also tells the time and step of each latest value, which a record of ours does not hold:
 * they are left out, and the history has them.
 */
export function writeRun({ info, data, inputs, outputs }: RunRecord): Json {
  const metrics = Object.entries(data.metrics).map(([key, value]) => ({ key, value: writeDouble(value) }));
  return {
    info: writeRunInfo(info),
    data: {
      ...filled("metrics", metrics),
      ...filled("params", writeRecord(data.params)),
      ...filled("tags", writeRecord(data.tags)),
    },
    inputs: {
      ...filled("dataset_inputs", inputs.datasetInputs.map(writeDatasetInput)),
      ...filled("model_inputs", inputs.modelInputs.map(writeModelInput)),
    },
    ...outputs.modelOutputs.length === 0
      ? {}
      : { outputs: { model_outputs: outputs.modelOutputs.map(writeModelOutput) } },
  };
}

/** A value of a metric, of a reply. */
export function readMetric(json: Json): Metric {
  return {
    key: readText(json.key),
    value: readDouble(json.value),
    timestamp: readInteger(json.timestamp),
    step: readInteger(json.step),
  };
}

/** A value of a metric and its run, of a reply. */
export function readMetricOfRun(json: Json): MetricOfRun {
  return { ...readMetric(json), runId: readText(json.run_id) };
}

/** A value of a metric for a reply; with its run's id, if it has one. */
export function writeMetric(metric: Metric | MetricOfRun): Json {
  return {
    key: metric.key,
    value: writeDouble(metric.value),
    timestamp: metric.timestamp,
    step: metric.step,
    ..."runId" in metric ? { run_id: metric.runId } : {},
  };
}

/** A value of a metric on its way to a server. */
export function writeCheckedMetric(metric: CheckedMetric): Json {
  return {
    ...writeMetric(metric),
    ...metric.modelId === undefined ? {} : { model_id: metric.modelId },
    ...writeDatasetKey(metric.dataset),
  };
}

/** A dataset that a run has used, of a request or reply. */
export function readDatasetInput(json: Json): DatasetInput {
  const dataset = isJson(json.dataset) ? json.dataset : {};
  const optional = (name: "schema" | "profile") =>
    dataset[name] === undefined ? {} : { [name]: readText(dataset[name]) };
  return {
    dataset: {
      name: readText(dataset.name),
      digest: readText(dataset.digest),
      sourceType: readText(dataset.source_type),
      source: readText(dataset.source),
      ...optional("schema"),
      ...optional("profile"),
    },
    tags: readRecord(json.tags),
  };
}

/** A dataset that a run has used, for a request or reply. */
export function writeDatasetInput({ dataset, tags }: DatasetInput): Json {
  return { ...filled("tags", writeRecord(tags)), dataset: writeDataset(dataset) };
}

function writeDataset({ name, digest, sourceType, source, schema, profile }: Dataset): Json {
  return {
    name,
    digest,
    source_type: sourceType,
    source,
    ...schema === undefined ? {} : { schema },
    ...profile === undefined ? {} : { profile },
  };
}

/** A dataset among those of an experiment, of a reply. */
export function readDatasetSummary(json: Json): DatasetSummary {
  return {
    experimentId: readText(json.experiment_id),
    name: readText(json.name),
    digest: readText(json.digest),
    context: readText(json.context) || undefined,
  };
}

/** A dataset among those of an experiment, for a reply. */
export function writeDatasetSummary({ experimentId, name, digest, context }: DatasetSummary): Json {
  return { experiment_id: experimentId, name, digest, ...context === undefined ? {} : { context } };
}

/** A model that a run has used, of a request or reply. */
export function readModelInput(json: Json): LoggedModelInput {
  return { modelId: readText(json.model_id) };
}

/** A model that a run has used, for a request or reply. */
export function writeModelInput({ modelId }: LoggedModelInput): Json {
  return { model_id: modelId };
}

/** A model that a run has put out, of a request or reply. */
export function readModelOutput(json: Json): LoggedModelOutput {
  return { modelId: readText(json.model_id), step: readInteger(json.step) };
}

/** A model that a run has put out, for a request or reply. */
export function writeModelOutput({ modelId, step }: LoggedModelOutput): Json {
  return { model_id: modelId, step };
}

/** A logged model of a reply. */
export function readLoggedModel(json: Json): LoggedModel {
  const info = isJson(json.info) ? json.info : {};
  const data = isJson(json.data) ? json.data : {};
  return {
    modelId: readText(info.model_id),
    experimentId: readText(info.experiment_id),
    name: readText(info.name),
    artifactLocation: readText(info.artifact_uri),
    creationTimestamp: readInteger(info.creation_timestamp_ms),
    lastUpdatedTimestamp: readInteger(info.last_updated_timestamp_ms),
    status: readModelStatus(info.status),
    modelType: readText(info.model_type) || undefined,
    sourceRunId: readText(info.source_run_id) || undefined,
    params: readRecord(data.params),
    tags: readRecord(info.tags),
    metrics: readList(data.metrics).map(readModelMetric),
  };
}

/** A logged model for a reply. */
export function writeLoggedModel(model: LoggedModel): Json {
  return {
    info: {
      model_id: model.modelId,
      experiment_id: model.experimentId,
      name: model.name,
      creation_timestamp_ms: model.creationTimestamp,
      last_updated_timestamp_ms: model.lastUpdatedTimestamp,
      artifact_uri: model.artifactLocation,
      status: writeModelStatus(model.status),
      model_type: model.modelType ?? "",
      source_run_id: model.sourceRunId ?? "",
      ...filled("tags", writeRecord(model.tags)),
    },
    data: {
      ...filled("params", writeRecord(model.params)),
      ...filled("metrics", model.metrics.map(writeModelMetric)),
    },
  };
}

function readModelMetric(json: Json): LoggedModelMetric {
  const name = readText(json.dataset_name);
  const dataset = name === "" ? undefined : { name, digest: readText(json.dataset_digest) };
  return { ...readMetricOfRun(json), dataset };
}

function writeModelMetric(metric: LoggedModelMetric): Json {
  return { ...writeMetric(metric), ...writeDatasetKey(metric.dataset) };
}

function writeDatasetKey(dataset: { readonly name: string; readonly digest: string } | undefined): Json {
  return dataset === undefined ? {} : { dataset_name: dataset.name, dataset_digest: dataset.digest };
}

/** The state of a logged model by MLflow's name for it. */
export function readModelStatus(value: unknown): LoggedModelStatus {
  switch (value) {
    case "LOGGED_MODEL_PENDING":
      return "PENDING";
    case "LOGGED_MODEL_READY":
      return "READY";
    case "LOGGED_MODEL_UPLOAD_FAILED":
      return "FAILED";
    default:
      return "UNSPECIFIED";
  }
}

/** MLflow's name for the state of a logged model. */
export function writeModelStatus(status: LoggedModelStatus): string {
  return status === "FAILED"
    ? "LOGGED_MODEL_UPLOAD_FAILED"
    : `LOGGED_MODEL_${status === "UNSPECIFIED" ? "STATUS_" : ""}${status}`;
}

/** A list under its name, left out where it is empty. */
export function filled(name: string, list: readonly unknown[]): Json {
  return list.length === 0 ? {} : { [name]: list };
}
