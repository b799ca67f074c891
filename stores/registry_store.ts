import type { LoggedModel, ModelVersion, ModelVersionStage, Page, RegisteredModel } from "../entities.ts";
import type { StoreSearch } from "./store.ts";

/** What a new registered model is made of. */
export interface NewRegisteredModel {
  /** Its name; `/` and `:` cannot be in it. */
  readonly name: string;
  /** Its tags. */
  readonly tags?: Readonly<Record<string, string>>;
  /** What it is. */
  readonly description?: string;
}

/** What a new version of a registered model is made of. */
export interface NewModelVersion {
  /** The name of the registered model, which has to be there. */
  readonly name: string;
  /** `models:/m-…`, `models:/<name>/<version>`, or the path or URI of the model's folder. */
  readonly source: string;
  /** The run that made the model. @default {that of the logged model} */
  readonly runId?: string;
  /** A link to that run, if it is kept elsewhere. */
  readonly runLink?: string;
  /** The logged model that the source belongs to. */
  readonly modelId?: string;
  /** What it is. */
  readonly description?: string;
  /** Its tags. */
  readonly tags?: Readonly<Record<string, string>>;
}

/** A search for registered models or for versions. */
export type RegistrySearch = Omit<StoreSearch, "viewType">;

/** What knows the logged models that versions are made of: the tracking store. */
export interface LoggedModels {
  /** The logged model of this id. */
  getLoggedModel(modelId: string): Promise<LoggedModel>;
}

/** The number of a version: a whole number, or its digits. */
export type VersionNumber = number | string;

/**
 * Where registered models, their versions, tags and aliases are kept.
 *
 * Each sentence here is held by the contract test that every store passes. Whatever MLflow refuses, a store refuses with
 * an `MlflowError` of MLflow's code and sentence. Models and versions that are not there give `RESOURCE_DOES_NOT_EXIST`.
 */
export interface RegistryStore {
  /** Makes a registered model. A name in use is `RESOURCE_ALREADY_EXISTS`. */
  createRegisteredModel(model: NewRegisteredModel): Promise<RegisteredModel>;
  /** The registered model, with the latest version of each stage. */
  getRegisteredModel(name: string): Promise<RegisteredModel>;
  /** Renames a registered model; its versions, tags and aliases go along. A name in use is `RESOURCE_ALREADY_EXISTS`. */
  renameRegisteredModel(name: string, newName: string): Promise<RegisteredModel>;
  /** Replaces the description of a registered model. */
  updateRegisteredModel(name: string, description: string): Promise<RegisteredModel>;
  /** Deletes a registered model with its versions, tags and aliases for good. */
  deleteRegisteredModel(name: string): Promise<void>;
  /** Registered models that the filter finds, by name without an order; prompts only where the filter asks for them. */
  searchRegisteredModels(search?: RegistrySearch): Promise<Page<RegisteredModel>>;
  /** The latest version of each of the stages, or of every stage. */
  getLatestVersions(name: string, stages?: readonly string[]): Promise<ModelVersion[]>;
  /** Sets a tag of a registered model. */
  setRegisteredModelTag(name: string, key: string, value: string): Promise<void>;
  /** Removes a tag of a registered model; one that is not there is no error. */
  deleteRegisteredModelTag(name: string, key: string): Promise<void>;
  /** Lets an alias mean a version, and no other one from then on; `latest` and `v1` cannot be aliases. */
  setRegisteredModelAlias(name: string, alias: string, version: VersionNumber): Promise<void>;
  /** Removes an alias; one that is not there is no error. */
  deleteRegisteredModelAlias(name: string, alias: string): Promise<void>;
  /** The version that an alias means; `latest` means the one of the highest number. */
  getModelVersionByAlias(name: string, alias: string): Promise<ModelVersion>;

  /**
   * Makes a `READY` version, numbered one above the highest there ever was. Of a logged model (`models:/m-…`) it takes
   * the files' location, and its run where none is given; of another version (`models:/<name>/<version>`) the location.
   *
   * @param models what knows the logged models; a server asks its own
   */
  createModelVersion(version: NewModelVersion, models: LoggedModels): Promise<ModelVersion>;
  /** The version with its tags and aliases; a deleted one is not found. */
  getModelVersion(name: string, version: VersionNumber): Promise<ModelVersion>;
  /** Replaces the description of a version. */
  updateModelVersion(name: string, version: VersionNumber, description: string): Promise<ModelVersion>;
  /**
   * Moves a version to a stage, whose name may be written in any case.
   *
   * @param options `archiveExistingVersions`: archives the versions that are in the stage, `Staging` or `Production`
   */
  transitionModelVersionStage(
    name: string,
    version: VersionNumber,
    stage: string,
    options?: { readonly archiveExistingVersions?: boolean },
  ): Promise<ModelVersion>;
  /** Deletes a version and its aliases; its number is not used again. */
  deleteModelVersion(name: string, version: VersionNumber): Promise<void>;
  /** Versions that the filter finds; without an order the last changed comes first. */
  searchModelVersions(search?: RegistrySearch): Promise<Page<ModelVersion>>;
  /** Sets a tag of a version. */
  setModelVersionTag(name: string, version: VersionNumber, key: string, value: string): Promise<void>;
  /** Removes a tag of a version; one that is not there is no error. */
  deleteModelVersionTag(name: string, version: VersionNumber, key: string): Promise<void>;
  /** Where the files of a version are: a path or URI as logged models have it. */
  getModelVersionDownloadUri(name: string, version: VersionNumber): Promise<string>;
}

/** The stages, in MLflow's order. */
export const STAGES: readonly ModelVersionStage[] = ["None", "Staging", "Production", "Archived"];

/** The stage of deleted versions, which no version is given out in. */
export const DELETED_STAGE = "Deleted_Internal";

/** The tag that tells a prompt from a model. */
export const PROMPT_TAG = "mlflow.prompt.is_prompt";
