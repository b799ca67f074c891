import { datasetFromTensors, digestOf } from "../dataset.ts";
import type { Dataset, TensorLike } from "../entities.ts";

/** A tensor of tfjs, as far as its rows can be taken. */
export interface TensorRows extends TensorLike {
  slice(begin: number, size?: number): TensorRows;
  dispose(): void;
}

/** One tensor, or several by name. */
export type Tensors = TensorRows | Readonly<Record<string, TensorRows>>;

/** Rows, and bytes, that a dataset's digest is made of at most: as many rows as in Python. */
const DIGEST_ROWS = 10_000;
const DIGEST_BYTES = 16 * 1024 ** 2;

/** What `fit` may be given as inputs or targets, by the names of the model's. */
export function namedTensors(given: unknown, names: readonly string[] = []): Tensors | undefined {
  if (isTensor(given)) return given;
  if (Array.isArray(given)) {
    if (!given.every(isTensor) || given.length === 0) return undefined;
    if (given.length === 1) return given[0];
    return Object.fromEntries(given.map((tensor, i) => [names[i] ?? String(i), tensor]));
  }
  if (typeof given !== "object" || given === null) return undefined;
  const entries = Object.entries(given).filter(([, value]) => isTensor(value)) as [string, TensorRows][];
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function isTensor(value: unknown): value is TensorRows {
  const { shape, slice, data } = (value ?? {}) as Partial<TensorRows>;
  return Array.isArray(shape) && typeof slice === "function" && typeof data === "function";
}

/** The first rows, which are taken at once: the tensors may be disposed of afterwards. */
export function firstRows(tensors: Tensors, rows: number): TensorLike | Readonly<Record<string, TensorLike>> {
  return mapped(tensors, (tensor) => ({
    shape: [Math.min(rows, tensor.shape[0]), ...tensor.shape.slice(1)],
    dtype: tensor.dtype,
    data: take(tensor, rows),
  }));
}

/** Describes tensors to MLflow; the digest is made of the first rows alone. */
export async function describeTensors(features: Tensors, targets: Tensors | undefined): Promise<Dataset> {
  const of = (tensors: Tensors) =>
    mapped(tensors, (tensor) => {
      const rowBytes = 4 * tensor.shape.slice(1).reduce((product, size) => product * size, 1);
      const rows = Math.min(DIGEST_ROWS, Math.max(1, Math.floor(DIGEST_BYTES / Math.max(1, rowBytes))));
      return { shape: tensor.shape, dtype: tensor.dtype, data: take(tensor, rows) };
    });
  return await datasetFromTensors(of(features), targets === undefined ? {} : { targets: of(targets) });
}

/** Describes a dataset to MLflow by its first batch. */
export async function describeBatches(
  size: number | null,
  features: Tensors,
  targets: Tensors | undefined,
): Promise<Dataset> {
  const dataset = await describeTensors(features, targets);
  // TensorFlow's numbers for what has no end, and for what is not known.
  const cardinality = size === null ? -2 : Number.isFinite(size) ? size : -1;
  const profile = JSON.stringify({ features_cardinality: cardinality });
  // Two datasets may begin alike: one to train on, and a part of it to validate with.
  return { ...dataset, digest: await digestOf([dataset.digest, profile]), profile };
}

/** Rows of the first of several tensors. */
export function rowsOf(tensors: Tensors): number {
  return (isTensor(tensors) ? tensors : Object.values(tensors)[0]).shape[0];
}

/** Reads the first rows, beginning at once. */
function take(tensor: TensorRows, rows: number): () => Promise<ArrayLike<number>> {
  const part = tensor.shape.length > 0 && tensor.shape[0] > rows ? tensor.slice(0, rows) : tensor;
  const values = part.data().finally(() => {
    if (part !== tensor) part.dispose();
  });
  values.catch(() => {});
  return () => values;
}

function mapped<T>(tensors: Tensors, map: (tensor: TensorRows) => T): T | Record<string, T> {
  if (isTensor(tensors)) return map(tensors);
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, map(tensor)]));
}
