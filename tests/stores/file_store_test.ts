import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { MlflowError } from "../../errors.ts";
import { FileStore } from "../../stores/file_store.ts";
import type { TrackingStore } from "../../stores/store.ts";
import { testStoreContract } from "./store_contract.ts";

testStoreContract("FileStore", openNew);

Deno.test("FileStore lays out its folder as MLflow does", async () => {
  await inFolder(async (root) => {
    await using store = await FileStore.open(root);
    const id = await store.createExperiment("flowers", { tags: { "a/b": "c" } });
    assertEquals(/^[1-9]\d{17}$/.test(id), true, id);
    const { info } = await store.createRun({ experimentId: id, runName: "no", startTime: 5, tags: { t: "1" } });
    await store.logBatch(info.runId, {
      metrics: [{ key: "m/n", value: 5, step: 2, timestamp: 7 }],
      params: [{ key: "p", value: "x" }],
    });
    const deleted = await store.createExperiment("gone");
    await store.deleteExperiment(deleted);
    assertEquals(await listAll(root), [
      `.trash/${deleted}/meta.yaml`,
      "0/meta.yaml",
      `${id}/${info.runId}/artifacts/`,
      `${id}/${info.runId}/meta.yaml`,
      `${id}/${info.runId}/metrics/m/n`,
      `${id}/${info.runId}/params/p`,
      `${id}/${info.runId}/tags/mlflow.runName`,
      `${id}/${info.runId}/tags/t`,
      `${id}/meta.yaml`,
      `${id}/tags/a/b`,
    ]);
    const read = (...path: string[]) => Deno.readTextFile(join(root, id, info.runId, ...path));
    assertEquals(await read("metrics", "m", "n"), "7 5.0 2\n");
    assertEquals(await read("params", "p"), "x");
    assertEquals(
      await read("meta.yaml"),
      [
        `artifact_uri: "${root}/${id}/${info.runId}/artifacts"`,
        "deleted_time: null",
        "end_time: null",
        'entry_point_name: ""',
        `experiment_id: "${id}"`,
        "lifecycle_stage: active",
        /^[a-z]/.test(info.runId) ? `run_id: ${info.runId}` : `run_id: "${info.runId}"`,
        'run_name: "no"',
        'source_name: ""',
        "source_type: 4",
        'source_version: ""',
        "start_time: 5",
        "status: 1",
        "tags: []",
        "user_id: unknown",
        "",
      ].join("\n"),
    );
  });
});

Deno.test("FileStore gives artifacts paths if opened by a path, and URIs if by a URI", async () => {
  await inFolder(async (root) => {
    await using byUri = await FileStore.open(`file://${root}`);
    await using byPath = await FileStore.open(root);
    assertEquals((await byPath.getExperiment("0")).artifactLocation, `file://${root}/0`);
    const id = await byPath.createExperiment("a");
    assertEquals((await byUri.getExperiment(id)).artifactLocation, `${root}/${id}`);
  });
});

Deno.test("FileStore refuses keys of which it cannot make files, and writes nothing of their batch", async () => {
  await inFolder(async (root) => {
    await using store = await FileStore.open(root);
    const { info: { runId } } = await store.createRun({ experimentId: "0" });
    await store.logBatch(runId, { metrics: [{ key: "a", value: 1 }, { key: "b/c", value: 1 }] });
    const before = await listAll(root);
    const one = (key: string) => ({ key, value: 1 });
    for (
      const [metrics, sentence] of [
        [[one("a/b")], 'the metric "a/b" beside "a": one is a file where the other needs a folder'],
        [[one("b")], 'the metric "b" beside "b/…": one is a file'],
        [[one("x"), one("x/y")], 'the metric "x/y" beside "x": one is a file'],
        [[one("損".repeat(86))], "a name between slashes may take 255 bytes"],
      ] as const
    ) {
      const params = [{ key: "p", value: "1" }];
      await assertRejects(() => store.logBatch(runId, { metrics, params }), MlflowError, sentence);
    }
    const { modelId } = await store.createLoggedModel({ experimentId: "0" });
    const withModel = await listAll(root);
    const dataset = { name: "my data", digest: "1" };
    await assertRejects(
      () => store.logBatch(runId, { metrics: [{ ...one("m"), modelId, dataset }] }),
      MlflowError,
      'of the dataset "my data" (1): neither may be empty or have spaces',
    );
    await assertRejects(
      () => store.logBatch(runId, { metrics: [{ ...one("m"), modelId: "m-none" }] }),
      MlflowError,
      "Logged model with ID 'm-none' not found.",
    );
    assertEquals(await listAll(root), withModel);
    assertEquals(withModel.filter((path) => !path.includes(modelId)), before);
  });
});

Deno.test("FileStore takes no key for a path out of its folder", async () => {
  await inFolder(async (root) => {
    await using store = await FileStore.open(root);
    const { info: { runId } } = await store.createRun({ experimentId: "0" });
    const before = await listAll(root);
    for (const key of ["../meta.yaml", "../../meta.yaml", "/etc/hostname", "", ".", "a/../mlflow.runName"]) {
      await assertRejects(() => store.deleteTag(runId, key), MlflowError, "No tag with name");
      await assertRejects(() => store.deleteExperimentTag("0", key), MlflowError, "No tag with name");
      assertEquals((await store.getMetricHistory(runId, key)).items, []);
    }
    await assertRejects(() => store.getLoggedModel("../0"), MlflowError, "not found");
    await assertRejects(() => store.getExperiment("../x"), MlflowError, "Invalid experiment ID");
    assertEquals(await listAll(root), before);
  });
});

Deno.test("FileStore leaves out what it cannot read, and says so", async () => {
  await inFolder(async (root) => {
    await using store = await FileStore.open(root);
    const { info } = await store.createRun({ experimentId: "0" });
    for (
      const [name, text] of [
        ["broken", "a: [1"],
        ["list", "- 1"],
        ["copied", await Deno.readTextFile(join(root, "0", info.runId, "meta.yaml"))],
      ]
    ) {
      await Deno.mkdir(join(root, "0", name));
      await Deno.writeTextFile(join(root, "0", name, "meta.yaml"), text);
    }
    await Deno.mkdir(join(root, "0", "not-a-run"));
    await Deno.mkdir(join(root, "not an experiment"));
    const { warn } = console;
    const warnings: string[] = [];
    console.warn = (text) => warnings.push(text);
    try {
      assertEquals((await store.searchRuns(["0"])).items.map(({ info }) => info.runId), [info.runId]);
      assertEquals((await store.searchExperiments()).items.length, 1);
    } finally {
      console.warn = warn;
    }
    assertEquals(warnings.map((text) => /0\/(\w+)"/.exec(text)?.[1]).sort(), ["broken", "copied", "list"]);
    await assertRejects(() => store.getRun("copied"), MlflowError, "Run 'copied' metadata is in invalid state.");
  });
});

Deno.test("FileStore keeps what it does not know in the files of others", async () => {
  await inFolder(async (root) => {
    await using store = await FileStore.open(root);
    const id = await store.createExperiment("a");
    const path = join(root, id, "meta.yaml");
    await Deno.writeTextFile(path, "workspace: default\ntrace_location: null\n", { append: true });
    await store.renameExperiment(id, "b");
    await store.deleteExperiment(id);
    await store.restoreExperiment(id);
    const text = await Deno.readTextFile(path);
    assertEquals([text.includes("workspace: default"), text.includes("trace_location: null")], [true, true]);
    assertEquals((await store.getExperiment(id)).name, "b");
  });
});

Deno.test("FileStore has written when it returns its promise", async () => {
  await inFolder(async (root) => {
    await using store = await FileStore.open(root);
    const { info } = await store.createRun({ experimentId: "0" });
    const folder = join(root, "0", info.runId);
    const promises = [
      store.logBatch(info.runId, { metrics: [{ key: "m", value: 1, timestamp: 1 }] }),
      store.updateRun(info.runId, { status: "FINISHED" }),
    ];
    assertEquals(Deno.readTextFileSync(join(folder, "metrics", "m")), "1 1.0 0\n");
    assertEquals(Deno.readTextFileSync(join(folder, "meta.yaml")).includes("status: 3"), true);
    await Promise.all(promises);
  });
});

Deno.test("FileStore refuses a file where its folder should be", async () => {
  await inFolder(async (root) => {
    await Deno.writeTextFile(root, "");
    await assertRejects(() => FileStore.open(root), MlflowError, "is a file and not a folder");
    await assertRejects(() => FileStore.open(join(root, "mlruns")), MlflowError, "is a file and not a folder");
  });
});

/** A store in a new folder, which is removed with it. */
async function openNew(): Promise<TrackingStore> {
  const dir = await Deno.makeTempDir({ prefix: "mlflow-deno-" });
  const store = await FileStore.open(join(dir, "mlruns"));
  return Object.assign(store, {
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  });
}

async function inFolder(check: (root: string) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
  try {
    await check(join(dir, "mlruns"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** The paths of all files below a folder, and of empty folders with a slash at the end. */
async function listAll(root: string, below = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(root, below))) {
    const path = below === "" ? name : `${below}/${name}`;
    const inner = isDirectory ? await listAll(root, path) : [];
    found.push(...(inner.length > 0 ? inner : [isDirectory ? `${path}/` : path]));
  }
  return found.filter((path) => !/\/(metrics|params)\/$/.test(path)).sort();
}
