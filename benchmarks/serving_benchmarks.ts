/** Benchmarks of served models: requests a second of our server and of `mlflow models serve`, which runs Keras. */
import * as tf from "@tensorflow/tfjs";
import { dirname, join } from "@std/path";
import { fileURLToPath } from "node:url";
import { buildModel } from "../examples/model.ts";
import { MlflowClient } from "../client.ts";
import { useFastBackend } from "../backend.ts";
import { cleanEnv } from "../tests/support/clean_env.ts";
import { kerasPython, missingKeras } from "../tests/support/keras.ts";
import { MlflowServer } from "../tests/support/mlflow_server.ts";
import type { Benchmark, Rounds } from "./benchmarks.ts";
import { peerEnv } from "./peer.ts";

const SIZE = 28;
/** A round ends after so many requests, or so many milliseconds. */
const REQUESTS = 4000;
const ROUND = 2000;

/** One picture of a digit a request, to the network that the examples train. */
export const SERVING_BENCHMARKS: readonly Benchmark[] = [1, 16].map((clients) => ({
  name: `serve_${clients}`,
  what: `requests to a served classifier of digits, a picture each, from ${clients} client${clients > 1 ? "s" : ""}`,
  unit: "requests/s",
  rounds: 3,
  ours: (folder) => served(dirname(folder), startOurs, clients),
  peer: (peer) => served(dirname(peer.folder), startTheirs, clients),
}));

/** A logged model, that both sides serve. */
interface Logged {
  readonly trackingUri: string;
  readonly modelId: string;
  /** The folder of its files. */
  readonly path: string;
}

const logged = new Map<string, Promise<Logged>>();

async function* served(parent: string, start: (model: Logged) => Promise<MlflowServer>, clients: number): Rounds {
  if (!logged.has(parent)) logged.set(parent, logModel(parent));
  await using server = await start(await logged.get(parent)!);
  while (true) yield [await requestsPerSecond(server.url, clients)];
}

async function logModel(parent: string): Promise<Logged> {
  await useFastBackend(tf);
  const trackingUri = `sqlite:///${join(parent, "served.db")}`;
  const client = new MlflowClient(trackingUri);
  const experimentId = await client.createExperiment("served", { artifactLocation: join(parent, "served") });
  const { info } = await client.createRun({ experimentId });
  const model = buildModel(tf, { size: SIZE, channels: 1, classes: 10, learningRate: 0.001, seed: 1 });
  const { modelId, artifactLocation } = await client.logModel(info.runId, model, { name: "digits" });
  return { trackingUri, modelId, path: artifactLocation };
}

function startOurs({ trackingUri, modelId }: Logged): Promise<MlflowServer> {
  const cli = fileURLToPath(new URL("../cli.ts", import.meta.url));
  return MlflowServer.start(Deno.execPath(), {
    args: ["run", "--cached-only", "-A", cli, "models", "serve", "--model-uri", `models:/${modelId}`],
    cwd: dirname(cli),
    env: { ...cleanEnv(), MLFLOW_TRACKING_URI: trackingUri },
    timeout: 60_000,
  });
}

function startTheirs({ path }: Logged): Promise<MlflowServer> {
  const missing = missingKeras();
  if (missing !== undefined) throw new Error(`Cannot serve the model by Keras: ${missing}`);
  const executable = kerasPython();
  const env = peerEnv();
  return MlflowServer.start(executable, {
    args: ["-m", "mlflow", "models", "serve", "--model-uri", path, "--env-manager", "local"],
    cwd: dirname(path),
    env: { ...env, PATH: `${dirname(executable)}:${env.PATH}` },
    timeout: 120_000,
  });
}

/** Sends requests from some clients, each the next one when the last is answered. */
async function requestsPerSecond(url: string, clients: number): Promise<number> {
  const picture = Array.from({ length: SIZE }, (_, y) => Array.from({ length: SIZE }, (_, x) => [(x * y) % 256]));
  const body = JSON.stringify({ instances: [picture] });
  const headers = { "content-type": "application/json" };
  const start = performance.now();
  let sent = 0;
  let answered = 0;
  const client = async () => {
    while (sent < REQUESTS && performance.now() - start < ROUND) {
      sent++;
      const response = await fetch(`${url}/invocations`, { method: "POST", headers, body });
      const { predictions } = await response.json();
      if (predictions?.[0]?.length !== 10) throw new Error(`Cannot measure: answered ${response.status}`);
      answered++;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return answered / (performance.now() - start) * 1000;
}
