import { MlflowError } from "../errors.ts";
import {
  castColumns,
  checkColumns,
  checkNames,
  checkShape,
  type ColSpec,
  convertTensor,
  isTensorSchema,
  type ModelSignature,
  type Schema,
  type TensorSpec,
  type TensorValues,
  tuple,
} from "../signature.ts";
import { columnOf, isRecord, readRecords, readSplit, type Table } from "./table.ts";

/** What a request asks a prediction for. */
export interface Inputs {
  /** One for each input of the model, or the columns of a table as one matrix. */
  readonly tensors: readonly TensorValues[];
  /** How many examples there are. */
  readonly count: number;
}

/** The fields of which a request has one. */
const FORMATS = ["dataframe_records", "dataframe_split", "inputs", "instances"] as const;

/**
 * Reads the body of a request for predictions, in any of MLflow's JSON forms, and checks it against the signature.
 *
 * @throws {MlflowError} `BAD_REQUEST` where it has not the form, `INVALID_PARAMETER_VALUE` where it does not fit the
 * signature, as MLflow's own server answers
 */
export function readInputs(body: unknown, signature: ModelSignature & { readonly inputs: Schema }): Inputs {
  if (!isRecord(body)) {
    const found = Array.isArray(body) ? "a list" : `unexpected input type '${body === null ? "null" : typeof body}'`;
    throw bad(`Invalid input. ${WANTED}. Received ${found}.`);
  }
  const given = FORMATS.filter((format) => format in body);
  if (given.length !== 1) {
    const names = Object.keys(body).map((name) => `'${name}'`).join(", ");
    throw bad(`${WANTED}. Received dictionary with input fields: [${names}]`);
  }
  const { inputs: specs, params } = signature;
  const [format] = given;
  const inputs = format === "dataframe_split"
    ? fromTable(readSplit(body[format]), specs)
    : format === "dataframe_records"
    ? fromTable(readRecords(body[format]), specs)
    : isTensorSchema(specs)
    ? counted(fromTensors(body[format], specs, format))
    : fromTable(asTable(body[format], specs, format), specs);
  checkParams(body.params, params ?? []);
  return inputs;
}

const WANTED = `The input must be a JSON dictionary with exactly one of the input fields {${
  FORMATS.map((format) => `'${format}'`).join(", ")
}}`;

/** What a table is to a model: columns are the values of one tensor, or each column is a tensor. */
export function fromTable(table: Table, specs: Schema): Inputs {
  if (!isTensorSchema(specs)) return fromColumns(table, specs);
  const { columns, rows } = table;
  const named = specs.some(({ name }) => name !== undefined);
  if (columns.length === 0) throw invalid("Input DataFrame is empty.");
  if (rows.length === 0) throw bad(`Invalid input. there are columns, ${columns.join(", ")}, and no row`);
  if (named) {
    checkNames(specs, columns);
    return counted(specs.map((spec) => fromColumn(columnOf(table, spec.name!), spec, spec.name!)));
  }
  const [spec] = specs;
  if (columns.length === 1) return counted([fromColumn(rows.map(([value]) => value), spec, columns[0])]);
  for (const [i, column] of columns.entries()) convert(spec, rows.map((row) => row[i]).filter(isScalar), column);
  if (spec.shape.length !== 2 || spec.shape[0] !== -1 || spec.shape[1] !== columns.length) {
    throw invalid(
      `This model contains a model signature with an unnamed input of shape ${tuple(spec.shape)}, and the input ` +
        `DataFrame has ${columns.length} columns: the shape must be (-1, number_of_dataframe_columns).`,
    );
  }
  const tensor = convertTensor(spec, rows);
  checkShape(spec, tensor.shape);
  return counted([tensor]);
}

/** A column whose values are scalars, or each the flat list of a tensor's values. */
function fromColumn(values: readonly unknown[], spec: TensorSpec, column: string): TensorValues {
  const [first] = values;
  const tensor = Array.isArray(first) ? undefined : convert(spec, values, column);
  const [open, ...rest] = spec.shape;
  if (open !== -1 || rest.includes(-1)) {
    throw invalid(
      "For pandas dataframe input, the first dimension of shape must be a variable dimension and other dimensions must " +
        `be fixed, but in model signature the shape of input '${column}' is ${tuple(spec.shape)}.`,
    );
  }
  const size = rest.reduce((product, one) => product * one, 1);
  if (tensor !== undefined) {
    if (rest.length === 0 || (rest.length === 1 && rest[0] === 1)) return reshaped(tensor, spec);
    throw invalid(
      `The input pandas dataframe column '${column}' contains scalar values, which requires the shape to be (-1,) or ` +
        `(-1, 1), but got tensor spec shape of ${tuple(spec.shape)}.`,
    );
  }
  if (!isScalar((first as readonly unknown[])[0])) {
    throw invalid(
      `The values of the input pandas dataframe column '${column}' must be scalars or lists of scalars, each the flat ` +
        `list of the values of a tensor of shape ${tuple(spec.shape)}.`,
    );
  }
  const odd = values.findIndex((value) => !Array.isArray(value) || value.length !== size);
  if (odd >= 0) throw invalid(`${column}[${odd}] must be a list of ${size} values, for the shape ${tuple(spec.shape)}`);
  return reshaped(convertTensor(spec, values, column), spec);
}

function reshaped({ dtype, values, shape }: TensorValues, spec: TensorSpec): TensorValues {
  return { dtype, values, shape: [shape[0], ...spec.shape.slice(1)] };
}

function fromTensors(value: unknown, specs: readonly TensorSpec[], field: string): TensorValues[] {
  const named = specs.some(({ name }) => name !== undefined);
  if (!named && !Array.isArray(value) && (isRecord(value) || value === null)) {
    throw bad(
      "Invalid input. Failed to parse input data. This model contains an un-named  model signature which expects a " +
        `single n-dimensional array or a single value as input: ${field} is ${
          value === null ? "null" : "a dictionary"
        }`,
    );
  }
  if (Array.isArray(value) && isRecord(value[0])) {
    const columns = field === "instances" ? byName(value, specs) : {};
    if (!named) throw invalid(`${field} has names, and the model's input has none: a numpy array input is wanted`);
    return fromNamed(columns, specs, field);
  }
  if (isRecord(value)) return fromNamed(value, specs, field);
  if (specs.length === 1) return [checked(specs[0], convert(specs[0], value, field))];
  convert(specs[0], value, field);
  return fromNamed({}, specs, field);
}

/** `instances` with an object for each example, as lists by the inputs' names. */
function byName(instances: readonly unknown[], specs: readonly TensorSpec[]): Record<string, unknown[]> {
  const columns: Record<string, unknown[]> = Object.create(null);
  for (const [i, instance] of instances.entries()) {
    if (!isRecord(instance)) throw bad(`Invalid input. instances[${i}] must be an object, as the first is`);
    for (const [name, value] of Object.entries(instance)) (columns[name] ??= []).push(value);
  }
  const lengths = specs.flatMap(({ name }) => name === undefined ? [] : columns[name]?.length ?? []);
  if (lengths.some((length) => length !== lengths[0])) {
    throw bad("Invalid input. The length of values for each input/column name are not the same");
  }
  return columns;
}

function fromNamed(
  values: Readonly<Record<string, unknown>>,
  specs: readonly TensorSpec[],
  field: string,
): TensorValues[] {
  const known = specs.flatMap(({ name }) => name !== undefined && name in values ? [name] : []);
  const converted = new Map(known.map((name) => {
    const spec = specs.find((one) => one.name === name)!;
    return [name, convert(spec, values[name], `${field}.${name}`)];
  }));
  checkNames(specs, Object.keys(values));
  return specs.map((spec) => checked(spec, converted.get(spec.name!)!));
}

function convert(spec: TensorSpec, value: unknown, field: string): TensorValues {
  return converting(() => convertTensor(spec, value, field));
}

/** A value that is not of the type wanted is, to MLflow, a bad request before it looks at the signature. */
function converting<T>(convert: () => T): T {
  try {
    return convert();
  } catch (error) {
    if (!(error instanceof MlflowError)) throw error;
    throw new MlflowError("BAD_REQUEST", `Invalid input. ${error.reason}`, { cause: error });
  }
}

function checked(spec: TensorSpec, tensor: TensorValues): TensorValues {
  checkShape(spec, tensor.shape);
  return tensor;
}

/** `inputs` or `instances` of a model whose signature is of columns. */
function asTable(value: unknown, specs: readonly ColSpec[], field: string): Table {
  const names = specs.map(({ name }, i) => name ?? String(i));
  if (isRecord(value)) {
    const columns = Object.keys(value);
    const lists = columns.map((column) => Array.isArray(value[column]) ? value[column] as unknown[] : [value[column]]);
    const count = lists[0]?.length ?? 0;
    const odd = lists.findIndex((list) => list.length !== count);
    if (odd >= 0) throw invalid(`${field}.${columns[odd]} must have ${count} values, as ${columns[0]} has`);
    return { columns, rows: Array.from({ length: count }, (_, row) => lists.map((list) => list[row])) };
  }
  if (!Array.isArray(value)) throw bad(`Invalid input. ${field} must be a list or a dictionary of columns`);
  if (names.length === 1 && !value.some((row) => isRecord(row) || Array.isArray(row))) {
    return { columns: names, rows: value.map((cell) => [cell]) };
  }
  return readRecords(value);
}

function fromColumns(table: Table, specs: readonly ColSpec[]): Inputs {
  checkColumns(specs, table.columns);
  const columns = Object.fromEntries(table.columns.map((column) => [column, columnOf(table, column)]));
  const cast = converting(() => castColumns(specs, columns));
  const names = Object.keys(cast);
  const count = table.rows.length;
  if (count === 0) throw invalid("Input DataFrame is empty.");
  const values = new Float32Array(count * names.length);
  for (const [i, name] of names.entries()) {
    for (const [row, value] of cast[name].entries()) {
      if (typeof value !== "number" && typeof value !== "boolean" && value !== null) {
        throw bad(`Invalid input. ${name}[${row}] must be a number: the model takes nothing else`);
      }
      values[row * names.length + i] = value === null ? NaN : Number(value);
    }
  }
  return { tensors: [{ shape: [count, names.length], dtype: "float32", values }], count };
}

/** Params of a prediction: no model of tfjs takes any, but what does not fit the signature is refused all the same. */
function checkParams(params: unknown, specs: NonNullable<ModelSignature["params"]>): void {
  if (specs.length === 0 || params === undefined || params === null) return;
  if (!isRecord(params)) throw invalid("Parameters must be a dictionary.");
  for (const { name, type, shape } of specs) {
    const value = params[name];
    if (value === undefined || value === null) continue;
    if (shape !== null && !Array.isArray(value)) throw invalid(`params.${name} must be a list`);
    for (const one of shape === null ? [value] : value as unknown[]) {
      const fits = type === "string" || type === "datetime"
        ? typeof one === "string"
        : type === "boolean"
        ? typeof one === "boolean"
        : typeof one === "number" && (Number.isInteger(one) || type === "float" || type === "double");
      if (!fits) throw invalid(`params.${name} must be of type ${type}: found ${JSON.stringify(one)}`);
    }
  }
}

function counted(tensors: readonly TensorValues[]): Inputs {
  const [count = 1] = tensors[0].shape;
  const odd = tensors.findIndex(({ shape }) => shape[0] !== tensors[0].shape[0]);
  if (odd >= 0) {
    throw bad(`Invalid input. the first input has ${count} examples, and the one after it ${tensors[odd].shape[0]}`);
  }
  return { tensors, count };
}

function isScalar(value: unknown): boolean {
  return typeof value !== "object" || value === null;
}

function bad(reason: string): MlflowError {
  return new MlflowError("BAD_REQUEST", reason);
}

function invalid(reason: string): MlflowError {
  return new MlflowError("INVALID_PARAMETER_VALUE", reason);
}
