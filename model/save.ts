import { inFolder } from "../artifacts/artifact_path.ts";
import type { ArtifactRepository } from "../artifacts/repository.ts";
import type { ModelSignature, SignatureData } from "../signature.ts";
import { takeArtifacts, takeTrainingArtifacts } from "./artifacts.ts";
import { checksum } from "./checksum.ts";
import { inputExample } from "./input_example.ts";
import { MLMODEL, type ModelIdentity, writeMlmodel } from "./mlmodel.ts";
import { contentOf, sizeOf } from "./pieces.ts";
import { type PythonCopy, pythonCopy } from "./python_copy.ts";
import { tfjsFiles, TOPOLOGY } from "./tfjs_files.ts";
import { type ModelArtifactsLike, signatureOf, type TfjsModelLike } from "./tfjs_model.ts";

/** What is kept of a model besides its layers and weights. */
export interface SaveModelOptions {
  /** What it takes and gives; null keeps it without. @default {the types and shapes of its own inputs and outputs} */
  readonly signature?: ModelSignature | null;
  /** An example of what it takes, which MLflow's UI and its servers show. A few rows do. */
  readonly inputExample?: SignatureData;
  /** Whatever else is to be known of it, in JSON's terms; it is kept in the MLmodel file. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Whether the state of the optimizer is kept, so that a training can go on as it was. @default {false} */
  readonly includeOptimizer?: boolean;
  /**
   * Whether a copy for Python is kept beside, which `mlflow.keras.load_model` and `mlflow.pyfunc.load_model` open: a
   * Keras 3 file, about as large as the weights. A model that Keras has no like of is kept without, and a warning says
   * why.
   *
   * @default {true}
   */
  readonly pythonCopy?: boolean;
}

/** A folder of a repository. */
export interface ModelFolder {
  readonly repository: ArtifactRepository;
  readonly path: string;
}

/** Writes a model into a folder. */
export async function writeModel(
  model: TfjsModelLike,
  folder: ModelFolder,
  identity: ModelIdentity,
  options: SaveModelOptions = {},
): Promise<void> {
  const artifacts = await (options.includeOptimizer ? takeTrainingArtifacts(model) : takeArtifacts(model));
  const python = options.pythonCopy === false ? undefined : pythonCopy(model, artifacts);
  if (typeof python === "string") console.warn(`The model is kept without its copy for Python: ${python}`);
  const names = typeof python === "object" ? python.inputNames : undefined;
  await writeArtifacts(artifacts, folder, identity, {
    ...options,
    signature: options.signature === undefined ? signatureOf(model, artifacts, names) : options.signature,
    python,
  });
}

/** What is kept beside what a model has handed over. */
interface Extras extends Pick<SaveModelOptions, "signature" | "inputExample" | "metadata"> {
  /** The copy for Python, or the reason why there is none. */
  readonly python?: PythonCopy | string | undefined;
}

/** Writes what a model has handed over; the MLmodel file comes last: where it is, the rest is. */
export async function writeArtifacts(
  artifacts: ModelArtifactsLike,
  { repository, path }: ModelFolder,
  identity: ModelIdentity,
  { signature, inputExample: data, metadata, python }: Extras = {},
): Promise<void> {
  const example = data === undefined ? undefined : await inputExample(data);
  const tfjs = tfjsFiles(artifacts);
  const copy = typeof python === "object" ? python : undefined;
  const files = [...tfjs, ...copy?.files ?? [], ...example?.files ?? []];
  const writes = files.map(({ path: name, pieces }) => repository.write(inFolder(path, name), contentOf(pieces)));
  // The hashes are made while the files are written.
  const sums = Object.fromEntries(tfjs.map(({ path, pieces }) => [path, checksum(pieces)]));
  await Promise.all(writes);
  const mlmodel = await writeMlmodel({
    ...identity,
    flavors: {
      ...copy?.flavors,
      tensorflowjs: {
        data: TOPOLOGY,
        files: sums,
        format: artifacts.format ?? "layers-model",
        generated_by: artifacts.generatedBy ?? null,
        ...(typeof python === "string" ? { no_python_copy: python } : {}),
      },
    },
    signature: signature ?? undefined,
    example: example?.info,
    metadata,
    size: files.reduce((sum, { pieces }) => sum + sizeOf(pieces), 0),
  });
  await repository.write(inFolder(path, MLMODEL), new TextEncoder().encode(mlmodel));
}
