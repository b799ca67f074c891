import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient } from "../client.ts";
import { MlflowError } from "../errors.ts";
import { loadImage } from "../images.ts";
import { Run } from "../run.ts";
import { mlflowTest } from "./support/mlflow.ts";

const white = { width: 2, height: 1, channels: 1 as const, data: Uint8Array.of(255, 0) };

async function withRuns(check: (experimentId: string, ...runs: Run[]) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
  try {
    const client = new MlflowClient("memory:");
    const experimentId = await client.createExperiment(dir, { artifactLocation: dir });
    await using first = new Run(client, await client.createRun({ experimentId, runName: "first", startTime: 1 }));
    await using second = new Run(client, await client.createRun({ experimentId, runName: "second", startTime: 2 }));
    await check(experimentId, first, second);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("Run.logTable() writes pandas's orientation split, behind the rows that are there, and the tag", () =>
  withRuns(async (experimentId, run) => {
    void run.logTable([{ x: 1, y: "a" }, { x: NaN, z: [1, null] }], "t/rows.json");
    void run.logTable({ x: Float32Array.of(0.5, 2), y: ["b", "c"], w: true }, "t/rows.json");
    void run.logTable({ x: 3n, when: new Date(0) }, "other.json");
    const { data } = await run.get();
    assertEquals(
      data.tags["mlflow.loggedArtifacts"],
      '[{"path": "t/rows.json", "type": "table"}, {"path": "other.json", "type": "table"}]',
    );
    assertEquals(
      await run.loadText("t/rows.json"),
      '{"columns":["x","y","z","w"],"data":[[1,"a",null,null],[null,null,[1,null],null],[0.5,"b",null,true],[2,"c",null,true]]}',
    );
    assertEquals(await run.loadText("other.json"), '{"columns":["x","when"],"data":[[3,"1970-01-01T00:00:00.000Z"]]}');
    assertEquals((await run.client.loadTable(experimentId, "other.json")).rows, [{
      x: 3,
      when: "1970-01-01T00:00:00.000Z",
    }]);
  }));

Deno.test("Run.logTable() keeps images beside the table", () =>
  withRuns(async (experimentId, run) => {
    await run.logTable([{ image: white, label: 1 }], "t.json");
    const { columns, rows } = await run.client.loadTable(experimentId, "t.json");
    const { type, filepath, compressed_filepath: small } = rows[0].image as Readonly<Record<string, string>>;
    assertEquals([columns, type, rows[0].label], [["image", "label"], "image", 1]);
    assertMatch(filepath, /^table_images\/t\/[\da-f-]{36}\.png$/);
    assertEquals(small, filepath.replace(".png", ".webp"));
    assertEquals(await run.loadImage(filepath, { colorMode: "grayscale" }), white);
    const { width, height } = await loadImage(await run.client.readArtifact(run.runId, small));
    assertEquals([width, height], [256, 128]);
    const mixed = await assertRejects(() => run.logTable({ image: [white, "no"] }, "m.json"), MlflowError);
    assertEquals(mixed.code, "INVALID_PARAMETER_VALUE");
  }));

Deno.test("MlflowClient.loadTable() puts the tables of runs together, the latest first, with columns of the runs", () =>
  withRuns(async (experimentId, first, second) => {
    const { client } = first;
    await first.logTable({ a: [1], run_id: ["mine"] }, "t.json");
    await second.logTable({ b: [2] }, "t.json");
    await first.logParam("lr", 0.1);
    await first.logMetric("loss", 0.5);
    const extraColumns = ["run_id", "run_name", "params.lr", "metrics.loss", "tags.none", "start_time"];
    assertEquals((await client.loadTable(experimentId, "t.json", { runIds: [first.runId], extraColumns })).rows, [
      {
        a: 1,
        run_id: "mine",
        run_id_: first.runId,
        run_name: "first",
        "params.lr": "0.1",
        "metrics.loss": 0.5,
        "tags.none": null,
        start_time: 1,
      },
    ]);
    assertEquals((await client.loadTable(experimentId, "t.json")).rows, [
      { b: 2, a: null, run_id: null },
      { b: null, a: 1, run_id: "mine" },
    ]);
    assertEquals((await client.loadTable(experimentId, "t.json", { runIds: [second.runId] })).rows, [{ b: 2 }]);
  }));

Deno.test("Run.logTable() and MlflowClient.loadTable() say what is wrong", () =>
  withRuns(async (experimentId, run) => {
    await run.logText("[1]", "wrong.json");
    await run.logText("[1]", "wrong.parquet");
    const cases: readonly (readonly [() => Promise<unknown>, string])[] = [
      [() => run.logTable([], "t.txt"), "Invalid artifact file path 't.txt'."],
      [() => run.logTable({ a: [1, "b"] }, "t.parquet"), 'column "a" holds values of several kinds'],
      [() => run.logTable([], "t.parquet"), "a Parquet file has at least one column"],
      [() => run.logTable([], "wrong.parquet"), "wrong.parquet is no Parquet file that can be read"],
      [() => run.logTable([], "a'b.json"), "The artifact_file contains forbidden character: '"],
      [() => run.logTable({ a: [1], b: [1, 2] }, "t.json"), "All arrays must be of the same length"],
      [() => run.logTable([], "wrong.json"), 'wrong.json is no table of pandas\'s orientation "split"'],
      [() => run.client.loadTable(experimentId, "none.json"), "No runs found with the corresponding table artifact."],
    ];
    for (const [work, wanted] of cases) await assertRejects(work, MlflowError, wanted);
    await run.logTable([], "t.json");
    await assertRejects(
      () => run.client.loadTable(experimentId, "t.json", { extraColumns: ["nothing"] }),
      MlflowError,
      'a run has no column "nothing"',
    );
  }));

Deno.test("Run.logTable() keeps what a Parquet file can keep, and adds rows to it", () =>
  withRuns(async (experimentId, run) => {
    const row = {
      whole: 1,
      big: 2n ** 60n,
      real: 0.5,
      nan: NaN,
      far: -Infinity,
      text: "é 🌷",
      ok: true,
      when: new Date(1_700_000_000_123),
      list: [1, null, 3],
      lists: [["a"], []],
      record: { a: 1, b: { c: "x" } },
      records: [{ a: 1 }, { a: null }],
      floats: Float32Array.of(0.5, 2),
      nothing: null,
    };
    await run.logTable([row, { whole: null }], "dir/t.parquet");
    await run.logTable({ image: [white], more: "m" }, "dir/t.parquet");
    const { columns, rows } = await run.client.loadTable(experimentId, "dir/t.parquet");
    const { image, ...rest } = rows[2];
    assertEquals(columns, [...Object.keys(row), "image", "more"]);
    assertEquals(rows[0], { ...row, floats: [0.5, 2], image: null, more: null });
    assertEquals(Object.values(rows[1]).filter((value) => value !== null), []);
    assertEquals(Object.entries(rest).filter(([, value]) => value !== null), [["more", "m"]]);
    const { filepath } = image as { readonly filepath: string };
    assertMatch(filepath, /^table_images\/dir\/t\/[\da-f-]{36}\.png$/);
    assertEquals(await run.loadImage(filepath, { colorMode: "grayscale" }), white);
  }));

mlflowTest("MLflow loads our tables and adds to them, and we load those of MLflow", async (mlflow) => {
  const client = new MlflowClient(`sqlite:///${join(mlflow.dir, "mlflow.db")}`);
  const experimentId = await client.createExperiment("tables", { artifactLocation: join(mlflow.dir, "kept") });
  const { info: { runId } } = await client.createRun({ experimentId });
  await client.logTable(runId, [{ image: white, n: 1, x: 0.5, ok: true, text: "é" }], "dir/t.json");
  const cells = { s: "é", l: [1.5, null], r: { k: 1 }, at: new Date(0), image: white };
  await client.logTable(runId, [{ n: 1, ...cells }, { n: 2, ...cells, s: "b" }], "t.parquet");
  const { parquet, ...read } = await mlflow.python<{ ours: unknown; both: unknown; size: number[]; parquet: unknown }>(
    `
    import mlflow, numpy as np, pandas as pd
    mlflow.set_experiment("tables")
    ours = mlflow.load_table("dir/t.json", run_ids=[args], extra_columns=["run_id"])
    image = mlflow.artifacts.load_image(f"runs:/{args}/" + ours["image"][0]["filepath"])
    with mlflow.start_run(run_id=args):
        picture = mlflow.Image(np.full((3, 5, 3), 7, dtype=np.uint8))
        mlflow.log_table(pd.DataFrame({"n": [2], "image": [picture], "at": pd.to_datetime(["2026-01-02"])}), "dir/t.json")
        mlflow.log_table({"a": [1, 2], "b": [None, float("nan")]}, "theirs.json")
    both = mlflow.load_table("dir/t.json")
    parquet = mlflow.load_table("t.parquet")
    with mlflow.start_run(run_id=args):
        frame = pd.DataFrame({"n": [2, 3], "s": ["b", None], "d": [{"k": 1}, {"k": 2}], "at": pd.to_datetime(["2026-01-02"] * 2)})
        mlflow.log_table(frame, "theirs.parquet")
        mlflow.log_table({"n": [4]}, "t.parquet")
    result = {
        "parquet": [parquet["n"].tolist(), parquet["s"].tolist(), list(parquet["l"][0]), parquet["r"][0],
            parquet["at"][0].isoformat(), sorted(parquet["image"][0])],
        "ours": ours.drop(columns=["image"]).to_dict("records"),
        "both": both["n"].tolist(),
        "size": image.size,
    }
    `,
    runId,
  );
  const imageKeys = ["compressed_filepath", "filepath", "type"];
  assertEquals(parquet, [[1, 2], ["é", "b"], [1.5, NaN], { k: 1 }, "1970-01-01T00:00:00+00:00", imageKeys]);
  assertEquals((await client.loadTable(experimentId, "t.parquet")).rows.map(({ n }) => n), [1, 2, 4]);
  assertEquals((await client.loadTable(experimentId, "theirs.parquet")).rows, [
    { n: 2, s: "b", d: { k: 1 }, at: new Date("2026-01-02") },
    { n: 3, s: null, d: { k: 2 }, at: new Date("2026-01-02") },
  ]);
  assertEquals(read, { ours: [{ n: 1, x: 0.5, ok: true, text: "é", run_id: runId }], both: [1, 2], size: [2, 1] });
  const { columns, rows } = await client.loadTable(experimentId, "dir/t.json");
  assertEquals(columns, ["image", "n", "x", "ok", "text", "at"]);
  assertEquals(rows.map(({ n, text, at }) => [n, text, at]), [[1, "é", null], [2, null, "2026-01-02T00:00:00.000"]]);
  const { width, height } = await client.loadImage(runId, (rows[1].image as { filepath: string }).filepath);
  assertEquals([width, height], [5, 3]);
  assertEquals((await client.loadTable(experimentId, "theirs.json")).rows, [{ a: 1, b: null }, { a: 2, b: null }]);
  await client.logTable(runId, { a: 3, b: "x" }, "theirs.json");
  assertEquals((await client.loadTable(experimentId, "theirs.json")).rows.length, 3);
});
