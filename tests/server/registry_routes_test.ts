/** The registry's routes of our handler: what they take for a version's source, and the files that they give out. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient } from "../../client.ts";
import { createHandler } from "../../server/handler.ts";
import { SqliteStore } from "../../stores/sqlite_store.ts";
import { mlflowTest } from "../support/mlflow.ts";

/** Our handler over a new database, for the time of a check. */
async function withHandler(dir: string, check: (url: string) => Promise<void>): Promise<void> {
  await using store = await SqliteStore.open(`sqlite:///${join(dir, "handler.db")}`);
  const handler = createHandler({ store, artifactRoot: join(dir, "served") });
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
  await check(`http://127.0.0.1:${server.addr.port}`);
}

async function inFolder(check: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
  try {
    await check(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Sources, and what is named with them; `$local` and `$served` are the artifacts of runs, `$run`, `$other` runs. */
const SOURCES: readonly [source: string, named?: Readonly<Record<string, string>>][] = [
  ["/etc"],
  ["/etc", { run_id: "$local" }],
  ["etc"],
  ["file:///etc/passwd"],
  ["file:///etc/passwd", { run_id: "$local" }],
  ["$localUri/model"],
  ["$localUri/model", { run_id: "$local" }],
  ["$localUri", { run_id: "$local" }],
  ["file://$localUri/model", { run_id: "$local" }],
  ["$localUri/../../other", { run_id: "$local" }],
  ["$localUri-beside", { run_id: "$local" }],
  ["$localUri/model", { run_id: "$served" }],
  ["$localUri/model", { run_id: "f".repeat(32) }],
  ["$localUri/model", { model_id: "$model" }],
  ["$modelUri/data", { model_id: "$model" }],
  ["$modelUri/data"],
  ["s3://bucket/model"],
  ["s3://bucket/model", { run_id: "$local" }],
  ["s3://bucket/../model"],
  ["s3://bucket/a/%2e%2e/model"],
  ["s3://bucket/a/%252e%252e/model"],
  ["s3://bucket/a/./model"],
  ["https://example.org/model"],
  ["https://example.org/../model"],
  ["dbfs:/model"],
  ["runs:/$local/model", { run_id: "$local" }],
  ["runs:/$local/model"],
  ["runs:/$local/model", { run_id: "$served" }],
  ["runs:/$local/model", { model_id: "$model" }],
  ["models:/$model", { model_id: "$model" }],
  ["models:/$model"],
  ["models:/$model", { model_id: `m-${"0".repeat(32)}` }],
  ["models:/a/b/c"],
  ["models://host/registered/1"],
  ["models:/registered/1"],
  ["models:/registered@best"],
  ["models:/registered/latest"],
  ["models:/registered/1", { run_id: "$local" }],
  ["models:/registered/1", { run_id: "$served" }],
  ["models:/registered/9"],
  ["models:/none/1"],
  ["mlflow-artifacts:/model"],
  ["mlflow-artifacts:/model", { run_id: "$served" }],
  ["$servedUri/model", { run_id: "$served" }],
  ["$servedUri/../model", { run_id: "$served" }],
  ["$servedUri/model"],
  ["$servedUri/model", { run_id: "$local" }],
  ["http://127.0.0.1:5000/api/2.0/mlflow-artifacts/artifacts/model"],
];

/** What a server answers to each source: an error's code and sentence, or the source and run of the version. */
async function answers(url: string, dir: string): Promise<unknown[]> {
  const client = new MlflowClient(url);
  const newRun = async (name: string, artifactLocation: string) => {
    const { info } = await client.createRun({
      experimentId: await client.createExperiment(name, { artifactLocation }),
    });
    return info;
  };
  const local = await newRun("local", join(dir, "artifacts"));
  const served = await newRun("served", "mlflow-artifacts:/served");
  const model = await client.createLoggedModel({ experimentId: local.experimentId, sourceRunId: local.runId });
  await client.createRegisteredModel("registered");
  await client.createModelVersion("registered", "s3://bucket/first", { runId: local.runId });
  await client.setRegisteredModelAlias("registered", "best", 1);
  await client.createRegisteredModel("target");
  const names: Record<string, string> = {
    localUri: local.artifactUri,
    servedUri: served.artifactUri,
    modelUri: model.artifactLocation,
    local: local.runId,
    served: served.runId,
    model: model.modelId,
  };
  const fill = (text: string) => text.replace(/\$([a-zA-Z]+)/g, (_, name) => names[name]);
  const found: unknown[] = [];
  for (const [source, named = {}] of SOURCES) {
    const fields = Object.fromEntries(Object.entries(named).map(([key, value]) => [key, fill(value)]));
    const response = await fetch(`${url}/api/2.0/mlflow/model-versions/create`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "target", source: fill(source), ...fields }),
    });
    const body = await response.json();
    const { model_version: version } = body;
    let text = JSON.stringify(
      version === undefined
        ? [response.status, body.error_code, body.message]
        : [response.status, version.source, version.run_id ?? ""],
    ).replaceAll(dir, "$dir");
    for (const [name, value] of Object.entries(names).sort(([, a], [, b]) => b.length - a.length)) {
      text = text.replaceAll(value, `$${name}`);
    }
    found.push([source, named, JSON.parse(text)]);
  }
  return found;
}

mlflowTest("our handler takes and refuses sources of versions as MLflow's server does", async (mlflow) => {
  await using server = await mlflow.ui({ command: "server", env: { MLFLOW_SERVER_ENABLE_JOB_EXECUTION: "false" } });
  const theirs = await answers(server.url, mlflow.dir);
  await withHandler(mlflow.dir, async (url) => assertEquals(await answers(url, mlflow.dir), theirs));
});

Deno.test("our handler gives out the files of versions", () =>
  inFolder(async (dir) => {
    await withHandler(dir, async (url) => {
      const client = new MlflowClient(url);
      const { info } = await client.createRun({ experimentId: "0" });
      await client.createRegisteredModel("digits");
      const experimentId = await client.createExperiment("served", { artifactLocation: "mlflow-artifacts:/1" });
      const { modelId } = await client.createLoggedModel({ experimentId });
      await Deno.writeTextFile(join(dir, "MLmodel"), "flavors: {}");
      await client.logModelArtifact(modelId, join(dir, "MLmodel"));
      await client.createModelVersion("digits", `models:/${modelId}`);
      await client.createModelVersion("digits", `runs:/${info.runId}/model`, { runId: info.runId });
      const get = async (query: string) => {
        const response = await fetch(`${url}/model-versions/get-artifact?${query}`);
        return [response.status, (await response.text()).slice(0, 60)];
      };
      assertEquals(await get("name=digits&version=1&path=MLmodel"), [200, "flavors: {}"]);
      assertEquals((await get("name=digits&version=1&path=none"))[0], 404);
      assertEquals((await get("name=digits&version=1&path=../secret"))[0], 400);
      assertEquals((await get("name=digits&version=2&path=MLmodel"))[0], 404);
      assertEquals((await get("name=digits&version=9&path=MLmodel"))[0], 404);
      assertEquals((await get("name=digits&version=1"))[0], 400);
    });
  }));

Deno.test("our handler refuses requests to the registry that lack what they need", () =>
  inFolder(async (dir) => {
    await withHandler(dir, async (url) => {
      const send = async (method: string, path: string, body?: unknown) => {
        const response = await fetch(`${url}/api/2.0/mlflow/${path}`, {
          method,
          ...body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } },
        });
        return [response.status, (await response.json()).message?.split(".")[0]];
      };
      const missing = (name: string) => [400, `Missing value for required parameter '${name}'`];
      assertEquals(await send("POST", "registered-models/create", {}), missing("name"));
      assertEquals(await send("POST", "registered-models/rename", { name: "a" }), missing("new_name"));
      assertEquals(await send("POST", "registered-models/alias", { name: "a", alias: "b" }), missing("version"));
      assertEquals(await send("DELETE", "registered-models/delete", {}), missing("name"));
      assertEquals(await send("POST", "model-versions/create", { name: "a" }), missing("source"));
      assertEquals(await send("GET", "model-versions/get?name=a"), missing("version"));
      assertEquals(
        await send("POST", "model-versions/transition-stage", { name: "a", version: "1" }),
        missing("stage"),
      );
      assertEquals((await send("POST", "model-versions/set-tag", { name: 1, version: "1", key: "k" }))[0], 400);
      assertEquals(
        await send("GET", "registered-models/search?max_results=1001"),
        [400, "Invalid value for request parameter max_results"],
      );
    });
  }));
