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
export { autolog, type AutologOptions, type AutologTensorFlow } from "./autolog.ts";
export { type Backend, type TensorFlow, useFastBackend } from "./backend.ts";
export {
  type Logs,
  mlflowCallback,
  type MlflowCallbackOptions,
  type OptimizerLike,
  type TrackedRun,
  type TrainedModel,
  type TrainingCallback,
} from "./callback.ts";
export {
  type CheckpointedModel,
  type CheckpointedRun,
  loadCheckpoint,
  type LoadCheckpointOptions,
  type LoadedCheckpoint,
  mlflowCheckpoint,
  type MlflowCheckpointOptions,
} from "./checkpoint.ts";
export { clearActiveModel, getActiveModelId } from "./tracking/active_model.ts";
export {
  type ArtifactOptions,
  downloadArtifacts,
  listArtifacts,
  loadDict,
  loadImageArtifact,
  loadText,
} from "./artifacts.ts";
export * from "./client.ts";
export {
  type DatasetArray,
  datasetFromImages,
  datasetFromRows,
  datasetFromTensors,
  type DatasetOptions,
  type DatasetValues,
  type ImagesDatasetOptions,
  type ImagesLike,
  type LoggedInput,
  type NestedNumbers,
  type TensorDatasetOptions,
} from "./dataset.ts";
export { filter, type FilterValue } from "./filter.ts";
export {
  activeRun,
  createExperiment,
  deleteExperiment,
  deleteExperimentTag,
  deleteRun,
  deleteTag,
  endRun,
  flush,
  getArtifactUri,
  getExperiment,
  getExperimentByName,
  getMetricHistory,
  getParentRun,
  getRun,
  lastActiveRun,
  loadTable,
  logArtifact,
  logArtifacts,
  logBatch,
  logBytes,
  logDict,
  logEvaluation,
  logFigure,
  logImage,
  logInput,
  logInputs,
  logMetric,
  logMetrics,
  logModel,
  logOutputs,
  logParam,
  logParams,
  logStream,
  logTable,
  logText,
  restoreExperiment,
  restoreRun,
  type SearchActiveRunsOptions,
  searchExperiments,
  searchRuns,
  setExperiment,
  setExperimentTag,
  setExperimentTags,
  setTag,
  setTags,
  startRun,
  type StartRunOptions,
  withRun,
} from "./fluent.ts";
export * from "./images.ts";
export {
  createExternalModel,
  deleteLoggedModelTag,
  finalizeLoggedModel,
  getLoggedModel,
  initializeLoggedModel,
  lastLoggedModel,
  logModelParams,
  type NewModelOptions,
  type SearchActiveLoggedModelsOptions,
  searchLoggedModels,
  setActiveModel,
  setLoggedModelTags,
} from "./tracking/logged_models.ts";
export {
  registerModel,
  type RegisterModelOptions,
  searchModelVersions,
  searchRegisteredModels,
  setModelVersionTag,
} from "./model_registry.ts";
export { getRegistryUri, setRegistryUri } from "./registry/registry_uri.ts";
export {
  getModelInfo,
  type GraphModelLoader,
  loadGraphModel,
  loadModel,
  mlflowHandler,
  type ModelHandler,
  type ModelInfo,
  type ModelLoader,
  saveModel,
} from "./models.ts";
export * from "./plots.ts";
export { type ProjectRun, runProject, type RunProjectOptions, type StartedProject } from "./projects.ts";
export { type EndStatus, type EvaluationValue, Run } from "./run.ts";
export {
  type ComputingTensorFlow,
  type ModelServer,
  serveModel,
  type ServeModelOptions,
  type ServingTensorFlow,
} from "./serving.ts";
export {
  type ColSpec,
  type ColumnType,
  type DataType,
  inferSignature,
  type ModelSignature,
  type NestedValues,
  type ParamSpec,
  type Schema,
  type SignatureData,
  type TensorExample,
  type TensorSpec,
} from "./signature.ts";
export {
  disableSystemMetricsLogging,
  enableSystemMetricsLogging,
  setSystemMetricsNodeId,
  setSystemMetricsSamplesBeforeLogging,
  setSystemMetricsSamplingInterval,
} from "./system_metrics.ts";
export { getTrackingUri, isTrackingUriSet, setTrackingUri } from "./tracking/tracking_uri.ts";
