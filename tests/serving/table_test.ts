import { assertEquals, assertThrows } from "@std/assert";
import { MlflowError } from "../../errors.ts";
import { readCsv, readRecords, readSplit } from "../../serving/table.ts";

Deno.test("readCsv() reads quoted cells, numbers and what is missing", () => {
  const csv = `a,"b, c","d ""e"""\r\n1,-2.5e3,x\n"4","line\nbreak", true\n,NaN,"" \n\n7\n`;
  assertEquals(readCsv(csv), {
    columns: ["a", "b, c", 'd "e"'],
    rows: [[1, -2500, "x"], [4, "line\nbreak", true], [null, null, null], [7, null, null]],
  });
  assertThrows(() => readCsv(""), MlflowError, "the CSV is empty");
  assertThrows(
    () => readCsv("a,b\n1,2\n1,2,3\n"),
    MlflowError,
    "line 3 of the CSV has 3 cells, and there are 2 columns",
  );
});

Deno.test("readCsv() takes quotes as pandas does, and long cells of them", () => {
  assertEquals(readCsv('a,b\n1"2,3\n"1"2,""""\n').rows, [['1"2', 3], [12, '"']]);
  assertEquals(readCsv(`a\n"${"x".repeat(2e6)}${'""'.repeat(1e6)}"`).rows, [["x".repeat(2e6) + '"'.repeat(1e6)]]);
  assertThrows(() => readCsv('a,b\n1,"2\n3,4\n'), MlflowError, "the quotes in row 2 of the CSV have no end");
  assertThrows(() => readCsv(`a\n${'"'.repeat(1e6)}"`), MlflowError, "have no end");
});

Deno.test("readRecords() and readSplit() fill up what is missing", () => {
  assertEquals(readRecords([{ a: 1 }, { b: 2, a: 3 }]), { columns: ["a", "b"], rows: [[1, null], [3, 2]] });
  assertEquals(readRecords([[1, 2], [3]]), { columns: ["0", "1"], rows: [[1, 2], [3, null]] });
  assertEquals(readRecords([{ a: 1, toString: 2 }, { a: 3 }]).rows, [[1, 2], [3, null]]);
  assertEquals(readSplit({ data: [[1], [2, 3]] }), { columns: ["0", "1"], rows: [[1, null], [2, 3]] });
  assertEquals(readSplit({ columns: ["a", "b"], data: [[1]] }), { columns: ["a", "b"], rows: [[1, null]] });
  assertThrows(() => readRecords([{ a: 1 }, 2]), MlflowError, "dataframe_records[1] must be an object");
  assertThrows(() => readSplit({ data: [[1], 2] }), MlflowError, "dataframe_split.data[1] must be a list");
});
