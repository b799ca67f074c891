import type { ModelVersion, RegisteredModel } from "../entities.ts";
import { byKey, findAll, type Query, type Value } from "./in_memory_search.ts";
import { readModelVersionSearch, readRegisteredModelSearch } from "./registry_search.ts";
import { PROMPT_TAG, type RegistrySearch } from "./registry_store.ts";

/** Reads the filter and order of a search for registered models. */
export function registeredModelQuery(search: RegistrySearch): Query<RegisteredModel> {
  const { filter, orders, prompts } = readRegisteredModelSearch(search);
  const attribute = (model: RegisteredModel, key: string): Value =>
    key === "name" ? model.name : model.lastUpdatedTimestamp;
  return {
    find: (models) =>
      findAll(models.filter(({ tags }) => prompts || !isPromptRow(tags)), filter, orders, {
        values: (model, entity, key) => entity === "tag" ? byKey(model.tags, key) : [attribute(model, key)],
        orderValue: (model, { key }) => attribute(model, key),
      }),
  };
}

/** Reads the filter and order of a search for versions. */
export function modelVersionQuery(search: RegistrySearch): Query<ModelVersion> {
  const { filter, orders, prompts } = readModelVersionSearch(search);
  return {
    find: (versions) => {
      // One version that is a prompt makes all of its name prompts.
      const hidden = new Set(
        prompts ? [] : versions.filter(({ tags }) => isPromptRow(tags)).map(({ name }) => name),
      );
      return findAll(versions.filter(({ name }) => !hidden.has(name)), filter, orders, {
        values: (version, entity, key) => {
          const value = entity === "tag" ? undefined : versionAttribute(version, key);
          return entity === "tag" ? byKey(version.tags, key) : value === undefined ? [] : [value];
        },
        orderValue: (version, { key }) => versionAttribute(version, key),
      });
    },
  };
}

function versionAttribute(version: ModelVersion, key: string): Value | undefined {
  switch (key) {
    case "name":
      return version.name;
    case "run_id":
      return version.runId;
    case "source_path":
      return version.source;
    case "version_number":
      return version.version;
    case "creation_timestamp":
      return version.creationTimestamp;
    default:
      return version.lastUpdatedTimestamp;
  }
}

function isPromptRow(tags: Readonly<Record<string, string>>): boolean {
  return Object.hasOwn(tags, PROMPT_TAG) && tags[PROMPT_TAG] === "true";
}
