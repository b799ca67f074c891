import type { ModelVersion, ModelVersionStage } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import { PROMPT_TAG, STAGES, type VersionNumber } from "../stores/registry_store.ts";
import { checkLength, checkName, invalid, invalidValue, isPlainPath, LIMITS, pathMessage } from "../validate.ts";

/** MLflow's limits of the model registry, in characters. */
const REGISTRY_LIMITS = { tagValue: 100_000, alias: 255 } as const;

/** The stages whose versions can be archived when another version comes. */
const ACTIVE_STAGES: readonly ModelVersionStage[] = ["Staging", "Production"];

/** Checks the name of a registered model. */
export function checkModelName(name: string): void {
  if (typeof name !== "string" || name.trim() === "") throw invalid("Missing value for required parameter 'name'.");
  if (/[/:]/.test(name)) throw invalid(`Invalid model name '${name}'. Names cannot contain '/' or ':'.`);
  if (!isPlainPath(name)) throw invalidValue("name", name, pathMessage(name));
}

/** Checks a new name of a registered model. */
export function checkNewModelName(name: string): void {
  if (typeof name !== "string" || name.trim() === "") throw invalid("Missing value for required parameter 'new_name'.");
  checkModelName(name);
}

/** The number of a version. */
export function checkModelVersion(version: VersionNumber): number {
  // Python's int() takes a sign and spaces too, and cuts what is behind the point of a number.
  if (typeof version === "number" && Number.isFinite(version)) return Math.trunc(version);
  if (typeof version === "string" && /^\s*[+-]?\d+\s*$/.test(version)) return Number(version);
  throw invalid(`Parameter 'version' must be an integer, got '${version}'.`);
}

/** Checks a tag of a registered model or of a version. */
export function checkRegistryTag(key: string, value: string): void {
  checkName(key, "key");
  checkLength("key", key, LIMITS.key);
  checkLength("value", value, REGISTRY_LIMITS.tagValue);
}

/** Checks the tags of a new registered model or version. */
export function checkRegistryTags(tags: Readonly<Record<string, string>> = {}): void {
  for (const [key, value] of Object.entries(tags)) checkRegistryTag(key, value);
}

/** Checks an alias, of which the reserved ones can be asked for. */
export function checkAlias(alias: string): void {
  if (typeof alias !== "string" || alias === "") throw invalid("Registered model alias name cannot be empty.");
  if (!/^[\p{L}\p{N}_-]*$/u.test(alias)) {
    throw invalid(
      `Invalid alias name: '${alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-).`,
    );
  }
  checkLength("Registered model alias name", alias, REGISTRY_LIMITS.alias);
}

/** Checks an alias that is given to a version. */
export function checkNewAlias(alias: string): void {
  checkAlias(alias);
  if (alias.toLowerCase() === "latest") throw invalid("'latest' alias name (case insensitive) is reserved.");
  if (/^[vV]\d+$/.test(alias)) throw invalid(`Version alias name '${alias}' is reserved.`);
}

/** The stage of a name in any case. */
export function checkStage(stage: string): ModelVersionStage {
  const found = STAGES.find((one) => one.toLowerCase() === stage.toLowerCase());
  if (found !== undefined) return found;
  throw invalid(`Invalid Model Version stage: ${stage}. Value must be one of ${STAGES.join(", ")}.`);
}

/** The stage that a version is moved to. */
export function checkTransition(stage: string, archives: boolean): ModelVersionStage {
  const found = checkStage(stage);
  if (!archives || ACTIVE_STAGES.includes(found)) return found;
  // MLflow's own code for it.
  throw new MlflowError(
    "INTERNAL_ERROR",
    `Model version transition cannot archive existing model versions because '${stage}' is not an Active stage. ` +
      `Valid stages are [${ACTIVE_STAGES.map((name) => `'${name}'`).join(", ")}]`,
  );
}

/** The stages whose latest versions are asked for; all of them where none is named. */
export function checkStages(stages: readonly string[] = []): readonly ModelVersionStage[] {
  return stages.length === 0 ? STAGES : stages.map(checkStage);
}

/** Whether tags say that what has them is a prompt and not a model. */
export function isPrompt(tags: Readonly<Record<string, string>> = {}): boolean {
  return tags[PROMPT_TAG]?.toLowerCase() === "true";
}

/** The refusal of a name that is in use. */
export function nameTaken(
  name: string,
  existing: Readonly<Record<string, string>>,
  made: Readonly<Record<string, string>> = {},
): MlflowError {
  const [old, fresh] = [existing, made].map((tags) => isPrompt(tags) ? "Prompt" : "Registered Model");
  return new MlflowError(
    "RESOURCE_ALREADY_EXISTS",
    old === fresh
      ? `${fresh} (name=${name}) already exists.`
      : `Tried to create a ${fresh.toLowerCase()} with name '${name}', but the name is already taken by a ` +
        `${old.toLowerCase()}. MLflow does not allow creating a model and a prompt with the same name.`,
  );
}

/** What is said of a registered model that is not there. */
export function modelNotFound(name: string): MlflowError {
  return new MlflowError("RESOURCE_DOES_NOT_EXIST", `Registered Model with name=${name} not found`);
}

/** What is said of a version that is not there. */
export function versionNotFound(name: string, version: number): MlflowError {
  return new MlflowError("RESOURCE_DOES_NOT_EXIST", `Model Version (name=${name}, version=${version}) not found`);
}

/** What is said of an alias that is not there. */
export function aliasNotFound(alias: string): MlflowError {
  return invalid(`Registered model alias ${alias} not found.`);
}

/** The version of the highest number among the latest ones of each stage. */
export function latestOf(name: string, versions: readonly ModelVersion[]): ModelVersion {
  if (versions.length > 0) return versions.reduce((a, b) => a.version > b.version ? a : b);
  throw new MlflowError("RESOURCE_DOES_NOT_EXIST", `Latest version not found for model ${name}.`);
}
