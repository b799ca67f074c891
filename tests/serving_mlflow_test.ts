/** The server of models, held against `mlflow models serve`: the same models, the same bodies. */
import * as tf from "@tensorflow/tfjs";
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient, serveModel, setTrackingUri } from "../mod.ts";
import { inferSignature } from "../models.ts";
import { cleanEnv } from "./support/clean_env.ts";
import { kerasTest } from "./support/keras.ts";
import { MlflowServer } from "./support/mlflow_server.ts";

/** Two outputs, each a sum of the inputs with weights and a bias of its own. */
const MODELS = {
  flat: () => ({ model: dense(tf.input({ shape: [4], name: "x" }), 4), signature: undefined }),
  picture: () => {
    const input = tf.input({ shape: [2, 2, 1], name: "x" });
    return { model: dense(input, 4, tf.layers.flatten().apply(input) as tf.SymbolicTensor), signature: undefined };
  },
  named: () => {
    const [a, b] = [tf.input({ shape: [1], name: "a" }), tf.input({ shape: [2], name: "b" })];
    const both = tf.layers.concatenate().apply([a, b]) as tf.SymbolicTensor;
    return { model: dense([a, b], 3, both), signature: undefined };
  },
  columns: () => ({
    model: dense(tf.input({ shape: [3], name: "x" }), 3),
    signature: inferSignature([{ a: 0.5, b: 1, c: 2.5 }]),
  }),
} as const;

type ModelName = keyof typeof MODELS;
const NAMES = Object.keys(MODELS) as ModelName[];

function dense(
  inputs: tf.SymbolicTensor | tf.SymbolicTensor[],
  size: number,
  from: tf.SymbolicTensor = inputs as tf.SymbolicTensor,
): tf.LayersModel {
  const layer = tf.layers.dense({ units: 2, name: "out" });
  const model = tf.model({ inputs, outputs: layer.apply(from) as tf.SymbolicTensor });
  const weights = Array.from({ length: size }, (_, i) => [0.01 * (i + 1), -0.5 * i]);
  layer.setWeights([tf.tensor2d(weights), tf.tensor1d([0.25, -1])]);
  return model;
}

/** A request, and why the answers differ where they do. */
interface Case {
  readonly model: ModelName;
  readonly body: string;
  readonly type?: string;
  /** Why we answer otherwise: a status, or the predictions. */
  readonly differs?: { readonly ours: number; readonly why: string };
}

const flat = (body: unknown): Case => ({ model: "flat", body: JSON.stringify(body) });
const picture = (body: unknown): Case => ({ model: "picture", body: JSON.stringify(body) });
const named = (body: unknown): Case => ({ model: "named", body: JSON.stringify(body) });
const columns = (body: unknown): Case => ({ model: "columns", body: JSON.stringify(body) });
const X = [1, 2, 3, 4.5];
const ROW = { a: 1.5, b: 2, c: -0.25 };
const P = [[[1], [2]], [[3], [4.5]]];

const CASES: readonly Case[] = [
  // Good ones, in every form.
  flat({ instances: [X] }),
  flat({ instances: [X, X, [0, -1, 1e-7, 1e30]] }),
  flat({ inputs: [X] }),
  flat({ inputs: [[true, false, 1, 0]] }),
  flat({ inputs: [X], params: { temperature: 1 } }),
  flat({ inputs: [X], params: "not looked at" }),
  flat({ inputs: [X], signature_name: "a", unknown: 3 }),
  flat({ dataframe_split: { columns: ["a", "b", "c", "d"], data: [X, X] } }),
  flat({ dataframe_split: { data: [X], index: [7] } }),
  flat({ dataframe_split: { columns: ["x"], data: [[X], [X]] } }),
  flat({ dataframe_records: [{ d: 1, a: 2, c: 3, b: 4 }, { a: 1, b: 2, c: 3, d: 4 }] }),
  flat({ dataframe_records: [X, X] }),
  flat({ dataframe_records: [{ x: X }] }),
  { model: "flat", body: `{"instances": [[1e3, 2.0, -3, 0.0]]}`, type: "application/json; charset=UTF-8" },
  picture({ instances: [P, P] }),
  picture({ inputs: [P] }),
  picture({ dataframe_split: { columns: ["x"], data: [[[1, 2, 3, 4]]] } }),
  picture({ dataframe_records: [{ x: [1, 2, 3, 4] }, { x: [0, 0, 0, 1] }] }),
  named({ inputs: { a: [[1], [2]], b: [[1, 2], [3, 4]] } }),
  named({ inputs: { b: [[1, 2]], a: [[1]], extra: ["left out"] } }),
  named({ instances: [{ a: [1], b: [1, 2] }, { a: [3], b: [4, 5] }] }),
  named({ dataframe_records: [{ a: 1, b: [1, 2] }, { a: 2, b: [3, 4] }] }),
  named({ dataframe_split: { columns: ["b", "a"], data: [[[1, 2], 1]] } }),
  columns({ dataframe_split: { columns: ["b", "c", "a"], data: [[1, 7.5, 0.5], [3, 8, 2]] } }),
  columns({ dataframe_records: [ROW, { ...ROW, extra: 1 }] }),
  columns({ inputs: { a: [1.5, 0.25], b: [2, 3], c: [0.125, 2] } }),
  columns({ inputs: [ROW] }),
  columns({ instances: [ROW, ROW] }),
  { model: "columns", body: "a,b,c\n1.5,2,0.25\n0.5,3,4\n", type: "text/csv" },
  // Bodies that are none.
  { model: "flat", body: "" },
  { model: "flat", body: "{" },
  { model: "flat", body: "[[1, 2, 3, 4]]" },
  { model: "flat", body: "3" },
  { model: "flat", body: "null" },
  { model: "flat", body: '"text"' },
  flat({}),
  flat({ data: [X] }),
  flat({ instances: [X], inputs: [X] }),
  flat({ dataframe_split: { data: [X] }, dataframe_records: [] }),
  // Values that do not fit.
  flat({ instances: 5 }),
  flat({ instances: "text" }),
  flat({ instances: null }),
  flat({ instances: { x: [X] } }),
  flat({ inputs: { x: [X] } }),
  flat({ instances: [] }),
  flat({ inputs: [] }),
  flat({ instances: X }),
  flat({ instances: [[1, 2, 3]] }),
  flat({ instances: [X, [1, 2]] }),
  flat({ instances: [[1, 2, 3, "four"]] }),
  flat({ instances: [[1, 2, 3, [4]]] }),
  flat({ instances: [[1, 2, 3, { a: 4 }]] }),
  flat({ instances: [{ a: 1, b: 2 }] }),
  flat({ inputs: [{ a: 1, b: 2 }] }),
  picture({ instances: [X] }),
  picture({ instances: [[P]] }),
  named({ inputs: { a: [[1]] } }),
  named({ inputs: { a: [[1]], c: [[1]] } }),
  named({ inputs: [[1]] }),
  named({ inputs: { a: [[1, 2]], b: [[1, 2]] } }),
  named({ inputs: { a: [["x"]], b: [[1, 2]] } }),
  named({ inputs: { a: [[1], [2]], b: [[1, 2]] } }),
  named({ instances: [{ a: [1], b: [1, 2] }, { a: [3] }] }),
  named({ instances: [{ a: [1] }] }),
  // Tables that are none, or do not fit.
  flat({ dataframe_split: [X] }),
  flat({ dataframe_split: { columns: ["a"] } }),
  flat({ dataframe_split: { data: [X], rows: 1 } }),
  flat({ dataframe_split: { columns: ["a", "b"], data: [X] } }),
  flat({ dataframe_split: { columns: ["a", "b", "c"], data: [[1, 2, 3]] } }),
  flat({ dataframe_split: { columns: ["a", "b", "c", "d"], data: [[1, 2, 3, "x"]] } }),
  flat({ dataframe_split: { columns: ["a", "b", "c", "d"], data: [] } }),
  flat({ dataframe_split: { data: [] } }),
  flat({ dataframe_split: { columns: ["x"], data: [[[1, 2, 3]]] } }),
  flat({ dataframe_split: { data: [X, X], index: [1] } }),
  flat({ dataframe_records: { a: 1 } }),
  flat({ dataframe_records: "text" }),
  flat({ dataframe_records: [] }),
  flat({ dataframe_records: [{ a: 1 }] }),
  flat({ dataframe_records: [1, 2] }),
  picture({ dataframe_records: [{ x: P }] }),
  picture({ dataframe_records: [{ x: [1, 2, 3] }] }),
  picture({ dataframe_records: [{ a: 1, b: 2, c: 3, d: 4 }] }),
  named({ dataframe_records: [{ a: 1 }] }),
  named({ dataframe_records: [{ a: 1, b: 2 }] }),
  columns({ dataframe_records: [{ a: 1, b: 2 }] }),
  columns({ dataframe_records: [{ ...ROW, a: "x" }] }),
  columns({ dataframe_records: [{ ...ROW, b: "x" }] }),
  columns({ dataframe_records: [] }),
  columns({ inputs: { a: [1], b: [2] } }),
  columns({ inputs: { a: [1, 2], b: [2], c: [0.5] } }),
  columns({ inputs: { a: ["x"], b: [2], c: [0.5] } }),
  columns({ inputs: { a: 1.5, b: 2, c: 3 } }),
  columns({ instances: [{ a: 1.5, b: 2 }] }),
  columns({ instances: [[1.5, 2, 3]] }),
  columns({ instances: "text" }),
  { model: "columns", body: "a,b\n1.5,2\n", type: "text/csv" },
  { model: "columns", body: "a,b,c\n1.5,x,3\n", type: "text/csv" },
  { model: "columns", body: "", type: "text/csv" },
  // Other types of content.
  { model: "flat", body: "x", type: "text/plain" },
  { model: "flat", body: "{}", type: "application/json; charset=latin-1" },
  { model: "flat", body: "{}", type: "application/json; version=2" },
  {
    model: "flat",
    body: "a,b,c,d\n1,2,3,4\n",
    type: "text/csv",
    differs: { ours: 200, why: "MLflow reads no CSV for a signature of tensors: it asks it for types of pandas" },
  },
  {
    model: "flat",
    body: "PAR1",
    type: "application/vnd.apache.parquet",
    differs: { ours: 415, why: "no Parquet is read here" },
  },
  {
    ...flat({ instances: [["1", "2", "3", "4"]] }),
    differs: { ours: 400, why: "a text is no number, and said to be none; NumPy reads it as one" },
  },
  {
    ...flat({ dataframe_split: { data: [X], index: [1, 2] } }),
    differs: { ours: 400, why: "an index of two rows for one row is refused; pandas repeats the row" },
  },
  {
    ...columns({ dataframe_records: [{ ...ROW, a: null }] }),
    differs: { ours: 400, why: "nothing in a column that must be there is refused; pandas makes it NaN" },
  },
  {
    ...columns({ dataframe_records: [{ ...ROW, b: 2.5 }] }),
    differs: { ours: 400, why: "2.5 is no whole number, and said to be none; pandas cuts it to 2" },
  },
  {
    ...flat({ messages: [] }),
    differs: {
      ours: 400,
      why: "the forms for language models are no input of a model of tfjs, so that its code is another",
    },
  },
  {
    ...flat({ instances: [[1, 2, 3, null]] }),
    differs: { ours: 200, why: "a NaN in the answer is null, since JSON has no NaN" },
  },
];

interface Answer {
  readonly status: number;
  readonly code?: string;
  readonly text: string;
  readonly predictions?: unknown;
}

async function ask(url: string, { body, type = "application/json" }: Case): Promise<Answer> {
  const response = await fetch(`${url}/invocations`, { method: "POST", body, headers: { "content-type": type } });
  const text = await response.text();
  const json = response.headers.get("content-type")?.startsWith("application/json");
  let answer;
  try {
    answer = json ? JSON.parse(text) : {};
  } catch {
    answer = {};
  }
  return { status: response.status, code: answer.error_code, text, predictions: answer.predictions };
}

kerasTest("serveModel() answers as mlflow models serve does with the same model", async ({ dir, executable }, t) => {
  const env = { ...cleanEnv(), PATH: `${join(executable, "..")}:${Deno.env.get("PATH")}` };
  await using stack = new AsyncDisposableStack();
  setTrackingUri(`sqlite:///${join(dir, "mlflow.db")}`);
  stack.defer(() => setTrackingUri(""));
  const experimentId = await new MlflowClient().createExperiment("served", { artifactLocation: join(dir, "models") });
  const servers = await Promise.all(NAMES.map(async (name) => {
    const { model, signature } = MODELS[name]();
    const { modelId, artifactLocation } = await new MlflowClient().logModel(
      (await new MlflowClient().createRun({ experimentId })).info.runId,
      model,
      { name, signature },
    );
    const args = ["-m", "mlflow", "models", "serve", "-m", artifactLocation, "--env-manager", "local"];
    const theirs = stack.use(await MlflowServer.start(executable, { args, cwd: dir, env, timeout: 120_000 }));
    const ours = stack.use(await serveModel(tf, `models:/${modelId}`, { port: 0 }));
    return [name, { ours: ours.url, theirs: theirs.url }] as const;
  }));
  const urls = Object.fromEntries(servers) as Record<ModelName, { readonly ours: string; readonly theirs: string }>;
  for (const one of CASES) {
    await t.step(`${one.model} ${one.type ?? ""} ${one.body}`, async () => {
      const [ours, theirs] = [await ask(urls[one.model].ours, one), await ask(urls[one.model].theirs, one)];
      if (one.differs !== undefined) {
        assertEquals(ours.status, one.differs.ours);
        const same = ours.status === theirs.status && ours.code === theirs.code && ours.text === theirs.text;
        assert(!same, `the answers do not differ any more: ${one.differs.why}`);
        return;
      }
      const shown = `ours: ${ours.text}\ntheirs: ${theirs.text}`;
      assertEquals([ours.status, ours.code], [theirs.status, theirs.code], shown);
      assertClose(ours.predictions, theirs.predictions, shown);
    });
  }
  await t.step("the other addresses", async () => {
    for (const [method, path] of PLACES) {
      const [ours, theirs] = await Promise.all([urls.flat.ours, urls.flat.theirs].map(async (url) => {
        const response = await fetch(url + path, { method });
        return [response.status, response.headers.get("content-type"), await response.text()];
      }));
      assertEquals(ours, theirs, `${method} ${path}`);
    }
  });
});

const PLACES = [
  ["GET", "/ping"],
  ["GET", "/health"],
  ["GET", "/version"],
  ["GET", "/"],
  ["POST", "/ping"],
  ["GET", "/invocations"],
] as const;

function assertClose(a: unknown, b: unknown, message: string): void {
  if (Array.isArray(a) && Array.isArray(b)) {
    assertEquals(a.length, b.length, message);
    a.forEach((one, i) => assertClose(one, b[i], message));
  } else if (typeof a === "number" && typeof b === "number") {
    assert(Math.abs(a - b) <= 1e-5 * Math.max(1, Math.abs(b)), `${a} and ${b}: ${message}`);
  } else assertEquals(a, b, message);
}
