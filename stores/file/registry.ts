import { join } from "@std/path";
import type { ModelVersion, ModelVersionStage, ModelVersionStatus, Page, RegisteredModel } from "../../entities.ts";
import { modelIdOf } from "../../registry/model_uri.ts";
import { checkName, invalid } from "../../validate.ts";
import {
  aliasNotFound,
  checkAlias,
  checkModelName as checkAnyModelName,
  checkModelVersion,
  checkNewAlias,
  checkNewModelName,
  checkRegistryTag,
  checkRegistryTags,
  checkStages,
  checkTransition,
  latestOf,
  modelNotFound,
  nameTaken,
  versionNotFound,
} from "../../registry/validate_registry.ts";
import { modelVersionQuery, registeredModelQuery } from "../in_memory_registry_search.ts";
import { findSource } from "../model_source.ts";
import { pageOf, pageOffset } from "../page.ts";
import { modelLimit, versionLimit } from "../registry_page.ts";
import {
  DELETED_STAGE,
  type LoggedModels,
  type NewModelVersion,
  type NewRegisteredModel,
  type RegistrySearch,
  type RegistryStore,
  STAGES,
  type VersionNumber,
} from "../registry_store.ts";
import { checkKeys, listFolder, locked, readKeys, removeKey, writeKey } from "./files.ts";
import { type Meta, readMeta, readMetaAsync, writeMeta } from "./meta.ts";
import { mapSome, readSome } from "./read.ts";

/** The most bytes that file systems take for one name. */
const NAME_BYTES = 255;

/**
 * The registry in a folder, laid out as MLflow's: `models/<name>/` holds meta.yaml, `tags/`, `aliases/`, and
 * `version-<number>/` with its own meta.yaml and `tags/`. Deleted versions keep their folders.
 */
export class FileRegistry implements RegistryStore {
  readonly #root: string;

  /** @param root the folder of the store, as an absolute path */
  constructor(root: string) {
    this.#root = join(root, "models");
  }

  async createRegisteredModel({ name, tags = {}, description }: NewRegisteredModel): Promise<RegisteredModel> {
    checkModelName(name);
    checkRegistryTags(tags);
    const folder = this.#modelFolder(name);
    checkKeys(join(folder, "tags"), "tag", Object.keys(tags));
    const existing = await this.#readModel(name);
    if (existing !== undefined) throw nameTaken(name, existing.tags, tags);
    this.#locked(() => {
      if (readMeta(folder) !== undefined) throw nameTaken(name, {}, tags);
      Deno.mkdirSync(folder, { recursive: true });
      for (const [key, value] of Object.entries(tags)) writeKey(folder, "tags", key, value);
      const now = Date.now();
      writeMeta(folder, {
        aliases: {},
        creation_timestamp: now,
        deployment_job_id: null,
        deployment_job_state: null,
        description: description ?? null,
        last_updated_timestamp: now,
        name,
        workspace: "default",
      });
    });
    return await this.getRegisteredModel(name);
  }

  async getRegisteredModel(name: string): Promise<RegisteredModel> {
    checkModelName(name);
    const model = await this.#readModel(name);
    if (model === undefined) throw modelNotFound(name);
    return model;
  }

  async renameRegisteredModel(name: string, newName: string): Promise<RegisteredModel> {
    checkNewModelName(newName);
    checkModelName(name);
    checkModelName(newName);
    this.#locked(() => {
      const meta = this.#meta(name);
      const folder = this.#modelFolder(newName);
      if (newName !== name) {
        if (readMeta(folder) !== undefined) throw nameTaken(newName, {});
        Deno.renameSync(this.#modelFolder(name), folder);
      }
      const change = { name: newName, last_updated_timestamp: Date.now() };
      writeMeta(folder, { ...meta, ...change });
      for (const version of versionsIn(folder)) {
        const path = versionFolder(folder, version);
        const found = readMeta(path);
        if (found !== undefined) writeMeta(path, { ...found, ...change });
      }
    });
    return await this.getRegisteredModel(newName);
  }

  async updateRegisteredModel(name: string, description: string): Promise<RegisteredModel> {
    checkModelName(name);
    this.#locked(() => this.#touch(name, { description }));
    return await this.getRegisteredModel(name);
  }

  async deleteRegisteredModel(name: string): Promise<void> {
    checkModelName(name);
    this.#locked(() => {
      this.#meta(name);
      Deno.removeSync(this.#modelFolder(name), { recursive: true });
    });
  }

  async searchRegisteredModels(search: RegistrySearch = {}): Promise<Page<RegisteredModel>> {
    const limit = modelLimit(search.maxResults);
    const offset = pageOffset(search.pageToken);
    const query = registeredModelQuery(search);
    const models = await readSome(this.#places(), ({ name }) => this.#readModel(name));
    return pageOf(query.find(models).slice(offset, offset + limit + 1), limit, offset);
  }

  async getLatestVersions(name: string, stages?: readonly string[]): Promise<ModelVersion[]> {
    const { latestVersions } = await this.getRegisteredModel(name);
    const wanted = checkStages(stages);
    return latestVersions.filter(({ currentStage }) => wanted.includes(currentStage));
  }

  async setRegisteredModelTag(name: string, key: string, value: string): Promise<void> {
    checkModelName(name);
    checkRegistryTag(key, value);
    this.#locked(() => {
      this.#meta(name);
      this.#putTag(name, this.#modelFolder(name), key, value);
    });
  }

  async deleteRegisteredModelTag(name: string, key: string): Promise<void> {
    checkModelName(name);
    checkName(key, "key");
    this.#locked(() => {
      this.#meta(name);
      if (removeKey(this.#modelFolder(name), "tags", key)) this.#touch(name);
    });
  }

  async setRegisteredModelAlias(name: string, alias: string, version: VersionNumber): Promise<void> {
    checkModelName(name);
    checkNewAlias(alias);
    const number = checkModelVersion(version);
    this.#locked(() => {
      this.#versionMeta(name, number);
      writeKey(this.#modelFolder(name), "aliases", alias, String(number));
      this.#touch(name);
    });
  }

  async deleteRegisteredModelAlias(name: string, alias: string): Promise<void> {
    checkModelName(name);
    checkAlias(alias);
    this.#locked(() => {
      this.#meta(name);
      if (removeKey(this.#modelFolder(name), "aliases", alias)) this.#touch(name);
    });
  }

  async getModelVersionByAlias(name: string, alias: string): Promise<ModelVersion> {
    checkModelName(name);
    checkAlias(alias);
    const { aliases, latestVersions } = await this.getRegisteredModel(name);
    if (alias.toLowerCase() === "latest") return latestOf(name, latestVersions);
    if (!Object.hasOwn(aliases, alias)) throw aliasNotFound(alias);
    return await this.getModelVersion(name, aliases[alias]);
  }

  async createModelVersion(version: NewModelVersion, models: LoggedModels): Promise<ModelVersion> {
    const { name, runLink, description, tags = {} } = version;
    checkModelName(name);
    checkRegistryTags(tags);
    const { source, storageLocation, runId, modelId } = await findSource(version, this, models);
    const number = this.#locked(() => {
      this.#touch(name);
      const number = Math.max(0, ...versionsIn(this.#modelFolder(name))) + 1;
      const folder = this.#versionFolder(name, number);
      checkKeys(join(folder, "tags"), "tag", Object.keys(tags));
      Deno.mkdirSync(folder);
      for (const [key, value] of Object.entries(tags)) writeKey(folder, "tags", key, value);
      const now = Date.now();
      writeMeta(folder, {
        creation_timestamp: now,
        current_stage: "None",
        deployment_job_state: null,
        description: description ?? null,
        last_updated_timestamp: now,
        model_id: modelId ?? null,
        name,
        run_id: runId ?? null,
        run_link: runLink ?? null,
        source,
        status: "READY",
        status_message: null,
        storage_location: storageLocation,
        user_id: null,
        version: number,
        workspace: "default",
      });
      return number;
    });
    return await this.getModelVersion(name, number);
  }

  async getModelVersion(name: string, version: VersionNumber): Promise<ModelVersion> {
    checkModelName(name);
    const number = checkModelVersion(version);
    this.#versionMeta(name, number);
    const aliases = Object.fromEntries(await readKeys(join(this.#modelFolder(name), "aliases")));
    const found = await this.#readVersion(name, number, aliases);
    if (found === undefined) throw versionNotFound(name, number);
    return found;
  }

  async updateModelVersion(name: string, version: VersionNumber, description: string): Promise<ModelVersion> {
    checkModelName(name);
    const number = checkModelVersion(version);
    this.#locked(() => this.#changeVersion(name, number, { description }));
    return await this.getModelVersion(name, number);
  }

  async transitionModelVersionStage(
    name: string,
    version: VersionNumber,
    stage: string,
    options: { readonly archiveExistingVersions?: boolean } = {},
  ): Promise<ModelVersion> {
    const { archiveExistingVersions = false } = options;
    const to = checkTransition(stage, archiveExistingVersions);
    checkModelName(name);
    const number = checkModelVersion(version);
    this.#locked(() => {
      this.#versionMeta(name, number);
      for (const other of archiveExistingVersions ? versionsIn(this.#modelFolder(name)) : []) {
        const found = readMeta(this.#versionFolder(name, other));
        if (other !== number && found?.current_stage === to) {
          this.#changeVersion(name, other, { current_stage: "Archived" });
        }
      }
      this.#changeVersion(name, number, { current_stage: to });
      this.#touch(name);
    });
    return await this.getModelVersion(name, number);
  }

  async deleteModelVersion(name: string, version: VersionNumber): Promise<void> {
    const number = checkModelVersion(version);
    checkModelName(name);
    const { aliases } = await this.getModelVersion(name, number);
    this.#locked(() => {
      this.#changeVersion(name, number, { current_stage: DELETED_STAGE });
      for (const alias of aliases) removeKey(this.#modelFolder(name), "aliases", alias);
      this.#touch(name);
    });
  }

  async searchModelVersions(search: RegistrySearch = {}): Promise<Page<ModelVersion>> {
    const limit = versionLimit(search.maxResults);
    const offset = pageOffset(search.pageToken);
    const query = modelVersionQuery(search);
    const versions = (await readSome(this.#places(), ({ name }) => this.#readVersions(name))).flat();
    return pageOf(query.find(versions).slice(offset, offset + limit + 1), limit, offset);
  }

  async setModelVersionTag(name: string, version: VersionNumber, key: string, value: string): Promise<void> {
    checkModelName(name);
    const number = checkModelVersion(version);
    checkRegistryTag(key, value);
    this.#locked(() => {
      this.#versionMeta(name, number);
      this.#putTag(name, this.#versionFolder(name, number), key, value);
    });
  }

  async deleteModelVersionTag(name: string, version: VersionNumber, key: string): Promise<void> {
    checkModelName(name);
    const number = checkModelVersion(version);
    checkName(key, "key");
    this.#locked(() => {
      this.#versionMeta(name, number);
      if (removeKey(this.#versionFolder(name, number), "tags", key)) this.#touch(name);
    });
  }

  async getModelVersionDownloadUri(name: string, version: VersionNumber): Promise<string> {
    checkModelName(name);
    const meta = this.#versionMeta(name, checkModelVersion(version));
    // Versions of before MLflow 2.3 have a source alone.
    return String(meta.storage_location || meta.source);
  }

  #locked<T>(work: () => T): T {
    Deno.mkdirSync(this.#root, { recursive: true });
    return locked(this.#root, work);
  }

  /** The folders that may be registered models. */
  #places(): { readonly name: string; readonly folder: string }[] {
    return listFolder(this.#root).filter(({ isFile }) => !isFile)
      .map(({ name }) => ({ name, folder: this.#modelFolder(name) }));
  }

  #modelFolder(name: string): string {
    return join(this.#root, name);
  }

  #versionFolder(name: string, version: number): string {
    return versionFolder(this.#modelFolder(name), version);
  }

  #meta(name: string): Meta {
    const meta = readMeta(this.#modelFolder(name));
    if (meta === undefined) throw modelNotFound(name);
    return meta;
  }

  #versionMeta(name: string, version: number): Meta {
    this.#meta(name);
    const meta = readMeta(this.#versionFolder(name, version));
    if (meta === undefined || meta.current_stage === DELETED_STAGE) throw versionNotFound(name, version);
    return meta;
  }

  /** Changes a registered model, of which the time of its last change is one field. */
  #touch(name: string, change: Meta = {}): void {
    writeMeta(this.#modelFolder(name), { ...this.#meta(name), ...change, last_updated_timestamp: Date.now() });
  }

  #changeVersion(name: string, version: number, change: Meta): void {
    const meta = this.#versionMeta(name, version);
    writeMeta(this.#versionFolder(name, version), { ...meta, ...change, last_updated_timestamp: Date.now() });
  }

  #putTag(name: string, folder: string, key: string, value: string): void {
    checkKeys(join(folder, "tags"), "tag", [key]);
    writeKey(folder, "tags", key, value);
    this.#touch(name);
  }

  async #readModel(name: string): Promise<RegisteredModel | undefined> {
    const folder = this.#modelFolder(name);
    const meta = await readMetaAsync(folder);
    if (meta === undefined) return undefined;
    const [tags, aliases, versions] = await Promise.all([
      readKeys(join(folder, "tags")),
      readKeys(join(folder, "aliases")),
      this.#readVersions(name),
    ]);
    const latest = STAGES.flatMap((stage) => versions.findLast(({ currentStage }) => currentStage === stage) ?? []);
    return {
      name,
      creationTimestamp: Number(meta.creation_timestamp ?? 0),
      lastUpdatedTimestamp: Number(meta.last_updated_timestamp ?? 0),
      description: text(meta.description),
      latestVersions: latest.sort((a, b) => a.version - b.version),
      tags: Object.fromEntries(tags),
      aliases: Object.fromEntries(aliases.map(([alias, version]) => [alias, Number(version)])),
    };
  }

  /** The versions of a model, deleted ones left out, by their numbers. */
  async #readVersions(name: string): Promise<ModelVersion[]> {
    const folder = this.#modelFolder(name);
    const aliases = Object.fromEntries(await readKeys(join(folder, "aliases")));
    const versions = await mapSome(versionsIn(folder), (version) => this.#readVersion(name, version, aliases));
    return versions.filter((version) => version !== undefined);
  }

  async #readVersion(
    name: string,
    version: number,
    aliases: Readonly<Record<string, string>>,
  ): Promise<ModelVersion | undefined> {
    const folder = this.#versionFolder(name, version);
    const meta = await readMetaAsync(folder);
    if (meta === undefined || meta.current_stage === DELETED_STAGE) return undefined;
    const source = text(meta.source) ?? "";
    return {
      name,
      version,
      creationTimestamp: Number(meta.creation_timestamp ?? 0),
      lastUpdatedTimestamp: Number(meta.last_updated_timestamp ?? 0),
      description: text(meta.description),
      userId: text(meta.user_id),
      currentStage: (meta.current_stage ?? "None") as ModelVersionStage,
      source,
      runId: text(meta.run_id),
      runLink: text(meta.run_link),
      status: (meta.status ?? "READY") as ModelVersionStatus,
      statusMessage: text(meta.status_message),
      modelId: text(meta.model_id) ?? modelIdOf(source),
      tags: Object.fromEntries(await readKeys(join(folder, "tags"))),
      aliases: Object.entries(aliases).filter(([, number]) => Number(number) === version).map(([alias]) => alias),
    };
  }
}

function versionFolder(model: string, version: number): string {
  return join(model, `version-${version}`);
}

/** The numbers of the versions that a model's folder has, deleted ones too. */
function versionsIn(folder: string): number[] {
  return listFolder(folder)
    .map(({ name }) => Number(/^version-(\d+)$/.exec(name)?.[1]))
    .filter((version) => version > 0)
    .sort((a, b) => a - b);
}

/** Checks the name of a registered model, which is that of a folder. */
function checkModelName(name: string): void {
  checkAnyModelName(name);
  if (/[\\\0]/.test(name)) {
    throw invalid(`Invalid name: '${name}'. Registered model name cannot contain path separator`);
  }
  if (name.includes("%")) throw invalid(`Invalid name: '${name}'. Registered model name cannot contain '%' character`);
  if (new TextEncoder().encode(name).length <= NAME_BYTES) return;
  throw invalid(
    `the file store cannot keep a model of the name "${name.slice(0, 40)}…": it may take ${NAME_BYTES} bytes`,
  );
}

function text(value: unknown): string | undefined {
  return value === null || value === undefined || value === "" ? undefined : String(value);
}
