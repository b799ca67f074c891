/** Tables as Parquet files, which pandas writes and reads. The library behind it is loaded with this file. */
import { parquetMetadata, parquetReadObjects, parquetSchema } from "hyparquet";
import { parquetWriteBuffer } from "hyparquet-writer";
import { MlflowError } from "../errors.ts";

/** Rows of cells, by column. */
interface Cells {
  readonly columns: readonly string[];
  readonly data: readonly (readonly unknown[])[];
}

/** An element of Parquet's schema. Those of its children follow it. */
interface SchemaElement {
  readonly name: string;
  readonly type?: "BOOLEAN" | "INT64" | "DOUBLE" | "BYTE_ARRAY";
  readonly converted_type?: "UTF8" | "TIMESTAMP_MILLIS" | "LIST";
  readonly repetition_type?: "OPTIONAL" | "REPEATED";
  readonly num_children?: number;
}

/** What is written of some values: the elements of the schema, and each value as they want it. */
interface Written {
  readonly elements: readonly SchemaElement[];
  readonly write: (value: unknown) => unknown;
}

/** The bytes of a Parquet file. A column holds truths, numbers, texts, dates, lists or records: one of these kinds. */
export function writeParquet({ columns, data }: Cells): Uint8Array<ArrayBuffer> {
  if (columns.length === 0) throw new MlflowError("INVALID_PARAMETER_VALUE", "a Parquet file has at least one column");
  const written = columns.map((name, i) => {
    const values = data.map((row) => row[i]);
    const { elements, write } = writtenAs(name, values, name);
    return { elements, column: { name, data: values.map((value) => isNothing(value) ? null : write(value)) } };
  });
  const schema = [{ name: "schema", num_children: columns.length }, ...written.flatMap(({ elements }) => elements)];
  return new Uint8Array(parquetWriteBuffer({ columnData: written.map(({ column }) => column), schema }));
}

/** The table in the bytes of a Parquet file. Whole numbers are numbers where these hold them, and else `bigint`. */
export async function readParquet(bytes: Uint8Array<ArrayBuffer>): Promise<Cells> {
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const columns = parquetSchema(parquetMetadata(file)).children.map(({ element }) => element.name);
  const rows = await parquetReadObjects({ file });
  return { columns, data: rows.map((row) => columns.map((name) => read(row[name]))) };
}

/** @param column the column that the values are in, for what is said of wrong ones */
function writtenAs(name: string, values: readonly unknown[], column: string): Written {
  const element = { name, repetition_type: "OPTIONAL" } as const;
  const present = values.filter((value) => !isNothing(value));
  const all = (test: (value: unknown) => boolean) => present.every(test);
  const single = (
    type: SchemaElement["type"],
    write: Written["write"],
    rest: Partial<SchemaElement> = {},
  ): Written => ({
    elements: [{ ...element, type, ...rest }],
    write,
  });
  if (all((value) => typeof value === "string")) return single("BYTE_ARRAY", String, { converted_type: "UTF8" });
  if (all((value) => typeof value === "boolean")) return single("BOOLEAN", Boolean);
  if (all(isInteger)) return single("INT64", (value) => BigInt(value as number | bigint));
  if (all((value) => typeof value === "number" || typeof value === "bigint")) return single("DOUBLE", Number);
  if (all((value) => value instanceof Date)) {
    return single("INT64", (value) => value, { converted_type: "TIMESTAMP_MILLIS" });
  }
  if (all(isList)) {
    const inner = writtenAs("element", present.flatMap((list) => [...list as Iterable<unknown>]), column);
    const write = (value: unknown) => isNothing(value) ? null : inner.write(value);
    return {
      elements: [
        { ...element, converted_type: "LIST", num_children: 1 },
        { name: "list", repetition_type: "REPEATED", num_children: 1 },
        ...inner.elements,
      ],
      write: (list) => Array.from(list as Iterable<unknown>, write),
    };
  }
  const names = all(isRecord) ? [...new Set(present.flatMap((record) => Object.keys(record as object)))] : [];
  if (names.length === 0) throw mixed(column);
  const parts = names.map((part) =>
    [part, writtenAs(part, present.map((record) => (record as Record<string, unknown>)[part]), column)] as const
  );
  return {
    elements: [{ ...element, num_children: names.length }, ...parts.flatMap(([, { elements }]) => elements)],
    write: (record) =>
      Object.fromEntries(parts.map(([part, { write }]) => {
        const value = (record as Record<string, unknown>)[part];
        return [part, isNothing(value) ? null : write(value)];
      })),
  };
}

function isNothing(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}

function isInteger(value: unknown): boolean {
  return typeof value === "bigint"
    ? BigInt.asIntN(64, value) === value
    : Number.isSafeInteger(value) && !Object.is(value, -0);
}

function isList(value: unknown): boolean {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

function isRecord(value: unknown): boolean {
  return typeof value === "object" && !isList(value) && !(value instanceof Date);
}

function mixed(column: string): MlflowError {
  return new MlflowError(
    "INVALID_PARAMETER_VALUE",
    `column "${column}" holds values of several kinds, or records without fields, which a Parquet file cannot keep: ` +
      "log it to a file that ends in .json",
  );
}

function read(value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (Array.isArray(value)) return value.map(read);
  if (isNothing(value)) return null;
  if (!isRecord(value) || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, read(part)]));
}
