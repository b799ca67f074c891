import { resolve } from "@std/path";
import { openRepository } from "./artifacts/open_repository.ts";
import { appendToUri, hasScheme } from "./artifacts/uri.ts";
import { MlflowClient, type SearchResults } from "./client.ts";
import type { ModelVersion, RegisteredModel } from "./entities.ts";
import { doing, MlflowError } from "./errors.ts";
import { MLMODEL } from "./model/mlmodel.ts";
import { findModelVersion, isModelUri, parseModelUri } from "./registry/model_uri.ts";
import { MODEL_VERSIONS_TAG, withModelVersion } from "./registry/model_versions_tag.ts";
import type { RegistrySearchOptions } from "./registry_client.ts";
import type { VersionNumber } from "./stores/registry_store.ts";

/** How a model is registered. */
export interface RegisterModelOptions {
  /** Tags of the version; they are written as Python would write them. */
  readonly tags?: Readonly<Record<string, unknown>>;
  /** Whose runs, logged models and registry are meant. @default {those of the tracking and registry URIs in force} */
  readonly client?: MlflowClient;
}

/** What a version is made of. */
interface Source {
  readonly source: string;
  readonly runId?: string;
  /** The logged model that the version is to be noted at. */
  readonly modelId?: string;
}

/**
 * Registers a model: makes the next version of the registered model of this name, which is made where it is missing.
 *
 * ```ts ignore
 * const model = await run.logModel(classifier, { name: "classifier" });
 * const { version } = await mlflow.registerModel(`models:/${model.modelId}`, "digits");
 * await new mlflow.MlflowClient().setRegisteredModelAlias("digits", "champion", version);
 * await mlflow.loadModel(tf, "models:/digits@champion");
 * ```
 *
 * @param modelUri `models:/m-…`, `runs:/<run id>/<model's name or path>`, `models:/<name>/<version>`, or the path or URI of
 * a model's folder
 */
export async function registerModel(
  modelUri: string,
  name: string,
  options: RegisterModelOptions = {},
): Promise<ModelVersion> {
  const { tags, client = new MlflowClient() } = options;
  return await doing(`Cannot register model "${modelUri}" as "${name}"`, async () => {
    // First what may be wrong: it leaves no registered model without versions.
    const { source, runId, modelId } = await sourceOf(modelUri, client);
    try {
      await client.createRegisteredModel(name);
    } catch (error) {
      if (!(error instanceof MlflowError && error.code === "RESOURCE_ALREADY_EXISTS")) throw error;
    }
    const version = await client.createModelVersion(name, source, { runId, tags });
    if (modelId !== undefined) await note(version, modelId, client);
    return version;
  });
}

/** Registered models that the filter finds, by name without an order. */
export function searchRegisteredModels(options: RegistrySearchOptions = {}): SearchResults<RegisteredModel> {
  return new MlflowClient().searchRegisteredModels(options);
}

/** Versions of registered models that the filter finds; without an order the last changed comes first. */
export function searchModelVersions(options: RegistrySearchOptions = {}): SearchResults<ModelVersion> {
  return new MlflowClient().searchModelVersions(options);
}

/** Sets a tag of a version of a registered model. The value is written as Python would write it. */
export async function setModelVersionTag(
  name: string,
  version: VersionNumber,
  key: string,
  value: unknown,
): Promise<void> {
  await new MlflowClient().setModelVersionTag(name, version, key, value);
}

async function sourceOf(uri: string, client: MlflowClient): Promise<Source> {
  if (isModelUri(uri)) {
    const parsed = parseModelUri(uri);
    if ("modelId" in parsed) return { source: uri, modelId: parsed.modelId };
    const { name, version, runId, modelId } = await findModelVersion(parsed, client);
    return { source: `models:/${name}/${version}`, runId, modelId };
  }
  const [, runId, path = ""] = /^runs:\/+([^/]+)\/*(.*?)\/*$/i.exec(uri) ?? [];
  if (runId !== undefined) return await ofRun(runId, path, client);
  // What is relative is so to this program alone.
  return { source: hasScheme(uri) ? uri : resolve(Deno.cwd(), uri) };
}

/** The folder among the run's artifacts, or else the model of that name that the run has logged at its highest step. */
async function ofRun(runId: string, path: string, client: MlflowClient): Promise<Source> {
  const { info, outputs } = await client.getRun(runId);
  const source = path === "" ? info.artifactUri : appendToUri(info.artifactUri, path);
  const files = await (await openRepository(source, { trackingUri: client.trackingUri })).list("");
  if (files.some((file) => file.path === MLMODEL)) return { source, runId };
  const steps = new Map(outputs.modelOutputs.map(({ modelId, step }) => [modelId, step]));
  const named = await client.searchLoggedModels({
    experimentIds: [info.experimentId],
    filter: `name = '${path.replaceAll("'", "")}'`,
  }).toArray();
  const [model] = named.filter(({ sourceRunId }) => sourceRunId === runId)
    .toSorted((a, b) => (steps.get(b.modelId) ?? -1) - (steps.get(a.modelId) ?? -1));
  if (model !== undefined) return { source: `models:/${model.modelId}`, runId, modelId: model.modelId };
  throw new MlflowError(
    "NOT_FOUND",
    `Unable to find a logged_model with artifact_path ${path} under run ${runId}`,
  );
}

/** Notes a version at the logged model that it was made of, which servers since MLflow 3.16 do themselves. */
async function note(version: ModelVersion, modelId: string, client: MlflowClient): Promise<void> {
  try {
    const { tags } = await client.getLoggedModel(modelId);
    const value = withModelVersion(tags[MODEL_VERSIONS_TAG], version);
    if (value !== tags[MODEL_VERSIONS_TAG]) await client.setLoggedModelTags(modelId, { [MODEL_VERSIONS_TAG]: value });
  } catch (error) {
    if (!(error instanceof MlflowError && error.code === "RESOURCE_DOES_NOT_EXIST")) throw error;
    console.warn(`Version ${version.version} of ${version.name} is not noted at ${modelId}: ${error.reason}`);
  }
}
