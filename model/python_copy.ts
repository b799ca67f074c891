import { hdf5File } from "../keras/hdf5.ts";
import { KERAS_VERSION, kerasFile } from "../keras/keras_file.ts";
import { type ModelLike, NotInKeras, type WeightLike } from "../keras/tfjs_model.ts";
import { weightGroups } from "../keras/weights.ts";
import { cut, joined } from "./pieces.ts";
import { type ModelFile, weightPieces } from "./tfjs_files.ts";
import type { ModelArtifactsLike, TfjsModelLike } from "./tfjs_model.ts";

/** What Python opens a model by, beside the files of tfjs. */
export interface PythonCopy {
  readonly files: readonly ModelFile[];
  readonly flavors: Readonly<Record<string, unknown>>;
  /** What the inputs are called in Keras. */
  readonly inputNames: readonly string[];
}

/** The Python that MLflow makes an environment of, where it serves the model in one of its own. */
const PYTHON = "3.11.7";
const REQUIREMENTS = ["mlflow>=3.1,<4", "keras>=3.8,<4", "numpy", "tensorflow>=2.16"];
const ENVIRONMENT = {
  "requirements.txt": REQUIREMENTS.join("\n"),
  "conda.yaml": [
    "channels:",
    "- conda-forge",
    "dependencies:",
    `- python=${PYTHON}`,
    "- pip",
    "- pip:",
    ...REQUIREMENTS.map((line) => `  - ${line}`),
    "name: mlflow-env",
    "",
  ].join("\n"),
  "python_env.yaml": [
    `python: ${PYTHON}`,
    "build_dependencies:",
    "- pip",
    "- setuptools",
    "- wheel",
    "dependencies:",
    "- -r requirements.txt",
    "",
  ].join("\n"),
  "data/keras_module.txt": "keras",
};

/**
 * A model's copy for `mlflow.keras` and `mlflow.pyfunc`.
 *
 * @param artifacts what the model has handed over; the copy's weights are views of the same memory
 * @returns the reason where Keras would not compute what tfjs computes
 */
export function pythonCopy(model: TfjsModelLike, artifacts: ModelArtifactsLike): PythonCopy | string {
  return inKeras(model, (layers) => {
    const { pieces, inputNames } = kerasFile(layers, weightReader(layers, artifacts));
    const text = (content: string) => [new TextEncoder().encode(content)];
    return {
      files: [
        { path: "data/model.keras", pieces },
        ...Object.entries(ENVIRONMENT).map(([path, content]) => ({ path, pieces: text(content) })),
      ],
      flavors: {
        keras: { data: "data", keras_backend: "tensorflow", keras_version: KERAS_VERSION, save_exported_model: false },
        python_function: {
          env: { conda: "conda.yaml", virtualenv: "python_env.yaml" },
          loader_module: "mlflow.keras",
          python_version: PYTHON,
        },
      },
      inputNames,
    };
  });
}

/**
 * A model as one file that Keras alone opens, or its weights, which Keras loads into a model. Its path is the ending
 * that Keras knows it by.
 *
 * @returns the reason where Keras would not compute what tfjs computes
 */
export function kerasCopy(
  model: object,
  artifacts: ModelArtifactsLike,
  options: { readonly weightsOnly: boolean },
): ModelFile | string {
  return inKeras(model, (layers) => {
    const read = weightReader(layers, artifacts);
    return options.weightsOnly
      ? { path: ".weights.h5", pieces: hdf5File(weightGroups(layers, read)) }
      : { path: ".keras", pieces: kerasFile(layers, read).pieces };
  });
}

function inKeras<T>(model: object, write: (layers: LayersModel) => T): T | string {
  if (!isLayersModel(model)) return "it is not made of layers";
  try {
    return write(model);
  } catch (error) {
    if (error instanceof NotInKeras) return error.message;
    throw error;
  }
}

type LayersModel = ModelLike & { readonly weights: readonly WeightLike[] };

function isLayersModel(model: object): model is LayersModel {
  const { layers, weights, toJSON } = model as Partial<LayersModel>;
  return Array.isArray(layers) && Array.isArray(weights) && typeof toJSON === "function";
}

/** Finds weights in what a model has handed over, where they are in the model's own order. */
function weightReader({ weights }: LayersModel, artifacts: ModelArtifactsLike): (weight: WeightLike) => Float32Array {
  const specs = artifacts.weightSpecs as readonly { readonly dtype: string; readonly shape: readonly number[] }[];
  const pieces = weightPieces(artifacts.weightData);
  const places = new Map<WeightLike, readonly [number, number]>();
  let at = 0;
  for (const [i, weight] of weights.entries()) {
    const { dtype, shape } = specs[i] ?? {};
    if (dtype !== "float32") throw new NotInKeras(`one of its weights is of type ${dtype}`);
    if (`${shape}` !== `${weight.shape}`) throw new NotInKeras("its weights are not those that it saves");
    const length = shape.reduce((product, size) => product * size, 4);
    places.set(weight, [at, at + length]);
    at += length;
  }
  return (weight) => {
    const place = places.get(weight);
    if (place === undefined) throw new NotInKeras("one of its weights is not saved");
    const bytes = joined(cut(pieces, ...place));
    return bytes.byteOffset % 4 === 0
      ? new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
      : new Float32Array(bytes.slice().buffer);
  };
}
