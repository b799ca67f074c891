/**
 * Trained models: {@linkcode logModel} keeps one with its run, {@linkcode loadModel} brings it back.
 *
 * @module
 */
import { openRepository } from "./artifacts/open_repository.ts";
import type { ArtifactRepository } from "./artifacts/repository.ts";
import { hasScheme } from "./artifacts/uri.ts";
import { MlflowClient } from "./client.ts";
import { doing, MlflowError } from "./errors.ts";
import { layersModelArtifacts, MLMODEL, type ModelArtifactsLike, readable } from "./model_flavor.ts";

export { logModel } from "./fluent.ts";
export type { LogModelOptions } from "./client.ts";
export type { LoggedModel, LoggedModelStatus, Metric } from "./entities.ts";
export type { LayersModelLike, ModelArtifactsLike, SymbolicTensorLike } from "./model_flavor.ts";

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
 * @param uri `models:/m-…`, `runs:/<run id>/<model's name or path>`, or the path of the model's folder
 * @returns what your `tf.loadLayersModel` returns
 */
export async function loadModel<TF extends ModelLoader>(
  tf: TF,
  uri: string,
): Promise<Awaited<ReturnType<TF["loadLayersModel"]>>> {
  return await doing(`Cannot load model "${uri}"`, async () => {
    const files = await modelRepository(uri);
    const { readYaml } = await import("./yaml.ts");
    const text = new TextDecoder().decode(await files.read(MLMODEL));
    const description = readable(MLMODEL, () => readYaml(text));
    const flavors = (description as { flavors?: Record<string, unknown> } | null)?.flavors ?? {};
    if (!("tensorflowjs" in flavors)) {
      throw new MlflowError(
        "INVALID_PARAMETER_VALUE",
        `the model has no flavor "tensorflowjs", found ${Object.keys(flavors).join(", ") || "none"}`,
      );
    }
    const artifacts: ModelArtifactsLike = await layersModelArtifacts((path) => files.read(path));
    return await tf.loadLayersModel({ load: () => Promise.resolve(artifacts) });
  });
}

async function modelRepository(uri: string): Promise<ArtifactRepository> {
  const client = new MlflowClient();
  const modelId = /^models:\/+(m-[^/]+)$/.exec(uri)?.[1];
  if (modelId !== undefined) return openRepository((await client.getLoggedModel(modelId)).artifactLocation);
  const [, runId, path] = /^runs:\/+([^/]+)\/(.+)$/.exec(uri) ?? [];
  if (runId !== undefined) return await runsModel(client, runId, path);
  if (hasScheme(uri) && !uri.startsWith("file:")) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      "a model's URI reads models:/m-…, runs:/<run id>/<path> or is the path of a folder; registered models are not " +
        "supported yet",
    );
  }
  return openRepository(uri);
}

/** The last model of this name that the run has put out, or else a folder of the run's own artifacts. */
async function runsModel(client: MlflowClient, runId: string, path: string): Promise<ArtifactRepository> {
  const { info, outputs } = await client.getRun(runId);
  const models = await Promise.all(outputs.modelOutputs.map(({ modelId }) => client.getLoggedModel(modelId)));
  const named = models.filter(({ name }) => name === path).sort((a, b) => a.creationTimestamp - b.creationTimestamp).at(
    -1,
  );
  return openRepository(named?.artifactLocation ?? `${info.artifactUri}/${path}`);
}
