import type { TensorLike } from "./entities.ts";
import { MlflowError } from "./errors.ts";

/** A tensor that a model takes or gives. */
export interface TensorSpec {
  /** What tells it from other specs. */
  readonly type: "tensor";
  /** Its name; tensors of a model have names where there are several. */
  readonly name?: string;
  /** The type of its values by NumPy's name, such as `"float32"`, `"int32"`, `"bool"` or `"str"`. */
  readonly dtype: string;
  /** The size of each dimension; -1 where any size fits. */
  readonly shape: readonly number[];
}

/** The type of a column's values by MLflow's names. */
export type DataType = "boolean" | "integer" | "long" | "float" | "double" | "string" | "binary" | "datetime";

/** The type of a column: one of {@linkcode DataType}, or one that is made of others. */
export type ColumnType =
  | { readonly type: DataType | "any" | "sparkml_vector" }
  | { readonly type: "array"; readonly items: ColumnType }
  | { readonly type: "map"; readonly values: ColumnType }
  | {
    readonly type: "object";
    readonly properties: Readonly<Record<string, ColumnType & { readonly required?: boolean }>>;
  };

/** A column of a table that a model takes or gives. */
export type ColSpec = ColumnType & {
  /** Its name; a table of one column may do without. */
  readonly name?: string;
  /** Whether it must be there. */
  readonly required: boolean;
};

/** What a model takes or gives: tensors or columns, not both. */
export type Schema = readonly TensorSpec[] | readonly ColSpec[];

/** A param that a prediction may be given. */
export interface ParamSpec {
  /** Its name. */
  readonly name: string;
  /** The type of its value, or of the values of its list. */
  readonly type: DataType;
  /** The value where none is given. */
  readonly default: unknown;
  /** `[-1]` for a list; null for a single value. */
  readonly shape: readonly number[] | null;
}

/** What a model takes and gives, as MLflow's signatures say it. */
export interface ModelSignature {
  /** What it takes. */
  readonly inputs?: Schema;
  /** What it gives. */
  readonly outputs?: Schema;
  /** What a prediction may be told besides. */
  readonly params?: readonly ParamSpec[];
}

/** Numbers, truth values or texts, or lists of them of one length in each dimension. */
export type NestedValues = number | boolean | string | null | readonly NestedValues[];

/** What the examples of one tensor may be given as. */
export type TensorExample = TensorLike | NestedValues | Float32Array | Float64Array | Int32Array | Uint8Array;

/** Examples of what a model takes or gives: a tensor, tensors by name, or a table of one record a row. */
export type SignatureData =
  | TensorExample
  | Readonly<Record<string, TensorExample>>
  | readonly Readonly<Record<string, unknown>>[];

/** A tensor's values, as `tf.tensor` takes them. */
export interface TensorValues {
  /** The size of each dimension. */
  readonly shape: number[];
  /** The type by tfjs's name. */
  readonly dtype: "float32" | "int32" | "bool" | "string";
  /** The values, row by row. */
  readonly values: Float32Array | Int32Array | Uint8Array | string[];
}

/**
 * The signature of a model by examples of what it takes and gives.
 *
 * Tensors, typed arrays and lists of numbers become tensors whose first dimension, the number of examples, is open; lists
 * count as what `tf.tensor` makes of them, float32. Records become a table's columns, as a DataFrame does in Python.
 *
 * ```ts
 * import { inferSignature } from "@mlflow-deno/mlflow/models";
 *
 * inferSignature([[5.1, 3.5], [4.9, 3]], [[0.9, 0.1], [0.8, 0.2]]);
 * inferSignature([{ city: "Oslo", rooms: 3 }], undefined, { temperature: 0.5 });
 * ```
 *
 * @param params what a prediction may be told, with the values it has where it is not told
 */
export function inferSignature(
  inputs?: SignatureData,
  outputs?: SignatureData,
  params?: Readonly<Record<string, unknown>>,
): ModelSignature {
  return {
    ...(inputs === undefined ? {} : { inputs: inferSchema(inputs) }),
    ...(outputs === undefined ? {} : { outputs: inferSchema(outputs) }),
    ...(params === undefined ? {} : { params: Object.entries(params).map(paramSpec) }),
  };
}

/** Whether a schema is one of tensors. */
export function isTensorSchema(schema: Schema): schema is readonly TensorSpec[] {
  return schema.length > 0 && schema[0].type === "tensor";
}

/** A signature as MLmodel files have it: JSON texts. */
export interface SignatureTexts {
  readonly inputs: string | null;
  readonly outputs: string | null;
  readonly params: string | null;
}

/** The texts of a signature that an MLmodel file keeps. */
export function writeSignature({ inputs, outputs, params }: ModelSignature): SignatureTexts {
  return {
    inputs: inputs === undefined ? null : JSON.stringify(inputs.map(specJson)),
    outputs: outputs === undefined ? null : JSON.stringify(outputs.map(specJson)),
    params: params === undefined ? null : JSON.stringify(params),
  };
}

/** The signature of an MLmodel file's texts; what is not readable throws. */
export function readSignature(texts: Partial<SignatureTexts>): ModelSignature {
  const { inputs, outputs, params } = texts;
  return {
    ...(inputs ? { inputs: JSON.parse(inputs).map(readSpec) as Schema } : {}),
    ...(outputs ? { outputs: JSON.parse(outputs).map(readSpec) as Schema } : {}),
    ...(params ? { params: JSON.parse(params) as ParamSpec[] } : {}),
  };
}

/**
 * What a model's tensors are to be made of, from values as JSON has them: each converted to the type of its spec, and
 * its shape checked. Null is NaN.
 *
 * @param data the values of the only tensor, or of several by name
 * @returns one for each spec, in their order
 * @throws {MlflowError} `INVALID_PARAMETER_VALUE` naming what is missing or wrong
 */
export function castTensors(specs: readonly TensorSpec[], data: unknown): TensorValues[] {
  if (isRecord(data)) {
    checkNames(specs, Object.keys(data));
    return specs.map((spec, i) => castTensor(spec, data[spec.name ?? Object.keys(data)[i]]));
  }
  if (specs.length === 1) return [castTensor(specs[0], data)];
  const names = specs.map(({ name }) => `'${name}'`).join(", ");
  throw invalid(`Model is missing inputs [${names}].`);
}

/** As {@linkcode castTensors}, for one tensor. */
export function castTensor(spec: TensorSpec, value: unknown): TensorValues {
  const tensor = convertTensor(spec, value);
  checkShape(spec, tensor.shape);
  return tensor;
}

/**
 * A tensor's values of the type of its spec, whatever their shape is.
 *
 * @param field how errors name it
 */
export function convertTensor(spec: TensorSpec, value: unknown, field: string = spec.name ?? "inputs"): TensorValues {
  const shape = shapeOf(value);
  const count = shape.reduce((product, size) => product * size, 1);
  const dtype = TFJS_TYPES[spec.dtype];
  if (dtype === undefined) throw invalid(`${field} is of type ${spec.dtype}, which no tensor of tfjs has`);
  const values = emptyValues(dtype, count);
  let at = 0;
  const fill = (part: unknown, depth: number): void => {
    if (depth < shape.length) {
      if (!Array.isArray(part) || part.length !== shape[depth]) {
        const found = Array.isArray(part) ? `${part.length}` : "none";
        throw invalid(
          `${placeOf(field, at, shape, depth)} must be a list of ${
            shape[depth]
          } values, as the first is: found ${found}`,
        );
      }
      for (const one of part) fill(one, depth + 1);
      return;
    }
    const one = castValue(part, dtype);
    if (one === undefined) {
      throw invalid(`${placeOf(field, at, shape, depth)} must be ${WANTED[dtype]}: found ${shown(part)}`);
    }
    values[at++] = one;
  };
  fill(value, 0);
  return { shape, dtype, values };
}

/** Checks that a shape is one that a spec allows. */
export function checkShape(spec: TensorSpec, shape: readonly number[]): void {
  const fits = spec.shape.length === shape.length && spec.shape.every((size, i) => size === -1 || size === shape[i]);
  if (!fits) {
    const input = spec.name === undefined ? "input" : `input '${spec.name}'`;
    throw invalid(`Shape of ${input} ${tuple(shape)} does not match expected shape ${tuple(spec.shape)}.`);
  }
}

/**
 * The columns of a table as a signature wants them: those that it names, in its order, their values checked. What the
 * signature does not name is left out.
 *
 * @param columns the table's values by column
 * @throws {MlflowError} `INVALID_PARAMETER_VALUE` naming what is missing or wrong
 */
export function castColumns(
  specs: readonly ColSpec[],
  columns: Readonly<Record<string, readonly unknown[]>>,
): Record<string, unknown[]> {
  const names = Object.keys(columns);
  checkColumns(specs, names);
  const cast: Record<string, unknown[]> = {};
  for (const [i, spec] of specs.entries()) {
    const name = spec.name ?? names[i];
    if (columns[name] === undefined) continue;
    cast[name] = columns[name].map((value, row) => {
      if (value === null || value === undefined) {
        if (spec.required) throw invalid(`${name}[${row}] is missing`);
        return null;
      }
      return castColumnValue(value, spec, `${name}[${row}]`);
    });
  }
  return cast;
}

const TFJS_TYPES: Readonly<Record<string, TensorValues["dtype"]>> = {
  float16: "float32",
  float32: "float32",
  float64: "float32",
  int8: "int32",
  int16: "int32",
  int32: "int32",
  int64: "int32",
  uint8: "int32",
  uint16: "int32",
  uint32: "int32",
  bool: "bool",
  str: "string",
};

const WANTED: Readonly<Record<TensorValues["dtype"], string>> = {
  float32: "a number",
  int32: "a whole number",
  bool: "true or false",
  string: "a text",
};

function castValue(value: unknown, dtype: TensorValues["dtype"]): number | string | undefined {
  if (dtype === "string") return typeof value === "string" ? value : undefined;
  if (typeof value === "boolean") return Number(value);
  if (dtype === "bool") return value === 0 || value === 1 ? value : undefined;
  if (dtype === "float32") return value === null ? NaN : typeof value === "number" ? value : undefined;
  return typeof value === "number" && value === (value | 0) ? value : undefined;
}

function emptyValues(dtype: TensorValues["dtype"], count: number): TensorValues["values"] {
  if (dtype === "float32") return new Float32Array(count);
  if (dtype === "int32") return new Int32Array(count);
  return dtype === "bool" ? new Uint8Array(count) : new Array<string>(count);
}

/** The lengths of the first lists. */
function shapeOf(value: unknown): number[] {
  const shape: number[] = [];
  for (let at = value; Array.isArray(at); at = at[0]) shape.push(at.length);
  return shape;
}

function castColumnValue(value: unknown, type: ColumnType, field: string): unknown {
  const wrong = (wanted: string): MlflowError => invalid(`${field} must be ${wanted}: found ${shown(value)}`);
  switch (type.type) {
    case "any":
    case "sparkml_vector":
      return value;
    case "array":
      if (!Array.isArray(value)) throw wrong("a list");
      return value.map((item, i) => castColumnValue(item, type.items, `${field}[${i}]`));
    case "map":
      if (!isRecord(value)) throw wrong("an object");
      return mapEntries(value, (item, key) => castColumnValue(item, type.values, `${field}.${key}`));
    case "object": {
      if (!isRecord(value)) throw wrong("an object");
      for (const [key, { required = true }] of Object.entries(type.properties)) {
        if (required && (value[key] === undefined || value[key] === null)) throw invalid(`${field}.${key} is missing`);
      }
      return mapEntries(value, (item, key) => {
        const property = type.properties[key];
        if (property === undefined) throw invalid(`${field}.${key} is not in the signature`);
        return item === null ? null : castColumnValue(item, property, `${field}.${key}`);
      });
    }
    case "integer":
    case "long":
      if (typeof value !== "number" || !Number.isInteger(value)) throw wrong("a whole number");
      return value;
    case "float":
    case "double":
      if (typeof value !== "number") throw wrong("a number");
      return value;
    case "boolean":
      if (typeof value !== "boolean") throw wrong("true or false");
      return value;
    case "string":
      if (typeof value !== "string") throw wrong("a text");
      return value;
    case "binary":
      try {
        return value instanceof Uint8Array ? value : Uint8Array.fromBase64(value as string);
      } catch {
        throw wrong("bytes in base64");
      }
    case "datetime": {
      const date = new Date(value as string);
      if (Number.isNaN(date.getTime())) throw wrong("a date and time");
      return date;
    }
  }
}

/** Checks that the columns of a table are those that a signature wants. */
export function checkColumns(specs: readonly ColSpec[], names: readonly string[]): void {
  if (specs.some(({ name }) => name !== undefined)) return checkNames(specs, names);
  if (names.length >= specs.length) return;
  throw invalid(
    `Model inference is missing inputs. The model signature declares ${specs.length} inputs  but the provided value ` +
      `only has ${names.length} inputs. Note: the inputs were not named in the signature so we can only verify their ` +
      "count.",
  );
}

/** Checks that what a signature names is there; MLflow says it in these words. */
export function checkNames(specs: Schema, given: readonly string[]): void {
  const list = (names: readonly string[]) => `[${names.map((name) => `'${name}'`).join(", ")}]`;
  const required = [...specs].filter((spec) => spec.type === "tensor" || (spec as ColSpec).required);
  const names = required.flatMap(({ name }) => name === undefined ? [] : [name]);
  const missing = names.filter((name) => !given.includes(name));
  if (missing.length === 0) return;
  const known = [...specs].map(({ name }) => name);
  const extra = given.filter((name) => !known.includes(name));
  const note = extra.length === 0 ? "" : ` Note that there were extra inputs: ${list(extra)}.`;
  throw invalid(`Model is missing inputs ${list(missing)}.${note}`);
}

function inferSchema(data: SignatureData): Schema {
  if (isTensorExample(data)) return [tensorSpec(undefined, data)];
  if (Array.isArray(data)) return columnSpecs(data as readonly Readonly<Record<string, unknown>>[]);
  return Object.entries(data as Readonly<Record<string, TensorExample>>).map(([name, one]) => tensorSpec(name, one));
}

function isTensorExample(data: SignatureData): data is TensorExample {
  if (Array.isArray(data)) return data.length > 0 && !isRecord(data[0]);
  return typeof data !== "object" || data === null || ArrayBuffer.isView(data) || isTensor(data);
}

function isTensor(data: object): data is TensorLike {
  return Array.isArray((data as Partial<TensorLike>).shape) && "data" in data;
}

function tensorSpec(name: string | undefined, data: TensorExample): TensorSpec {
  const { dtype, shape } = typeAndShape(data);
  return {
    ...(name === undefined ? {} : { name }),
    type: "tensor",
    dtype: dtype === "string" ? "str" : dtype,
    shape: shape.length === 0 ? [] : [-1, ...shape.slice(1)],
  };
}

function typeAndShape(data: TensorExample): { readonly dtype: string; readonly shape: readonly number[] } {
  if (ArrayBuffer.isView(data)) {
    return { dtype: data.constructor.name.replace("Array", "").toLowerCase(), shape: [data.length] };
  }
  if (typeof data === "object" && data !== null && isTensor(data)) {
    return { dtype: data.dtype ?? "float32", shape: data.shape };
  }
  let first: unknown = data;
  while (Array.isArray(first)) first = first[0];
  const dtype = typeof first === "string" ? "str" : typeof first === "boolean" ? "bool" : "float32";
  return { dtype, shape: shapeOf(data) };
}

function columnSpecs(rows: readonly Readonly<Record<string, unknown>>[]): ColSpec[] {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return names.map((name) => {
    const values = rows.map((row) => row[name]);
    const required = values.every((value) => value !== null && value !== undefined);
    return { ...mergedType(values, name), name, required };
  });
}

/** The type that all values have; JavaScript has one kind of number, so that whole ones among others are no integers. */
function mergedType(values: readonly unknown[], name: string): ColumnType {
  const there = values.filter((value) => value !== null && value !== undefined);
  if (there.length === 0) return { type: "any" };
  if (there.every(Array.isArray)) return { type: "array", items: mergedType(there.flat(), name) };
  if (there.every(isRecord)) {
    const keys = [...new Set(there.flatMap((value) => Object.keys(value)))];
    return {
      type: "object",
      properties: Object.fromEntries(keys.map((key) => {
        const parts = there.map((value) => value[key]);
        const required = parts.every((part) => part !== null && part !== undefined);
        return [key, { ...mergedType(parts, `${name}.${key}`), required }];
      })),
    };
  }
  const types = new Set(there.map(scalarType));
  if (types.has("double")) types.delete("long");
  if (types.size === 1 && !types.has(undefined)) return { type: [...types][0]! };
  throw new TypeError(`Cannot infer a signature: the values of "${name}" are not of one type that MLflow knows`);
}

function scalarType(value: unknown): DataType | undefined {
  if (typeof value === "number") return Number.isSafeInteger(value) ? "long" : "double";
  if (value instanceof Date) return "datetime";
  if (value instanceof Uint8Array) return "binary";
  const types: Readonly<Record<string, DataType>> = { string: "string", boolean: "boolean", bigint: "long" };
  return types[typeof value];
}

function paramSpec([name, value]: [string, unknown]): ParamSpec {
  const { type } = mergedType(Array.isArray(value) ? value : [value], name);
  if (type === "any" || type === "array" || type === "object" || type === "map" || type === "sparkml_vector") {
    throw new TypeError(`Cannot infer a signature: param "${name}" must be a single value or a list of them`);
  }
  return { name, type, default: value, shape: Array.isArray(value) ? [-1] : null };
}

function specJson(spec: TensorSpec | ColSpec): unknown {
  if (spec.type !== "tensor") return spec;
  const { name, type, dtype, shape } = spec;
  return { ...(name === undefined ? {} : { name }), type, "tensor-spec": { dtype, shape } };
}

function readSpec(json: { readonly type: string; readonly [key: string]: unknown }): TensorSpec | ColSpec {
  if (json.type !== "tensor") return { required: true, ...json } as ColSpec;
  const { name, "tensor-spec": tensor } = json as unknown as {
    readonly name?: string;
    readonly "tensor-spec": { readonly dtype: string; readonly shape: readonly number[] };
  };
  return { type: "tensor", ...(name === undefined ? {} : { name }), dtype: tensor.dtype, shape: tensor.shape };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value) &&
    !(value instanceof Date);
}

function mapEntries<T>(record: Readonly<Record<string, T>>, map: (value: T, key: string) => unknown): unknown {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value, key)]));
}

/** Sizes as Python shows them: `(-1, 28)`, `(3,)`. */
export function tuple(sizes: readonly number[]): string {
  return sizes.length === 1 ? `(${sizes[0]},)` : `(${sizes.join(", ")})`;
}

/** Where a value of a tensor, counted row by row, is: `inputs[2][0]`. */
function placeOf(field: string, index: number, shape: readonly number[], depth: number): string {
  const path: number[] = [];
  for (let i = shape.length - 1, rest = index; i >= 0; i--) {
    path.unshift(rest % shape[i]);
    rest = Math.floor(rest / shape[i]);
  }
  return field + path.slice(0, depth).map((i) => `[${i}]`).join("");
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

function invalid(reason: string): MlflowError {
  return new MlflowError("INVALID_PARAMETER_VALUE", reason);
}
