import { MlflowError } from "../errors.ts";
import {
  type Comparator,
  type Entity,
  EXPERIMENTS,
  type Grammar,
  type GrammarRow,
  LOGGED_MODELS,
  MODEL_VERSIONS,
  REGISTERED_MODELS,
  RUNS,
} from "./filter_grammar.ts";
import { readList, type Token, tokenize, unquote } from "./filter_tokens.ts";
import type { LoggedModelOrder } from "./store.ts";

export type { Comparator, Entity } from "./filter_grammar.ts";

/** One comparison of a filter; the comparisons of a filter all have to hold. */
export interface Comparison {
  readonly entity: Entity;
  readonly key: string;
  readonly comparator: Comparator;
  readonly value: string | number | readonly string[] | undefined;
}

/** One term of an order. */
export interface Order {
  readonly entity: Entity;
  readonly key: string;
  readonly ascending: boolean;
}

/** Reads a filter of runs, such as `metrics.accuracy > 0.9 AND params.epochs = '10'`. */
export function parseRunFilter(filter: string): Comparison[] {
  return parseFilter(filter, RUNS);
}

/** Reads a filter of experiments, such as `name LIKE 'flowers%' AND tags.team = 'a'`. */
export function parseExperimentFilter(filter: string): Comparison[] {
  return parseFilter(filter, EXPERIMENTS);
}

/** Reads a filter of logged models, such as `metrics.accuracy > 0.9 AND name = 'classifier'`. */
export function parseLoggedModelFilter(filter: string): Comparison[] {
  return parseFilter(filter, LOGGED_MODELS);
}

/** Reads a filter of registered models, such as `name LIKE 'flowers%'`. */
export function parseRegisteredModelFilter(filter: string): Comparison[] {
  return parseFilter(filter, REGISTERED_MODELS);
}

/** Reads a filter of versions of registered models, such as `name = 'flowers' AND version_number > 3`. */
export function parseModelVersionFilter(filter: string): Comparison[] {
  return parseFilter(filter, MODEL_VERSIONS);
}

/** Reads a term of an order of runs, such as `metrics.accuracy DESC`. */
export function parseRunOrder(term: string): Order {
  return parseOrder(term, RUNS);
}

/** Reads the order of a search for runs, in which nothing may stand twice and datasets not at all. */
export function parseRunOrders(terms: readonly string[]): Order[] {
  const orders = terms.map(parseRunOrder);
  const seen = new Set<string>();
  for (const { entity, key } of orders) {
    if (entity === "dataset") throw invalid("Invalid identifier type 'dataset'");
    const name = `${entity}.${entity === "attribute" && /^created$/i.test(key) ? "start_time" : key}`;
    if (seen.has(name)) {
      const list = terms.map((term) => `'${term}'`).join(", ");
      // MLflow's own code for it.
      throw new MlflowError("INTERNAL_ERROR", `\`order_by\` contains duplicate fields: [${list}]`);
    }
    seen.add(name);
  }
  return orders;
}

/** Reads a term of an order of experiments, such as `last_update_time DESC`. */
export function parseExperimentOrder(term: string): Order {
  return parseOrder(term, EXPERIMENTS);
}

/** Reads the order of a search for experiments, which is by attributes alone. */
export function parseExperimentOrders(terms: readonly string[]): Order[] {
  const orders = terms.map(parseExperimentOrder);
  const other = orders.find(({ entity }) => entity !== "attribute");
  if (other !== undefined) throw invalid(`Invalid order_by entity: ${other.entity}`);
  return orders;
}

/** Reads a term of an order of registered models, such as `timestamp DESC`. */
export function parseRegisteredModelOrder(term: string): Order {
  return parseOrder(term, REGISTERED_MODELS);
}

/** Reads a term of an order of versions of registered models, such as `version_number DESC`. */
export function parseModelVersionOrder(term: string): Order {
  return parseOrder(term, MODEL_VERSIONS);
}

/** Reads a term of an order of logged models, which comes in parts and not as a text. */
export function readLoggedModelOrder({ fieldName, ascending = true }: LoggedModelOrder): Order {
  const dot = fieldName.indexOf(".");
  if (dot < 0) {
    const key = LOGGED_MODELS.aliases?.[fieldName] ?? fieldName;
    if (!LOGGED_MODELS.orders.attribute!.includes(key)) throw invalid(`Invalid order by field name: ${fieldName}`);
    return { entity: "attribute", key, ascending };
  }
  if (fieldName.slice(0, dot) !== "metrics") {
    throw invalid(`Invalid order by field name: ${fieldName}. Only metrics are supported.`);
  }
  return { entity: "metric", key: fieldName.slice(dot + 1), ascending };
}

function parseFilter(filter: string, grammar: Grammar): Comparison[] {
  if (filter === "") return [];
  const tokens = tokenize(filter);
  if (tokens.length === 0) throw invalid(`Invalid filter '${filter}'. Could not be parsed.`);
  if (tokens.some(({ text }) => text === ";")) {
    throw invalid(`Search filter contained multiple expression '${filter}'. Provide AND-ed expression list.`);
  }
  const comparisons: Comparison[] = [];
  // As in MLflow, an AND too many or too few does no harm.
  for (let rest = skipAnds(tokens); rest.length > 0; rest = skipAnds(rest)) {
    const [comparison, length] = parseComparison(rest, grammar);
    comparisons.push(comparison);
    rest = rest.slice(length);
  }
  return comparisons;
}

function parseOrder(term: string, grammar: Grammar): Order {
  const [name, direction, ...rest] = tokenize(term);
  if (name?.kind !== "name" || rest.length > 0 || term !== term.trim()) {
    throw invalid(`Invalid order_by clause '${term}'. Could not be parsed.`);
  }
  if (direction !== undefined && !/^(asc|desc)$/i.test(direction.text)) {
    throw invalid(
      direction.kind === "name"
        ? `Invalid ordering key in order_by clause '${term}'.`
        : `Invalid order_by clause '${term}'. Could not be parsed.`,
    );
  }
  const { entity, key } = parseName(name.text, grammar);
  const keys = grammar.orders[entity];
  if (keys !== undefined && !keys.includes(key)) throw unknownKey(entity, key, keys);
  return { entity, key, ascending: direction === undefined || /^asc$/i.test(direction.text) };
}

const is = (token: Token | undefined, word: string) => token?.kind === "name" && token.text.toUpperCase() === word;

function skipAnds(tokens: readonly Token[]): readonly Token[] {
  const start = tokens.findIndex((token) => !is(token, "AND"));
  return start < 0 ? [] : tokens.slice(start);
}

/** Reads the comparison that the tokens begin with, and says how many of them it takes. */
function parseComparison(tokens: readonly Token[], grammar: Grammar): [Comparison, number] {
  const [name, ...rest] = tokens;
  const found = takeComparator(rest);
  if (name.kind !== "name" || found === undefined) throw unreadable(tokens);
  const { comparator, length } = found;
  const { entity, key } = parseName(name.text, grammar);
  const row = findRow(entity, key, grammar);
  if (comparator === "IS NULL" || comparator === "IS NOT NULL") {
    if (!row.comparators.includes(comparator)) {
      throw invalid(`IS NULL / IS NOT NULL is only supported for tags and params, not for '${entity}' '${key}'`);
    }
    return [{ entity, key, comparator, value: undefined }, 1 + length];
  }
  const operand = rest[length];
  if (operand === undefined || operand.kind === "other" || operand.kind === "operator") throw unreadable(tokens);
  const isList = comparator === "IN" || comparator === "NOT IN";
  if (isList !== (operand.kind === "list")) throw isList ? unreadable(tokens) : badValue(row, key, operand);
  if (isList && !row.comparators.includes(comparator)) throw invalid(grammar.noList);
  const value = isList ? parseList(operand, row) : parseValue(operand, row, key);
  // `NOT IN` is put together of two words, so that MLflow finds it in capitals.
  const written = comparator === "NOT IN" ? comparator : rest[0].text;
  if (!row.comparators.includes(comparator) || (grammar.capitals && written !== comparator)) {
    throw invalid(grammar.badComparator(written, name.text, row));
  }
  return [{ entity, key, comparator, value }, 2 + length];
}

/** The comparator that the tokens begin with, and how many of them it takes. */
function takeComparator([first, second, third]: readonly Token[]):
  | { readonly comparator: Comparator; readonly length: number }
  | undefined {
  if (first?.kind === "operator") return { comparator: first.text as Comparator, length: 1 };
  for (const comparator of ["LIKE", "ILIKE", "IN"] as const) {
    if (is(first, comparator)) return { comparator, length: 1 };
  }
  if (is(first, "NOT") && is(second, "IN")) return { comparator: "NOT IN", length: 2 };
  if (is(first, "IS") && is(second, "NULL")) return { comparator: "IS NULL", length: 2 };
  if (is(first, "IS") && is(second, "NOT") && is(third, "NULL")) return { comparator: "IS NOT NULL", length: 3 };
}

function parseName(name: string, grammar: Grammar): { readonly entity: Entity; readonly key: string } {
  const [, first, dot, rest] = /^(`(?:``|[^`])*`|"(?:""|\\"|[^"])*"|[^.]*)(\.?)(.*)$/su.exec(name)!;
  if (dot === "") return { entity: "attribute", key: attributeKey(first, grammar) };
  const entityName = grammar === RUNS ? unquote(first, /`/) : first;
  if (!Object.hasOwn(grammar.entities, entityName)) throw invalid(grammar.unknownEntity(entityName));
  const entity = grammar.entities[entityName];
  return { entity, key: entity === "attribute" ? attributeKey(rest, grammar) : unquote(rest, grammar.keyQuotes) };
}

function attributeKey(name: string, { quotedAttributes, keyQuotes, aliases = {} }: Grammar): string {
  const key = quotedAttributes ? unquote(name, keyQuotes) : name;
  return Object.hasOwn(aliases, key) ? aliases[key] : key;
}

function findRow(entity: Entity, key: string, { rows }: Grammar): GrammarRow {
  const row = rows.find((row) => row.entity === entity && (row.keys === undefined || row.keys.includes(key)));
  if (row !== undefined) return row;
  throw unknownKey(entity, key, rows.flatMap((row) => row.entity === entity ? row.keys ?? [] : []));
}

function parseValue(token: Token, row: GrammarRow, key: string): string | number {
  const { kind, text } = token;
  switch (row.value) {
    case "number":
    case "integer":
      if (kind === "number") return wholeNumber(Number(text), row, key);
      break;
    case "float": {
      const number = pythonFloat(text);
      if (number !== undefined) return number;
      break;
    }
    case "version":
      if (kind === "number") return Number(text);
      if (isText(token) && /^'\d+'$|^"\d+"$/.test(text)) return Number(text.slice(1, -1));
      break;
    case "bare":
      return text.replace(/^'+|'+$/g, "");
    case "id":
      if (isText(token) && /^["'][+-]?\d+["']$/.test(text)) return Number(text.slice(1, -1));
      if (isText(token)) throw badExperimentId(text.slice(1, -1));
      break;
    case "text":
      if (isText(token)) return text.slice(1, -1);
  }
  throw badValue(row, key, token);
}

function parseList({ text }: Token, row: GrammarRow): readonly string[] {
  const items = readList(text);
  if (items === undefined) {
    throw invalid(
      "While parsing a list in the query, expected a non-empty list of string values, but got ill-formed list.",
    );
  }
  // MLflow's logged models have no such rule: nothing is among none.
  if (items.length === 0 && row.value !== "bare") {
    throw invalid(
      "While parsing a list in the query, expected a non-empty list of string values, but got empty list",
    );
  }
  if (!items.every((item) => typeof item === "string")) {
    throw invalid(
      "While parsing a list in the query, expected string value, punctuation, or whitespace, but got different type in " +
        `list: ${text}`,
    );
  }
  const wrong = row.value === "id" ? items.find((item) => !/^[+-]?\d+$/.test(item)) : undefined;
  if (wrong !== undefined) throw badExperimentId(wrong);
  return items;
}

function isText({ kind, text }: Token): boolean {
  return kind === "text" || (kind === "name" && /^"(?:""|\\"|[^"])*"$/su.test(text));
}

function wholeNumber(value: number, { value: kind }: GrammarRow, key: string): number {
  if (kind === "integer" && !Number.isInteger(value)) {
    throw invalid(`Invalid value for numeric attribute '${key}': '${value}'`);
  }
  return value;
}

function pythonFloat(text: string): number | undefined {
  if (/^-?(?:\d+\.?\d*|\.\d+)(?:[eE]-?\d+)?$/.test(text)) return Number(text);
  if (/^inf(?:inity)?$/i.test(text)) return Infinity;
  return /^nan$/i.test(text) ? NaN : undefined;
}

function badValue({ entity, value }: GrammarRow, key: string, { text }: Token): MlflowError {
  switch (value) {
    case "number":
    case "integer":
    case "float":
      return invalid(
        `Expected numeric value type for ${entity === "metric" ? entity : `numeric attribute: ${key}`}. Found ${text}`,
      );
    default:
      return invalid(
        `Expected a quoted string value for ${entity === "attribute" ? "attributes" : entity} (e.g. 'my-value'). Got ` +
          `value ${text}`,
      );
  }
}

function badExperimentId(id: string): MlflowError {
  return invalid(`Invalid experiment ID '${id}'. Experiment ID must be a valid integer.`);
}

/** MLflow's refusal, which for a key with odd characters says how to write it. */
function unreadable(tokens: readonly Token[]): MlflowError {
  const end = tokens.findIndex((token) => is(token, "AND"));
  const clause = end < 0 ? tokens : tokens.slice(0, end);
  const [name, next] = clause;
  if (name.kind === "name" && name.text.includes(".") && (/^[-/]/.test(next?.text ?? ""))) {
    return invalid(
      `Invalid comparison clause. Expected 'Identifier' found '${
        clause.map(({ text }) => text).join("")
      }'; put a key ` +
        "with such characters between backticks",
    );
  }
  return invalid(`Invalid clause(s) in filter string: ${clause.map(({ text }) => `'${text}'`).join(", ")}`);
}

function unknownKey(entity: string, key: string, valid: readonly string[]): MlflowError {
  const keys = [...valid].sort().map((name) => `'${name}'`).join(", ");
  return invalid(`Invalid ${entity} key '${key}' specified. Valid keys are '{${keys}}'`);
}

function invalid(reason: string): MlflowError {
  return new MlflowError("INVALID_PARAMETER_VALUE", reason);
}
