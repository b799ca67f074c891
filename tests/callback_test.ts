import * as tf from "@tensorflow/tfjs";
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { mlflowCallback, type MlflowCallbackOptions } from "../callback.ts";
import { MlflowClient } from "../client.ts";
import { MlflowError } from "../errors.ts";
import { activeRun, endRun } from "../fluent.ts";
import { Run } from "../run.ts";
import { setTrackingUri } from "../tracking/tracking_uri.ts";

await tf.setBackend("cpu");

const x = tf.tensor2d([[0, 0], [0, 1], [1, 0], [1, 1]]);
const y = tf.tensor2d([[0], [1], [1], [0]]);

interface Compiled {
  readonly optimizer?: string | tf.Optimizer;
  readonly loss?: string;
  readonly metrics?: string[];
}

function compiled(
  { optimizer = "sgd", loss = "meanSquaredError", metrics = ["accuracy"] }: Compiled = {},
): tf.Sequential {
  const model = tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [2], activation: "sigmoid" })] });
  model.compile({ optimizer, loss, metrics });
  return model;
}

interface Place {
  readonly client: MlflowClient;
  readonly run: Run;
}

function test(name: string, check: (place: Place) => Promise<void>): void {
  Deno.test(`mlflowCallback() ${name}`, async () => {
    const dir = await Deno.makeTempDir();
    try {
      const client = new MlflowClient("sqlite:///:memory:");
      const experimentId = await client.createExperiment(dir, { artifactLocation: join(dir, "artifacts") });
      await using run = new Run(client, await client.createRun({ experimentId }));
      await check({ client, run });
      if ((await client.getRun(run.runId)).info.lifecycleStage === "deleted") await client.restoreRun(run.runId);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

/** The steps and values of each metric of the run. */
async function histories({ client, run }: Place): Promise<Record<string, [number, number][]>> {
  const keys = Object.keys((await run.get()).data.metrics).sort();
  return Object.fromEntries(
    await Promise.all(keys.map(async (key) => {
      const history = await client.getMetricHistory(run.runId, key);
      return [key, history.map(({ step, value }) => [step, value]).sort((a, b) => a[0] - b[0])];
    })),
  );
}

const SILENT = { verbose: 0, shuffle: false } as const;

/** What tfjs's own history says, by our names. */
const wanted = (values: readonly (number | tf.Tensor)[]) => values.map((value, step) => [step, value as number]);

test("logs what fit() tells at each epoch's end, from step 0, by Keras's names", async (place) => {
  const { history } = await compiled().fit(x, y, {
    ...SILENT,
    epochs: 3,
    validationData: [x, y],
    callbacks: mlflowCallback({ run: place.run }),
  });
  assertEquals(Object.keys(history).sort(), ["acc", "loss", "val_acc", "val_loss"]);
  const { acc, loss, val_acc, val_loss } = history;
  assertEquals(await histories(place) as unknown, {
    accuracy: wanted(acc),
    loss: wanted(loss),
    val_accuracy: wanted(val_acc),
    val_loss: wanted(val_loss),
  });
  assertEquals((await place.run.get()).data.params, {});
  assertEquals(await place.run.listArtifacts(), []);
});

test("stands beside tf.callbacks.earlyStopping(), wrapped", async (place) => {
  const { epoch } = await compiled({ optimizer: tf.train.sgd(0) }).fit(x, y, {
    ...SILENT,
    epochs: 50,
    validationData: [x, y],
    callbacks: [
      new tf.CustomCallback(mlflowCallback({ run: place.run })),
      tf.callbacks.earlyStopping({ monitor: "val_loss", patience: 2 }),
    ],
  });
  assertEquals(epoch.length, 3);
  assertEquals((await histories(place)).loss.map(([step]) => step), [0, 1, 2]);
});

test("stands behind tf.callbacks.earlyStopping() as it is, and takes the model from tfjs", async (place) => {
  const { epoch, history } = await compiled({ optimizer: tf.train.sgd(0) }).fit(x, y, {
    ...SILENT,
    epochs: 50,
    validationData: [x, y],
    callbacks: [
      tf.callbacks.earlyStopping({ monitor: "val_loss", patience: 2 }),
      mlflowCallback({ run: place.run }),
    ],
  });
  assertEquals(epoch.length, 3);
  const logged = await histories(place);
  assertEquals(Object.keys(logged), ["accuracy", "loss", "val_accuracy", "val_loss"]);
  assertEquals(logged.loss as unknown, wanted(history.loss));
  assertEquals((await place.run.get()).data.params.optimizer_name, "SGD");
  assertEquals((await place.run.listArtifacts()).map(({ path }) => path), ["model_summary.txt"]);
});

test("logs batches where tfjs calls it directly", async (place) => {
  await compiled().fit(x, y, {
    ...SILENT,
    batchSize: 1,
    callbacks: [tf.callbacks.earlyStopping({ monitor: "loss" }), mlflowCallback({ run: place.run, logEveryNSteps: 2 })],
  });
  assertEquals((await histories(place)).loss.map(([step]) => step), [2, 4]);
});

test("logs fitDataset() too", async (place) => {
  const data = tf.data.zip({ xs: tf.data.array([[0, 0], [1, 1]]), ys: tf.data.array([[0], [1]]) }).batch(1);
  const { history } = await compiled().fitDataset(data as tf.data.Dataset<tf.TensorContainer>, {
    epochs: 2,
    verbose: 0,
    validationData: data as tf.data.Dataset<tf.TensorContainer>,
    callbacks: mlflowCallback({ run: place.run }),
  });
  const logged = await histories(place);
  assertEquals(logged.loss as unknown, wanted(history.loss));
  assertEquals(logged.val_accuracy as unknown, wanted(history.val_acc));
});

const OPTIMIZERS: readonly (readonly [string, () => tf.Optimizer | string, Record<string, string>])[] = [
  ["sgd", () => tf.train.sgd(0.01), { name: "SGD", learning_rate: "0.01" }],
  ["momentum", () => tf.train.momentum(0.1, 0.9, true), {
    name: "SGD",
    learning_rate: "0.1",
    momentum: "0.9",
    nesterov: "True",
  }],
  ["adam", () => tf.train.adam(1e-5), {
    name: "adam",
    learning_rate: "1e-05",
    beta_1: "0.9",
    beta_2: "0.999",
    epsilon: "1e-07",
  }],
  ["adamax", () => tf.train.adamax(0.002), {
    name: "adamax",
    learning_rate: "0.002",
    beta_1: "0.9",
    beta_2: "0.999",
    epsilon: "1e-07",
    decay: "0",
  }],
  ["rmsprop", () => tf.train.rmsprop(0.001, 0.9, 0.5, 1e-8, true), {
    name: "rmsprop",
    learning_rate: "0.001",
    rho: "0.9",
    momentum: "0.5",
    epsilon: "1e-08",
    centered: "True",
  }],
  ["adagrad", () => tf.train.adagrad(0.01), {
    name: "adagrad",
    learning_rate: "0.01",
    initial_accumulator_value: "0.1",
  }],
  ["adadelta", () => tf.train.adadelta(0.01), {
    name: "adadelta",
    learning_rate: "0.01",
    rho: "0.95",
    epsilon: "1e-07",
  }],
  ["adam by its name", () => "adam", {
    name: "adam",
    learning_rate: "0.001",
    beta_1: "0.9",
    beta_2: "0.999",
    epsilon: "1e-07",
  }],
];
for (const [what, make, settings] of OPTIMIZERS) {
  test(`logs the settings of ${what} by Keras's names, and the model's summary`, async ({ client, run }) => {
    const model = compiled({ optimizer: make() });
    await model.fit(x, y, { ...SILENT, epochs: 1, callbacks: mlflowCallback({ run, model }) });
    const params = Object.entries(settings).map(([key, value]) => [`optimizer_${key}`, value]);
    assertEquals((await run.get()).data.params, Object.fromEntries(params));
    const summary = new TextDecoder().decode(await client.readArtifact(run.runId, "model_summary.txt"));
    assertStringIncludes(summary, "dense_Dense");
    assertStringIncludes(summary, "Total params: 3");
  });
}

test("logs every so many batches with logEveryNSteps, and validation at the epochs' ends", async (place) => {
  const { run } = place;
  const model = compiled({ optimizer: tf.train.sgd(0.1) });
  await model.fit(x, y, {
    ...SILENT,
    batchSize: 1,
    epochs: 3,
    validationData: [x, y],
    callbacks: mlflowCallback({ run, logEveryNSteps: 3 }),
  });
  const logged = await histories(place);
  assertEquals(logged.loss.map(([step]) => step), [3, 6, 9, 12]);
  assertEquals(logged.accuracy.length, 4);
  assertEquals(logged.val_loss.map(([step]) => step), [4, 8, 12]);
  assertEquals(Object.keys(logged), ["accuracy", "loss", "val_accuracy", "val_loss"]);
});

test("puts the prefix before each name, and leaves tfjs's names where they are wanted", async (place) => {
  const { run } = place;
  await compiled().fit(x, y, { ...SILENT, callbacks: mlflowCallback({ run, prefix: "fold 1/" }) });
  await compiled().fit(x, y, { ...SILENT, callbacks: mlflowCallback({ run, metricNames: "tfjs" }) });
  assertEquals(Object.keys(await histories(place)), ["acc", "fold 1/accuracy", "fold 1/loss", "loss"]);
});

test("names tfjs's metrics as Keras does", async ({ run }) => {
  const callback = mlflowCallback({ run });
  const logs = {
    acc: 1,
    val_acc: 1,
    head_acc: 1,
    val_head_acc: 1,
    meanSquaredError: 1,
    val_binaryAccuracy: 1,
    sparseCategoricalAccuracy: 1,
    acceleration: 1,
    myAcc: 1,
    batch: 3,
    size: 4,
  };
  await callback.onEpochEnd(0, logs);
  assertEquals(
    Object.keys((await run.get()).data.metrics).sort(),
    [
      "acceleration",
      "accuracy",
      "head_accuracy",
      "mean_squared_error",
      "myAcc",
      "sparse_categorical_accuracy",
      "val_accuracy",
      "val_binary_accuracy",
      "val_head_accuracy",
    ],
  );
});

test("waits for the user's metrics and logs what they give", async (place) => {
  const { run } = place;
  const seen: unknown[] = [];
  let busy = 0;
  await compiled().fit(x, y, {
    ...SILENT,
    epochs: 2,
    callbacks: mlflowCallback({
      run,
      metrics: async (epoch, logs) => {
        assertEquals(++busy, 1, "an epoch went on before the metrics of the last were there");
        await new Promise((resolve) => setTimeout(resolve));
        busy--;
        seen.push([epoch, Object.keys(logs)]);
        return { loss: logs.loss, f1: epoch / 2, learning_rate: 0.1 };
      },
    }),
  });
  assertEquals(seen, [[0, ["loss", "accuracy"]], [1, ["loss", "accuracy"]]]);
  const logged = await histories(place);
  assertEquals(Object.keys(logged), ["f1", "learning_rate", "loss"]);
  assertEquals(logged.f1, [[0, 0], [1, 0.5]]);
});

test("logs a loss that is NaN, and the training goes on", async (place) => {
  const model = compiled({ optimizer: tf.train.sgd(0.1) });
  await model.fit(tf.tensor2d([[NaN, 1]]), tf.tensor2d([[1]]), {
    ...SILENT,
    epochs: 2,
    callbacks: mlflowCallback({ run: place.run }),
  });
  assertEquals((await histories(place)).loss, [[0, NaN], [1, NaN]]);
});

test("logs two trainings to one run", async (place) => {
  const { run } = place;
  const model = compiled({ optimizer: tf.train.sgd(0.1) });
  const callback = mlflowCallback({ run, model });
  await model.fit(x, y, { ...SILENT, epochs: 2, callbacks: callback });
  await model.fit(x, y, { ...SILENT, epochs: 4, initialEpoch: 2, callbacks: callback });
  await model.fit(x, y, { ...SILENT, epochs: 5, initialEpoch: 4, callbacks: mlflowCallback({ run, model }) });
  assertEquals((await histories(place)).loss.map(([step]) => step), [0, 1, 2, 3, 4]);
});

/** Trains for three epochs against a run that takes nothing more, and gives what was told. */
async function failing(
  { client, run }: Place,
  options: MlflowCallbackOptions,
): Promise<{ epochs: number; told: string[] }> {
  await client.deleteRun(run.runId);
  const { warn } = console;
  const told: string[] = [];
  console.warn = (text: string) => told.push(text);
  try {
    const model = compiled();
    const { epoch } = await model.fit(x, y, {
      ...SILENT,
      epochs: 3,
      callbacks: mlflowCallback({ run, model, ...options }),
    });
    return { epochs: epoch.length, told };
  } finally {
    console.warn = warn;
  }
}

test("tells once what cannot be logged, and the training goes on", async (place) => {
  const { epochs, told } = await failing(place, {});
  assertEquals(epochs, 3);
  assertEquals(told.length, 1);
  assert(
    told[0].startsWith("warning: the training goes on, but not all of it is logged: MlflowError: Cannot log "),
    told[0],
  );
  assertStringIncludes(told[0], "must be in the 'active' state");
});

test("gives each error to a function, and the training goes on", async (place) => {
  const errors: unknown[] = [];
  const { epochs, told } = await failing(place, { onError: (error) => errors.push(error) });
  assertEquals([epochs, told], [3, []]);
  // The params at the start, and each epoch.
  assertEquals(errors.length, 4);
  assert(errors.every((error) => error instanceof MlflowError));
});

test("stops the training where that is wanted", async (place) => {
  await assertRejects(() => failing(place, { onError: "throw" }), MlflowError, "must be in the 'active' state");
});

for (const onError of ["warn", "throw"] as const) {
  test(`deals with an error of the user's metrics by onError: "${onError}"`, async ({ run }) => {
    const { warn } = console;
    const told: string[] = [];
    console.warn = (text: string) => told.push(text);
    const training = () =>
      compiled().fit(x, y, {
        ...SILENT,
        epochs: 2,
        callbacks: mlflowCallback({ run, onError, metrics: () => Promise.reject(new RangeError("of the user")) }),
      });
    try {
      if (onError === "throw") await assertRejects(training, RangeError, "of the user");
      else assertEquals((await training()).epoch.length, 2);
    } finally {
      console.warn = warn;
    }
    assertEquals(told.length, onError === "throw" ? 0 : 1);
  });
}

test("does not wait for the store between epochs", async ({ run }) => {
  const gate = Promise.withResolvers<Uint8Array>();
  const slow = new ReadableStream<Uint8Array>({
    async pull(controller) {
      controller.enqueue(await gate.promise);
      controller.close();
    },
  });
  const callback = mlflowCallback({ run });
  const blocked = run.logBytes(slow, "slow.bin");
  let epochs = 0;
  const training = compiled().fit(x, y, {
    ...SILENT,
    epochs: 3,
    callbacks: {
      ...callback,
      onEpochEnd: async (epoch, logs) => {
        await callback.onEpochEnd(epoch, logs as Record<string, number>);
        if (++epochs === 3) gate.resolve(new Uint8Array([1]));
      },
    },
  });
  await training;
  await blocked;
  assertEquals(Object.keys((await run.client.getRun(run.runId)).data.metrics).sort(), ["accuracy", "loss"]);
});

test("starts a run where there is none", async () => {
  const dir = await Deno.makeTempDir();
  const before = Deno.env.get("MLFLOW_TRACKING_URI");
  try {
    setTrackingUri(`sqlite:///${dir}/mlflow.db`);
    await compiled().fit(x, y, { ...SILENT, callbacks: mlflowCallback() });
    const run = activeRun()!;
    assertEquals(Object.keys((await run.get()).data.metrics).sort(), ["accuracy", "loss"]);
    await endRun();
  } finally {
    setTrackingUri(before ?? "");
    await Deno.remove(dir, { recursive: true });
  }
});

test("takes only options that make sense", async ({ run }) => {
  assertThrows(() => mlflowCallback({ run, logEveryEpoch: true, logEveryNSteps: 3 }), TypeError, "Exactly one of");
  assertThrows(() => mlflowCallback({ run, logEveryEpoch: false }), TypeError, "Exactly one of");
  for (const logEveryNSteps of [0, -1, 1.5, NaN]) {
    const error = assertThrows(() => mlflowCallback({ run, logEveryNSteps }), RangeError);
    assertEquals(error.message, `logEveryNSteps must be a whole number of at least 1: received ${logEveryNSteps}`);
  }
});

test("logs to a model made before too, into which the trained one is logged", async ({ client, run }) => {
  const { experimentId } = run.info;
  const { modelId } = await client.createLoggedModel({ experimentId, name: "before", sourceRunId: run.runId });
  const model = compiled({ optimizer: tf.train.sgd(0.1) });
  await model.fit(tf.tensor2d([[NaN, 1]]), tf.tensor2d([[1]]), {
    ...SILENT,
    epochs: 2,
    callbacks: mlflowCallback({ run, model, modelId }),
  });
  const logged = await run.logModel(model, { modelId, name: "not heeded", tags: { stage: "late" } });
  assertEquals([logged.modelId, logged.name, logged.status], [modelId, "before", "READY"]);
  assertEquals([logged.tags.stage, logged.params.optimizer_name], ["late", "SGD"]);
  // A loss that is NaN is the run's alone: MLflow would keep it as 0 for the model.
  assertEquals(logged.metrics.map(({ key, step }) => `${key} ${step}`).sort(), ["accuracy 0", "accuracy 1"]);
  const { outputs } = await client.getRun(run.runId);
  assertEquals(outputs.modelOutputs, [{ modelId, step: 0 }]);
});

test("is not needed for what model.evaluate() gives: logEvaluation() logs it", async (place) => {
  const { run } = place;
  const model = compiled({ metrics: ["accuracy", "binaryAccuracy"] });
  const scalars = model.evaluate(x, y) as tf.Scalar[];
  await run.logEvaluation(scalars, model.metricsNames, { step: 7 });
  const logged = await histories(place);
  assertEquals(Object.keys(logged), ["validation_accuracy", "validation_binary_accuracy", "validation_loss"]);
  assertEquals(logged.validation_loss, [[7, scalars[0].dataSync()[0]]]);
});
