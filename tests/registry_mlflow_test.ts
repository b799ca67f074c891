/** The model registry between MLflow's Python and us: what either writes, the other reads as its own. */
import { assert, assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { join } from "@std/path";
import { downloadArtifacts, loadText } from "../artifacts.ts";
import { MlflowClient } from "../client.ts";
import { registerModel } from "../model_registry.ts";
import { createHandler } from "../server/handler.ts";
import { SqliteStore } from "../stores/sqlite_store.ts";
import { type Mlflow, mlflowTest } from "./support/mlflow.ts";
import type { PythonInterpreter } from "./support/python.ts";

/** Defines `use(uri)`, `read()`, which tells all that is registered, and `write(folder)`. */
const PYTHON = String.raw`
import json, logging, os, warnings
import mlflow
from mlflow import MlflowClient
logging.disable(logging.WARNING)
warnings.simplefilter("ignore")

def use(uri):
    global client
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client = MlflowClient()

def version(v):
    found = client.get_model_version(v.name, v.version)
    return {"version": int(v.version), "creationTimestamp": v.creation_timestamp,
        "lastUpdatedTimestamp": v.last_updated_timestamp, "description": found.description or "",
        "currentStage": v.current_stage, "source": v.source, "runId": v.run_id or "", "runLink": v.run_link or "",
        "status": v.status, "tags": dict(v.tags), "aliases": sorted(found.aliases),
        "downloadUri": client.get_model_version_download_uri(v.name, v.version)}

def read():
    models = []
    for m in client.search_registered_models():
        m = client.get_registered_model(m.name)
        found = client.search_model_versions(f"name = '{m.name}'", order_by=["version_number"])
        models.append({"name": m.name, "creationTimestamp": m.creation_timestamp,
            "lastUpdatedTimestamp": m.last_updated_timestamp, "description": m.description or "",
            "tags": dict(m.tags), "aliases": {k: int(v) for k, v in m.aliases.items()},
            "latest": sorted(int(v.version) for v in m.latest_versions), "versions": [version(v) for v in found]})
    return models

def write(name):
    with mlflow.start_run() as run:
        model = mlflow.initialize_logged_model(name="classifier", source_run_id=run.info.run_id)
        with open("MLmodel", "w") as f:
            f.write(f"flavors: {{}}\nmodel_id: {model.model_id}\n")
        client.log_model_artifact(model.model_id, "MLmodel")
        mlflow.finalize_logged_model(model.model_id, "READY")
    mlflow.register_model(f"models:/{model.model_id}", name, tags={"checked": True, "a/b": "ü"})
    mlflow.register_model(f"runs:/{run.info.run_id}/classifier", name)
    client.create_model_version(name, "s3://bucket/é", description="third")
    client.update_registered_model(name, "by Python")
    client.set_registered_model_tag(name, "team", "a")
    client.set_registered_model_alias(name, "champion", "2")
    client.set_registered_model_alias(name, "Old", "1")
    client.transition_model_version_stage(name, "3", "Staging")
    client.transition_model_version_stage(name, "2", "Staging", archive_existing_versions=True)
    client.copy_model_version(f"models:/{name}@champion", f"{name} copy")
    client.create_model_version(name, "s3://bucket/gone")
    client.delete_model_version(name, "4")
    return {"modelId": model.model_id, "runId": run.info.run_id}
`;

/** The same by us. */
async function write(client: MlflowClient, name: string, dir: string): Promise<{ modelId: string; runId: string }> {
  const { info: { runId } } = await client.createRun({ experimentId: "0" });
  const model = await client.createLoggedModel({ experimentId: "0", name: "classifier", sourceRunId: runId });
  const { modelId } = model;
  await client.logOutputs(runId, [{ modelId, step: 0 }]);
  await Deno.writeTextFile(join(dir, "MLmodel"), `flavors: {}\nmodel_id: ${modelId}\n`);
  await client.logModelArtifact(modelId, join(dir, "MLmodel"));
  await client.finalizeLoggedModel(modelId, "READY");
  await registerModel(`models:/${modelId}`, name, { client, tags: { checked: true, "a/b": "ü" } });
  await registerModel(`runs:/${runId}/classifier`, name, { client });
  await client.createModelVersion(name, "s3://bucket/é", { description: "third" });
  await client.updateRegisteredModel(name, { description: "by Deno" });
  await client.setRegisteredModelTag(name, "team", "a");
  await client.setRegisteredModelAlias(name, "champion", 2);
  await client.setRegisteredModelAlias(name, "Old", 1);
  await client.transitionModelVersionStage(name, 3, "Staging");
  await client.transitionModelVersionStage(name, 2, "Staging", { archiveExistingVersions: true });
  await client.copyModelVersion(`models:/${name}@champion`, `${name} copy`);
  await client.createModelVersion(name, "s3://bucket/gone");
  await client.deleteModelVersion(name, 4);
  return { modelId, runId };
}

/** All that is registered, as Python's `read()` tells it. */
async function read(client: MlflowClient): Promise<unknown[]> {
  const models = await client.searchRegisteredModels().toArray();
  return await Promise.all(models.map(async ({ name }) => {
    const { latestVersions, description = "", ...model } = await client.getRegisteredModel(name);
    const found = await client.searchModelVersions({ filter: `name = '${name}'`, orderBy: ["version_number"] })
      .toArray();
    return {
      ...model,
      description,
      latest: latestVersions.map(({ version }) => version).sort(),
      versions: await Promise.all(found.map(async ({ version }) => {
        const { name: _, userId: _user, statusMessage: _message, modelId: _model, ...rest } = await client
          .getModelVersion(name, version);
        return {
          ...rest,
          description: rest.description ?? "",
          runId: rest.runId ?? "",
          runLink: rest.runLink ?? "",
          aliases: rest.aliases.toSorted(),
          downloadUri: await client.getModelVersionDownloadUri(name, version),
        };
      })),
    };
  }));
}

/** Both write, and both read the same of it. */
async function bothWays(
  python: PythonInterpreter,
  client: MlflowClient,
  uri: string,
  mlflow: Mlflow,
  names: readonly [ours: string, theirs: string] = ["by us", "by Python"],
): Promise<void> {
  const ours = await write(client, names[0], mlflow.dir);
  const theirs = await python.run<{ modelId: string; runId: string }>(
    `
    use(args["uri"])
    result = write(args["name"])
    `,
    { uri, name: names[1] },
  );
  const [mine, its] = [await read(client), await python.run<unknown[]>("result = read()")];
  assertEquals(mine, its);
  assert(its.length >= 4);

  // Either one's aliases lead to the files of the other one's model.
  const options = { trackingUri: uri, registryUri: uri };
  assert((await loadText(`models:/${names[1]}@champion/MLmodel`, options)).includes(theirs.modelId));
  const folder = await python.run<string>(
    `result = mlflow.artifacts.download_artifacts(f"models:/{args}@champion", dst_path="down-" + args)`,
    names[0],
  );
  assert((await Deno.readTextFile(join(folder, "MLmodel"))).includes(ours.modelId));
  const local = await downloadArtifacts(`models:/${names[1]}/1`, {
    ...options,
    localDirectory: join(mlflow.dir, folder),
  });
  const meta = await python.run(
    `
    import yaml
    result = yaml.safe_load(open(args + "/registered_model_meta"))
    `,
    local,
  );
  assertEquals(meta, { model_name: names[1], model_version: "1" });

  // The versions are noted at the logged models.
  for (const [{ modelId }, name] of [[ours, names[0]], [theirs, names[1]]] as const) {
    const noted = JSON.parse((await client.getLoggedModel(modelId)).tags["mlflow.modelVersions"]);
    const numbers = new Set(noted.map((entry: { name: string; version: unknown }) => `${entry.name} ${entry.version}`));
    assertEquals([...numbers], [`${name} 1`, `${name} 2`]);
  }

  // And each goes on with what the other has made.
  await client.renameRegisteredModel(names[1], `${names[1]} new`);
  await client.deleteRegisteredModelAlias(`${names[1]} new`, "Old");
  await client.createModelVersion(`${names[1]} new`, "s3://bucket/more");
  await python.run(
    `
    client.update_model_version(args, "1", "seen")
    client.delete_model_version(args, "2")
    client.create_model_version(args, "s3://bucket/more")
    client.delete_registered_model(args + " copy")
    `,
    names[0],
  );
  assertEquals(await read(client), await python.run("result = read()"));
}

mlflowTest("a registry in SQLite is one to MLflow and us, while MLflow migrates the file", async (mlflow) => {
  const path = join(mlflow.dir, "mlflow.db");
  const uri = `sqlite:///${path}`;
  await using python = mlflow.interpreter();
  await python.run(PYTHON);
  const client = new MlflowClient(uri);
  const columns = () => {
    using database = new DatabaseSync(path, { readOnly: true });
    return database.prepare("SELECT name FROM pragma_table_info('registered_models')").all().map(({ name }) => name);
  };
  await client.createRegisteredModel("before", { tags: { team: "a" } });
  await client.createModelVersion("before", "s3://bucket/before", { tags: { a: "b" } });
  await client.setRegisteredModelAlias("before", "champion", 1);
  assertEquals(columns().includes("workspace"), false);
  await python.run("use(args)", uri);
  await python.run("client.search_registered_models()");
  assertEquals(columns().includes("workspace"), true);
  assertEquals(await read(client), await python.run("result = read()"));
  await bothWays(python, client, uri, mlflow);
});

mlflowTest("a registry in a folder is one to MLflow and us", async (mlflow) => {
  const uri = `file://${join(mlflow.dir, "mlruns")}`;
  await using python = mlflow.interpreter({ env: { MLFLOW_ALLOW_FILE_STORE: "true" } });
  await python.run(PYTHON);
  await bothWays(python, new MlflowClient(uri), uri, mlflow);
});

mlflowTest("a registry on MLflow's server is one to Python's client and ours", async (mlflow) => {
  await using server = await mlflow.ui({ command: "server", env: { MLFLOW_SERVER_ENABLE_JOB_EXECUTION: "false" } });
  await using python = mlflow.interpreter();
  await python.run(PYTHON);
  await bothWays(python, new MlflowClient(server.url), server.url, mlflow);
});

mlflowTest("Python's client finds our handler a registry as MLflow's server is", async (mlflow) => {
  await using store = await SqliteStore.open(`sqlite:///${join(mlflow.dir, "ours.db")}`);
  const handler = createHandler({ store, artifactRoot: join(mlflow.dir, "artifacts") });
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
  const url = `http://127.0.0.1:${server.addr.port}`;
  await using python = mlflow.interpreter();
  await python.run(PYTHON);
  await bothWays(python, new MlflowClient(url), url, mlflow);
});

Deno.test("models of other workspaces are neither seen nor touched", async () => {
  const dir = await Deno.makeTempDir({ prefix: "mlflow-deno-" });
  try {
    const path = join(dir, "mlflow.db");
    const client = new MlflowClient(`sqlite:///${path}`);
    await client.createRegisteredModel("digits");
    using database = new DatabaseSync(path);
    // As MLflow's migration to 3.10 leaves them.
    for (
      const [table, key] of [
        ["registered_models", "name"],
        ["model_versions", "name, version"],
        ["registered_model_tags", "key, name"],
        ["model_version_tags", "key, name, version"],
        ["registered_model_aliases", "name, alias"],
      ]
    ) {
      const list = database.prepare("SELECT name, type FROM pragma_table_info(?)").all(table);
      const declared = list.map(({ name, type }) => `${name} ${type}`).join(", ");
      const names = list.map(({ name }) => name).join(", ");
      database.exec(
        `ALTER TABLE ${table} RENAME TO old; CREATE TABLE ${table} (${declared}, workspace VARCHAR(63) DEFAULT 'default' ` +
          `NOT NULL, PRIMARY KEY (workspace, ${key})); INSERT INTO ${table} (${names}) SELECT ${names} FROM old; DROP TABLE old`,
      );
    }
    const others = `
      INSERT INTO registered_models (workspace, name, creation_time, last_updated_time) VALUES ('b', 'digits', 1, 1),
        ('b', 'other', 1, 1);
      INSERT INTO model_versions (workspace, name, version, source, current_stage, status) VALUES
        ('b', 'digits', 1, 'x', 'Staging', 'READY'), ('b', 'digits', 7, 'x', 'None', 'READY');
      INSERT INTO registered_model_tags (workspace, name, key, value) VALUES ('b', 'digits', 'a', 'theirs');
      INSERT INTO model_version_tags (workspace, name, version, key, value) VALUES ('b', 'digits', 1, 'a', 'theirs');
      INSERT INTO registered_model_aliases (workspace, name, alias, version) VALUES ('b', 'digits', 'best', 7)`;
    database.exec(others);
    const theirs = () =>
      ["registered_models", "model_versions", "registered_model_tags", "model_version_tags", "registered_model_aliases"]
        .map((table) => database.prepare(`SELECT * FROM ${table} WHERE workspace = 'b' ORDER BY name`).all());
    const before = theirs();

    assertEquals((await client.searchRegisteredModels().toArray()).map(({ name }) => name), ["digits"]);
    assertEquals(await client.searchModelVersions().toArray(), []);
    const { aliases, tags, latestVersions } = await client.getRegisteredModel("digits");
    assertEquals([aliases, tags, latestVersions], [{}, {}, []]);
    const { version } = await client.createModelVersion("digits", "s3://bucket/ours", { tags: { a: "ours" } });
    assertEquals(version, 1);
    await client.setRegisteredModelTag("digits", "a", "ours");
    await client.setRegisteredModelAlias("digits", "best", 1);
    await client.transitionModelVersionStage("digits", 1, "Staging", { archiveExistingVersions: true });
    await client.updateRegisteredModel("digits", { description: "ours" });
    await client.createRegisteredModel("other");
    await client.deleteRegisteredModel("other");
    assertEquals((await client.getModelVersion("digits", 1)).tags, { a: "ours" });
    assertEquals((await client.searchModelVersions({ filter: "tags.a = 'theirs'" }).toArray()).length, 0);
    assertEquals((await client.searchRegisteredModels({ filter: "tags.a = 'theirs'" }).toArray()).length, 0);
    await client.deleteModelVersion("digits", 1);
    await client.deleteRegisteredModelTag("digits", "a");
    await client.deleteRegisteredModel("digits");
    assertEquals(theirs(), before);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
