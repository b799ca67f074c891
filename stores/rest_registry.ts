import type { ModelVersion, Page, RegisteredModel } from "../entities.ts";
import { modelIdOf } from "../registry/model_uri.ts";
import {
  checkModelName,
  checkNewModelName,
  checkRegistryTag,
  checkRegistryTags,
  checkTransition,
} from "../registry/validate_registry.ts";
import type { HttpClient, HttpRequest } from "./http.ts";
import { modelLimit, versionLimit } from "./registry_page.ts";
import type {
  NewModelVersion,
  NewRegisteredModel,
  RegistrySearch,
  RegistryStore,
  VersionNumber,
} from "./registry_store.ts";
import { readModelVersion, readRegisteredModel } from "./registry_wire.ts";
import { type Json, readList, readPage, readPart, readText, writeRecord } from "./wire.ts";

const MODELS = "/api/2.0/mlflow/registered-models";
const VERSIONS = "/api/2.0/mlflow/model-versions";

/** The registry of an MLflow server, asked over HTTP. */
export class RestRegistry implements RegistryStore {
  readonly #http: HttpClient;

  /** @param http what sends requests to the server */
  constructor(http: HttpClient) {
    this.#http = http;
  }

  async createRegisteredModel({ name, tags, description }: NewRegisteredModel): Promise<RegisteredModel> {
    checkModelName(name);
    checkRegistryTags(tags);
    const json = { name, tags: writeRecord(tags), description };
    return await this.#model("POST", "create", json, { repeatable: false });
  }

  async getRegisteredModel(name: string): Promise<RegisteredModel> {
    return await this.#model("GET", "get", { name });
  }

  async renameRegisteredModel(name: string, newName: string): Promise<RegisteredModel> {
    checkNewModelName(newName);
    return await this.#model("POST", "rename", { name, new_name: newName }, { repeatable: false });
  }

  async updateRegisteredModel(name: string, description: string): Promise<RegisteredModel> {
    return await this.#model("PATCH", "update", { name, description });
  }

  async deleteRegisteredModel(name: string): Promise<void> {
    await this.#send("DELETE", `${MODELS}/delete`, { name }, { doneIfMissing: true });
  }

  async searchRegisteredModels(search: RegistrySearch = {}): Promise<Page<RegisteredModel>> {
    const reply = await this.#send("GET", `${MODELS}/search`, writeSearch(search, modelLimit(search.maxResults)));
    return readPage(reply, "registered_models", readRegisteredModel);
  }

  async getLatestVersions(name: string, stages: readonly string[] = []): Promise<ModelVersion[]> {
    const reply = await this.#send("POST", `${MODELS}/get-latest-versions`, { name, stages });
    return readList(reply.model_versions).map(readModelVersion);
  }

  async setRegisteredModelTag(name: string, key: string, value: string): Promise<void> {
    checkRegistryTag(key, value);
    await this.#send("POST", `${MODELS}/set-tag`, { name, key, value });
  }

  async deleteRegisteredModelTag(name: string, key: string): Promise<void> {
    await this.#send("DELETE", `${MODELS}/delete-tag`, { name, key });
  }

  async setRegisteredModelAlias(name: string, alias: string, version: VersionNumber): Promise<void> {
    await this.#send("POST", `${MODELS}/alias`, { name, alias, version: String(version) });
  }

  async deleteRegisteredModelAlias(name: string, alias: string): Promise<void> {
    await this.#send("DELETE", `${MODELS}/alias`, { name, alias });
  }

  async getModelVersionByAlias(name: string, alias: string): Promise<ModelVersion> {
    const options = { wants: "model_version" };
    return readModelVersion(
      readPart(await this.#send("GET", `${MODELS}/alias`, { name, alias }, options), "model_version"),
    );
  }

  async createModelVersion(version: NewModelVersion): Promise<ModelVersion> {
    const { name, source, runId, runLink, modelId, description, tags } = version;
    checkModelName(name);
    checkRegistryTags(tags);
    const json = {
      name,
      source,
      run_id: runId,
      run_link: runLink,
      // Servers since MLflow 3.16 take a logged model for a source only where it is named here too.
      model_id: modelId ?? modelIdOf(source),
      description,
      tags: writeRecord(tags),
    };
    return await this.#version("POST", "create", json, { repeatable: false });
  }

  async getModelVersion(name: string, version: VersionNumber): Promise<ModelVersion> {
    return await this.#version("GET", "get", { name, version: String(version) });
  }

  async updateModelVersion(name: string, version: VersionNumber, description: string): Promise<ModelVersion> {
    return await this.#version("PATCH", "update", { name, version: String(version), description });
  }

  async transitionModelVersionStage(
    name: string,
    version: VersionNumber,
    stage: string,
    options: { readonly archiveExistingVersions?: boolean } = {},
  ): Promise<ModelVersion> {
    const { archiveExistingVersions = false } = options;
    // Servers answer this one as an error of their own, which would be asked again and again.
    checkTransition(stage, archiveExistingVersions);
    return await this.#version("POST", "transition-stage", {
      name,
      version: String(version),
      stage,
      archive_existing_versions: archiveExistingVersions,
    });
  }

  async deleteModelVersion(name: string, version: VersionNumber): Promise<void> {
    await this.#send("DELETE", `${VERSIONS}/delete`, { name, version: String(version) }, { doneIfMissing: true });
  }

  async searchModelVersions(search: RegistrySearch = {}): Promise<Page<ModelVersion>> {
    const reply = await this.#send("GET", `${VERSIONS}/search`, writeSearch(search, versionLimit(search.maxResults)));
    return readPage(reply, "model_versions", readModelVersion);
  }

  async setModelVersionTag(name: string, version: VersionNumber, key: string, value: string): Promise<void> {
    checkRegistryTag(key, value);
    await this.#send("POST", `${VERSIONS}/set-tag`, { name, version: String(version), key, value });
  }

  async deleteModelVersionTag(name: string, version: VersionNumber, key: string): Promise<void> {
    await this.#send("DELETE", `${VERSIONS}/delete-tag`, { name, version: String(version), key });
  }

  async getModelVersionDownloadUri(name: string, version: VersionNumber): Promise<string> {
    const reply = await this.#send("GET", `${VERSIONS}/get-download-uri`, { name, version: String(version) });
    return readText(reply.artifact_uri);
  }

  async #model(
    method: HttpRequest["method"],
    path: string,
    fields: Json,
    options: Partial<HttpRequest> = {},
  ): Promise<RegisteredModel> {
    const wants = "registered_model";
    const reply = await this.#send(method, `${MODELS}/${path}`, fields, { wants, ...options });
    return readRegisteredModel(readPart(reply, wants));
  }

  async #version(
    method: HttpRequest["method"],
    path: string,
    fields: Json,
    options: Partial<HttpRequest> = {},
  ): Promise<ModelVersion> {
    const wants = "model_version";
    const reply = await this.#send(method, `${VERSIONS}/${path}`, fields, { wants, ...options });
    return readModelVersion(readPart(reply, wants));
  }

  /** Sends fields, those of a GET in its query; all requests but those that say so may be sent again. */
  async #send(
    method: HttpRequest["method"],
    path: string,
    fields: Json,
    options: Partial<HttpRequest> = {},
  ): Promise<Json> {
    const request = { repeatable: true, ...options, method, path };
    return await this.#http.json(
      method === "GET" ? { ...request, query: fields as HttpRequest["query"] } : { ...request, json: fields },
    );
  }
}

function writeSearch({ filter, orderBy, pageToken }: RegistrySearch, maxResults: number): Json {
  return { filter: filter || undefined, order_by: orderBy, max_results: maxResults, page_token: pageToken };
}
