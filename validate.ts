import { posix } from "@std/path";
import type { DatasetInput, MetricInput, Param, Tag } from "./entities.ts";
import { absoluteLocation } from "./artifacts/uri.ts";
import { readEnv } from "./env.ts";
import { type ErrorCode, MlflowError } from "./errors.ts";
import { pythonQuote, pythonText } from "./python_text.ts";

/** MLflow's limits, in characters unless the name says otherwise. */
export const LIMITS = {
  key: 250,
  paramValue: 6000,
  tagValue: 8000,
  experimentName: 500,
  experimentTagValue: 20000,
  artifactLocation: 2048,
  metricsPerBatch: 1000,
  paramsPerBatch: 100,
  tagsPerBatch: 100,
  entitiesPerBatch: 1000,
  datasetName: 500,
  datasetDigest: 36,
  datasetSource: 65_535,
  datasetSchema: 1_048_575,
  datasetProfile: 16_777_215,
  inputTagKey: 255,
  inputTagValue: 500,
  /** Runs of one bulk request for histories. */
  bulkRuns: 100,
  /** Values of each run in one bulk request for histories. */
  bulkResults: 2500,
  /** Experiments whose datasets are asked for at once. */
  datasetExperiments: 20,
} as const;

/** The tag that holds a run's name. */
export const RUN_NAME_TAG = "mlflow.runName";

/** A metric with nothing left to be filled in. */
export interface CheckedMetric extends Required<Omit<MetricInput, "modelId" | "dataset">> {
  readonly modelId: string | undefined;
  readonly dataset: MetricInput["dataset"];
}

/** A batch of metrics, params and tags that a store may write as it is. */
export interface CheckedBatch {
  readonly metrics: readonly CheckedMetric[];
  readonly params: readonly Param[];
  readonly tags: readonly Tag[];
}

/** How values that are too long are dealt with; stores take it from `MLFLOW_TRUNCATE_LONG_VALUES`. */
export interface LengthPolicy {
  /** Cut param and tag values that are too long, with a warning; false: refuse them. */
  readonly truncateLongValues: boolean;
}

/** Checks a whole batch by the rules of MLflow's server and fills in times and steps. */
export function checkBatch(
  batch: {
    readonly metrics?: readonly MetricInput[];
    readonly params?: readonly Param[];
    readonly tags?: readonly Tag[];
  },
  policy: LengthPolicy,
): CheckedBatch {
  const { metrics = [], params = [], tags = [] } = batch;
  const now = Date.now();
  const path = (list: string, index: number) =>
    metrics.length + params.length + tags.length === 1 ? "" : `${list}[${index}].`;
  const checked: CheckedBatch = {
    metrics: metrics.map((metric, i) => checkMetric(metric, now, path("metrics", i))),
    params: params.map(({ key, value }, i) => checkParam(key, value, path("params", i), policy)),
    tags: tags.map(({ key, value }, i) => checkTag(key, value, path("tags", i), policy))
      // A run always has a name: an empty one leaves it the one it has.
      .filter(({ key, value }) => key !== RUN_NAME_TAG || value !== ""),
  };
  checkCount("metrics", metrics.length, LIMITS.metricsPerBatch);
  checkCount("params", params.length, LIMITS.paramsPerBatch);
  checkCount("tags", tags.length, LIMITS.tagsPerBatch);
  checkCount("metrics, params, and tags", metrics.length + params.length + tags.length, LIMITS.entitiesPerBatch);
  if (params.length > 1) checkUnique(params.map(({ key }) => key));
  return checked;
}

function checkMetric(metric: MetricInput, now: number, path: string): CheckedMetric {
  const { key, value, timestamp = now, step = 0, modelId, dataset } = metric;
  checkName(key, `${path}name`);
  if (value === undefined || value === null) throw invalid(`Missing value for required parameter '${path}value'.`);
  if (typeof value !== "number") {
    throw invalidValue(
      `${path}value`,
      value,
      `(timestamp=${timestamp}). Please specify value as a valid double (64-bit floating point)`,
    );
  }
  if (!(timestamp >= 0 && Number.isSafeInteger(timestamp))) {
    throw invalidValue(
      `${path}timestamp`,
      timestamp,
      `metric '${key}' (value=${value}). Timestamp must be a nonnegative long (64-bit integer) `,
    );
  }
  if (!Number.isSafeInteger(step)) {
    throw invalidValue(
      `${path}step`,
      step,
      `metric '${key}' (value=${value}). Step must be a valid long (64-bit integer).`,
    );
  }
  checkLength("Metric name", key, LIMITS.key);
  return { key, value, timestamp, step, modelId, dataset };
}

function checkParam(key: string, value: string, path: string, policy: LengthPolicy): Param {
  checkName(key, `${path}key`);
  checkText(value, `${path}value`);
  checkLength("Param key", key, LIMITS.key);
  return { key, value: fit("Param value", value, LIMITS.paramValue, policy) };
}

function checkTag(key: string, value: string, path: string, policy: LengthPolicy): Tag {
  checkName(key, `${path}key`);
  checkText(value, `${path}value`);
  checkLength(`${path}key`, key, LIMITS.key);
  return { key, value: fit(`${path}value`, value, LIMITS.tagValue, policy) };
}

/** Checks the tag of an experiment, whose value is never cut. */
export function checkExperimentTag(key: string, value: string): void {
  checkName(key, "key");
  checkText(value, "value");
  checkLength("key", key, LIMITS.key);
  checkLength("value", value, LIMITS.experimentTagValue);
}

/** Checks the name of an experiment. */
export function checkExperimentName(name: string): void {
  if (name === "" || name === undefined || name === null) throw invalid(`Invalid experiment name: '${name}'`);
  if (typeof name !== "string") throw invalid(`Invalid experiment name: ${pythonText(name)}. Expects a string.`);
  checkLength("name", name, LIMITS.experimentName);
}

/** A new experiment that a store may write as it is. */
export interface CheckedExperiment {
  readonly location: string | undefined;
  readonly tags: readonly (readonly [key: string, value: string])[];
}

/** Checks the name and what else is told of a new experiment, and makes its location absolute. */
export function checkNewExperiment(
  name: string,
  options: { readonly artifactLocation?: string; readonly tags?: Readonly<Record<string, string>> },
): CheckedExperiment {
  checkExperimentName(name);
  const tags = Object.entries(options.tags ?? {});
  for (const [key, value] of tags) checkExperimentTag(key, value);
  const location = options.artifactLocation ? absoluteLocation(options.artifactLocation) : undefined;
  if (location !== undefined) checkArtifactLocation(location);
  return { location, tags };
}

/** Checks the length of an artifact location; `MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH` says how long one may be. */
function checkArtifactLocation(location: string): void {
  const limit = Number(readEnv("MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH") ?? LIMITS.artifactLocation);
  if (characters(location) > limit) {
    throw invalid(
      `Invalid artifact path length. The length of the artifact path cannot be greater than ${limit} characters. To ` +
        "configure this limit, please set the MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH environment variable.",
    );
  }
}

/** An experiment's id as the whole number of at most 64 bits that databases hold. */
export function parseExperimentId(experimentId: string): bigint {
  const id = /^[+-]?\d{1,19}$/.test(experimentId) ? BigInt(experimentId.replace(/^\+/, "")) : undefined;
  if (id === undefined || BigInt.asIntN(64, id) !== id) {
    throw invalid(`Invalid experiment ID '${experimentId}'. Experiment ID must be a valid integer.`);
  }
  return id;
}

/** Checks the shape of a run's id. */
export function checkRunId(runId: string): void {
  if (typeof runId !== "string" || !/^[a-zA-Z0-9][\w-]{0,255}$/.test(runId)) throw invalidValue("run_id", runId);
}

/** A param that was logged before, and is now given another value. */
export interface ChangedParam {
  readonly key: string;
  readonly old: string;
  readonly value: string;
}

/** What a second value of a model's metric at one time and step of a run is refused with: MLflow's tables hold one. */
export function secondModelValue(
  modelId: string,
  { key, timestamp, step }: { readonly key: string; readonly timestamp: number; readonly step: number },
): MlflowError {
  return new MlflowError(
    "BAD_REQUEST",
    `Model ${modelId} has another value of metric '${key}' of this time (${timestamp}) and step (${step}), and can have ` +
      "one alone.",
  );
}

/** Refuses to change params; `count` is how many were given together. Nothing is refused where none has changed. */
export function checkUnchanged(runId: string, changed: readonly ChangedParam[], count: number): void {
  if (changed.length === 0) return;
  const [first] = changed;
  throw invalid(
    count === 1
      ? `Changing param values is not allowed. Param with key='${first.key}' was already logged with ` +
        `value='${first.old}' for run ID='${runId}'. Attempted logging new value '${first.value}'.`
      : "Changing param values is not allowed. Params were already logged='[" +
        changed.map(({ key, old, value }) =>
          `{'key': ${pythonQuote(key)}, 'old_value': ${pythonQuote(old)}, 'new_value': ${pythonQuote(value)}}`
        ).join(", ") +
        `]' for run ID='${runId}'.`,
  );
}

/** The name given to a run by itself or by its tag, undefined for none; both have to be the same. */
export function givenRunName(runName: string | undefined, tagName: string | undefined): string | undefined {
  if (runName && tagName && runName !== tagName) {
    throw invalid(
      "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values " +
        `(run_name='${runName}', mlflow.runName='${tagName}').`,
    );
  }
  return runName || tagName || undefined;
}

/** Checks the name of a logged model; an absent one is replaced by a random one. */
export function checkLoggedModelName(name: string | undefined): void {
  if (name === undefined) return;
  const bad = [..."/:.%\"'"].filter((character) => name.includes(character));
  if (name === "" || bad.length > 0) {
    throw invalid(
      `Invalid model name (${pythonQuote(name)}) provided. Model name must be a non-empty string and cannot contain ` +
        `the following characters: ('/', ':', '.', '%', '"', "'")`,
    );
  }
}

/** Checks the datasets that a run is said to have used. */
export function checkDatasetInputs(inputs: readonly DatasetInput[]): void {
  for (const { dataset, tags } of inputs) {
    const required = {
      name: dataset.name,
      digest: dataset.digest,
      source_type: dataset.sourceType,
      source: dataset.source,
    };
    for (const [name, value] of Object.entries(required)) {
      if (typeof value !== "string") throw invalid(`Dataset ${name} cannot be None`);
    }
    checkLength("name", dataset.name, LIMITS.datasetName);
    checkLength("digest", dataset.digest, LIMITS.datasetDigest);
    checkLength("source", dataset.source, LIMITS.datasetSource);
    checkLength("schema", dataset.schema ?? "", LIMITS.datasetSchema);
    checkLength("profile", dataset.profile ?? "", LIMITS.datasetProfile);
    for (const [key, value] of Object.entries(tags)) {
      checkLength("key", key, LIMITS.inputTagKey);
      checkLength("value", value, LIMITS.inputTagValue);
    }
  }
}

/** Checks the experiments whose datasets are asked for, and gives their numbers. */
export function checkDatasetSearch(experimentIds: readonly string[]): bigint[] {
  if (experimentIds.length === 0) throw invalid("SearchDatasets request must specify at least one experiment_id.");
  if (experimentIds.length > LIMITS.datasetExperiments) {
    throw invalid(
      `SearchDatasets request cannot specify more than ${LIMITS.datasetExperiments} experiment_ids. Received ` +
        `${experimentIds.length} experiment_ids.`,
    );
  }
  return experimentIds.map(parseExperimentId);
}

/** Checks a bulk request for histories and fills in its bounds. */
export function checkBulkInterval(
  runIds: readonly string[],
  options: { readonly startStep?: number; readonly endStep?: number; readonly maxResults?: number },
): { readonly startStep: number; readonly endStep: number; readonly maxResults: number } {
  const { startStep, endStep, maxResults = LIMITS.bulkResults } = options;
  if (runIds.length === 0) {
    throw invalid(
      "Missing value for required parameter 'run_ids'. See the API docs for more information about request parameters.",
    );
  }
  if (runIds.length > LIMITS.bulkRuns) {
    throw invalid(
      `GetMetricHistoryBulkInterval request must specify at most ${LIMITS.bulkRuns} run_ids. Received ${runIds.length} run_ids.`,
    );
  }
  if (!(Number.isInteger(maxResults) && maxResults >= 1 && maxResults <= LIMITS.bulkResults)) {
    throw invalid(`max_results must be between 1 and ${LIMITS.bulkResults}.`);
  }
  if ((startStep === undefined) !== (endStep === undefined)) {
    throw invalid("If either start step or end step are specified, both must be specified.");
  }
  if (startStep === undefined || endStep === undefined) {
    return { startStep: -Number.MAX_VALUE, endStep: Number.MAX_VALUE, maxResults };
  }
  if (!(startStep <= endStep)) {
    throw invalid(
      `end_step must be greater than start_step. Found start_step=${startStep} and end_step=${endStep}.`,
    );
  }
  return { startStep, endStep, maxResults };
}

/**
 * Checks a path below the root of the artifacts, and gives it back: relative, with `/`, and not leaving its root.
 * The empty path is the root itself.
 */
export function checkArtifactPath(path: string): string {
  if (path === "") return path;
  if (!isPlainPath(path) || path.includes("\\") || path.includes("\0")) {
    throw invalid(`Invalid artifact path: '${path}'. ${pathMessage(path)}`);
  }
  return path;
}

/** Checks the name of a metric, or the key of a param or tag. */
export function checkName(name: string, path: string): void {
  if (name === undefined || name === null) {
    throw invalidValue(path, null, "Metric name cannot be None. A key name must be provided.");
  }
  if (typeof name !== "string" || !/^[/\p{L}\p{N}_.\- :]*$/u.test(name)) {
    throw invalidValue(
      path,
      name,
      "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).",
    );
  }
  if (!isPlainPath(name)) throw invalidValue(path, name, pathMessage(name));
}

/** Whether a name, taken as a POSIX path, is its own shortest form and stays below where it starts. */
export function isPlainPath(name: string): boolean {
  const normal = normalize(name);
  return normal === name && normal !== "." && !normal.startsWith("..") && !normal.startsWith("/");
}

/** `posixpath.normpath`: without the slash at the end that `path.normalize` keeps, with both of two at the beginning. */
function normalize(name: string): string {
  const normal = posix.normalize(name);
  const short = normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
  return /^\/\/(?!\/)/.test(name) ? `/${short}` : short;
}

/** Why a name is not a plain path. */
export function pathMessage(name: string): string {
  return "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. " +
    `This name would resolve to ${pythonQuote(normalize(name))}`;
}

function checkText(value: unknown, path: string): void {
  if (typeof value !== "string") throw invalidValue(path, value, "It must be a text.");
}

/** Checks the length of a text, in characters. */
export function checkLength(what: string, value: string, limit: number): void {
  if (characters(value) > limit) throw invalid(`'${what}' exceeds the maximum length of ${limit} characters`);
}

function fit(what: string, value: string, limit: number, policy: LengthPolicy): string {
  const length = characters(value);
  if (length <= limit) return value;
  if (!policy.truncateLongValues) checkLength(what, value, limit);
  console.warn(
    `${what} '${
      value.slice(0, 100)
    }...' (${length} characters) is truncated to ${limit} characters to meet the length limit.`,
  );
  return [...value].slice(0, limit).join("");
}

/** Length in code points, which is what Python counts. */
function characters(text: string): number {
  let count = text.length;
  // Only a surrogate pair makes the two lengths differ.
  if (/[\ud800-\udbff]/.test(text)) count = [...text].length;
  return count;
}

function checkCount(what: string, count: number, limit: number): void {
  if (count > limit) {
    throw invalid(
      `A batch logging request can contain at most ${limit} ${what}. Got ${count} ${what}. Please split up ${what} ` +
        "across multiple requests and try again.",
    );
  }
}

function checkUnique(keys: readonly string[]): void {
  const seen = new Set<string>();
  const doubled = keys.filter((key) => seen.has(key) || !seen.add(key));
  if (doubled.length > 0) {
    throw invalid(
      `Duplicate parameter keys have been submitted: [${doubled.map((key) => `'${key}'`).join(", ")}]. Please ensure ` +
        "the request contains only one param value per param key.",
    );
  }
}

/** MLflow's refusal of a value. */
export function invalidValue(path: string, value: unknown, message?: string): MlflowError {
  // Python's json escapes all that is not ASCII.
  const shown = (typeof value === "number" ? String(value) : JSON.stringify(value) ?? String(value))
    .replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return invalid(
    `Invalid value ${shown} for parameter '${path}' supplied${message === undefined ? "." : `: ${message}`}`,
  );
}

/** A refusal in MLflow's own words. */
export function invalid(reason: string): MlflowError {
  const code: ErrorCode = "INVALID_PARAMETER_VALUE";
  return new MlflowError(code, reason);
}
