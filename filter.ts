/** What may stand in the gaps of a filter. */
export type FilterValue = string | number | bigint | readonly string[];

/**
 * A filter for a search, with values that are quoted as MLflow's grammar wants it: numbers for metrics and times, texts
 * for anything else, lists for `IN`.
 *
 * MLflow has no way to write a text with both kinds of quotes or with `\` at its end, except in a list; and in a
 * filter of logged models none with a single quote.
 *
 * @throws {TypeError} for a text that cannot be written, and for what is no text, number or list of texts
 * @throws {RangeError} for NaN, an infinity, and a list without values
 *
 * @example
 * ```ts
 * import { filter } from "@mlflow-deno/mlflow";
 *
 * const name = "it's";
 * filter`params.name = ${name} AND metrics.loss < ${0.5}`; // params.name = "it's" AND metrics.loss < 0.5
 * filter`attributes.run_id IN ${["a", "b"]}`; // attributes.run_id IN ('a', 'b')
 * ```
 */
export function filter(strings: TemplateStringsArray, ...values: readonly FilterValue[]): string {
  return strings.reduce((text, string, i) => text + quote(values[i - 1]) + string);
}

function quote(value: FilterValue): string {
  if (typeof value === "string") return quoteText(value);
  if (typeof value === "number") return quoteNumber(value);
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return quoteList(value);
  throw new TypeError(
    `Cannot put ${describe(value)} into a filter: it must be a string, a number or a list of strings`,
  );
}

function quoteText(text: string): string {
  const refused = (why: string) =>
    new TypeError(`Cannot put ${describe(text)} into a filter: MLflow's filters cannot write ${why}`);
  if (text.includes("'") && text.includes('"')) throw refused("both kinds of quotes in one text");
  // A quote after it would count as part of the text.
  if (text.endsWith("\\")) throw refused("a text with a backslash at its end");
  return text.includes("'") ? `"${text}"` : `'${text}'`;
}

function quoteNumber(value: number): string {
  if (!Number.isFinite(value)) {
    throw new RangeError(`Cannot put ${value} into a filter: MLflow's filters know finite numbers only`);
  }
  // MLflow reads 1e21, but not 1e+21.
  return String(value).replace("e+", "e");
}

/** A list is read as Python's, so that a character that MLflow would stumble over can be written by its number. */
function quoteList(items: readonly string[]): string {
  if (items.length === 0) throw new RangeError("Cannot put an empty list into a filter: MLflow refuses IN ()");
  const escape = (c: string) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`;
  return `(${items.map((item) => `'${item.replace(/[\\'\n\r\0]/g, escape)}'`).join(", ")})`;
}

function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  return value === null ? "null" : Array.isArray(value) ? "a list of other things than strings" : typeof value;
}
