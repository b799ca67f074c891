import * as tf from "@tensorflow/tfjs";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient } from "../client.ts";
import { MlflowError } from "../errors.ts";
import { loadModel } from "../models.ts";
import { getTrackingUri, setTrackingUri } from "../tracking/tracking_uri.ts";
import { onCpu, onWasm } from "./kernels/cpu_and_wasm.ts";
import { type Mlflow, mlflowTest } from "./support/mlflow.ts";

/** Everything that keeps state or shape of its own: convolution, normalization, recurrence, several ends, odd names. */
function twoInputs(): tf.LayersModel {
  const image = tf.input({ shape: [8, 8, 3], name: "image.a-b" });
  const words = tf.input({ shape: [5], name: "words/1_2" });
  const seen = tf.layers.flatten().apply(
    tf.layers.batchNormalization().apply(
      tf.layers.conv2d({ filters: 4, kernelSize: 3, activation: "relu" }).apply(image),
    ),
  ) as tf.SymbolicTensor;
  const read = tf.layers.gru({ units: 3 }).apply(
    tf.layers.embedding({ inputDim: 10, outputDim: 4 }).apply(words),
  ) as tf.SymbolicTensor;
  const both = tf.layers.dropout({ rate: 0.5 }).apply(tf.layers.concatenate().apply([seen, read]));
  const outputs = [
    tf.layers.dense({ units: 2, activation: "softmax", name: "class/a.b" }).apply(both),
    tf.layers.dense({ units: 1, name: "no" }).apply(both),
  ] as tf.SymbolicTensor[];
  return tf.model({ inputs: [image, words], outputs, name: "two ends" });
}

function small(): tf.Sequential {
  return tf.sequential({ layers: [tf.layers.dense({ units: 2, inputShape: [3], activation: "tanh" })] });
}

/** The bits that the model computes. */
function predicted(model: tf.LayersModel): Int32Array[] {
  return tf.tidy(() => {
    const inputs = model.inputs.map(({ shape, name }, i) => {
      const size: number[] = shape.map((n) => n ?? 4);
      return name.startsWith("words")
        ? tf.floor(tf.randomUniform(size, 0, 10, "float32", 7))
        : tf.randomUniform(size, -1, 1, "float32", i + 1);
    });
    const outputs = model.predict(inputs.length === 1 ? inputs[0] : inputs);
    return (Array.isArray(outputs) ? outputs : [outputs]).map((output) =>
      new Int32Array((output.dataSync() as Float32Array).slice().buffer)
    );
  });
}

/** What a logged model's folder holds. */
const FILES = [
  "MLmodel",
  "conda.yaml",
  "data/keras_module.txt",
  "data/model.keras",
  "model.json",
  "python_env.yaml",
  "requirements.txt",
  "weights.bin",
];

interface Place {
  readonly client: MlflowClient;
  readonly dir: string;
  readonly runId: string;
}

/** A run in a database and a folder of its own, which is the tracking URI meanwhile. */
async function tracked(dir: string, check: (place: Place) => Promise<void>): Promise<void> {
  const before = Deno.env.get("MLFLOW_TRACKING_URI");
  setTrackingUri(`sqlite:///${join(dir, "mlflow.db")}`);
  try {
    const client = new MlflowClient();
    const experimentId = await client.createExperiment("models", { artifactLocation: join(dir, "artifacts") });
    const { info } = await client.createRun({ experimentId, tags: { "mlflow.user": "me" } });
    await check({ client, dir, runId: info.runId });
  } finally {
    setTrackingUri(before ?? "");
  }
}

function test(name: string, check: (place: Place) => Promise<void>): void {
  Deno.test(name, async () => {
    const dir = await Deno.realPath(await Deno.makeTempDir());
    try {
      await tracked(dir, check);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

for (const [backend, on] of [["cpu", onCpu], ["wasm", onWasm]] as const) {
  test(`loadModel() gives a model that predicts bit for bit the same, on ${backend}`, async ({ client, dir, runId }) => {
    await on(async () => {
      const model = twoInputs();
      const wanted = predicted(model);
      const { modelId, artifactLocation } = await client.logModel(runId, model, { name: "first" });
      for (
        const uri of [`models:/${modelId}`, `runs:/${runId}/first`, artifactLocation, `file://${artifactLocation}`]
      ) {
        const loaded = await loadModel(tf, uri);
        assertEquals(predicted(loaded), wanted, uri);
        assertEquals(loaded.outputNames, model.outputNames);
        loaded.dispose();
      }
      // Of two models of one name, a run's later one is meant.
      const other = small();
      await client.logModel(runId, other, { name: "first" });
      const loaded = await loadModel(tf, `runs:/${runId}/first`);
      assertEquals(predicted(loaded), predicted(other));
      // A folder among the run's own artifacts, as older programs of MLflow keep models.
      await client.logArtifacts(runId, artifactLocation, "old/model");
      assertEquals(predicted(await loadModel(tf, `runs:/${runId}/old/model`)), wanted);
      assert(dir.length > 0);
    });
  });
}

test("logModel() keeps what a model was trained with, so that training goes on", async ({ client, runId }) => {
  await onCpu(async () => {
    const model = small();
    model.setUserDefinedMetadata({ classes: ["a", "b"], no: "no" });
    const { modelId } = await client.logModel(runId, model);
    const loaded = await loadModel(tf, `models:/${modelId}`);
    assertEquals(loaded.getUserDefinedMetadata(), { classes: ["a", "b"], no: "no" });
    loaded.compile({ optimizer: "sgd", loss: "meanSquaredError" });
    const { history } = await loaded.fit(tf.ones([4, 3]), tf.ones([4, 2]), { epochs: 1, verbose: 0 });
    assert(Number.isFinite(history.loss[0]));
  });
});

test("logModel() links the run's metrics of the step, or the latest ones", async ({ client, runId }) => {
  await onCpu(async () => {
    for (const step of [0, 1, 2]) {
      const metrics = [{ key: "loss", value: 1 / (step + 1), step }, { key: "nan", value: NaN, step }];
      await client.logBatch(runId, { metrics: metrics.map((metric) => ({ ...metric, timestamp: step })) });
    }
    const linked = async (options: { step?: number }) => {
      const { metrics } = await client.logModel(runId, small(), options);
      return metrics.map(({ key, value, step }) => [key, value, step]);
    };
    assertEquals(await linked({}), [["loss", 1 / 3, 2]]);
    assertEquals(await linked({ step: 1 }), [["loss", 0.5, 1]]);
    assertEquals(await linked({ step: 9 }), []);
    // They are not logged to the run twice.
    assertEquals((await client.getMetricHistory(runId, "loss")).length, 3);
  });
});

test("logModel() leaves a model FAILED whose files cannot be written, and tells why", async ({ client, dir, runId }) => {
  const { info } = await client.getRun(runId);
  const broken = {
    inputs: [],
    outputs: [],
    save: () => Promise.reject(new RangeError("of the model")),
  };
  await assertRejects(() => client.logModel(runId, broken), RangeError, "of the model");
  await Deno.writeTextFile(join(dir, "artifacts"), "a file in the folder's place");
  await onCpu(async () => {
    await assertRejects(() => client.logModel(runId, small()));
  });
  const models = await client.searchLoggedModels({ experimentIds: [info.experimentId] }).toArray();
  assertEquals(models.map(({ status }) => status), ["FAILED", "FAILED"]);
  const silent = { inputs: [], outputs: [], save: () => Promise.resolve() };
  const error = await assertRejects(() => client.logModel(runId, silent), TypeError);
  assertEquals(error.message, "Cannot save the model: its save() handed nothing over");
});

test("logModel() refuses bad names and deleted runs", async ({ client, runId }) => {
  const error = await assertRejects(() => client.logModel(runId, small(), { name: "a/b" }), MlflowError);
  assertEquals(
    error.message,
    `Cannot log model "a/b" to run "${runId}": Invalid model name ('a/b') provided. Model name must be a non-empty ` +
      `string and cannot contain the following characters: ('/', ':', '.', '%', '"', "'") (INVALID_PARAMETER_VALUE)`,
  );
  await client.deleteRun(runId);
  await assertRejects(() => client.logModel(runId, small()), MlflowError, "must be in the 'active' state");
});

test("loadModel() says what is wrong with a model's folder", async ({ client, dir, runId }) => {
  await onCpu(async () => {
    const { artifactLocation } = await client.logModel(runId, small());
    const MLMODEL = "flavors:\n  tensorflowjs:\n    data: model.json\n";
    const MODEL = await Deno.readTextFile(join(artifactLocation, "model.json"));
    const folder = join(dir, "broken");
    const WEIGHTS = await Deno.readFile(join(artifactLocation, "weights.bin"));
    const cases: readonly (readonly [string, Record<string, string | Uint8Array | undefined>, string])[] = [
      ["no folder", {}, "No such artifact: 'MLmodel' (RESOURCE_DOES_NOT_EXIST)"],
      ["an MLmodel that is no YAML", { MLmodel: "a: [" }, "MLmodel is not readable: "],
      [
        "an empty MLmodel",
        { MLmodel: "" },
        "MLmodel is not readable: ",
      ],
      ["an MLmodel that is a text", { MLmodel: "hello" }, 'the model has no flavor "tensorflowjs", found none'],
      [
        "other flavors",
        { MLmodel: "flavors: {python_function: {}, sklearn: {}}" },
        'the model has no flavor "tensorflowjs", found python_function, sklearn (INVALID_PARAMETER_VALUE)',
      ],
      ["no model.json", { MLmodel: MLMODEL }, "No such artifact: 'model.json' (RESOURCE_DOES_NOT_EXIST)"],
      ["a model.json that is no JSON", { MLmodel: MLMODEL, "model.json": "{" }, "model.json is not readable: "],
      [
        "a model.json of something else",
        { MLmodel: MLMODEL, "model.json": '{"modelTopology": {}}' },
        "model.json is not readable: it has no weightsManifest (DATA_LOSS)",
      ],
      [
        "no weights",
        { MLmodel: MLMODEL, "model.json": MODEL },
        "No such artifact: 'weights.bin' (RESOURCE_DOES_NOT_EXIST)",
      ],
      [
        "weights elsewhere",
        { MLmodel: MLMODEL, "model.json": MODEL.replace("weights.bin", "../../x"), "weights.bin": WEIGHTS },
        "Invalid artifact path: '../../x'",
      ],
    ];
    for (const [what, files, wanted] of cases) {
      await Deno.remove(folder, { recursive: true }).catch(() => {});
      for (const [name, content] of Object.entries(files)) {
        await Deno.mkdir(folder, { recursive: true });
        await Deno.writeFile(
          join(folder, name),
          typeof content === "string" ? new TextEncoder().encode(content) : content!,
        );
      }
      const { message } = await assertRejects(() => loadModel(tf, folder), MlflowError);
      assert(message.startsWith(`Cannot load model "${folder}": ${wanted}`), `${what}: ${message}`);
    }
    // tfjs itself finds out that weights are missing.
    await Deno.writeFile(join(folder, "weights.bin"), WEIGHTS.slice(0, 8));
    await Deno.writeTextFile(join(folder, "model.json"), MODEL);
    await assertRejects(() => loadModel(tf, folder));
    const unregistered = await assertRejects(() => loadModel(tf, "models:/name/1"), MlflowError);
    assertEquals(
      unregistered.message,
      'Cannot load model "models:/name/1": Model Version (name=name, version=1) not found (RESOURCE_DOES_NOT_EXIST)',
    );
    const none = `m-${"0".repeat(32)}`;
    const missing = await assertRejects(() => loadModel(tf, `models:/${none}`), MlflowError);
    assertEquals(
      missing.message,
      `Cannot load model "models:/${none}": Logged model with ID '${none}' not found. (RESOURCE_DOES_NOT_EXIST)`,
    );
  });
});

for (const version of ["3.17.2", "3.1.0"] as const) {
  mlflowTest(`MLflow ${version} reads a logged model and its MLmodel`, { version }, async (mlflow: Mlflow) => {
    await tracked(mlflow.dir, async ({ client, dir, runId }) => {
      const logged = await onCpu(async () => {
        await client.logParam(runId, "epochs", 3);
        await client.logBatch(runId, { metrics: [{ key: "acc", value: 0.9, step: 2, timestamp: 5 }] });
        const options = {
          name: "two",
          step: 2,
          modelType: "classifier",
          params: { extra: true },
          tags: { stage: "x" },
        };
        const two = await client.logModel(runId, twoInputs(), options);
        return [two, await client.logModel(runId, small())];
      });
      const read = await mlflow.python<Record<string, unknown>[]>(
        `
        import mlflow
        from mlflow.models import Model
        mlflow.set_tracking_uri(args["uri"])
        client = mlflow.MlflowClient()
        def specs(schema):
            return [[s.name, str(s.type), list(s.shape)] for s in schema.inputs]
        result = []
        for model_id, location in args["models"]:
            file = Model.load(location)
            entity = client.get_logged_model(model_id)
            found = client.search_logged_models([entity.experiment_id], filter_string=f"model_id = '{model_id}'") if hasattr(client, "search_logged_models") else [entity]
            info = mlflow.models.get_model_info(location)
            result.append({
                "flavors": {k: dict(v) for k, v in file.flavors.items()},
                "ids": [file.model_id, file.run_id, file.model_uuid, info.run_id],
                "size": file.model_size_bytes, "time": str(file.utc_time_created), "path": str(file.artifact_path),
                "inputs": specs(file.signature.inputs), "outputs": specs(file.signature.outputs), "params": file.signature.params,
                "entity": [entity.name, str(entity.status), entity.model_type, entity.source_run_id, entity.params, entity.tags,
                           entity.artifact_location, [[m.key, m.value, m.step, m.timestamp, m.run_id, m.model_id] for m in entity.metrics]],
                "found": [m.model_id for m in found],
                "version": file.mlflow_version is None or isinstance(file.mlflow_version, str),
            })
        result.append({"outputs": [[o.model_id, o.step] for o in client.get_run(args["run_id"]).outputs.model_outputs],
                       "artifacts": sorted(f.path for f in client.list_artifacts(args["run_id"]))})
        `,
        {
          uri: getTrackingUri(),
          run_id: runId,
          models: logged.map(({ modelId, artifactLocation }) => [modelId, artifactLocation]),
        },
      );
      const [two, one, run] = read;
      const [{ modelId, artifactLocation }, plain] = logged;
      const sizes = await Promise.all(
        FILES.filter((path) => path !== "MLmodel").map(async (path) =>
          (await Deno.stat(join(artifactLocation, path))).size
        ),
      );
      assertEquals({ ...two, time: undefined, flavors: Object.keys(two.flavors as object) }, {
        flavors: ["keras", "python_function", "tensorflowjs"],
        ids: [modelId, runId, modelId, runId],
        size: sizes.reduce((sum, size) => sum + size),
        time: undefined,
        path: artifactLocation,
        inputs: [["image.a-b", "float32", [-1, 8, 8, 3]], ["words_1_2", "float32", [-1, 5]]],
        outputs: [["class/a.b", "float32", [-1, 2]], ["no", "float32", [-1, 1]]],
        params: null,
        entity: [
          "two",
          "READY",
          "classifier",
          runId,
          { epochs: "3", extra: "True" },
          { "mlflow.user": "me", stage: "x" },
          join(dir, "artifacts", "models", modelId, "artifacts"),
          [["acc", 0.9, 2, 5, runId, modelId]],
        ],
        found: [modelId],
        version: true,
      });
      assert(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$/.test(String(two.time)), String(two.time));
      assertEquals(one.inputs, [[null, "float32", [-1, 3]]]);
      assertEquals((run.outputs as unknown[]).sort(), [[modelId, 2], [plain.modelId, 0]].sort());
    });
  });
}
