import { fileURLToPath } from "node:url";
import { posix, resolve } from "@std/path";
import { hasScheme } from "../artifacts/uri.ts";
import { MlflowError } from "../errors.ts";
import { findModelVersion, isModelUri, type ModelUri, parseModelUri } from "../model_uri.ts";
import type { NewModelVersion } from "../stores/registry_store.ts";
import type { TrackingStore } from "../stores/store.ts";
import { invalid } from "../validate.ts";

/**
 * The new version that a request asks for, its source checked: whoever may register must not read by it what lies
 * elsewhere on the server. A place on the server has to be among the files of the run or logged model that is named.
 */
export async function checkSource(version: NewModelVersion, store: TrackingStore): Promise<NewModelVersion> {
  const { source, runId, modelId } = version;
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
      `Invalid model version source: '${source}'. To use a local path as a model version source, the ${named} request ` +
        `parameter has to be specified and the local path has to be contained within the artifact directory of the run ` +
        `specified by the ${named}.`,
    );
  }
  checkPlain(source);
  if (uri !== undefined && modelId !== uri.modelId) throw wrong;
  if (/^runs:/i.test(source) && (modelId || /^runs:\/+([^/]+)/i.exec(source)?.[1] !== runId)) throw wrong;
  const served = /^mlflow-artifacts:/i.test(source) ||
    /^https?:.*\/api\/2\.0\/mlflow-artifacts\/artifacts\//i.test(source);
  if (served && !(root !== undefined && isWithin(source, root))) throw wrong;
  return version;
}

/** A copy of another version, which keeps that one's run. */
async function ofVersion(
  version: NewModelVersion,
  uri: Exclude<ModelUri, { readonly modelId: string }>,
  { registry }: TrackingStore,
): Promise<NewModelVersion> {
  const found = await findModelVersion(uri, registry);
  const { source, runId, modelId } = version;
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
  try {
    if (!/^models:\/\/[^/]/i.test(source)) return parseModelUri(source);
  } catch {
    // told below
  }
  throw invalid(
    `Invalid model version source: '${source}'. The model_id request parameter must identify the resource that contains ` +
      "the source.",
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
