import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient } from "../client.ts";
import { MlflowError } from "../errors.ts";
import { Run } from "../run.ts";

async function newRun(uri = "sqlite:///:memory:"): Promise<Run> {
  const client = new MlflowClient(uri);
  return new Run(client, await client.createRun({ experimentId: "0" }));
}

Deno.test("Run.logMetric() keeps the order of calls that nobody waits for", async () => {
  const run = await newRun();
  for (let i = 0; i < 50; i++) void run.logParam(`p${i}`, i);
  void run.setTag("t", 1);
  void run.setTag("t", 2);
  void run.deleteTag("t");
  void run.setTag("t", 3);
  await run.end();
  const { data, info } = await run.client.getRun(run.runId);
  assertEquals([Object.keys(data.params).length, data.tags.t, info.status], [50, "3", "FINISHED"]);
});

Deno.test("Run.logMetric() stamps the time of the call, not that of the write", async () => {
  const run = await newRun();
  const { now } = Date;
  let time = 1_700_000_000_000;
  Date.now = () => time;
  try {
    const writes = [
      run.logMetric("a", 1),
      run.logMetrics({ b: 1 }),
      run.logBatch({ metrics: [{ key: "c", value: 1 }] }),
    ];
    writes.push(run.logEvaluation({ data: () => Promise.resolve([1]) }));
    time += 1000;
    await Promise.all(writes);
    const ended = run.end();
    time += 1000;
    await ended;
  } finally {
    Date.now = now;
  }
  for (const key of ["a", "b", "c", "validation_loss"]) {
    assertEquals((await run.client.getMetricHistory(run.runId, key))[0].timestamp, 1_700_000_000_000, key);
  }
  assertEquals((await run.get()).info.endTime, 1_700_000_001_000);
});

Deno.test("Run.logMetric() keeps NaN, the infinities and -0", async () => {
  await using run = await newRun();
  const values = [NaN, Infinity, -Infinity, 0, 5e-324, Number.MAX_SAFE_INTEGER];
  for (const [step, value] of values.entries()) await run.logMetric("m", value, { step, timestamp: step });
  assertEquals((await run.client.getMetricHistory(run.runId, "m")).map(({ value }) => value), values);
});

Deno.test("Run.flush() waits for all that was logged before it, whether it is written or fails", async () => {
  await using run = await newRun();
  const failing = run.logMetric("*", 1).catch((error) => error);
  void run.logMetric("m", 1);
  await run.flush();
  assertEquals((await run.client.getRun(run.runId)).data.metrics, { m: 1 });
  const error = await failing;
  assert(error instanceof MlflowError);
  assertEquals(
    error.message,
    `Cannot log metric "*" to run "${run.runId}": Invalid value "*" for parameter 'name' supplied: Names may only ` +
      "contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/). " +
      "(INVALID_PARAMETER_VALUE)",
  );
});

Deno.test("Run.end() ends once, after what was logged before", async () => {
  const run = await newRun();
  void run.logMetric("m", 1);
  await Promise.all([run.end("KILLED"), run.end("FAILED")]);
  assertEquals([run.ended, (await run.get()).info.status], [true, "KILLED"]);
  await run.end();
  assertEquals((await run.get()).info.status, "KILLED");
});

Deno.test("Run ends FAILED when its scope is left without end()", async () => {
  const client = new MlflowClient("sqlite:///:memory:");
  const ids: string[] = [];
  {
    await using left = await newRun();
    await using ended = await newRun();
    await ended.end();
    ids.push(left.runId, ended.runId);
  }
  assertEquals(await Promise.all(ids.map(async (id) => (await client.getRun(id)).info.status)), ["FAILED", "FINISHED"]);
});

Deno.test("Run.logEvaluation() names values as Keras does and wants a name for each", async () => {
  await using run = await newRun();
  await run.logEvaluation([0.5, 0.25, 0.125], ["loss", "acc", "mse"], { step: 4 });
  assertEquals((await run.get()).data.metrics, {
    validation_loss: 0.5,
    validation_accuracy: 0.25,
    validation_mse: 0.125,
  });
  const error = await assertRejects(() => run.logEvaluation([1, 2, 3]), RangeError);
  assertEquals(error.message, "Cannot log an evaluation: it has 3 values and 2 names");
});

Deno.test("Run.logArtifact() and the like write files; listArtifacts() waits for them", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const client = new MlflowClient("sqlite:///:memory:");
    const experimentId = await client.createExperiment(dir, { artifactLocation: join(dir, "kept") });
    await using run = new Run(client, await client.createRun({ experimentId }));
    await Deno.mkdir(join(dir, "from", "deep"), { recursive: true });
    await Deno.writeTextFile(join(dir, "from", "a b.txt"), "1");
    await Deno.writeTextFile(join(dir, "from", "deep", "é"), "22");
    void run.logArtifacts(join(dir, "from"), "to");
    void run.logArtifact(join(dir, "from", "a b.txt"));
    void run.logText("text", "x/y/z.txt");
    void run.logBytes(new Blob(["streamed"]).stream(), "stream.bin");
    void run.logDict({ b: 1, a: [NaN, -Infinity, "no"] }, "d.json");
    void run.logFigure(
      {
        width: 1,
        height: 1,
        toPng: () => Promise.resolve(new Uint8Array([1])),
        toSvg: () => Promise.resolve("<svg/>"),
      },
      "f.svg",
    );
    assertEquals(await run.listArtifacts(), [
      { path: "a b.txt", isDir: false, fileSize: 1 },
      { path: "d.json", isDir: false, fileSize: 59 },
      { path: "f.svg", isDir: false, fileSize: 6 },
      { path: "stream.bin", isDir: false, fileSize: 8 },
      { path: "to", isDir: true, fileSize: undefined },
      { path: "x", isDir: true, fileSize: undefined },
    ]);
    assertEquals((await run.listArtifacts("to/deep")).map(({ path }) => path), ["to/deep/é"]);
    assertEquals(
      new TextDecoder().decode(await client.readArtifact(run.runId, "d.json")),
      '{\n  "b": 1,\n  "a": [\n    NaN,\n    -Infinity,\n    "no"\n  ]\n}',
    );
    const target = await client.downloadArtifacts(run.runId, "to", join(dir, "copy"));
    assertEquals(await Deno.readTextFile(join(target, "deep", "é")), "22");
    const file = await client.downloadArtifacts(run.runId, "to/deep/é", join(dir, "one"));
    assertEquals([file, await Deno.readTextFile(file)], [join(dir, "one", "é"), "22"]);

    const figure = { width: 1, height: 1, toPng: () => Promise.reject(new Error()), toSvg: () => Promise.resolve("") };
    const wrong = await assertRejects(() => run.logFigure(figure, "f.jpg"), TypeError);
    assertEquals(wrong.message, 'A figure is written to a file that ends in .png or .svg: received "f.jpg"');
    const missing = await assertRejects(() => run.logArtifact(join(dir, "none")), MlflowError);
    assertEquals(
      missing.message,
      `Cannot log artifact "${join(dir, "none")}" to run "${run.runId}": there is no such file or folder ` +
        "(RESOURCE_DOES_NOT_EXIST)",
    );
    const folder = await assertRejects(() => run.logArtifact(join(dir, "from")), MlflowError);
    assertEquals(
      folder.message,
      `Cannot log artifact "${join(dir, "from")}" to run "${run.runId}": it is a folder: log it with logArtifacts ` +
        "(INVALID_PARAMETER_VALUE)",
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

for (const path of ["../up", "/root", "a/../../up", "a\\b", "a\0b", "a//b", "./a", "a/.."]) {
  Deno.test(`Run.logText() and the others refuse the path ${JSON.stringify(path)}`, async () => {
    await using run = await newRun();
    const works = [
      () => run.logText("", path),
      () => run.logArtifact(new URL(import.meta.url).pathname, path),
      () => run.logArtifacts(new URL("./testdata/plots", import.meta.url).pathname, path),
      () => run.listArtifacts(path),
      () => run.client.readArtifact(run.runId, path),
      () => run.client.downloadArtifacts(run.runId, path, "/proc/none"),
    ];
    for (const work of works) {
      const error = await assertRejects(work, MlflowError, `Invalid artifact path: '${path}'`);
      assertEquals(error.code, "INVALID_PARAMETER_VALUE");
    }
  });
}
