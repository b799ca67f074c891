/** Autologging beside Python's: what it leaves in a run, and what Python reads of it. */
import * as tf from "@tensorflow/tfjs";
import { assert, assertEquals } from "@std/assert";
import { autolog } from "../autolog.ts";
import { mlflowCheckpoint } from "../checkpoint.ts";
import { MlflowClient } from "../client.ts";
import type { RunRecord } from "../entities.ts";
import { setExperiment, withRun } from "../fluent.ts";
import { setTrackingUri } from "../tracking/tracking_uri.ts";
import { withEnv } from "./support/env.ts";
import { kerasTest } from "./support/keras.ts";
import { PYTHON_AUTOLOG, type TrackedTraining, type TrackedTrainings } from "./support/python_autolog.ts";

await tf.setBackend("cpu");

/** What Python's `mlflow.keras.autolog()` and `mlflow.tensorflow.autolog()` leave of each training. */
type Recorded = Readonly<Record<"keras" | "tensorflow", TrackedTrainings>>;

const RECORDED: Recorded = JSON.parse(
  Deno.readTextFileSync(new URL("./testdata/autolog/mlflow-3.17.2.json", import.meta.url)),
);

/** Why Python has what we have not, by what is compared. */
const PYTHON_ALONE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  params: {
    ...Object.fromEntries(
      [
        "amsgrad",
        "clipnorm",
        "clipvalue",
        "ema_momentum",
        "ema_overwrite_frequency",
        "global_clipnorm",
        "gradient_accumulation_steps",
        "loss_scale_factor",
        "use_ema",
        "weight_decay",
      ].map((name) => [`optimizer_${name}`, "tfjs's Adam has no such setting"]),
    ),
    validation_freq: "tfjs validates after each epoch",
    validation_batch_size: "tfjs's fit() validates by the batch size of the training",
    shuffle: "tfjs's fitDataset() has no such setting, and Keras does not heed it there",
    validation_split: "tfjs's fitDataset() has no such setting, and Keras refuses it there",
    sample_weight: "tfjs's fitDataset() has no such setting, and Keras refuses it there",
  },
  metrics: {
    validation_loss: "val_loss once more, each epoch's at step 0",
    validation_accuracy: "val_accuracy once more, each epoch's at step 0",
  },
  artifacts: { "checkpoints/latest_checkpoint.h5": "we write Keras's newer format, .keras" },
};

/** Why we have what Python has not. */
const OURS_ALONE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  params: {},
  metrics: {},
  artifacts: {
    "checkpoints/latest_checkpoint.keras": "instead of Python's .h5",
    "checkpoints/latest_checkpoint.tfjs/model.json": "the checkpoint as tfjs loads it",
    "checkpoints/latest_checkpoint.tfjs/weights.bin": "the checkpoint as tfjs loads it",
    "plots/accuracy.png": "beyond Python",
    "plots/loss.png": "beyond Python",
  },
};

/** Why values of the same name differ. */
const VALUES: Readonly<Record<string, string>> = {
  optimizer_learning_rate: "Keras keeps it as a float32",
  optimizer_name: "Keras counts the optimizers of a program: adam_1",
  validation_split: "0.0: JavaScript has one kind of number",
};

function compiled(): tf.Sequential {
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ units: 4, inputShape: [2], activation: "relu" }),
      tf.layers.dense({ units: 1, activation: "sigmoid" }),
    ],
  });
  model.compile({ optimizer: tf.train.adam(0.01), loss: "meanSquaredError", metrics: ["accuracy"] });
  return model;
}

/** Does what `PYTHON_AUTOLOG` does, and tells the same of it. */
async function trackOurs(uri: string): Promise<TrackedTrainings> {
  const client = new MlflowClient(uri);
  const x = tf.randomUniform([20, 2], 0, 1, "float32", 1);
  const y = tf.cast(tf.greater(tf.sum(x, 1, true), 1), "float32");
  const rows = (tensor: tf.Tensor) => tf.data.array(tensor.arraySync() as number[][]);
  const experiment = await setExperiment("ours");
  autolog(tf, { silent: true });
  try {
    await compiled().fit(x, y, {
      epochs: 6,
      batchSize: 5,
      verbose: 0,
      validationData: [x.slice(0, 10), y.slice(0, 10)],
      callbacks: tf.callbacks.earlyStopping({ monitor: "val_loss", minDelta: 10, patience: 1 }),
    });
    const batches = tf.data.zip({ xs: rows(x), ys: rows(y) }).batch(4);
    const data = batches as tf.data.Dataset<tf.TensorContainer>;
    await compiled().fitDataset(data, { epochs: 2, verbose: 0, validationData: data.take(2) });
    const callbacks = { onEpochEnd: () => Promise.reject(new Error("broken")) };
    await compiled().fit(x, y, { epochs: 2, verbose: 0, callbacks }).catch(() => {});
  } finally {
    autolog(tf, { disable: true });
  }
  const runs = await client.searchRuns({
    experimentIds: [experiment.experimentId],
    orderBy: ["start_time ASC"],
  }).toArray();
  const [fit, dataset, failed] = await Promise.all(runs.map((run) => tracked(client, run)));
  return { fit, dataset, failed };
}

async function tracked(client: MlflowClient, { info, data, inputs, outputs }: RunRecord): Promise<TrackedTraining> {
  const paths = async (path?: string): Promise<string[]> => {
    const files = await client.listArtifacts(info.runId, path);
    return (await Promise.all(files.map((file) => file.isDir ? paths(file.path) : [file.path]))).flat();
  };
  const stepsOf = async (key: string) => {
    const history = await client.getMetricHistory(info.runId, key);
    return [key, history.map(({ step }) => step).sort((a, b) => a - b)] as const;
  };
  const models = outputs.modelOutputs.map(async ({ modelId, step }) => {
    const { name, metrics } = await client.getLoggedModel(modelId);
    return { name, step, metrics: metrics.map(({ key, step }) => `${key} ${step}`).sort() };
  });
  return {
    status: info.status,
    params: data.params,
    metrics: Object.fromEntries(await Promise.all(Object.keys(data.metrics).map(stepsOf))),
    tags: Object.fromEntries(
      Object.entries(data.tags).filter(([key]) => !/source|user|runName/.test(key)),
    ),
    artifacts: (await paths()).filter((path) => !path.startsWith("model/")).sort(),
    inputs: inputs.datasetInputs.map(({ dataset, tags }) => ({
      context: tags["mlflow.data.context"],
      schema: JSON.parse(dataset.schema!),
      profile: JSON.parse(dataset.profile!),
    })),
    outputs: await Promise.all(models),
  };
}

/** What both flavors of Python's leave, by our names of the optimizer's settings. */
function python(which: keyof TrackedTrainings): Record<"keras" | "tensorflow" | "both", TrackedTraining> {
  const { keras, tensorflow } = { keras: RECORDED.keras[which], tensorflow: RECORDED.tensorflow[which] };
  const params = Object.entries(tensorflow.params).map(([key, value]) => [key.replace(/^opt_/, "optimizer_"), value]);
  return {
    keras,
    tensorflow,
    both: {
      ...keras,
      params: { ...keras.params, ...Object.fromEntries(params) },
      metrics: { ...keras.metrics, ...tensorflow.metrics },
      artifacts: [...new Set([...keras.artifacts, ...tensorflow.artifacts])].sort(),
    },
  };
}

/** Holds what is there to what Python has, but for the differences that have a reason. */
function compareNames(what: string, ours: readonly string[], theirs: readonly string[]): void {
  const missing = theirs.filter((name) => !ours.includes(name) && !(name in PYTHON_ALONE[what]));
  const more = ours.filter((name) => !theirs.includes(name) && !(name in OURS_ALONE[what]));
  assertEquals({ missing, more }, { missing: [], more: [] }, what);
}

Deno.test("autolog() leaves in a run what Python's autolog leaves, but for differences that have a reason", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const uri = `sqlite:///${dir}/mlflow.db`;
    const trainings = await withEnv({ MLFLOW_TRACKING_URI: uri, MLFLOW_EXPERIMENT_ID: undefined }, async () => {
      Deno.chdir(dir);
      setTrackingUri(uri);
      return await trackOurs(uri).finally(() => setTrackingUri(""));
    });
    for (const which of ["fit", "dataset", "failed"] as const) {
      const ours = trainings[which];
      const { keras, tensorflow, both } = python(which);
      assertEquals(ours.status, both.status);
      compareNames("params", Object.keys(ours.params), Object.keys(both.params));
      for (const [key, value] of Object.entries(ours.params)) {
        if (!(key in VALUES) && both.params[key] !== "None") assertEquals(value, both.params[key], `${which}: ${key}`);
      }
      compareNames("metrics", Object.keys(ours.metrics), Object.keys(both.metrics));
      for (const [key, steps] of Object.entries(ours.metrics)) assertEquals(steps, both.metrics[key], key);
      compareNames("artifacts", ours.artifacts, both.artifacts);
      assertEquals(Object.keys(ours.tags).sort(), Object.keys(RECORDED.tensorflow[which].tags).sort());
      assertEquals(ours.inputs.map(({ context }) => context), keras.inputs.map(({ context }) => context));
      // Of a dataset Python calls inputs and targets "0" and "1", we tell them apart.
      if (which !== "dataset") assertEquals(ours.inputs, keras.inputs.map(compact));
      else assertEquals(ours.inputs.map(({ profile }) => profile), keras.inputs.map(({ profile }) => profile));
      assertEquals(
        ours.outputs.map(({ name, step }) => [name, step]),
        keras.outputs.map(({ name, step }) => [name, step]),
      );
      // As tensorflow's, the model has the last value of each metric; keras's has all of them.
      const linked = ({ outputs }: TrackedTraining) =>
        outputs.map(({ metrics }) =>
          metrics.map((metric) => metric.split(" ")[0]).filter((key) => key in ours.metrics)
        );
      assertEquals(linked(ours), linked(tensorflow));
    }
  } finally {
    Deno.chdir(new URL("..", import.meta.url));
    await Deno.remove(dir, { recursive: true });
  }
});

/** A schema holds JSON texts, which Python writes with spaces. */
function compact(input: TrackedTraining["inputs"][number]): TrackedTraining["inputs"][number] {
  const { features, targets } = (input.schema as { mlflow_tensorspec: { features: string; targets: string } })
    .mlflow_tensorspec;
  const text = (json: string) => JSON.stringify(JSON.parse(json));
  return { ...input, schema: { mlflow_tensorspec: { features: text(features), targets: text(targets) } } };
}

kerasTest("Python's autolog still leaves what was recorded of it", async (mlflow) => {
  assertEquals(await mlflow.python(PYTHON_AUTOLOG, ["keras", "tensorflow"]), RECORDED as unknown);
});

kerasTest("Python reads a run of autolog(), and opens its model and its checkpoints", async (mlflow) => {
  const MLFLOW_TRACKING_URI = `sqlite:///${mlflow.dir}/mlflow.db`;
  const x = tf.randomUniform([20, 2], 0, 1, "float32", 1);
  const y = tf.cast(tf.greater(tf.sum(x, 1, true), 1), "float32");
  const model = compiled();
  const given = { epochs: 3, verbose: 0, validationData: [x, y] as [tf.Tensor, tf.Tensor] };
  const predictions: number[][] = [];
  const predict = () => void predictions.push([...(model.predict(x) as tf.Tensor).dataSync()]);
  const runIds: Record<string, string> = {};
  await withEnv({ MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_ID: undefined }, async () => {
    Deno.chdir(mlflow.dir);
    setTrackingUri(MLFLOW_TRACKING_URI);
    autolog(tf, { silent: true, checkpointSaveBestOnly: false, logInputExamples: true });
    try {
      await withRun(async (run) => {
        runIds.epochs = run.runId;
        await model.fit(x, y, { ...given, callbacks: { onEpochEnd: predict } });
      });
      await withRun(async (run) => {
        runIds.weights = run.runId;
        const callbacks = [
          new tf.CustomCallback(mlflowCheckpoint({ run, model, saveWeightsOnly: true, monitor: "val_loss" })),
        ];
        await model.fit(x, y, { ...given, epochs: 1, callbacks });
        predict();
      });
    } finally {
      autolog(tf, { disable: true });
      setTrackingUri("");
      Deno.chdir(new URL("..", import.meta.url));
    }
  });
  const read = await mlflow.python<Record<string, number[] | string>>(
    `
    import os
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras, mlflow, numpy as np
    x = np.array(args["x"], dtype="float32").reshape(20, 2)
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    flat = lambda values: np.asarray(values).ravel().astype(float).tolist()
    run_id = args["epochs"]
    run = mlflow.get_run(run_id)
    logged = mlflow.get_logged_model(run.outputs.model_outputs[0].model_id)
    empty = keras.Sequential([
        keras.Input((2,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(1, activation="sigmoid"),
    ])
    uri = f"models:/{logged.model_id}"
    result = {
        "status": run.info.status,
        "model": logged.status.value,
        "latest": flat(mlflow.tensorflow.load_checkpoint(run_id=run_id)(x)),
        "first": flat(mlflow.tensorflow.load_checkpoint(run_id=run_id, epoch=0)(x)),
        "weights": flat(mlflow.tensorflow.load_checkpoint(model=empty, run_id=args["weights"])(x)),
        "keras": flat(mlflow.keras.load_model(uri)(x)),
        "pyfunc": flat(mlflow.pyfunc.load_model(uri).predict(x)),
        "example": flat(mlflow.models.Model.load(uri).load_input_example(uri)),
        "metrics": sorted(f"{metric.key} {metric.step}" for metric in logged.metrics),
    }
    `,
    { x: [...x.dataSync()], ...runIds },
  );
  assertEquals([read.status, read.model], ["FINISHED", "READY"]);
  const near = (name: string, wanted: number[]) => {
    const difference = Math.max(...(read[name] as number[]).map((value, i) => Math.abs(value - wanted[i])));
    assert(difference < 1e-5, `${name} differs by ${difference}`);
  };
  const [first, , latest, weights] = predictions;
  near("first", first);
  for (const name of ["latest", "keras", "pyfunc"]) near(name, latest);
  near("weights", weights);
  near("example", [...x.slice(0, 5).dataSync()]);
  assertEquals((read.metrics as unknown as string[]).length, 4);
});
