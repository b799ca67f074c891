import { MlflowError } from "../errors.ts";
import { type ModelSignature, readSignature, writeSignature } from "../signature.ts";

/** The file in a model's folder that says what is in it. */
export const MLMODEL = "MLmodel";

/** What a model is known by. */
export interface ModelIdentity {
  /** `m-…`; undefined for a model that no store knows. */
  readonly modelId?: string | undefined;
  readonly runId?: string | undefined;
  /** The root of the model's files; undefined where they may be moved about. */
  readonly location?: string | undefined;
}

/** What a model's folder is said to hold. */
export interface ModelDescription extends ModelIdentity {
  readonly flavors: Readonly<Record<string, unknown>>;
  readonly signature?: ModelSignature | undefined;
  /** How its input example is kept. */
  readonly example?: Readonly<Record<string, unknown>> | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
  readonly size?: number | undefined;
}

/** The text of the MLmodel file of a model. */
export async function writeMlmodel(description: ModelDescription): Promise<string> {
  const { modelId, runId, location, flavors, signature, example, metadata, size } = description;
  const { writeYaml } = await import("../yaml.ts");
  return writeYaml({
    ...(location === undefined ? {} : { artifact_path: location }),
    flavors,
    ...(metadata === undefined ? {} : { metadata }),
    ...(modelId === undefined ? {} : { model_id: modelId }),
    ...(size === undefined ? {} : { model_size_bytes: size }),
    model_uuid: modelId ?? crypto.randomUUID().replaceAll("-", ""),
    ...(runId === undefined ? {} : { run_id: runId }),
    ...(example === undefined ? {} : { saved_input_example_info: example }),
    ...(signature === undefined ? {} : { signature: writeSignature(signature) }),
    utc_time_created: new Date().toISOString().replace("T", " ").replace("Z", "000"),
  });
}

/** The MLmodel file of a model whose own files are kept elsewhere. */
export async function describeExternalModel(identity: ModelIdentity): Promise<string> {
  // MLflow's own stand-in: registries want some signature.
  const anything = [{ type: "boolean", required: true }] as const;
  return await writeMlmodel({
    ...identity,
    flavors: {},
    metadata: { "mlflow.model.isExternal": true },
    signature: { inputs: anything, outputs: anything },
  });
}

/** What an MLmodel file says of a model. */
export interface ModelInfo {
  /** The kinds of program that open it, by name, and what each is told: `tensorflowjs`, `keras`, `python_function`, … */
  readonly flavors: Readonly<Record<string, unknown>>;
  /** What it takes and gives; undefined where the file does not say. */
  readonly signature: ModelSignature | undefined;
  /** `m-…`, for a model that was logged. */
  readonly modelId: string | undefined;
  /** The run that logged it. */
  readonly runId: string | undefined;
  /** What it was logged with besides. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The bytes of its files without this one; undefined where the file does not say. */
  readonly sizeBytes: number | undefined;
}

/** Reads an MLmodel file; what is not readable is `DATA_LOSS`. */
export async function readMlmodel(bytes: Uint8Array): Promise<ModelInfo> {
  const { readYaml } = await import("../yaml.ts");
  const text = new TextDecoder().decode(bytes);
  return readable(MLMODEL, () => {
    const file = (readYaml(text) ?? {}) as Readonly<Record<string, unknown>>;
    if (typeof (file.flavors ?? {}) !== "object") throw new TypeError("its flavors are no mapping");
    const optional = (value: unknown) => (value ?? undefined) as undefined;
    return {
      flavors: (file.flavors ?? {}) as Record<string, unknown>,
      signature: file.signature ? readSignature(file.signature) : undefined,
      modelId: optional(file.model_id),
      runId: optional(file.run_id),
      metadata: (file.metadata ?? {}) as Record<string, unknown>,
      sizeBytes: optional(file.model_size_bytes),
    };
  });
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
