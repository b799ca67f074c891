import type { TensorLike } from "../entities.ts";
import type { SignatureData, TensorExample } from "../signature.ts";
import type { ModelFile } from "./tfjs_files.ts";

/** An example of what a model takes, as MLflow keeps it. */
export interface SavedExample {
  readonly files: readonly ModelFile[];
  /** What the MLmodel file says of it. */
  readonly info: Readonly<Record<string, unknown>>;
}

const EXAMPLE = "input_example.json";
const SERVING_EXAMPLE = "serving_input_example.json";

/** The files of an example: for `mlflow.models.Model.load_input_example`, and as a server takes it. */
export async function inputExample(data: SignatureData): Promise<SavedExample> {
  const paths = { artifact_path: EXAMPLE, serving_input_path: SERVING_EXAMPLE };
  const file = (path: string, value: unknown, indent?: number): ModelFile => ({
    path,
    pieces: [new TextEncoder().encode(JSON.stringify(value, null, indent))],
  });
  if (isRows(data)) {
    const columns = [...new Set(data.flatMap((row) => Object.keys(row)))];
    const table = { columns, data: data.map((row) => columns.map((name) => row[name] ?? null)) };
    return {
      files: [file(EXAMPLE, table), file(SERVING_EXAMPLE, { dataframe_split: table }, 2)],
      info: { ...paths, pandas_orient: "split", type: "dataframe" },
    };
  }
  const values = await valuesOf(data);
  return {
    files: [file(EXAMPLE, values), file(SERVING_EXAMPLE, { inputs: values }, 2)],
    info: { ...paths, type: "ndarray" },
  };
}

function isRows(data: SignatureData): data is readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(data) && typeof data[0] === "object" && data[0] !== null && !Array.isArray(data[0]);
}

/** A tensor's values as nested lists, or those of several by name; NaN is null, as MLflow writes it. */
async function valuesOf(data: Exclude<SignatureData, readonly Readonly<Record<string, unknown>>[]>): Promise<unknown> {
  if (ArrayBuffer.isView(data)) return [...data];
  if (typeof data !== "object" || data === null || Array.isArray(data)) return data;
  if (isTensor(data)) {
    const { shape, data: values } = data as TensorLike;
    return nested(Array.from(await values.call(data)), shape);
  }
  const entries = Object.entries(data as Readonly<Record<string, TensorExample>>);
  return Object.fromEntries(
    await Promise.all(entries.map(async ([name, one]) => [name, await valuesOf(one)] as const)),
  );
}

function isTensor(data: object): data is TensorLike {
  return Array.isArray((data as Partial<TensorLike>).shape) && "data" in data;
}

function nested(values: readonly unknown[], [size, ...rest]: readonly number[]): unknown {
  if (size === undefined) return values[0];
  if (rest.length === 0) return values;
  const length = rest.reduce((product, one) => product * one, 1);
  return Array.from({ length: size }, (_, i) => nested(values.slice(i * length, (i + 1) * length), rest));
}
