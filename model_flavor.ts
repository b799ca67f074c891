import { MlflowError } from "./errors.ts";

/** A symbolic input or output of a tfjs model. */
export interface SymbolicTensorLike {
  /** The name of the layer's tensor. */
  readonly name: string;
  /** Its element type, such as `"float32"`. */
  readonly dtype: string;
  /** Its shape; null where any size fits, as for the batch. */
  readonly shape: readonly (number | null)[];
}

/** What a tfjs model hands over to be saved. */
export interface ModelArtifactsLike {
  /** The layers and how they are connected. */
  readonly modelTopology?: unknown;
  /** Optimizer, loss and metrics that the model was compiled with. */
  readonly trainingConfig?: unknown;
  /** Name, shape and element type of each weight, in the order of the data. */
  readonly weightSpecs?: readonly unknown[];
  /** The weights' bytes, one after the other. */
  readonly weightData?: ArrayBuffer | readonly ArrayBuffer[];
  /** The kind of model, `"layers-model"`. */
  readonly format?: string;
  /** The library that made it, with its version. */
  readonly generatedBy?: string;
  /** The converter that made it, if one did. */
  readonly convertedBy?: string | null;
  /** What the user has attached to it. */
  readonly userDefinedMetadata?: unknown;
}

/** A `tf.LayersModel`, as far as it is needed here. */
export interface LayersModelLike {
  /** What it takes. */
  readonly inputs: readonly SymbolicTensorLike[];
  /** What it gives. */
  readonly outputs: readonly SymbolicTensorLike[];
  /** The names of the inputs' layers; those of the tensors carry a number that differs from program to program. */
  readonly inputNames?: readonly string[];
  /** The names of the outputs' layers. */
  readonly outputNames?: readonly string[];
  /** Hands its artifacts to the `save` of a handler. */
  // deno-lint-ignore no-explicit-any -- tfjs's own types differ in what they call the result of a save
  save(handler: any): Promise<unknown>;
}

/** What an MLmodel file says of a model besides its signature. */
export interface ModelIdentity {
  readonly modelId: string;
  readonly runId: string | undefined;
  /** The root of the model's files. */
  readonly location: string;
}

/** The files of a logged model by their paths. */
export type ModelFiles = ReadonlyMap<string, Uint8Array>;

/** The file in a model's folder that says what is in it. */
export const MLMODEL = "MLmodel";
const TOPOLOGY = "model.json";
const WEIGHTS = "weights.bin";

/** The files that keep a layers model: tfjs's own `model.json` and weights, and an MLmodel that describes them. */
export async function layersModelFiles(model: LayersModelLike, identity: ModelIdentity): Promise<ModelFiles> {
  const artifacts = await artifactsOf(model);
  const weights = joined(artifacts.weightData);
  const { weightSpecs, weightData: _, ...description } = artifacts;
  const json = { ...description, weightsManifest: [{ paths: [WEIGHTS], weights: weightSpecs ?? [] }] };
  const topology = new TextEncoder().encode(JSON.stringify(json));
  const size = topology.length + weights.length;
  return new Map([
    [TOPOLOGY, topology],
    [WEIGHTS, weights],
    // It comes last: where it is, the rest is.
    [MLMODEL, new TextEncoder().encode(await describe(model, artifacts, identity, size))],
  ]);
}

/** The MLmodel file of a model whose own files are kept elsewhere. */
export async function describeExternalModel({ modelId, runId, location }: ModelIdentity): Promise<string> {
  const { writeYaml } = await import("./yaml.ts");
  // MLflow's own stand-in: registries want some signature.
  const anything = JSON.stringify([{ type: "boolean", required: true }]);
  return writeYaml({
    artifact_path: location,
    flavors: {},
    metadata: { "mlflow.model.isExternal": true },
    model_id: modelId,
    model_uuid: modelId,
    ...(runId === undefined ? {} : { run_id: runId }),
    signature: { inputs: anything, outputs: anything, params: null },
    utc_time_created: utcTime(),
  });
}

/** What `tf.loadLayersModel` loads from the files that {@linkcode layersModelFiles} has made. */
export async function layersModelArtifacts(
  read: (path: string) => Promise<Uint8Array<ArrayBuffer>>,
): Promise<ModelArtifactsLike> {
  const text = new TextDecoder().decode(await read(TOPOLOGY));
  const { weightsManifest, ...description } = readable(TOPOLOGY, () => JSON.parse(text));
  const groups = readable(TOPOLOGY, () => {
    if (!Array.isArray(weightsManifest)) throw new TypeError("it has no weightsManifest");
    return weightsManifest as { readonly paths: readonly string[]; readonly weights: readonly unknown[] }[];
  });
  const parts: Uint8Array[] = [];
  for (const path of groups.flatMap(({ paths }) => paths)) parts.push(await read(path));
  return {
    ...description,
    weightSpecs: groups.flatMap(({ weights }) => weights),
    weightData: joined(parts.map((part) => part.slice().buffer)).buffer,
  };
}

/** What `read` reads from a model's file; a file that it cannot read is `DATA_LOSS`. */
export function readable<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MlflowError("DATA_LOSS", `${file} is not readable: ${reason}`, { cause: error });
  }
}

async function artifactsOf(model: LayersModelLike): Promise<ModelArtifactsLike> {
  let artifacts: ModelArtifactsLike | undefined;
  await model.save({
    save: (given: ModelArtifactsLike) => {
      artifacts = given;
      return Promise.resolve({ modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: "JSON" } });
    },
  });
  if (artifacts === undefined) throw new TypeError("Cannot save the model: its save() handed nothing over");
  return artifacts;
}

async function describe(
  model: LayersModelLike,
  artifacts: ModelArtifactsLike,
  identity: ModelIdentity,
  size: number,
): Promise<string> {
  const { writeYaml } = await import("./yaml.ts");
  return writeYaml({
    artifact_path: identity.location,
    flavors: {
      tensorflowjs: {
        data: TOPOLOGY,
        format: artifacts.format ?? "layers-model",
        generated_by: artifacts.generatedBy ?? null,
      },
    },
    model_id: identity.modelId,
    model_size_bytes: size,
    model_uuid: identity.modelId,
    run_id: identity.runId,
    signature: {
      inputs: tensorSpecs(model.inputs, model.inputNames),
      outputs: tensorSpecs(model.outputs, model.outputNames),
      params: null,
    },
    utc_time_created: utcTime(),
  });
}

/** Now, as MLmodel files write it. */
function utcTime(): string {
  return new Date().toISOString().replace("T", " ").replace("Z", "000");
}

/** MLflow's tensor signature: a JSON text, with names only where there is more than one tensor. */
function tensorSpecs(tensors: readonly SymbolicTensorLike[], names: readonly string[] = []): string {
  return JSON.stringify(tensors.map(({ name, dtype, shape }, i) => ({
    ...(tensors.length > 1 ? { name: names[i] ?? name } : {}),
    type: "tensor",
    "tensor-spec": { dtype, shape: shape.map((size) => size ?? -1) },
  })));
}

function joined(data: ArrayBuffer | readonly ArrayBuffer[] | undefined): Uint8Array<ArrayBuffer> {
  const buffers = data === undefined ? [] : data instanceof ArrayBuffer ? [data] : data;
  const whole = new Uint8Array(buffers.reduce((size, { byteLength }) => size + byteLength, 0));
  let at = 0;
  for (const buffer of buffers) {
    whole.set(new Uint8Array(buffer), at);
    at += buffer.byteLength;
  }
  return whole;
}
