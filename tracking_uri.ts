import { readEnv, writeEnv } from "./env.ts";

let current: string | undefined;

/**
 * The tracking URI in force: the one set by `setTrackingUri`, else the environment variable `MLFLOW_TRACKING_URI`, else
 * `sqlite:///mlflow.db`, a file in the working directory.
 */
export function getTrackingUri(): string {
  return current ?? readEnv("MLFLOW_TRACKING_URI") ?? "sqlite:///mlflow.db";
}

/**
 * Says where runs are tracked from now on, in this program and in those that it starts.
 *
 * @param uri such as `sqlite:///mlflow.db`; the empty text goes back to the default
 */
export function setTrackingUri(uri: string): void {
  current = uri === "" ? undefined : uri;
  writeEnv("MLFLOW_TRACKING_URI", current);
}
