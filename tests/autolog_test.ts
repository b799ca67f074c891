import * as tf from "@tensorflow/tfjs";
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { autolog, type AutologOptions } from "../autolog.ts";
import { mlflowCallback } from "../callback.ts";
import { mlflowCheckpoint } from "../checkpoint.ts";
import { MlflowClient } from "../client.ts";
import type { RunRecord } from "../entities.ts";
import { activeRun, lastActiveRun, logMetric, setExperiment, withRun } from "../fluent.ts";
import { Run } from "../run.ts";
import { setTrackingUri } from "../tracking/tracking_uri.ts";
import { settle } from "../training/settings.ts";
import { trackFit } from "../training/track_fit.ts";
import { withEnv } from "./support/env.ts";

await tf.setBackend("cpu");

const x = tf.tensor2d([[0, 0], [0, 1], [1, 0], [1, 1]]);
const y = tf.tensor2d([[0], [1], [1], [0]]);
const SILENT = { verbose: 0 } as const;
type Batches = tf.data.Dataset<tf.TensorContainer>;

function compiled({ learningRate = 0.1, seed = 1 } = {}): tf.Sequential {
  const kernelInitializer = () => tf.initializers.glorotUniform({ seed: seed++ });
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ units: 3, inputShape: [2], activation: "relu", kernelInitializer: kernelInitializer() }),
      tf.layers.dense({ units: 1, activation: "sigmoid", kernelInitializer: kernelInitializer() }),
    ],
  });
  model.compile({ optimizer: tf.train.adam(learningRate), loss: "meanSquaredError", metrics: ["accuracy"] });
  return model;
}

/** What tests see of the place that trainings are tracked to. */
interface Place {
  readonly client: MlflowClient;
  readonly dir: string;
  /** All runs, the first one first. */
  runs(): Promise<RunRecord[]>;
  /** The paths of all that a run has. */
  artifacts(runId: string): Promise<string[]>;
  /** What was warned of. */
  readonly told: string[];
}

/** Registers a test with a store of its own and autologging on; afterwards it is off. */
function test(name: string, check: (place: Place) => Promise<void>, options: AutologOptions = {}): void {
  Deno.test(`autolog() ${name}`, async () => {
    const dir = await Deno.makeTempDir();
    const { warn } = console;
    const told: string[] = [];
    try {
      const MLFLOW_TRACKING_URI = `sqlite:///${dir}/mlflow.db`;
      await withEnv({ MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_ID: undefined, MLFLOW_RUN_ID: undefined }, async () => {
        setTrackingUri(MLFLOW_TRACKING_URI);
        const client = new MlflowClient(MLFLOW_TRACKING_URI);
        const experimentId = await client.createExperiment("auto", { artifactLocation: join(dir, "artifacts") });
        await setExperiment("auto");
        console.warn = (text: string) => told.push(text);
        const paths = async (runId: string, path?: string): Promise<string[]> => {
          const files = await client.listArtifacts(runId, path);
          return (await Promise.all(files.map((file) => file.isDir ? paths(runId, file.path) : [file.path]))).flat();
        };
        autolog(tf, options);
        const orderBy = ["start_time ASC"];
        const runs = () => client.searchRuns({ experimentIds: [experimentId], orderBy }).toArray();
        await check({ client, dir, told, artifacts: paths, runs }).finally(() => setTrackingUri(""));
      });
    } finally {
      autolog(tf, { disable: true });
      console.warn = warn;
      await Deno.remove(dir, { recursive: true });
    }
  });
}

/** The steps of each metric of a run. */
async function steps(client: MlflowClient, run: RunRecord): Promise<Record<string, number[]>> {
  const keys = Object.keys(run.data.metrics).sort();
  const histories = keys.map(async (key) => {
    const history = await client.getMetricHistory(run.info.runId, key);
    return [key, history.map(({ step }) => step).sort((a, b) => a - b)] as const;
  });
  return Object.fromEntries(await Promise.all(histories));
}

async function readModelFile(client: MlflowClient, modelId: string, path: string): Promise<Uint8Array> {
  const { artifactLocation } = await client.getLoggedModel(modelId);
  return await Deno.readFile(join(artifactLocation, path));
}

/** Runs work while `Math.random` is seeded, and counts how often it was called. */
async function seeded<T>(work: () => Promise<T>): Promise<{ result: T; calls: number }> {
  const { random } = Math;
  let [state, calls] = [42, 0];
  Math.random = () => {
    calls++;
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
  try {
    return { result: await work(), calls };
  } finally {
    Math.random = random;
  }
}

test("draws metrics that are given as functions", async ({ runs, artifacts, told }) => {
  const model = compiled();
  model.compile({ optimizer: "sgd", loss: "meanSquaredError", metrics: [tf.metrics.meanAbsoluteError] });
  await model.fit(x, y, { ...SILENT, epochs: 2, validationSplit: 0.5 });
  const [{ info, data }] = await runs();
  assertEquals(Object.keys(data.metrics).includes("val_mean_absolute_error"), true);
  assertEquals((await artifacts(info.runId)).includes("plots/mean_absolute_error.png"), true);
  assertEquals(told, []);
});

test("leaves arguments to tfjs that it refuses", async ({ runs }) => {
  await assertRejects(() => compiled().fit(x, y, null!), TypeError, "null");
  assertEquals(await runs(), []);
});

test("tracks fit() in a run of its own", async ({ runs, artifacts, client, told }) => {
  const model = compiled();
  const { history } = await model.fit(x, y, { ...SILENT, epochs: 3, batchSize: 2, validationData: [x, y] });
  assertEquals(activeRun(), undefined);
  const [run, ...others] = await runs();
  assertEquals([others.length, run.info.status, told.length], [0, "FINISHED", 0]);
  assertEquals(run.data.tags["mlflow.autologging"], "tensorflowjs");
  assertEquals(run.data.params, {
    batch_size: "2",
    class_weight: "None",
    epochs: "3",
    initial_epoch: "0",
    optimizer_beta_1: "0.9",
    optimizer_beta_2: "0.999",
    optimizer_epsilon: "1e-07",
    optimizer_learning_rate: "0.1",
    optimizer_name: "adam",
    sample_weight: "None",
    shuffle: "True",
    steps_per_epoch: "None",
    validation_split: "0",
    validation_steps: "None",
  });
  assertEquals(await steps(client, run), {
    accuracy: [0, 1, 2],
    loss: [0, 1, 2],
    val_accuracy: [0, 1, 2],
    val_loss: [0, 1, 2],
  });
  assertEquals(run.data.metrics.val_loss, history.val_loss[2] as number);
  assertEquals(await artifacts(run.info.runId), [
    "checkpoints/latest_checkpoint.keras",
    "checkpoints/latest_checkpoint.tfjs/model.json",
    "checkpoints/latest_checkpoint.tfjs/weights.bin",
    "checkpoints/latest_checkpoint_metrics.json",
    "model_summary.txt",
    "plots/accuracy.png",
    "plots/loss.png",
  ]);
  const [{ dataset, tags }] = run.inputs.datasetInputs;
  assertEquals([dataset.name, dataset.sourceType, tags], ["dataset", "code", { "mlflow.data.context": "train" }]);
  const [{ modelId }] = run.outputs.modelOutputs;
  const logged = await client.getLoggedModel(modelId);
  assertEquals([logged.name, logged.status, logged.params.batch_size], ["model", "READY", "2"]);
  assertEquals(logged.metrics.find(({ key }) => key === "val_loss")?.value, history.val_loss[2] as number);
});

test("tracks fitDataset(), reading the dataset no more often than tfjs does", async ({ runs, client, told }) => {
  const readings = { train: 0, validation: 0 };
  const batches = (which: "train" | "validation") =>
    tf.data.generator(function* () {
      readings[which]++;
      for (let i = 0; i < 3; i++) yield { xs: x.slice(0, 2), ys: y.slice(0, 2) };
    }) as unknown as Batches;
  await compiled().fitDataset(batches("train"), { ...SILENT, epochs: 2, validationData: batches("validation") });
  const [run] = await runs();
  assertEquals(told, []);
  assertEquals(readings, { train: 2, validation: 2 });
  assertEquals(run.data.params.batch_size, "2");
  assertEquals(run.data.params.steps_per_epoch, "None");
  assertEquals(run.data.params.epochs, "2");
  assertEquals((await steps(client, run)).val_loss, [0, 1]);
  const [{ dataset, tags }] = run.inputs.datasetInputs;
  assertEquals(tags["mlflow.data.context"], "train");
  assertEquals(dataset.profile, `{"features_cardinality":-2}`);
  assertStringIncludes(dataset.schema!, `\\"shape\\":[-1,2]`);
});

test("tells training and validation data apart, and names several inputs", async ({ runs }) => {
  const [a, b] = ["left", "right"].map((name) => tf.input({ shape: [2], name }));
  const output = tf.layers.dense({ units: 1 }).apply(tf.layers.add().apply([a, b])) as tf.SymbolicTensor;
  const model = tf.model({ inputs: [a, b], outputs: output });
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  await model.fit([x, x], y, { ...SILENT, validationData: [[x.slice(0, 2), x.slice(0, 2)], y.slice(0, 2)] });
  const [run] = await runs();
  const inputs = Object.fromEntries(
    run.inputs.datasetInputs.map(({ dataset, tags }) => [tags["mlflow.data.context"], dataset]),
  );
  assertEquals(JSON.parse(inputs.train.profile!).features_shape, { left: [4, 2], right: [4, 2] });
  assertEquals(JSON.parse(inputs.eval.profile!).targets_shape, [2, 1]);
});

test("leaves losses and weights as they are, bit for bit, and Math.random to tfjs", async () => {
  const trained = async () => {
    const model = compiled();
    const { history } = await model.fit(x, y, { ...SILENT, epochs: 4, batchSize: 1, validationData: [x, y] });
    const data = tf.data.zip({ xs: tf.data.array([[0, 0], [1, 1]]), ys: tf.data.array([[0], [1]]) }).shuffle(2, "a");
    const more = await model.fitDataset(data.batch(1) as Batches, { ...SILENT, epochs: 2 });
    return [history, more.history, model.getWeights().map((weight) => [...weight.dataSync()])];
  };
  const tracked = await seeded(trained);
  autolog(tf, { disable: true });
  const untracked = await seeded(trained);
  assertEquals(tracked, untracked);
}, { checkpointSaveBestOnly: false });

test("gives fit() and fitDataset() back", async ({ runs }) => {
  const tracking = [tf.LayersModel, tf.Sequential].map(({ prototype }) => [prototype.fit, prototype.fitDataset]);
  autolog(tf, { disable: true });
  const own = [tf.LayersModel, tf.Sequential].map(({ prototype }) => [prototype.fit, prototype.fitDataset]);
  assert(own.flat().every((method, i) => method !== tracking.flat()[i]));
  assert(own.flat().every((method) => !Object.keys(tf.LayersModel.prototype).includes(method.name)));
  await compiled().fit(x, y, SILENT);
  assertEquals(await runs(), []);
});

test("called again wraps nothing twice, and takes the new options", async ({ runs, artifacts }) => {
  autolog(tf);
  autolog(tf, { logModels: false, logPlots: false, checkpoint: false, extraTags: { team: "a" } });
  await compiled().fit(x, y, { ...SILENT, epochs: 2, validationData: [x, y] });
  const [run, ...others] = await runs();
  assertEquals([others.length, run.outputs.modelOutputs.length, run.data.tags.team], [0, 0, "a"]);
  assertEquals(await artifacts(run.info.runId), ["model_summary.txt"]);
});

test("stays off under a method that someone has put over it", async ({ runs }) => {
  const { prototype } = tf.Sequential;
  const tracking = prototype.fit;
  prototype.fit = function (...args) {
    return tracking.apply(this, args);
  };
  try {
    autolog(tf, { disable: true });
    await compiled().fit(x, y, SILENT);
    assertEquals(await runs(), []);
    autolog(tf);
    await compiled().fit(x, y, SILENT);
    assertEquals((await runs()).length, 1);
  } finally {
    prototype.fit = tracking;
  }
});

test("logs to the active run and leaves it open, for several trainings", async ({ runs, client, told }) => {
  await withRun({ runName: "mine" }, async (run) => {
    const model = compiled();
    await model.fit(x, y, { ...SILENT, epochs: 2 });
    assertEquals(run.ended, false);
    await model.fit(x, y, { ...SILENT, epochs: 5, initialEpoch: 2, validationSplit: 0.5 });
  });
  const [run, ...others] = await runs();
  assertEquals([others.length, run.info.runName, run.info.status], [0, "mine", "FINISHED"]);
  assertEquals(run.data.tags["mlflow.autologging"], undefined);
  // A param keeps its first value.
  assertEquals([run.data.params.epochs, run.data.params.initial_epoch], ["2", "0"]);
  assertEquals((await steps(client, run)).loss, [0, 1, 2, 3, 4]);
  assertEquals(run.outputs.modelOutputs.length, 2);
  assertEquals(told.length, 1);
  assertStringIncludes(told[0], "Changing param values is not allowed");
});

test("keeps trainings under Promise.all, nested runs among them, apart", async ({ runs, client }) => {
  await withRun({ runName: "parent" }, async () => {
    await Promise.all([1, 2].map((count) =>
      withRun({ nested: true, runName: `child ${count}` }, async () => {
        await compiled().fit(x, y, { ...SILENT, epochs: count });
      })
    ));
  });
  await Promise.all([3, 4].map((epochs) => compiled().fit(x, y, { ...SILENT, epochs })));
  const found = await Promise.all((await runs()).map(async (run) => {
    const name = /parent|child/.test(run.info.runName) ? run.info.runName : "own";
    return [name, run.data.params.epochs, (await steps(client, run)).loss?.length];
  }));
  assertEquals(found.map(String).sort(), ["child 1,1,1", "child 2,2,2", "own,3,3", "own,4,4", "parent,,"]);
});

test("ends its run FAILED with the training's own error", async ({ runs, client }) => {
  const boom = new RangeError("of the user");
  const error = await assertRejects(() =>
    compiled().fit(x, y, {
      ...SILENT,
      epochs: 3,
      validationData: [x, y],
      callbacks: { onEpochEnd: (epoch) => epoch === 1 ? Promise.reject(boom) : Promise.resolve() },
    })
  );
  assertEquals(error, boom);
  const [run] = await runs();
  assertEquals([run.info.status, run.data.metrics.loss > 0], ["FAILED", true]);
  assertEquals(run.data.tags["mlflow.latest_checkpoint_artifact"], "checkpoints/latest_checkpoint.keras");
  assertEquals(run.outputs.modelOutputs, []);
  assertEquals(await client.searchLoggedModels({ experimentIds: [run.info.experimentId] }).toArray(), []);
});

test("leaves tfjs's own errors as they are", async ({ runs }) => {
  const refused: [string, () => Promise<unknown>][] = [
    [
      "needs to be compiled",
      () => tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [2] })] }).fit(x, y, SILENT),
    ],
    ["expected a batch of elements", () => compiled().fit(tf.tensor1d([1]), y, SILENT)],
    ["positive integer, but got 0", () => compiled().fitDataset(tf.data.array([]) as Batches, { epochs: 0 })],
    ["yieldEvery", () => compiled().fit(x, y, { ...SILENT, yieldEvery: "never", callbacks: { onYield: () => {} } })],
    // deno-lint-ignore no-explicit-any -- the argument that is missing
    ["batchesPerEpoch", () => (compiled() as any).fitDataset(tf.data.array([]))],
    // A list that begins with a plain object is one of plain objects to tfjs.
    ["getMonitorValue", () =>
      compiled().fit(x, y, {
        ...SILENT,
        // deno-lint-ignore no-explicit-any -- tfjs's types forbid it too
        callbacks: [{ onEpochEnd: () => {} }, tf.callbacks.earlyStopping({ monitor: "loss" })] as any,
      })],
  ];
  const messages = async () =>
    await Promise.all(refused.map(async ([part, call]) => {
      const error = await assertRejects(call, Error, part);
      return `${error.name}: ${error.message}`;
    }));
  const tracked = await messages();
  assert((await runs()).every(({ info }) => info.status === "FAILED"));
  autolog(tf, { disable: true });
  assertEquals(tracked, await messages());
});

test("calls the user's callbacks of every kind as tfjs does", async () => {
  const kinds = (seen: string[]): [string, tf.ModelFitArgs["callbacks"]][] => {
    const plain = (name: string) => ({ onEpochEnd: (epoch: number) => void seen.push(`${name} ${epoch}`) });
    return [
      ["none", undefined],
      ["plain", plain("a")],
      ["several plain", [plain("a"), plain("b")]],
      ["custom", new tf.CustomCallback(plain("a"))],
      ["custom and early stopping", [
        new tf.CustomCallback(plain("a")),
        tf.callbacks.earlyStopping({ monitor: "loss", patience: 1, minDelta: 100 }),
      ]],
      ["early stopping", tf.callbacks.earlyStopping({ monitor: "loss", patience: 1, minDelta: 100 })],
    ];
  };
  const trained = async () => {
    const found = [];
    for (const name of kinds([]).map(([name]) => name)) {
      const seen: string[] = [];
      const callbacks = kinds(seen).find(([kind]) => kind === name)![1];
      const { epoch } = await compiled().fit(x, y, { ...SILENT, epochs: 3, shuffle: false, callbacks });
      found.push([name, epoch, seen]);
    }
    return found;
  };
  const tracked = await trained();
  autolog(tf, { disable: true });
  assertEquals(tracked, await trained());
});

test("lets the user's callbacks log to its run", async ({ runs }) => {
  await compiled().fit(x, y, { ...SILENT, callbacks: { onEpochEnd: () => logMetric("mine", 1) } });
  const [run, ...others] = await runs();
  assertEquals([run.data.metrics.mine, others.length], [1, 0]);
});

test("logs early stopping", async ({ runs }) => {
  const stopping = tf.callbacks.earlyStopping({ monitor: "val_acc", patience: 2, minDelta: 5, mode: "max" });
  await compiled().fit(x, y, { ...SILENT, epochs: 9, validationData: [x, y], callbacks: stopping });
  const patient = tf.callbacks.earlyStopping({ monitor: "loss", patience: 50 });
  await compiled().fit(x, y, { ...SILENT, epochs: 2, callbacks: [patient] });
  const [stopped, whole] = await runs();
  const { monitor, min_delta, patience, baseline, restore_best_weights } = stopped.data.params;
  assertEquals([monitor, min_delta, patience, baseline, restore_best_weights], [
    "val_accuracy",
    "5",
    "2",
    "None",
    "False",
  ]);
  assertEquals(stopped.data.metrics.stopped_epoch, 2);
  assertEquals([whole.data.params.patience, whole.data.params.min_delta], ["50", "0"]);
  assertEquals(whole.data.metrics.stopped_epoch, undefined);
});

test("logs nothing twice beside an mlflowCallback of the user", async ({ runs, client, told }) => {
  for (const wrap of [true, false]) {
    const callback = mlflowCallback();
    const callbacks = wrap ? [new tf.CustomCallback(callback)] : callback;
    await compiled().fit(x, y, { ...SILENT, epochs: 2, callbacks });
  }
  const found = await runs();
  assertEquals(found.length, 2);
  for (const run of found) {
    assertEquals(await steps(client, run), { accuracy: [0, 1], loss: [0, 1] });
    // The rest is autolog's.
    assertEquals([run.data.params.epochs, run.outputs.modelOutputs.length], ["2", 1]);
  }
  assertEquals(told, []);
});

test("goes to the run of an mlflowCallback of the user", async ({ runs, client }) => {
  const [experiment] = await client.searchExperiments({ filter: "name = 'auto'" }).toArray();
  await using run = new Run(client, await client.createRun({ experimentId: experiment.experimentId }));
  await compiled().fit(x, y, {
    ...SILENT,
    epochs: 2,
    callbacks: mlflowCallback({ run, prefix: "mine/" }),
  });
  assertEquals(run.ended, false);
  const found = await runs();
  assertEquals(found.length, 1);
  assertEquals(Object.keys(found[0].data.metrics).sort(), ["mine/accuracy", "mine/loss"]);
  assertEquals(found[0].data.params.epochs, "2");
});

test("makes no checkpoints beside an mlflowCheckpoint of the user", async ({ runs, artifacts }) => {
  const model = compiled();
  const callbacks = [new tf.CustomCallback(mlflowCheckpoint({ model, monitor: "loss", saveWeightsOnly: true }))];
  await model.fit(x, y, { ...SILENT, epochs: 2, validationData: [x, y], callbacks });
  const paths = await artifacts((await runs())[0].info.runId);
  assertEquals(paths.filter((path) => path.startsWith("checkpoints/")), [
    "checkpoints/latest_checkpoint.weights.h5",
    "checkpoints/latest_checkpoint.weights.tfjs/model.json",
    "checkpoints/latest_checkpoint.weights.tfjs/weights.bin",
    "checkpoints/latest_checkpoint_metrics.json",
  ]);
});

test("tracks nothing in a run of the user with exclusive", async ({ runs }) => {
  await withRun(async () => {
    await compiled().fit(x, y, SILENT);
  });
  await compiled().fit(x, y, SILENT);
  const [mine, own] = await runs();
  assertEquals([mine.data.params.epochs, own.data.params.epochs], [undefined, "1"]);
}, { exclusive: true });

test("logs every so many batches", async ({ runs, client }) => {
  await compiled().fit(x, y, { ...SILENT, epochs: 3, batchSize: 1, validationData: [x, y] });
  assertEquals(await steps(client, (await runs())[0]), {
    accuracy: [3, 6, 9, 12],
    loss: [3, 6, 9, 12],
    val_accuracy: [4, 8, 12],
    val_loss: [4, 8, 12],
  });
}, { logEveryNSteps: 3 });

for (const silent of [false, true]) {
  test(
    `trains where nothing can be logged, and tells ${silent ? "nothing of it" : "it once"}`,
    async ({ dir, told }) => {
      await Deno.writeTextFile(join(dir, "broken.db"), "no database ".repeat(99));
      setTrackingUri(`sqlite:///${dir}/broken.db`);
      const { history } = await compiled().fit(x, y, { ...SILENT, epochs: 2, validationData: [x, y] });
      assertEquals(history.loss.length, 2);
      assertEquals(told.length, silent ? 0 : 1);
      if (!silent) {
        assertStringIncludes(told[0], "warning: the training goes on, but not all of it is logged: MlflowError");
      }
    },
    { silent },
  );
}

test("trains on where the run goes away under it", async ({ runs, client, told }) => {
  const { history } = await compiled().fit(x, y, {
    ...SILENT,
    epochs: 3,
    validationData: [x, y],
    callbacks: { onEpochEnd: async (epoch) => epoch === 0 ? await client.deleteRun(activeRun()!.runId) : undefined },
  });
  assertEquals([history.loss.length, await runs(), told.length], [3, [], 1]);
  assertEquals((await lastActiveRun())!.info.lifecycleStage, "deleted");
});

for (const method of ["fit", "fitDataset"] as const) {
  test(`keeps an example of ${method}()'s rows, no signature, and registers the model`, async ({ runs, client }) => {
    const rows = tf.randomUniform([7, 2]);
    const targets = tf.zeros([7, 1]);
    const batches = tf.data.generator(function* () {
      yield { xs: rows.clone(), ys: targets.clone() };
    }) as unknown as Batches;
    const model = compiled();
    if (method === "fit") await model.fit(rows, targets, SILENT);
    else await model.fitDataset(batches, { ...SILENT, epochs: 1 });
    const [{ outputs }] = await runs();
    const [{ modelId }] = outputs.modelOutputs;
    const { name, runId } = await client.getModelVersion("registered", "1");
    assertEquals([name, runId], ["registered", (await runs())[0].info.runId]);
    const read = async (path: string) => new TextDecoder().decode(await readModelFile(client, modelId, path));
    const first = [...rows.slice(0, 5).dataSync()];
    assertEquals(JSON.parse(await read("input_example.json")).flat(), first);
    assert(!(await read("MLmodel")).includes("signature:"));
  }, { logInputExamples: true, logModelSignatures: false, registeredModelName: "registered" });
}

test("begins a training without a run that does not come", async ({ told, runs }) => {
  const asked = Promise.withResolvers<void>();
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async () => {
    await asked.promise;
    return new Response("{}", { status: 400 });
  });
  try {
    setTrackingUri(`http://127.0.0.1:${server.addr.port}`);
    const model = compiled();
    const train = (_data: readonly unknown[], args: object) => {
      asked.resolve();
      return Promise.resolve({ trained: args });
    };
    const fit = { method: "fit", model, data: [x, y], args: { epochs: 3 }, train } as const;
    assertEquals(await trackFit(tf, { ...settle({}), patience: 20 }, fit), { trained: { epochs: 3 } });
    assertEquals(told.length, 1);
    assertStringIncludes(told[0], "no run could be started within 0.02 seconds");
  } finally {
    await server.shutdown();
  }
  assertEquals(await runs(), []);
});

test("says what is wrong with its options, before any training", async () => {
  assertThrows(() => autolog(tf, { logEveryNSteps: 0 }), RangeError, "logEveryNSteps");
  assertThrows(() => autolog(tf, { logEveryEpoch: true, logEveryNSteps: 2 }), TypeError, "Exactly one of");
  assertThrows(() => autolog(tf, { checkpointSaveFreq: 0 }), RangeError, "saveFreq");
  assertThrows(() => autolog(tf, { checkpointMode: "auto" as "min" }), TypeError, `mode must be "min" or "max"`);
});

test("leaves no tensor behind", async () => {
  const model = compiled();
  const args = { ...SILENT, epochs: 2, validationData: [x, y] } as {
    epochs: number;
    validationData: [tf.Tensor, tf.Tensor];
  };
  await model.fit(x, y, args);
  const before = tf.memory().numTensors;
  await model.fit(x, y, args);
  assertEquals(tf.memory().numTensors, before);
});
