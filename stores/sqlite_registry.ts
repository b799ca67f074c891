import type { SQLInputValue } from "node:sqlite";
import type { ModelVersion, ModelVersionStage, ModelVersionStatus, Page, RegisteredModel } from "../entities.ts";
import { modelIdOf } from "../registry/model_uri.ts";
import {
  aliasNotFound,
  checkAlias,
  checkModelName,
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
} from "../registry/validate_registry.ts";
import { checkName } from "../validate.ts";
import { findSource } from "./model_source.ts";
import { pageOf, pageOffset } from "./page.ts";
import {
  DELETED_STAGE,
  type LoggedModels,
  type NewModelVersion,
  type NewRegisteredModel,
  type RegistrySearch,
  type RegistryStore,
  type VersionNumber,
} from "./registry_store.ts";
import { modelLimit, versionLimit } from "./registry_page.ts";
import type { Row, SqliteDatabase } from "./sqlite_database.ts";
import { modelVersionQuery, registeredModelQuery } from "./sqlite_registry_query.ts";
import { toRecord } from "./sqlite_rows.ts";

const MODEL_COLUMNS =
  "r.name, CAST(r.creation_time AS REAL) AS created, CAST(r.last_updated_time AS REAL) AS updated, " +
  "r.description";
const VERSION_COLUMNS = "v.name, v.version, CAST(v.creation_time AS REAL) AS created, " +
  "CAST(v.last_updated_time AS REAL) AS updated, v.description, v.user_id, v.current_stage, v.source, v.run_id, " +
  "v.status, v.status_message, v.run_link";

/** The registry in MLflow's tables, beside the runs of the same file. */
export class SqliteRegistry implements RegistryStore {
  readonly #db: SqliteDatabase;

  constructor(db: SqliteDatabase) {
    this.#db = db;
  }

  async createRegisteredModel({ name, tags = {}, description }: NewRegisteredModel): Promise<RegisteredModel> {
    checkModelName(name);
    checkRegistryTags(tags);
    return await this.#db.write(() => {
      if (this.#hasModel(name)) throw nameTaken(name, this.#model(name).tags, tags);
      const now = Date.now();
      this.#db.run(
        "INSERT INTO registered_models (name, creation_time, last_updated_time, description) VALUES (?, ?, ?, ?)",
        name,
        now,
        now,
        description ?? null,
      );
      for (const [key, value] of Object.entries(tags)) this.#putModelTag(name, key, value);
      return this.#model(name);
    });
  }

  async getRegisteredModel(name: string): Promise<RegisteredModel> {
    checkModelName(name);
    return await this.#db.read(() => this.#model(name));
  }

  async renameRegisteredModel(name: string, newName: string): Promise<RegisteredModel> {
    checkNewModelName(newName);
    checkModelName(name);
    return await this.#db.write(() => {
      this.#checkModel(name);
      if (newName !== name && this.#hasModel(newName)) throw nameTaken(newName, {});
      const now = Date.now();
      // Versions, tags and aliases follow by their foreign keys.
      this.#change("registered_models", { name: newName, last_updated_time: now }, "name = ?", name);
      this.#change("model_versions", { last_updated_time: now }, "name = ?", newName);
      return this.#model(newName);
    });
  }

  async updateRegisteredModel(name: string, description: string): Promise<RegisteredModel> {
    checkModelName(name);
    return await this.#db.write(() => {
      this.#checkModel(name);
      this.#change("registered_models", { description, last_updated_time: Date.now() }, "name = ?", name);
      return this.#model(name);
    });
  }

  async deleteRegisteredModel(name: string): Promise<void> {
    checkModelName(name);
    await this.#db.write(() => {
      this.#checkModel(name);
      for (
        const table of [
          "model_version_tags",
          "model_versions",
          "registered_model_tags",
          "registered_model_aliases",
          "registered_models",
        ]
      ) {
        this.#delete(table, "name = ?", name);
      }
    });
  }

  async searchRegisteredModels(search: RegistrySearch = {}): Promise<Page<RegisteredModel>> {
    const limit = modelLimit(search.maxResults);
    const offset = pageOffset(search.pageToken);
    return await this.#db.read(() => {
      const { sql, values } = registeredModelQuery(search, this.#workspace());
      const rows = this.#db.all(`${sql} LIMIT ? OFFSET ?`, ...values, limit + 1, offset);
      const { items, nextPageToken } = pageOf(rows.map((row) => String(row.name)), limit, offset);
      return { items: this.#models(items), nextPageToken };
    });
  }

  async getLatestVersions(name: string, stages?: readonly string[]): Promise<ModelVersion[]> {
    checkModelName(name);
    return await this.#db.read(() => {
      const { latestVersions } = this.#model(name);
      const wanted = checkStages(stages);
      return latestVersions.filter(({ currentStage }) => wanted.includes(currentStage));
    });
  }

  async setRegisteredModelTag(name: string, key: string, value: string): Promise<void> {
    checkModelName(name);
    checkRegistryTag(key, value);
    await this.#db.write(() => {
      this.#checkModel(name);
      this.#putModelTag(name, key, value);
    });
  }

  async deleteRegisteredModelTag(name: string, key: string): Promise<void> {
    checkModelName(name);
    checkName(key, "key");
    await this.#db.write(() => {
      this.#checkModel(name);
      this.#delete("registered_model_tags", "name = ? AND key = ?", name, key);
    });
  }

  async setRegisteredModelAlias(name: string, alias: string, version: VersionNumber): Promise<void> {
    checkModelName(name);
    checkNewAlias(alias);
    const number = checkModelVersion(version);
    await this.#db.write(() => {
      this.#checkVersion(name, number);
      this.#db.run(
        "INSERT INTO registered_model_aliases (name, alias, version) VALUES (?, ?, ?) " +
          "ON CONFLICT DO UPDATE SET version = excluded.version",
        name,
        alias,
        number,
      );
    });
  }

  async deleteRegisteredModelAlias(name: string, alias: string): Promise<void> {
    checkModelName(name);
    checkAlias(alias);
    await this.#db.write(() => {
      this.#checkModel(name);
      this.#delete("registered_model_aliases", "name = ? AND alias = ?", name, alias);
    });
  }

  async getModelVersionByAlias(name: string, alias: string): Promise<ModelVersion> {
    checkModelName(name);
    checkAlias(alias);
    return await this.#db.read(() => {
      this.#checkModel(name);
      if (alias.toLowerCase() === "latest") return latestOf(name, this.#model(name).latestVersions);
      const row = this.#db.get(
        `SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?${this.#workspace()}`,
        name,
        alias,
      );
      if (row === undefined) throw aliasNotFound(alias);
      return this.#version(name, Number(row.version));
    });
  }

  async createModelVersion(version: NewModelVersion, models: LoggedModels): Promise<ModelVersion> {
    const { name, runLink, description, tags = {} } = version;
    checkModelName(name);
    checkRegistryTags(tags);
    const { source, storageLocation, runId } = await findSource(version, this, models);
    return await this.#db.write(() => {
      this.#checkModel(name);
      const last = this.#db.get(
        `SELECT MAX(version) AS version FROM model_versions WHERE name = ?${this.#workspace()}`,
        name,
      );
      const number = Number(last?.version ?? 0) + 1;
      const now = Date.now();
      this.#change("registered_models", { last_updated_time: now }, "name = ?", name);
      this.#db.run(
        "INSERT INTO model_versions (name, version, creation_time, last_updated_time, description, current_stage, source, " +
          "run_id, status, run_link, storage_location) VALUES (?, ?, ?, ?, ?, 'None', ?, ?, 'READY', ?, ?)",
        name,
        number,
        now,
        now,
        description ?? null,
        source,
        runId ?? null,
        runLink ?? null,
        storageLocation,
      );
      for (const [key, value] of Object.entries(tags)) this.#putVersionTag(name, number, key, value);
      return this.#version(name, number);
    });
  }

  async getModelVersion(name: string, version: VersionNumber): Promise<ModelVersion> {
    checkModelName(name);
    const number = checkModelVersion(version);
    return await this.#db.read(() => this.#version(name, number));
  }

  async updateModelVersion(name: string, version: VersionNumber, description: string): Promise<ModelVersion> {
    checkModelName(name);
    const number = checkModelVersion(version);
    return await this.#db.write(() => {
      this.#checkVersion(name, number);
      this.#changeVersion(name, number, { description, last_updated_time: Date.now() });
      return this.#version(name, number);
    });
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
    return await this.#db.write(() => {
      this.#checkVersion(name, number);
      const now = Date.now();
      if (archiveExistingVersions) {
        const others = "name = ? AND version != ? AND current_stage = ?";
        this.#change("model_versions", { current_stage: "Archived", last_updated_time: now }, others, name, number, to);
      }
      this.#changeVersion(name, number, { current_stage: to, last_updated_time: now });
      this.#change("registered_models", { last_updated_time: now }, "name = ?", name);
      return this.#version(name, number);
    });
  }

  async deleteModelVersion(name: string, version: VersionNumber): Promise<void> {
    const number = checkModelVersion(version);
    checkModelName(name);
    await this.#db.write(() => {
      this.#checkVersion(name, number);
      const now = Date.now();
      this.#change("registered_models", { last_updated_time: now }, "name = ?", name);
      this.#delete("registered_model_aliases", "name = ? AND version = ?", name, number);
      // The row keeps the number taken, and MLflow's words in place of what it held.
      this.#changeVersion(name, number, {
        current_stage: DELETED_STAGE,
        last_updated_time: now,
        description: null,
        user_id: null,
        source: "REDACTED-SOURCE-PATH",
        run_id: "REDACTED-RUN-ID",
        run_link: "REDACTED-RUN-LINK",
        status_message: null,
      });
    });
  }

  async searchModelVersions(search: RegistrySearch = {}): Promise<Page<ModelVersion>> {
    const limit = versionLimit(search.maxResults);
    const offset = pageOffset(search.pageToken);
    return await this.#db.read(() => {
      const { sql, values } = modelVersionQuery(search, this.#workspace());
      const rows = this.#db.all(`SELECT ${VERSION_COLUMNS} ${sql} LIMIT ? OFFSET ?`, ...values, limit + 1, offset);
      const { items, nextPageToken } = pageOf(rows, limit, offset);
      return { items: this.#toVersions(items), nextPageToken };
    });
  }

  async setModelVersionTag(name: string, version: VersionNumber, key: string, value: string): Promise<void> {
    checkModelName(name);
    const number = checkModelVersion(version);
    checkRegistryTag(key, value);
    await this.#db.write(() => {
      this.#checkVersion(name, number);
      this.#putVersionTag(name, number, key, value);
    });
  }

  async deleteModelVersionTag(name: string, version: VersionNumber, key: string): Promise<void> {
    checkModelName(name);
    const number = checkModelVersion(version);
    checkName(key, "key");
    await this.#db.write(() => {
      this.#checkVersion(name, number);
      this.#delete("model_version_tags", "name = ? AND version = ? AND key = ?", name, number, key);
    });
  }

  async getModelVersionDownloadUri(name: string, version: VersionNumber): Promise<string> {
    checkModelName(name);
    const number = checkModelVersion(version);
    return await this.#db.read(() => {
      const row = this.#db.get(
        "SELECT v.storage_location, v.source FROM model_versions v WHERE v.name = ? AND v.version = ? AND " +
          `v.current_stage != ?${this.#workspace("v")}`,
        name,
        number,
        DELETED_STAGE,
      );
      if (row === undefined) throw versionNotFound(name, number);
      return String(row.storage_location || row.source || "");
    });
  }

  /**
   * MLflow 3.10 brought workspaces, which are part of the keys; a single user's models are all in the one named
   * "default", which rows get by themselves. A running MLflow may add the column at any time, so it is looked for each
   * time.
   */
  #workspace(alias?: string): string {
    const column = this.#db.get("SELECT 1 FROM pragma_table_info('registered_models') WHERE name = 'workspace'");
    return column === undefined ? "" : ` AND ${alias === undefined ? "" : `${alias}.`}workspace = 'default'`;
  }

  #change(
    table: string,
    columns: Readonly<Record<string, SQLInputValue>>,
    condition: string,
    ...values: SQLInputValue[]
  ): void {
    const sets = Object.keys(columns).map((column) => `${column} = ?`).join(", ");
    this.#db.run(
      `UPDATE ${table} SET ${sets} WHERE ${condition}${this.#workspace()}`,
      ...Object.values(columns),
      ...values,
    );
  }

  #changeVersion(name: string, version: number, columns: Readonly<Record<string, SQLInputValue>>): void {
    this.#change("model_versions", columns, "name = ? AND version = ?", name, version);
  }

  #delete(table: string, condition: string, ...values: SQLInputValue[]): void {
    this.#db.run(`DELETE FROM ${table} WHERE ${condition}${this.#workspace()}`, ...values);
  }

  #putModelTag(name: string, key: string, value: string): void {
    this.#db.run(
      "INSERT INTO registered_model_tags (name, key, value) VALUES (?, ?, ?) " +
        "ON CONFLICT DO UPDATE SET value = excluded.value",
      name,
      key,
      value,
    );
  }

  #putVersionTag(name: string, version: number, key: string, value: string): void {
    this.#db.run(
      "INSERT INTO model_version_tags (name, version, key, value) VALUES (?, ?, ?, ?) " +
        "ON CONFLICT DO UPDATE SET value = excluded.value",
      name,
      version,
      key,
      value,
    );
  }

  #hasModel(name: string): boolean {
    return this.#db.get(`SELECT 1 FROM registered_models WHERE name = ?${this.#workspace()}`, name) !== undefined;
  }

  #checkModel(name: string): void {
    if (!this.#hasModel(name)) throw modelNotFound(name);
  }

  #checkVersion(name: string, version: number): void {
    const found = this.#db.get(
      `SELECT 1 FROM model_versions WHERE name = ? AND version = ? AND current_stage != ?${this.#workspace()}`,
      name,
      version,
      DELETED_STAGE,
    );
    if (found === undefined) throw versionNotFound(name, version);
  }

  #model(name: string): RegisteredModel {
    const [model] = this.#models([name]);
    if (model === undefined) throw modelNotFound(name);
    return model;
  }

  #version(name: string, version: number): ModelVersion {
    const row = this.#db.get(
      `SELECT ${VERSION_COLUMNS} FROM model_versions v WHERE v.name = ? AND v.version = ? AND v.current_stage != ?` +
        this.#workspace("v"),
      name,
      version,
      DELETED_STAGE,
    );
    if (row === undefined) throw versionNotFound(name, version);
    return this.#toVersions([row])[0];
  }

  /** The models of these names that are there, in their order, each table read once. */
  #models(names: readonly string[]): RegisteredModel[] {
    const workspace = this.#workspace("r");
    const among = `r.name IN (SELECT value FROM json_each(?))${workspace}`;
    const list = JSON.stringify(names);
    const rows = new Map(
      this.#db.all(`SELECT ${MODEL_COLUMNS} FROM registered_models r WHERE ${among}`, list).map((row) =>
        [row.name, row] as const
      ),
    );
    const tags = byName(
      this.#db.all(`SELECT r.name, r.key, r.value FROM registered_model_tags r WHERE ${among}`, list),
    );
    const aliases = byName(
      this.#db.all(`SELECT r.name, r.alias, r.version FROM registered_model_aliases r WHERE ${among}`, list),
    );
    const latest = Map.groupBy(
      this.#toVersions(this.#db.all(
        `SELECT ${VERSION_COLUMNS} FROM model_versions v WHERE v.current_stage != ? AND (v.name, v.current_stage, v.version) ` +
          `IN (SELECT r.name, r.current_stage, MAX(r.version) FROM model_versions r WHERE ${among} GROUP BY r.name, ` +
          `r.current_stage)${this.#workspace("v")} ORDER BY v.version`,
        DELETED_STAGE,
        list,
      )),
      ({ name }) => name,
    );
    return names.flatMap((name) => {
      const row = rows.get(name);
      if (row === undefined) return [];
      return {
        name,
        creationTimestamp: Number(row.created),
        lastUpdatedTimestamp: Number(row.updated),
        description: text(row.description),
        latestVersions: latest.get(name) ?? [],
        tags: toRecord(tags.get(name) ?? []),
        aliases: Object.fromEntries((aliases.get(name) ?? []).map((alias) => [alias.alias, Number(alias.version)])),
      };
    });
  }

  /** Rows of `VERSION_COLUMNS` with their tags and aliases, each table read once. */
  #toVersions(rows: readonly Row[]): ModelVersion[] {
    const list = JSON.stringify(rows.map(({ name, version }) => [name, version]));
    const [tags, aliases] = [["model_version_tags", "t.key, t.value"], ["registered_model_aliases", "t.alias"]].map((
      [table, columns],
    ) =>
      Map.groupBy(
        this.#db.all(
          `SELECT t.name, t.version, ${columns} FROM ${table} t WHERE (t.name, t.version) IN ` +
            `(SELECT value ->> 0, value ->> 1 FROM json_each(?))${this.#workspace("t")}`,
          list,
        ),
        keyOf,
      )
    );
    return rows.map((row) => ({
      name: String(row.name),
      version: Number(row.version),
      creationTimestamp: Number(row.created),
      lastUpdatedTimestamp: Number(row.updated),
      description: text(row.description),
      userId: text(row.user_id),
      currentStage: String(row.current_stage) as ModelVersionStage,
      source: String(row.source ?? ""),
      runId: text(row.run_id),
      runLink: text(row.run_link),
      status: String(row.status) as ModelVersionStatus,
      statusMessage: text(row.status_message),
      modelId: modelIdOf(String(row.source ?? "")),
      tags: toRecord(tags.get(keyOf(row)) ?? []),
      aliases: (aliases.get(keyOf(row)) ?? []).map(({ alias }) => String(alias)),
    }));
  }
}

function byName(rows: readonly Row[]): Map<unknown, Row[]> {
  return Map.groupBy(rows, (row) => row.name);
}

function keyOf({ name, version }: Row): string {
  return `${version} ${name}`;
}

function text(value: unknown): string | undefined {
  // What servers write for what is not given is the empty text.
  return value === null || value === undefined || value === "" ? undefined : String(value);
}
