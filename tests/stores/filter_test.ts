import { assert, assertEquals, assertThrows } from "@std/assert";
import { MlflowError } from "../../errors.ts";
import { parseRunFilter, parseRunOrder } from "../../stores/filter.ts";

/** What MLflow 3.17's own parser answers. */
interface Vector<Out> {
  readonly in: string;
  readonly out?: Out;
  readonly error_code?: string;
}
interface Vectors {
  readonly runs: readonly Vector<readonly { type: string; key: string; comparator: string; value: unknown }[]>[];
  readonly runs_order_by: readonly Vector<readonly [string, string, boolean]>[];
}

const vectors: Vectors = JSON.parse(
  await Deno.readTextFile(new URL("../testdata/run_filters.json", import.meta.url)),
);

/** Filters that MLflow parses and refuses later, for their comparator; we refuse them at once with the same code. */
const REFUSED_LATER = new Set(["params.a > 'b'", "params.a == 'b'", "params.a <> 'b'"]);

for (const { in: filter, out, error_code } of vectors.runs) {
  Deno.test(`parseRunFilter() reads ${JSON.stringify(filter)} as MLflow does`, () => {
    if (out === undefined || REFUSED_LATER.has(filter)) {
      const error = assertThrows(() => parseRunFilter(filter), MlflowError);
      assertEquals(error.code as string, error_code ?? "INVALID_PARAMETER_VALUE", error.message);
      return;
    }
    const wanted = out.map(({ type, key, comparator, value }) => ({
      entity: type,
      key,
      comparator: comparator.toUpperCase(),
      value: value === null ? undefined : type === "metric" ? Number(value) : value,
    }));
    assertEquals(JSON.parse(JSON.stringify(parseRunFilter(filter))), JSON.parse(JSON.stringify(wanted)));
  });
}

for (const { in: term, out, error_code } of vectors.runs_order_by) {
  Deno.test(`parseRunOrder() reads ${JSON.stringify(term)} as MLflow does`, () => {
    if (out === undefined) {
      assertEquals(assertThrows(() => parseRunOrder(term), MlflowError).code as string, error_code!);
      return;
    }
    const { entity, key, ascending } = parseRunOrder(term);
    assertEquals([entity, key, ascending], [...out] as [typeof entity, string, boolean]);
  });
}

Deno.test("parseRunFilter() tells how to write a key with odd characters", () => {
  const error = assertThrows(() => parseRunFilter("metrics.val-loss < 1"), MlflowError);
  assert(error.reason.includes("backticks"), error.reason);
});
