/** Our side of the replay: the steps of a case, done on one of our stores. */
import { MlflowError } from "../../errors.ts";
import type { TrackingStore } from "../../stores/store.ts";

/** One thing that is done in a case. */
export interface Step {
  /** A method of the store, or one value of `logBatch`: `logMetric`, `logParam`, `setTag`; or `nextMillisecond`. */
  readonly op: string;
  /** Its arguments by name; `$name` stands for an id or page token saved before. */
  readonly args: Record<string, unknown>;
  /** The name under which the id or page token of the result is kept. */
  readonly save?: string;
  /** Whether MLflow refuses it. */
  readonly refused: boolean;
}

/** A short story that is told to each store. */
export interface Case {
  /** The file that it stands in. */
  readonly subject: string;
  /** What it is about. */
  readonly name: string;
  /** The case whose ids it begins with; undefined: it makes its own. */
  readonly within: string | undefined;
  /** What is done, in order. */
  readonly steps: readonly Step[];
}

/** What came of a step. */
export type StepOutcome = { readonly result: unknown } | {
  readonly error: { readonly code: string; readonly message: string };
};

/** What came of a case. */
export interface Outcome {
  /** One for each step. */
  readonly steps: readonly StepOutcome[];
  /** The ids and page tokens by their names. */
  readonly names: Record<string, string>;
}

// Arguments come from YAML: what of them is wrong is for the store to say.
// deno-lint-ignore no-explicit-any
type Arguments = any;

const SINGLE: Record<string, (store: TrackingStore, args: Arguments) => Promise<unknown>> = {
  createExperiment: (store, { name, ...options }) => store.createExperiment(name, options),
  getExperiment: (store, { experimentId }) => store.getExperiment(experimentId),
  getExperimentByName: (store, { name }) => store.getExperimentByName(name),
  renameExperiment: (store, { experimentId, name }) => store.renameExperiment(experimentId, name),
  deleteExperiment: (store, { experimentId }) => store.deleteExperiment(experimentId),
  restoreExperiment: (store, { experimentId }) => store.restoreExperiment(experimentId),
  setExperimentTag: (store, { experimentId, key, value }) => store.setExperimentTag(experimentId, key, value),
  deleteExperimentTag: (store, { experimentId, key }) => store.deleteExperimentTag(experimentId, key),
  searchExperiments: (store, search) => store.searchExperiments(search),
  createRun: (store, run) => store.createRun(run),
  getRun: (store, { runId }) => store.getRun(runId),
  updateRun: (store, { runId, ...update }) => store.updateRun(runId, update),
  deleteRun: (store, { runId }) => store.deleteRun(runId),
  restoreRun: (store, { runId }) => store.restoreRun(runId),
  logBatch: (store, { runId, ...batch }) => store.logBatch(runId, batch),
  logMetric: (store, { runId, ...metric }) => store.logBatch(runId, { metrics: [metric] }),
  logParam: (store, { runId, ...param }) => store.logBatch(runId, { params: [param] }),
  setTag: (store, { runId, ...tag }) => store.logBatch(runId, { tags: [tag] }),
  deleteTag: (store, { runId, key }) => store.deleteTag(runId, key),
  getMetricHistory: (store, { runId, key, ...options }) => store.getMetricHistory(runId, key, options),
  getMetricHistoryBulkInterval: (store, { runIds, key, ...options }) =>
    store.getMetricHistoryBulkInterval(runIds, key, options),
  logInputs: (store, { runId, ...inputs }) => store.logInputs(runId, inputs),
  searchDatasets: (store, { experimentIds }) => store.searchDatasets(experimentIds),
  searchRuns: (store, { experimentIds, ...search }) => store.searchRuns(experimentIds, search),
  createLoggedModel: (store, model) => store.createLoggedModel(model),
  getLoggedModel: (store, { modelId }) => store.getLoggedModel(modelId),
  finalizeLoggedModel: (store, { modelId, status }) => store.finalizeLoggedModel(modelId, status),
  logLoggedModelParams: (store, { modelId, params }) => store.logLoggedModelParams(modelId, params),
  setLoggedModelTags: (store, { modelId, tags }) => store.setLoggedModelTags(modelId, tags),
  deleteLoggedModelTag: (store, { modelId, key }) => store.deleteLoggedModelTag(modelId, key),
  deleteLoggedModel: (store, { modelId }) => store.deleteLoggedModel(modelId),
  searchLoggedModels: (store, { experimentIds, ...search }) => store.searchLoggedModels(experimentIds, search),
  logOutputs: (store, { runId, models }) => store.logOutputs(runId, models),
  nextMillisecond: () => new Promise((resolve) => setTimeout(resolve, 2)),
};

/** The names of all steps. */
export const OPERATIONS: ReadonlySet<string> = new Set(Object.keys(SINGLE));

/** Does the steps of a case; `$name` of their texts becomes the id of that name. */
export async function replay(
  store: TrackingStore,
  steps: readonly Step[],
  begin: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const names: Record<string, string> = { ...begin };
  const outcomes: StepOutcome[] = [];
  for (const { op, args, save } of steps) {
    try {
      const result = await SINGLE[op](store, fill(args, names) as Arguments) ?? null;
      if (save !== undefined && result !== null) names[save] = idOf(result);
      outcomes.push({ result });
    } catch (error) {
      const { name, message } = error as Error;
      outcomes.push({
        error: error instanceof MlflowError ? { code: error.code, message: error.reason } : { code: name, message },
      });
    }
  }
  return { steps: outcomes, names };
}

function idOf(result: Arguments): string {
  return typeof result === "string" ? result : result.info?.runId ?? result.modelId ?? result.nextPageToken;
}

function fill(value: unknown, names: Record<string, string>): unknown {
  if (typeof value === "string") return value.replace(/\$([a-z]\w*)/g, (whole, name) => names[name] ?? whole);
  if (Array.isArray(value)) return value.map((item) => fill(item, names));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [fill(key, names), fill(item, names)]));
}
