import type {
  DatasetInput,
  DatasetSummary,
  Experiment,
  LoggedModel,
  LoggedModelInput,
  LoggedModelOutput,
  LoggedModelStatus,
  Metric,
  MetricInput,
  MetricOfRun,
  Page,
  Param,
  RunInfo,
  RunRecord,
  RunStatus,
  Tag,
  ViewType,
} from "../entities.ts";
import type { RegistryStore } from "./registry_store.ts";

/** What is logged to a run in one go. A store writes all of it or none of it. */
export interface Batch {
  /** Values of metrics. A store takes at most 1,000 at once, and of metrics, params and tags together. */
  readonly metrics?: readonly MetricInput[];
  /** Params. A store takes at most 100 at once. */
  readonly params?: readonly Param[];
  /** Tags. A store takes at most 100 at once. */
  readonly tags?: readonly Tag[];
}

/** What a search looks for and how its pages are cut. */
export interface StoreSearch {
  /** MLflow's filter text, such as `metrics.accuracy > 0.9 AND params.epochs = '10'`. */
  readonly filter?: string;
  /** MLflow's order terms, such as `metrics.accuracy DESC`. */
  readonly orderBy?: readonly string[];
  /** Entries on a page. */
  readonly maxResults?: number;
  /** The token that the page before gave. */
  readonly pageToken?: string;
  /** Which of the active and the deleted are looked at. @default {"ACTIVE_ONLY"} */
  readonly viewType?: ViewType;
}

/** A term of an order of logged models. */
export interface LoggedModelOrder {
  /** What to order by: an attribute such as `"creation_timestamp"`, or `"metrics.accuracy"`. */
  readonly fieldName: string;
  /** Whether the smallest comes first. @default {true} */
  readonly ascending?: boolean;
  /** Of a metric, only values measured on the dataset of this name. */
  readonly datasetName?: string;
  /** Of a metric, only values measured on the dataset of this digest; needs `datasetName`. */
  readonly datasetDigest?: string;
}

/** What a search for logged models looks for and how its pages are cut. */
export interface LoggedModelSearch {
  /** MLflow's filter text, such as `metrics.accuracy > 0.9 AND params.epochs = '10'`. */
  readonly filter?: string;
  /** Datasets that the metrics of the filter must have been measured on. */
  readonly datasets?: readonly { readonly name: string; readonly digest?: string }[];
  /** The order; the latest made first without one. */
  readonly orderBy?: readonly LoggedModelOrder[];
  /** Entries on a page. @default {100} */
  readonly maxResults?: number;
  /** The token that the page before gave. */
  readonly pageToken?: string;
}

/** What a new experiment is made of, besides its name. */
export interface NewExperiment {
  /** Where the artifacts of its runs and models go: a path or a URI. @default {a folder named by its id} */
  readonly artifactLocation?: string;
  /** Where that folder named by its id is. A server has its own. @default {where the store keeps artifacts} */
  readonly artifactRoot?: string;
  /** Its tags. */
  readonly tags?: Readonly<Record<string, string>>;
}

/** What a new run is made of. */
export interface NewRun {
  /** The experiment it belongs to. */
  readonly experimentId: string;
  /** Who starts it. @default {the tag `mlflow.user`, or "unknown"} */
  readonly userId?: string;
  /** When it starts, in milliseconds since the Unix epoch. @default {now} */
  readonly startTime?: number;
  /** Its name. @default {a random name such as `fearless-owl-42`} */
  readonly runName?: string;
  /** Its tags. */
  readonly tags?: Readonly<Record<string, string>>;
}

/** What a new logged model is made of. */
export interface NewLoggedModel {
  /** The experiment it belongs to. */
  readonly experimentId: string;
  /** Its name. @default {a random name such as `fearless-owl-42`} */
  readonly name?: string;
  /** The run that makes it. */
  readonly sourceRunId?: string;
  /** A free word for its kind, such as `"classifier"`. */
  readonly modelType?: string;
  /** Its params. */
  readonly params?: Readonly<Record<string, string>>;
  /** Its tags. */
  readonly tags?: Readonly<Record<string, string>>;
}

/** What changes of a run. */
export interface RunUpdate {
  /** Where it stands now. */
  readonly status?: RunStatus;
  /** When it ended, in milliseconds since the Unix epoch. */
  readonly endTime?: number;
  /** Its new name. */
  readonly runName?: string;
}

/**
 * Where experiments, runs, metrics, params, tags and logged models are kept.
 *
 * Each sentence here is held by the contract test that every store passes. Whatever MLflow refuses, a store refuses
 * with an `MlflowError` of MLflow's code and sentence. Ids of things that are not there give `RESOURCE_DOES_NOT_EXIST`.
 */
export interface TrackingStore extends AsyncDisposable {
  /** The URI that opens this store again. */
  readonly uri: string;
  /** The model registry that is kept at the same place. */
  readonly registry: RegistryStore;

  /**
   * Makes an experiment and gives its id. A name in use, also by a deleted experiment, is `RESOURCE_ALREADY_EXISTS`.
   */
  createExperiment(name: string, options?: NewExperiment): Promise<string>;
  /** The experiment, active or deleted. */
  getExperiment(experimentId: string): Promise<Experiment>;
  /** The experiment, active or deleted, or undefined where no experiment has the name. */
  getExperimentByName(name: string): Promise<Experiment | undefined>;
  /** Renames an active experiment; a deleted one is `INVALID_STATE`. */
  renameExperiment(experimentId: string, name: string): Promise<void>;
  /** Moves an active experiment and all its runs to the trash. */
  deleteExperiment(experimentId: string): Promise<void>;
  /** Brings a deleted experiment and all its runs back. */
  restoreExperiment(experimentId: string): Promise<void>;
  /** Sets a tag of an active experiment. */
  setExperimentTag(experimentId: string, key: string, value: string): Promise<void>;
  /** Removes a tag of an active experiment. */
  deleteExperimentTag(experimentId: string, key: string): Promise<void>;
  /** Experiments that the filter finds; without an order the latest made comes first. */
  searchExperiments(search?: StoreSearch): Promise<Page<Experiment>>;

  /**
   * Makes a `RUNNING` run in an active experiment. The tag `mlflow.runName` always equals the run's name; given both
   * and different, they are refused.
   */
  createRun(run: NewRun): Promise<RunRecord>;
  /** The run, active or deleted, with the latest value of each metric. */
  getRun(runId: string): Promise<RunRecord>;
  /** Changes the status, end or name of an active run; the tag `mlflow.runName` follows the name. */
  updateRun(runId: string, update: RunUpdate): Promise<RunInfo>;
  /** Moves a run to the trash. */
  deleteRun(runId: string): Promise<void>;
  /** Brings a run back from the trash. */
  restoreRun(runId: string): Promise<void>;
  /**
   * Writes metrics, params and tags to an active run: all of them or none.
   *
   * An equal value of a metric (same key, step, time and value) is kept once. NaN and the infinities come back as they
   * were. A param may be logged again with its value, never with another. A tag is replaced. The tag `mlflow.runName`
   * renames the run.
   */
  logBatch(runId: string, batch: Batch): Promise<void>;
  /** Removes a tag of an active run. */
  deleteTag(runId: string, key: string): Promise<void>;
  /** The values of a metric, by time, then step, then value. */
  getMetricHistory(
    runId: string,
    key: string,
    options?: { readonly maxResults?: number; readonly pageToken?: string },
  ): Promise<Page<Metric>>;
  /**
   * The values of a metric of several runs between two steps, thinned out evenly to at most `maxResults` a run, the
   * extremes of the steps always among them; by run, then step, then time.
   */
  getMetricHistoryBulkInterval(
    runIds: readonly string[],
    key: string,
    options?: { readonly startStep?: number; readonly endStep?: number; readonly maxResults?: number },
  ): Promise<MetricOfRun[]>;
  /**
   * Records datasets and models that an active run has used. A dataset of the same name and digest is kept once in an
   * experiment; logging the same use again changes nothing.
   */
  logInputs(
    runId: string,
    inputs: { readonly datasets?: readonly DatasetInput[]; readonly models?: readonly LoggedModelInput[] },
  ): Promise<void>;
  /** The datasets that runs of the experiments have used. */
  searchDatasets(experimentIds: readonly string[]): Promise<DatasetSummary[]>;
  /** Runs of the experiments; without an order the latest started comes first. */
  searchRuns(experimentIds: readonly string[], search?: StoreSearch): Promise<Page<RunRecord>>;

  /** Makes a `PENDING` logged model in an active experiment. */
  createLoggedModel(model: NewLoggedModel): Promise<LoggedModel>;
  /** The logged model; a deleted one is not found. */
  getLoggedModel(modelId: string): Promise<LoggedModel>;
  /** Says that a logged model's files are complete, or that writing them failed; of a deleted one too. */
  finalizeLoggedModel(modelId: string, status: "READY" | "FAILED"): Promise<LoggedModel>;
  /** Adds params to a logged model. */
  logLoggedModelParams(modelId: string, params: readonly Param[]): Promise<void>;
  /** Removes a tag of a logged model. */
  deleteLoggedModelTag(modelId: string, key: string): Promise<void>;
  /** Sets tags of a logged model. */
  setLoggedModelTags(modelId: string, tags: Readonly<Record<string, string>>): Promise<void>;
  /** Moves a logged model to the trash. */
  deleteLoggedModel(modelId: string): Promise<void>;
  /** The logged models of the experiments that the filter finds; without an order the latest made comes first. */
  searchLoggedModels(experimentIds: readonly string[], search?: LoggedModelSearch): Promise<Page<LoggedModel>>;
  /** Records that an active run has put out models. */
  logOutputs(runId: string, models: readonly LoggedModelOutput[]): Promise<void>;
}

/** Names of the states of logged models by the numbers that databases hold. */
export const LOGGED_MODEL_STATUSES: readonly LoggedModelStatus[] = ["UNSPECIFIED", "PENDING", "READY", "FAILED"];
