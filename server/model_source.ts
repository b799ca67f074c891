import { fileURLToPath } from "node:url";
import { posix, resolve } from "@std/path";
import { hasScheme } from "../artifacts/uri.ts";
import { readEnv } from "../env.ts";
import { MlflowError } from "../errors.ts";
import { findModelVersion, isModelUri, type ModelUri, parseModelUri } from "../registry/model_uri.ts";
import type { NewModelVersion } from "../stores/registry_store.ts";
import type { TrackingStore } from "../stores/store.ts";
import { invalid } from "../validate.ts";
import { isPrompt } from "../registry/validate_registry.ts";

/** Schemes whose URIs name the host that is to be asked. */
const HOST_SCHEMES: ReadonlySet<string> = new Set(
  ["ftp", "sftp", "hdfs", "viewfs", "http", "https", "mlflow-artifacts", "r2", "b2", "abfss"],
);
const ALLOWED_SCHEMES = "MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES";

/**
 * The new version that a request asks for, its source checked: whoever may register must not read by it what lies
 * elsewhere on the server. A place on the server has to be among the files of the run or logged model that is named.
 */
export async function checkSource(version: NewModelVersion, store: TrackingStore): Promise<NewModelVersion> {
  const { source, runId, modelId } = version;
  checkHost(source);
  const uri = isModelUri(source) ? readUri(source) : undefined;
  if (uri !== undefined && !("modelId" in uri)) return await ofVersion(version, uri, store);
  const named = modelId ? "model_id" : "run_id";
  const wrong = invalid(
    `Invalid model version source: '${source}'. The ${
      uri === undefined ? named : "model_id"
    } request parameter must identify the resource that contains the source.`,
  );
  const root = await rootOf(version, store, wrong);
  if (!hasScheme(source) || /^file:/i.test(source)) {
    if (root !== undefined && isLocal(root) && isBelow(pathOf(source), pathOf(root))) return version;
    throw invalid(
      `Invalid model version source: '${
        root === undefined ? source : pathOf(source)
      }'. To use a local path as a model version source, the ${named} request ` +
        `parameter has to be specified and the local path has to be contained within the artifact directory of the run ` +
        `specified by the ${named}.`,
    );
  }
  checkPlain(source);
  if (uri !== undefined && modelId !== uri.modelId) throw wrong;
  if (/^runs:/i.test(source) && (modelId || /^runs:\/+([^/]+)/i.exec(source)?.[1] !== runId)) throw wrong;
  if (/^mlflow-artifacts:/i.test(source) && !(root !== undefined && isWithin(source, root))) throw wrong;
  return version;
}

/** A copy of another version, which keeps that one's run. */
async function ofVersion(
  version: NewModelVersion,
  uri: Exclude<ModelUri, { readonly modelId: string }>,
  { registry }: TrackingStore,
): Promise<NewModelVersion> {
  const { source, runId, modelId } = version;
  if (isPrompt((await registry.getRegisteredModel(uri.name)).tags)) {
    throw invalid(
      `Invalid model version source: '${source}'. Prompt versions cannot be used as model version sources.`,
    );
  }
  const found = await findModelVersion(uri, registry);
  // A logged model that our stores tell by the source of the version is not MLflow's to know.
  if ((runId !== undefined && runId !== found.runId) || (modelId !== undefined && modelId !== found.modelId)) {
    throw invalid(
      `Invalid model version source: '${source}'. The run_id and model_id request parameters must match the referenced ` +
        "model version.",
    );
  }
  return { ...version, source: `models:/${found.name}/${found.version}`, runId: found.runId };
}

/** Where the files of the run or logged model are that the source should be among. */
async function rootOf(
  { runId, modelId }: NewModelVersion,
  store: TrackingStore,
  missing: MlflowError,
): Promise<string | undefined> {
  try {
    if (modelId) return (await store.getLoggedModel(modelId)).artifactLocation;
    return runId ? (await store.getRun(runId)).info.artifactUri : undefined;
  } catch (error) {
    throw error instanceof MlflowError && error.code === "RESOURCE_DOES_NOT_EXIST" ? missing : error;
  }
}

function readUri(source: string): ModelUri {
  if (/^models:\/\/[^/]/i.test(source)) {
    throw invalid(
      `Invalid model version source: '${source}'. Registered model sources must use the active model registry.`,
    );
  }
  try {
    return parseModelUri(source);
  } catch {
    // told below
  }
  throw invalid(
    `Invalid model version source: '${source}'. The model_id request parameter must identify the resource that contains ` +
      "the source.",
  );
}

/** Refuses what the server would have to ask of a host that it is told: it may reach hosts that the asker may not. */
function checkHost(source: string): void {
  const [, scheme = "", authority] = /^([a-z][\w+.-]*):(?:\/\/([^/?#]*))?/i.exec(source) ?? [];
  if (!HOST_SCHEMES.has(scheme.toLowerCase()) || !authority) return;
  const allowed = readEnv(ALLOWED_SCHEMES)?.split(",").map((name) => name.trim().toLowerCase()) ?? [];
  if (allowed.includes(scheme.toLowerCase())) return;
  throw invalid(
    `'source' cannot use the '${scheme.toLowerCase()}' scheme: the '${scheme.toLowerCase()}' scheme addresses a host other than ` +
      "the tracking server's configured artifact storage, so the server would connect to the host named in the URI. Set the " +
      `${ALLOWED_SCHEMES} environment variable on the server to allow it.`,
  );
}

function isLocal(location: string): boolean {
  return !hasScheme(location) || /^file:/i.test(location);
}

function pathOf(location: string): string {
  const path = hasScheme(location) ? fileURLToPath(location) : resolve(location);
  try {
    // A link must not lead out of the folder.
    return Deno.realPathSync(path);
  } catch {
    return path;
  }
}

function isBelow(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith("/") ? root : `${root}/`);
}

/** Refuses a URI that has steps upwards in it, however often they are encoded. */
function checkPlain(source: string): void {
  const decoded = decodeAll(source);
  const path = /^[^:]+:(?:\/\/[^/?#]*)?([^?#]*)/.exec(decoded)?.[1].replace(/\/+/g, "/").replace(/\/$/, "") ?? "";
  if (
    !decoded.includes("\0") && !decoded.split("/").includes("..") &&
    posix.resolve("/", path) === `/${path.replace(/^\//, "")}`
  ) {
    return;
  }
  throw invalid(
    `Invalid model version source: '${source}'. If supplying a source as an http, https, local file path, ftp, objectstore, ` +
      "or mlflow-artifacts uri, an absolute path must be provided without relative path references present. Please provide " +
      "an absolute path.",
  );
}

function decodeAll(text: string): string {
  try {
    const decoded = decodeURIComponent(text.replaceAll("+", " "));
    return decoded === text ? text : decodeAll(decoded);
  } catch {
    return text;
  }
}

function isWithin(source: string, root: string): boolean {
  const parts = (uri: string) => {
    const [, scheme = "", host = "", path = ""] = /^([^:]+):(?:\/\/([^/?#]*))?([^?#]*)/.exec(uri) ?? [];
    return [scheme.toLowerCase(), host.toLowerCase(), ...path.split("/").filter((part) => part !== "").map(decodeAll)];
  };
  const [inner, outer] = [parts(source), parts(root)];
  return outer.length > 2 && outer.every((part, i) => inner[i] === part);
}
