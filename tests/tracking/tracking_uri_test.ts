import { join } from "@std/path";
import { assertEquals } from "@std/assert";
import { FileStore } from "../../stores/file_store.ts";
import { cleanEnv } from "../support/clean_env.ts";

const PROGRAM = `
import { getTrackingUri, MlflowClient } from "${new URL("../../mod.ts", import.meta.url)}";
try {
  console.log(getTrackingUri());
  await new MlflowClient().createExperiment("a");
} catch (error) {
  console.log(String(error));
}`;

Deno.test("getTrackingUri() asks for a decision where the file store has left runs", async () => {
  await inFolder(async (dir) => {
    await using store = await FileStore.open(join(dir, "mlruns"));
    assertEquals(await run(dir), [maintained("1 experiment")]);
    for (let i = 0; i < 12; i++) await store.createRun({ experimentId: "0" });
    assertEquals(await run(dir), [maintained("12 runs")]);
    // A decision was made.
    assertEquals(await run(dir, { MLFLOW_TRACKING_URI: "file:./mlruns" }), ["file:./mlruns"]);
    assertEquals((await store.getExperimentByName("a"))?.name, "a");
    assertEquals(await run(dir, { MLFLOW_TRACKING_URI: "sqlite:///mlflow.db" }), ["sqlite:///mlflow.db"]);
  });
});

Deno.test("getTrackingUri() takes artifacts of runs in a database for no runs", async () => {
  await inFolder(async (dir) => {
    await Deno.mkdir(join(dir, "mlruns", "1", "f".repeat(32), "artifacts", "0"), { recursive: true });
    await Deno.writeTextFile(join(dir, "mlruns", "1", "f".repeat(32), "artifacts", "0", "meta.yaml"), "a: 1\n");
    await Deno.mkdir(join(dir, "mlruns", "models"));
    await Deno.writeTextFile(join(dir, "mlruns", "models", "meta.yaml"), "a: 1\n");
    assertEquals(await run(dir), ["sqlite:///mlflow.db"]);
  });
});

Deno.test("getTrackingUri() goes on with the database where it may not look into ./mlruns", async () => {
  await inFolder(async (dir) => {
    await using _store = await FileStore.open(join(dir, "mlruns"));
    const database = `${join(dir, "mlflow.db")}*`;
    const lines = await run(dir, {}, [`--allow-read=${join(dir, "mlflow.db")}`, `--allow-write=${database}`]);
    assertEquals(lines[0], "sqlite:///mlflow.db");
  });
});

function maintained(found: string): string {
  return 'MlflowError: Cannot open tracking store "mlruns": the file store is in maintenance since MLflow 3.13; found ' +
    `${found} in ./mlruns; use "file:./mlruns" to go on with them or \`mlflow migrate-filestore\` to move them to ` +
    "sqlite:///mlflow.db (INVALID_PARAMETER_VALUE)";
}

/** Runs a program that uses the default URI in a folder, and gives what it prints. */
async function run(
  cwd: string,
  env: Readonly<Record<string, string>> = {},
  permissions: readonly string[] = ["--allow-all"],
): Promise<string[]> {
  await Deno.writeTextFile(join(cwd, "program.ts"), PROGRAM);
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--config", config, ...permissions, join(cwd, "program.ts")],
    cwd,
    clearEnv: true,
    env: { ...cleanEnv(), ...env },
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(stdout).trim();
  if (text === "") throw new Error(new TextDecoder().decode(stderr));
  return text.split("\n");
}

async function inFolder(check: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
  try {
    await check(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
