/** What our handler answers beside what the contract asks of it through RestStore. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createHandler } from "../../server/handler.ts";
import { SqliteStore } from "../../stores/sqlite_store.ts";
import type { Json } from "../../stores/wire.ts";

const API = "http://127.0.0.1:5000/api/2.0/mlflow";
const MORE = "See the API docs for more information about request parameters.";

type Handler = (request: Request) => Promise<Response>;

function handlerTest(name: string, check: (handler: Handler, store: SqliteStore, root: string) => Promise<void>): void {
  Deno.test(`createHandler() ${name}`, async () => {
    const artifactRoot = await Deno.makeTempDir();
    await using store = await SqliteStore.open("sqlite:///:memory:");
    try {
      await check(createHandler({ store, artifactRoot }), store, artifactRoot);
    } finally {
      await Deno.remove(artifactRoot, { recursive: true });
    }
  });
}

async function post(handler: Handler, path: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await handler(
    new Request(path.startsWith("http") ? path : `${API}/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    }),
  );
  return { status: response.status, text: await response.text() };
}

async function get(handler: Handler, url: string, headers: Record<string, string> = {}): Promise<Json> {
  const response = await handler(new Request(url.startsWith("http") ? url : `${API}/${url}`, { headers }));
  assertEquals(response.status, 200, url);
  return await response.json();
}

/** Requests that MLflow refuses, with what it says to each. */
const REFUSED: readonly [path: string, body: unknown, sentence: string][] = [
  ["experiments/create", {}, `Missing value for required parameter 'name'. ${MORE}`],
  ["experiments/create", "", `Missing value for required parameter 'name'. ${MORE}`],
  [
    "experiments/create",
    { name: 5 },
    `Invalid value 5 for parameter 'name' supplied:  Hint: Value was of type 'int'. ${MORE}`,
  ],
  [
    "experiments/create",
    { name: "a", tags: {} },
    `Invalid value {} for parameter 'tags' supplied:  Hint: Value was of type 'dict'. ${MORE}`,
  ],
  ["experiments/update", { experiment_id: "0" }, `Missing value for required parameter 'new_name'. ${MORE}`],
  ["runs/log-batch", {}, `Missing value for required parameter 'run_id'. ${MORE}`],
  [
    "runs/log-batch",
    { run_id: 5 },
    `Invalid value 5 for parameter 'run_id' supplied:  Hint: Value was of type 'int'. ${MORE}`,
  ],
  [
    "runs/log-batch",
    { run_id: "a", metrics: [{ key: "m", value: 1 }] },
    `Missing value for required parameter 'metrics[0].timestamp'. ${MORE}`,
  ],
  [
    "runs/log-batch",
    { run_id: "a", params: [{ value: "1" }] },
    `Missing value for required parameter 'params[0].key'. ${MORE}`,
  ],
  ["runs/log-metric", { run_id: "a", key: "k", timestamp: 1 }, `Missing value for required parameter 'value'. ${MORE}`],
  [
    "runs/log-metric",
    { run_id: "a", key: "k", value: "x", timestamp: 1 },
    `Invalid value "x" for parameter 'value' supplied:  Hint: Value was of type 'str'. ${MORE}`,
  ],
  [
    "runs/search",
    { experiment_ids: "0" },
    `Invalid value "0" for parameter 'experiment_ids' supplied:  Hint: Value was of type 'str'. ${MORE}`,
  ],
  [
    "runs/update",
    { run_id: "a", status: "NOPE" },
    `Invalid value "NOPE" for parameter 'status' supplied:  Hint: Value was of type 'str'. ${MORE}`,
  ],
  [
    "logged-models/search",
    { experiment_ids: ["0"], order_by: [{}] },
    `Missing value for required parameter 'order_by[0].field_name'. ${MORE}`,
  ],
];
for (const [path, body, sentence] of REFUSED) {
  handlerTest(`refuses ${path} ${JSON.stringify(body)}`, async (handler) => {
    const { status, text } = await post(handler, path, body);
    assertEquals([status, JSON.parse(text)], [400, { error_code: "INVALID_PARAMETER_VALUE", message: sentence }]);
  });
}

handlerTest("refuses bodies that are no JSON, no object, of another type or too long", async (handler) => {
  for (const body of ["{bad", "[1]", "5"]) {
    const { status, text } = await post(handler, "runs/search", body);
    assertEquals([status, JSON.parse(text).error_code], [400, "BAD_REQUEST"]);
  }
  const { status, text } = await post(handler, "runs/search", "{}", { "content-type": "text/plain" });
  assertEquals(status, 400);
  assertEquals(JSON.parse(text).message, "Bad Request. Content-Type must be one of ['application/json'].");
  const long = await post(handler, "runs/log-batch", { run_id: "a", more: "x".repeat(1_000_000) });
  assertStringIncludes(JSON.parse(long.text).message, "Batched logging API requests must be at most 1000000 bytes");
});

handlerTest("takes unknown fields, numbers as texts and bodies encoded twice", async (handler, store) => {
  const { info: { runId } } = await store.createRun({ experimentId: "0" });
  const metrics = [{ key: "m", value: "NaN", timestamp: "5", step: "2" }, {
    key: "i",
    value: "-Infinity",
    timestamp: 6,
  }];
  const body = JSON.stringify({ run_uuid: runId, metrics, nonsense: 3 });
  assertEquals(await post(handler, "runs/log-batch", JSON.stringify(body)), { status: 200, text: "{}" });
  assertEquals((await store.getRun(runId)).data.metrics, { m: NaN, i: -Infinity });
  const history = await get(handler, `metrics/get-history?run_id=${runId}&metric_key=m`);
  assertEquals(history, { metrics: [{ key: "m", value: "NaN", timestamp: 5, step: 2 }] });
});

handlerTest("gives the whole history to who asks for no pages", async (handler, store) => {
  const { info: { runId } } = await store.createRun({ experimentId: "0" });
  const metrics = Array.from({ length: 1000 }, (_, step) => ({ key: "m", value: 1, step }));
  for (let i = 0; i < 26; i++) {
    await store.logBatch(runId, { metrics: metrics.map((metric) => ({ ...metric, step: metric.step + 1000 * i })) });
  }
  const all = await get(handler, `metrics/get-history?run_id=${runId}&metric_key=m`);
  assertEquals((all.metrics as Json[]).length, 26_000);
  const first = await get(handler, `metrics/get-history?run_id=${runId}&metric_key=m&max_results=2`);
  assertEquals([(first.metrics as Json[]).length, atob(String(first.next_page_token))], [2, `{"offset": 2}`]);
});

handlerTest("answers under both prefixes, and pages of HTML for what is not there", async (handler) => {
  const experiment = await get(handler, "experiments/get?experiment_id=0");
  assertEquals(await get(handler, `${API.replace("/api/", "/ajax-api/")}/experiments/get?experiment_id=0`), experiment);
  for (
    const [method, path, status] of [["GET", "nope", 404], ["DELETE", "runs/get", 405], ["POST", "", 404]] as const
  ) {
    const response = await handler(new Request(`${API}/${path}`, { method }));
    assertEquals(response.status, status);
    assertStringIncludes(await response.text(), "<!doctype html>");
  }
});

handlerTest("says that it is well, and what it is", async (handler) => {
  const text = async (path: string) => await (await handler(new Request(`http://any.host${path}`))).text();
  assertEquals([await text("/health"), await text("/version")], ["OK", "3.17.2"]);
});

handlerTest("blocks pages of other sites and names made to point here", async (handler) => {
  const from = async (origin: string) => (await post(handler, "runs/search", {}, { origin })).status;
  assertEquals([await from("http://evil.example"), await from("null"), await from("http://localhost.evil.example")], [
    403,
    403,
    403,
  ]);
  assertEquals([await from("http://localhost:3000"), await from("https://127.0.0.1")], [200, 200]);
  const at = async (url: string) =>
    (await handler(new Request(`${url}/api/2.0/mlflow/experiments/get?experiment_id=0`))).status;
  assertEquals(
    [await at("http://evil.example"), await at("http://localhost.evil.example"), await at("http://8.8.8.8")],
    [
      403,
      403,
      403,
    ],
  );
  assertEquals([await at("http://localhost:5000"), await at("http://192.168.1.5"), await at("http://[::1]:5000")], [
    200,
    200,
    200,
  ]);
  const page = await handler(
    new Request(`${API}/experiments/get?experiment_id=0`, { headers: { origin: "http://localhost:3" } }),
  );
  assertEquals(page.headers.get("access-control-allow-origin"), "http://localhost:3");
  assertEquals([page.headers.get("x-content-type-options"), page.headers.get("x-frame-options")], [
    "nosniff",
    "SAMEORIGIN",
  ]);
  await page.body?.cancel();
});

handlerTest(
  "keeps the artifacts of new experiments behind mlflow-artifacts: where it serves them",
  async (handler, store) => {
    const create = async (handler: Handler, body: Json) => {
      const { experiment_id: id } = JSON.parse((await post(handler, "experiments/create", body)).text);
      return [id, (await store.getExperiment(id)).artifactLocation];
    };
    const [id, location] = await create(handler, { name: "served" });
    assertEquals(location, `mlflow-artifacts:/${id}`);
    assertEquals(
      (await create(handler, { name: "elsewhere", artifact_location: "s3://bucket/a" }))[1],
      "s3://bucket/a",
    );
    const [other, own] = await create(createHandler({ store }), { name: "not served" });
    assertEquals(own, `${Deno.cwd()}/mlruns/${other}`);
  },
);

handlerTest("refuses artifact locations as MLflow's server does", async (handler) => {
  const refused: readonly [location: string, sentence: string][] = [
    ["s3://bucket/a#b", "'artifact_location' URL can't include fragments or params."],
    ["s3://bucket/a;b", "'artifact_location' URL can't include fragments or params."],
    ["s3://bucket/a?b=../c", "Invalid query string"],
    ["s3://bucket/a?b=%252e%252e/c", "Invalid query string"],
    ["runs:/a/b", "Artifact location cannot be a runs:/ URI. Given: 'runs:/a/b'"],
  ];
  for (const [artifact_location, message] of refused) {
    const { status, text } = await post(handler, "experiments/create", { name: "a", artifact_location });
    assertEquals([status, JSON.parse(text)], [400, { error_code: "INVALID_PARAMETER_VALUE", message }]);
  }
});

handlerTest("serves the artifacts behind mlflow-artifacts:", async (handler, store, root) => {
  const id = await store.createExperiment("served", { artifactLocation: "mlflow-artifacts:/7" });
  const { info } = await store.createRun({ experimentId: id });
  const proxy = `http://127.0.0.1:5000/api/2.0/mlflow-artifacts/artifacts`;
  const put = await handler(
    new Request(`${proxy}/7/${info.runId}/artifacts/plots/a%20b.txt`, { method: "PUT", body: "hi" }),
  );
  assertEquals([put.status, await put.text()], [200, "{}"]);
  assertEquals(await Deno.readTextFile(`${root}/7/${info.runId}/artifacts/plots/a b.txt`), "hi");
  const file = { is_dir: false, file_size: 2 };
  assertEquals(await get(handler, `${proxy}?path=7/${info.runId}/artifacts/plots`), {
    files: [{ path: "a b.txt", ...file }],
  });
  assertEquals(await get(handler, `artifacts/list?run_id=${info.runId}&path=plots`), {
    files: [{ path: "plots/a b.txt", ...file }],
    root_uri: info.artifactUri,
  });
  const read = await handler(
    new Request(`http://127.0.0.1:5000/get-artifact?run_uuid=${info.runId}&path=plots/a b.txt`),
  );
  assertEquals(await read.text(), "hi");
  assertEquals(read.headers.get("content-disposition"), "attachment; filename*=UTF-8''a%20b.txt");
  const removed = await handler(new Request(`${proxy}/7/${info.runId}`, { method: "DELETE" }));
  assertEquals(await removed.text(), "{}");
  assertEquals(await get(handler, `${proxy}?path=7`), {});
  const missing = await handler(new Request(`${proxy}/7/none`));
  assertEquals([missing.status, (await missing.json()).error_code], [404, "RESOURCE_DOES_NOT_EXIST"]);
});

handlerTest("serves nothing outside its artifacts", async (handler) => {
  for (const path of ["..%2Fsecret", "a%2F..%2F..%2Fsecret", "%2Fetc%2Fpasswd", "a%5C..%5Cb", "%00", "%zz"]) {
    const response = await handler(new Request(`http://127.0.0.1/api/2.0/mlflow-artifacts/artifacts/${path}`));
    assertEquals([response.status, (await response.json()).message], [400, "Invalid path"], path);
  }
});

handlerTest("keeps to itself what is not MLflow's to say", async (_handler, store) => {
  const { error } = console;
  const logged: unknown[] = [];
  console.error = (text) => logged.push(text);
  try {
    const broken = new Proxy(store, {
      get: () => () => {
        throw new Error("disk at /secret/path is full");
      },
    });
    const response = await createHandler({ store: broken })(new Request(`${API}/experiments/get?experiment_id=0`));
    assertEquals(await response.json(), { error_code: "INTERNAL_ERROR", message: "Internal Server Error" });
    assertEquals(response.status, 500);
    assert(logged[0] instanceof Error);
  } finally {
    console.error = error;
  }
});
