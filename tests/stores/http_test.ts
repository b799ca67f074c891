/** HttpClient and RestStore on servers that fail in every way that one can. */
import https from "node:https";
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { MlflowError } from "../../errors.ts";
import { HttpClient, type HttpOptions } from "../../stores/http.ts";
import { RestStore } from "../../stores/rest_store.ts";
import { withEnv } from "../support/env.ts";
import { type Line, ScriptedServer } from "../support/scripted_server.ts";

const TLS = new URL("../testdata/tls/", import.meta.url);
const SERVER_PEM = Deno.readTextFileSync(new URL("server.pem", TLS));
const CA_PATH = new URL("ca.pem", TLS).pathname;
const CLIENT_PATH = new URL("client.pem", TLS).pathname;

const SECRETS = ["s3cret", "t0ken-value", btoa("me:s3cret"), btoa("me:s3cret/ü").slice(0, 12)];
const EXPERIMENT: Line = { body: `{"experiment": {"experiment_id": "1", "name": "a"}}` };
const RUN: Line = { body: `{"run": {"info": {"run_id": "r1"}}}` };

/** No variable of who runs the tests may reach them. */
const CLEAN = Object.fromEntries(
  [
    ...["USERNAME", "PASSWORD", "TOKEN", "INSECURE_TLS", "SERVER_CERT_PATH", "CLIENT_CERT_PATH"]
      .map((name) => `MLFLOW_TRACKING_${name}`),
    ...["TIMEOUT", "MAX_RETRIES", "BACKOFF_FACTOR", "BACKOFF_JITTER"].map((name) => `MLFLOW_HTTP_REQUEST_${name}`),
    ...["MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", "MLFLOW_ALLOW_HTTP_REDIRECTS", "MLFLOW_WORKSPACE", "HOME"],
    ...["MLFLOW_TRACKING_AWS_SIGV4", "MLFLOW_TRACKING_AUTH"],
  ].map((name) => [name, undefined]),
);

/** A client whose waits are written down and not waited. */
interface Setup {
  readonly server: ScriptedServer;
  readonly store: RestStore;
  readonly http: HttpClient;
  readonly delays: number[];
}

interface SetupOptions extends HttpOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What comes before the server's name in the URL. */
  readonly user?: string;
}

function faultTest(
  name: string,
  script: readonly Line[],
  check: (setup: Setup) => Promise<void>,
  { env, user, ...options }: SetupOptions = {},
): void {
  Deno.test(name, () =>
    withEnv({ ...CLEAN, ...env }, async () => {
      await using server = new ScriptedServer(...script);
      const delays: number[] = [];
      const all = {
        delay: async (ms: number) => void delays.push(ms),
        random: () => 0.5,
        now: () => Date.parse("2026-11-23T12:00:00Z"),
        ...options,
      };
      const url = user === undefined ? server.url : server.url.replace("//", `//${user}@`);
      await using store = await RestStore.open(url, all);
      using http = await HttpClient.open(url, all);
      await check({ server, store, http, delays });
    }));
}

/** Wants an error of MLflow's and looks whether it shows what it must not. */
async function failing(work: () => Promise<unknown>): Promise<MlflowError> {
  const error = await assertRejects(work, MlflowError);
  const shown = [Deno.inspect(error, { depth: 10 }), JSON.stringify(error), error.stack, error.url].join("\n");
  for (const secret of SECRETS) assert(!shown.includes(secret), `${secret} is in ${shown}`);
  return error;
}

faultTest(
  "HttpClient waits as 429 says, in seconds or until a date",
  [
    { status: 429, headers: { "retry-after": "3" }, body: "slow down" },
    { status: 429, headers: { "retry-after": "Mon, 23 Nov 2026 12:00:09 GMT" } },
    EXPERIMENT,
  ],
  async ({ store, server, delays }) => {
    assertEquals((await store.getExperiment("1")).name, "a");
    assertEquals([delays, server.seen.length], [[3000, 9000], 3]);
  },
);

faultTest(
  "HttpClient repeats a request after 500s",
  [{ status: 500, body: "oops" }, { status: 503, body: "{}" }, EXPERIMENT],
  async ({ store, delays }) => {
    await store.getExperiment("1");
    assertEquals(delays, [500, 4500]);
  },
);

faultTest("HttpClient gives up in the end and says what was answered", [{
  status: 502,
  body: "<h1>Bad\n Gateway</h1>",
}], async ({ store, server, delays }) => {
  const error = await failing(() => store.getExperiment("1"));
  assertEquals([error.code, error.status, error.method], ["INTERNAL_ERROR", 502, "GET"]);
  assertEquals(error.url, `${server.url}/api/2.0/mlflow/experiments/get?experiment_id=1`);
  assertEquals(
    error.reason,
    "API request to endpoint /api/2.0/mlflow/experiments/get failed with error code 502 != 200. " +
      "Response body: '<h1>Bad Gateway</h1>', sent 3 times",
  );
  assertEquals(delays.length, 2);
}, { maxRetries: 2 });

faultTest("HttpClient gives MLflow's own code and sentence", [
  { status: 404, body: `{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "No Experiment with id=9 exists"}` },
], async ({ store, delays }) => {
  const error = await failing(() => store.getExperiment("9"));
  assertEquals([error.code, error.reason, error.status, delays], [
    "RESOURCE_DOES_NOT_EXIST",
    "No Experiment with id=9 exists",
    404,
    [],
  ]);
});

faultTest("HttpClient does not repeat what MLflow answers 500 to for good", [
  { status: 500, body: `{"error_code": "INVALID_STATE", "message": "Cannot rename a non-active experiment."}` },
], async ({ store, server }) => {
  assertEquals((await failing(() => store.renameExperiment("1", "b"))).code, "INVALID_STATE");
  assertEquals(server.seen.length, 1);
});

Deno.test("HttpClient goes on trying a server that is not there, also to make a run", () =>
  withEnv(CLEAN, async () => {
    const server = new ScriptedServer();
    const { url } = server;
    await server[Symbol.asyncDispose]();
    const delays: number[] = [];
    await using store = await RestStore.open(url, { delay: async (ms) => void delays.push(ms), random: () => 0 });
    for (const work of [() => store.getExperiment("1"), () => store.createRun({ experimentId: "0" })]) {
      delays.length = 0;
      const error = await failing(work);
      assertEquals([error.code, error.status], ["TEMPORARILY_UNAVAILABLE", undefined]);
      assertEquals(error.reason, `${url} cannot be reached (connection refused), sent 8 times`);
      assertEquals(delays, [0, 4000, 8000, 16_000, 32_000, 64_000, 120_000]);
    }
  }));

Deno.test("HttpClient says that a server's name is not known", () =>
  withEnv(CLEAN, async () => {
    await using store = await RestStore.open("http://no-such-server.invalid", { maxRetries: 0 });
    const error = await failing(() => store.getExperiment("1"));
    assertEquals(error.reason, "http://no-such-server.invalid cannot be reached (its name is not known)");
  }));

faultTest(
  "HttpClient repeats a request whose answer broke off",
  ["half", "close", EXPERIMENT],
  async ({ store, delays }) => {
    assertEquals((await store.getExperiment("1")).name, "a");
    assertEquals(delays.length, 2);
  },
);

faultTest("HttpClient says that an answer broke off", ["half"], async ({ store, server }) => {
  const error = await failing(() => store.getExperiment("1"));
  assertEquals(error.code, "TEMPORARILY_UNAVAILABLE");
  assertEquals(error.reason, `${server.url} did not answer (the connection broke within the answer)`);
}, { maxRetries: 0 });

for (const line of ["stall", "stall in body"] as const) {
  faultTest(`HttpClient gives up on a server that is silent (${line})`, [line], async ({ store, server }) => {
    const error = await failing(() => store.getExperiment("1"));
    assertEquals(error.code, "DEADLINE_EXCEEDED");
    assertStringIncludes(error.reason, `${server.url} was silent for 40 ms. To increase the timeout`);
    assertEquals(server.seen.length, 2);
  }, { timeout: 40, maxRetries: 1 });
}

faultTest("HttpClient ends a request when it is told to", ["stall"], async ({ http }) => {
  const controller = new AbortController();
  const request = http.json({ method: "GET", path: "/", signal: controller.signal });
  controller.abort(new DOMException("enough", "AbortError"));
  await assertRejects(() => request, DOMException, "enough");
});

for (const line of ["close", "half", "stall", { status: 500 }, { status: 503 }] satisfies Line[]) {
  const what = typeof line === "string" ? line : String(line.status);
  for (
    const [make, work] of [
      ["a run", (store: RestStore) => store.createRun({ experimentId: "0" })],
      ["an experiment", (store: RestStore) => store.createExperiment("a")],
      ["a logged model", (store: RestStore) => store.createLoggedModel({ experimentId: "0" })],
      ["params of a logged model", (store: RestStore) => store.logLoggedModelParams("m-1", [{ key: "a", value: "1" }])],
    ] as const
  ) {
    faultTest(`RestStore never sends ${make} twice when the answer is lost (${what})`, [line], async (setup) => {
      await failing(() => work(setup.store));
      assertEquals([setup.server.seen.length, setup.delays], [1, []]);
    }, { timeout: 40 });
  }
}

faultTest("RestStore makes a run once a busy server lets it", [{ status: 429 }, RUN], async ({ store, server }) => {
  assertEquals((await store.createRun({ experimentId: "0" })).info.runId, "r1");
  assertEquals(server.seen.length, 2);
});

faultTest("RestStore sends a batch again, which is kept once", ["close", "half", {}], async ({ store, server }) => {
  await store.logBatch("r1", { metrics: [{ key: "a", value: 1 }, { key: "b", value: 2 }] });
  assertEquals(new Set(server.seen.map(({ body }) => body)).size, 1);
  assertEquals(server.seen.length, 3);
});

faultTest(
  "RestStore takes what is gone for removed if the first answer was lost, and only then",
  ["close", { status: 404, body: `{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "No tag with name: t"}` }],
  async ({ store, server }) => {
    await store.deleteTag("r1", "t");
    assertEquals(server.seen.length, 2);
    assertEquals((await failing(() => store.deleteTag("r1", "t"))).code, "RESOURCE_DOES_NOT_EXIST");
    assertEquals(server.seen.length, 3);
  },
);

Deno.test("RestStore never makes a second run when the answer is to be had where nobody is", () =>
  withEnv(CLEAN, async () => {
    const gone = new ScriptedServer();
    const { url } = gone;
    await gone[Symbol.asyncDispose]();
    await using server = new ScriptedServer({ status: 303, headers: { location: `${url}/runs/1` } });
    await using store = await RestStore.open(server.url, { delay: async () => {} });
    await failing(() => store.createRun({ experimentId: "0" }));
    assertEquals(server.seen.length, 1);
  }));

faultTest("HttpClient gives the error of a body that cannot be read as it is", [{}], async ({ http, server }) => {
  const body = () => Promise.reject(new RangeError("no such part"));
  await assertRejects(() => http.send({ method: "PUT", path: "/a", body }), RangeError, "no such part");
  assertEquals(server.seen.length, 0);
});

faultTest("HttpClient ends also while it waits", [{ status: 503 }], async ({ server }) => {
  using http = await HttpClient.open(server.url, { random: () => 1 });
  const controller = new AbortController();
  const request = http.json({ method: "GET", path: "/", signal: controller.signal });
  setTimeout(() => controller.abort(), 20);
  await assertRejects(() => request, Error);
  assertEquals(server.seen.length, 1);
});

faultTest("RestStore cuts a batch of more than 1 MB into requests of less", [{}], async ({ store, server }) => {
  const params = Array.from({ length: 100 }, (_, i) => ({ key: `p${i}`, value: "é".repeat(6000) }));
  const metrics = Array.from({ length: 800 }, (_, step) => ({ key: "m", value: step, step, timestamp: 5 }));
  await store.logBatch("r1", { params, metrics, tags: [{ key: "t", value: "1" }] });
  const sizes = server.seen.map(({ body }) => new TextEncoder().encode(body).length);
  assert(sizes.length === 2 && sizes.every((size) => size < 1_000_000), String(sizes));
  const bodies = server.seen.map(({ body }) => JSON.parse(body));
  assertEquals(bodies.flatMap((body) => body.params ?? []), params);
  assertEquals(bodies.flatMap((body) => body.metrics ?? []).length, 800);
  assertEquals(bodies.map(({ run_id, tags }) => [run_id, tags]), [["r1", undefined], ["r1", [{
    key: "t",
    value: "1",
  }]]]);
});

faultTest("RestStore sends what JSON cannot hold as MLflow reads it", [{}], async ({ store, server }) => {
  const values = [NaN, Infinity, -Infinity];
  await store.logBatch("r1", { metrics: values.map((value) => ({ key: "m", value, timestamp: 1 })) });
  assertEquals(
    JSON.parse(server.seen[0].body).metrics.map(({ value }: { value: unknown }) => value),
    values.map(String),
  );
});

faultTest("RestStore reads whole numbers and values sent as texts", [{
  body: `{"metrics": [{"key": "m", "value": "-Infinity", "timestamp": "1700000000000", "step": "-3"}, ` +
    `{"key": "m", "value": 1.7976931348623157e+308, "timestamp": 2}, {"key": "m", "timestamp": 3, "step": 0}]}`,
}], async ({ store }) => {
  assertEquals((await store.getMetricHistory("r1", "m")).items, [
    { key: "m", value: Infinity, timestamp: 2, step: 0 },
    { key: "m", value: 0, timestamp: 3, step: 0 },
    { key: "m", value: -Infinity, timestamp: 1_700_000_000_000, step: -3 },
  ]);
});

const NOT_JSON: readonly [string, Line, string, number, RegExp][] = [
  [
    "a proxy's page",
    { body: "<html>Sign in</html>", headers: { "content-type": "text/html" } },
    "INTERNAL_ERROR",
    200,
    /not in a valid JSON format\. Response body: '<html>Sign in<\/html>'/,
  ],
  ["half an object", { body: `{"experiment": {` }, "INTERNAL_ERROR", 200, /not in a valid JSON format/],
  ["a list", { body: "[]" }, "INTERNAL_ERROR", 200, /not in a valid JSON format/],
  ["nothing", { body: "" }, "INTERNAL_ERROR", 200, /has no 'experiment'/],
  ["another object", { body: `{"a": 1}` }, "INTERNAL_ERROR", 200, /has no 'experiment'.*'{"a": 1}'/],
  ["a page for 404", { status: 404, body: "<h1>Not Found</h1>" }, "ENDPOINT_NOT_FOUND", 404, /error code 404 != 200/],
  ["a page for 401", { status: 401, body: "" }, "UNAUTHENTICATED", 401, /error code 401 != 200/],
  ["a page for 403", { status: 403, body: "no" }, "PERMISSION_DENIED", 403, /Response body: 'no'/],
  ["JSON that is no error", { status: 400, body: `{"detail": 1}` }, "BAD_REQUEST", 400, /'{"detail": 1}'/],
  ["a code that is new", { status: 409, body: `{"error_code": "NEW", "message": "m"}` }, "ALREADY_EXISTS", 409, /^m$/],
  ["a long page", { status: 400, body: "x\u0007".repeat(5000) }, "BAD_REQUEST", 400, /body: '(x ){150}…'$/],
];
for (const [what, line, code, status, reason] of NOT_JSON) {
  faultTest(`HttpClient says what it got instead of JSON: ${what}`, [line], async ({ store }) => {
    const error = await failing(() => store.getExperiment("1"));
    assertEquals([error.code, error.status], [code as MlflowError["code"], status]);
    assertMatch(error.reason, reason);
  });
}

faultTest(
  "RestStore takes a 404 for a missing experiment only from MLflow",
  [{ status: 404, body: "<html>" }],
  async ({ store }) => {
    assertEquals((await failing(() => store.getExperimentByName("a"))).code, "ENDPOINT_NOT_FOUND");
  },
);

const REDIRECT = (location: string, status = 308): Line => ({ status, headers: { location }, body: "" });

faultTest("HttpClient follows a redirection with method, body and credentials on the same server", [
  REDIRECT("/moved/here", 301),
  RUN,
], async ({ store, server }) => {
  await store.createRun({ experimentId: "7" });
  const [, second] = server.seen;
  assertEquals([second.method, second.path], ["POST", "/moved/here"]);
  assertEquals(JSON.parse(second.body).experiment_id, "7");
  assertEquals(second.headers.get("authorization"), "Bearer t0ken-value");
}, { env: { MLFLOW_TRACKING_TOKEN: "t0ken-value" } });

for (const status of [302, 307]) {
  Deno.test(`HttpClient sends no credentials on to another server (${status})`, () =>
    withEnv({ ...CLEAN, MLFLOW_TRACKING_TOKEN: "t0ken-value", MLFLOW_WORKSPACE: "team" }, async () => {
      await using other = new ScriptedServer(RUN);
      const elsewhere = other.url.replace("127.0.0.1", "localhost");
      await using server = new ScriptedServer(REDIRECT(`${elsewhere}/x`, status));
      await using store = await RestStore.open(server.url);
      await store.createRun({ experimentId: "0" });
      assertEquals(server.seen[0].headers.get("authorization"), "Bearer t0ken-value");
      const { method, headers, body } = other.seen[0];
      assertEquals([headers.get("authorization"), headers.get("x-mlflow-workspace")], [null, null]);
      assertEquals([method, body === ""], status === 302 ? ["GET", true] : ["POST", false]);
    }));
}

faultTest("HttpClient follows no circle", [REDIRECT("/again")], async ({ store, server }) => {
  const error = await failing(() => store.getExperiment("1"));
  assertStringIncludes(
    error.reason,
    `${server.url} sends the request on to ${server.url}/again, which was not followed`,
  );
  assertEquals(server.seen.length, 11);
});

faultTest(
  "HttpClient follows no redirection where it must not",
  [REDIRECT("/a?password=s3cret")],
  async ({ store, server }) => {
    const error = await failing(() => store.getExperiment("1"));
    assertStringIncludes(error.reason, "which MLFLOW_ALLOW_HTTP_REDIRECTS does not allow");
    assertEquals([error.status, server.seen.length], [308, 1]);
  },
  { env: { MLFLOW_ALLOW_HTTP_REDIRECTS: "false" } },
);

/** A server that says back what it was sent. */
const ECHO = (...sent: string[]): Line => ({ status: 400, body: `you sent ${sent.join(" and ")}` });

faultTest(
  "HttpClient authorizes by the URL and never shows it",
  [ECHO("s3cret", btoa("me:s3cret"))],
  async ({ store, server, http }) => {
    const error = await failing(() => store.getExperiment("1"));
    assertEquals(server.seen[0].headers.get("authorization"), `Basic ${btoa("me:s3cret")}`);
    assertStringIncludes(error.reason, "you sent *** and ***");
    assertEquals([http.url, store.uri], [server.url, server.url]);
    for (const thing of [http, store]) assert(!Deno.inspect(thing).includes("s3cret"));
  },
  { user: "me:s3cret", env: { MLFLOW_TRACKING_TOKEN: "other" } },
);

faultTest("HttpClient authorizes by name and password before a token", [
  ECHO("s3cret/ü", new TextEncoder().encode("me:s3cret/ü").toBase64(), "s3cret%2F%C3%BC"),
], async ({ store, server }) => {
  await failing(() => store.getExperiment("1"));
  const encoded = new TextEncoder().encode("me:s3cret/ü").toBase64();
  assertEquals(server.seen[0].headers.get("authorization"), `Basic ${encoded}`);
}, {
  env: { MLFLOW_TRACKING_USERNAME: "me", MLFLOW_TRACKING_PASSWORD: "s3cret/ü", MLFLOW_TRACKING_TOKEN: "t0ken-value" },
});

faultTest(
  "HttpClient authorizes by a token where a password is missing",
  [ECHO("t0ken-value")],
  async ({ store, server }) => {
    await failing(() => store.getExperiment("1"));
    assertEquals(server.seen[0].headers.get("authorization"), "Bearer t0ken-value");
  },
  { env: { MLFLOW_TRACKING_USERNAME: "me", MLFLOW_TRACKING_TOKEN: "t0ken-value" } },
);

Deno.test("HttpClient reads ~/.mlflow/credentials, and variables before it, each for itself", async () => {
  const home = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${home}/.mlflow`);
    await Deno.writeTextFile(
      `${home}/.mlflow/credentials`,
      "; mine\n[other]\nmlflow_tracking_username = no\n\n[mlflow]\nMLFLOW_TRACKING_USERNAME = me\n" +
        "mlflow_tracking_password: s3cret%%=1\n",
    );
    for (
      const [env, expected] of [[{}, "me:s3cret%=1"], [{ MLFLOW_TRACKING_USERNAME: "you" }, "you:s3cret%=1"]] as const
    ) {
      await withEnv({ ...CLEAN, HOME: home, ...env }, async () => {
        await using server = new ScriptedServer(EXPERIMENT);
        await using store = await RestStore.open(server.url);
        await store.getExperiment("1");
        assertEquals(server.seen[0].headers.get("authorization"), `Basic ${btoa(expected)}`);
      });
    }
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

faultTest("HttpClient says who asks, and in which workspace", [EXPERIMENT], async ({ store, http, server }) => {
  await store.getExperiment("1");
  await http.json({ method: "GET", path: "/api/3.0/mlflow/workspaces" });
  const [first, second] = server.seen.map(({ headers }) => headers);
  assertMatch(first.get("user-agent") ?? "", /^mlflow-deno/);
  assertEquals([first.get("x-mlflow-workspace"), second.get("x-mlflow-workspace")], ["team", null]);
  assertEquals(first.get("authorization"), null);
}, { env: { MLFLOW_WORKSPACE: "team" } });

Deno.test("HttpClient keeps the path of a URL, and repeats lists in a query", () =>
  withEnv(CLEAN, async () => {
    await using server = new ScriptedServer({});
    await using store = await RestStore.open(`${server.url}/team/mlflow/?x=1#y`);
    await store.getMetricHistoryBulkInterval(["a", "b"], "m & n", { startStep: 1, endStep: 2 });
    assertEquals(
      server.seen[0].path,
      "/team/mlflow/api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids=a&run_ids=b&metric_key=m%20%26%20n&" +
        "start_step=1&end_step=2",
    );
  }));

Deno.test("HttpClient refuses URLs and variables that mean nothing", async () => {
  for (const url of ["http://", "https://me:s3cret@", "ftp://me:s3cret@host", "http://me:s3cret@host:99999"]) {
    assertEquals((await failing(() => HttpClient.open(url))).code, "INVALID_PARAMETER_VALUE");
  }
  for (
    const [name, value] of [
      ["MLFLOW_HTTP_REQUEST_MAX_RETRIES", "11"],
      ["MLFLOW_HTTP_REQUEST_TIMEOUT", "long"],
      ["MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "-1"],
      ["MLFLOW_TRACKING_AWS_SIGV4", "true"],
      ["MLFLOW_TRACKING_AUTH", "kubernetes"],
    ]
  ) {
    await withEnv({ ...CLEAN, [name]: value }, async () => {
      assertStringIncludes((await failing(() => HttpClient.open("http://localhost"))).reason, name);
    });
  }
});

Deno.test({
  name: "HttpClient says that Deno does not allow the network",
  permissions: { net: false, env: true, read: true },
  fn: async () => {
    await using store = await RestStore.open("http://me:s3cret@127.0.0.1:5999");
    const error = await failing(() => store.getExperiment("1"));
    assertEquals(error.code, "PERMISSION_DENIED");
    assertEquals(
      error.reason,
      "Deno does not allow to reach http://127.0.0.1:5999; allow it with --allow-net=127.0.0.1:5999",
    );
  },
});

/** A store on a server that has a certificate of a test's own authority. */
async function withTlsServer(
  env: Readonly<Record<string, string>>,
  check: (store: RestStore, url: string) => Promise<void>,
): Promise<void> {
  const options = { hostname: "127.0.0.1", port: 0, cert: SERVER_PEM, key: SERVER_PEM, onListen: () => {} };
  const server = Deno.serve(options, async (request) => {
    const body = await request.text();
    if (body !== "") return Response.json({ run: { info: { run_id: JSON.parse(body).experiment_id } } });
    return Response.json({ experiment: { name: request.headers.get("user-agent") } });
  });
  try {
    const url = `https://localhost:${server.addr.port}`;
    await withEnv({ ...CLEAN, ...env }, async () => {
      await using store = await RestStore.open(url, { delay: async () => {} });
      await check(store, url);
    });
  } finally {
    await server.shutdown();
  }
}

Deno.test("HttpClient trusts no certificate of an unknown authority, and does not try again", () =>
  withTlsServer({}, async (store, url) => {
    const error = await failing(() => store.getExperiment("1"));
    assertEquals(error.code, "INTERNAL_ERROR");
    assertEquals(
      error.reason,
      `the certificate of ${url} is not trusted (UnknownIssuer); MLFLOW_TRACKING_SERVER_CERT_PATH names a file of ` +
        "authorities to trust",
    );
  }));

Deno.test("HttpClient trusts the authorities of MLFLOW_TRACKING_SERVER_CERT_PATH", () =>
  withTlsServer({ MLFLOW_TRACKING_SERVER_CERT_PATH: CA_PATH }, async (store) => {
    assertEquals((await store.getExperiment("1")).name, "mlflow-deno");
    assertEquals((await store.createRun({ experimentId: "é" })).info.runId, "é");
  }));

Deno.test("HttpClient looks at no certificate with MLFLOW_TRACKING_INSECURE_TLS", () =>
  withTlsServer({ MLFLOW_TRACKING_INSECURE_TLS: "true" }, async (store) => {
    assertEquals((await store.getExperiment("1")).name, "mlflow-deno");
    assertEquals((await store.createRun({ experimentId: "é" })).info.runId, "é");
    await Promise.all(Array.from({ length: 10 }, () => store.getExperiment("1")));
  }));

Deno.test("HttpClient refuses to look and not to look at certificates, and files that are not there", async () => {
  const path = "MLFLOW_TRACKING_SERVER_CERT_PATH";
  await withEnv({ ...CLEAN, [path]: CA_PATH, MLFLOW_TRACKING_INSECURE_TLS: "1" }, async () => {
    assertStringIncludes((await failing(() => HttpClient.open("https://localhost"))).reason, "only one of these");
  });
  await withEnv({ ...CLEAN, [path]: "/no/such.pem" }, async () => {
    assertStringIncludes(
      (await failing(() => HttpClient.open("https://localhost"))).reason,
      `"/no/such.pem" of ${path}`,
    );
  });
});

Deno.test("HttpClient shows the certificate of MLFLOW_TRACKING_CLIENT_CERT_PATH, looking at the server's or not", async () => {
  const options = { cert: SERVER_PEM, key: SERVER_PEM, ca: Deno.readTextFileSync(CA_PATH), requestCert: true };
  const server = https.createServer(options, (_request, response) => {
    response.setHeader("connection", "close").end(`{"experiment": {"name": "known"}}`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const url = `https://localhost:${(server.address() as { port: number }).port}`;
    for (const trust of [{ MLFLOW_TRACKING_SERVER_CERT_PATH: CA_PATH }, { MLFLOW_TRACKING_INSECURE_TLS: "true" }]) {
      await withEnv({ ...CLEAN, ...trust, MLFLOW_TRACKING_CLIENT_CERT_PATH: CLIENT_PATH }, async () => {
        await using store = await RestStore.open(url, { delay: async () => {} });
        assertEquals((await store.getExperiment("1")).name, "known");
      });
      await withEnv({ ...CLEAN, ...trust }, async () => {
        await using store = await RestStore.open(url, { delay: async () => {} });
        assertStringIncludes((await failing(() => store.getExperiment("1"))).reason, "does not accept our certificate");
      });
    }
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

Deno.test("HttpClient.send() streams a body up and down", () =>
  withEnv(CLEAN, async () => {
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      async (request) => new Response((await request.bytes()).map((byte) => byte + 1)),
    );
    using http = await HttpClient.open(`http://127.0.0.1:${server.addr.port}`);
    const body = () => new Blob([new Uint8Array([1, 2, 3])]).stream();
    const response = await http.send({ method: "PUT", path: "/file", body });
    assertEquals([...await response.bytes()], [2, 3, 4]);
    await server.shutdown();
  }));
