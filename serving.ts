/**
 * Serving: {@linkcode serveModel} answers requests for a logged model's predictions over HTTP, as
 * `mlflow models serve` does.
 *
 * @module
 */
import { loadDict } from "./artifacts.ts";
import { doing, MlflowError } from "./errors.ts";
import type { GraphModelLoader, ModelLoader } from "./models.ts";
import type { ComputingTensorFlow, ServedModel } from "./serving/predictor.ts";
import { isTensorSchema } from "./signature.ts";

export type { GraphModelLoader, ModelLoader } from "./models.ts";
export type { ComputingTensorFlow } from "./serving/predictor.ts";

/** The part of the user's own tfjs that serving needs. */
export interface ServingTensorFlow extends ModelLoader, GraphModelLoader, ComputingTensorFlow {}

/** How a model is served. */
export interface ServeModelOptions {
  /** The port; 0 takes a free one. @default {5000} */
  readonly port?: number;
  /** The address to listen on; `"0.0.0.0"` lets other machines in. @default {"127.0.0.1"} */
  readonly hostname?: string;
  /**
   * The names of the classes that the model tells apart, in the order of its outputs, for the answers to pictures.
   *
   * @default {`class_names` of the model's metadata, or `class_names.json` among the artifacts of its run}
   */
  readonly classNames?: readonly string[];
  /** Most examples of requests that wait that are predicted at once. @default {64} */
  readonly maxBatch?: number;
  /** Most requests that may wait for the model; another one is answered 503. @default {1000} */
  readonly maxWaiting?: number;
  /** Most bytes of a request; a longer one is answered 413. @default {32 MiB} */
  readonly maxBodyBytes?: number;
}

/** A model that is served. Disposing of it shuts it down. */
export interface ModelServer extends AsyncDisposable {
  /** Where it answers, without a slash at the end: `http://127.0.0.1:5000`. */
  readonly url: string;
  /** Resolves when the server has been shut down. */
  readonly finished: Promise<void>;
  /** Takes no more requests, and resolves when those that are there have been answered. */
  shutdown(): Promise<void>;
}

/**
 * Serves a logged model over HTTP: `/invocations`, `/ping`, `/health`, `/version`.
 *
 * `POST /invocations` takes what MLflow's own scoring server takes, `{"instances": …}`, `{"inputs": …}`,
 * `{"dataframe_split": …}`, `{"dataframe_records": …}` or CSV, checks it against the model's signature, and answers
 * `{"predictions": …}`. What does not fit is answered 400 with `{"error_code": …, "message": …}` that names the field.
 * A picture as the body (`image/jpeg`, `image/png`, …) is brought to the model's size and classified:
 * `{"predictions": …, "classes": [{"index", "name", "score"}]}`; its values are 0 to 255, as `imageDatasetFromDirectory`
 * gives them. A model of several outputs gives them by their names.
 *
 * Requests that come while the model computes are predicted together.
 *
 * ```ts ignore
 * import * as tf from "@tensorflow/tfjs";
 * import * as mlflow from "@mlflow-deno/mlflow";
 *
 * await mlflow.useFastBackend(tf);
 * const server = await mlflow.serveModel(tf, "models:/m-5b0c64c1de1a4c2eb80c2d1a9a7d8f3b", { port: 5001 });
 * await server.finished;
 * ```
 *
 * @param tf your tfjs
 * @param uri a layers model or a graph model, as `loadModel` takes it
 */
export async function serveModel(
  tf: ServingTensorFlow,
  uri: string,
  options: ServeModelOptions = {},
): Promise<ModelServer> {
  const { port = 5000, hostname = "127.0.0.1", maxBatch = 64, maxWaiting = 1000, maxBodyBytes = 32 * 2 ** 20 } =
    options;
  for (const [name, value] of Object.entries({ maxBatch, maxWaiting, maxBodyBytes })) {
    if (!(value >= 1)) {
      throw new RangeError(`Cannot serve model "${uri}": ${name} must be at least 1: received ${value}`);
    }
  }
  const [{ createModelHandler }, { predict, signatureOf }, { readModel }] = await Promise.all([
    import("./serving/handler.ts"),
    import("./serving/predictor.ts"),
    import("./model/load.ts"),
  ]);
  const { artifacts, info } = await doing(`Cannot serve model "${uri}"`, () => readModel(uri));
  const loader = { load: () => Promise.resolve(artifacts) };
  const model: ServedModel =
    await (artifacts.format === "graph-model" ? tf.loadGraphModel(loader) : tf.loadLayersModel(loader));
  const signature = signatureOf(model, info.signature);
  const inputs = model.inputs.length;
  const wanted = isTensorSchema(signature.inputs) ? signature.inputs.length : 1;
  if (wanted !== inputs) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `its signature makes ${wanted} inputs, and the model takes ${inputs}`,
      { action: `Cannot serve model "${uri}"` },
    );
  }
  const handler = createModelHandler({
    signature,
    predict: (values) => predict(tf, model, signature.inputs, values, maxBatch),
    outputNames: model.outputNames ?? [],
    classNames: options.classNames ?? await classNamesOf(info),
    maxBatch,
    maxWaiting,
    maxBodyBytes,
  });
  const server = await doing(
    `Cannot serve model "${uri}"`,
    () => listen(() => Deno.serve({ port, hostname, onListen() {} }, handler), `${hostname}:${port}`),
  );
  const { addr } = server;
  return {
    url: `http://${addr.hostname.includes(":") ? `[${addr.hostname}]` : addr.hostname}:${addr.port}`,
    finished: server.finished,
    shutdown: () => server.shutdown(),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function listen<T>(serve: () => T, address: string): T {
  try {
    return serve();
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) throw cause;
    const reason = cause instanceof Deno.errors.AddrInUse
      ? `another program listens at ${address}: another port is wanted`
      : `it cannot listen at ${address}: ${(cause as Error).message}`;
    throw new MlflowError("INVALID_STATE", reason, { cause });
  }
}

/** The names that came with the model, or that its run keeps. */
async function classNamesOf(info: {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly runId: string | undefined;
}): Promise<readonly string[]> {
  const { class_names: given } = info.metadata;
  if (isNames(given)) return given;
  if (info.runId === undefined) return [];
  // A model that was moved to another machine is served without its run.
  const found = await loadDict(`runs:/${info.runId}/class_names.json`).catch(() => undefined);
  return isNames(found) ? found : [];
}

function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === "string");
}
