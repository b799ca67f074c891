/**
 * MLflow for Deno: track, plot, save and look at TensorFlow.js trainings, in files that MLflow reads as its own.
 *
 * ```ts
 * import * as mlflow from "@mlflow-deno/mlflow";
 *
 * mlflow.setTrackingUri("sqlite:///:memory:");
 * await mlflow.setExperiment("flowers");
 * await mlflow.withRun({ runName: "baseline" }, async (run) => {
 *   await run.logParams({ epochs: 10, img_height: 64, img_width: 64 });
 *   await run.logMetrics({ accuracy: 0.9, loss: 0.3 }, { step: 0 });
 * });
 * ```
 *
 * @module
 */
export { type Backend, type TensorFlow, useFastBackend } from "./backend.ts";
export {
  type Logs,
  mlflowCallback,
  type MlflowCallbackOptions,
  type TrackedRun,
  type TrainedModel,
  type TrainingCallback,
} from "./callback.ts";
export * from "./client.ts";
export { filter, type FilterValue } from "./filter.ts";
export {
  activeRun,
  createExperiment,
  deleteExperiment,
  deleteRun,
  deleteTag,
  endRun,
  getExperiment,
  getExperimentByName,
  getMetricHistory,
  getParentRun,
  getRun,
  lastActiveRun,
  logArtifact,
  logArtifacts,
  logBatch,
  logDict,
  logEvaluation,
  logFigure,
  logMetric,
  logMetrics,
  logModel,
  logParam,
  logParams,
  logText,
  restoreExperiment,
  restoreRun,
  type SearchActiveRunsOptions,
  searchExperiments,
  searchRuns,
  setExperiment,
  setExperimentTag,
  setTag,
  setTags,
  startRun,
  type StartRunOptions,
  withRun,
} from "./fluent.ts";
export * from "./images.ts";
export { loadModel, type ModelLoader } from "./models.ts";
export * from "./plots.ts";
export { type EndStatus, type EvaluationValue, Run } from "./run.ts";
export { getTrackingUri, setTrackingUri } from "./tracking_uri.ts";
