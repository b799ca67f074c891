import type { DatasetInput, MetricInput, Page, RunStatus, ViewType } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import type { StoreSearch } from "../stores/store.ts";
import {
  type Json,
  writeDatasetSummary,
  writeExperiment,
  writeLoggedModel,
  writeMetric,
  writeRun,
  writeRunInfo,
} from "../stores/wire.ts";
import type { Fields } from "./fields.ts";
import type { Answer, Routes } from "./route.ts";

const VIEW_TYPES: readonly ViewType[] = ["ACTIVE_ONLY", "DELETED_ONLY", "ALL"];
const RUN_STATUSES: readonly RunStatus[] = ["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"];
const MODEL_STATUSES = ["LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"] as const;

const searchExperiments: Answer = async ({ store, fields }) => {
  const page = await store.searchExperiments(readSearch(fields, "view_type"));
  return writePage("experiments", page, writeExperiment);
};

/** The routes of experiments, runs and logged models, below `/api/2.0/mlflow/`. */
export const TRACKING_ROUTES: Routes = {
  "POST experiments/create": async ({ store, fields, artifactRoot }) => {
    const name = fields.requiredText("name");
    const experimentId = await store.createExperiment(name, {
      artifactLocation: checkedLocation(fields.text("artifact_location")),
      // Clients on other machines reach what this server keeps through it alone.
      artifactRoot: artifactRoot === undefined ? undefined : "mlflow-artifacts:/",
      tags: fields.record("tags"),
    });
    return { experiment_id: experimentId };
  },
  "GET experiments/get": async ({ store, fields }) => {
    return { experiment: writeExperiment(await store.getExperiment(fields.requiredText("experiment_id"))) };
  },
  "GET experiments/get-by-name": async ({ store, fields }) => {
    const name = fields.requiredText("experiment_name");
    const experiment = await store.getExperimentByName(name);
    if (experiment === undefined) {
      throw new MlflowError("RESOURCE_DOES_NOT_EXIST", `Could not find experiment with name '${name}'`);
    }
    return { experiment: writeExperiment(experiment) };
  },
  "POST experiments/search": searchExperiments,
  "GET experiments/search": searchExperiments,
  "POST experiments/update": async ({ store, fields }) => {
    await store.renameExperiment(fields.requiredText("experiment_id"), fields.requiredText("new_name"));
    return {};
  },
  "POST experiments/delete": async ({ store, fields }) => {
    await store.deleteExperiment(fields.requiredText("experiment_id"));
    return {};
  },
  "POST experiments/restore": async ({ store, fields }) => {
    await store.restoreExperiment(fields.requiredText("experiment_id"));
    return {};
  },
  "POST experiments/set-experiment-tag": async ({ store, fields }) => {
    const [experimentId, key] = [fields.requiredText("experiment_id"), fields.requiredText("key")];
    await store.setExperimentTag(experimentId, key, fields.emptyText("value") ?? "");
    return {};
  },
  "POST experiments/delete-experiment-tag": async ({ store, fields }) => {
    await store.deleteExperimentTag(fields.requiredText("experiment_id"), fields.requiredText("key"));
    return {};
  },
  "POST experiments/search-datasets": async ({ store, fields }) => {
    const found = await store.searchDatasets(fields.texts("experiment_ids") ?? []);
    return found.length === 0 ? {} : { dataset_summaries: found.map(writeDatasetSummary) };
  },

  "POST runs/create": async ({ store, fields }) => {
    const run = await store.createRun({
      experimentId: fields.text("experiment_id") ?? "0",
      userId: fields.text("user_id"),
      startTime: fields.integer("start_time"),
      runName: fields.text("run_name"),
      tags: fields.record("tags"),
    });
    return { run: writeRun(run) };
  },
  "GET runs/get": async ({ store, fields }) => ({ run: writeRun(await store.getRun(fields.runId())) }),
  "POST runs/update": async ({ store, fields }) => {
    const info = await store.updateRun(fields.runId(), {
      status: fields.oneOf("status", RUN_STATUSES),
      endTime: fields.integer("end_time"),
      runName: fields.text("run_name"),
    });
    return { run_info: writeRunInfo(info) };
  },
  "POST runs/delete": async ({ store, fields }) => {
    await store.deleteRun(fields.runId());
    return {};
  },
  "POST runs/restore": async ({ store, fields }) => {
    await store.restoreRun(fields.runId());
    return {};
  },
  "POST runs/search": async ({ store, fields }) => {
    const experimentIds = fields.texts("experiment_ids") ?? [];
    return writePage("runs", await store.searchRuns(experimentIds, readSearch(fields, "run_view_type")), writeRun);
  },
  "POST runs/log-metric": async ({ store, fields }) => {
    await store.logBatch(fields.runId(), { metrics: [readMetric(fields)] });
    return {};
  },
  "POST runs/log-parameter": async ({ store, fields }) => {
    await store.logBatch(fields.runId(), { params: [readPair(fields)] });
    return {};
  },
  "POST runs/set-tag": async ({ store, fields }) => {
    await store.logBatch(fields.runId(), { tags: [readPair(fields)] });
    return {};
  },
  "POST runs/delete-tag": async ({ store, fields }) => {
    await store.deleteTag(fields.runId(), fields.requiredText("key"));
    return {};
  },
  "POST runs/log-batch": async ({ store, fields }) => {
    await store.logBatch(fields.runId(), {
      metrics: fields.list("metrics").map(readMetric),
      params: fields.list("params").map(readPair),
      tags: fields.list("tags").map(readPair),
    });
    return {};
  },
  "POST runs/log-inputs": async ({ store, fields }) => {
    await store.logInputs(fields.runId(), {
      datasets: fields.list("datasets").map(readDatasetInput),
      models: fields.list("models").map((model) => ({ modelId: model.requiredText("model_id") })),
    });
    return {};
  },
  "POST runs/outputs": async ({ store, fields }) => {
    const models = fields.list("models").map((model) => ({
      modelId: model.requiredText("model_id"),
      step: model.integer("step") ?? 0,
    }));
    await store.logOutputs(fields.runId(), models);
    return {};
  },

  "GET metrics/get-history": async ({ store, fields }) => {
    const [runId, key] = [fields.runId(), fields.requiredText("metric_key")];
    const maxResults = fields.integer("max_results");
    let pageToken = fields.text("page_token");
    if (maxResults !== undefined) {
      return writePage("metrics", await store.getMetricHistory(runId, key, { maxResults, pageToken }), writeMetric);
    }
    // Who asks for no pages gets all of it.
    const metrics: Json[] = [];
    do {
      const page = await store.getMetricHistory(runId, key, { pageToken });
      for (const metric of page.items) metrics.push(writeMetric(metric));
      pageToken = page.nextPageToken;
    } while (pageToken !== undefined);
    return metrics.length === 0 ? {} : { metrics };
  },
  "GET metrics/get-history-bulk-interval": async ({ store, fields }) => {
    const runIds = fields.texts("run_ids") ?? [];
    const metrics = await store.getMetricHistoryBulkInterval(runIds, fields.requiredText("metric_key"), {
      startStep: fields.integer("start_step"),
      endStep: fields.integer("end_step"),
      maxResults: fields.integer("max_results"),
    });
    return metrics.length === 0 ? {} : { metrics: metrics.map(writeMetric) };
  },

  "POST logged-models": async ({ store, fields }) => {
    const model = await store.createLoggedModel({
      experimentId: fields.requiredText("experiment_id"),
      name: fields.text("name"),
      modelType: fields.text("model_type"),
      sourceRunId: fields.text("source_run_id"),
      params: fields.record("params"),
      tags: fields.record("tags"),
    });
    return { model: writeLoggedModel(model) };
  },
  "POST logged-models/search": async ({ store, fields }) => {
    const page = await store.searchLoggedModels(fields.texts("experiment_ids") ?? [], {
      filter: fields.text("filter"),
      datasets: fields.list("datasets").map((dataset) => ({
        name: dataset.emptyText("dataset_name") ?? "",
        digest: dataset.text("dataset_digest"),
      })),
      orderBy: fields.list("order_by").map((order) => ({
        fieldName: order.requiredText("field_name"),
        ascending: order.boolean("ascending") ?? true,
        datasetName: order.text("dataset_name"),
        datasetDigest: order.text("dataset_digest"),
      })),
      maxResults: fields.integer("max_results"),
      pageToken: fields.text("page_token"),
    });
    return writePage("models", page, writeLoggedModel);
  },
  "GET logged-models/:id": async ({ store, params }) => {
    return { model: writeLoggedModel(await store.getLoggedModel(params.id)) };
  },
  "PATCH logged-models/:id": async ({ store, fields, params }) => {
    const status = fields.oneOf("status", MODEL_STATUSES) ?? fields.requiredText("status");
    const model = await store.finalizeLoggedModel(params.id, status === MODEL_STATUSES[0] ? "READY" : "FAILED");
    return { model: writeLoggedModel(model) };
  },
  "DELETE logged-models/:id": async ({ store, params }) => {
    await store.deleteLoggedModel(params.id);
    return {};
  },
  "POST logged-models/:id/params": async ({ store, fields, params }) => {
    await store.logLoggedModelParams(params.id, fields.list("params").map(readPair));
    return {};
  },
  "PATCH logged-models/:id/tags": async ({ store, fields, params }) => {
    await store.setLoggedModelTags(params.id, fields.record("tags"));
    return {};
  },
  "DELETE logged-models/:id/tags/:key": async ({ store, params }) => {
    await store.deleteLoggedModelTag(params.id, params.key);
    return {};
  },
};

/** An artifact location that a client asks for, which MLflow's server looks at more closely than its stores do. */
function checkedLocation(location: string | undefined): string | undefined {
  const [, path = "", query = "", fragment] = /^([^?#]*)(\?[^#]*)?(#.+)?$/s.exec(location ?? "") ?? [];
  let reason: string | undefined;
  if (fragment !== undefined || /;[^/]*$/.test(path)) {
    reason = "'artifact_location' URL can't include fragments or params.";
  } else if (decodeWhole(query).includes("..")) reason = "Invalid query string";
  else if (path.startsWith("runs:")) reason = `Artifact location cannot be a runs:/ URI. Given: '${location}'`;
  if (reason !== undefined) throw new MlflowError("INVALID_PARAMETER_VALUE", reason);
  return location;
}

/** A text of a URL without its escapes, and without those that come of unescaping it. */
function decodeWhole(text: string): string {
  let decoded = text;
  for (let i = 0; i < 10 && /%[\da-f]{2}/i.test(decoded); i++) {
    decoded = decoded.replace(/%([\da-f]{2})/gi, (_, code) => String.fromCharCode(parseInt(code, 16)));
  }
  return decoded;
}

function readSearch(fields: Fields, viewType: "view_type" | "run_view_type"): StoreSearch {
  return {
    filter: fields.text("filter"),
    orderBy: fields.texts("order_by"),
    maxResults: fields.integer("max_results"),
    pageToken: fields.text("page_token"),
    viewType: fields.oneOf(viewType, VIEW_TYPES),
  };
}

/** A page of entries as a reply lists them. */
export function writePage<T>(name: string, { items, nextPageToken }: Page<T>, write: (item: T) => Json): Json {
  return {
    ...items.length === 0 ? {} : { [name]: items.map(write) },
    ...nextPageToken === undefined ? {} : { next_page_token: nextPageToken },
  };
}

function readMetric(fields: Fields): MetricInput {
  const name = fields.text("dataset_name");
  return {
    key: fields.requiredText("key"),
    value: fields.requiredDouble("value"),
    timestamp: fields.requiredInteger("timestamp"),
    step: fields.integer("step") ?? 0,
    modelId: fields.text("model_id"),
    ...name === undefined ? {} : { dataset: { name, digest: fields.text("dataset_digest") ?? "" } },
  };
}

function readPair(fields: Fields): { readonly key: string; readonly value: string } {
  return { key: fields.requiredText("key"), value: fields.emptyText("value") ?? "" };
}

function readDatasetInput(fields: Fields): DatasetInput {
  const dataset = fields.part("dataset");
  const [schema, profile] = [dataset.emptyText("schema"), dataset.emptyText("profile")];
  return {
    dataset: {
      name: dataset.requiredText("name"),
      digest: dataset.requiredText("digest"),
      sourceType: dataset.emptyText("source_type") ?? "",
      source: dataset.emptyText("source") ?? "",
      ...schema === undefined ? {} : { schema },
      ...profile === undefined ? {} : { profile },
    },
    tags: fields.record("tags"),
  };
}
