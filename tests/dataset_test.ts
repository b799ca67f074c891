import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient } from "../client.ts";
import { datasetFromImages, datasetFromRows, datasetFromTensors } from "../dataset.ts";
import { Run } from "../run.ts";
import { mlflowTest } from "./support/mlflow.ts";

const tensor = (shape: number[], dtype: string, values: ArrayLike<number>) => ({
  shape,
  dtype,
  data: () => Promise.resolve(values),
});
const file = (path: string, className: string, split: "train" | "validation", sha256: string) => ({
  path,
  className,
  split,
  bytes: 100,
  sha256,
});
const images = {
  files: [
    file("rose/1.png", "rose", "train", "aa"),
    file("rose/2.png", "rose", "validation", "bb"),
    file("tulip/1.png", "tulip", "train", "cc"),
  ],
};

Deno.test("datasetFromTensors() describes tensors, lists and several by name as MLflow does numpy's", async () => {
  const dataset = await datasetFromTensors(tensor([2, 3], "float32", Float32Array.of(1, 2, 3, 4, 5, 6)), {
    name: "points",
    targets: [0, 1],
    source: "https://example.org/points.csv",
  });
  const { digest, schema, profile, ...rest } = dataset;
  assertMatch(digest, /^[\da-f]{8}$/);
  assertEquals(rest, { name: "points", sourceType: "http", source: '{"url":"https://example.org/points.csv"}' });
  assertEquals(JSON.parse(schema!), {
    mlflow_tensorspec: {
      features: '[{"type":"tensor","tensor-spec":{"dtype":"float32","shape":[-1,3]}}]',
      targets: '[{"type":"tensor","tensor-spec":{"dtype":"float64","shape":[-1]}}]',
    },
  });
  assertEquals(JSON.parse(profile!), {
    features_shape: [2, 3],
    features_size: 6,
    features_nbytes: 24,
    targets_shape: [2],
    targets_size: 2,
    targets_nbytes: 16,
  });
  const named = await datasetFromTensors({ a: [[1]], b: Int32Array.of(1, 2) });
  assertEquals(JSON.parse(JSON.parse(named.schema!).mlflow_tensorspec.features), [
    { name: "a", type: "tensor", "tensor-spec": { dtype: "float64", shape: [-1, 1] } },
    { name: "b", type: "tensor", "tensor-spec": { dtype: "int32", shape: [-1] } },
  ]);
  assertEquals(JSON.parse(named.profile!).features_shape, { a: [1, 1], b: [2] });
  assertEquals([named.name, named.sourceType], ["dataset", "code"]);
  assertEquals(Object.keys(JSON.parse(named.source)), ["tags"]);
  await assertRejects(() => datasetFromTensors([[1, 2], [3]]), TypeError, "of one length in each dimension");
});

Deno.test("datasetFromTensors() tells data apart by its digest, and the same data not", async () => {
  const digest = async (...args: Parameters<typeof datasetFromTensors>) => (await datasetFromTensors(...args)).digest;
  const same = await digest([1, 2, 3, 4]);
  assertEquals(await digest(Float64Array.of(1, 2, 3, 4)), same);
  const others = [
    await digest([1, 2, 3, 5]),
    await digest([[1, 2], [3, 4]]),
    await digest(Float32Array.of(1, 2, 3, 4)),
    await digest([1, 2, 3, 4], { targets: [1] }),
    await digest({ a: [1, 2, 3, 4] }),
  ];
  assertEquals(new Set([same, ...others]).size, 6);
  assertEquals(await digest([1], { digest: "v1" }), "v1");
});

Deno.test("datasetFromRows() describes columns as MLflow does pandas's", async () => {
  const rows = [
    { n: 1, x: 1, s: "a", b: true, d: new Date(0), mixed: 1 },
    { n: 2, x: 0.5, s: null, b: false, d: new Date(1), mixed: "b" },
  ];
  const { schema, profile, sourceType, source } = await datasetFromRows(rows, { source: "data/rows.csv" });
  assertEquals(
    JSON.parse(schema!).mlflow_colspec.map((
      { name, type, required }: Record<string, unknown>,
    ) => [name, type, required]),
    [
      ["n", "long", true],
      ["x", "double", true],
      ["s", "string", false],
      ["b", "boolean", true],
      ["d", "datetime", true],
      ["mixed", "any", true],
    ],
  );
  assertEquals([profile, sourceType, source], ['{"num_rows":2,"num_elements":12}', "local", '{"uri":"data/rows.csv"}']);
});

Deno.test("datasetFromImages() describes a folder of images, or one part of it", async () => {
  const all = await datasetFromImages(images, { name: "photos", source: "s3://bucket/photos" });
  assertEquals([all.sourceType, all.source], ["s3", '{"uri":"s3://bucket/photos"}']);
  assertEquals(JSON.parse(all.profile!), {
    num_rows: 3,
    num_elements: 6,
    num_bytes: 300,
    classes: { rose: 2, tulip: 1 },
  });
  const train = await datasetFromImages(images, { split: "train" });
  assertEquals(JSON.parse(train.profile!).classes, { rose: 1, tulip: 1 });
  assert(train.digest !== all.digest);
  const renamed = { files: images.files.map((file) => ({ ...file, sha256: file.sha256.replace("a", "d") })) };
  assert((await datasetFromImages(renamed, { split: "train" })).digest !== train.digest);
});

Deno.test("Run.logMetric() links the dataset and the model that it was measured with, once", async () => {
  const client = new MlflowClient("memory:");
  const record = await client.createRun({ experimentId: "0" });
  await using run = new Run(client, record);
  const { modelId } = await client.createLoggedModel({ experimentId: "0", name: "m" });
  const dataset = await datasetFromRows([{ a: 1 }], { name: "test" });
  await run.logMetric("accuracy", 0.5, { modelId, dataset });
  await run.logMetrics({ accuracy: 0.6, loss: 1 }, { modelId, dataset, step: 1 });
  await run.logInput(dataset, { context: "testing", tags: { more: "1" } });
  const { inputs } = await run.get();
  assertEquals(inputs.modelInputs, [{ modelId }]);
  assertEquals(inputs.datasetInputs.map(({ dataset: { name, digest } }) => [name, digest]), [["test", dataset.digest]]);
  const { metrics } = await client.getLoggedModel(modelId);
  assertEquals(metrics.map(({ key, step, dataset }) => [key, step, dataset?.name]).sort(), [
    ["accuracy", 0, "test"],
    ["accuracy", 1, "test"],
    ["loss", 1, "test"],
  ]);
});

Deno.test("Run.logMetric() also logs to the model that the run has put out at the step", async () => {
  const client = new MlflowClient("memory:");
  const record = await client.createRun({ experimentId: "0" });
  const { modelId } = await client.createLoggedModel({ experimentId: "0", name: "m" });
  {
    await using run = new Run(client, record);
    await run.logOutputs([{ modelId, step: 3 }]);
    await run.logMetric("a", 1, { step: 3 });
    await run.logMetric("a", 1, { step: 2 });
  }
  await using resumed = new Run(client, await client.getRun(record.info.runId));
  await resumed.logMetrics({ b: 2, c: 3 }, { step: 3 });
  const { metrics } = await client.getLoggedModel(modelId);
  assertEquals(metrics.map(({ key, step }) => [key, step]).sort(), [["a", 3], ["b", 3], ["c", 3]]);
  assertEquals((await resumed.get()).inputs.modelInputs, []);
});

mlflowTest("MLflow reads our datasets, and we those of MLflow", async (mlflow) => {
  const client = new MlflowClient(`sqlite:///${join(mlflow.dir, "mlflow.db")}`);
  const { info: { runId } } = await client.createRun({ experimentId: "0" });
  const tensors = await datasetFromTensors(tensor([2, 2], "int32", Int32Array.of(1, 2, 3, 4)), { targets: [0, 1] });
  const rows = await datasetFromRows([{ a: 1, b: "x" }], { name: "rows", source: "/data/rows.csv" });
  const photos = await datasetFromImages(images, { name: "photos", source: "photos" });
  await client.logInput(runId, tensors, { context: "training" });
  await client.logInput(runId, rows, { context: "test", tags: { fold: "2" } });
  await client.logInput(runId, photos);
  const read = await mlflow.python<Record<string, Record<string, unknown>>>(
    `
    import json, mlflow, numpy as np
    from mlflow.data import get_source
    from mlflow.data.schema import TensorDatasetSchema
    from mlflow.types.schema import Schema
    result = {}
    for used in mlflow.get_run(args).inputs.dataset_inputs:
        dataset = used.dataset
        schema = json.loads(dataset.schema)
        if "mlflow_tensorspec" in schema:
            schema = str(TensorDatasetSchema.from_dict(schema).features.input_types())
        else:
            schema = str(Schema.from_json(json.dumps(schema["mlflow_colspec"])).input_names())
        source = get_source(used.dataset)
        result[dataset.name] = {
            "schema": schema,
            "profile": json.loads(dataset.profile),
            "source": type(source).__name__,
            "uri": getattr(source, "uri", None),
            "tags": {tag.key: tag.value for tag in used.tags},
        }
    with mlflow.start_run(run_id=args):
        mlflow.log_input(mlflow.data.from_numpy(np.zeros((3, 2)), name="theirs"), context="eval")
    `,
    runId,
  );
  assertEquals(read.rows, {
    schema: "['a', 'b']",
    profile: { num_rows: 1, num_elements: 2 },
    source: "LocalArtifactDatasetSource",
    uri: "/data/rows.csv",
    tags: { "mlflow.data.context": "test", fold: "2" },
  });
  assertEquals([read.dataset.schema, read.dataset.source], ["[dtype('int32')]", "CodeDatasetSource"]);
  assertEquals([read.photos.schema, read.photos.uri], ["['image', 'label']", "photos"]);
  const { inputs } = await client.getRun(runId);
  const theirs = inputs.datasetInputs.find(({ dataset }) => dataset.name === "theirs")!;
  assertEquals(theirs.tags, { "mlflow.data.context": "eval" });
  assertEquals(JSON.parse(theirs.dataset.profile!).features_shape, [3, 2]);
  assertEquals((await client.searchDatasets(["0"])).length, 4);
});
