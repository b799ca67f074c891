import { join } from "@std/path";
import type { Dataset, Experiment, LifecycleStage, LoggedModel, RunInfo, RunStatus } from "../../entities.ts";
import { MlflowError } from "../../errors.ts";
import { readYaml, writeYaml } from "../../yaml.ts";
import { LOGGED_MODEL_STATUSES } from "../store.ts";
import { META } from "./layout.ts";
import { readText, readTextAsync, replaceFile } from "./files.ts";

/** What such a file holds; what is not known here is kept as it is. */
export type Meta = Readonly<Record<string, unknown>>;

/** The states of runs by the numbers in their files. */
const RUN_STATUSES: readonly (RunStatus | undefined)[] = [
  undefined,
  "RUNNING",
  "SCHEDULED",
  "FINISHED",
  "FAILED",
  "KILLED",
];

/** MLflow's number for a source that is a program of this machine. */
const LOCAL_SOURCE = 4;

/** How long an empty file is waited for, in milliseconds: MLflow writes into the file itself, not beside it. */
const PATIENCE: readonly number[] = [5, 20, 100];

/** The meta.yaml of a folder, or undefined where there is none. */
export function readMeta(folder: string): Meta | undefined {
  const path = join(folder, META);
  for (const wait of [...PATIENCE, 0]) {
    const text = readText(path);
    if (text === undefined || text !== "" || wait === 0) return parse(text, path);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, wait);
  }
}

/** As {@linkcode readMeta}, for many folders at a time. */
export async function readMetaAsync(folder: string): Promise<Meta | undefined> {
  const path = join(folder, META);
  for (const wait of [...PATIENCE, 0]) {
    const text = await readTextAsync(path);
    if (text === undefined || text !== "" || wait === 0) return parse(text, path);
    await new Promise((done) => setTimeout(done, wait));
  }
}

/** Writes the meta.yaml of a folder, as a whole. */
export function writeMeta(folder: string, meta: Meta): void {
  replaceFile(join(folder, META), writeYaml(meta, { sortKeys: true }));
}

function parse(text: string | undefined, path: string): Meta | undefined {
  if (text === undefined) return undefined;
  let meta: unknown;
  let cause: unknown;
  try {
    meta = readYaml(text);
  } catch (error) {
    cause = error;
  }
  if (typeof meta === "object" && meta !== null && !Array.isArray(meta)) return meta as Meta;
  throw new MlflowError("INVALID_STATE", `${JSON.stringify(path)} is no YAML mapping`, { cause });
}

/** The file of a new experiment. */
export function experimentMeta(experiment: Omit<Experiment, "tags">): Meta {
  return {
    artifact_location: experiment.artifactLocation,
    creation_time: experiment.creationTime,
    experiment_id: experiment.experimentId,
    last_update_time: experiment.lastUpdateTime,
    lifecycle_stage: experiment.lifecycleStage,
    name: experiment.name,
  };
}

/** The experiment of a folder. */
export function toExperiment(experimentId: string, meta: Meta, tags: Readonly<Record<string, string>>): Experiment {
  return {
    experimentId,
    name: text(meta.name),
    artifactLocation: text(meta.artifact_location),
    lifecycleStage: stageOf(meta),
    // Experiments of before MLflow 1.28 have no times.
    creationTime: Number(meta.creation_time ?? 0),
    lastUpdateTime: Number(meta.last_update_time ?? 0),
    tags,
  };
}

/** The file of a new run. */
export function runMeta(info: RunInfo): Meta {
  return {
    artifact_uri: info.artifactUri,
    deleted_time: null,
    end_time: info.endTime ?? null,
    entry_point_name: "",
    experiment_id: info.experimentId,
    lifecycle_stage: info.lifecycleStage,
    run_id: info.runId,
    run_name: info.runName,
    source_name: "",
    source_type: LOCAL_SOURCE,
    source_version: "",
    start_time: info.startTime,
    status: runStatusNumber(info.status),
    tags: [],
    user_id: info.userId,
  };
}

/** The number of a run's state. */
export function runStatusNumber(status: RunStatus): number {
  const number = RUN_STATUSES.indexOf(status);
  if (number > 0) return number;
  throw new MlflowError("INVALID_PARAMETER_VALUE", `Invalid value "${status}" for parameter 'status' supplied.`);
}

/** The run of a folder. */
export function toRunInfo(experimentId: string, runId: string, meta: Meta): RunInfo {
  return {
    runId,
    runName: text(meta.run_name ?? meta.name),
    experimentId,
    userId: text(meta.user_id),
    status: RUN_STATUSES[Number(meta.status ?? 1)] ?? "RUNNING",
    startTime: Number(meta.start_time ?? 0),
    endTime: typeof meta.end_time === "number" ? meta.end_time : undefined,
    lifecycleStage: stageOf(meta),
    artifactUri: text(meta.artifact_uri),
  };
}

/** The file of a new logged model. */
export function modelMeta(model: Omit<LoggedModel, "params" | "tags" | "metrics">): Meta {
  return {
    artifact_location: model.artifactLocation,
    creation_timestamp: model.creationTimestamp,
    experiment_id: model.experimentId,
    last_updated_timestamp: model.lastUpdatedTimestamp,
    lifecycle_stage: "active",
    model_id: model.modelId,
    model_type: model.modelType ?? null,
    name: model.name,
    source_run_id: model.sourceRunId ?? null,
    status: LOGGED_MODEL_STATUSES.indexOf(model.status),
    status_message: null,
  };
}

/** The logged model of a folder. */
export function toLoggedModel(
  experimentId: string,
  modelId: string,
  meta: Meta,
  parts: Pick<LoggedModel, "params" | "tags" | "metrics">,
): LoggedModel {
  return {
    modelId,
    experimentId,
    name: text(meta.name),
    artifactLocation: text(meta.artifact_location),
    creationTimestamp: Number(meta.creation_timestamp ?? 0),
    lastUpdatedTimestamp: Number(meta.last_updated_timestamp ?? 0),
    status: LOGGED_MODEL_STATUSES[Number(meta.status ?? 0)] ?? "UNSPECIFIED",
    modelType: optionalText(meta.model_type),
    sourceRunId: optionalText(meta.source_run_id),
    ...parts,
  };
}

/** The file of a dataset. */
export function datasetMeta({ name, digest, sourceType, source, schema, profile }: Dataset): Meta {
  return { name, digest, source_type: sourceType, source, schema: schema ?? null, profile: profile ?? null };
}

/** The dataset of a folder. */
export function toDataset(meta: Meta): Dataset {
  const [schema, profile] = [optionalText(meta.schema), optionalText(meta.profile)];
  return {
    name: text(meta.name),
    digest: text(meta.digest),
    sourceType: text(meta.source_type),
    source: text(meta.source),
    ...(schema === undefined ? {} : { schema }),
    ...(profile === undefined ? {} : { profile }),
  };
}

/** Whether what a file describes is in the trash. Files of before MLflow 0.5 say nothing of it. */
export function stageOf(meta: Meta): LifecycleStage {
  return meta.lifecycle_stage === "deleted" ? "deleted" : "active";
}

function text(value: unknown): string {
  return value === undefined || value === null ? "" : String(value);
}

function optionalText(value: unknown): string | undefined {
  return value === undefined || value === null ? undefined : String(value);
}
