import { MlflowError } from "../errors.ts";

/** What a comparison of a run filter looks at. */
export type Entity = "metric" | "parameter" | "tag" | "attribute" | "dataset";

/** How a filter compares; `LIKE` minds the case of letters, `ILIKE` does not. */
export type Comparator =
  | ">"
  | ">="
  | "="
  | "!="
  | "<"
  | "<="
  | "LIKE"
  | "ILIKE"
  | "IN"
  | "NOT IN"
  | "IS NULL"
  | "IS NOT NULL";

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

const ENTITIES: Readonly<Record<string, Entity>> = {
  metric: "metric",
  metrics: "metric",
  parameter: "parameter",
  parameters: "parameter",
  param: "parameter",
  params: "parameter",
  tag: "tag",
  tags: "tag",
  attribute: "attribute",
  attributes: "attribute",
  attr: "attribute",
  run: "attribute",
  dataset: "dataset",
  datasets: "dataset",
};

const NUMERIC_ATTRIBUTES: ReadonlySet<string> = new Set(["start_time", "end_time", "created", "Created"]);
const RUN_NAMES: ReadonlySet<string> = new Set(["run_name", "run name", "Run name", "Run Name"]);
const FILTER_ATTRIBUTES: ReadonlySet<string> = new Set([
  "run_id",
  "status",
  "user_id",
  "artifact_uri",
  ...NUMERIC_ATTRIBUTES,
  ...RUN_NAMES,
]);
const ORDER_ATTRIBUTES: ReadonlySet<string> = new Set([
  "run_id",
  "status",
  "user_id",
  "artifact_uri",
  "run_name",
  ...NUMERIC_ATTRIBUTES,
]);
const DATASET_KEYS: ReadonlySet<string> = new Set(["name", "digest", "context"]);
const NUMERIC_COMPARATORS: ReadonlySet<Comparator> = new Set([">", ">=", "=", "!=", "<", "<="]);
const TEXT_COMPARATORS: ReadonlySet<Comparator> = new Set(["=", "!=", "LIKE", "ILIKE"]);

// In the order they are tried: a quoted text, a name (its parts may be quoted), a number, an operator, punctuation.
const TOKEN = new RegExp(
  [
    /(?<space>\s+)/,
    /(?<string>'[^']*(?:''[^']*)*'|"[^"]*")(?!\.)/,
    /(?<word>(?:[\p{L}_][\p{L}\p{N}_]*|`[^`]*`|"[^"]*")(?:\.(?:[\p{L}\p{N}_]+|`[^`]*`|"[^"]*"|'[^']*'))*)/u,
    /(?<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)/,
    /(?<operator>>=|<=|!=|<>|==|=|<|>)/,
    /(?<other>.)/,
  ].map((part) => part.source).join("|"),
  "gsu",
);

interface Token {
  readonly kind: "string" | "word" | "number" | "operator" | "other";
  readonly text: string;
}

/** Reads a filter of runs, such as `metrics.accuracy > 0.9 AND params.epochs = '10'`. */
export function parseRunFilter(filter: string): Comparison[] {
  const tokens = tokenize(filter);
  const comparisons: Comparison[] = [];
  for (let clause = takeClause(tokens); clause.length > 0; clause = takeClause(tokens)) {
    comparisons.push(parseComparison(clause, filter));
  }
  return comparisons;
}

/** Reads a term of an order of runs, such as `metrics.accuracy DESC`. */
export function parseRunOrder(term: string): Order {
  const tokens = tokenize(term);
  const [name, direction, ...rest] = tokens;
  const unreadable = () => invalid(`Invalid order_by clause '${term}'. Could not be parsed.`);
  if (name === undefined || (name.kind !== "word" && name.kind !== "string") || rest.length > 0) throw unreadable();
  if (direction !== undefined && !/^(asc|desc)$/i.test(direction.text)) {
    throw invalid(`Invalid ordering key in order_by clause '${term}'.`);
  }
  const { entity, key } = parseName(name.text, ORDER_ATTRIBUTES);
  return { entity, key, ascending: direction === undefined || /^asc$/i.test(direction.text) };
}

function tokenize(text: string): Token[] {
  return [...text.matchAll(TOKEN)].flatMap(({ groups }) => {
    const [kind, value] = Object.entries(groups!).find(([, value]) => value !== undefined)!;
    return kind === "space" ? [] : [{ kind, text: value } as Token];
  });
}

const is = (token: Token | undefined, word: string) => token?.kind === "word" && token.text.toUpperCase() === word;

/** Takes the tokens up to the next AND; one AND at the end is let pass, as MLflow does. */
function takeClause(tokens: Token[]): Token[] {
  const end = tokens.findIndex((token) => is(token, "AND"));
  const clause = tokens.splice(0, end < 0 ? tokens.length : end + 1);
  return end < 0 ? clause : clause.slice(0, -1);
}

function parseComparison(clause: readonly Token[], filter: string): Comparison {
  const [name, ...rest] = clause;
  const unreadable = (tokens: readonly Token[] = clause) =>
    invalid(`Invalid clause(s) in filter string: ${tokens.map(({ text }) => `'${text}'`).join(", ")}`);
  if (filter.includes(";") && clause.some(({ text }) => text === ";")) {
    throw invalid(`Search filter contained multiple expression '${filter}'. Provide AND-ed expression list.`);
  }
  if (name.kind !== "word" && name.kind !== "string") throw unreadable();

  const { comparator, operands } = takeComparator(rest) ?? {};
  if (comparator === undefined || operands === undefined) {
    const follows = rest[0]?.text;
    if (follows === "-" || follows === "/" || (rest[0]?.kind === "number" && follows?.startsWith("-"))) {
      throw invalid(
        `Invalid comparison clause. Expected 'Identifier' found '${clause.map(({ text }) => text).join("")}'; ` +
          "put a key with such characters between backticks",
      );
    }
    throw unreadable();
  }
  const { entity, key } = parseName(name.text, FILTER_ATTRIBUTES);
  if (comparator === "IS NULL" || comparator === "IS NOT NULL") {
    if (operands.length > 0) throw unreadable();
    if (entity !== "tag" && entity !== "parameter") {
      throw invalid(
        `IS NULL / IS NOT NULL is only supported for tags and params, not for '${entity}' '${key}'`,
      );
    }
    return { entity, key, comparator, value: undefined };
  }
  const value = comparator === "IN" || comparator === "NOT IN"
    ? parseList(operands, entity, key)
    : parseValue(operands, entity, key, unreadable);
  checkComparator(entity, key, comparator);
  return { entity, key, comparator, value };
}

function takeComparator(
  tokens: readonly Token[],
): { readonly comparator: Comparator; readonly operands: readonly Token[] } | undefined {
  const [first, second, third] = tokens;
  if (first?.kind === "operator") {
    return { comparator: first.text as Comparator, operands: tokens.slice(1) };
  }
  for (const comparator of ["LIKE", "ILIKE", "IN"] as const) {
    if (is(first, comparator)) return { comparator, operands: tokens.slice(1) };
  }
  if (is(first, "NOT") && is(second, "IN")) return { comparator: "NOT IN", operands: tokens.slice(2) };
  if (is(first, "IS") && is(second, "NULL")) return { comparator: "IS NULL", operands: tokens.slice(2) };
  if (is(first, "IS") && is(second, "NOT") && is(third, "NULL")) {
    return { comparator: "IS NOT NULL", operands: tokens.slice(3) };
  }
}

function parseName(name: string, attributes: ReadonlySet<string>): { readonly entity: Entity; readonly key: string } {
  const [, first, dot, rest] = /^(`[^`]*`|"[^"]*"|'[^']*'|[^.]*)(\.?)(.*)$/su.exec(name)!;
  const entity = dot === "" ? "attribute" : ENTITIES[unquote(first)];
  const key = unquote(dot === "" ? first : rest);
  if (entity === undefined) {
    throw invalid(
      `Invalid entity type '${
        unquote(first)
      }'. Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']`,
    );
  }
  if (entity === "attribute" && !attributes.has(key)) throw unknownKey("attribute", key, attributes);
  if (entity === "dataset" && !DATASET_KEYS.has(key)) throw unknownKey("dataset", key, DATASET_KEYS);
  return { entity, key };
}

function parseValue(
  operands: readonly Token[],
  entity: Entity,
  key: string,
  unreadable: () => MlflowError,
): string | number {
  const [operand] = operands;
  if (operands.length !== 1 || operand.kind === "other") throw unreadable();
  const numeric = entity === "metric" || (entity === "attribute" && NUMERIC_ATTRIBUTES.has(key));
  if (numeric) {
    if (operand.kind === "number") return Number(operand.text);
    const what = entity === "metric" ? "metric" : `numeric attribute: ${key}`;
    throw invalid(`Expected numeric value type for ${what}. Found ${operand.text}`);
  }
  if (operand.kind === "string" || /^["`]/.test(operand.text)) return unquote(operand.text);
  throw invalid(`Expected a quoted string value for ${entity} (e.g. 'my-value'). Got value ${operand.text}`);
}

function parseList(operands: readonly Token[], entity: Entity, key: string): string[] {
  if (!((entity === "attribute" && key === "run_id") || entity === "dataset")) {
    throw invalid("Only ['run_id'] attributes support comparison with a list of quoted string values.");
  }
  const inner = operands.slice(1, -1);
  if (operands[0]?.text !== "(" || operands.at(-1)?.text !== ")") {
    throw invalid(`Expected a list of quoted strings between brackets for '${key}'`);
  }
  if (inner.length === 0) {
    throw invalid(
      "While parsing a list in the query, expected a non-empty list of string values, but got empty list",
    );
  }
  const values = inner.filter(({ text }) => text !== ",");
  if (values.some(({ kind }) => kind !== "string")) {
    throw invalid(
      "While parsing a list in the query, expected string value, punctuation, or whitespace, but got different type in list: " +
        operands.map(({ text }) => text).join(""),
    );
  }
  return values.map(({ text }) => unquote(text));
}

function checkComparator(entity: Entity, key: string, comparator: Comparator): void {
  const numeric = entity === "metric" || (entity === "attribute" && NUMERIC_ATTRIBUTES.has(key));
  if (comparator === "IN" || comparator === "NOT IN") return;
  if (!(numeric ? NUMERIC_COMPARATORS : TEXT_COMPARATORS).has(comparator)) {
    throw invalid(
      `Invalid comparator '${comparator}' not one of '${
        [...numeric ? NUMERIC_COMPARATORS : TEXT_COMPARATORS].join("', '")
      }'`,
    );
  }
}

function unquote(text: string): string {
  return /^(`.*`|".*"|'.*')$/su.test(text) ? text.slice(1, -1) : text;
}

function unknownKey(entity: string, key: string, valid: ReadonlySet<string>): MlflowError {
  const keys = [...valid].sort().map((name) => `'${name}'`).join(", ");
  return invalid(`Invalid ${entity} key '${key}' specified. Valid keys are '{${keys}}'`);
}

function invalid(reason: string): MlflowError {
  return new MlflowError("INVALID_PARAMETER_VALUE", reason);
}
