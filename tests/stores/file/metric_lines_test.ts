import { assertEquals, assertThrows } from "@std/assert";
import { MlflowError } from "../../../errors.ts";
import { distinct, latestOf, readLines, writeModelLine, writeRunLine } from "../../../stores/file/metric_lines.ts";

Deno.test("writeRunLine() writes values as Python does", () => {
  const cases: readonly [value: number, text: string][] = [
    [5, "5.0"],
    [0, "0.0"],
    [-0, "-0.0"],
    [0.1, "0.1"],
    [-1.5, "-1.5"],
    [1e-4, "0.0001"],
    [1e-5, "1e-05"],
    [1e-7, "1e-07"],
    [5e-324, "5e-324"],
    [9007199254740993, "9007199254740992.0"],
    [1e16, "1e+16"],
    [123456789012345680000, "1.2345678901234568e+20"],
    [1e300, "1e+300"],
    [NaN, "nan"],
    [Infinity, "inf"],
    [-Infinity, "-inf"],
  ];
  for (const [value, text] of cases) {
    const line = writeRunLine({ timestamp: 7, value, step: -3 });
    assertEquals(line, `7 ${text} -3`);
    const [read] = readLines(`${line}\n`, "run", "m");
    assertEquals([read.value, read.timestamp, read.step], [value, 7, -3]);
  }
});

Deno.test("readLines() reads every form of line that MLflow writes", () => {
  const at = (timestamp: number, value: number, step: number) => ({ timestamp, value, step });
  const text = "1 0.5\n2 0.5 3\n4 0.5 5 data 0f1e\n6 NaN 7\n8 Infinity 9\n";
  assertEquals(readLines(text, "run", "m"), [
    { ...at(1, 0.5, 0), runId: undefined, dataset: undefined },
    { ...at(2, 0.5, 3), runId: undefined, dataset: undefined },
    // MLflow itself takes the step of such a line for 0.
    { ...at(4, 0.5, 5), runId: undefined, dataset: { name: "data", digest: "0f1e" } },
    { ...at(6, NaN, 7), runId: undefined, dataset: undefined },
    { ...at(8, Infinity, 9), runId: undefined, dataset: undefined },
  ]);
  const dataset = { name: "data", digest: "0f1e" };
  const lines = [
    writeModelLine(at(1, 2, 3), "r1", undefined),
    writeModelLine(at(1, 2, 3), "r1", dataset),
  ];
  assertEquals(lines, ["1 2.0 3 r1", "1 2.0 3 r1 data 0f1e"]);
  assertEquals(readLines(`${lines.join("\n")}\n`, "model", "m"), [
    { ...at(1, 2, 3), runId: "r1", dataset: undefined },
    { ...at(1, 2, 3), runId: "r1", dataset },
  ]);
});

Deno.test("readLines() refuses broken lines, but not a last one that is being written", () => {
  for (const line of ["1", "1 2 3 4", "x 1 2", "1 x 2", "1 2 x", "1 2 3 4 5 6", "1  2"]) {
    assertThrows(() => readLines(`${line}\n`, "run", "loss"), MlflowError, "Metric 'loss' is malformed");
  }
  for (const part of ["2", "2 0.", "2 0.5 1"]) {
    assertEquals(readLines(`1 0.5 3\n${part}`, "run", "m").map(({ value }) => value), [0.5]);
  }
});

Deno.test("latestOf() and distinct() count as MLflow's tables do", () => {
  const lines = readLines("5 1.0 1\n4 nan 2\n4 -1.0 2\n5 1.0 1\n3 9.0 2\n4 nan 2\n", "run", "m");
  assertEquals(distinct(lines).map(({ value }) => value), [1, NaN, -1, 9]);
  assertEquals(latestOf(lines)?.value, NaN);
  assertEquals(latestOf([]), undefined);
});
