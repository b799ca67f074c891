import type { SQLInputValue } from "node:sqlite";
import type { Comparison } from "./filter.ts";
import type { SqliteDatabase } from "./sqlite_database.ts";
import {
  comparisonsByKey,
  inExperiments,
  isBound,
  isByTime,
  isInIndex,
  isOfKey,
  isOfRun,
  join,
  joined,
  type KeyOrder,
  metricOrText,
  RUN_TABLES,
  runCondition,
  runOrderJoins,
  runOrderTerm,
  runQuery,
  type RunSearch,
  runsThatMeet,
  type Sql,
  stage,
} from "./sqlite_query.ts";
import { OWN_INDEXES } from "./sqlite_schema.ts";

/** So many runs, or rows about them, are looked at one by one in a few milliseconds. */
const FEW = 5_000;

/**
 * The ids of the runs that a search finds, in its order.
 *
 * SQLite has no statistics of a file that nobody has analysed, and none can be put there beside MLflow. So where there
 * are many runs, this looks at how many a comparison finds, and says what to begin with: with these runs if they are
 * few, and else with the first of the order, which an index gives one by one. That keeps a page of a search among
 * 100,000 runs below 50 ms where MLflow's own query would look at each of them.
 *
 * @param few how many runs are few. @default {5_000}
 */
export function findRuns(
  db: SqliteDatabase,
  experimentIds: readonly bigint[],
  search: RunSearch,
  limit: number,
  offset: number,
  few: number = FEW,
): string[] {
  const finder = new RunFinder(db, experimentIds, few);
  return hasOwnIndexes(db) && finder.hasMany()
    ? finder.find(search, limit, offset)
    : finder.page(runQuery(experimentIds, search), limit, offset);
}

function hasOwnIndexes(db: SqliteDatabase): boolean {
  // A file that MLflow has made has none of them; all queries go without, only slower.
  const names = JSON.stringify(Object.keys(OWN_INDEXES));
  const row = db.get("SELECT COUNT(*) AS n FROM sqlite_master WHERE name IN (SELECT value FROM json_each(?))", names);
  return Number(row!.n) === Object.keys(OWN_INDEXES).length;
}

/** Finds runs among many. */
class RunFinder {
  readonly #db: SqliteDatabase;
  readonly #experimentIds: readonly bigint[];
  readonly #few: number;

  constructor(db: SqliteDatabase, experimentIds: readonly bigint[], few: number) {
    this.#db = db;
    this.#experimentIds = experimentIds;
    this.#few = few;
  }

  hasMany(): boolean {
    const { sql, values } = inExperiments("experiment_id", this.#experimentIds);
    const rows = this.#db.cells(`SELECT COUNT(*) FROM (SELECT 1 FROM runs WHERE ${sql} LIMIT ?)`, ...values, this.#few);
    return Number(rows[0][0]) === this.#few;
  }

  page({ sql, values }: Sql, limit: number, offset: number): string[] {
    return this.#db.cells(`${sql} LIMIT ? OFFSET ?`, ...values, limit, offset).map(([id]) => String(id));
  }

  find(search: RunSearch, limit: number, offset: number): string[] {
    const first = this.#rarest(search);
    if (first !== undefined) return this.page(runQuery(this.#experimentIds, search, { first }), limit, offset);
    return this.#inOrder(search, limit, offset);
  }

  /** The ids that the comparisons of a key find which find the fewest; undefined where none find few. */
  #rarest({ filter, orders: [order] }: RunSearch): Sql | undefined {
    let fewest = this.#few;
    let ids: SQLInputValue | undefined;
    const look = ({ sql, values }: Sql) => {
      const query = `SELECT COUNT(*), json_group_array(run_uuid) FROM (${sql} LIMIT ?)`;
      const [[count, found]] = this.#db.cells(query, ...values, fewest);
      if (Number(count) >= fewest) return;
      fewest = Number(count);
      ids = found;
    };
    for (const comparisons of comparisonsByKey(filter)) {
      // An index for the order begins where these say.
      if (isOfKey(order) ? isBound(comparisons[0], order) : isByTime(order) && isByTime(comparisons[0])) continue;
      look(runsThatMeet(comparisons));
    }
    // Equal values have their runs in one order, in which SQLite merges them.
    const equal = filter.filter((comparison) => comparison.comparator === "=" && isInIndex(comparison));
    if (ids === undefined && equal.length > 1) {
      look(joined(equal.map((comparison) => runsThatMeet([comparison])), " INTERSECT "));
    }
    return ids === undefined ? undefined : { sql: "SELECT value FROM json_each(?)", values: [ids] };
  }

  /** Finds what many runs meet, beginning with the first of the order. */
  #inOrder(search: RunSearch, limit: number, offset: number): string[] {
    const [order] = search.orders;
    if (isOfKey(order)) return this.#byKey(search, order, limit + offset).slice(offset);
    if (isByTime(order)) return this.page(runQuery(this.#experimentIds, search), limit, offset);
    return this.#sorted(search, limit, offset) ?? this.page(this.#sortedQuery(search), limit, offset);
  }

  /**
   * Of an order that no index gives: sorts more runs than are wanted, and looks up in other tables what the filter says
   * of the first of them only. Gives undefined where these are too few, or there is nothing to look up.
   */
  #sorted(search: RunSearch, limit: number, offset: number): string[] | undefined {
    const lookups = [
      ...search.filter.filter((comparison) => !isOfRun(comparison)).map(runCondition),
      ...search.conditions,
    ];
    if (lookups.length === 0) return undefined;
    const wanted = limit + offset;
    const sorted = runQuery(this.#experimentIds, {
      ...search,
      filter: search.filter.filter(isOfRun),
      conditions: [],
    });
    const ids = this.page(sorted, 16 * wanted, 0);
    const found: string[] = [];
    for (let done = 0, size = 4 * wanted; done < ids.length && found.length < wanted; done += size, size *= 2) {
      const query = join(
        { sql: "SELECT r.run_uuid FROM json_each(?) l ", values: [JSON.stringify(ids.slice(done, done + size))] },
        "CROSS JOIN runs r ON r.run_uuid = l.value WHERE ",
        joined(lookups, " AND "),
        " ORDER BY l.key",
      );
      found.push(...this.page(query, wanted - found.length, 0));
    }
    return found.length === wanted || ids.length < 16 * wanted ? found.slice(offset) : undefined;
  }

  #sortedQuery(search: RunSearch): Sql {
    // It comes near the order in which the runs lie in the file; another index would make SQLite jump to and fro.
    return runQuery(this.#experimentIds, search, { index: "mlflow_deno_runs_by_start" });
  }

  /** The first runs of an order that begins with a key: those with values, one value after the other, and the rest. */
  #byKey(search: RunSearch, order: KeyOrder, limit: number): string[] {
    const walk = new ValueWalk(order, search.filter);
    const rest = { ...search, filter: walk.filter, orders: search.orders.slice(1) };
    const found: string[] = [];
    const add = (condition: Sql) => {
      const conditions = [...search.conditions, condition];
      found.push(...this.#inOrder({ ...rest, conditions }, limit - found.length, 0));
    };
    for (const group of walk.groups) {
      let rows: Sql | undefined = group;
      let last: SQLInputValue | undefined;
      while (rows !== undefined && found.length < limit) {
        const value = this.#valueAt(walk, rows, 0);
        if (value === undefined) break;
        // Of a text with a zero byte, node:sqlite reads the beginning, behind which the walk would never come.
        if (value === last) return this.page(runQuery(this.#experimentIds, search), limit, 0);
        last = value;
        const next = this.#valueAt(walk, rows, this.#few);
        if (next === value) {
          // Too many runs have this value to be sorted by the rest of the order.
          add(walk.hasRow(walk.at("=", value, group)));
          rows = walk.at("after", value, group);
        } else {
          const few = next === undefined ? rows : walk.at("before", next, rows);
          found.push(...this.page(this.#walkQuery(walk, few, rest), limit - found.length, 0));
          rows = next === undefined ? undefined : walk.at("from", next, group);
        }
      }
    }
    if (found.length < limit && walk.takesRest) add(join("NOT ", walk.hasRow(joined(walk.groups, " OR "))));
    return found;
  }

  /** The value at a place of the walk through these rows; undefined behind its end. */
  #valueAt(walk: ValueWalk, rows: Sql, place: number): SQLInputValue | undefined {
    const { sql, values } = join(`SELECT o.value FROM ${walk.table} o WHERE `, walk.of(rows), walk.order);
    return this.#db.cells(`${sql} LIMIT 1 OFFSET ?`, ...values, place)[0]?.[0];
  }

  /** The query for the runs of these rows, in the order of their values and then of the search. */
  #walkQuery(walk: ValueWalk, rows: Sql, { filter, conditions, orders, viewType }: RunSearch): Sql {
    return join(
      `SELECT r.run_uuid FROM ${walk.table} o CROSS JOIN runs r ON r.run_uuid = o.run_uuid`,
      joined(runOrderJoins(orders), ""),
      " WHERE ",
      joined(
        [
          walk.of(rows),
          inExperiments("+r.experiment_id", this.#experimentIds),
          stage("r.lifecycle_stage", viewType),
          ...filter.map(runCondition),
          ...conditions,
        ],
        " AND ",
      ),
      walk.order,
      ...orders.map((order, i) => `, ${runOrderTerm(order, i)}`),
    );
  }
}

/** The rows of a metric, param or tag in the order of their values, as an own index has them. */
class ValueWalk {
  /** The table of the rows, `o` in all that follows. */
  readonly table: string;
  /** What the walk leaves of the filter for the runs. */
  readonly filter: readonly Comparison[];
  /** The rows that are walked through one after the other: the numbers of a metric, and then what is NaN. */
  readonly groups: readonly Sql[];
  /** Whether runs without a row come after those that have one. */
  readonly takesRest: boolean;
  /** The order of the rows. */
  readonly order: string;
  readonly #order: KeyOrder;
  readonly #bounds: readonly Sql[];

  constructor(order: KeyOrder, filter: readonly Comparison[]) {
    const bounds = filter.filter((comparison) => isBound(comparison, order));
    this.table = RUN_TABLES[order.entity];
    this.filter = filter.filter((comparison) => !isBound(comparison, order));
    this.groups = (order.entity === "metric" ? ["o.is_nan = 0", "o.is_nan = 1"] : ["o.value IS NOT NULL"])
      .map((sql) => ({ sql, values: [] }));
    this.takesRest = bounds.length === 0;
    this.order = ` ORDER BY o.value ${order.ascending ? "ASC" : "DESC"}`;
    this.#order = order;
    this.#bounds = bounds.map((comparison) => metricOrText("o", comparison));
  }

  /** The condition on those of the rows that the walk goes through. */
  of(rows: Sql): Sql {
    return joined([{ sql: "o.key = ?", values: [this.#order.key] }, rows, ...this.#bounds], " AND ");
  }

  /** Those of the rows that stand at, before or after a value, or from it on. */
  at(place: "=" | "before" | "after" | "from", value: SQLInputValue, rows: Sql): Sql {
    const [before, after] = this.#order.ascending ? ["<", ">"] : [">", "<"];
    const comparator = { "=": "=", before, after, from: `${after}=` }[place];
    return join(rows, { sql: ` AND o.value ${comparator} ?`, values: [value] });
  }

  /** The condition that the run `r` has one of the rows. */
  hasRow(rows: Sql): Sql {
    const has = {
      sql: `EXISTS (SELECT 1 FROM ${this.table} o WHERE o.run_uuid = r.run_uuid AND o.key = ? AND (`,
      values: [this.#order.key],
    };
    return join(has, rows, "))");
  }
}
