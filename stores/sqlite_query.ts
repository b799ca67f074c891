import type { SQLInputValue } from "node:sqlite";
import type { ViewType } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import {
  type Comparison,
  type Order,
  parseExperimentFilter,
  parseExperimentOrders,
  parseLoggedModelFilter,
  parseRunFilter,
  parseRunOrders,
  readLoggedModelOrder,
} from "./filter.ts";
import type { LoggedModelOrder, LoggedModelSearch, StoreSearch } from "./store.ts";

/** A piece of SQL and the values of its question marks, in order. */
export interface Sql {
  readonly sql: string;
  readonly values: readonly SQLInputValue[];
}

/** Pieces of SQL put together, strings among them as they are. */
export function join(...parts: readonly (string | Sql)[]): Sql {
  return {
    sql: parts.map((part) => typeof part === "string" ? part : part.sql).join(""),
    values: parts.flatMap((part) => typeof part === "string" ? [] : part.values),
  };
}

/** Pieces of SQL with a text between them. */
export function joined(parts: readonly Sql[], separator: string): Sql {
  return { sql: parts.map(({ sql }) => sql).join(separator), values: parts.flatMap(({ values }) => values) };
}

/** A search for runs, read: what holds, and in which order. */
export interface RunSearch {
  readonly filter: readonly Comparison[];
  /** What else holds of a run, which has the name `r`. */
  readonly conditions: readonly Sql[];
  readonly orders: readonly Order[];
  readonly viewType: ViewType | undefined;
}

/** Reads a search for runs. */
export function readRunSearch({ filter = "", orderBy = [], viewType }: StoreSearch): RunSearch {
  const orders = parseRunOrders(orderBy);
  const named = orders.some(isByStart);
  const rest: readonly Order[] = [
    ...(named ? [] : [{ entity: "attribute", key: "start_time", ascending: false } as const]),
    { entity: "attribute", key: "run_id", ascending: true },
  ];
  return { filter: parseRunFilter(filter), conditions: [], orders: [...orders, ...rest], viewType };
}

/**
 * The query that gives the ids of the runs, as `run_uuid`, that a search finds, in its order.
 *
 * @param options `first`: a query for the ids of runs to begin with, which hold all that the search can find; `index`:
 * the index through which to go
 */
export function runQuery(
  experimentIds: readonly bigint[],
  search: RunSearch,
  options: { readonly first?: Sql; readonly index?: string } = {},
): Sql {
  const { filter, orders, viewType } = search;
  const { first, index } = options;
  const conditions = [
    // The plus keeps SQLite from walking through all runs of the experiment instead.
    inExperiments(first === undefined ? "r.experiment_id" : "+r.experiment_id", experimentIds),
    stage("r.lifecycle_stage", viewType),
    ...(first === undefined ? [] : [join("r.run_uuid IN (", first, ")")]),
    ...filter.map(runCondition),
    ...search.conditions,
  ];
  return join(
    `SELECT r.run_uuid FROM runs r${index === undefined ? "" : ` INDEXED BY ${index}`}`,
    joined(runOrderJoins(orders), ""),
    " WHERE ",
    joined(conditions, " AND "),
    " ORDER BY ",
    orders.map((order, i) => runOrderTerm(order, i)).join(", "),
  );
}

/** The conditions and order of a search for experiments, whose table has the name `e`. */
export function experimentQuery({ filter = "", orderBy = [], viewType }: StoreSearch): Sql {
  const conditions = parseExperimentFilter(filter).map(experimentCondition);
  const orders = parseExperimentOrders(orderBy.length > 0 ? orderBy : ["creation_time DESC", "experiment_id ASC"]);
  const ties: Order[] = orders.some(({ key }) => key === "experiment_id")
    ? []
    : [{ entity: "attribute", key: "experiment_id", ascending: false }];
  return join(
    "WHERE ",
    joined([stage("e.lifecycle_stage", viewType), ...conditions], " AND "),
    " ORDER BY ",
    [...orders, ...ties].map(({ key, ascending }) => `e.${key} ${ascending ? "ASC" : "DESC"}`).join(", "),
  );
}

/** The query that gives the ids of the logged models of these experiments that a search finds, in its order. */
export function loggedModelQuery(experimentIds: readonly bigint[], search: LoggedModelSearch): Sql {
  const { filter = "", datasets = [], orderBy = [] } = search;
  if (datasets.some(({ name }) => !name)) {
    throw new MlflowError("INVALID_PARAMETER_VALUE", "`dataset_name` in the `datasets` clause must be specified.");
  }
  const onDatasets = joined(
    datasets.map(({ name, digest }) => ({
      sql: `(m.dataset_name = ?${digest === undefined ? "" : " AND m.dataset_digest = ?"})`,
      values: digest === undefined ? [name] : [name, digest],
    })),
    " OR ",
  );
  const comparisons = parseLoggedModelFilter(filter);
  const conditions = comparisons.map((comparison) => modelCondition(comparison, onDatasets));
  if (datasets.length > 0 && !comparisons.some(({ entity }) => entity === "metric")) {
    conditions.push(
      join("EXISTS (SELECT 1 FROM logged_model_metrics m WHERE m.model_id = l.model_id AND (", onDatasets, "))"),
    );
  }
  const orders = orderBy.map(readLoggedModelOrder);
  const named = (column: string) => orders.some(({ key, entity }) => entity === "attribute" && key === column);
  return join(
    "SELECT l.model_id FROM logged_models l WHERE ",
    joined(
      [inExperiments("l.experiment_id", experimentIds), plain("l.lifecycle_stage != 'deleted'"), ...conditions],
      " AND ",
    ),
    " ORDER BY ",
    joined([
      ...orders.map((order, i) => modelOrder(order, orderBy[i])),
      ...(named("creation_timestamp_ms") ? [] : [plain("l.creation_timestamp_ms DESC")]),
      ...(named("model_id") ? [] : [plain("l.model_id")]),
    ], ", "),
  );
}

/** That a row belongs to one of the experiments. */
export function inExperiments(column: string, experimentIds: readonly bigint[]): Sql {
  // Rows of a single experiment can be walked through in the order of an index.
  if (experimentIds.length === 1) return { sql: `${column} = ?`, values: [experimentIds[0]] };
  return {
    sql: `${column} IN (SELECT CAST(value AS INTEGER) FROM json_each(?))`,
    values: [JSON.stringify(experimentIds.map(String))],
  };
}

/** That a row is of the stage looked at. */
export function stage(column: string, viewType: ViewType = "ACTIVE_ONLY"): Sql {
  switch (viewType) {
    case "ACTIVE_ONLY":
      return plain(`${column} = 'active'`);
    case "DELETED_ONLY":
      return plain(`${column} = 'deleted'`);
    case "ALL":
      return plain(`${column} IN ('active', 'deleted')`);
    default:
      throw new TypeError(`viewType must be "ACTIVE_ONLY", "DELETED_ONLY" or "ALL": received "${viewType}"`);
  }
}

const RUN_NAME_TAG = "mlflow.runName";

const RUN_COLUMNS: Readonly<Record<string, string>> = {
  run_id: "r.run_uuid",
  status: "r.status",
  user_id: "r.user_id",
  artifact_uri: "r.artifact_uri",
  start_time: "r.start_time",
  created: "r.start_time",
  Created: "r.start_time",
  end_time: "r.end_time",
  run_name: "r.name",
};

/** The tables of what a run may be filtered and ordered by. */
export const RUN_TABLES = { metric: "latest_metrics", parameter: "params", tag: "tags" } as const;

/** A term of an order by a metric, a param or a tag. */
export type KeyOrder = Order & { readonly entity: keyof typeof RUN_TABLES };

/** Whether a term is by a metric, a param or a tag. */
export function isOfKey(order: Order): order is KeyOrder {
  return Object.hasOwn(RUN_TABLES, order.entity);
}

/** Whether a term is by the time of the start. */
function isByStart({ entity, key }: Order | Comparison): boolean {
  return entity === "attribute" && RUN_COLUMNS[key] === "r.start_time";
}

/** Whether a term is by a time of the run, for which there is an index, or a comparison of one. */
export function isByTime(term: Order | Comparison): boolean {
  return isByStart(term) || (term.entity === "attribute" && term.key === "end_time");
}

/** Whether a comparison is of a value that an index finds by its key. */
export function isInIndex({ entity, key }: Comparison): boolean {
  return Object.hasOwn(RUN_TABLES, entity) || (entity === "attribute" && isRunName(key));
}

/** Whether a comparison bounds the values that an order goes through. */
export function isBound({ entity, key, comparator }: Comparison, order: Order): boolean {
  return entity === order.entity && key === order.key && comparator !== "IS NULL" && comparator !== "IS NOT NULL";
}

/** Whether a comparison looks at the table of runs alone. */
export function isOfRun({ entity, key }: Comparison): boolean {
  return entity === "attribute" && !isRunName(key);
}

/** The comparisons of a filter that one row of a run, or the run's own, has to meet. */
export function comparisonsByKey(filter: readonly Comparison[]): Iterable<readonly Comparison[]> {
  return Map.groupBy(filter, (comparison) => {
    const { entity, key, comparator } = comparison;
    // A run may have many datasets.
    return entity === "dataset" || comparator === "IS NULL" ? comparison : `${entity} ${key}`;
  }).values();
}

/** A query for ids of runs, as `run_uuid`, in whichever experiment: all that meet these of `comparisonsByKey`. */
export function runsThatMeet(comparisons: readonly Comparison[]): Sql {
  const [{ entity, key, comparator }] = comparisons;
  if (comparator === "IS NULL") {
    // Both come in the order of their ids, and SQLite merges them.
    return join("SELECT run_uuid FROM runs EXCEPT ", rowsThatMeet(RUN_TABLES[entity as KeyOrder["entity"]], key, []));
  }
  switch (entity) {
    case "metric":
    case "parameter":
    case "tag":
      return rowsThatMeet(RUN_TABLES[entity], key, comparisons);
    case "attribute":
      if (isRunName(key)) return rowsThatMeet("tags", RUN_NAME_TAG, comparisons);
      return join("SELECT r.run_uuid FROM runs r WHERE ", joined(comparisons.map(runCondition), " AND "));
    case "dataset": {
      const [from, column] = key === "context"
        ? [
          "(SELECT * FROM input_tags WHERE name = 'mlflow.data.context') t CROSS JOIN inputs i USING (input_uuid)",
          "t.value",
        ]
        : ["datasets d CROSS JOIN inputs i ON i.source_id = d.dataset_uuid", `d.${key}`];
      return join(
        `SELECT i.destination_id AS run_uuid FROM ${from} WHERE i.source_type = 'DATASET' AND i.destination_type = 'RUN' AND `,
        compare(column, comparisons[0]),
      );
    }
  }
}

function rowsThatMeet(table: string, key: string, comparisons: readonly Comparison[]): Sql {
  const tests = comparisons.filter(({ comparator }) => comparator !== "IS NOT NULL");
  return joined(
    [
      { sql: `SELECT m.run_uuid FROM ${table} m WHERE m.key = ?`, values: [key] },
      ...tests.map((comparison) => metricOrText("m", comparison)),
    ],
    " AND ",
  );
}

/** Every attribute without a column is a spelling of the run's name. MLflow looks for that among the tags. */
function isRunName(key: string): boolean {
  return key === "run_name" || RUN_COLUMNS[key] === undefined;
}

/** The condition that a run of the name `r` meets the comparison. */
export function runCondition(comparison: Comparison): Sql {
  const { entity, key } = comparison;
  switch (entity) {
    case "metric":
    case "parameter":
    case "tag":
      return ofRun(RUN_TABLES[entity], key, comparison.comparator, metricOrText("m", comparison));
    case "attribute":
      if (!isRunName(key)) return compare(RUN_COLUMNS[key], comparison);
      return ofRun("tags", RUN_NAME_TAG, comparison.comparator, compare("m.value", comparison));
    case "dataset":
      return join(
        "EXISTS (SELECT 1 FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id LEFT JOIN input_tags t " +
          "ON t.input_uuid = i.input_uuid AND t.name = 'mlflow.data.context' WHERE i.source_type = 'DATASET' AND " +
          "i.destination_type = 'RUN' AND i.destination_id = r.run_uuid AND ",
        compare(key === "context" ? "t.value" : `d.${key}`, comparison),
        ")",
      );
  }
}

/** The condition on a row of `latest_metrics`, `params` or `tags`. */
export function metricOrText(alias: string, comparison: Comparison): Sql {
  const condition = compare(`${alias}.value`, comparison);
  if (comparison.entity !== "metric") return condition;
  // A NaN is stored as 0: it equals nothing and is less or more than nothing.
  return comparison.comparator === "!="
    ? join(`(${alias}.is_nan = 1 OR `, condition, ")")
    : join(`(${alias}.is_nan = 0 AND `, condition, ")");
}

function ofRun(table: string, key: string, comparator: Comparison["comparator"], test: Sql): Sql {
  const has = { sql: `EXISTS (SELECT 1 FROM ${table} m WHERE m.run_uuid = r.run_uuid AND m.key = ?`, values: [key] };
  if (comparator === "IS NULL") return join("NOT ", has, ")");
  return comparator === "IS NOT NULL" ? join(has, ")") : join(has, " AND ", test, ")");
}

function experimentCondition(comparison: Comparison): Sql {
  const { entity, key, comparator } = comparison;
  if (entity === "attribute") return compare(`e.${key}`, comparison);
  const has = {
    sql: "EXISTS (SELECT 1 FROM experiment_tags t WHERE t.experiment_id = e.experiment_id AND t.key = ?",
    values: [key],
  };
  if (comparator === "IS NULL") return join("NOT ", has, ")");
  return comparator === "IS NOT NULL" ? join(has, ")") : join(has, " AND ", compare("t.value", comparison), ")");
}

function modelCondition(comparison: Comparison, onDatasets: Sql): Sql {
  const { entity, key } = comparison;
  switch (entity) {
    case "metric":
      return join(
        {
          sql: "EXISTS (SELECT 1 FROM logged_model_metrics m WHERE m.model_id = l.model_id AND m.metric_name = ? AND ",
          values: [key],
        },
        compare("m.metric_value", comparison),
        ...(onDatasets.sql === "" ? [] : [" AND (", onDatasets, ")"]),
        ")",
      );
    case "parameter":
    case "tag": {
      const [table, name] = entity === "tag" ? ["logged_model_tags", "tag"] : ["logged_model_params", "param"];
      return join(
        {
          sql: `EXISTS (SELECT 1 FROM ${table} m WHERE m.model_id = l.model_id AND m.${name}_key = ? AND `,
          values: [key],
        },
        compare(`m.${name}_value`, comparison),
        ")",
      );
    }
    default:
      return compare(`l.${key}`, comparison);
  }
}

function modelOrder({ entity, key, ascending }: Order, { datasetName, datasetDigest }: LoggedModelOrder): Sql {
  const direction = `${ascending ? "ASC" : "DESC"} NULLS LAST`;
  if (entity === "attribute") return plain(`l.${key} ${direction}`);
  const conditions = [
    { sql: "m.metric_name = ?", values: [key] },
    ...(datasetName ? [{ sql: "m.dataset_name = ?", values: [datasetName] }] : []),
    ...(datasetDigest ? [{ sql: "m.dataset_digest = ?", values: [datasetDigest] }] : []),
  ];
  return join(
    "(SELECT m.metric_value FROM logged_model_metrics m WHERE m.model_id = l.model_id AND ",
    joined(conditions, " AND "),
    ` ORDER BY m.metric_timestamp_ms DESC, m.metric_step DESC, m.run_id LIMIT 1) ${direction}`,
  );
}

/** The condition that a column meets a comparison. */
export function compare(column: string, { comparator, value }: Comparison): Sql {
  switch (comparator) {
    case "IN":
    case "NOT IN":
      return { sql: `${column} ${comparator} (SELECT value FROM json_each(?))`, values: [JSON.stringify(value)] };
    case "LIKE":
      // SQLite's LIKE ignores case unless a pragma of the whole connection says otherwise; GLOB minds it.
      return { sql: `${column} GLOB ?`, values: [globOf(String(value))] };
    case "ILIKE":
      return { sql: `${column} LIKE ?`, values: [String(value)] };
    default:
      return { sql: `${column} ${comparator} ?`, values: [value as string | number] };
  }
}

/** The GLOB pattern that matches what a LIKE pattern matches. */
function globOf(pattern: string): string {
  return pattern.replace(/[%_*?[]/g, (c) => c === "%" ? "*" : c === "_" ? "?" : `[${c}]`);
}

/** The tables that terms of an order look at, of the names `o0`, `o1`, … by their places. */
export function runOrderJoins(orders: readonly Order[], start: number = 0): Sql[] {
  return orders.flatMap(({ entity, key }, i) => {
    if (entity === "attribute" || entity === "dataset") return [];
    const name = `o${start + i}`;
    return {
      sql: ` LEFT JOIN ${RUN_TABLES[entity]} ${name} ON ${name}.run_uuid = r.run_uuid AND ${name}.key = ?`,
      values: [key],
    };
  });
}

/** A term of the order of runs: what is there first, for a metric then NaN, then what is not there, in either direction. */
export function runOrderTerm({ entity, key, ascending }: Order, i: number): string {
  const direction = `${ascending ? "ASC" : "DESC"} NULLS LAST`;
  if (entity === "attribute") {
    // Whatever is not null needs no word about nulls, which would keep an index from being used.
    const column = RUN_COLUMNS[key];
    return column === "r.run_uuid" ? `${column} ${ascending ? "ASC" : "DESC"}` : `${column} ${direction}`;
  }
  return entity === "metric" ? `o${i}.is_nan ASC NULLS LAST, o${i}.value ${direction}` : `o${i}.value ${direction}`;
}

function plain(sql: string): Sql {
  return { sql, values: [] };
}
