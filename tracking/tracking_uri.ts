import { readEnv, writeEnv } from "../env.ts";
import { MlflowError } from "../errors.ts";
import { describeLeftover } from "../stores/file/leftover.ts";

let current: string | undefined;
/** Whether ./mlruns was looked into: the default is asked for at every logged value. */
let isDefaultFree = false;

/**
 * The tracking URI in force: the one set by `setTrackingUri`, else the environment variable `MLFLOW_TRACKING_URI`, else
 * `sqlite:///mlflow.db`, a file in the working directory.
 *
 * Where none is set and `./mlruns` holds what MLflow's file store has left there, an
 * {@linkcode MlflowError} asks for a decision, as MLflow does: a database beside it would look as if all runs were gone.
 */
export function getTrackingUri(): string {
  return current ?? readEnv("MLFLOW_TRACKING_URI") ?? defaultTrackingUri();
}

/** Whether a tracking URI is set, by `setTrackingUri` or the environment variable `MLFLOW_TRACKING_URI`. */
export function isTrackingUriSet(): boolean {
  return (current ?? readEnv("MLFLOW_TRACKING_URI")) !== undefined;
}

/**
 * Says where runs are tracked from now on, in this program and in those that it starts.
 *
 * @param uri such as `sqlite:///mlflow.db`, `http://127.0.0.1:5000` or `file:./mlruns`; the empty text goes back to the
 * default
 */
export function setTrackingUri(uri: string): void {
  current = uri === "" ? undefined : uri;
  writeEnv("MLFLOW_TRACKING_URI", current);
}

function defaultTrackingUri(): string {
  const found = isDefaultFree ? undefined : describeLeftover("mlruns");
  isDefaultFree = found === undefined;
  if (isDefaultFree) return "sqlite:///mlflow.db";
  throw new MlflowError(
    "INVALID_PARAMETER_VALUE",
    `the file store is in maintenance since MLflow 3.13; found ${found} in ./mlruns; use "file:./mlruns" to go on with ` +
      "them or `mlflow migrate-filestore` to move them to sqlite:///mlflow.db",
    { action: 'Cannot open tracking store "mlruns"' },
  );
}
