import * as tf from "@tensorflow/tfjs";
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { loadCheckpoint, mlflowCheckpoint, type MlflowCheckpointOptions } from "../checkpoint.ts";
import { mlflowCallback } from "../callback.ts";
import { MlflowClient } from "../client.ts";
import { MlflowError } from "../errors.ts";
import { withRun } from "../fluent.ts";
import { loadModel } from "../models.ts";
import { Run } from "../run.ts";
import { setTrackingUri } from "../tracking/tracking_uri.ts";

await tf.setBackend("cpu");

const x = tf.tensor2d([[0, 0], [0, 1], [1, 0], [1, 1]]);
const y = tf.tensor2d([[0], [1], [1], [0]]);
const SILENT = { verbose: 0, shuffle: false, batchSize: 2 } as const;
const LATEST = "mlflow.latest_checkpoint_artifact";

interface Place {
  readonly client: MlflowClient;
  readonly run: Run;
}

/** Registers a test with a run in a store of its own, which is the default one. */
function test(name: string, check: (place: Place) => Promise<void>): void {
  Deno.test(name, async () => {
    const dir = await Deno.makeTempDir();
    const before = Deno.env.get("MLFLOW_TRACKING_URI");
    try {
      const uri = `sqlite:///${dir}/mlflow.db`;
      setTrackingUri(uri);
      const client = new MlflowClient(uri);
      const experimentId = await client.createExperiment("c", { artifactLocation: join(dir, "artifacts") });
      await using run = new Run(client, await client.createRun({ experimentId }));
      await check({ client, run });
    } finally {
      setTrackingUri(before ?? "");
      await Deno.remove(dir, { recursive: true });
    }
  });
}

function compiled(optimizer: tf.Optimizer | string = tf.train.adam(0.1)): tf.Sequential {
  const model = tf.sequential({
    layers: [
      tf.layers.dense({
        units: 3,
        inputShape: [2],
        activation: "relu",
        kernelInitializer: tf.initializers.glorotUniform({ seed: 3 }),
      }),
      tf.layers.dense({ units: 1, kernelInitializer: tf.initializers.glorotUniform({ seed: 4 }) }),
    ],
  });
  model.compile({ optimizer, loss: "meanSquaredError", metrics: ["accuracy"] });
  return model;
}

const weightsOf = (model: tf.LayersModel) => model.getWeights().map((weight) => [...weight.dataSync()]);

async function files({ client, run }: Place, path = "checkpoints"): Promise<string[]> {
  const found = await client.listArtifacts(run.runId, path);
  const nested = found.map((file) => file.isDir ? files({ client, run }, file.path) : Promise.resolve([file.path]));
  return (await Promise.all(nested)).flat().map((file) => file.replace(/^checkpoints\//, ""));
}

/** Calls a checkpoint's callback as tfjs would, with these values an epoch. */
async function tell({ run }: Place, options: MlflowCheckpointOptions, logs: Record<string, number>[]): Promise<void> {
  const callback = mlflowCheckpoint({ model: compiled(), run, ...options });
  await callback.onTrainBegin();
  for (const [epoch, values] of logs.entries()) {
    await callback.onEpochEnd(epoch, values);
    // Each one is written before the next is looked at.
    await callback.onTrainEnd();
  }
}

/** The epochs of the checkpoints that are kept. */
async function kept(place: Place, options: MlflowCheckpointOptions, values: number[], name = "val_loss") {
  const epochs: number[] = [];
  const run: MlflowCheckpointOptions["run"] = {
    logBytes: () => Promise.resolve(),
    logDict: (value, path) => {
      if (path.includes("metrics")) epochs.push((value as { epoch: number }).epoch);
      return Promise.resolve();
    },
    setTag: () => Promise.resolve(),
  };
  await tell(place, { ...options, run }, values.map((value) => ({ [name]: value, loss: 1 })));
  return epochs;
}

test("mlflowCheckpoint() keeps the best model of a fit()", async (place) => {
  const model = compiled();
  const { history } = await model.fit(x, y, {
    ...SILENT,
    epochs: 4,
    validationData: [x, y],
    callbacks: mlflowCheckpoint({ run: place.run, model }),
  });
  assertEquals(await files(place), [
    "latest_checkpoint.keras",
    "latest_checkpoint.tfjs/model.json",
    "latest_checkpoint.tfjs/weights.bin",
    "latest_checkpoint_metrics.json",
  ]);
  const losses = history.val_loss as number[];
  const best = losses.indexOf(Math.min(...losses));
  assertEquals(await place.run.loadDict("checkpoints/latest_checkpoint_metrics.json"), {
    loss: history.loss[best],
    accuracy: history.acc[best],
    val_loss: losses[best],
    val_accuracy: history.val_acc[best],
    epoch: best,
    global_step: 2 * (best + 1),
  });
  assertEquals((await place.run.get()).data.tags[LATEST], "checkpoints/latest_checkpoint.keras");
});

test("mlflowCheckpoint() goes by monitor and mode, and NaN is better than nothing alone", async (place) => {
  assertEquals(await kept(place, {}, [3, 2, 2, 4, 1]), [0, 1, 4]);
  assertEquals(await kept(place, { mode: "max" }, [3, 2, 4, 4]), [0, 2]);
  assertEquals(await kept(place, { mode: "max", monitor: "val_acc" }, [0.1, 0.2], "val_accuracy"), [0, 1]);
  assertEquals(await kept(place, { mode: "max", monitor: "val_accuracy" }, [0.1, 0.2], "val_acc"), [0, 1]);
  assertEquals(await kept(place, {}, [NaN, NaN, 2, NaN, 3, 1]), [0, 2, 5]);
  assertEquals(await kept(place, { saveBestOnly: false }, [3, 4, 5]), [0, 1, 2]);
});

test("mlflowCheckpoint() tells once of a metric that is not there", async (place) => {
  const errors: string[] = [];
  await tell(place, { onError: (error) => errors.push(String(error)) }, [{ loss: 1 }]);
  assertEquals(errors, ['Error: Cannot keep the best checkpoint: no metric is called "val_loss", found loss']);
  assertEquals(await files(place), []);
});

test("mlflowCheckpoint() keeps every epoch, or every so many batches, with or without the optimizer", async (place) => {
  const fit = async (options: MlflowCheckpointOptions) => {
    const model = compiled();
    const callbacks = mlflowCheckpoint({ run: place.run, model, saveBestOnly: false, ...options });
    await model.fit(x, y, { ...SILENT, epochs: 3, callbacks });
    return (await place.run.get()).data.tags[LATEST];
  };
  assertEquals(await fit({}), "checkpoints/epoch_2/checkpoint.keras");
  assertEquals(await fit({ saveFreq: 4 }), "checkpoints/global_step_4/checkpoint.keras");
  assertEquals(await fit({ saveWeightsOnly: true }), "checkpoints/epoch_2/checkpoint.weights.h5");
  const names = (folder: string, kind: string) => [
    `${folder}/checkpoint${kind}${kind === "" ? ".keras" : ".h5"}`,
    `${folder}/checkpoint${kind}.tfjs/model.json`,
    `${folder}/checkpoint${kind}.tfjs/weights.bin`,
  ];
  const epochs = [0, 1, 2].map((epoch) => `epoch_${epoch}`);
  assertEquals(
    (await files(place)).sort(),
    [
      ...epochs.flatMap((epoch) => [
        ...names(epoch, ""),
        ...names(epoch, ".weights"),
        `${epoch}/checkpoint_metrics.json`,
      ]),
      ...names("global_step_4", ""),
      "global_step_4/checkpoint_metrics.json",
    ].sort(),
  );
  const size = (path: string) => place.client.readArtifact(place.run.runId, path).then(({ length }) => length);
  const weights = 4 * (2 * 3 + 3 + 3 + 1);
  assertEquals(await size("checkpoints/epoch_0/checkpoint.weights.tfjs/weights.bin"), weights);
  // Adam keeps two values for each weight, and the number of batches.
  assertEquals(await size("checkpoints/epoch_0/checkpoint.tfjs/weights.bin"), 3 * weights + 4);
});

test("mlflowCheckpoint() keeps no copy for Python where that is not wanted, or Keras has no like", async (place) => {
  const unlike = tf.sequential({
    layers: [tf.layers.dense({ units: 1, inputShape: [2] }), tf.layers.activation({ activation: "hardSigmoid" })],
  });
  unlike.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  for (const [model, pythonCopy] of [[compiled(), false], [unlike, true]] as const) {
    const errors: string[] = [];
    const callbacks = mlflowCheckpoint({
      run: place.run,
      model,
      monitor: "loss",
      pythonCopy,
      onError: (error) => errors.push(String(error)),
    });
    await model.fit(x, y, { ...SILENT, epochs: 1, callbacks });
    assertEquals((await files(place)).filter((path) => path.endsWith(".keras")), []);
    assertEquals((await place.run.get()).data.tags[LATEST], "checkpoints/latest_checkpoint.tfjs");
    assertEquals(errors.length, pythonCopy ? 1 : 0);
    if (pythonCopy) assertStringIncludes(errors[0], "The checkpoints are kept without copies for Python: ");
    assertEquals(weightsOf((await loadCheckpoint(tf, { runId: place.run.runId })).model), weightsOf(model));
  }
});

test("mlflowCheckpoint() makes models of their own, each with its step and the metrics of it", async (place) => {
  const { client, run } = place;
  const model = compiled();
  const weights: number[][][] = [];
  await model.fit(x, y, {
    ...SILENT,
    epochs: 3,
    callbacks: [
      new tf.CustomCallback(mlflowCallback({ run })),
      new tf.CustomCallback({ onEpochEnd: () => void weights.push(weightsOf(model)) }),
      new tf.CustomCallback(mlflowCheckpoint({ run, model, saveAs: "model", saveBestOnly: false })),
    ],
  });
  const { outputs } = await run.get();
  assertEquals(outputs.modelOutputs.map(({ step }) => step).sort(), [0, 1, 2]);
  for (const { modelId, step } of outputs.modelOutputs) {
    const logged = await client.getLoggedModel(modelId);
    assertEquals([logged.name, logged.status], [`checkpoint-${step}`, "READY"]);
    assertEquals(logged.metrics.map((metric) => metric.step), [step, step]);
    const loaded = await loadModel(tf, `models:/${modelId}`) as tf.LayersModel;
    assertEquals(weightsOf(loaded), weights[step]);
    assertEquals(loaded.optimizer.iterations, 2 * (step + 1));
  }
  assertEquals((await run.get()).data.tags[LATEST], undefined);
});

test("mlflowCheckpoint() stands behind tf.callbacks.earlyStopping() and takes the model from tfjs", async (place) => {
  await compiled().fit(x, y, {
    ...SILENT,
    epochs: 2,
    callbacks: [
      tf.callbacks.earlyStopping({ monitor: "loss" }),
      mlflowCheckpoint({ run: place.run, monitor: "loss" }),
    ],
  });
  assert((await files(place)).includes("latest_checkpoint.tfjs/model.json"));
});

test("mlflowCheckpoint() waits for no store, and keeps the newest of those that wait", async ({ run }) => {
  const gate = Promise.withResolvers<void>();
  const written: number[] = [];
  const slow: MlflowCheckpointOptions["run"] = {
    logBytes: () => gate.promise,
    logDict: (value) => Promise.resolve(void written.push((value as { epoch: number }).epoch)),
    setTag: () => Promise.resolve(),
  };
  const callback = mlflowCheckpoint({ run: slow, model: compiled() });
  await callback.onTrainBegin();
  for (const [epoch, val_loss] of [5, 4, 3, 2].entries()) await callback.onEpochEnd(epoch, { val_loss });
  assertEquals(written, []);
  gate.resolve();
  await callback.onTrainEnd();
  assertEquals(written.filter((epoch) => epoch !== undefined), [0, 3]);
  assertEquals(run.ended, false);
});

test("mlflowCheckpoint() leaves the optimizer's state out where tfjs cannot tell it, and says so", async (place) => {
  const model = compiled(tf.train.adamax(0.1));
  const errors: string[] = [];
  const callbacks = mlflowCheckpoint({
    run: place.run,
    model,
    monitor: "loss",
    onError: (error) => errors.push(String(error)),
  });
  await model.fit(x, y, { ...SILENT, epochs: 1, callbacks });
  assertEquals(errors.length, 1);
  assertStringIncludes(
    errors[0],
    "The optimizer's state is left out of the checkpoints: getWeights() is not implemented",
  );
  const loaded = await loadCheckpoint(tf, { runId: place.run.runId });
  assertEquals(weightsOf(loaded.model), weightsOf(model));
});

test("mlflowCheckpoint() lets the training go on where nothing can be written", async ({ client, run }) => {
  const errors: unknown[] = [];
  await client.deleteRun(run.runId);
  const model = compiled();
  const { epoch } = await model.fit(x, y, {
    ...SILENT,
    epochs: 3,
    callbacks: mlflowCheckpoint({ run, model, saveBestOnly: false, onError: (error) => errors.push(error) }),
  });
  await client.restoreRun(run.runId);
  assertEquals([epoch.length, errors.length], [3, 3]);
  assert(errors.every((error) => error instanceof MlflowError));
});

test("mlflowCheckpoint() takes only options that make sense", async () => {
  assertThrows(
    () => mlflowCheckpoint({ mode: "auto" as "min" }),
    TypeError,
    `mode must be "min" or "max": received "auto"`,
  );
  for (const saveFreq of [0, -1, 1.5, NaN]) assertThrows(() => mlflowCheckpoint({ saveFreq }), RangeError, "saveFreq");
});

const OPTIMIZERS: Record<string, () => tf.Optimizer> = {
  sgd: () => tf.train.sgd(0.1),
  momentum: () => tf.train.momentum(0.1, 0.9),
  adam: () => tf.train.adam(0.05),
  rmsprop: () => tf.train.rmsprop(0.01),
  adagrad: () => tf.train.adagrad(0.1),
  adadelta: () => tf.train.adadelta(0.5),
};
for (const [name, optimizer] of Object.entries(OPTIMIZERS)) {
  test(`loadCheckpoint() goes on with ${name} where the training stood`, async ({ run }) => {
    const model = compiled(optimizer());
    const callbacks = mlflowCheckpoint({ run, model, saveBestOnly: false });
    const whole = await model.fit(x, y, { ...SILENT, epochs: 6, callbacks });
    const { model: loaded, epoch, globalStep, metrics } = await loadCheckpoint(tf, { runId: run.runId, epoch: 2 });
    assertEquals([epoch, globalStep, metrics.loss], [2, 6, whole.history.loss[2] as number]);
    const rest = await loaded.fit(x, y, { ...SILENT, epochs: 6, initialEpoch: epoch + 1 });
    const differences = (rest.history.loss as number[]).map((loss, i) =>
      Math.abs(loss - (whole.history.loss[i + 3] as number))
    );
    // Adam computes its powers anew where it multiplied them before.
    assert(Math.max(...differences) < 1e-6, `losses differ by ${differences}`);
    assertEquals(loaded.optimizer.iterations, 12);
  });
}

test("loadCheckpoint() loads the latest, of an epoch or of a step, from the active run too", async () => {
  await withRun(async (run) => {
    const model = compiled();
    await model.fit(x, y, {
      ...SILENT,
      epochs: 2,
      callbacks: mlflowCheckpoint({ model, saveBestOnly: false, saveFreq: 1 }),
    });
    const latest = await loadCheckpoint(tf);
    assertEquals([latest.epoch, latest.globalStep], [1, 4]);
    assertEquals(weightsOf(latest.model), weightsOf(model));
    assertEquals((await loadCheckpoint(tf, { globalStep: 2 })).epoch, 0);
    await run.logDict({ epoch: 1, global_step: 2 }, "checkpoints/latest_checkpoint_metrics.json");
    await run.setTag(LATEST, "checkpoints/latest_checkpoint.h5");
    await assertRejects(() => loadCheckpoint(tf), MlflowError, "is of Keras alone, which tfjs cannot read");
  });
});

test("loadCheckpoint() takes no weights of one checkpoint for those of another", async ({ client, run }) => {
  const model = compiled();
  const keep = () =>
    model.fit(x, y, { ...SILENT, epochs: 1, callbacks: mlflowCheckpoint({ run, model, monitor: "loss" }) });
  const weights = "checkpoints/latest_checkpoint.tfjs/weights.bin";
  await keep();
  const earlier = await client.readArtifact(run.runId, weights);
  await keep();
  await loadCheckpoint(tf, { runId: run.runId });
  // As where the second one was cut off before its weights were written.
  await client.logBytes(run.runId, earlier, weights);
  await assertRejects(() => loadCheckpoint(tf, { runId: run.runId }), MlflowError, "weights.bin is damaged");
});

test("loadCheckpoint() says what is missing", async ({ run }) => {
  await assertRejects(
    () => loadCheckpoint(tf),
    MlflowError,
    "Cannot load a checkpoint: no run is active, and no runId is given",
  );
  const { runId } = run;
  await assertRejects(() => loadCheckpoint(tf, { runId }), MlflowError, `run "${runId}" has no checkpoint`);
  await assertRejects(() => loadCheckpoint(tf, { runId, epoch: 1, globalStep: 2 }), MlflowError, "only one of");
  await tell({ run } as Place, { saveBestOnly: false }, [{ val_loss: 1 }]);
  const error = await assertRejects(() => loadCheckpoint(tf, { runId, epoch: 7 }), MlflowError);
  assertEquals(error.code, "RESOURCE_DOES_NOT_EXIST");
});
