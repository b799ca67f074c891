import { assertEquals, assertThrows } from "@std/assert";
import { filter } from "../filter.ts";
import { parseLoggedModelFilter, parseRunFilter } from "../stores/filter.ts";

const HARMLESS = [
  "a",
  "",
  "it's",
  'say "hi"',
  "' AND",
  "a\\b",
  "%_[]*?",
  "é🌷損失",
  "a\nb",
  "AND",
  "1",
  "`x`",
  "a;b",
  "--",
];

Deno.test("filter`` quotes texts so that the parser reads them back", () => {
  for (const text of HARMLESS) {
    const comparisons = parseRunFilter(filter`params.a = ${text} AND tags.b LIKE ${text} AND metrics.c < ${1}`);
    assertEquals(comparisons.map(({ value }) => value), [text, text, 1]);
  }
});

Deno.test("filter`` quotes lists so that the parser reads any text back", () => {
  for (const text of [...HARMLESS, `both ' and "`, "end\\", "\\n", "'", '"', "\r\0", "),("]) {
    const [inside, after] = parseRunFilter(filter`run_id IN ${[text, "b"]} AND dataset.name NOT IN ${[text]}`);
    assertEquals([inside.value, after.value], [[text, "b"], [text]]);
    assertEquals(parseLoggedModelFilter(filter`params.a IN ${[text]}`)[0].value, [text]);
  }
});

Deno.test("filter`` writes numbers as the parser reads them", () => {
  for (const number of [0, -1, 0.5, -0.25, 1e21, 1.5e300, 5e-324, -1e-7, 2 ** 53, 1664067852747]) {
    assertEquals(parseRunFilter(filter`metrics.a >= ${number}`)[0].value, number);
  }
  assertEquals(filter`start_time > ${1664067852747n}`, "start_time > 1664067852747");
});

Deno.test("filter`` refuses what the grammar cannot write", () => {
  assertThrows(() => filter`params.a = ${`both ' and "`}`, TypeError, "both kinds of quotes");
  assertThrows(() => filter`params.a = ${"C:\\data\\"}`, TypeError, "backslash at its end");
  for (const number of [NaN, Infinity, -Infinity]) {
    assertThrows(() => filter`metrics.a = ${number}`, RangeError, "finite numbers");
  }
  assertThrows(() => filter`run_id IN ${[]}`, RangeError, "empty list");
  for (const value of [null, undefined, true, {}, [1]]) {
    // deno-lint-ignore no-explicit-any -- what the types forbid still comes from JavaScript
    assertThrows(() => filter`params.a = ${value as any}`, TypeError, "it must be a string");
  }
});
