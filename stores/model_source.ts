import type { ModelVersion } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import { findModelVersion, isModelUri, parseModelUri } from "../registry/model_uri.ts";
import type { LoggedModels, NewModelVersion, RegistryStore } from "./registry_store.ts";

/** What a new version is made of, looked up. */
export interface ModelSource {
  /** The source, an alias or stage in it replaced by the number of the version that it means now. */
  readonly source: string;
  /** Where the files are. */
  readonly storageLocation: string;
  /** The run that made the model. */
  readonly runId: string | undefined;
  /** The logged model that it was made of. */
  readonly modelId: string | undefined;
}

/** Looks up what the source of a new version names: a logged model, another version, or a place. */
export async function findSource(
  { source, runId, modelId }: NewModelVersion,
  registry: RegistryStore,
  models: LoggedModels,
): Promise<ModelSource> {
  if (!isModelUri(source)) {
    const run = runId || (modelId && (await models.getLoggedModel(modelId)).sourceRunId);
    return { source, storageLocation: source, runId: run || undefined, modelId };
  }
  const uri = parseModelUri(source);
  try {
    if ("modelId" in uri) {
      const { artifactLocation, sourceRunId } = await models.getLoggedModel(uri.modelId);
      return { source, storageLocation: artifactLocation, runId: runId || sourceRunId, modelId: uri.modelId };
    }
    const version: ModelVersion = await findModelVersion(uri, registry);
    return {
      source: `models:/${version.name}/${version.version}`,
      storageLocation: await registry.getModelVersionDownloadUri(version.name, version.version),
      runId: runId || version.runId,
      modelId: modelId ?? version.modelId,
    };
  } catch (error) {
    if (!(error instanceof MlflowError)) throw error;
    // MLflow's own code for it.
    throw new MlflowError(
      "INTERNAL_ERROR",
      `Unable to fetch model from model URI source artifact location '${source}'.Error: ${error.reason}`,
      { cause: error },
    );
  }
}
