import { appendToUri } from "../artifacts/uri.ts";
import { MODEL_VERSIONS_TAG, withModelVersion } from "../registry/model_versions_tag.ts";
import type { NewModelVersion, RegistrySearch } from "../stores/registry_store.ts";
import { writeModelVersion, writeRegisteredModel } from "../stores/registry_wire.ts";
import type { TrackingStore } from "../stores/store.ts";
import { checkArtifactFile } from "../artifacts/artifact_path.ts";
import { repositoryOf } from "./artifact_routes.ts";
import type { Fields } from "./fields.ts";
import { checkSource } from "./model_source.ts";
import type { Answer, Routes } from "./route.ts";
import { sendArtifact } from "./send_artifact.ts";
import { writePage } from "./tracking_routes.ts";

const getLatestVersions: Answer = async ({ store, fields }) => {
  const versions = await store.registry.getLatestVersions(fields.requiredText("name"), fields.texts("stages"));
  return versions.length === 0 ? {} : { model_versions: versions.map(writeModelVersion) };
};

/** The routes of the model registry, below `/api/2.0/mlflow/`. */
export const REGISTRY_ROUTES: Routes = {
  "POST registered-models/create": async ({ store, fields }) => {
    const model = await store.registry.createRegisteredModel({
      name: fields.requiredText("name"),
      tags: fields.record("tags"),
      description: fields.text("description"),
    });
    return { registered_model: writeRegisteredModel(model) };
  },
  "GET registered-models/get": async ({ store, fields }) => {
    return {
      registered_model: writeRegisteredModel(await store.registry.getRegisteredModel(fields.requiredText("name"))),
    };
  },
  "POST registered-models/rename": async ({ store, fields }) => {
    const [name, newName] = [fields.requiredText("name"), fields.requiredText("new_name")];
    return { registered_model: writeRegisteredModel(await store.registry.renameRegisteredModel(name, newName)) };
  },
  "PATCH registered-models/update": async ({ store, fields }) => {
    const [name, description] = [fields.requiredText("name"), fields.emptyText("description") ?? ""];
    return { registered_model: writeRegisteredModel(await store.registry.updateRegisteredModel(name, description)) };
  },
  "DELETE registered-models/delete": async ({ store, fields }) => {
    await store.registry.deleteRegisteredModel(fields.requiredText("name"));
    return {};
  },
  "GET registered-models/search": async ({ store, fields }) => {
    const page = await store.registry.searchRegisteredModels(readSearch(fields));
    return writePage("registered_models", page, writeRegisteredModel);
  },
  "GET registered-models/get-latest-versions": getLatestVersions,
  "POST registered-models/get-latest-versions": getLatestVersions,
  "POST registered-models/set-tag": async ({ store, fields }) => {
    const [name, key] = [fields.requiredText("name"), fields.requiredText("key")];
    await store.registry.setRegisteredModelTag(name, key, fields.emptyText("value") ?? "");
    return {};
  },
  "DELETE registered-models/delete-tag": async ({ store, fields }) => {
    await store.registry.deleteRegisteredModelTag(fields.requiredText("name"), fields.requiredText("key"));
    return {};
  },
  "POST registered-models/alias": async ({ store, fields }) => {
    const [name, alias] = [fields.requiredText("name"), fields.requiredText("alias")];
    await store.registry.setRegisteredModelAlias(name, alias, fields.requiredText("version"));
    return {};
  },
  "DELETE registered-models/alias": async ({ store, fields }) => {
    await store.registry.deleteRegisteredModelAlias(fields.requiredText("name"), fields.requiredText("alias"));
    return {};
  },
  "GET registered-models/alias": async ({ store, fields }) => {
    const [name, alias] = [fields.requiredText("name"), fields.requiredText("alias")];
    return { model_version: writeModelVersion(await store.registry.getModelVersionByAlias(name, alias)) };
  },

  "POST model-versions/create": async ({ store, fields }) => {
    const asked: NewModelVersion = {
      name: fields.requiredText("name"),
      source: fields.requiredText("source"),
      runId: fields.text("run_id"),
      runLink: fields.text("run_link"),
      modelId: fields.text("model_id"),
      description: fields.text("description"),
      tags: fields.record("tags"),
    };
    const version = await store.registry.createModelVersion(await checkSource(asked, store), store);
    const { name, modelId } = asked;
    if (modelId !== undefined) {
      const { tags } = await store.getLoggedModel(modelId);
      const value = withModelVersion(tags[MODEL_VERSIONS_TAG], { name, version: version.version });
      await store.setLoggedModelTags(modelId, { [MODEL_VERSIONS_TAG]: value });
    }
    return { model_version: writeModelVersion(version) };
  },
  "GET model-versions/get": async ({ store, fields }) => {
    return { model_version: writeModelVersion(await store.registry.getModelVersion(...readVersion(fields))) };
  },
  "PATCH model-versions/update": async ({ store, fields }) => {
    const description = fields.emptyText("description") ?? "";
    const version = await store.registry.updateModelVersion(...readVersion(fields), description);
    return { model_version: writeModelVersion(version) };
  },
  "POST model-versions/transition-stage": async ({ store, fields }) => {
    const archiveExistingVersions = fields.boolean("archive_existing_versions") ?? false;
    const version = await store.registry.transitionModelVersionStage(
      ...readVersion(fields),
      fields.requiredText("stage"),
      { archiveExistingVersions },
    );
    return { model_version: writeModelVersion(version) };
  },
  "DELETE model-versions/delete": async ({ store, fields }) => {
    await store.registry.deleteModelVersion(...readVersion(fields));
    return {};
  },
  "GET model-versions/search": async ({ store, fields }) => {
    return writePage("model_versions", await store.registry.searchModelVersions(readSearch(fields)), writeModelVersion);
  },
  "POST model-versions/set-tag": async ({ store, fields }) => {
    const value = fields.emptyText("value") ?? "";
    await store.registry.setModelVersionTag(...readVersion(fields), fields.requiredText("key"), value);
    return {};
  },
  "DELETE model-versions/delete-tag": async ({ store, fields }) => {
    await store.registry.deleteModelVersionTag(...readVersion(fields), fields.requiredText("key"));
    return {};
  },
  "GET model-versions/get-download-uri": async ({ store, fields }) => {
    return { artifact_uri: await store.registry.getModelVersionDownloadUri(...readVersion(fields)) };
  },
};

/** `/model-versions/get-artifact`, where the pages of a server look for a version's files. */
export const getModelVersionArtifact: Answer = async (call) => {
  const location = await call.store.registry.getModelVersionDownloadUri(...readVersion(call.fields));
  const path = checkArtifactFile(call.fields.requiredText("path"));
  return await sendArtifact(call.request, await repositoryOf(call, await ofRun(location, call.store)), path);
};

/** Where the files of a run are that a location speaks of; other locations as they are. */
async function ofRun(location: string, store: TrackingStore): Promise<string> {
  const [, runId, path] = /^runs:\/+([^/]+)\/*(.*)$/i.exec(location) ?? [];
  if (runId === undefined) return location;
  const { artifactUri } = (await store.getRun(runId)).info;
  return path === "" ? artifactUri : appendToUri(artifactUri, path);
}

function readVersion(fields: Fields): [name: string, version: string] {
  return [fields.requiredText("name"), fields.requiredText("version")];
}

function readSearch(fields: Fields): RegistrySearch {
  return {
    filter: fields.text("filter"),
    orderBy: fields.texts("order_by"),
    maxResults: fields.integer("max_results"),
    pageToken: fields.text("page_token"),
  };
}
