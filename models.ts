/**
 * Trained models: {@linkcode logModel} keeps one with its run, {@linkcode saveModel} in a folder, and
 * {@linkcode loadModel} brings it back.
 *
 * @module
 */
import { openArtifacts } from "./artifacts/open_repository.ts";
import { doing, MlflowError } from "./errors.ts";
import type { ModelInfo } from "./model/mlmodel.ts";
import type { SaveModelOptions } from "./model/save.ts";
import type { ModelArtifactsLike, TfjsModelLike } from "./model/tfjs_model.ts";

export { logModel } from "./fluent.ts";
export type { LogModelOptions } from "./client.ts";
export type { LoggedModel, LoggedModelStatus, Metric } from "./entities.ts";
export type { ModelInfo } from "./model/mlmodel.ts";
export type { SaveModelOptions } from "./model/save.ts";
export type { SymbolicTensorLike, TfjsModelLike } from "./model/tfjs_model.ts";
export type { TensorLike } from "./entities.ts";
export {
  type ColSpec,
  type ColumnType,
  type DataType,
  inferSignature,
  type ModelSignature,
  type NestedValues,
  type ParamSpec,
  type Schema,
  type SignatureData,
  type TensorExample,
  type TensorSpec,
} from "./signature.ts";

/** The part of the user's own tfjs that loads a layers model. */
export interface ModelLoader {
  /** Loads a layers model through a handler. */
  // deno-lint-ignore no-explicit-any -- tfjs's own types of the handler and of the model are the user's
  loadLayersModel(handler: any): Promise<any>;
}

/** The part of the user's own tfjs that loads a graph model. */
export interface GraphModelLoader {
  /** Loads a graph model through a handler. */
  // deno-lint-ignore no-explicit-any -- tfjs's own types of the handler and of the model are the user's
  loadGraphModel(handler: any): Promise<any>;
}

/** What tfjs loads a model by, or saves one to. */
export interface ModelHandler {
  /** Reads the model. */
  // deno-lint-ignore no-explicit-any -- tfjs's own type of what is read is the user's
  load(): Promise<any>;
  /** Writes a model. */
  // deno-lint-ignore no-explicit-any -- tfjs's own types of what is written and of the answer are the user's
  save(artifacts: any): Promise<any>;
}

/**
 * Writes a tfjs model to a folder, as MLflow keeps models: `MLmodel`, tfjs's files, and a copy for Python.
 *
 * @param model a layers model, of any layers, or a graph model
 * @param path the folder, which is not there yet or empty: a path, or a URI that artifacts can be written to
 */
export async function saveModel(model: TfjsModelLike, path: string, options: SaveModelOptions = {}): Promise<void> {
  await doing(`Cannot save model "${path}"`, async () => {
    const folder = await openArtifacts(path);
    if ((await folder.repository.list(folder.path)).length > 0) {
      throw new MlflowError("RESOURCE_ALREADY_EXISTS", `Path '${path}' already exists and is not empty`);
    }
    const { writeModel } = await import("./model/save.ts");
    await writeModel(model, folder, {}, options);
  });
}

/**
 * Loads a logged layers model. It predicts bit for bit what the model predicted that was logged.
 *
 * ```ts ignore
 * import * as tf from "@tensorflow/tfjs";
 * import * as mlflow from "@mlflow-deno/mlflow";
 *
 * const model = await mlflow.loadModel(tf, "models:/m-5b0c64c1de1a4c2eb80c2d1a9a7d8f3b");
 * ```
 *
 * @param tf your tfjs
 * @param uri `models:/m-…`, `models:/<name>/<version>`, `models:/<name>@<alias>`, `runs:/<run id>/<model's name or path>`,
 * or the path or URI of the model's folder
 * @returns what your `tf.loadLayersModel` returns
 * @throws {MlflowError} `DATA_LOSS` naming a file that is not as it was written
 */
export async function loadModel<TF extends ModelLoader>(
  tf: TF,
  uri: string,
): Promise<Awaited<ReturnType<TF["loadLayersModel"]>>> {
  const artifacts = await read(uri);
  if (artifacts.format === "graph-model") throw otherKind(uri, "graph", "loadGraphModel");
  return await tf.loadLayersModel({ load: () => Promise.resolve(artifacts) });
}

/**
 * Loads a logged graph model: one that TensorFlow made and tfjs runs.
 *
 * @param tf your tfjs
 * @param uri as {@linkcode loadModel} takes it
 * @returns what your `tf.loadGraphModel` returns
 */
export async function loadGraphModel<TF extends GraphModelLoader>(
  tf: TF,
  uri: string,
): Promise<Awaited<ReturnType<TF["loadGraphModel"]>>> {
  const artifacts = await read(uri);
  if (artifacts.format !== "graph-model") throw otherKind(uri, "layers", "loadModel");
  return await tf.loadGraphModel({ load: () => Promise.resolve(artifacts) });
}

/**
 * What tfjs itself loads a logged model by, and saves one to.
 *
 * ```ts ignore
 * const model = await tf.loadLayersModel(mlflow.mlflowHandler("models:/m-5b0c64c1de1a4c2eb80c2d1a9a7d8f3b"));
 * await model.save(mlflow.mlflowHandler("runs:/0c64c1de1a4c2eb80c2d1a9a7d8f3b5b/model"));
 * ```
 *
 * A model that is saved so is kept without signature and without a copy for Python, since tfjs hands neither over:
 * {@linkcode saveModel} and {@linkcode logModel} keep both.
 *
 * @param uri as {@linkcode loadModel} and {@linkcode saveModel} take it
 */
export function mlflowHandler(uri: string): ModelHandler {
  return {
    load: () => read(uri),
    save: (artifacts) =>
      doing(`Cannot save model "${uri}"`, async () => {
        const { writeArtifacts } = await import("./model/save.ts");
        await writeArtifacts(artifacts, await openArtifacts(uri), {});
        return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: "JSON" } };
      }),
  };
}

/**
 * What is known of a logged model without loading it: its signature, its flavors, the run it comes from.
 *
 * @param uri as {@linkcode loadModel} takes it
 */
export async function getModelInfo(uri: string): Promise<ModelInfo> {
  return await doing(`Cannot read model "${uri}"`, async () => {
    const { readModelInfo } = await import("./model/load.ts");
    return await readModelInfo(uri);
  });
}

async function read(uri: string): Promise<ModelArtifactsLike> {
  return await doing(`Cannot load model "${uri}"`, async () => {
    const { readModel } = await import("./model/load.ts");
    return (await readModel(uri)).artifacts;
  });
}

function otherKind(uri: string, kind: string, wanted: string): MlflowError {
  return new MlflowError("INVALID_PARAMETER_VALUE", `it is a ${kind} model: load it with ${wanted}`, {
    action: `Cannot load model "${uri}"`,
  });
}
