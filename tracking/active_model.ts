import { readEnv, writeEnv } from "../env.ts";

/** The model that was made active; undefined: the environment's, null: none, since it was cleared. */
let active: string | null | undefined;
let last: string | undefined;

/**
 * The id of the active model, which metrics are also logged to: the one set by `setActiveModel`, else that of the
 * environment variable `MLFLOW_ACTIVE_MODEL_ID`; undefined without either.
 */
export function getActiveModelId(): string | undefined {
  if (active !== undefined) return active ?? undefined;
  return readEnv("MLFLOW_ACTIVE_MODEL_ID") ?? readEnv("_MLFLOW_ACTIVE_MODEL_ID");
}

/** From now on no model is active, nor in the programs that this one starts. */
export function clearActiveModel(): void {
  active = null;
  for (const name of ["MLFLOW_ACTIVE_MODEL_ID", "_MLFLOW_ACTIVE_MODEL_ID"]) writeEnv(name, undefined);
}

/** Makes a model the active one. */
export function activateModel(modelId: string): void {
  active = modelId;
}

/** The id of the model that was logged last by the program. */
export function lastLoggedModelId(): string | undefined {
  return last;
}

/** A model has been logged. */
export function rememberLoggedModel(modelId: string): void {
  last = modelId;
}
