/** Benchmarks of models: one of 100 MB, on tfjs's fast backend beside Keras on TensorFlow. */
import { join } from "@std/path";
import * as mlflow from "../mod.ts";
import { kerasPython, missingKeras } from "../tests/support/keras.ts";
import type { Benchmark, Rounds } from "./benchmarks.ts";
import { Peer } from "./peer.ts";

/** Units of a dense layer whose kernel has 100 MB. */
const UNITS = 5000;

/** Logging and loading a model. */
export const MODEL_BENCHMARKS: readonly Benchmark[] = [
  {
    name: "log_model",
    what: "a model of 100 MB to a run, SQLite and a local folder; ours with its copy for Python",
    unit: "ms",
    rounds: 2,
    ours: logModel,
    peer: (peer) => inKeras(peer, "log_model"),
  },
  {
    name: "load_model",
    what: "the same model, loaded by its URI",
    unit: "ms",
    rounds: 5,
    ours: loadModel,
    peer: (peer) => inKeras(peer, "load_model"),
  },
];

async function* logModel(folder: string): Rounds {
  const { model, run } = await trained(folder);
  while (true) {
    const start = performance.now();
    const { artifactLocation } = await run.logModel(model);
    yield [performance.now() - start];
    await Deno.remove(artifactLocation, { recursive: true });
  }
}

async function* loadModel(folder: string): Rounds {
  const { tf, model, run } = await trained(folder);
  const { modelId } = await run.logModel(model);
  while (true) {
    const start = performance.now();
    const loaded = await mlflow.loadModel(tf, `models:/${modelId}`);
    yield [performance.now() - start];
    loaded.dispose();
  }
}

async function trained(folder: string) {
  const tf = await import("@tensorflow/tfjs");
  await mlflow.useFastBackend(tf);
  const client = new mlflow.MlflowClient(`sqlite:///${join(folder, "mlflow.db")}`);
  const name = `models ${crypto.randomUUID()}`;
  const experimentId = await client.createExperiment(name, { artifactLocation: join(folder, "models") });
  const run = new mlflow.Run(client, await client.createRun({ experimentId }));
  mlflow.setTrackingUri(client.trackingUri);
  const model = tf.sequential({ layers: [tf.layers.dense({ units: UNITS, inputShape: [UNITS] })] });
  return { tf, model, run };
}

/** Python's side, in the Python that has Keras. */
async function* inKeras({ folder }: Peer, name: string): Rounds {
  const missing = missingKeras();
  if (missing !== undefined) throw new Error(`Cannot measure ${name}: ${missing}`);
  const parent = await Deno.makeTempDir({ dir: folder });
  await using keras = await Peer.start(kerasPython(), parent);
  yield* keras.rounds(name);
}
