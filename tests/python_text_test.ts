import { assertEquals } from "@std/assert";
import { pythonText } from "../python_text.ts";
import { mlflowTest } from "./support/mlflow.ts";

const NUMBERS = [
  ...[0, 1, -1, 10, 255, 1e5, 123456789, 2 ** 31, 2 ** 53, 1e15, 1e16, 1e20, 123456789012345680000],
  ...[0.1, 0.5, -0.25, 1.5, 3.14159, 1 / 3, 0.1 + 0.2, 100.5, 1e5 + 0.5, 1234567.891, 9007199254740991.5, 1.0000000001],
  ...[0.001, 0.0001, 0.00012345, 0.00011, 0.0000999, 1e-4, 1e-5, 1.5e-5, 1e-6, 1e-7, 1.25e-7, 1e-10, 1e-100, 5e-324],
  ...[1e21, 1.5e21, 1e22, 1.7976931348623157e308, -1e-5, -1.5e-9, 2.5e-8, 6.02e23, NaN, Infinity, -Infinity],
];

const TEXTS = [
  ...[
    "",
    "a",
    "None",
    "it's",
    'say "hi"',
    `both ' and "`,
    "a\\b",
    "\\",
    "tab\t",
    "line\nnext",
    "cr\r",
    "nul\0",
    "\x07",
  ],
  ...["\x1b[0m", "\x7f", "é", "ß", "日本語", "🌷", "👩‍🚀", "\u0080", "\u0085", "\u00a0", "\u00ad", "\u00ff", "\u0100"],
  ...["\u200b", "\u200d", "\u2028", "\u2029", "\u202e", "\u3000", "\ufeff", "\ufffd", "\ue000", "\uffff", "\u{10ffff}"],
  ...[
    "\u{e0001}",
    "\u{f0000}",
    "e\u0301",
    "\u0378",
    " lead",
    "trail ",
    "a'b\"c\\d\ne",
    "'",
    '"',
    "''",
    "\\'",
    "{}",
    "%s",
  ],
];

const VALUES: readonly unknown[] = [
  ...NUMBERS,
  ...TEXTS,
  ...TEXTS.map((text) => [text]),
  ...NUMBERS.map((number) => ({ n: number })),
  ...[true, false, null, [], {}, [[]], [{}], [null, true, false], { a: null, b: true }],
  ...[[1, "a", 0.5, [2, [3]]], { "a b": { c: [1, { d: "e" }] } }, { "": "" }, { "it's": "it's" }, { "1": 1 }],
  ...[[1e-5, "1e-05"], [64, 64, 3], ["relu", null], { lr: 1e-4, betas: [0.9, 0.999], name: "adam" }],
];

mlflowTest(`pythonText() writes ${VALUES.length} values as Python's str() does`, async (mlflow) => {
  const texts = await mlflow.python<string[]>(
    `
    def whole(value):
        """JSON's numbers are JavaScript's: a whole one is Python's int where JavaScript writes it without exponent."""
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1e21:
            return float(value)
        if isinstance(value, list):
            return [whole(v) for v in value]
        if isinstance(value, dict):
            return {k: whole(v) for k, v in value.items()}
        return value

    result = [str(whole(value)) for value in args]
    `,
    VALUES,
  );
  assertEquals(VALUES.map(pythonText), texts);
});

Deno.test("pythonText() writes what only JavaScript has as what is nearest in Python", () => {
  const cases: readonly (readonly [unknown, string])[] = [
    [undefined, "None"],
    [[undefined], "[None]"],
    [-0, "-0.0"],
    [12345678901234567890n, "12345678901234567890"],
    [new Float32Array([0.5, 1]), "[0.5, 1]"],
    [new Set([1, "a"]), "{1, 'a'}"],
    [new Set(), "set()"],
    [new Map<unknown, unknown>([[1, "a"], ["b", null]]), "{1: 'a', 'b': None}"],
    [new Date(0), "1970-01-01T00:00:00.000Z"],
    [new URL("https://example.com/a"), "https://example.com/a"],
    [/a+/g, "/a+/g"],
    [function relu() {}, "relu"],
    [Symbol("s"), "Symbol(s)"],
    [["\ud800"], "['\\ud800']"],
  ];
  for (const [value, text] of cases) assertEquals(pythonText(value), text);
});

Deno.test("pythonText() ends also for a value that holds itself", () => {
  const list: unknown[] = [1];
  list.push(list, { list });
  assertEquals(pythonText(list), "[1, [...], {'list': [...]}]");
  const dictionary: Record<string, unknown> = {};
  dictionary.self = dictionary;
  assertEquals(pythonText(dictionary), "{'self': {...}}");
  // The same value twice is no such thing.
  const twice = [1];
  assertEquals(pythonText([twice, twice]), "[[1], [1]]");
});
