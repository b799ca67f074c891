import { posix } from "@std/path";
import { parseJson } from "./artifacts.ts";
import type { MlflowClient } from "./client.ts";
import type { RunRecord } from "./entities.ts";
import { doing, MlflowError } from "./errors.ts";
import { asPng, type ImageSource, smallCopy, takeImage, type TakenImage } from "./tracking/image_log.ts";

/**
 * A table on its way to a run: one record a row, or one list of values a column. A record of single values is one row.
 * Cells are what JSON knows, dates, and images (see `ImageSource`); a column has images in all its cells or in none.
 */
export type TableData = readonly Readonly<Record<string, unknown>>[] | Readonly<Record<string, unknown>>;

/** A table that was read. */
export interface Table {
  /** The names of its columns, in order. */
  readonly columns: readonly string[];
  /** Its rows by the names of the columns; null where a row has no value. An image is MLflow's record of its files. */
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

/** What tables are read together. */
export interface LoadTableOptions {
  /** The runs whose tables are read. @default {all of the experiment that have it} */
  readonly runIds?: readonly string[];
  /**
   * Columns that each row gets of its run: `"run_id"`, `"run_name"`, `"status"`, `"start_time"`, …, `"params.lr"`,
   * `"metrics.loss"`, `"tags.mlflow.user"`. One that the table has already is called `run_id_`, ….
   */
  readonly extraColumns?: readonly string[];
}

/** Says which files of a run are tables: MLflow's UI and `load_table` look for them there. */
const TABLES_TAG = "mlflow.loggedArtifacts";

/** Rows of cells, by column; images are taken and not written yet. */
interface Cells {
  readonly columns: readonly string[];
  readonly data: readonly (readonly unknown[])[];
}

/** A table whose images have been taken, so that they may change and tensors be disposed. */
export function takeTable(data: TableData): Cells {
  const columns = new Map<string, number>();
  const rows = Array.isArray(data) ? data as readonly Readonly<Record<string, unknown>>[] : rowsOf(data as Columns);
  for (const row of rows) {
    for (const name of Object.keys(row)) if (!columns.has(name)) columns.set(name, columns.size);
  }
  const names = [...columns.keys()];
  for (const name of names) {
    const images = rows.filter((row) => isImage(row[name])).length;
    if (images > 0 && images < rows.length) {
      throw new MlflowError(
        "INVALID_PARAMETER_VALUE",
        `Column \`${name}\` contains a mix of images and non-images. Please ensure that all elements in the column are ` +
          "of the same type.",
        { action: "Cannot log table" },
      );
    }
  }
  const take = (cell: unknown) => isImage(cell) ? new ImageCell(takeImage(cell)) : cell;
  return { columns: names, data: rows.map((row) => names.map((name) => take(row[name]))) };
}

type Columns = Readonly<Record<string, unknown>>;

function rowsOf(columns: Columns): Readonly<Record<string, unknown>>[] {
  const entries = Object.entries(columns);
  const lists = entries.filter(([, values]) =>
    Array.isArray(values) || (ArrayBuffer.isView(values) && !isImage(values))
  );
  if (lists.length === 0) return entries.length === 0 ? [] : [columns];
  const lengths = new Set(lists.map(([, values]) => (values as ArrayLike<unknown>).length));
  if (lengths.size > 1) {
    throw new MlflowError("INVALID_PARAMETER_VALUE", "All arrays must be of the same length", {
      action: "Cannot log table",
    });
  }
  const isList = new Set(lists.map(([name]) => name));
  // A single value beside lists stands in every row, as in pandas.
  return Array.from(
    { length: [...lengths][0] },
    (_, i) =>
      Object.fromEntries(entries.map(([name, values]) => [name, isList.has(name) ? (values as unknown[])[i] : values])),
  );
}

class ImageCell {
  readonly image: TakenImage;

  constructor(image: TakenImage) {
    this.image = image;
  }
}

function isImage(cell: unknown): cell is ImageSource {
  if (cell instanceof Uint8Array) return true;
  if (typeof cell !== "object" || cell === null) return false;
  const { width, height, channels, data, shape } = cell as Readonly<Record<string, unknown>>;
  if (Array.isArray(shape)) return typeof data === "function";
  return ArrayBuffer.isView(data) && [width, height, channels].every((value) => typeof value === "number");
}

/** Writes a table, behind the rows that its file has already, and the run's tag. */
export async function writeTable(
  client: MlflowClient,
  runId: string,
  table: Cells,
  artifactFile: string,
): Promise<void> {
  await doing(`Cannot log table "${artifactFile}" to run "${runId}"`, async () => {
    checkName(artifactFile);
    const cells = await writeImages(client, runId, table, artifactFile);
    const before = await exists(client, runId, artifactFile) ? await readTable(client, runId, artifactFile) : undefined;
    const all = before === undefined ? cells : concat(before, cells);
    await client.logBytes(runId, await toBytes(all, artifactFile), artifactFile);
    const { data } = await client.getRun(runId);
    const logged = parseJson(data.tags[TABLES_TAG] ?? "[]") as readonly { path?: string; type?: string }[];
    if (logged.some(({ path, type }) => path === artifactFile && type === "table")) return;
    // load_table finds runs by a part of this text: its spaces have to be Python's.
    const entries = [...logged, { path: artifactFile, type: "table" }].map((entry) =>
      `{${Object.entries(entry).map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`).join(", ")}}`
    );
    await client.setTag(runId, TABLES_TAG, `[${entries.join(", ")}]`);
  });
}

/** Reads a table of several runs. */
export async function loadTables(
  client: MlflowClient,
  experimentId: string,
  artifactFile: string,
  { runIds, extraColumns = [] }: LoadTableOptions,
): Promise<Table> {
  return await doing(`Cannot load table "${artifactFile}"`, async () => {
    checkName(artifactFile);
    const filter = [`tags.\`${TABLES_TAG}\` LIKE '%"path"%:%"${artifactFile}",%"type"%:%"table"%'`];
    if (runIds !== undefined && runIds.length > 0) {
      filter.push(`attributes.run_id IN (${runIds.map((id) => `'${id}'`).join(", ")})`);
    }
    const runs = await client.searchRuns({ experimentIds: [experimentId], filter: filter.join(" AND ") }).toArray();
    if (runs.length === 0) {
      throw new MlflowError("RESOURCE_DOES_NOT_EXIST", "No runs found with the corresponding table artifact.");
    }
    let cells: Cells | undefined;
    for (const run of runs) {
      const table = withColumns(await readTable(client, run.info.runId, artifactFile), run, extraColumns);
      cells = cells === undefined ? table : concat(cells, table);
    }
    const { columns, data } = cells!;
    return { columns, rows: data.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i]]))) };
  });
}

function checkName(artifactFile: string): void {
  const forbidden = /["',:[\]{}]/.exec(artifactFile)?.[0];
  const reason = forbidden !== undefined
    ? `The artifact_file contains forbidden character: ${forbidden}`
    : !/\.(json|parquet)$/.test(artifactFile)
    ? `Invalid artifact file path '${artifactFile}'. Please ensure the file you are trying to log as a table has a file ` +
      "name with either '.json' or '.parquet' extension."
    : undefined;
  if (reason !== undefined) throw new MlflowError("INVALID_PARAMETER_VALUE", reason);
}

async function exists(client: MlflowClient, runId: string, artifactFile: string): Promise<boolean> {
  const folder = posix.dirname(artifactFile);
  const files = await client.listArtifacts(runId, folder === "." ? "" : folder);
  return files.some(({ path, isDir }) => path === artifactFile && !isDir);
}

async function readTable(client: MlflowClient, runId: string, artifactFile: string): Promise<Cells> {
  const bytes = await client.readArtifact(runId, artifactFile);
  const wrong = (cause?: unknown) =>
    new MlflowError("DATA_LOSS", `${artifactFile} is no table of pandas's orientation "split"`, { cause });
  if (artifactFile.endsWith(".parquet")) {
    const { readParquet } = await import("./tracking/parquet.ts");
    try {
      return await readParquet(bytes);
    } catch (cause) {
      throw new MlflowError("DATA_LOSS", `${artifactFile} is no Parquet file that can be read`, { cause });
    }
  }
  let table: Partial<Cells> | null;
  try {
    table = parseJson(new TextDecoder().decode(bytes)) as Partial<Cells> | null;
  } catch (error) {
    throw wrong(error);
  }
  if (!Array.isArray(table?.columns) || !Array.isArray(table.data) || !table.data.every(Array.isArray)) throw wrong();
  return { columns: table.columns.map(String), data: table.data };
}

/** The images of a table as files of the run, and in their place MLflow's record of them. */
async function writeImages(client: MlflowClient, runId: string, table: Cells, artifactFile: string): Promise<Cells> {
  const folder = `table_images/${artifactFile.replace(/\.(json|parquet)$/, "")}`;
  const rows: unknown[][] = [];
  for (const row of table.data) {
    const cells: unknown[] = [];
    for (const cell of row) {
      if (!(cell instanceof ImageCell)) {
        cells.push(cell);
        continue;
      }
      const path = `${folder}/${crypto.randomUUID()}`;
      await client.logBytes(runId, await asPng(cell.image), `${path}.png`);
      await client.logBytes(runId, await smallCopy(cell.image), `${path}.webp`);
      cells.push({ type: "image", filepath: `${path}.png`, compressed_filepath: `${path}.webp` });
    }
    rows.push(cells);
  }
  return { columns: table.columns, data: rows };
}

function concat(first: Cells, second: Cells): Cells {
  const columns = [...new Set([...first.columns, ...second.columns])];
  const widen = (table: Cells) => {
    const places = columns.map((name) => table.columns.indexOf(name));
    return table.data.map((row) => places.map((place) => place === -1 ? null : row[place]));
  };
  return { columns, data: [...widen(first), ...widen(second)] };
}

function withColumns(table: Cells, run: RunRecord, extraColumns: readonly string[]): Cells {
  const names = extraColumns.map((name) => table.columns.includes(name) ? `${name}_` : name);
  const values = extraColumns.map((name) => columnOf(run, name));
  return { columns: [...table.columns, ...names], data: table.data.map((row) => [...row, ...values]) };
}

/** What Python's `search_runs` has in a column for a run. */
function columnOf({ info, data }: RunRecord, name: string): unknown {
  const [, kind, key] = /^(metrics|params|tags)\.(.+)$/s.exec(name) ?? [];
  if (kind !== undefined) return data[kind as "metrics" | "params" | "tags"][key] ?? null;
  const attribute = name.replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
  if (!(attribute in info)) {
    throw new MlflowError("INVALID_PARAMETER_VALUE", `a run has no column "${name}"`);
  }
  return info[attribute as keyof RunRecord["info"]] ?? null;
}

async function toBytes(cells: Cells, artifactFile: string): Promise<Uint8Array> {
  if (!artifactFile.endsWith(".parquet")) return new TextEncoder().encode(toSplit(cells));
  const { writeParquet } = await import("./tracking/parquet.ts");
  return writeParquet(cells);
}

/** What pandas writes with `orient="split"` and reads again: numbers that JSON has no word for are null. */
function toSplit({ columns, data }: Cells): string {
  return JSON.stringify({ columns, data: data.map((row) => row.map((cell) => cell ?? null)) }, (_key, value) => {
    if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    return ArrayBuffer.isView(value) ? Array.from(value as Float32Array) : value;
  });
}
