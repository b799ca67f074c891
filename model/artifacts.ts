import type { ModelArtifactsLike } from "./tfjs_model.ts";

/** A `tf.LayersModel`, as far as it hands itself over to be saved. */
export interface SavedModel {
  readonly optimizer?: object;
  // deno-lint-ignore no-explicit-any -- tfjs's own types of the handler are the user's
  save(handler: any): Promise<unknown>;
}

/** What tfjs keeps of a model and its optimizer beside what their types say. */
interface CompiledModel {
  getTrainingConfig?(): unknown;
  readonly optimizer?: { getWeights?(): Promise<readonly NamedTensor[]> };
}

interface NamedTensor {
  readonly name: string;
  readonly tensor: {
    readonly shape: readonly number[];
    readonly dtype: string;
    data(): Promise<ArrayBufferView<ArrayBuffer>>;
    dispose(): void;
  };
}

/** What a model is at this moment: its layers and weights. */
export async function takeArtifacts(model: SavedModel): Promise<ModelArtifactsLike> {
  let artifacts: ModelArtifactsLike | undefined;
  const save = (given: ModelArtifactsLike) => {
    artifacts = given;
    return Promise.resolve({ modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: "JSON" } });
  };
  await model.save({ save });
  if (artifacts === undefined) throw new TypeError("Cannot save the model: its save() handed nothing over");
  return artifacts;
}

/**
 * The same, with what the model was compiled with and what its optimizer has come to know, as tfjs's own
 * `includeOptimizer` gives it, which leaves a tensor behind each time.
 */
export async function takeTrainingArtifacts(model: SavedModel): Promise<ModelArtifactsLike> {
  const artifacts = await takeArtifacts(model);
  const { optimizer } = model as CompiledModel;
  if (optimizer?.getWeights === undefined) return artifacts;
  const trainingConfig = (model as CompiledModel).getTrainingConfig?.();
  const weights = await optimizer.getWeights();
  const values = await Promise.all(weights.map(({ tensor }) => tensor.data()));
  // The number of iterations is a tensor made for the occasion, the rest are the optimizer's own.
  for (const { name, tensor } of weights) if (name === "iter") tensor.dispose();
  const { weightData = [], weightSpecs = [] } = artifacts;
  const bytes = values.map(({ buffer, byteOffset, byteLength }) => buffer.slice(byteOffset, byteOffset + byteLength));
  return {
    ...artifacts,
    trainingConfig,
    weightSpecs: [
      ...weightSpecs,
      ...weights.map(({ name, tensor: { shape, dtype } }) => ({ name, shape, dtype, group: "optimizer" })),
    ],
    weightData: [weightData, bytes].flat(2),
  };
}
