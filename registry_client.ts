import type { ModelVersion, ModelVersionStage, Page, RegisteredModel } from "./entities.ts";
import { doing, MlflowError } from "./errors.ts";
import { findModelVersion, isModelUri, parseModelUri } from "./registry/model_uri.ts";
import { pythonText, pythonTexts } from "./python_text.ts";
import { SearchResults } from "./search.ts";
import { absoluteUri, openStore } from "./stores/open_store.ts";
import {
  type LoggedModels,
  type NewModelVersion,
  type RegistryStore,
  STAGES,
  type VersionNumber,
} from "./stores/registry_store.ts";
import { isPrompt } from "./registry/validate_registry.ts";

/** A search for registered models, or for versions of them. */
export interface RegistrySearchOptions {
  /** MLflow's filter text, such as `name LIKE 'flowers%' AND tags.team = 'a'`. */
  readonly filter?: string;
  /** MLflow's order terms, such as `last_updated_timestamp DESC`. */
  readonly orderBy?: readonly string[];
  /** The most entries to give. @default {Infinity} */
  readonly maxResults?: number;
}

/** Extras of a new registered model. */
export interface CreateRegisteredModelOptions {
  /** Its tags; they are written as Python would write them. */
  readonly tags?: Readonly<Record<string, unknown>>;
  /** What it is. */
  readonly description?: string;
}

/** Extras of a new version of a registered model. */
export interface CreateModelVersionOptions extends Omit<NewModelVersion, "name" | "source" | "tags"> {
  /** Its tags; they are written as Python would write them. */
  readonly tags?: Readonly<Record<string, unknown>>;
}

/** Entries asked of a registry at a time. */
const PAGE_SIZE = 1000;

/** The part of {@linkcode MlflowClient} that registers models. */
export class RegistryClient {
  /** The URI of the model registry that the client works with. */
  readonly registryUri: string;
  readonly #uri: string;
  readonly #trackingUri: string;

  /**
   * Makes a client; the registry is opened at its first use.
   *
   * @param trackingUri whose runs and logged models versions are made of
   * @param registryUri where registered models are kept
   */
  constructor(trackingUri: string, registryUri: string) {
    this.registryUri = registryUri;
    this.#uri = absoluteUri(registryUri);
    this.#trackingUri = absoluteUri(trackingUri);
  }

  /** Makes a registered model, to keep versions of a model under. A name in use is `RESOURCE_ALREADY_EXISTS`. */
  async createRegisteredModel(name: string, options: CreateRegisteredModelOptions = {}): Promise<RegisteredModel> {
    const tags = pythonTexts(options.tags ?? {});
    return await this.#do(`Cannot create registered model "${name}"`, async (registry) => {
      if (isPrompt(tags)) throw new MlflowError("INVALID_PARAMETER_VALUE", "Prompts cannot be registered as models.");
      return await registry.createRegisteredModel({ ...options, name, tags });
    });
  }

  /** The registered model of this name, with the latest version of each stage. */
  async getRegisteredModel(name: string): Promise<RegisteredModel> {
    return await this.#do(`Cannot get registered model "${name}"`, (registry) => registry.getRegisteredModel(name));
  }

  /** Renames a registered model; its versions, tags and aliases go along. */
  async renameRegisteredModel(name: string, newName: string): Promise<RegisteredModel> {
    return await this.#do(
      `Cannot rename registered model "${name}" to "${newName}"`,
      (registry) => registry.renameRegisteredModel(name, newName),
    );
  }

  /** Replaces the description of a registered model. */
  async updateRegisteredModel(
    name: string,
    { description }: { readonly description: string },
  ): Promise<RegisteredModel> {
    return await this.#do(
      `Cannot update registered model "${name}"`,
      (registry) => registry.updateRegisteredModel(name, description),
    );
  }

  /** Deletes a registered model with all its versions for good; files of models stay where they are. */
  async deleteRegisteredModel(name: string): Promise<void> {
    await this.#do(`Cannot delete registered model "${name}"`, (registry) => registry.deleteRegisteredModel(name));
  }

  /** Registered models that the filter finds, by name without an order. */
  searchRegisteredModels(options: RegistrySearchOptions = {}): SearchResults<RegisteredModel> {
    return this.#search("registered models", options, (registry, page) => registry.searchRegisteredModels(page));
  }

  /** The latest version of each of the stages, or of every stage. */
  async getLatestVersions(name: string, stages?: readonly string[]): Promise<ModelVersion[]> {
    return await this.#do(
      `Cannot get the latest versions of registered model "${name}"`,
      (registry) => registry.getLatestVersions(name, stages),
    );
  }

  /** Sets a tag of a registered model. The value is written as Python would write it. */
  async setRegisteredModelTag(name: string, key: string, value: unknown): Promise<void> {
    await this.#do(
      `Cannot set tag "${key}" of registered model "${name}"`,
      (registry) => registry.setRegisteredModelTag(name, key, pythonText(value)),
    );
  }

  /** Removes a tag of a registered model. */
  async deleteRegisteredModelTag(name: string, key: string): Promise<void> {
    await this.#do(
      `Cannot delete tag "${key}" of registered model "${name}"`,
      (registry) => registry.deleteRegisteredModelTag(name, key),
    );
  }

  /** Lets an alias, such as `champion`, mean a version from now on: `models:/<name>@champion`. */
  async setRegisteredModelAlias(name: string, alias: string, version: VersionNumber): Promise<void> {
    await this.#do(
      `Cannot set alias "${alias}" of registered model "${name}"`,
      (registry) => registry.setRegisteredModelAlias(name, alias, version),
    );
  }

  /** Removes an alias of a registered model. */
  async deleteRegisteredModelAlias(name: string, alias: string): Promise<void> {
    await this.#do(
      `Cannot delete alias "${alias}" of registered model "${name}"`,
      (registry) => registry.deleteRegisteredModelAlias(name, alias),
    );
  }

  /** The version that an alias means; `latest` means the one of the highest number. */
  async getModelVersionByAlias(name: string, alias: string): Promise<ModelVersion> {
    return await this.#do(
      `Cannot get version "${alias}" of registered model "${name}"`,
      (registry) => registry.getModelVersionByAlias(name, alias),
    );
  }

  /**
   * Makes a version of a registered model that is there; `registerModel` does all that is needed for one.
   *
   * @param source `models:/m-…`, `models:/<name>/<version>`, or the path or URI of the model's folder
   */
  async createModelVersion(
    name: string,
    source: string,
    options: CreateModelVersionOptions = {},
  ): Promise<ModelVersion> {
    return await this.#do(
      `Cannot create a version of registered model "${name}"`,
      (registry) =>
        registry.createModelVersion({ ...options, name, source, tags: pythonTexts(options.tags ?? {}) }, this.#models),
    );
  }

  /**
   * Makes a version of a registered model out of another one's, with its run, tags and description. A registered model
   * that is not there is made.
   *
   * @param sourceUri `models:/<name>/<version>`, `models:/<name>@<alias>`, `models:/<name>/<stage>`
   */
  async copyModelVersion(sourceUri: string, name: string): Promise<ModelVersion> {
    return await this.#do(`Cannot copy "${sourceUri}" to registered model "${name}"`, async (registry) => {
      const copied = await findSource(sourceUri, registry);
      await registry.createRegisteredModel({ name }).catch((error) => {
        if (!(error instanceof MlflowError && error.code === "RESOURCE_ALREADY_EXISTS")) throw error;
      });
      const { runId, runLink, description, tags } = copied;
      const source = `models:/${copied.name}/${copied.version}`;
      return await registry.createModelVersion({ name, source, runId, runLink, description, tags }, this.#models);
    });
  }

  /** A version of a registered model. */
  async getModelVersion(name: string, version: VersionNumber): Promise<ModelVersion> {
    return await this.#do(
      `Cannot get version ${version} of registered model "${name}"`,
      (registry) => registry.getModelVersion(name, version),
    );
  }

  /** Replaces the description of a version. */
  async updateModelVersion(
    name: string,
    version: VersionNumber,
    { description }: { readonly description: string },
  ): Promise<ModelVersion> {
    return await this.#do(
      `Cannot update version ${version} of registered model "${name}"`,
      (registry) => registry.updateModelVersion(name, version, description),
    );
  }

  /**
   * Moves a version to a stage. MLflow has deprecated stages: aliases say the same and more.
   *
   * @param stage `None`, `Staging`, `Production` or `Archived`
   * @param options `archiveExistingVersions`: archives the versions that are in the stage, `Staging` or `Production`
   */
  async transitionModelVersionStage(
    name: string,
    version: VersionNumber,
    stage: string,
    options: { readonly archiveExistingVersions?: boolean } = {},
  ): Promise<ModelVersion> {
    return await this.#do(
      `Cannot move version ${version} of registered model "${name}" to stage "${stage}"`,
      (registry) => registry.transitionModelVersionStage(name, version, stage, options),
    );
  }

  /** Deletes a version and its aliases for good; its number is not used again, and the model's files stay. */
  async deleteModelVersion(name: string, version: VersionNumber): Promise<void> {
    await this.#do(
      `Cannot delete version ${version} of registered model "${name}"`,
      (registry) => registry.deleteModelVersion(name, version),
    );
  }

  /** Versions that the filter finds; without an order the last changed comes first. */
  searchModelVersions(options: RegistrySearchOptions = {}): SearchResults<ModelVersion> {
    return this.#search("model versions", options, (registry, page) => registry.searchModelVersions(page));
  }

  /**
   * Sets a tag of a version. The value is written as Python would write it.
   *
   * @param version its number, or `{ stage }` for the latest one of a stage
   */
  async setModelVersionTag(
    name: string,
    version: VersionNumber | { readonly stage: string },
    key: string,
    value: unknown,
  ): Promise<void> {
    await this.#do(
      `Cannot set tag "${key}" of ${shown(version)} of registered model "${name}"`,
      async (registry) =>
        registry.setModelVersionTag(name, await numberOf(registry, name, version), key, pythonText(value)),
    );
  }

  /**
   * Removes a tag of a version.
   *
   * @param version its number, or `{ stage }` for the latest one of a stage
   */
  async deleteModelVersionTag(
    name: string,
    version: VersionNumber | { readonly stage: string },
    key: string,
  ): Promise<void> {
    await this.#do(
      `Cannot delete tag "${key}" of ${shown(version)} of registered model "${name}"`,
      async (registry) => registry.deleteModelVersionTag(name, await numberOf(registry, name, version), key),
    );
  }

  /** Where the files of a version are: a path or URI as logged models have it. */
  async getModelVersionDownloadUri(name: string, version: VersionNumber): Promise<string> {
    return await this.#do(
      `Cannot get the files of version ${version} of registered model "${name}"`,
      (registry) => registry.getModelVersionDownloadUri(name, version),
    );
  }

  /** The stages that versions can be in. */
  async getModelVersionStages(): Promise<readonly ModelVersionStage[]> {
    return STAGES;
  }

  /** What knows the logged models; the tracking store is opened where it is asked. */
  get #models(): LoggedModels {
    return { getLoggedModel: async (modelId) => (await openStore(this.#trackingUri)).getLoggedModel(modelId) };
  }

  async #do<T>(action: string, work: (registry: RegistryStore) => Promise<T>): Promise<T> {
    const { registry } = await openStore(this.#uri);
    return await doing(action, () => work(registry));
  }

  #search<T>(
    what: string,
    { maxResults, ...search }: RegistrySearchOptions,
    getPage: (
      registry: RegistryStore,
      page: RegistrySearchOptions & { readonly pageToken: string | undefined },
    ) => Promise<Page<T>>,
  ): SearchResults<T> {
    const size = Math.min(PAGE_SIZE, maxResults ?? PAGE_SIZE);
    return new SearchResults(
      (pageToken) =>
        this.#do(
          `Cannot search ${what}`,
          (registry) => getPage(registry, { ...search, maxResults: size, pageToken }),
        ),
      maxResults,
    );
  }
}

/** The version that a copy is made of. */
async function findSource(uri: string, registry: RegistryStore): Promise<ModelVersion> {
  // The codes are MLflow's own.
  if (!isModelUri(uri)) {
    throw new MlflowError(
      "INTERNAL_ERROR",
      `Unsupported source model URI: '${uri}'. The \`copy_model_version\` API only copies models stored in the 'models:/' ` +
        "scheme.",
    );
  }
  try {
    const parsed = parseModelUri(uri);
    if (!("modelId" in parsed)) return await findModelVersion(parsed, registry);
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      "it names no version but a logged model, which registerModel takes",
    );
  } catch (error) {
    if (!(error instanceof MlflowError)) throw error;
    const reason = `Failed to fetch model version from source model URI: '${uri}'. Error: ${error.reason}`;
    throw new MlflowError("INTERNAL_ERROR", reason, { cause: error });
  }
}

async function numberOf(
  registry: RegistryStore,
  name: string,
  version: VersionNumber | { readonly stage: string },
): Promise<VersionNumber> {
  if (typeof version !== "object") return version;
  const [latest] = await registry.getLatestVersions(name, [version.stage]);
  if (latest !== undefined) return latest.version;
  // MLflow's own code for it.
  throw new MlflowError("INTERNAL_ERROR", `Could not find any model version for ${version.stage} stage`);
}

function shown(version: VersionNumber | { readonly stage: string }): string {
  return typeof version === "object" ? `the latest version in stage "${version.stage}"` : `version ${version}`;
}
