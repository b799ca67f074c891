import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { dirname } from "@std/path";
import { MlflowError } from "../errors.ts";
import { random } from "../random.ts";

/** How long a statement may hold up the program while it waits for another process's lock, in milliseconds. */
const BUSY_TIMEOUT = 100;
/** How long a transaction is tried again, without holding up the program, in milliseconds. */
const LOCK_PATIENCE = 60_000;

/** How long the switch to WAL is tried, in milliseconds. */
const WAL_PATIENCE = 2_000;

/** A row as node:sqlite gives it. */
export type Row = Record<string, SQLInputValue>;
/** The values of a row in the order of the query's columns. */
export type Cells = readonly SQLInputValue[];

/** Deno's types do not name what its statements can do. */
type ListingStatement = StatementSync & { setReturnArrays(enabled: boolean): void };

/** An SQLite file opened for many writers: WAL, prepared statements, transactions that wait their turn. */
export class SqliteDatabase {
  readonly path: string;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #cellStatements = new Map<string, ListingStatement>();

  private constructor(path: string, database: DatabaseSync) {
    this.path = path;
    this.#database = database;
  }

  /** Opens the file, making it and the folder it is in where they are missing. */
  static async open(path: string): Promise<SqliteDatabase> {
    let database: SqliteDatabase | undefined;
    try {
      if (path !== ":memory:" && dirname(path) !== ".") await Deno.mkdir(dirname(path), { recursive: true });
      database = new SqliteDatabase(path, new DatabaseSync(path));
      // MLflow's own connections keep foreign keys on. NORMAL loses nothing on a crash of the process. What a statement
      // of many rows needs for its own undoing would go to a temporary file each time. Of a large file, as much as
      // searches and writes look at again and again stays in memory: 64 MiB where it has so much.
      database.#database.exec(
        `PRAGMA busy_timeout = ${BUSY_TIMEOUT}; PRAGMA foreign_keys = ON; PRAGMA synchronous = NORMAL; ` +
          "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536",
      );
      await database.#useWal();
      return database;
    } catch (error) {
      database?.close();
      throw openError(path, translate(error));
    }
  }

  /**
   * Lets writers and readers go on side by side. A file system without shared memory keeps the mode it has, and so
   * does a file that somebody else holds open for long: both are slower under many writers, and right.
   */
  async #useWal(): Promise<void> {
    try {
      await this.#patiently(() => this.#database.exec("PRAGMA journal_mode = WAL"), WAL_PATIENCE);
    } catch (error) {
      if (!isLocked(error)) throw error;
    }
  }

  /** The first row of the query's result. */
  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return translated(() => this.#prepare(sql).get(...values) as Row | undefined);
  }

  /** All rows of the query's result. */
  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return translated(() => this.#prepare(sql).all(...values) as Row[]);
  }

  /** All rows of the query's result as lists, which take half the time of objects. */
  cells(sql: string, ...values: SQLInputValue[]): Cells[] {
    return translated(() => {
      let statement = this.#cellStatements.get(sql);
      if (statement === undefined) {
        statement = this.#database.prepare(sql) as ListingStatement;
        statement.setReturnArrays(true);
        this.#cellStatements.set(sql, statement);
      }
      return statement.all(...values) as unknown as Cells[];
    });
  }

  /** Runs a statement and gives the number of rows changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return translated(() => Number(this.#prepare(sql).run(...values).changes));
  }

  /** Runs statements that take no values. */
  exec(sql: string): void {
    translated(() => this.#database.exec(sql));
  }

  /**
   * Runs `work`, which only reads, on the file as it is at one moment; while another process holds the file to itself
   * it waits as `write` does.
   */
  async read<T>(work: () => T): Promise<T> {
    return await this.#patiently(() => this.#transaction("BEGIN", work));
  }

  /**
   * Runs `work` in one transaction that holds the write lock from its start: all of it is done or none of it.
   *
   * Without another writer it has run before the promise is returned, so that a value logged just before the program
   * ends is there. With one it waits without holding up the program, and `work` may run again.
   */
  async write<T>(work: () => T): Promise<T> {
    return await this.#patiently(() => this.#transaction("BEGIN IMMEDIATE", work));
  }

  /** Closes the file. */
  close(): void {
    this.#statements.clear();
    this.#cellStatements.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #transaction<T>(begin: string, work: () => T): T {
    this.#prepare(begin).run();
    try {
      const result = work();
      this.#prepare("COMMIT").run();
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#prepare("ROLLBACK").run();
      throw error;
    }
  }

  async #patiently<T>(work: () => T, patience: number = LOCK_PATIENCE): Promise<T> {
    const start = Date.now();
    while (true) {
      try {
        return work();
      } catch (error) {
        if (!isLocked(error) || Date.now() - start > patience) throw translate(error);
        await new Promise((resolve) => setTimeout(resolve, 5 + random() * 45));
      }
    }
  }
}

function translated<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw translate(error);
  }
}

/** SQLite's own texts of the result codes that are told apart here. */
const RESULT_TEXTS: readonly (readonly [number, string])[] = [
  [5, "database is locked"],
  [6, "database table is locked"],
  [8, "attempt to write a readonly database"],
  [11, "database disk image is malformed"],
  [13, "database or disk is full"],
  [14, "unable to open database file"],
  [26, "file is not a database"],
];

/** SQLite's primary result code, such as 5 for "locked". */
function resultCode(error: unknown): number | undefined {
  const { code, errcode, message } = (error ?? {}) as { code?: unknown; errcode?: unknown; message?: unknown };
  if (typeof errcode === "number") return errcode & 0xff;
  // Deno's errors of opening and of exec() carry no number.
  if (code !== "ERR_SQLITE_ERROR") return undefined;
  return RESULT_TEXTS.find(([, text]) => String(message).startsWith(text))?.[0];
}

function isLocked(error: unknown): boolean {
  const code = resultCode(error instanceof MlflowError ? error.cause : error);
  return code === 5 || code === 6;
}

function translate(error: unknown): unknown {
  const code = resultCode(error);
  if (code === undefined || !(error instanceof Error)) return error;
  switch (code) {
    case 5:
    case 6:
      return new MlflowError("TEMPORARILY_UNAVAILABLE", "the database is locked by another process", { cause: error });
    case 8:
      return new MlflowError("PERMISSION_DENIED", "the database is read-only; make its file and folder writable", {
        cause: error,
      });
    case 13:
      return new MlflowError("TEMPORARILY_UNAVAILABLE", "the disk or the database is full; nothing was written", {
        cause: error,
      });
    case 11:
    case 26:
      return new MlflowError("DATA_LOSS", `the file is not an intact SQLite database: ${error.message}`, {
        cause: error,
      });
    case 19:
      // What MLflow answers where a row would be doubled or belong to nothing.
      return new MlflowError("BAD_REQUEST", error.message, { cause: error });
    default:
      return new MlflowError("INTERNAL_ERROR", error.message, { cause: error });
  }
}

function openError(path: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (error instanceof Deno.errors.NotCapable) {
    const reason = "Deno has not allowed it; SQLite needs --allow-read and --allow-write for the file's folder";
    return new MlflowError("PERMISSION_DENIED", `${reason} (${error.message})`, { cause: error });
  }
  const cannotOpen = resultCode(error.cause) === 14;
  if (error instanceof MlflowError && !cannotOpen) return error;
  // SQLite says no more than "unable to open database file", whatever keeps it from it.
  const reason = `the file or its folder "${dirname(path)}" cannot be opened for writing: `;
  return new MlflowError("PERMISSION_DENIED", reason + (error instanceof MlflowError ? error.reason : error.message), {
    cause: error,
  });
}
