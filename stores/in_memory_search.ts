import type { Experiment, LoggedModel, RunRecord, ViewType } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import { type Comparator, type Comparison, type Order, parseRunFilter, parseRunOrder } from "./filter.ts";
import type { LoggedModelSearch, StoreSearch } from "./store.ts";

type Value = string | number;

/** Gives the values that an entity has for a name of a filter: none, one, or one for each dataset. */
type Lookup<T> = (item: T, entity: Comparison["entity"], key: string) => readonly Value[];

/** A search for entities that are held in memory, with the answers of the SQL stores. */
export interface Query<T> {
  /** Those that the filter finds, in the order asked for. */
  find(items: readonly T[]): T[];
}

/** A search for runs. */
export interface RunQuery extends Query<RunRecord> {
  /** Whether it looks at nothing but `info` of the runs. */
  readonly needsOnlyInfo: boolean;
}

/** Reads the filter and order of a search for runs. */
export function runQuery(search: StoreSearch): RunQuery {
  const filter = parseRunFilter(search.filter ?? "");
  const orders = (search.orderBy ?? []).map(parseRunOrder);
  checkDoubled(orders, search.orderBy);
  const named = orders.some(({ entity, key }) => entity === "attribute" && /^(start_time|created)$/i.test(key));
  const ties: readonly Order[] = [
    ...(named ? [] : [{ entity: "attribute", key: "start_time", ascending: false } as const]),
    { entity: "attribute", key: "run_id", ascending: true },
  ];
  return {
    needsOnlyInfo: [...filter, ...orders].every(({ entity }) => entity === "attribute"),
    find: (runs) => findAll(runs, filter, [...orders, ...ties], runValues),
  };
}

/** Reads the filter and order of a search for experiments. */
export function experimentQuery(search: StoreSearch): Query<Experiment> {
  if (search.filter || search.orderBy?.length) {
    throw new MlflowError(
      "NOT_IMPLEMENTED",
      "Cannot search experiments by a filter or an order: give neither, and choose among the results",
    );
  }
  const ties: readonly Order[] = [
    { entity: "attribute", key: "creation_time", ascending: false },
    { entity: "attribute", key: "experiment_id", ascending: true },
  ];
  return { find: (experiments) => findAll(experiments, [], ties, experimentValues) };
}

/** Reads the filter, datasets and order of a search for logged models. */
export function loggedModelQuery(search: LoggedModelSearch): Query<LoggedModel> {
  if (search.filter || search.orderBy?.length || search.datasets?.length) {
    throw new MlflowError("NOT_IMPLEMENTED", "Cannot search logged models by a filter or an order yet");
  }
  const ties: readonly Order[] = [
    { entity: "attribute", key: "creation_timestamp", ascending: false },
    { entity: "attribute", key: "model_id", ascending: true },
  ];
  return { find: (models) => findAll(models, [], ties, modelValues) };
}

/** Whether a search of this view looks at what is in this stage. */
export function isInView(stage: "active" | "deleted", view: ViewType = "ACTIVE_ONLY"): boolean {
  switch (view) {
    case "ACTIVE_ONLY":
      return stage === "active";
    case "DELETED_ONLY":
      return stage === "deleted";
    case "ALL":
      return true;
    default:
      throw new TypeError(`viewType must be "ACTIVE_ONLY", "DELETED_ONLY" or "ALL": received "${view}"`);
  }
}

function runValues({ info, data, inputs }: RunRecord, entity: Comparison["entity"], key: string): readonly Value[] {
  switch (entity) {
    case "metric":
      return own(data.metrics, key);
    case "parameter":
      return own(data.params, key);
    case "tag":
      return own(data.tags, key);
    case "dataset":
      return inputs.datasetInputs.flatMap(({ dataset, tags }) =>
        key === "context" ? own(tags, "mlflow.data.context") : [key === "name" ? dataset.name : dataset.digest]
      );
    case "attribute":
      return present(runAttribute(info, key));
  }
}

function runAttribute(info: RunRecord["info"], key: string): Value | undefined {
  switch (key) {
    case "run_id":
      return info.runId;
    case "status":
      return info.status;
    case "user_id":
      return info.userId;
    case "artifact_uri":
      return info.artifactUri;
    case "start_time":
    case "created":
    case "Created":
      return info.startTime;
    case "end_time":
      return info.endTime;
    default:
      // Every other attribute that the parser lets through is a spelling of the run's name.
      return info.runName;
  }
}

function experimentValues(experiment: Experiment, entity: Comparison["entity"], key: string): readonly Value[] {
  if (entity === "tag") return own(experiment.tags, key);
  switch (key) {
    case "experiment_id":
      return [experiment.experimentId];
    case "creation_time":
      return [experiment.creationTime];
    case "last_update_time":
      return [experiment.lastUpdateTime];
    default:
      return [experiment.name];
  }
}

function modelValues(model: LoggedModel, entity: Comparison["entity"], key: string): readonly Value[] {
  switch (entity) {
    case "parameter":
      return own(model.params, key);
    case "tag":
      return own(model.tags, key);
    case "metric":
      return model.metrics.filter((metric) => metric.key === key).map(({ value }) => value);
    default:
      return present(modelAttribute(model, key));
  }
}

function modelAttribute(model: LoggedModel, key: string): Value | undefined {
  switch (key) {
    case "model_id":
      return model.modelId;
    case "model_type":
      return model.modelType;
    case "status":
      return model.status;
    case "source_run_id":
      return model.sourceRunId;
    case "creation_timestamp":
    case "creation_time":
      return model.creationTimestamp;
    case "last_updated_timestamp":
    case "last_updated_time":
      return model.lastUpdatedTimestamp;
    default:
      return model.name;
  }
}

function findAll<T>(
  items: readonly T[],
  filter: readonly Comparison[],
  orders: readonly Order[],
  lookup: Lookup<T>,
): T[] {
  const tests = filter.map((comparison) => ({ ...comparison, test: testOf(comparison) }));
  return items
    .filter((item) => tests.every(({ entity, key, test }) => test(lookup(item, entity, key))))
    .map((item) => ({ item, keys: orders.map(({ entity, key }) => lookup(item, entity, key)[0]) }))
    .sort((a, b) => {
      for (const [i, { ascending }] of orders.entries()) {
        const order = compareKeys(a.keys[i], b.keys[i], ascending);
        if (order !== 0) return order;
      }
      return 0;
    })
    .map(({ item }) => item);
}

function testOf({ comparator, value }: Comparison): (values: readonly Value[]) => boolean {
  if (comparator === "IS NULL") return (values) => values.length === 0;
  if (comparator === "IS NOT NULL") return (values) => values.length > 0;
  // What is not there meets no comparison, not even `!=`.
  const test = comparison(comparator, value);
  return (values) => values.some(test);
}

/** NaN meets no comparison but `!=`, which is what JavaScript's operators say too. */
function comparison(comparator: Comparator, wanted: Comparison["value"]): (value: Value) => boolean {
  switch (comparator) {
    case "IN":
      return (value) => (wanted as readonly string[]).includes(String(value));
    case "NOT IN":
      return (value) => !(wanted as readonly string[]).includes(String(value));
    case "LIKE":
    case "ILIKE": {
      const pattern = patternOf(String(wanted), comparator === "ILIKE");
      return (value) => pattern.test(String(value));
    }
    case ">":
      return (value) => value > wanted!;
    case ">=":
      return (value) => value >= wanted!;
    case "<":
      return (value) => value < wanted!;
    case "<=":
      return (value) => value <= wanted!;
    case "!=":
      return (value) => value !== wanted;
    default:
      return (value) => value === wanted;
  }
}

/** The regular expression that matches what a LIKE pattern matches: `%` any text, `_` any one character. */
function patternOf(like: string, ignoreCase: boolean): RegExp {
  const source = like.replace(
    /[\\^$.*+?()[\]{}|/%_]/g,
    (character) => character === "%" ? ".*" : character === "_" ? "." : `\\${character}`,
  );
  return new RegExp(`^${source}$`, ignoreCase ? "isu" : "su");
}

/** Numbers and texts first, then NaN, then what is not there, in either direction. */
function compareKeys(a: Value | undefined, b: Value | undefined, ascending: boolean): number {
  const rank = rankOf(a) - rankOf(b);
  if (rank !== 0 || a === undefined || b === undefined) return rank;
  const order = a < b ? -1 : a > b ? 1 : 0;
  return ascending ? order : -order;
}

function rankOf(value: Value | undefined): number {
  return value === undefined ? 2 : Number.isNaN(value) ? 1 : 0;
}

function own<V extends Value>(record: Readonly<Record<string, V>>, key: string): readonly V[] {
  return Object.hasOwn(record, key) ? [record[key]] : [];
}

function present(value: Value | undefined): readonly Value[] {
  return value === undefined ? [] : [value];
}

function checkDoubled(orders: readonly Order[], orderBy: readonly string[] | undefined): void {
  const seen = new Set<string>();
  for (const { entity, key } of orders) {
    const name = JSON.stringify([entity, key]);
    if (seen.has(name)) {
      throw new MlflowError(
        "INVALID_PARAMETER_VALUE",
        `\`order_by\` contains duplicate fields: ${JSON.stringify(orderBy)}`,
      );
    }
    seen.add(name);
  }
}
