/** What the registry of a folder does beside what the contract asks of it. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { FileStore } from "../../../stores/file_store.ts";

function test(name: string, check: (store: FileStore, folder: string) => Promise<void>): void {
  Deno.test(`FileRegistry ${name}`, async () => {
    const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
    try {
      await using store = await FileStore.open(join(dir, "mlruns"));
      await check(store, join(dir, "mlruns"));
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

test("lays out its folder as MLflow does", async (store, folder) => {
  const { registry } = store;
  await registry.createRegisteredModel({ name: "digits", tags: { "a/b": "c" }, description: "good" });
  await registry.createModelVersion({ name: "digits", source: "s3://bucket/model", tags: { t: "v" } }, store);
  await registry.createModelVersion({ name: "digits", source: "s3://bucket/model" }, store);
  await registry.setRegisteredModelAlias("digits", "champion", 1);
  await registry.deleteModelVersion("digits", 2);
  const read = (...path: string[]) =>
    Deno.readTextFileSync(join(folder, "models", "digits", ...path)).replace(/\d{13}/g, "<now>");
  assertEquals(read("tags", "a", "b"), "c");
  assertEquals(read("aliases", "champion"), "1");
  assertEquals(read("version-1", "tags", "t"), "v");
  assertEquals(
    read("meta.yaml"),
    "aliases: {}\ncreation_timestamp: <now>\ndeployment_job_id: null\ndeployment_job_state: null\ndescription: good\n" +
      "last_updated_timestamp: <now>\nname: digits\nworkspace: default\n",
  );
  assertEquals(
    read("version-2", "meta.yaml"),
    "creation_timestamp: <now>\ncurrent_stage: Deleted_Internal\ndeployment_job_state: null\ndescription: null\n" +
      "last_updated_timestamp: <now>\nmodel_id: null\nname: digits\nrun_id: null\nrun_link: null\n" +
      'source: "s3://bucket/model"\nstatus: READY\nstatus_message: null\nstorage_location: "s3://bucket/model"\n' +
      "user_id: null\nversion: 2\nworkspace: default\n",
  );
});

test("leaves out of searches what it cannot read, and says so", async (store, folder) => {
  const { registry } = store;
  for (const name of ["broken", "empty", "whole"]) await registry.createRegisteredModel({ name });
  await registry.createModelVersion({ name: "broken", source: "s3://bucket/model" }, store);
  await registry.createModelVersion({ name: "whole", source: "s3://bucket/model" }, store);
  Deno.writeTextFileSync(join(folder, "models", "broken", "meta.yaml"), "- no\n- mapping\n");
  Deno.writeTextFileSync(join(folder, "models", "broken", "version-1", "meta.yaml"), "- no\n- mapping\n");
  Deno.removeSync(join(folder, "models", "empty", "meta.yaml"));
  Deno.mkdirSync(join(folder, "models", "whole", "version-x"));
  const { warn } = console;
  const warnings: string[] = [];
  console.warn = (text) => warnings.push(String(text));
  try {
    assertEquals((await registry.searchRegisteredModels()).items.map(({ name }) => name), ["whole"]);
    assertEquals((await registry.searchModelVersions()).items.map(({ name }) => name), ["whole"]);
  } finally {
    console.warn = warn;
  }
  assertEquals(warnings.length, 2);
  assert(warnings.every((text) => text.includes("no YAML mapping; it is left out")), warnings[0]);
});

test("numbers versions that several programs make at once", async (store) => {
  await store.registry.createRegisteredModel({ name: "digits" });
  const code = `
    const { FileStore } = await import(${
    JSON.stringify(new URL("../../../stores/file_store.ts", import.meta.url).href)
  });
    const store = await FileStore.open(${JSON.stringify(store.uri)});
    for (let i = 0; i < 10; i++) await store.registry.createModelVersion({ name: "digits", source: "s3://b/m" }, store);
  `;
  const programs = Array.from({ length: 3 }, () =>
    new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-check", "--config", new URL("../../../deno.json", import.meta.url).pathname, code],
    }).output());
  for (const { success, stderr } of await Promise.all(programs)) {
    assert(success, new TextDecoder().decode(stderr));
  }
  const { items } = await store.registry.searchModelVersions({ orderBy: ["version_number"] });
  assertEquals(items.map(({ version }) => version), Array.from({ length: 30 }, (_, i) => i + 1));
});
