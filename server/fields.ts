import { MlflowError } from "../errors.ts";
import { isJson, type Json } from "../stores/wire.ts";

const MORE = " See the API docs for more information about request parameters.";

/** The fields of a request, each asked for by its type; what does not fit is refused as MLflow refuses it. */
export class Fields {
  readonly #values: Json;
  readonly #path: string;
  readonly #query: URLSearchParams | undefined;

  /**
   * @param values the fields, of a body or of a query, in which a list is a name that is repeated
   * @param path where they are in the request, such as `metrics[0].`
   */
  constructor(values: Json | URLSearchParams, path = "") {
    this.#query = values instanceof URLSearchParams ? values : undefined;
    this.#values = values instanceof URLSearchParams ? Object.fromEntries(values) : values;
    this.#path = path;
  }

  /** A text; empty ones and those left out are undefined, as they are for MLflow. */
  text(name: string): string | undefined {
    return this.emptyText(name) || undefined;
  }

  /** A text, which may be empty; undefined where it is left out. */
  emptyText(name: string): string | undefined {
    const value = this.#values[name] ?? undefined;
    if (value !== undefined && typeof value !== "string") throw this.#invalid(name, value);
    return value;
  }

  /** A text that has to be there. */
  requiredText(name: string): string {
    return this.text(name) ?? this.#missing(name);
  }

  /** The id of a run, which old clients call `run_uuid`. */
  runId(): string {
    return this.text("run_id") ?? this.text("run_uuid") ?? this.#missing("run_id");
  }

  /** A whole number, as a number or a text. */
  integer(name: string): number | undefined {
    const value = this.#values[name] ?? undefined;
    if (value === undefined) return undefined;
    const number = typeof value === "string" && /^[+-]?\d+$/.test(value.trim()) ? Number(value) : value;
    if (typeof number !== "number" || !Number.isInteger(number)) throw this.#invalid(name, value);
    return number;
  }

  /** A whole number that has to be there. */
  requiredInteger(name: string): number {
    return this.integer(name) ?? this.#missing(name);
  }

  /** A number that has to be there, which NaN and the infinities are too, as texts. */
  requiredDouble(name: string): number {
    const value = this.#values[name] ?? undefined;
    if (value === undefined || value === "") return this.#missing(name);
    const number = typeof value === "string" ? Number(value) : value;
    if (typeof number !== "number" || (Number.isNaN(number) && value !== "NaN")) throw this.#invalid(name, value);
    return number;
  }

  /** True or false. */
  boolean(name: string): boolean | undefined {
    const value = this.#values[name] ?? undefined;
    if (value === undefined || typeof value === "boolean") return value;
    throw this.#invalid(name, value);
  }

  /** One of several names. */
  oneOf<T extends string>(name: string, names: readonly T[]): T | undefined {
    const value = this.text(name);
    const found = names.find((one) => one === value);
    if (value !== undefined && found === undefined) throw this.#invalid(name, value);
    return found;
  }

  /** A list of texts. */
  texts(name: string): string[] | undefined {
    const value = this.#query?.has(name) ? this.#query.getAll(name) : this.#values[name] ?? undefined;
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || !value.every((one) => typeof one === "string")) throw this.#invalid(name, value);
    return value;
  }

  /** A list of objects, each with its own fields. */
  list(name: string): Fields[] {
    const value = this.#values[name] ?? [];
    if (!Array.isArray(value)) throw this.#invalid(name, value);
    return value.map((one, i) => {
      if (!isJson(one)) throw this.#invalid(`${name}[${i}]`, one);
      return new Fields(one, `${this.#path}${name}[${i}].`);
    });
  }

  /** An object with its own fields; one without any where it is left out. */
  part(name: string): Fields {
    const value = this.#values[name] ?? {};
    if (!isJson(value)) throw this.#invalid(name, value);
    return new Fields(value, `${this.#path}${name}.`);
  }

  /** Keys and values of a list of tags or params. */
  record(name: string): Record<string, string> {
    return Object.fromEntries(
      this.list(name).map((field) => [field.requiredText("key"), field.emptyText("value") ?? ""]),
    );
  }

  #missing(name: string): never {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `Missing value for required parameter '${this.#path}${name}'.${MORE}`,
    );
  }

  #invalid(name: string, value: unknown): MlflowError {
    return new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `Invalid value ${
        JSON.stringify(value)
      } for parameter '${this.#path}${name}' supplied:  Hint: Value was of type ` +
        `'${pythonType(value)}'.${MORE}`,
    );
  }
}

function pythonType(value: unknown): string {
  if (Array.isArray(value)) return "list";
  switch (typeof value) {
    case "string":
      return "str";
    case "boolean":
      return "bool";
    case "number":
      return Number.isInteger(value) ? "int" : "float";
    default:
      return "dict";
  }
}
