/** MLflow's JSON of registered models and versions. */
import type { ModelVersion, ModelVersionStage, ModelVersionStatus, RegisteredModel } from "../entities.ts";
import { modelIdOf } from "../registry/model_uri.ts";
import { filled, type Json, readInteger, readList, readRecord, readText, writeRecord } from "./wire.ts";

/** A version of a reply. */
export function readModelVersion(json: Json): ModelVersion {
  const source = readText(json.source);
  return {
    name: readText(json.name),
    version: readInteger(json.version),
    creationTimestamp: readInteger(json.creation_timestamp),
    lastUpdatedTimestamp: readInteger(json.last_updated_timestamp),
    description: readText(json.description) || undefined,
    userId: readText(json.user_id) || undefined,
    currentStage: (readText(json.current_stage) || "None") as ModelVersionStage,
    source,
    runId: readText(json.run_id) || undefined,
    runLink: readText(json.run_link) || undefined,
    status: (readText(json.status) || "READY") as ModelVersionStatus,
    statusMessage: readText(json.status_message) || undefined,
    modelId: readText(json.model_id) || modelIdOf(source),
    tags: readRecord(json.tags),
    aliases: Array.isArray(json.aliases) ? json.aliases.map(String) : [],
  };
}

/** A version for a reply. */
export function writeModelVersion(version: ModelVersion): Json {
  return {
    name: version.name,
    version: String(version.version),
    creation_timestamp: version.creationTimestamp,
    last_updated_timestamp: version.lastUpdatedTimestamp,
    user_id: version.userId,
    current_stage: version.currentStage,
    description: version.description,
    source: version.source,
    run_id: version.runId,
    run_link: version.runLink,
    status: version.status,
    status_message: version.statusMessage,
    ...filled("tags", writeRecord(version.tags)),
    ...filled("aliases", version.aliases),
  };
}

/** A registered model of a reply. */
export function readRegisteredModel(json: Json): RegisteredModel {
  return {
    name: readText(json.name),
    creationTimestamp: readInteger(json.creation_timestamp),
    lastUpdatedTimestamp: readInteger(json.last_updated_timestamp),
    description: readText(json.description) || undefined,
    latestVersions: readList(json.latest_versions).map(readModelVersion),
    tags: readRecord(json.tags),
    aliases: Object.fromEntries(
      readList(json.aliases).map(({ alias, version }) => [readText(alias), readInteger(version)]),
    ),
  };
}

/** A registered model for a reply. */
export function writeRegisteredModel(model: RegisteredModel): Json {
  const aliases = Object.entries(model.aliases).map(([alias, version]) => ({ alias, version: String(version) }));
  return {
    name: model.name,
    creation_timestamp: model.creationTimestamp,
    last_updated_timestamp: model.lastUpdatedTimestamp,
    description: model.description,
    ...filled("latest_versions", model.latestVersions.map(writeModelVersion)),
    ...filled("tags", writeRecord(model.tags)),
    ...filled("aliases", aliases),
  };
}
