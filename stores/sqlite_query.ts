import type { SQLInputValue } from "node:sqlite";
import type { ViewType } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import { type Comparison, type Order, parseRunFilter, parseRunOrder } from "./filter.ts";
import type { StoreSearch } from "./store.ts";

/** A piece of SQL and the values of its question marks, in order. */
interface Sql {
  readonly sql: string;
  readonly values: readonly SQLInputValue[];
}

/** The query that gives the ids of the runs of these experiments that a search finds, in its order. */
export function runQuery(experimentIds: readonly number[], search: StoreSearch): Sql {
  const conditions = parseRunFilter(search.filter ?? "").map(runCondition);
  const orders = (search.orderBy ?? []).map(parseRunOrder);
  const doubled = orders.find((order, i) =>
    orders.findIndex((o) => o.entity === order.entity && o.key === order.key) < i
  );
  if (doubled !== undefined) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `\`order_by\` contains duplicate fields: ${JSON.stringify(search.orderBy)}`,
    );
  }
  const order = orders.map(runOrder);
  const named = orders.some(({ entity, key }) => entity === "attribute" && /^(start_time|created)$/i.test(key));
  const where = ["r.experiment_id IN (SELECT value FROM json_each(?))", stage("r.lifecycle_stage", search.viewType)];
  return {
    sql:
      `SELECT r.run_uuid FROM runs r WHERE ${[...where, ...conditions.map(({ sql }) => sql)].join(" AND ")} ORDER BY ` +
      [...order.map(({ sql }) => sql), ...(named ? [] : ["r.start_time DESC"]), "r.run_uuid"].join(", "),
    values: [
      JSON.stringify(experimentIds),
      ...conditions.flatMap(({ values }) => values),
      ...order.flatMap(({ values }) => values),
    ],
  };
}

/** The conditions and order of a search for experiments. Its filters come with the tracking client's whole grammar. */
export function experimentQuery(search: StoreSearch): Sql {
  if (search.filter || search.orderBy?.length) {
    throw new MlflowError(
      "NOT_IMPLEMENTED",
      "filters and orders are not supported yet; give neither, and choose among the results",
    );
  }
  return {
    sql: `WHERE ${
      stage("lifecycle_stage", search.viewType)
    } ORDER BY experiments.creation_time DESC, experiment_id DESC`,
    values: [],
  };
}

function stage(column: string, viewType: ViewType = "ACTIVE_ONLY"): string {
  switch (viewType) {
    case "ACTIVE_ONLY":
      return `${column} = 'active'`;
    case "DELETED_ONLY":
      return `${column} = 'deleted'`;
    case "ALL":
      return `${column} IN ('active', 'deleted')`;
    default:
      throw new TypeError(`viewType must be "ACTIVE_ONLY", "DELETED_ONLY" or "ALL": received "${viewType}"`);
  }
}

const ATTRIBUTE_COLUMNS: Readonly<Record<string, string>> = {
  run_id: "r.run_uuid",
  status: "r.status",
  user_id: "r.user_id",
  artifact_uri: "r.artifact_uri",
  start_time: "r.start_time",
  created: "r.start_time",
  Created: "r.start_time",
  end_time: "r.end_time",
};

function runCondition(comparison: Comparison): Sql {
  const { entity, key } = comparison;
  switch (entity) {
    case "metric": {
      const { sql, values } = compare("m.value", comparison);
      // A NaN is stored as 0: it equals nothing and is less or more than nothing.
      const test = comparison.comparator === "!=" ? `(m.is_nan = 1 OR ${sql})` : `(m.is_nan = 0 AND ${sql})`;
      return exists("latest_metrics m", "m", key, test, values);
    }
    case "parameter":
    case "tag": {
      const table = entity === "tag" ? "tags" : "params";
      if (comparison.comparator === "IS NULL") {
        const { sql, values } = exists(`${table} m`, "m", key, "1", []);
        return { sql: `NOT ${sql}`, values };
      }
      if (comparison.comparator === "IS NOT NULL") return exists(`${table} m`, "m", key, "1", []);
      const { sql, values } = compare("m.value", comparison);
      return exists(`${table} m`, "m", key, sql, values);
    }
    case "attribute": {
      const column = ATTRIBUTE_COLUMNS[key];
      if (column !== undefined) return compare(column, comparison);
      // Every other attribute that the parser lets through is a spelling of the run's name.
      const { sql, values } = compare("m.value", comparison);
      return exists("tags m", "m", "mlflow.runName", sql, values);
    }
    case "dataset": {
      const column = key === "context" ? "t.value" : key === "name" ? "d.name" : "d.digest";
      const { sql, values } = compare(column, comparison);
      return {
        sql: "EXISTS (SELECT 1 FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id LEFT JOIN input_tags t " +
          "ON t.input_uuid = i.input_uuid AND t.name = 'mlflow.data.context' WHERE i.source_type = 'DATASET' AND " +
          `i.destination_type = 'RUN' AND i.destination_id = r.run_uuid AND ${sql})`,
        values,
      };
    }
  }
}

function exists(from: string, alias: string, key: string, test: string, values: readonly SQLInputValue[]): Sql {
  return {
    sql: `EXISTS (SELECT 1 FROM ${from} WHERE ${alias}.run_uuid = r.run_uuid AND ${alias}.key = ? AND ${test})`,
    values: [key, ...values],
  };
}

function compare(column: string, { comparator, value }: Comparison): Sql {
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

function runOrder({ entity, key, ascending }: Order): Sql {
  const direction = ascending ? "ASC" : "DESC";
  const last = "NULLS LAST";
  switch (entity) {
    case "metric": {
      const select = (column: string) =>
        `(SELECT ${column} FROM latest_metrics m WHERE m.run_uuid = r.run_uuid AND m.key = ?)`;
      // Numbers first, then NaN, then runs without the metric, in either direction.
      return {
        sql: `${select("m.is_nan")} ASC ${last}, ${select("m.value")} ${direction} ${last}`,
        values: [key, key],
      };
    }
    case "parameter":
    case "tag":
      return {
        sql:
          `(SELECT m.value FROM ${
            entity === "tag" ? "tags" : "params"
          } m WHERE m.run_uuid = r.run_uuid AND m.key = ?) ` +
          `${direction} ${last}`,
        values: [key],
      };
    case "attribute":
      if (key === "run_name") return runOrder({ entity: "tag", key: "mlflow.runName", ascending });
      return { sql: `${ATTRIBUTE_COLUMNS[key]} ${direction} ${last}`, values: [] };
    case "dataset":
      throw new MlflowError("INVALID_PARAMETER_VALUE", `Invalid identifier type: dataset '${key}' cannot order runs`);
  }
}
