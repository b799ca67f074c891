import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { join } from "@std/path";
import { MlflowClient } from "../../client.ts";
import { MlflowError } from "../../errors.ts";
import { SqliteDatabase } from "../../stores/sqlite_database.ts";
import { SqliteStore } from "../../stores/sqlite_store.ts";
import { cleanEnv } from "../support/clean_env.ts";
import { gatedTest } from "../support/gate.ts";
import { mlflowTest } from "../support/mlflow.ts";
import { testStoreContract } from "./store_contract.ts";

testStoreContract("SqliteStore", () => SqliteStore.open("sqlite:///:memory:"));

const STORE = new URL("../../stores/sqlite_store.ts", import.meta.url);
const CONFIG = new URL("../../deno.json", import.meta.url);

async function inFolder(check: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
  try {
    await check(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const test = (name: string, check: (dir: string) => Promise<void>) => Deno.test(name, () => inFolder(check));

/** The whole message with which a store is not opened. */
async function refusal(uri: string): Promise<string> {
  return (await assertRejects(() => SqliteStore.open(uri), MlflowError)).message;
}

/** Starts a program that has `SqliteStore`, `uri` and `say(text)`; `next()` reads a line of what it says. */
function program(dir: string, code: string, options: { flags?: string[]; uri?: string } = {}) {
  const { flags = ["-A"], uri = `sqlite:///${join(dir, "mlflow.db")}` } = options;
  const file = Deno.makeTempFileSync({ dir, suffix: ".ts" });
  Deno.writeTextFileSync(
    file,
    `import { SqliteStore } from ${JSON.stringify(STORE.href)};
     import { DatabaseSync } from "node:sqlite";
     const uri = ${JSON.stringify(uri)};
     const path = ${JSON.stringify(join(dir, "mlflow.db"))};
     const say = (text) => console.log(text);
     ${code}`,
  );
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", ...flags, "--no-check", "--no-prompt", "--config", CONFIG.pathname, file],
    cwd: dir,
    env: cleanEnv(),
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const lines = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const stderr = new Response(process.stderr).text();
  let buffer = "";
  return {
    process,
    async next(): Promise<string | undefined> {
      while (!buffer.includes("\n")) {
        const { done, value } = await lines.read();
        if (done) return undefined;
        buffer += value;
      }
      const [line, ...rest] = buffer.split("\n");
      buffer = rest.join("\n");
      return line;
    },
    async ended(): Promise<{ code: number; stderr: string }> {
      while (await this.next() !== undefined);
      return { code: (await process.status).code, stderr: await stderr };
    },
  };
}

const URI_RULE = "a SQLite URI reads sqlite:///relative/path.db, sqlite:////absolute/path.db or sqlite:///:memory:";
for (
  const uri of ["sqlite:", "sqlite:/x.db", "sqlite://x.db", "sqlite:///", "sqlite:///x.db?mode=ro", "sqlite:///x#y"]
) {
  Deno.test(`SqliteStore.open() refuses ${uri}`, async () => {
    assertEquals(await refusal(uri), `Cannot open tracking store "${uri}": ${URI_RULE} (INVALID_PARAMETER_VALUE)`);
  });
}

for (const uri of ["ftp://x", "postgresql://u:pw@h/d", "sqlite+x:///a"]) {
  Deno.test(`MlflowClient refuses the tracking URI ${JSON.stringify(uri)}`, async () => {
    const error = await assertRejects(() => new MlflowClient(uri).getRun("f".repeat(32)), MlflowError);
    assertEquals(
      error.message,
      `Cannot open tracking store "${uri.replace("u:pw@", "")}": the scheme must be one of http, https, sqlite ` +
        "(sqlite:///mlflow.db), file (file:./mlruns), memory (memory:) (INVALID_PARAMETER_VALUE)",
    );
  });
}

test("SqliteStore.open() makes the file and its folders, wherever the URI says", async (dir) => {
  const cwd = Deno.cwd();
  Deno.chdir(dir);
  try {
    for (
      const [uri, file] of [
        ["sqlite:///a.db", "a.db"],
        ["sqlite:///./b/c/d.db", "b/c/d.db"],
        [`sqlite:///${dir}/e.db`, "e.db"],
        ["sqlite:///ä %20.db", "ä %20.db"],
      ]
    ) {
      await using store = await SqliteStore.open(uri);
      assertEquals((await store.getExperiment("0")).artifactLocation, join(dir, "mlruns", "0"));
      assert((await Deno.stat(join(dir, file))).isFile);
    }
    await using memory = await SqliteStore.open("sqlite:///:memory:");
    assertEquals((await memory.getExperiment("0")).name, "Default");
    // A relative URI stays what it was when it was first used.
    const client = new MlflowClient("sqlite:///rel.db");
    Deno.chdir(join(dir, "b"));
    const id = await client.createExperiment("x");
    assertEquals((await new MlflowClient(`sqlite:///${dir}/rel.db`).getExperiment(id)).name, "x");
  } finally {
    Deno.chdir(cwd);
  }
});

test("SqliteStore.open() refuses what is no tracking database, and leaves it as it was", async (dir) => {
  const path = join(dir, "x.db");
  const uri = `sqlite:///${path}`;
  const action = `Cannot open tracking store "${uri}"`;

  await Deno.writeTextFile(path, "This is a text and no database. ".repeat(50));
  assertEquals(
    await refusal(uri),
    `${action}: the file is not an intact SQLite database: file is not a database (DATA_LOSS)`,
  );
  assertStringIncludes(await Deno.readTextFile(path), "This is a text");
  await Deno.remove(path);

  const other = new DatabaseSync(path);
  other.exec("CREATE TABLE customers (id INTEGER); CREATE TABLE orders (id INTEGER); INSERT INTO orders VALUES (1)");
  other.close();
  assertEquals(
    await refusal(uri),
    `${action}: the file is a database of something else: there is no table "experiments", found customers, orders; give a ` +
      "new file or one made by MLflow (INVALID_STATE)",
  );
  const again = new DatabaseSync(path);
  again.exec("CREATE TABLE experiments (experiment_id INTEGER, name TEXT)");
  assertEquals(again.prepare("SELECT name FROM sqlite_master ORDER BY name").all().map(({ name }) => name), [
    "customers",
    "experiments",
    "orders",
  ]);
  again.close();
  assertEquals(
    await refusal(uri),
    `${action}: the file is a database of something else: table "experiments" has no column "artifact_location", ` +
      '"lifecycle_stage", "creation_time", "last_update_time", found customers, experiments, orders; give a new file or ' +
      "one made by MLflow (INVALID_STATE)",
  );
  await Deno.remove(path);

  await Deno.mkdir(path);
  assertEquals(
    await refusal(uri),
    `${action}: the file or its folder "${dir}" cannot be opened for writing: unable to open database file: ` +
      `${path} (PERMISSION_DENIED)`,
  );
  await Deno.writeTextFile(join(dir, "file"), "");
  assertStringIncludes(
    await refusal(`sqlite:///${dir}/file/x.db`),
    `Cannot open tracking store "sqlite:///${dir}/file/x.db": the file or its folder "${dir}/file" cannot be opened for ` +
      "writing: ",
  );
});

test("SqliteStore refuses a truncated database", async (dir) => {
  const path = join(dir, "x.db");
  const uri = `sqlite:///${path}`;
  await (await SqliteStore.open(uri))[Symbol.asyncDispose]();
  const { size } = await Deno.stat(path);
  for (const length of [100, 4096, Math.floor(size / 2)]) {
    const copy = join(dir, `${length}.db`);
    await Deno.copyFile(path, copy);
    await Deno.truncate(copy, length);
    const error = await assertRejects(async () => {
      await using store = await SqliteStore.open(`sqlite:///${copy}`);
      await store.createRun({ experimentId: "0" });
    }, MlflowError);
    assertEquals(error.code, "DATA_LOSS", error.message);
    assertStringIncludes(error.message, "the file is not an intact SQLite database: ");
  }
});

gatedTest({
  name: "SqliteStore.open() says that a folder cannot be written to",
  missing: Deno.build.os === "linux" ? undefined : "no /proc here",
  fn: async () => {
    const message = await refusal("sqlite:////proc/mlflow.db");
    assertEquals(
      message,
      'Cannot open tracking store "sqlite:////proc/mlflow.db": the file or its folder "/proc" cannot be opened for ' +
        "writing: unable to open database file: /proc/mlflow.db (PERMISSION_DENIED)",
    );
    assertStringIncludes(
      await refusal("sqlite:////proc/a/b/mlflow.db"),
      'Cannot open tracking store "sqlite:////proc/a/b/mlflow.db": the file or its folder "/proc/a/b" cannot be opened ' +
        "for writing: ",
    );
  },
});

/** Why no program can be run as a user without rights here. */
function cannotDropRights(): string | undefined {
  if (Deno.uid() !== 0) return undefined;
  try {
    new Deno.Command("setpriv", { args: ["--version"], stdout: "null", stderr: "null" }).outputSync();
  } catch {
    return "no setpriv to drop the rights of root with";
  }
}

gatedTest({
  name: "SqliteStore says that a file or its folder is read-only",
  missing: cannotDropRights(),
  fn: () =>
    inFolder(async (dir) => {
      const uri = `sqlite:///${join(dir, "mlflow.db")}`;
      await (await SqliteStore.open(uri))[Symbol.asyncDispose]();
      await Deno.chmod(dir, 0o555);
      const messages = async (path: string) => {
        const code = `import { SqliteStore } from ${JSON.stringify(STORE.href)};
          try {
            const store = await SqliteStore.open(${JSON.stringify(`sqlite:///${path}`)});
            await store.createRun({ experimentId: "0" });
          } catch (error) { console.log(error.message); }`;
        const args = ["eval", "--no-check", `--config=${CONFIG.pathname}`, code];
        const root = Deno.uid() === 0;
        const { stdout, stderr } = await new Deno.Command(root ? "setpriv" : Deno.execPath(), {
          args: root
            ? ["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", Deno.execPath(), ...args]
            : args,
          cwd: "/",
          env: { ...cleanEnv(), DENO_DIR: join(dir, "none"), DENO_NO_UPDATE_CHECK: "1" },
          clearEnv: true,
          stdin: "null",
        }).output();
        return new TextDecoder().decode(stdout).trim() || new TextDecoder().decode(stderr);
      };
      try {
        assertEquals(
          await messages(join(dir, "new.db")),
          `Cannot open tracking store "sqlite:///${dir}/new.db": the file or its folder "${dir}" cannot be opened for ` +
            `writing: unable to open database file: ${dir}/new.db (PERMISSION_DENIED)`,
        );
        assertEquals(
          await messages(join(dir, "mlflow.db")),
          `Cannot open tracking store "sqlite:///${dir}/mlflow.db": the database is read-only; make its file and folder ` +
            "writable (PERMISSION_DENIED)",
        );
      } finally {
        await Deno.chmod(dir, 0o755);
      }
    }),
});

test("SqliteStore tells an MLflow 2.x database how to be brought up", async (dir) => {
  const path = join(dir, "old.db");
  const database = new DatabaseSync(path);
  database.exec(`
    CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
    INSERT INTO alembic_version VALUES ('0584bdc529eb');
    CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name VARCHAR(256), artifact_location VARCHAR(256),
      lifecycle_stage VARCHAR(32), creation_time BIGINT, last_update_time BIGINT);
    CREATE TABLE inputs (input_uuid VARCHAR(36), source_type VARCHAR(36), source_id VARCHAR(36),
      destination_type VARCHAR(36), destination_id VARCHAR(36));`);
  database.close();
  assertEquals(
    await refusal(`sqlite:///${path}`),
    `Cannot open tracking store "sqlite:///${path}": the database is at revision 0584bdc529eb, made by an MLflow before ` +
      `3.1; bring it up with \`mlflow db upgrade sqlite:///${path}\` (INVALID_STATE)`,
  );
});

test("SqliteStore works on a database of an unknown, newer revision, and says so once", async (dir) => {
  const path = join(dir, "new.db");
  const uri = `sqlite:///${path}`;
  await (await SqliteStore.open(uri))[Symbol.asyncDispose]();
  const database = new DatabaseSync(path);
  database.exec("UPDATE alembic_version SET version_num = 'ffffffffffff'; ALTER TABLE runs ADD COLUMN color TEXT");
  database.close();
  const { warn } = console;
  const warnings: string[] = [];
  console.warn = (text: string) => warnings.push(text);
  try {
    const client = new MlflowClient(uri);
    const { info } = await client.createRun({ experimentId: "0" });
    await client.logMetric(info.runId, "m", 1);
    assertEquals((await new MlflowClient(uri).getRun(info.runId)).data.metrics, { m: 1 });
  } finally {
    console.warn = warn;
  }
  assertEquals(warnings, [
    `${path} is at revision ffffffffffff, which is not one that this version of the library knows (they end with MLflow ` +
    "3.17); its experiments and runs look as expected, and work goes on",
  ]);
});

test("SqliteDatabase.write() leaves nothing half-written on a full disk, and goes on once there is room", async (dir) => {
  const database = await SqliteDatabase.open(join(dir, "x.db"));
  database.exec("CREATE TABLE t (x TEXT)");
  const pages = Number(database.get("PRAGMA page_count")!.page_count);
  database.exec(`PRAGMA max_page_count = ${pages + 2}`);
  const fill = () =>
    database.write(() => {
      for (let i = 0; i < 100; i++) database.run("INSERT INTO t (x) VALUES (?)", "x".repeat(1000));
    });
  const error = await assertRejects(fill, MlflowError);
  assertEquals(error.message, "the disk or the database is full; nothing was written (TEMPORARILY_UNAVAILABLE)");
  assertEquals(database.get("SELECT count(*) AS n FROM t")!.n, 0);
  database.exec("PRAGMA max_page_count = 100000");
  await fill();
  assertEquals(database.get("SELECT count(*) AS n FROM t")!.n, 100);
  database.close();
});

/** Why no small disk can be made here. */
function cannotMount(): string | undefined {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "only root can mount a small disk";
  const dir = Deno.makeTempDirSync();
  try {
    const mount = { args: ["-t", "tmpfs", "-o", "size=64k", "tmpfs", dir], stderr: "null" as const };
    if (!new Deno.Command("mount", mount).outputSync().success) return "this machine lets nobody mount a small disk";
    new Deno.Command("umount", { args: [dir] }).outputSync();
  } catch {
    return "no mount here";
  } finally {
    Deno.removeSync(dir);
  }
}

// CI too may be a machine that forbids it; the test before holds the same on any.
const noMount = cannotMount();
Deno.test({
  name: `SqliteStore loses nothing on a disk that is full for a time${noMount ? ` (ignored: ${noMount})` : ""}`,
  ignore: noMount !== undefined,
  fn: async () => {
    const dir = await Deno.makeTempDir();
    await new Deno.Command("mount", { args: ["-t", "tmpfs", "-o", "size=1m", "tmpfs", dir] }).output();
    try {
      await using store = await SqliteStore.open(`sqlite:///${dir}/mlflow.db`);
      const { info } = await store.createRun({ experimentId: "0" });
      const batch = (from: number) => ({
        metrics: Array.from({ length: 500 }, (_, i) => ({ key: "m", value: i, step: from + i, timestamp: 1 })),
      });
      await Deno.writeFile(join(dir, "filler"), new Uint8Array(100_000));
      let written = 0;
      let error: unknown;
      while (error === undefined && written < 100_000) {
        try {
          await store.logBatch(info.runId, batch(written));
          written += 500;
        } catch (thrown) {
          error = thrown;
        }
      }
      assert(error instanceof MlflowError);
      assertEquals(error.message, "the disk or the database is full; nothing was written (TEMPORARILY_UNAVAILABLE)");
      const count = async () => (await store.getMetricHistory(info.runId, "m", { maxResults: 50_000 })).items.length;
      assertEquals(await count(), written);
      await Deno.remove(join(dir, "filler"));
      await store.logBatch(info.runId, { metrics: [{ key: "m", value: 1, step: written, timestamp: 1 }] });
      assertEquals(await count(), written + 1);
    } finally {
      await new Deno.Command("umount", { args: [dir] }).output();
      await Deno.remove(dir);
    }
  },
});

test("SqliteStore waits for a lock without holding up the program", async (dir) => {
  await using store = await SqliteStore.open(`sqlite:///${join(dir, "mlflow.db")}`);
  const { info } = await store.createRun({ experimentId: "0" });
  const holder = program(
    dir,
    `const db = new DatabaseSync(path);
     db.exec("BEGIN IMMEDIATE");
     say("held");
     await new Promise((resolve) => setTimeout(resolve, 1500));
     db.exec("COMMIT");
     say("free");`,
  );
  assertEquals(await holder.next(), "held");
  const start = performance.now();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 10);
  const writing = store.logBatch(info.runId, { metrics: [{ key: "m", value: 1 }] });
  // What only reads does not wait.
  assertEquals((await store.getRun(info.runId)).data.metrics, {});
  assert(performance.now() - start < 1000, "a read waited for the writer");
  await writing;
  clearInterval(timer);
  assert(performance.now() - start > 500, "the lock was not there");
  assert(ticks >= 5, `the program was held up: ${ticks} ticks`);
  assertEquals((await store.getRun(info.runId)).data.metrics, { m: 1 });
  assertEquals((await holder.ended()).code, 0);
});

test("SqliteStore.open() makes one database, however many processes are first", async (dir) => {
  const code = `
    const store = await SqliteStore.open(uri);
    const { info } = await store.createRun({ experimentId: "0" });
    await store.logBatch(info.runId, { metrics: [{ key: "m", value: 1 }] });
    say(info.runId);`;
  const programs = Array.from({ length: 4 }, () => program(dir, code));
  const ids = await Promise.all(programs.map((one) => one.next()));
  for (const one of programs) assertEquals(await one.ended(), { code: 0, stderr: "" });
  await using store = await SqliteStore.open(`sqlite:///${join(dir, "mlflow.db")}`);
  for (const id of ids) assertEquals((await store.getRun(id!)).data.metrics, { m: 1 });
  assertEquals((await store.searchExperiments()).items.length, 1);
});

test("SqliteStore keeps all that it acknowledged before its process is killed", async (dir) => {
  const writer = program(
    dir,
    `const store = await SqliteStore.open(uri);
     const { info } = await store.createRun({ experimentId: "0" });
     say(info.runId);
     for (let step = 0;; step++) {
       await store.logBatch(info.runId, { metrics: [{ key: "m", value: step, step, timestamp: 1 }] });
       say(step);
     }`,
  );
  const runId = (await writer.next())!;
  let acknowledged = -1;
  for (let line = await writer.next(); line !== undefined; line = await writer.next()) {
    acknowledged = Number(line);
    if (acknowledged === 200) writer.process.kill("SIGKILL");
  }
  await writer.ended();
  await using store = await SqliteStore.open(`sqlite:///${join(dir, "mlflow.db")}`);
  const steps = (await store.getMetricHistory(runId, "m")).items.map(({ step }) => step);
  assert(acknowledged >= 200);
  assertEquals(steps.slice(0, acknowledged + 1), Array.from({ length: acknowledged + 1 }, (_, i) => i));
  // It is not more than one that was written and not yet acknowledged.
  assert(steps.length <= acknowledged + 2);
});

mlflowTest("SqliteStore works on a file in rollback-journal mode that Python holds open", async (mlflow) => {
  const path = join(mlflow.dir, "mlflow.db");
  await (await SqliteStore.open(`sqlite:///${path}`))[Symbol.asyncDispose]();
  await using python = mlflow.interpreter();
  await python.run(
    `
    import sqlite3
    db = sqlite3.connect(args, isolation_level=None)
    db.execute("PRAGMA journal_mode = DELETE")
    db.execute("BEGIN")
    db.execute("SELECT count(*) FROM runs").fetchone()
    `,
    path,
  );
  // The open transaction keeps the mode as it is.
  await using store = await SqliteStore.open(`sqlite:///${path}`);
  assertEquals(await python.run(`result = db.execute("PRAGMA journal_mode").fetchone()[0]`), "delete");
  const creating = store.createRun({ experimentId: "0" });
  await python.run(`db.execute("COMMIT")`);
  const { info } = await creating;
  // In this mode a writer keeps readers out; they wait.
  await python.run(`db.execute("BEGIN EXCLUSIVE")`);
  const reading = store.getRun(info.runId);
  const freed = python.run(`import time; time.sleep(0.4); db.execute("COMMIT")`);
  assertEquals((await reading).info.runId, info.runId);
  await freed;
});

/** What a database looks like to a program that uses it, in an order that does not depend on how it was made. */
const LOOK = `
import sqlite3
def look(path):
    db = sqlite3.connect(path)
    names = [r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")]
    tables = {}
    for name in names:
        indexes = []
        for _, index, unique, origin, partial in db.execute(f"PRAGMA index_list('{name}')"):
            # Searches of large files need a few more; no migration of MLflow's knows of them.
            if index.startswith("mlflow_deno_"): continue
            columns = [r[1:] for r in db.execute(f"PRAGMA index_xinfo('{index}')")]
            # Indexes that SQLite made for a constraint carry numbers in the order of the constraints.
            indexes.append([None if index.startswith("sqlite_") else index, unique, origin, partial, columns])
        tables[name] = {
            "columns": [list(r) for r in db.execute(f"PRAGMA table_xinfo('{name}')")],
            "indexes": sorted(indexes, key=str),
            "foreign_keys": sorted([list(r[2:]) for r in db.execute(f"PRAGMA foreign_key_list('{name}')")], key=str),
        }
    others = db.execute("SELECT type, name, tbl_name FROM sqlite_master WHERE type IN ('view', 'trigger') ORDER BY name").fetchall()
    result = {"tables": tables, "others": others, "revision": db.execute("SELECT version_num FROM alembic_version").fetchall(),
              "experiments": db.execute("SELECT experiment_id, name, lifecycle_stage FROM experiments").fetchall()}
    db.close()
    return result
`;

mlflowTest(
  "SqliteStore makes the same tables as MLflow 3.1.0 itself, field by field, and a few more indexes",
  { version: "3.1.0" },
  async (mlflow) => {
    const ours = join(mlflow.dir, "ours.db");
    await (await SqliteStore.open(`sqlite:///${ours}`))[Symbol.asyncDispose]();
    // deno-lint-ignore no-explicit-any -- what SQLite's pragmas answer
    const looks = await mlflow.python<any>(
      `
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    import re
    ${LOOK.trim().replaceAll("\n", "\n    ")}
    before = look(args["ours"])
    SqlAlchemyStore("sqlite:///" + args["theirs"], args["artifacts"])
    store = SqlAlchemyStore("sqlite:///" + args["ours"], args["artifacts"])
    store.create_experiment("by Python")
    # Names and conditions of constraints are told only by the statements that made the tables.
    def constraints(path):
        db = sqlite3.connect(path)
        found = {}
        for name, sql in db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"):
            flat = re.sub(r"\\s+", " ", sql).replace('"', "")
            found[name] = sorted(re.findall(r"CONSTRAINT (\\w+) (\\w+)", flat)) + sorted(re.findall(r"CHECK \\(.*?\\)\\)?", flat))
        return found
    result = {"before": before, "after": look(args["ours"]), "theirs": look(args["theirs"]),
              "constraints": [constraints(args["ours"]), constraints(args["theirs"])]}
    `,
      { ours, theirs: join(mlflow.dir, "theirs.db"), artifacts: mlflow.dir },
    );
    const { before, after, theirs, constraints } = looks;
    assertEquals(Object.keys(before.tables), Object.keys(theirs.tables));
    assertEquals(Object.keys(before.tables).length, 23);
    for (const table of Object.keys(theirs.tables)) assertEquals(before.tables[table], theirs.tables[table], table);
    assertEquals(before, theirs);
    assertEquals(constraints[0], constraints[1]);
    // MLflow found nothing to migrate.
    assertEquals([after.tables, after.revision], [before.tables, before.revision]);
  },
);
