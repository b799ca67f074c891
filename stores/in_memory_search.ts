import type { Experiment, LoggedModel, LoggedModelMetric, RunRecord, ViewType } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import {
  type Comparator,
  type Comparison,
  type Entity,
  type Order,
  parseExperimentFilter,
  parseExperimentOrders,
  parseLoggedModelFilter,
  parseRunFilter,
  parseRunOrders,
  readLoggedModelOrder,
} from "./filter.ts";
import type { LoggedModelOrder, LoggedModelSearch, StoreSearch } from "./store.ts";

/** What is compared and ordered by. */
export type Value = string | number;

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

/** How the names of a filter are looked up in an entity. */
export interface Lookup<T> {
  /** The values that a comparison looks at: none, one, or one for each dataset. */
  values(item: T, entity: Entity, key: string): readonly Value[];
  /** The value that a term of the order looks at. */
  orderValue(item: T, order: Order, i: number): Value | undefined;
}

/** Reads the filter and order of a search for runs. */
export function runQuery({ filter = "", orderBy = [] }: StoreSearch): RunQuery {
  const comparisons = parseRunFilter(filter);
  const orders = parseRunOrders(orderBy);
  const named = orders.some(({ entity, key }) => entity === "attribute" && /^(start_time|created)$/i.test(key));
  const ties = [...(named ? [] : [byAttribute("start_time", false)]), byAttribute("run_id")];
  return {
    needsOnlyInfo: [...comparisons, ...orders].every(({ entity }) => entity === "attribute"),
    find: (runs) =>
      findAll(runs, comparisons, [...orders, ...ties], {
        values: runValues,
        orderValue: (run, { entity, key }) => runValues(run, entity, key)[0],
      }),
  };
}

/** Reads the filter and order of a search for experiments. */
export function experimentQuery({ filter = "", orderBy = [] }: StoreSearch): Query<Experiment> {
  const comparisons = parseExperimentFilter(filter);
  const orders = parseExperimentOrders(orderBy.length > 0 ? orderBy : ["creation_time DESC", "experiment_id ASC"]);
  const named = orders.some(({ key }) => key === "experiment_id");
  return {
    find: (experiments) =>
      findAll(experiments, comparisons, [...orders, ...(named ? [] : [byAttribute("experiment_id", false)])], {
        values: experimentValues,
        // Ids are numbers, and too long for those of JavaScript.
        orderValue: (experiment, { entity, key }) =>
          key === "experiment_id"
            ? experiment.experimentId.padStart(20, "0")
            : experimentValues(experiment, entity, key)[0],
      }),
  };
}

/** Reads the filter, datasets and order of a search for logged models. */
export function loggedModelQuery({ filter = "", datasets = [], orderBy = [] }: LoggedModelSearch): Query<LoggedModel> {
  if (datasets.some(({ name }) => !name)) {
    throw new MlflowError("INVALID_PARAMETER_VALUE", "`dataset_name` in the `datasets` clause must be specified.");
  }
  const comparisons = parseLoggedModelFilter(filter);
  const orders = orderBy.map(readLoggedModelOrder);
  const named = (name: string) => orders.some(({ entity, key }) => entity === "attribute" && key === name);
  const ties = [
    ...(named("creation_timestamp_ms") ? [] : [byAttribute("creation_timestamp_ms", false)]),
    ...(named("model_id") ? [] : [byAttribute("model_id")]),
  ];
  const isOnDataset = ({ dataset }: LoggedModelMetric) =>
    datasets.length === 0 || datasets.some(({ name, digest }) => isDataset(dataset, name, digest));
  const needsMetric = datasets.length > 0 && !comparisons.some(({ entity }) => entity === "metric");
  return {
    find: (models) =>
      findAll(
        needsMetric ? models.filter(({ metrics }) => metrics.some(isOnDataset)) : models,
        comparisons,
        [...orders, ...ties],
        {
          values: (model, entity, key) =>
            entity === "metric"
              ? model.metrics.filter((metric) => metric.key === key && isOnDataset(metric)).map(({ value }) => value)
              : modelValues(model, entity, key),
          orderValue: (model, { entity, key }, i) =>
            entity === "metric" ? latestValue(model, key, orderBy[i]) : modelValues(model, entity, key)[0],
        },
      ),
  };
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

function runValues({ info, data, inputs }: RunRecord, entity: Entity, key: string): readonly Value[] {
  switch (entity) {
    case "metric":
      return byKey(data.metrics, key);
    case "parameter":
      return byKey(data.params, key);
    case "tag":
      return byKey(data.tags, key);
    case "dataset":
      return inputs.datasetInputs.flatMap(({ dataset, tags }) =>
        key === "context" ? byKey(tags, "mlflow.data.context") : [key === "name" ? dataset.name : dataset.digest]
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

function experimentValues(experiment: Experiment, entity: Entity, key: string): readonly Value[] {
  if (entity === "tag") return byKey(experiment.tags, key);
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

function modelValues(model: LoggedModel, entity: Entity, key: string): readonly Value[] {
  if (entity === "parameter") return byKey(model.params, key);
  if (entity === "tag") return byKey(model.tags, key);
  switch (key) {
    case "model_id":
      return [model.modelId];
    case "experiment_id":
      return [model.experimentId];
    case "name":
      return [model.name];
    case "artifact_location":
      return [model.artifactLocation];
    case "status":
      // MLflow's databases hold a number here and find nothing by a name; its file store compares the names.
      return [model.status];
    case "lifecycle_stage":
      // No search finds deleted ones.
      return ["active"];
    case "model_type":
      return present(model.modelType);
    case "source_run_id":
      return present(model.sourceRunId);
    case "creation_timestamp_ms":
      return [model.creationTimestamp];
    case "last_updated_timestamp_ms":
      return [model.lastUpdatedTimestamp];
    default:
      return [];
  }
}

/** The value of a model's metric that was measured last, on the dataset of the order if it has one. */
function latestValue({ metrics }: LoggedModel, key: string, order: LoggedModelOrder): number | undefined {
  const { datasetName, datasetDigest } = order;
  return metrics
    .filter((metric) => metric.key === key && (!datasetName || isDataset(metric.dataset, datasetName, datasetDigest)))
    .toSorted((a, b) => b.timestamp - a.timestamp || b.step - a.step || (a.runId < b.runId ? -1 : 1))[0]?.value;
}

function isDataset(dataset: LoggedModelMetric["dataset"], name: string, digest: string | undefined): boolean {
  return dataset?.name === name && (digest === undefined || dataset.digest === digest);
}

/** The items that the comparisons all hold for, in the order of the terms. */
export function findAll<T>(
  items: readonly T[],
  comparisons: readonly Comparison[],
  orders: readonly Order[],
  lookup: Lookup<T>,
): T[] {
  const tests = comparisons.map((comparison) => ({ ...comparison, test: testOf(comparison) }));
  return items
    .filter((item) => tests.every(({ entity, key, test }) => test(lookup.values(item, entity, key))))
    .map((item) => ({ item, keys: orders.map((order, i) => lookup.orderValue(item, order, i)) }))
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
    default: {
      // The id of an experiment is compared as a number.
      const isEqual = (value: Value) => typeof wanted === "number" ? Number(value) === wanted : value === wanted;
      return comparator === "!=" ? (value) => !isEqual(value) : isEqual;
    }
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

function byAttribute(key: string, ascending: boolean = true): Order {
  return { entity: "attribute", key, ascending };
}

/** The value of a key, in a list: none where it is not there. */
export function byKey<V extends Value>(record: Readonly<Record<string, V>>, key: string): readonly V[] {
  return Object.hasOwn(record, key) ? [record[key]] : [];
}

function present(value: Value | undefined): readonly Value[] {
  return value === undefined ? [] : [value];
}
