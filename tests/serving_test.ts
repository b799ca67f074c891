import * as tf from "@tensorflow/tfjs";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import {
  encodeImage,
  MlflowClient,
  MlflowError,
  type ModelServer,
  registerModel,
  serveModel,
  type ServeModelOptions,
  setTrackingUri,
  withRun,
} from "../mod.ts";
import { createModelHandler, type HandlerOptions } from "../serving/handler.ts";
import { cleanEnv } from "./support/clean_env.ts";
import { withFolder } from "./support/folder.ts";
import { mlflowTest } from "./support/mlflow.ts";

const CLI = new URL("../cli.ts", import.meta.url).pathname;
const CONFIG = new URL("../deno.json", import.meta.url).pathname;

/** A model that tells red, green and blue pictures of 4 by 4 pixels apart. */
function colors(): tf.LayersModel {
  const model = tf.sequential({
    layers: [
      tf.layers.globalAveragePooling2d(
        { inputShape: [4, 4, 3] } as Parameters<typeof tf.layers.globalAveragePooling2d>[0],
      ),
      tf.layers.dense({ units: 3, activation: "softmax", name: "out" }),
    ],
  });
  const weights = tf.tensor2d([[0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.1]]);
  model.getLayer("out").setWeights([weights, tf.zeros([3])]);
  return model;
}

/** Logs the model in a folder of its own, serves it, and runs the work. */
async function served(
  options: ServeModelOptions,
  work: (server: ModelServer, dir: string, uri: string) => Promise<void>,
): Promise<void> {
  await withFolder({}, async (dir) => {
    setTrackingUri(`sqlite:///${join(dir, "mlflow.db")}`);
    try {
      const uri = await withRun(async (run) => {
        await run.logDict(["red", "green", "blue"], "class_names.json");
        return `models:/${(await run.logModel(colors(), { name: "colors" })).modelId}`;
      });
      await using server = await serveModel(tf, uri, { port: 0, ...options });
      await work(server, dir, uri);
    } finally {
      setTrackingUri("");
    }
  });
}

/** A picture of one color. */
function picture(width: number, height: number, color: readonly number[], format: "png" | "jpeg") {
  const data = Uint8Array.from({ length: width * height * color.length }, (_, i) => color[i % color.length]);
  return encodeImage({ width, height, channels: color.length as 3, data }, format);
}

async function post(url: string, body: BodyInit, type: string): Promise<{ status: number; json: Answer }> {
  const response = await fetch(`${url}/invocations`, { method: "POST", body, headers: { "content-type": type } });
  return { status: response.status, json: await response.json() };
}

interface Answer {
  readonly predictions?: number[][];
  readonly classes?: { index: number; name?: string; score: number }[];
  readonly error_code?: string;
  readonly message?: string;
}

Deno.test("serveModel() classifies pictures of any size, with the names that the run keeps", async () => {
  await served({}, async ({ url }) => {
    for (
      const [format, color, index] of [["png", [250, 1, 2], 0], ["jpeg", [3, 5, 240], 2], [
        "png",
        [2, 99, 3],
        1,
      ]] as const
    ) {
      const { status, json } = await post(url, await picture(33, 17, color, format), `image/${format}`);
      assertEquals(status, 200);
      assertEquals(json.predictions?.[0].length, 3);
      assertEquals(json.classes?.map(({ index, name }) => [index, name]), [[index, ["red", "green", "blue"][index]]]);
      assertEquals(json.classes?.[0].score, json.predictions?.[0][index]);
    }
    const broken = await post(url, (await picture(9, 9, [1, 2, 3], "png")).slice(0, 40), "image/png");
    assertEquals([broken.status, broken.json.error_code], [400, "BAD_REQUEST"]);
    assertStringIncludes(broken.json.message!, "Invalid input. Cannot read an image");
  });
});

Deno.test("serveModel() takes a registered model, and the names of the classes that it is given", async () => {
  await served({}, async (_server, _dir, modelUri) => {
    const { version } = await registerModel(modelUri, "colors");
    await new MlflowClient().setRegisteredModelAlias("colors", "champion", version);
    await using server = await serveModel(tf, "models:/colors@champion", { port: 0, classNames: ["r", "g", "b"] });
    const { url } = server;
    const { json } = await post(url, await picture(4, 4, [0, 200, 0], "png"), "image/png");
    assertEquals(json.classes?.[0].name, "g");
  });
});

Deno.test("serveModel() predicts together what comes at the same time, as it does one by one", async () => {
  await served({ maxBatch: 16 }, async ({ url }) => {
    const bodies = Array.from(
      { length: 40 },
      (_, i) => JSON.stringify({ instances: tf.fill([1 + i % 3, 4, 4, 3], i).arraySync() }),
    );
    const alone = [];
    for (const body of bodies) alone.push(await post(url, body, "application/json"));
    const { numTensors } = tf.memory();
    const together = await Promise.all(bodies.map((body) => post(url, body, "application/json")));
    assertEquals(tf.memory().numTensors, numTensors);
    assertEquals(together, alone);
    assert(alone.every(({ status }) => status === 200));
  });
});

Deno.test("serveModel() refuses a body that is too long, whether it says so or not", async () => {
  await served({ maxBodyBytes: 1000 }, async ({ url }) => {
    const long = `{"instances": "${"x".repeat(1000)}"}`;
    const streamed = new Blob([long]).stream();
    for (const body of [long, streamed]) {
      const response = await fetch(`${url}/invocations`, {
        method: "POST",
        body,
        headers: { "content-type": "application/json" },
      });
      assertEquals(response.status, 413);
      assertEquals(await response.json(), {
        error_code: "BAD_REQUEST",
        message: "the body must have at most 1000 bytes",
      });
    }
    const short = await post(url, new Blob([`{"instances": 1}`]).stream(), "application/json");
    assertEquals([short.status, short.json.error_code], [400, "INVALID_PARAMETER_VALUE"]);
  });
});

Deno.test("serveModel() answers what is there before it shuts down", async () => {
  await served({}, async (server) => {
    const body = JSON.stringify({ instances: tf.zeros([64, 4, 4, 3]).arraySync() });
    const answer = post(server.url, body, "application/json");
    // The request is on its way when the next one is answered.
    await (await fetch(`${server.url}/ping`)).text();
    await server.shutdown();
    assertEquals((await answer).status, 200);
    await assertRejects(() => fetch(`${server.url}/ping`));
    await server.finished;
  });
});

Deno.test("serveModel() says what it cannot serve", async () => {
  await served({}, async ({ url }, dir, uri) => {
    const port = Number(new URL(url).port);
    const cases: readonly (readonly [string, ServeModelOptions, string])[] = [
      [uri, { port }, `another program listens at 127.0.0.1:${port}: another port is wanted`],
      [uri, { port: 0, hostname: "no.such.host.invalid" }, "it cannot listen at no.such.host.invalid:0: "],
      ["models:/m-00000000000000000000000000000000", {}, "m-00000000000000000000000000000000"],
      [join(dir, "nothing"), {}, "MLmodel"],
      [uri, { maxBatch: 0 }, "maxBatch must be at least 1: received 0"],
    ];
    for (const [model, options, expected] of cases) {
      const error = await assertRejects(() => serveModel(tf, model, options), Error);
      assert(error instanceof MlflowError || error instanceof RangeError);
      assertStringIncludes(error.message, expected);
    }
  });
});

mlflowTest("MLflow's own client of served models reads what serveModel() answers", async (mlflow) => {
  await served({}, async ({ url }) => {
    const pictures = tf.tidy(() => tf.range(0, 96).reshape([2, 4, 4, 3]).arraySync());
    const { json } = await post(url, JSON.stringify({ inputs: pictures }), "application/json");
    const theirs = await mlflow.python(
      `
      import numpy as np, pandas as pd
      from mlflow.pyfunc.scoring_server.client import ScoringServerClient
      client = ScoringServerClient("127.0.0.1", args["port"])
      client.wait_server_ready()
      pictures = np.array(args["pictures"], dtype=np.float32)
      frame = pd.DataFrame({"x": [picture.ravel().tolist() for picture in pictures]})
      results = [client.invoke(data) for data in (pictures, frame)]
      result = [client.get_version()] + [one.get_predictions().to_numpy().tolist() for one in results]
      `,
      { port: Number(new URL(url).port), pictures },
    );
    assertEquals(theirs, ["3.17.2", json.predictions, json.predictions]);
  });
});

/** A handler over a model of columns that adds them up. */
function ofColumns(options: Partial<HandlerOptions> = {}): (request: Request) => Promise<Response> {
  return createModelHandler({
    signature: {
      inputs: [
        { type: "double", name: "a", required: true },
        { type: "long", name: "b", required: true },
        { type: "double", name: "c", required: false },
      ],
      params: [
        { name: "top", type: "long", default: 1, shape: null },
        { name: "weights", type: "double", default: [1], shape: [-1] },
      ],
    },
    predict: async ([{ shape: [count, width], values }]) => [{
      shape: [count, 1],
      dtype: "float32",
      values: Float32Array.from({ length: count }, (_, row) => {
        const cells = [...values as Float32Array].slice(row * width, (row + 1) * width);
        return cells.reduce((sum, value) => sum + value, 0);
      }),
    }],
    outputNames: [],
    classNames: [],
    maxBodyBytes: 1e6,
    maxBatch: 8,
    maxWaiting: 8,
    ...options,
  });
}

async function answer(
  handler: (request: Request) => Promise<Response>,
  body: string,
  type: string,
): Promise<unknown[]> {
  const request = new Request("http://x/invocations", { method: "POST", body, headers: { "content-type": type } });
  const response = await handler(request);
  const { predictions, error_code, message } = await response.json();
  return response.status === 200 ? [200, predictions] : [response.status, error_code, message];
}

Deno.test("createModelHandler() takes the tables of a signature of columns", async (t) => {
  const json = (body: unknown) => [JSON.stringify(body), "application/json"] as const;
  const sums = (...values: number[]) => [200, values.map((value) => ({ "0": value }))];
  const bad = (message: string) => [400, "BAD_REQUEST", `Invalid input. ${message}`];
  const invalid = (message: string) => [400, "INVALID_PARAMETER_VALUE", message];
  const cases: readonly (readonly [readonly [string, string], unknown[]])[] = [
    [json({ dataframe_split: { columns: ["b", "a"], data: [[1, 0.5], [2, 3]] } }), sums(1.5, 5)],
    [json({ dataframe_records: [{ a: 1, b: 2, c: 3, d: "left out" }] }), sums(6)],
    [json({ inputs: { a: [1, 2], b: [3, 4] } }), sums(4, 6)],
    [json({ instances: [{ a: 1, b: 2 }, { a: 3, b: 4 }] }), sums(3, 7)],
    [["b,a\n1,0.5\n", "text/csv"], sums(1.5)],
    [json({ inputs: { a: [1], b: [1] }, params: { top: 3, weights: [0.5, 1], other: {} } }), sums(2)],
    [json({ dataframe_records: [{ a: 1 }] }), invalid("Model is missing inputs ['b'].")],
    [json({ dataframe_records: [{ a: 1, b: 1.5 }] }), bad("b[0] must be a whole number: found 1.5")],
    [json({ dataframe_records: [{ a: 1, b: 1 }, { a: "x", b: 1 }] }), bad('a[1] must be a number: found "x"')],
    [json({ dataframe_records: [{ a: null, b: 1 }] }), bad("a[0] is missing")],
    [json({ inputs: { a: [1], b: [1] }, params: { top: 1.5 } }), invalid("params.top must be of type long: found 1.5")],
    [json({ inputs: { a: [1], b: [1] }, params: { weights: 1 } }), invalid("params.weights must be a list")],
    [json({ inputs: { a: [1], b: [1] }, params: [] }), invalid("Parameters must be a dictionary.")],
    [json({ inputs: { a: [1, 2], b: [1] } }), invalid("inputs.b must have 2 values, as a has")],
  ];
  for (const [[body, type], expected] of cases) {
    await t.step(body.slice(0, 90), async () => assertEquals(await answer(ofColumns(), body, type), expected));
  }
});

Deno.test("createModelHandler() answers null where a prediction is no number, and hides what went wrong inside", async () => {
  const body = JSON.stringify({ dataframe_records: [{ a: 1, b: 2 }] });
  const output = { shape: [1, 2], dtype: "float32", values: Float32Array.of(NaN, Infinity) } as const;
  const odd = ofColumns({ predict: async () => [{ ...output, shape: [1, 2] }] });
  assertEquals(await answer(odd, body, "application/json"), [200, [{ "0": null, "1": null }]]);
  const error = console.error;
  const told: unknown[] = [];
  console.error = (one) => void told.push(one);
  try {
    const broken = ofColumns({ predict: () => Promise.reject(new Error("a secret")) });
    assertEquals(await answer(broken, body, "application/json"), [500, "INTERNAL_ERROR", "Internal Server Error"]);
  } finally {
    console.error = error;
  }
  assertEquals(told.map(String), ["Error: a secret"]);
});

Deno.test("createModelHandler() answers what is made to break it with what is wrong", async () => {
  const handler = ofColumns({ signature: { inputs: [{ type: "tensor", dtype: "float32", shape: [-1, 1] }] } });
  const deep = `${"[".repeat(1e5)}${"]".repeat(1e5)}`;
  const cases = [
    [`{"inputs": ${deep}}`, "Invalid input. Its lists are nested too deep"],
    [`{"instances": [{"constructor": 1}]}`, "instances has names, and the model's input has none"],
    [`{"instances": [{"__proto__": 1}]}`, "instances has names, and the model's input has none"],
  ];
  for (const [body, message] of cases) {
    const [status, , told] = await answer(handler, body, "application/json");
    assertEquals(status, 400);
    assertStringIncludes(String(told), message);
  }
});

Deno.test("createModelHandler() gives several outputs by their names", async () => {
  const handler = ofColumns({
    signature: { inputs: [{ type: "tensor", dtype: "float32", shape: [-1, 1] }] },
    outputNames: ["a", "b"],
    predict: async () => [
      { shape: [1, 1, 2], dtype: "int32", values: Int32Array.of(1, 2) },
      { shape: [1], dtype: "bool", values: Uint8Array.of(1) },
    ],
  });
  const expected = [200, { a: [[[1, 2]]], b: [true] }];
  assertEquals(await answer(handler, `{"inputs": [[1]]}`, "application/json"), expected);
});

Deno.test("cli.ts models serve serves a model until Ctrl-C", async () => {
  await served({}, async (_server, dir, uri) => {
    await using process = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        "--config",
        CONFIG,
        CLI,
        "models",
        "serve",
        "-m",
        uri,
        "-p",
        "0",
        "-h",
        "127.0.0.1",
      ],
      cwd: dir,
      env: cleanEnv(),
      clearEnv: true,
      stdin: "null",
      stderr: "piped",
    }).spawn();
    let told = "";
    const reader = process.stderr.pipeThrough(new TextDecoderStream()).getReader();
    while (!told.includes("is served at")) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`Cannot find the server's address in:\n${told}`);
      told += value;
    }
    const url = /is served at (\S+),/.exec(told)![1];
    const { json } = await post(url, await picture(8, 8, [255, 0, 0], "png"), "image/png");
    assertEquals(json.classes?.[0].name, "red");
    process.kill("SIGINT");
    while (!(await reader.read()).done);
    assertEquals((await process.status).code, 0);
  });
});
