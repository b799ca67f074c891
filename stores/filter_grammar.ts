/** What a comparison looks at. */
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

/**
 * How a value is written:
 *
 * - `number`: `0.5`. `integer`: the same, but whole. `float`: a number, `inf` or `nan`.
 * - `text`: between single or double quotes.
 * - `bare`: a text; single quotes around it are taken off, anything else stays part of it.
 * - `id`: a whole number as a text. `version`: a whole number, as it is or as a text.
 */
export type ValueKind = "number" | "integer" | "float" | "text" | "bare" | "id" | "version";

/** One row of a grammar: what may be said of some keys of an entity. */
export interface GrammarRow {
  readonly entity: Entity;
  /** The keys it is about; undefined: all keys. */
  readonly keys?: readonly string[];
  readonly value: ValueKind;
  readonly comparators: readonly Comparator[];
}

/** What can be said in the filters and orders of one kind of search. */
export interface Grammar {
  /** The words that may stand in front of the dot. A key without a dot is an attribute. */
  readonly entities: Readonly<Record<string, Entity>>;
  readonly rows: readonly GrammarRow[];
  /** What can be ordered by, by entity; undefined: all keys. */
  readonly orders: Readonly<Partial<Record<Entity, readonly string[] | undefined>>>;
  /** Other names of keys, which a comparison gives by the name that the value here says. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** Where names may stand in quotes; MLflow's registry takes quotes around the name of an attribute for part of it. */
  readonly quotedAttributes: boolean;
  /** Which quotes are no part of a key. */
  readonly keyQuotes: RegExp;
  /** MLflow's search for experiments knows `LIKE`, `ILIKE` and `IN` in capital letters only. */
  readonly capitals: boolean;
  /** What MLflow says to a word in front of the dot that it does not know. */
  readonly unknownEntity: (name: string) => string;
  /** What MLflow says to a comparator that does not fit. */
  readonly badComparator: (comparator: string, name: string, row: GrammarRow) => string;
  /** What MLflow says to a list of values where none can stand. */
  readonly noList: string;
}

const NUMERIC = [">", ">=", "=", "!=", "<", "<="] as const;
const TEXT = ["=", "!=", "LIKE", "ILIKE"] as const;
const LIST = ["IN", "NOT IN"] as const;
const NULLS = ["IS NULL", "IS NOT NULL"] as const;

function badComparator(comparator: string, _name: string, { comparators }: GrammarRow): string {
  return `Invalid comparator '${comparator}' not one of '{${comparators.map((c) => `'${c}'`).join(", ")}}'`;
}

function onlyLists(keys: string): string {
  return `Only [${keys}] attributes support comparison with a list of quoted string values.`;
}

/** Searches for runs. */
export const RUNS: Grammar = {
  entities: {
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
  },
  rows: [
    { entity: "metric", value: "number", comparators: NUMERIC },
    { entity: "parameter", value: "text", comparators: [...TEXT, ...NULLS] },
    { entity: "tag", value: "text", comparators: [...TEXT, ...NULLS] },
    { entity: "attribute", keys: ["run_id"], value: "text", comparators: [...TEXT, ...LIST] },
    {
      entity: "attribute",
      keys: ["status", "user_id", "artifact_uri", "run_name", "run name", "Run name", "Run Name"],
      value: "text",
      comparators: TEXT,
    },
    {
      entity: "attribute",
      keys: ["start_time", "end_time", "created", "Created"],
      value: "number",
      comparators: NUMERIC,
    },
    { entity: "dataset", keys: ["name", "digest", "context"], value: "text", comparators: [...TEXT, ...LIST] },
  ],
  orders: {
    metric: undefined,
    parameter: undefined,
    tag: undefined,
    attribute: [
      "run_id",
      "status",
      "user_id",
      "artifact_uri",
      "run_name",
      "start_time",
      "end_time",
      "created",
      "Created",
    ],
    dataset: ["name", "digest", "context"],
  },
  quotedAttributes: true,
  keyQuotes: /["'`]/,
  capitals: false,
  unknownEntity: (name) =>
    `Invalid entity type '${name}'. Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']`,
  badComparator,
  noList: onlyLists("'run_id'"),
};

const REGISTRY_ENTITIES = { attribute: "attribute", tag: "tag", tags: "tag" } as const;

function unknownRegistryEntity(name: string): string {
  return `Invalid entity type '${name}'. Valid entity types are ('attribute', 'tag', 'tags')`;
}

/** Searches for experiments. */
export const EXPERIMENTS: Grammar = {
  entities: REGISTRY_ENTITIES,
  rows: [
    { entity: "attribute", keys: ["name"], value: "text", comparators: TEXT },
    { entity: "attribute", keys: ["experiment_id"], value: "id", comparators: ["=", "!=", ...LIST] },
    { entity: "attribute", keys: ["creation_time", "last_update_time"], value: "integer", comparators: NUMERIC },
    { entity: "tag", value: "text", comparators: [...TEXT, ...NULLS] },
  ],
  orders: { attribute: ["name", "experiment_id", "creation_time", "last_update_time"], tag: undefined },
  quotedAttributes: true,
  keyQuotes: /["'`]/,
  capitals: true,
  unknownEntity: unknownRegistryEntity,
  badComparator,
  noList: onlyLists("'experiment_id'"),
};

/** Searches for logged models. */
export const LOGGED_MODELS: Grammar = {
  entities: { attributes: "attribute", metrics: "metric", params: "parameter", tags: "tag" },
  rows: [
    { entity: "metric", value: "float", comparators: NUMERIC },
    { entity: "parameter", value: "bare", comparators: [...TEXT, ...LIST] },
    { entity: "tag", value: "bare", comparators: [...TEXT, ...LIST] },
    {
      entity: "attribute",
      keys: ["creation_timestamp_ms", "last_updated_timestamp_ms"],
      value: "float",
      comparators: NUMERIC,
    },
    {
      entity: "attribute",
      keys: [
        "model_id",
        "experiment_id",
        "name",
        "artifact_location",
        "status",
        "lifecycle_stage",
        "model_type",
        "source_run_id",
        "status_message",
      ],
      value: "bare",
      comparators: [...TEXT, ...LIST],
    },
  ],
  orders: {
    metric: undefined,
    attribute: [
      "model_id",
      "experiment_id",
      "name",
      "artifact_location",
      "creation_timestamp_ms",
      "last_updated_timestamp_ms",
      "status",
      "lifecycle_stage",
      "model_type",
      "source_run_id",
      "status_message",
    ],
  },
  aliases: {
    creation_time: "creation_timestamp_ms",
    creation_timestamp: "creation_timestamp_ms",
    last_updated_timestamp: "last_updated_timestamp_ms",
  },
  quotedAttributes: true,
  keyQuotes: /`/,
  capitals: false,
  unknownEntity: (name) =>
    `Invalid entity type: '${name}'. Expected one of ['attributes', 'metrics', 'params', 'tags'].`,
  badComparator: (comparator, name, { comparators }) =>
    `Invalid comparison operator for ${name}: '${comparator}'. Expected one of (${
      comparators.map((c) => `'${c}'`).join(", ")
    }).`,
  noList: "Expected a value, found a list",
};

/** Searches for registered models. */
export const REGISTERED_MODELS: Grammar = {
  entities: REGISTRY_ENTITIES,
  rows: [
    { entity: "attribute", keys: ["name"], value: "text", comparators: [...TEXT, ...LIST] },
    { entity: "tag", value: "text", comparators: TEXT },
  ],
  orders: { attribute: ["name", "timestamp", "last_updated_timestamp"] },
  quotedAttributes: false,
  keyQuotes: /["'`]/,
  capitals: false,
  unknownEntity: unknownRegistryEntity,
  badComparator,
  noList: onlyLists("'name'"),
};

/** Searches for versions of registered models. */
export const MODEL_VERSIONS: Grammar = {
  entities: REGISTRY_ENTITIES,
  rows: [
    { entity: "attribute", keys: ["name", "run_id"], value: "text", comparators: [...TEXT, ...LIST] },
    { entity: "attribute", keys: ["source_path"], value: "text", comparators: TEXT },
    { entity: "attribute", keys: ["version_number"], value: "version", comparators: NUMERIC },
    { entity: "tag", value: "text", comparators: TEXT },
  ],
  orders: { attribute: ["name", "version_number", "creation_timestamp", "last_updated_timestamp"], tag: undefined },
  quotedAttributes: false,
  keyQuotes: /["'`]/,
  capitals: false,
  unknownEntity: unknownRegistryEntity,
  badComparator,
  noList: onlyLists("'name', 'run_id'"),
};
