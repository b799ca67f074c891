import { readEnv, writeEnv } from "../env.ts";
import { getTrackingUri } from "../tracking/tracking_uri.ts";

let current: string | undefined;

/**
 * The URI of the model registry in force: the one set by `setRegistryUri`, else the environment variable
 * `MLFLOW_REGISTRY_URI`, else the tracking URI: registered models are kept beside the runs.
 */
export function getRegistryUri(): string {
  return setUri() ?? getTrackingUri();
}

/** The URI of the model registry of those who track at a URI of their own. */
export function registryUriOf(trackingUri: string): string {
  return setUri() ?? trackingUri;
}

/**
 * Says where registered models are kept from now on, in this program and in those that it starts.
 *
 * @param uri such as `sqlite:///registry.db`, `http://127.0.0.1:5000` or `file:./mlruns`; the empty text goes back to the
 * default
 */
export function setRegistryUri(uri: string): void {
  current = uri === "" ? undefined : uri;
  writeEnv("MLFLOW_REGISTRY_URI", current);
}

function setUri(): string | undefined {
  return current ?? readEnv("MLFLOW_REGISTRY_URI");
}
