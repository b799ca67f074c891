import { assert, assertEquals, assertThrows } from "@std/assert";
import { MlflowError } from "../../errors.ts";
import {
  type Comparison,
  type Order,
  parseExperimentFilter,
  parseExperimentOrder,
  parseLoggedModelFilter,
  parseModelVersionFilter,
  parseModelVersionOrder,
  parseRegisteredModelFilter,
  parseRunFilter,
  parseRunOrder,
  parseRunOrders,
  readLoggedModelOrder,
} from "../../stores/filter.ts";

/** What MLflow 3.17's own parser answers: comparisons, in one of its two forms, or an error. */
interface Vector<Out> {
  readonly in: string;
  readonly out?: Out;
  readonly error_code?: string;
  /** The name of an exception of Python that MLflow did not mean to raise. */
  readonly exc?: string;
}
type Wanted = string | { type: string; key: string; comparator: string; value: unknown };

const vectors: Readonly<Record<string, readonly Vector<readonly unknown[]>[]>> = JSON.parse(
  await Deno.readTextFile(new URL("../testdata/filters.json", import.meta.url)),
);

const FILTERS: Readonly<Record<string, (filter: string) => Comparison[]>> = {
  runs: parseRunFilter,
  experiments: parseExperimentFilter,
  logged_models: parseLoggedModelFilter,
  registered_models: parseRegisteredModelFilter,
  model_versions: parseModelVersionFilter,
};

const ORDERS: Readonly<Record<string, (term: string) => Order>> = {
  runs_order_by: parseRunOrder,
  experiments_order_by: parseExperimentOrder,
  model_versions_order_by: parseModelVersionOrder,
};

/** Filters that MLflow parses and refuses later, for their comparator or key; we refuse them at once. */
const REFUSED_LATER = new Set(["params.a > 'b'", "params.a == 'b'", "params.a <> 'b'", "bogus = 'x'"]);

Deno.test("the filters of MLflow's answers are all looked at", () => {
  assertEquals(Object.keys(vectors).sort(), [...Object.keys(FILTERS), ...Object.keys(ORDERS)].sort());
});

for (const [search, parse] of Object.entries(FILTERS)) {
  for (const { in: filter, out, error_code } of vectors[search]) {
    Deno.test(`a filter of ${search} reads ${JSON.stringify(filter)} as MLflow does`, () => {
      if (out === undefined || REFUSED_LATER.has(filter)) {
        const error = assertThrows(() => parse(filter), MlflowError);
        assertEquals(error.code as string, error_code ?? "INVALID_PARAMETER_VALUE", error.message);
        return;
      }
      assertEquals(parse(filter), out.map((wanted) => wantedComparison(wanted as Wanted, search)));
    });
  }
}

for (const [search, parse] of Object.entries(ORDERS)) {
  for (const { in: term, out, error_code } of vectors[search]) {
    Deno.test(`${search} reads ${JSON.stringify(term)} as MLflow does`, () => {
      if (out === undefined) {
        assertEquals(assertThrows(() => parse(term), MlflowError).code as string, error_code!);
        return;
      }
      const { entity, key, ascending } = parse(term);
      assertEquals([entity, key, ascending] as unknown[], [...out]);
    });
  }
}

function wantedComparison(wanted: Wanted, search: string): Comparison {
  if (typeof wanted === "string") {
    // As in "Comparison(entity=attributes.model_id, op='IN', value=('a',))".
    const [, type, key, op, value] = /entity=(\w+)\.([\w.]+), op='(.+?)', value=(.*)\)$/.exec(wanted)!;
    const entity = ({ attributes: "attribute", metrics: "metric", params: "parameter", tags: "tag" } as const)[type]!;
    const texts = [...value.matchAll(/'(.*?)'/g)].map(([, text]) => text);
    return {
      entity,
      key,
      comparator: op as Comparison["comparator"],
      value: value.startsWith("(") ? texts : texts[0] ?? Number(value),
    };
  }
  const { type, key, comparator, value } = wanted;
  const number = type === "metric" || (search === "experiments" && key === "experiment_id" && !Array.isArray(value));
  return {
    entity: type as Comparison["entity"],
    key,
    comparator: comparator.toUpperCase() as Comparison["comparator"],
    value: value === null ? undefined : number ? Number(value) : value as Comparison["value"],
  };
}

Deno.test("parseRunFilter() tells how to write a key with odd characters", () => {
  const error = assertThrows(() => parseRunFilter("metrics.val-loss < 1"), MlflowError);
  assert(error.reason.includes("backticks"), error.reason);
});

Deno.test("parseRunOrders() refuses the same field twice, and datasets", () => {
  for (const terms of [["metrics.a", "metrics.a DESC"], ["created", "start_time"]]) {
    assertEquals(assertThrows(() => parseRunOrders(terms), MlflowError).code, "INTERNAL_ERROR");
  }
  assertEquals(assertThrows(() => parseRunOrders(["dataset.name"]), MlflowError).code, "INVALID_PARAMETER_VALUE");
});

Deno.test("readLoggedModelOrder() knows attributes by their short names, and metrics", () => {
  assertEquals(readLoggedModelOrder({ fieldName: "creation_time" }), {
    entity: "attribute",
    key: "creation_timestamp_ms",
    ascending: true,
  });
  assertEquals(readLoggedModelOrder({ fieldName: "metrics.a.b", ascending: false }), {
    entity: "metric",
    key: "a.b",
    ascending: false,
  });
  assertThrows(() => readLoggedModelOrder({ fieldName: "tags.a" }), MlflowError);
});
