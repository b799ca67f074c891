import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { MlflowError } from "../../../errors.ts";
import { readMeta, readMetaAsync, toExperiment, toRunInfo, writeMeta } from "../../../stores/file/meta.ts";

Deno.test("readMetaAsync() waits for a file that MLflow is writing", async () => {
  await inFolder(async (dir) => {
    const path = join(dir, "meta.yaml");
    await Deno.writeTextFile(path, "");
    const read = readMetaAsync(dir);
    await Deno.writeTextFile(path, "name: a\n");
    assertEquals(await read, { name: "a" });
    await Deno.writeTextFile(path, "");
    assertThrows(() => readMeta(dir), MlflowError, "is no YAML mapping");
    await assertRejects(() => readMetaAsync(dir), MlflowError, "is no YAML mapping");
    await Deno.remove(path);
    assertEquals([readMeta(dir), await readMetaAsync(dir)], [undefined, undefined]);
  });
});

Deno.test("writeMeta() leaves no other file, also where it fails", async () => {
  await inFolder(async (dir) => {
    writeMeta(dir, { b: "yes", a: null });
    assertEquals(await Deno.readTextFile(join(dir, "meta.yaml")), 'a: null\nb: "yes"\n');
    await Deno.mkdir(join(dir, "taken", "meta.yaml", "x"), { recursive: true });
    assertThrows(() => writeMeta(join(dir, "taken"), { a: 1 }));
    assertEquals([...Deno.readDirSync(join(dir, "taken"))].map(({ name }) => name), ["meta.yaml"]);
  });
});

Deno.test("runs and experiments of old releases are read with what they lack", () => {
  const run = { run_uuid: "r", experiment_id: 0, name: "a", source_type: 4, start_time: 5, user_id: "me" };
  assertEquals(toRunInfo("0", "r", run), {
    runId: "r",
    runName: "a",
    experimentId: "0",
    userId: "me",
    status: "RUNNING",
    startTime: 5,
    endTime: undefined,
    lifecycleStage: "active",
    artifactUri: "",
  });
  assertEquals(toExperiment("0", { experiment_id: 0, name: "Default" }, {}).creationTime, 0);
});

async function inFolder(check: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "mlflow-deno-" });
  try {
    await check(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
