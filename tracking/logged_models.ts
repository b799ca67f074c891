import { activateModel, getActiveModelId, lastLoggedModelId, rememberLoggedModel } from "./active_model.ts";
import { openRepository } from "../artifacts/open_repository.ts";
import { type LoggedModel, MlflowClient, type SearchLoggedModelsOptions, type SearchResults } from "../client.ts";
import { defaultTags } from "./context.ts";
import { doing, MlflowError } from "../errors.ts";
import { activeRun, experimentOfNewRuns } from "../fluent.ts";
import { describeExternalModel, MLMODEL } from "../model/mlmodel.ts";
import { pythonTexts } from "../python_text.ts";

/** What a logged model is made of whose files the program writes itself, or keeps elsewhere. */
export interface NewModelOptions {
  /** The name shown in the UI. @default {a random name such as `fearless-owl-42`} */
  readonly name?: string;
  /** The run that makes it. @default {the active run} */
  readonly sourceRunId?: string;
  /** Its experiment. @default {that of the active run, or the active one} */
  readonly experimentId?: string;
  /** A free word for its kind, such as `"classifier"`. */
  readonly modelType?: string;
  /** Its params; they are written as Python would write them. */
  readonly params?: Readonly<Record<string, unknown>>;
  /** Its tags, besides those that MLflow sets by itself. */
  readonly tags?: Readonly<Record<string, unknown>>;
}

const EXTERNAL_TAG = "mlflow.model.isExternal";

/** Makes a `PENDING` logged model, for files that the program writes itself; `finalizeLoggedModel` ends it. */
export async function initializeLoggedModel(options: NewModelOptions = {}): Promise<LoggedModel> {
  const client = new MlflowClient();
  const run = activeRun();
  const { sourceRunId = run?.runId, experimentId = run?.info.experimentId, name, modelType } = options;
  const model = await client.createLoggedModel({
    experimentId: experimentId ?? await experimentOfNewRuns(client),
    name,
    sourceRunId,
    modelType,
    params: pythonTexts(options.params),
    tags: { ...await defaultTags(), ...pythonTexts(options.tags) },
  });
  rememberLoggedModel(model.modelId);
  return model;
}

/** Makes a `READY` logged model whose files are kept elsewhere, to log params and metrics to. */
export async function createExternalModel(options: NewModelOptions = {}): Promise<LoggedModel> {
  const client = new MlflowClient();
  const tags = { ...options.tags, [EXTERNAL_TAG]: "true" };
  const { modelId, artifactLocation, sourceRunId } = await initializeLoggedModel({ ...options, tags });
  const files = await openRepository(artifactLocation, { trackingUri: client.trackingUri });
  const identity = { modelId, runId: sourceRunId, location: artifactLocation };
  await files.write(MLMODEL, new TextEncoder().encode(await describeExternalModel(identity)));
  return await client.finalizeLoggedModel(modelId, "READY");
}

/** Says that a logged model's files are complete (`"READY"`), or that writing them failed (`"FAILED"`). */
export async function finalizeLoggedModel(modelId: string, status: "READY" | "FAILED"): Promise<LoggedModel> {
  return await new MlflowClient().finalizeLoggedModel(modelId, status);
}

/** The logged model of this id. */
export async function getLoggedModel(modelId: string): Promise<LoggedModel> {
  return await new MlflowClient().getLoggedModel(modelId);
}

/** The model that this program has logged last, as its store holds it now; undefined if it has logged none. */
export async function lastLoggedModel(): Promise<LoggedModel | undefined> {
  const modelId = lastLoggedModelId();
  return modelId === undefined ? undefined : await getLoggedModel(modelId);
}

/** A search for logged models. */
export interface SearchActiveLoggedModelsOptions extends Omit<SearchLoggedModelsOptions, "experimentIds"> {
  /** The experiments to look in. @default {the active experiment} */
  readonly experimentIds?: readonly string[];
}

/** Logged models that the filter finds; without an order the latest made comes first. */
export function searchLoggedModels(options: SearchActiveLoggedModelsOptions = {}): SearchResults<LoggedModel> {
  const client = new MlflowClient();
  const experimentIds = options.experimentIds ?? (async () => [await experimentOfNewRuns(client)]);
  return client.searchLoggedModels({ ...options, experimentIds });
}

/** Sets tags of a logged model. */
export async function setLoggedModelTags(modelId: string, tags: Readonly<Record<string, unknown>>): Promise<void> {
  await new MlflowClient().setLoggedModelTags(modelId, tags);
}

/** Removes a tag of a logged model. */
export async function deleteLoggedModelTag(modelId: string, key: string): Promise<void> {
  await new MlflowClient().deleteLoggedModelTag(modelId, key);
}

/**
 * Adds params to a logged model.
 *
 * @param modelId the model. @default {the active model}
 */
export async function logModelParams(
  params: Readonly<Record<string, unknown>>,
  modelId: string | undefined = getActiveModelId(),
): Promise<void> {
  if (modelId === undefined) {
    throw new MlflowError("INVALID_PARAMETER_VALUE", "no model is active: give its id, or set it by setActiveModel", {
      action: "Cannot log params of a model",
    });
  }
  await new MlflowClient().logModelParams(modelId, params);
}

/**
 * Makes a logged model the active one: metrics that are logged by `logMetric` and `logMetrics` without a model are also
 * its.
 *
 * @param model its name, or `{ modelId }`. Of several of a name it is the latest; where none has it, an external one is
 * made.
 */
export async function setActiveModel(model: string | { readonly modelId: string }): Promise<LoggedModel> {
  const shown = typeof model === "string" ? model : model.modelId;
  return await doing(`Cannot set active model "${shown}"`, async () => {
    const found = typeof model === "string" ? await modelOfName(model) : await getLoggedModel(model.modelId);
    activateModel(found.modelId);
    return found;
  });
}

async function modelOfName(name: string): Promise<LoggedModel> {
  // A filter has no way to write both kinds of quotes; MLflow takes none of them in a name.
  const [found] = await searchLoggedModels({ filter: `name = '${name}'`, maxResults: 1 }).toArray();
  return found ?? await createExternalModel({ name });
}
