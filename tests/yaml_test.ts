import { assertEquals, assertThrows } from "@std/assert";
import { mlflowTest } from "./support/mlflow.ts";
import { readYaml, writeYaml } from "../yaml.ts";
import { MlflowClient } from "../client.ts";
import { join } from "@std/path";

const WORDS = [
  ...[
    "y",
    "Y",
    "yes",
    "Yes",
    "YES",
    "n",
    "N",
    "no",
    "No",
    "NO",
    "on",
    "On",
    "ON",
    "off",
    "Off",
    "true",
    "True",
    "TRUE",
  ],
  ...[
    "false",
    "False",
    "null",
    "Null",
    "NULL",
    "~",
    "nan",
    ".nan",
    ".NaN",
    ".inf",
    "-.inf",
    ".Inf",
    "inf",
    "None",
    "none",
  ],
];
const NUMBER_LIKE = [
  ...["0", "1", "-1", "+1", "01", "017", "0o17", "0x1F", "0b101", "1_000", "1.0", "1.", ".5", "1e5", "1E5", "1.0e5"],
  ...[
    "1.0e+5",
    "1e+5",
    "-1.5e-3",
    "1:30",
    "1:30:15",
    "190:20:30",
    "1:30.5",
    "12e03",
    "0.",
    "0x",
    "0b",
    "08",
    "09",
    "_1",
    "1_",
  ],
  ...["2001-12-14", "2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43.10 -5", "2001-1-1", "12:00", "1,000", "1 000"],
];
const PUNCTUATION = [
  ...[
    "",
    " ",
    "  ",
    " a",
    "a ",
    " a ",
    "\t",
    "a\tb",
    "\ta",
    "-",
    "- a",
    "--",
    "---",
    "...",
    "?",
    "? a",
    ":",
    ": a",
    "a:",
  ],
  ...[
    "a: b",
    "a :b",
    "a:b",
    "#",
    "# a",
    "a #b",
    "a#b",
    "#a",
    "&a",
    "*a",
    "!a",
    "!!str a",
    "|",
    ">",
    "|-",
    "%",
    "%YAML",
    "@a",
  ],
  ...[
    "`a`",
    "'",
    '"',
    "'a'",
    '"a"',
    "it's",
    'a"b',
    "a'b",
    "{",
    "}",
    "{a: b}",
    "[",
    "]",
    "[a]",
    ",",
    "a,b",
    "a, b",
    "<<",
    "=",
  ],
  ...[
    "\\",
    "\\n",
    "a\\b",
    "/",
    "/a",
    "a/b",
    "a/",
    ".",
    "..",
    "./a",
    "_",
    "_a",
    "a.b",
    "a-b",
    "-a",
    "+a",
    "a+",
    "$a",
    "(a)",
    "*",
  ],
];
const LINES = [
  "\n",
  "\n\n",
  "a\n",
  "\na",
  "a\nb",
  "a\n\nb\n",
  " a\n b",
  "a\n b",
  "a \nb",
  "\r",
  "\r\n",
  "a\rb",
  "a\n# b",
];
const UNICODE = [
  ...[
    "é",
    "日本",
    "🌷",
    "👩‍🚀",
    "\u0085",
    "a\u0085b",
    "\u00a0",
    "\u00a0a",
    "\u2028",
    "a\u2029b",
    "\ufeff",
    "\ufeffa",
    "\u200b",
  ],
  ...["\x7f", "\x80", "\x9f", "\x01", "\x1b", "\ufffd", "\ue000", "e\u0301", "\u202e", "\u3000", "\x0b", "\x0c", "\0"],
];
const LONG = ["a ".repeat(500) + "b", "a".repeat(5000), ("word ".repeat(30) + "\n").repeat(20), "é ".repeat(200)];
const TEXTS = [...WORDS, ...NUMBER_LIKE, ...PUNCTUATION, ...LINES, ...UNICODE, ...LONG];
const NUMBERS = [
  ...[0, 1, -1, 0.1, -0.5, 1e5, 1e15, 1e16, 1e20, 1e21, 1.5e21, 1e-4, 1e-5, 1.5e-5, 1e-7, 1e22, 1e100, 5e-324, 2 ** 53],
  ...[NaN, Infinity, -Infinity, 1.7976931348623157e308, 123456.789, 64, 0.30000000000000004, -1e-9, -1e21],
];

const valueOf = (texts: readonly string[]) => ({
  texts,
  keys: Object.fromEntries(texts.map((text, i) => [text, i])),
  nested: Object.fromEntries(texts.map((text, i) => [`k${i}`, { [text]: [text, [text], { [text]: text }] }])),
  numbers: NUMBERS,
  others: [true, false, null, [], {}, [[]], [{}], [[1], [[2]]], { a: [], b: {} }, [{ a: 1, b: [2] }, { c: null }]],
});
const VALUE = valueOf(TEXTS);

mlflowTest(
  `YAML goes to PyYAML and back: ${TEXTS.length} texts as values and keys, ${NUMBERS.length} numbers`,
  async (mlflow) => {
    await using python = mlflow.interpreter();
    const read = await python.run<typeof VALUE>("import yaml; result = yaml.safe_load(args)", writeYaml(VALUE));
    assertEquals(read.texts, VALUE.texts);
    assertEquals(read.numbers, VALUE.numbers);
    assertEquals(read, VALUE);
    assertEquals(await python.run("result = yaml.safe_load(args)", writeYaml(VALUE, { sortKeys: true })), VALUE);

    // What PyYAML writes, in MLflow's manner and in others. It folds text at line breaks that only YAML 1.1 knows.
    const value = valueOf(TEXTS.filter((text) => !/[\x85\u2028\u2029]/.test(text)));
    const written = await python.run<string[]>(
      `
    result = [
        yaml.safe_dump(args, default_flow_style=False, allow_unicode=True, sort_keys=True),
        yaml.safe_dump(args),
        yaml.safe_dump(args, default_flow_style=True),
        yaml.safe_dump(args, default_style='"'),
    ]`,
      value,
    );
    for (const yaml of written.slice(0, 3)) {
      const ours = readYaml(yaml) as typeof value;
      assertEquals(ours.texts, value.texts);
      assertEquals(ours.numbers, value.numbers);
      assertEquals(ours, value);
    }
    assertEquals((readYaml(written[3]) as typeof value).texts, value.texts);
  },
);

mlflowTest("logDict() writes JSON and YAML that Python reads, NaN and infinities too", async (mlflow) => {
  const client = new MlflowClient("sqlite:///:memory:");
  const experimentId = await client.createExperiment(mlflow.dir, { artifactLocation: join(mlflow.dir, "a") });
  const { info } = await client.createRun({ experimentId });
  const value = {
    nan: NaN,
    list: [Infinity, -Infinity, 0.1, 1e-7],
    text: 'NaN "\u0001 Infinity $& \u2028',
    deep: { no: "no", "1:30": "1:30" },
    empty: {},
  };
  for (const file of ["d.json", "d.yaml", "d.yml", "no_extension"]) await client.logDict(info.runId, value, file);
  await client.logDict(info.runId, { big: 12345678901234567890n, stand: "\u00010\u0001", nan: NaN }, "big.json");
  const read = await mlflow.python(
    `
    import json, yaml
    texts = [open(args + "/" + name, encoding="utf-8").read() for name in ("d.json", "no_extension", "d.yaml", "d.yml")]
    big = json.load(open(args + "/big.json"))
    result = [[json.loads(t) for t in texts[:2]] + [yaml.safe_load(t) for t in texts[2:]], [str(big["big"]), big["stand"], big["nan"]],
              list(yaml.safe_load(texts[2]))]
    `,
    info.artifactUri,
  );
  assertEquals(read, [
    [value, value, value, value],
    ["12345678901234567890", "\u00010\u0001", NaN],
    Object.keys(value).sort(),
  ]);
});

Deno.test("writeYaml() is in block style, keys in the order given or sorted", () => {
  assertEquals(writeYaml({ b: [1, { c: "x" }], a: "no" }), 'b:\n  - 1\n  - c: x\na: "no"\n');
  assertEquals(writeYaml({ b: 1, a: { d: 1, c: 2 } }, { sortKeys: true }), "a:\n  c: 2\n  d: 1\nb: 1\n");
  const shared = { x: 1 };
  assertEquals(writeYaml([shared, shared]), "- x: 1\n- x: 1\n");
});

Deno.test("readYaml() tells where broken text is broken", () => {
  for (const text of ["a: [1", "a: b: c", "\t- x", "a: 'x", "*x"]) {
    const error = assertThrows(() => readYaml(text));
    assertEquals(/\(\d+:\d+\)/.test(error.message), true, error.message);
  }
});
