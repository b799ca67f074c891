import * as tf from "@tensorflow/tfjs";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient } from "../../client.ts";
import { MlflowError } from "../../errors.ts";
import { tfjsFiles } from "../../model/tfjs_files.ts";
import { getModelInfo, inferSignature, loadGraphModel, loadModel, mlflowHandler, saveModel } from "../../models.ts";
import { getTrackingUri, setTrackingUri } from "../../tracking/tracking_uri.ts";
import { onCpu } from "../kernels/cpu_and_wasm.ts";
import { kerasTest } from "../support/keras.ts";
import { mlflowTest } from "../support/mlflow.ts";
import { GRAPH_ARTIFACTS } from "./graph_model.ts";

function small(): tf.Sequential {
  return tf.sequential({ layers: [tf.layers.dense({ units: 2, inputShape: [3], activation: "tanh" })] });
}

/** What Keras has no like of. */
function onlyTfjs(): tf.Sequential {
  return tf.sequential({ layers: [tf.layers.thresholdedReLU({ inputShape: [3], name: "edge" })] });
}

const X = [[1, 2, 3], [-1, 0, 0.5]];

function predicted(model: tf.LayersModel | tf.GraphModel): number[][] {
  return tf.tidy(() => (model.predict(tf.tensor(X)) as tf.Tensor2D).arraySync());
}

function test(name: string, check: (dir: string) => Promise<void>): void {
  Deno.test(name, async () => {
    const dir = await Deno.realPath(await Deno.makeTempDir());
    try {
      await onCpu(() => check(dir));
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

/** A run in a database of its own, which is the tracking URI meanwhile. */
async function tracked<T>(dir: string, work: (client: MlflowClient, runId: string) => Promise<T>): Promise<T> {
  const before = Deno.env.get("MLFLOW_TRACKING_URI");
  setTrackingUri(`sqlite:///${join(dir, "mlflow.db")}`);
  try {
    const client = new MlflowClient();
    const experimentId = await client.createExperiment("models", { artifactLocation: join(dir, "artifacts") });
    return await work(client, (await client.createRun({ experimentId })).info.runId);
  } finally {
    setTrackingUri(before ?? "");
  }
}

/** What is warned of meanwhile. */
async function warnings(work: () => Promise<void>): Promise<string[]> {
  const told: string[] = [];
  const { warn } = console;
  console.warn = (...parts: unknown[]) => void told.push(parts.join(" "));
  try {
    await work();
  } finally {
    console.warn = warn;
  }
  return told;
}

async function files(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    names.push(...isDirectory ? (await files(join(folder, name))).map((inner) => `${name}/${inner}`) : [name]);
  }
  return names.sort();
}

test("saveModel() writes a folder that loadModel() and tfjs's own loader read", async (dir) => {
  const model = small();
  const folder = join(dir, "model");
  await saveModel(model, folder, { metadata: { class_names: ["a", "b"] } });
  assertEquals(predicted(await loadModel(tf, folder)), predicted(model));
  assertEquals(predicted(await loadModel(tf, `file://${folder}`)), predicted(model));
  assertEquals(predicted(await tf.loadLayersModel(mlflowHandler(folder))), predicted(model));
  const info = await getModelInfo(folder);
  assertEquals(Object.keys(info.flavors), ["keras", "python_function", "tensorflowjs"]);
  assertEquals(info.metadata, { class_names: ["a", "b"] });
  assertEquals(info.signature, inferSignature(tf.zeros([1, 3]), tf.zeros([1, 2])));
  assertEquals([info.modelId, info.runId], [undefined, undefined]);
  const error = await assertRejects(() => saveModel(model, folder), MlflowError);
  assertEquals(error.code, "RESOURCE_ALREADY_EXISTS");
  assertEquals(error.reason, `Path '${folder}' already exists and is not empty`);
});

test("saveModel() leaves out Python's copy where it is told to, and warns where Keras has no like", async (dir) => {
  const plain = ["MLmodel", "model.json", "weights.bin"];
  assertEquals(await warnings(() => saveModel(small(), join(dir, "told"), { pythonCopy: false })), []);
  assertEquals(await files(join(dir, "told")), plain);
  assertEquals(await warnings(() => saveModel(onlyTfjs(), join(dir, "only"))), [
    'The model is kept without its copy for Python: layer "edge" (ThresholdedReLU): Keras 3 has no such layer',
  ]);
  assertEquals(await files(join(dir, "only")), plain);
  const { flavors } = await getModelInfo(join(dir, "only"));
  assertEquals(
    (flavors.tensorflowjs as Record<string, unknown>).no_python_copy,
    'layer "edge" (ThresholdedReLU): Keras 3 has no such layer',
  );
  assertEquals(predicted(await loadModel(tf, join(dir, "only"))), predicted(onlyTfjs()));
});

test("loadModel() names a file that is not as it was written", async (dir) => {
  const folder = join(dir, "model");
  await saveModel(small(), folder);
  const cases: readonly (readonly [string, (bytes: Uint8Array) => Uint8Array, string])[] = [
    [
      "weights.bin",
      (bytes) => bytes.map((byte, i) => i === 5 ? byte ^ 1 : byte),
      "its bytes are not those that were written",
    ],
    ["weights.bin", (bytes) => bytes.slice(0, 8), "it is 8 bytes long and was written with 32"],
    [
      "model.json",
      (bytes) => new TextEncoder().encode(new TextDecoder().decode(bytes).replace("tanh", "relu")),
      "its bytes are not those that were written",
    ],
  ];
  for (const [name, damage, reason] of cases) {
    const path = join(folder, name);
    const bytes = await Deno.readFile(path);
    await Deno.writeFile(path, damage(bytes));
    const error = await assertRejects(() => loadModel(tf, folder), MlflowError);
    assertEquals(error.message, `Cannot load model "${folder}": ${name} is damaged: ${reason} (DATA_LOSS)`);
    await Deno.writeFile(path, bytes);
  }
  // What tfjs or another program wrote says no hash.
  await Deno.writeTextFile(join(folder, "MLmodel"), "flavors: {tensorflowjs: {data: model.json}}");
  assertEquals((await loadModel(tf, folder)).layers.length, 1);
  await Deno.writeFile(join(folder, "weights.bin"), new Uint8Array(28));
  const error = await assertRejects(() => loadModel(tf, folder), MlflowError);
  assertEquals([error.code, error.reason], ["DATA_LOSS", "the weights are 28 bytes long, model.json tells of 32"]);
  for (
    const [name, content] of [
      ["model.json", "null"],
      ["model.json", `{"weightsManifest": [{"paths": 5, "weights": []}]}`],
      ["model.json", `{"weightsManifest": [null]}`],
      ["MLmodel", "flavors: 3"],
    ]
  ) {
    await Deno.writeTextFile(join(folder, name), content);
    const error = await assertRejects(() => loadModel(tf, folder), MlflowError, `${name} is not readable`);
    assertEquals(error.code, "DATA_LOSS", content);
  }
});

Deno.test("tfjsFiles() cuts weights into files of 64 MiB, as views", () => {
  const weightData = [new ArrayBuffer(100 * 2 ** 20), new ArrayBuffer(50 * 2 ** 20)];
  const [, ...shards] = tfjsFiles({ weightData });
  assertEquals(shards.map(({ path }) => path), [
    "weights-00001-of-00003.bin",
    "weights-00002-of-00003.bin",
    "weights-00003-of-00003.bin",
  ]);
  const sizes = shards.map(({ pieces }) => pieces.map(({ byteLength }) => byteLength / 2 ** 20));
  assertEquals(sizes, [[64], [36, 28], [22]]);
  assert(shards.flatMap(({ pieces }) => pieces).every(({ buffer }) => weightData.includes(buffer as ArrayBuffer)));
});

test("loadModel() puts weights of several files together", async (dir) => {
  const model = tf.sequential({ layers: [tf.layers.dense({ units: 4200, inputShape: [4200], useBias: false })] });
  await saveModel(model, join(dir, "large"), { pythonCopy: false });
  assertEquals(await files(join(dir, "large")), [
    "MLmodel",
    "model.json",
    "weights-00001-of-00002.bin",
    "weights-00002-of-00002.bin",
  ]);
  const loaded = await loadModel(tf, join(dir, "large"));
  const [wanted, found] = [model, loaded].map((one) => one.getWeights()[0]);
  assertEquals(tf.tidy(() => tf.equal(wanted, found).all().dataSync()[0]), 1);
});

test("saveModel() keeps the optimizer's state, so that training goes on as it was", async (dir) => {
  const [x, y] = [tf.tensor(X), tf.tensor([[0.1, 0.2], [0.3, -0.4]])];
  const model = small();
  model.compile({ optimizer: tf.train.adam(0.1), loss: "meanSquaredError", metrics: ["mae"] });
  await model.fit(x, y, { epochs: 3, verbose: 0 });
  await saveModel(model, join(dir, "model"), { includeOptimizer: true });
  const loaded = await loadModel(tf, join(dir, "model"));
  assertEquals((loaded.optimizer as tf.Optimizer).iterations, 3);
  for (const one of [model, loaded]) await one.fit(x, y, { epochs: 2, verbose: 0 });
  assertEquals(predicted(loaded), predicted(model));
});

test("loadGraphModel() loads what saveModel() has kept of a graph model", async (dir) => {
  const model = await tf.loadGraphModel({ load: () => Promise.resolve(GRAPH_ARTIFACTS) });
  const told = await warnings(() => saveModel(model, join(dir, "graph")));
  assertEquals(told, ["The model is kept without its copy for Python: it is not made of layers"]);
  const loaded = await loadGraphModel(tf, join(dir, "graph"));
  assertEquals(predicted(loaded), predicted(model));
  assertEquals((await getModelInfo(join(dir, "graph"))).signature, inferSignature(tf.zeros([1, 3]), tf.zeros([1, 2])));
  const error = await assertRejects(() => loadModel(tf, join(dir, "graph")), MlflowError);
  assertEquals(error.reason, "it is a graph model: load it with loadGraphModel");
  await saveModel(small(), join(dir, "layers"));
  await assertRejects(() => loadGraphModel(tf, join(dir, "layers")), MlflowError, "it is a layers model: load it with");
});

test("mlflowHandler() saves what tfjs hands over", async (dir) => {
  const model = small();
  await tracked(dir, async (client, runId) => {
    const { modelArtifactsInfo } = await model.save(mlflowHandler(`runs:/${runId}/kept`));
    assertEquals(modelArtifactsInfo.modelTopologyType, "JSON");
    assertEquals((await client.listArtifacts(runId, "kept")).map(({ path }) => path), [
      "kept/MLmodel",
      "kept/model.json",
      "kept/weights.bin",
    ]);
    assertEquals(predicted(await loadModel(tf, `runs:/${runId}/kept`)), predicted(model));
    assertEquals((await getModelInfo(`runs:/${runId}/kept`)).signature, undefined);
  });
});

test("logModel() registers the model, and tfjs loads it by its alias", async (dir) => {
  await tracked(dir, async (client, runId) => {
    const model = small();
    const options = { registeredModelName: "digits", tags: { stage: 1 } };
    const { modelId } = await client.logModel(runId, model, options);
    const version = await client.getModelVersion("digits", "1");
    assertEquals([version.source, version.runId, version.tags], [`models:/${modelId}`, runId, { stage: "1" }]);
    await client.setRegisteredModelAlias("digits", "champion", "1");
    for (const uri of ["models:/digits/1", "models:/digits@champion"]) {
      assertEquals(predicted(await tf.loadLayersModel(mlflowHandler(uri))), predicted(model));
      assertEquals((await getModelInfo(uri)).modelId, modelId);
    }
  });
});

mlflowTest("MLflow reads a logged model's input example, metadata and signature", async (mlflow) => {
  const logged = await onCpu(() =>
    tracked(mlflow.dir, async (client, runId) => {
      const rows = [{ city: "Oslo", rooms: 3.5 }, { city: "Bergen", rooms: null }];
      const x = tf.input({ shape: [3], name: "x" });
      const y = tf.input({ shape: [2], name: "y" });
      const sum = tf.layers.concatenate().apply([x, y]) as tf.SymbolicTensor;
      const two = tf.model({ inputs: [x, y], outputs: tf.layers.dense({ units: 1 }).apply(sum) as tf.SymbolicTensor });
      const options = [
        [small(), { inputExample: tf.tensor([[1, NaN, 3]]), metadata: { classes: ["a"], nested: { no: "no", n: 1 } } }],
        [small(), { inputExample: X }],
        [two, { inputExample: { x: tf.ones([2, 3]), y: [[1, 2], [3, 4]] } }],
        [small(), { inputExample: rows, signature: inferSignature(rows, [0.5], { temperature: 0.5 }) }],
      ] as const;
      const uris = await Promise.all(
        options.map(async ([model, one], i) =>
          (await client.logModel(runId, model, { ...one, name: `m${i}` })).modelId
        ),
      );
      return { tracking: getTrackingUri(), uris: uris.map((id) => `models:/${id}`) };
    })
  );
  const read = await mlflow.python<Record<string, unknown>[]>(
    `
    import json
    import mlflow
    import numpy as np
    from mlflow.models import Model
    from mlflow.models.utils import load_serving_example
    mlflow.set_tracking_uri(args["tracking"])
    result = []
    for uri in args["uris"]:
        path = mlflow.artifacts.download_artifacts(uri)
        model = Model.load(path)
        example = model.load_input_example(path)
        plain = {k: v.tolist() for k, v in example.items()} if isinstance(example, dict) else \
            example.tolist() if isinstance(example, np.ndarray) else example.to_dict("split")
        result.append({
            "type": type(example).__name__, "example": plain, "serving": json.loads(load_serving_example(path)),
            "metadata": model.metadata, "inputs": model.signature.inputs.to_dict(),
            "params": model.signature.params and model.signature.params.to_dict(),
        })
    `,
    logged,
  );
  const tensor = (shape: number[], name?: string) => ({
    ...(name === undefined ? {} : { name }),
    type: "tensor",
    "tensor-spec": { dtype: "float32", shape },
  });
  const [nan, list, two, rows] = read;
  assertEquals(nan, {
    type: "ndarray",
    example: [[1, NaN, 3]],
    serving: { inputs: [[1, null, 3]] },
    metadata: { classes: ["a"], nested: { no: "no", n: 1 } },
    inputs: [tensor([-1, 3])],
    params: null,
  });
  assertEquals([list.type, list.example, list.serving], ["ndarray", X, { inputs: X }]);
  assertEquals(two.inputs, [tensor([-1, 3], "x"), tensor([-1, 2], "y")]);
  assertEquals(two.example, { x: [[1, 1, 1], [1, 1, 1]], y: [[1, 2], [3, 4]] });
  assertEquals(rows.type, "DataFrame");
  assertEquals(rows.example, { index: [0, 1], columns: ["city", "rooms"], data: [["Oslo", 3.5], ["Bergen", NaN]] });
  assertEquals(rows.params, [{ name: "temperature", type: "double", default: 0.5, shape: null }]);
});

mlflowTest("a model goes to MLflow's server and back", async (mlflow) => {
  await using server = await mlflow.ui({ command: "server" });
  const before = Deno.env.get("MLFLOW_TRACKING_URI");
  setTrackingUri(server.url);
  try {
    await onCpu(async () => {
      const client = new MlflowClient();
      const { info } = await client.createRun({ experimentId: await client.createExperiment("models") });
      // Its Keras file is larger than what is sent at once.
      const model = tf.sequential({ layers: [tf.layers.dense({ units: 1500, inputShape: [1500] })] });
      const { modelId, status, artifactLocation } = await client.logModel(info.runId, model, { name: "net" });
      assertEquals([status, artifactLocation.split(":")[0]], ["READY", "mlflow-artifacts"]);
      const loaded = await loadModel(tf, `runs:/${info.runId}/net`);
      const [wanted, found] = [model, loaded].map((one) => one.getWeights()[0]);
      assertEquals(tf.tidy(() => tf.equal(wanted, found).all().dataSync()[0]), 1);
      const listed = await client.listLoggedModelArtifacts(modelId, "data");
      const [{ size }] = await mlflow.python<{ size: number }[]>(
        `
        import zipfile
        import mlflow
        mlflow.set_tracking_uri(args["uri"])
        path = mlflow.artifacts.download_artifacts(f"models:/{args['model']}")
        with zipfile.ZipFile(f"{path}/data/model.keras") as archive:
            assert archive.testzip() is None
            result = [{"size": archive.getinfo("model.weights.h5").file_size}]
        `,
        { uri: server.url, model: modelId },
      );
      assert(size > 9_000_000 && listed.some(({ fileSize }) => (fileSize ?? 0) > size), JSON.stringify(listed));
    });
  } finally {
    setTrackingUri(before ?? "");
  }
});

kerasTest("Python opens a logged model by its URI, and finds it registered", async (mlflow) => {
  const logged = await onCpu(() =>
    tracked(mlflow.dir, async (client, runId) => {
      const model = small();
      const options = { name: "net", registeredModelName: "net", inputExample: tf.tensor(X) };
      const { modelId } = await client.logModel(runId, model, options);
      const uris = [`models:/${modelId}`, `runs:/${runId}/net`, "models:/net/1"];
      return { tracking: getTrackingUri(), uris, x: X, y: predicted(model) };
    })
  );
  const [differences, log] = await mlflow.python<[number[], string]>(
    `
    import io
    import logging
    import mlflow
    import numpy as np
    log = io.StringIO()
    logging.getLogger("mlflow").addHandler(logging.StreamHandler(log))
    mlflow.set_tracking_uri(args["tracking"])
    x, y = np.array(args["x"], dtype="float32"), np.array(args["y"])
    found = [mlflow.pyfunc.load_model(uri).predict(x) for uri in args["uris"]]
    found += [mlflow.keras.load_model(uri).predict(x, verbose=0) for uri in args["uris"]]
    result = [[float(np.max(np.abs(one - y))) for one in found], log.getvalue()]
    `,
    logged,
  );
  assertEquals(differences.length, 6);
  assert(differences.every((difference) => difference <= 1e-5), `${differences}`);
  // Python finds nothing amiss with the environment that the model says it wants.
  assert(!/mismatch|Python version|incompatible/.test(log), log);
  assertStringIncludes(JSON.stringify(logged.uris), "models:/net/1");
});
