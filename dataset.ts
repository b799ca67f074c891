import { defaultTags } from "./tracking/context.ts";
import type { Dataset, DatasetInput, TensorLike } from "./entities.ts";

/** What a dataset is called and where it comes from. */
export interface DatasetOptions {
  /** Its name, of at most 500 characters. @default {"dataset"} */
  readonly name?: string;
  /**
   * Where it comes from: a path, or a URI such as `https://…` or `s3://…`.
   *
   * @default the program that runs
   */
  readonly source?: string | URL;
  /** What tells it from others of its name, of at most 36 characters. @default {8 digits of the SHA-256 of its content} */
  readonly digest?: string;
}

/** A column of numbers, rows of them, …: lists of one length in each dimension. */
export type NestedNumbers = readonly (number | NestedNumbers)[];

/** The values of a dataset: a tensor of tfjs, lists of numbers, or a typed array. */
export type DatasetValues = TensorLike | NestedNumbers | DatasetArray;

/** A typed array, of one dimension. */
export type DatasetArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** What a dataset of tensors may be told. */
export interface TensorDatasetOptions extends DatasetOptions {
  /** What is to be learned of the features: one tensor, or several by name. */
  readonly targets?: DatasetValues | Readonly<Record<string, DatasetValues>>;
}

/** What a dataset of images may be told. */
export interface ImagesDatasetOptions extends DatasetOptions {
  /** Only the images of one part. @default {all} */
  readonly split?: "train" | "validation";
}

/** What is read of a dataset of images, as `imageDatasetFromDirectory` gives it. */
export interface ImagesLike {
  /** Its images. */
  readonly files: readonly {
    readonly path: string;
    readonly className: string;
    readonly split: "train" | "validation";
    readonly bytes: number;
    readonly sha256: string;
  }[];
}

/** How a dataset is used by a run. */
export interface LogInputOptions {
  /** What for: `"training"`, `"validation"`, `"test"`, …; kept as the tag `mlflow.data.context`. */
  readonly context?: string;
  /** More tags of this use. */
  readonly tags?: Readonly<Record<string, string>>;
}

/** A dataset and how a run uses it. */
export interface LoggedInput extends LogInputOptions {
  /** The dataset. */
  readonly dataset: Dataset;
}

const CONTEXT_TAG = "mlflow.data.context";

/**
 * Describes tensors to MLflow, as Python's `mlflow.data.from_numpy` does: types and shapes as schema, sizes as profile.
 *
 * ```ts
 * import * as mlflow from "@mlflow-deno/mlflow";
 *
 * mlflow.setTrackingUri("memory:");
 * const dataset = await mlflow.datasetFromTensors([[1, 2], [3, 4]], { name: "points", targets: [0, 1] });
 * await mlflow.logInput(dataset, { context: "training" });
 * ```
 *
 * @param features the values, or several by name. Lists of numbers are taken as float64.
 */
export async function datasetFromTensors(
  features: DatasetValues | Readonly<Record<string, DatasetValues>>,
  options: TensorDatasetOptions = {},
): Promise<Dataset> {
  const parts = { features: await take(features), targets: options.targets && await take(options.targets) };
  const given = [parts.features, ...(parts.targets === undefined ? [] : [parts.targets])].flat();
  const spec = (taken: Taken | undefined) => taken === undefined ? null : JSON.stringify(tensorSpecs(taken));
  return {
    name: options.name ?? "dataset",
    digest: options.digest ?? await digestOf(given.flatMap(({ name, dtype, shape, values }) => [
      JSON.stringify([name, dtype, shape]),
      bytesOf(values),
    ])),
    ...await sourceOf(options.source),
    schema: JSON.stringify({ mlflow_tensorspec: { features: spec(parts.features), targets: spec(parts.targets) } }),
    profile: JSON.stringify({ ...sizes("features", parts.features), ...sizes("targets", parts.targets) }),
  };
}

/**
 * Describes rows to MLflow, as Python's `mlflow.data.from_pandas` does: the columns' types as schema, the number of rows
 * as profile.
 *
 * @param rows one record a row; a column whose values differ in type is of type `"any"`
 */
export async function datasetFromRows(
  rows: readonly Readonly<Record<string, unknown>>[],
  options: DatasetOptions = {},
): Promise<Dataset> {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const columns = names.map((name) => columnSpec(name, rows.map((row) => row[name])));
  return {
    name: options.name ?? "dataset",
    digest: options.digest ?? await digestOf([JSON.stringify([names, rows.map((row) => names.map((n) => row[n]))])]),
    ...await sourceOf(options.source),
    schema: JSON.stringify({ mlflow_colspec: columns }),
    profile: JSON.stringify({ num_rows: rows.length, num_elements: rows.length * names.length }),
  };
}

/**
 * Describes a folder of images to MLflow: what `imageDatasetFromDirectory` gave, its digest made of the files' paths and
 * contents.
 *
 * ```ts ignore
 * const images = await mlflow.imageDatasetFromDirectory(tf, "photos", { validationSplit: 0.2 });
 * const training = await mlflow.datasetFromImages(images, { name: "photos", source: "photos", split: "train" });
 * await run.logInput(training, { context: "training" });
 * ```
 */
export async function datasetFromImages(images: ImagesLike, options: ImagesDatasetOptions = {}): Promise<Dataset> {
  const files = images.files.filter(({ split }) => options.split === undefined || split === options.split);
  const classes: Record<string, number> = {};
  for (const { className } of files) classes[className] = (classes[className] ?? 0) + 1;
  const labeled = files.some(({ className }) => className !== "");
  return {
    name: options.name ?? "dataset",
    digest: options.digest ?? await digestOf([JSON.stringify(files.map(({ path, sha256 }) => [path, sha256]))]),
    ...await sourceOf(options.source),
    schema: JSON.stringify({
      mlflow_colspec: [
        { type: "binary", name: "image", required: true },
        ...(labeled ? [{ type: "string", name: "label", required: true }] : []),
      ],
    }),
    profile: JSON.stringify({
      num_rows: files.length,
      num_elements: files.length * (labeled ? 2 : 1),
      num_bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      ...(labeled ? { classes } : {}),
    }),
  };
}

/** The use of a dataset, as a store takes it. */
export function datasetInput({ dataset, context, tags = {} }: LoggedInput): DatasetInput {
  return { dataset, tags: { ...tags, ...(context === undefined ? {} : { [CONTEXT_TAG]: context }) } };
}

/** A tensor's values and what they are. */
interface TakenTensor {
  readonly name: string | undefined;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly values: ArrayLike<unknown>;
}

type Taken = readonly TakenTensor[];

async function take(values: DatasetValues | Readonly<Record<string, DatasetValues>>): Promise<Taken> {
  if (isValues(values)) return [await takeOne(undefined, values)];
  return await Promise.all(Object.entries(values).map(([name, one]) => takeOne(name, one)));
}

function isValues(values: DatasetValues | Readonly<Record<string, DatasetValues>>): values is DatasetValues {
  return Array.isArray(values) || ArrayBuffer.isView(values) ||
    (Array.isArray((values as Partial<TensorLike>).shape) && "data" in values);
}

async function takeOne(name: string | undefined, given: DatasetValues): Promise<TakenTensor> {
  if (Array.isArray(given)) {
    const shape: number[] = [];
    for (let at: unknown = given; Array.isArray(at); at = at[0]) shape.push(at.length);
    const values = Float64Array.from((given as unknown[]).flat(Infinity) as number[]);
    if (values.length !== shape.reduce((product, size) => product * size, 1)) {
      throw new TypeError(`A dataset's lists must be of one length in each dimension: the first ones say [${shape}]`);
    }
    return { name, dtype: "float64", shape, values };
  }
  if (ArrayBuffer.isView(given)) {
    const values = given as DatasetArray;
    const dtype = values.constructor.name.replace("Array", "").toLowerCase();
    return { name, dtype, shape: [values.length], values };
  }
  const { shape, dtype = "float32", data } = given as TensorLike;
  return { name, dtype, shape: [...shape], values: await data.call(given) };
}

/** MLflow leaves the first dimension, the number of examples, open. */
function tensorSpecs(tensors: Taken): unknown[] {
  return tensors.map(({ name, dtype, shape }) => ({
    ...(name === undefined ? {} : { name }),
    type: "tensor",
    "tensor-spec": {
      dtype: dtype === "string" ? "str" : dtype,
      shape: shape.length === 0 ? [] : [-1, ...shape.slice(1)],
    },
  }));
}

const BYTES: Readonly<Record<string, number>> = { float64: 8, float32: 4, int32: 4, complex64: 8 };

function sizes(kind: string, tensors: Taken | undefined): Record<string, unknown> {
  if (tensors === undefined) return {};
  const of = <T>(get: (tensor: TakenTensor) => T): unknown =>
    tensors.length === 1 && tensors[0].name === undefined
      ? get(tensors[0])
      : Object.fromEntries(tensors.map((tensor) => [tensor.name, get(tensor)]));
  const size = ({ shape }: TakenTensor) => shape.reduce((product, length) => product * length, 1);
  return {
    [`${kind}_shape`]: of(({ shape }) => shape),
    [`${kind}_size`]: of(size),
    [`${kind}_nbytes`]: of((tensor) => size(tensor) * (BYTES[tensor.dtype] ?? 1)),
  };
}

/** A column's type by MLflow's names. */
function columnSpec(name: string, values: readonly unknown[]): Record<string, unknown> {
  const there = values.filter((value) => value !== null && value !== undefined);
  const types = new Set(there.map(typeOf));
  if (types.has("double")) types.delete("long");
  const type = types.size === 1 ? [...types][0] : "any";
  return { type, name, required: there.length === values.length };
}

function typeOf(value: unknown): string {
  if (typeof value === "number") return Number.isSafeInteger(value) ? "long" : "double";
  if (value instanceof Date) return "datetime";
  if (value instanceof Uint8Array) return "binary";
  return { string: "string", boolean: "boolean", bigint: "long" }[typeof value as string] ?? "any";
}

/** Where a dataset comes from, in MLflow's words. */
async function sourceOf(source: string | URL | undefined): Promise<{ sourceType: string; source: string }> {
  if (source === undefined) return { sourceType: "code", source: JSON.stringify({ tags: await defaultTags() }) };
  const uri = String(source);
  const scheme = /^([a-z][a-z\d+.-]+):/i.exec(uri)?.[1].toLowerCase();
  if (scheme === "http" || scheme === "https") return { sourceType: "http", source: JSON.stringify({ url: uri }) };
  const sourceType = scheme === undefined || scheme === "file" ? "local" : scheme;
  return { sourceType, source: JSON.stringify({ uri }) };
}

function bytesOf(values: ArrayLike<unknown>): string | Uint8Array<ArrayBuffer> {
  if (!ArrayBuffer.isView(values)) return JSON.stringify(Array.from(values));
  return new Uint8Array(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

/** What tells contents apart: 8 digits of their SHA-256. */
export async function digestOf(parts: readonly (string | Uint8Array<ArrayBuffer>)[]): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", await new Blob([...parts]).arrayBuffer());
  return [...new Uint8Array(hash).subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
