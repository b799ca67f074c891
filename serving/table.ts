import { MlflowError } from "../errors.ts";

/** A table as pandas would make it of a request. */
export interface Table {
  /** The names of the columns, or their numbers where they have none. */
  readonly columns: readonly string[];
  /** The rows, each with a value for each column; null where there is none. */
  readonly rows: readonly (readonly unknown[])[];
}

/** Reads `dataframe_split`: columns and data apart. */
export function readSplit(value: unknown): Table {
  if (!isRecord(value)) throw bad(`Dataframe split format must be a dictionary. Got ${typeName(value)}.`);
  const extra = Object.keys(value).filter((key) => !["columns", "data", "index"].includes(key));
  if (!("data" in value) || extra.length > 0) {
    throw bad(
      "Dataframe split format must have 'data' field and optionally 'columns' and 'index' fields. Got " +
        `{${Object.keys(value).map((key) => `'${key}'`).join(", ")}}.'`,
    );
  }
  const { columns = null, data, index = null } = value;
  const rows = readRows(data, "dataframe_split.data");
  const width = rows.reduce((most, row) => Math.max(most, row.length), 0);
  if (columns !== null && (!Array.isArray(columns) || (rows.length > 0 && width > columns.length))) {
    const found = Array.isArray(columns) ? `${columns.length}` : typeName(columns);
    throw bad(`dataframe_split.columns must name the ${width} columns of the data: found ${found}`);
  }
  if (index !== null && (!Array.isArray(index) || index.length !== rows.length)) {
    throw bad(`dataframe_split.index must name the ${rows.length} rows of the data`);
  }
  return table(columns === null ? numbers(width) : columns.map(String), rows);
}

/** Reads `dataframe_records`: an object, or a list, for each row. */
export function readRecords(value: unknown): Table {
  if (!Array.isArray(value)) {
    throw bad(`Dataframe records format must be a list of records. Got ${typeName(value)}.`);
  }
  if (!value.some(isRecord)) {
    const rows = readRows(value, "dataframe_records");
    return table(numbers(rows.reduce((most, row) => Math.max(most, row.length), 0)), rows);
  }
  const odd = value.findIndex((row) => !isRecord(row));
  if (odd >= 0) throw bad(`dataframe_records[${odd}] must be an object, as others are: found ${typeName(value[odd])}`);
  const records = value as Record<string, unknown>[];
  const columns = [...new Set(records.flatMap((record) => Object.keys(record)))];
  return {
    columns,
    rows: records.map((record) => columns.map((column) => Object.hasOwn(record, column) ? record[column] : null)),
  };
}

/** Reads CSV with a head line. Numbers become numbers, an empty cell null. */
export function readCsv(text: string): Table {
  const lines = csvCells(text).filter((cells) => cells.length > 1 || cells[0] !== "");
  if (lines.length === 0) throw bad("the CSV is empty: a line with the columns' names is wanted first");
  const [columns, ...rows] = lines;
  for (const [i, row] of rows.entries()) {
    if (row.length > columns.length) {
      throw bad(`line ${i + 2} of the CSV has ${row.length} cells, and there are ${columns.length} columns`);
    }
  }
  return table(columns, rows.map((row) => row.map(csvValue)));
}

/** The values of a column. */
export function columnOf({ columns, rows }: Table, name: string): unknown[] {
  const at = columns.indexOf(name);
  return rows.map((row) => row[at]);
}

/** Whether a value of JSON is an object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readRows(value: unknown, field: string): unknown[][] {
  if (!Array.isArray(value)) throw bad(`${field} must be a list of rows: found ${typeName(value)}`);
  const lists = value.filter(Array.isArray).length;
  if (lists === value.length) return value;
  if (lists === 0) return value.map((cell) => [cell]);
  throw bad(`${field}[${value.findIndex((row) => !Array.isArray(row))}] must be a list, as other rows are`);
}

/** As in pandas, a short row is filled up. */
function table(columns: readonly string[], rows: readonly (readonly unknown[])[]): Table {
  return { columns, rows: rows.map((row) => columns.map((_, i) => row[i] ?? null)) };
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, i) => String(i));
}

/** What stands in a cell that is not quoted, or behind the quotes. */
const PLAIN = /[^,\r\n]*/y;

/** RFC 4180: cells may be quoted, and hold commas, line ends and doubled quotes then. */
function csvCells(text: string): string[][] {
  const lines: string[][] = [[]];
  let at = 0;
  for (;;) {
    let cell = "";
    while (text[at] === '"') {
      const end = text.indexOf('"', at + 1);
      if (end < 0) throw bad(`the quotes in row ${lines.length} of the CSV have no end`);
      cell += text.slice(at + 1, end);
      at = end + 1;
      // Two quotes in quotes are one.
      if (text[at] === '"') cell += '"';
    }
    PLAIN.lastIndex = at;
    cell += PLAIN.exec(text)![0];
    at = PLAIN.lastIndex;
    lines.at(-1)!.push(cell);
    if (at === text.length) return lines;
    if (text[at] !== ",") lines.push([]);
    at += text.startsWith("\r\n", at) ? 2 : 1;
  }
}

function csvValue(cell: string): unknown {
  const text = cell.trim();
  if (text === "" || /^(nan|na|null|none)$/i.test(text)) return null;
  if (/^(true|false)$/i.test(text)) return text.toLowerCase() === "true";
  return Number.isNaN(Number(text)) ? cell : Number(text);
}

function typeName(value: unknown): string {
  if (Array.isArray(value)) return "list";
  return value === null ? "null" : isRecord(value) ? "dictionary" : typeof value;
}

function bad(reason: string): MlflowError {
  return new MlflowError("BAD_REQUEST", `Invalid input. ${reason}`);
}
