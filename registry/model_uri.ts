import type { ModelVersion } from "../entities.ts";
import { MlflowError } from "../errors.ts";

/** What a `models:` URI names: a logged model, or a version of a registered one. */
export type ModelUri =
  | { readonly modelId: string }
  | { readonly name: string; readonly version: number }
  | { readonly name: string; readonly stage: string }
  | { readonly name: string; readonly alias: string }
  /** The latest version of all. */
  | { readonly name: string };

/** What asks for versions by their names. */
interface Versions {
  getLatestVersions(name: string, stages?: readonly string[]): Promise<readonly ModelVersion[]>;
  getModelVersion(name: string, version: number): Promise<ModelVersion>;
  getModelVersionByAlias(name: string, alias: string): Promise<ModelVersion>;
}

/** Whether a URI is one of `models:`. */
export function isModelUri(uri: string): boolean {
  return /^models:/i.test(uri);
}

/**
 * Reads `models:/m-…`, `models:/<name>/<version>`, `models:/<name>/<stage>`, `models:/<name>/latest` or
 * `models:/<name>@<alias>`.
 */
export function parseModelUri(uri: string): ModelUri {
  const [, path] = /^models:(?:\/\/[^/?]*)?\/+([^?]*)/i.exec(uri) ?? [];
  const [first = "", suffix, ...more] = path?.split("/") ?? [];
  if (first.trim() === "" || suffix?.trim() === "" || more.length > 0) throw improper(uri);
  if (suffix !== undefined) {
    if (/^\d+$/.test(suffix)) return { name: first, version: Number(suffix) };
    return suffix.toLowerCase() === "latest" ? { name: first } : { name: first, stage: suffix };
  }
  const at = first.lastIndexOf("@");
  if (at < 0) return { modelId: first };
  const alias = first.slice(at + 1);
  if (alias.trim() === "") throw improper(uri);
  return { name: first.slice(0, at), alias };
}

/** Cuts the path in the model's folder off a `models:` URI: `models:/<name>/1/variables` has `variables` behind. */
export function splitModelUri(uri: string): { readonly model: ModelUri; readonly path: readonly string[] } {
  const [, path = ""] = /^models:(?:\/\/[^/?]*)?\/+([^?]*?)\/*(?:\?.*)?$/i.exec(uri) ?? [];
  const parts = path.split("/");
  const length = /^m-[0-9a-f]{32}$/.test(parts[0]) || parts[0].includes("@") ? 1 : 2;
  return { model: parseModelUri(`models:/${parts.slice(0, length).join("/")}`), path: parts.slice(length) };
}

/** The version of a registered model that a URI names, as a registry has it now. */
export async function findModelVersion(
  uri: Exclude<ModelUri, { readonly modelId: string }>,
  registry: Versions,
): Promise<ModelVersion> {
  if ("version" in uri) return await registry.getModelVersion(uri.name, uri.version);
  if ("alias" in uri) return await registry.getModelVersionByAlias(uri.name, uri.alias);
  const stage = "stage" in uri ? uri.stage : undefined;
  const latest = await registry.getLatestVersions(uri.name, stage === undefined ? undefined : [stage]);
  if (latest.length > 0) return latest.reduce((a, b) => a.version > b.version ? a : b);
  // MLflow's own code for it.
  throw new MlflowError(
    "INTERNAL_ERROR",
    `No versions of model with name '${uri.name}'${stage === undefined ? "" : ` and stage '${stage}'`} found`,
  );
}

/** The id of the logged model that a source names; undefined where it names something else. */
export function modelIdOf(source: string): string | undefined {
  return /^models:\/+(m-[0-9a-f]{32})$/.exec(source)?.[1];
}

function improper(uri: string): MlflowError {
  return new MlflowError(
    "INTERNAL_ERROR",
    `Not a proper models:/ URI: ${uri}. Models URIs must be of the form 'models:/name/suffix' or 'models:/name@alias' ` +
      "where suffix is a version, stage, or the string 'latest' and where alias is a registered model alias. Only one " +
      "of suffix or alias can be defined at a time.",
  );
}
