/**
 * Trained models: {@linkcode logModel} keeps one with its run, {@linkcode loadModel} brings it back.
 *
 * @module
 */
import { inFolder } from "./artifacts/artifact_path.ts";
import { openArtifacts } from "./artifacts/open_repository.ts";
import { doing, MlflowError } from "./errors.ts";
import { layersModelArtifacts, MLMODEL, type ModelArtifactsLike, readable } from "./model_flavor.ts";

export { logModel } from "./fluent.ts";
export type { LogModelOptions } from "./client.ts";
export type { LoggedModel, LoggedModelStatus, Metric } from "./entities.ts";
export type { LayersModelLike, ModelArtifactsLike, SymbolicTensorLike } from "./model_flavor.ts";
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

/** The part of the user's own tfjs that loads a model. */
export interface ModelLoader {
  /** Loads a layers model through a handler. */
  // deno-lint-ignore no-explicit-any -- tfjs's own types of the handler and of the model are the user's
  loadLayersModel(handler: any): Promise<any>;
}

/**
 * Loads a logged model. It predicts bit for bit what the model predicted that was logged.
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
 */
export async function loadModel<TF extends ModelLoader>(
  tf: TF,
  uri: string,
): Promise<Awaited<ReturnType<TF["loadLayersModel"]>>> {
  return await doing(`Cannot load model "${uri}"`, async () => {
    const { repository, path } = await openArtifacts(uri);
    const readFile = (name: string) => repository.read(inFolder(path, name));
    const { readYaml } = await import("./yaml.ts");
    const text = new TextDecoder().decode(await readFile(MLMODEL));
    const description = readable(MLMODEL, () => readYaml(text));
    const flavors = (description as { flavors?: Record<string, unknown> } | null)?.flavors ?? {};
    if (!("tensorflowjs" in flavors)) {
      throw new MlflowError(
        "INVALID_PARAMETER_VALUE",
        `the model has no flavor "tensorflowjs", found ${Object.keys(flavors).join(", ") || "none"}`,
      );
    }
    const artifacts: ModelArtifactsLike = await layersModelArtifacts(readFile);
    return await tf.loadLayersModel({ load: () => Promise.resolve(artifacts) });
  });
}
