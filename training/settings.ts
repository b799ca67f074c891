import type { AutologOptions } from "../autolog.ts";
import { mlflowCallback } from "../callback.ts";
import { mlflowCheckpoint, type MlflowCheckpointOptions } from "../checkpoint.ts";

/** How trainings are tracked, with nothing left to be filled in. */
export interface AutologSettings {
  readonly logEveryNSteps: number | undefined;
  readonly logModels: boolean;
  readonly logModelSignatures: boolean;
  readonly logInputExamples: boolean;
  readonly registeredModelName: string | undefined;
  readonly logDatasets: boolean;
  readonly logPlots: boolean;
  /** Undefined where no checkpoints are wanted. */
  readonly checkpoint: Omit<MlflowCheckpointOptions, "model" | "run" | "onError"> | undefined;
  /** Whether it was asked for by name, so that a metric that is not there has to be told. */
  readonly monitorWanted: boolean;
  readonly extraTags: Readonly<Record<string, string>>;
  readonly exclusive: boolean;
  readonly silent: boolean;
  /** How long a training waits for its run to be started, in milliseconds. */
  readonly patience: number;
}

/** A server that is not there is asked again for minutes; a training begins without it. */
const PATIENCE = 30_000;

/** Fills in what is left out, and refuses what makes no sense before a training begins. */
export function settle(options: AutologOptions): AutologSettings {
  const { logEveryEpoch, logEveryNSteps, extraTags = {}, exclusive = false, silent = false } = options;
  const checkpoint = options.checkpoint === false ? undefined : {
    monitor: options.checkpointMonitor,
    mode: options.checkpointMode,
    saveBestOnly: options.checkpointSaveBestOnly,
    saveWeightsOnly: options.checkpointSaveWeightsOnly,
    saveFreq: options.checkpointSaveFreq,
    saveAs: options.checkpointSaveAs,
  };
  mlflowCallback({ logEveryEpoch, logEveryNSteps });
  mlflowCheckpoint(checkpoint);
  return {
    logEveryNSteps,
    logModels: options.logModels ?? true,
    logModelSignatures: options.logModelSignatures ?? true,
    logInputExamples: options.logInputExamples ?? false,
    registeredModelName: options.registeredModelName,
    logDatasets: options.logDatasets ?? true,
    logPlots: options.logPlots ?? true,
    checkpoint,
    monitorWanted: options.checkpointMonitor !== undefined,
    extraTags,
    exclusive,
    silent,
    patience: PATIENCE,
  };
}
