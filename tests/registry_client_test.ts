import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import * as mlflow from "../mod.ts";
import { MlflowClient, MlflowError } from "../client.ts";
import { withEnv } from "./support/env.ts";

/** Runs a check with a tracking URI of its own and a folder, and nothing of it in force afterwards. */
async function inStore(check: (client: MlflowClient, dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
  const uri = `sqlite:///${dir}/mlflow.db`;
  mlflow.setTrackingUri(uri);
  try {
    await check(new MlflowClient(), dir);
  } finally {
    mlflow.setTrackingUri("");
    mlflow.setRegistryUri("");
    await Deno.remove(dir, { recursive: true });
  }
}

const test = (name: string, check: (client: MlflowClient, dir: string) => Promise<void>) =>
  Deno.test(name, () => inStore(check));

/** A logged model with a file, in an experiment whose artifacts lie in the folder. */
async function logModel(client: MlflowClient, dir: string, options: { name?: string; step?: number } = {}) {
  const { name = "classifier", step = 0 } = options;
  const found = await client.getExperimentByName("flowers");
  const experimentId = found?.experimentId ??
    await client.createExperiment("flowers", { artifactLocation: join(dir, "artifacts") });
  const [run] = await client.searchRuns({ experimentIds: [experimentId] }).toArray();
  const { info } = run ?? await client.createRun({ experimentId });
  const model = await client.createLoggedModel({ experimentId, name, sourceRunId: info.runId });
  await client.logOutputs(info.runId, [{ modelId: model.modelId, step }]);
  await Deno.writeTextFile(join(dir, "MLmodel"), `flavors: {}\nname: ${model.modelId}\n`);
  await client.logModelArtifact(model.modelId, join(dir, "MLmodel"));
  await Deno.writeTextFile(join(dir, "weights"), "1 2 3");
  await client.logModelArtifact(model.modelId, join(dir, "weights"), "data");
  return { ...await client.finalizeLoggedModel(model.modelId, "READY"), runId: info.runId };
}

async function refusal(work: () => Promise<unknown>): Promise<string> {
  return (await assertRejects(work, MlflowError)).message;
}

test("registerModel() makes versions of a logged model, and notes them at it", async (client, dir) => {
  const { modelId, runId } = await logModel(client, dir);
  const first = await mlflow.registerModel(`models:/${modelId}`, "digits", { tags: { checked: true } });
  assertEquals([first.name, first.version, first.source], ["digits", 1, `models:/${modelId}`]);
  assertEquals([first.modelId, first.runId, first.tags], [modelId, runId, { checked: "True" }]);
  await mlflow.registerModel(`models:/${modelId}`, "digits");
  const { tags } = await client.getLoggedModel(modelId);
  assertEquals(
    tags["mlflow.modelVersions"],
    '[{"name": "digits", "version": 1}, {"name": "digits", "version": 2}]',
  );
});

test("registerModel() finds the model of a run by its name, at its highest step", async (client, dir) => {
  const early = await logModel(client, dir, { step: 9 });
  await logModel(client, dir, { step: 2 });
  await logModel(client, dir, { name: "other", step: 20 });
  const version = await mlflow.registerModel(`runs:/${early.runId}/classifier`, "digits");
  assertEquals([version.source, version.runId], [`models:/${early.modelId}`, early.runId]);
});

test("registerModel() takes a model's folder among a run's artifacts, and a folder", async (client, dir) => {
  const { runId } = await logModel(client, dir);
  await client.logArtifact(runId, join(dir, "MLmodel"), "old/model");
  const version = await mlflow.registerModel(`runs:/${runId}/old/model`, "digits");
  assertEquals(version.source, join((await client.getRun(runId)).info.artifactUri, "old/model"));
  assertEquals(version.runId, runId);
  const local = await mlflow.registerModel(join(dir, "artifacts"), "digits");
  assertEquals([local.version, local.source, local.runId], [2, join(dir, "artifacts"), undefined]);
});

test("registerModel() leaves no empty registered model behind", async (client, dir) => {
  const { runId } = await logModel(client, dir);
  assertEquals(
    await refusal(() => mlflow.registerModel(`runs:/${runId}/none`, "digits")),
    `Cannot register model "runs:/${runId}/none" as "digits": Unable to find a logged_model with artifact_path none under ` +
      `run ${runId} (NOT_FOUND)`,
  );
  await refusal(() => mlflow.registerModel("models:/none/1", "digits"));
  assertEquals(await mlflow.searchRegisteredModels().toArray(), []);
});

test("models:/<name>/<version>, /latest, /<stage> and @<alias> name a version's files", async (client, dir) => {
  const models = [await logModel(client, dir), await logModel(client, dir), await logModel(client, dir)];
  for (const { modelId } of models) await mlflow.registerModel(`models:/${modelId}`, "digits");
  await client.setRegisteredModelAlias("digits", "champion", 2);
  await client.transitionModelVersionStage("digits", 1, "Production");
  const named = async (uri: string) => {
    const text = await mlflow.loadText(`${uri}/MLmodel`);
    return models.findIndex(({ modelId }) => text.includes(modelId)) + 1;
  };
  assertEquals(await named("models:/digits/1"), 1);
  assertEquals(await named("models:/digits@champion"), 2);
  assertEquals(await named("models:/digits/latest"), 3);
  assertEquals(await named("models:/digits/production"), 1);
  assertEquals(await named("models:/digits@latest"), 3);
  assertEquals((await mlflow.listArtifacts("models:/digits@champion/data")).map(({ path }) => path), ["data/weights"]);

  const folder = await mlflow.downloadArtifacts("models:/digits@champion", { localDirectory: join(dir, "down") });
  assertEquals(await Deno.readTextFile(join(folder, "data", "weights")), "1 2 3");
  assertEquals(
    await Deno.readTextFile(join(folder, "registered_model_meta")),
    'model_name: digits\nmodel_version: "2"\n',
  );
  const part = await mlflow.downloadArtifacts("models:/digits/1/data", { localDirectory: join(dir, "part") });
  assertEquals([...Deno.readDirSync(part)].map(({ name }) => name), ["weights"]);
});

test("models: URIs that name nothing are refused", async (client) => {
  await client.createRegisteredModel("digits");
  const told = (uri: string) => refusal(() => mlflow.listArtifacts(uri));
  assertStringIncludes(await told("models:/digits/1"), "Model Version (name=digits, version=1) not found");
  assertStringIncludes(await told("models:/digits/latest"), "No versions of model with name 'digits' found");
  assertStringIncludes(await told("models:/digits/Staging"), "with name 'digits' and stage 'Staging' found");
  assertStringIncludes(await told("models:/digits/best"), "Invalid Model Version stage: best.");
  assertStringIncludes(await told("models:/digits@best"), "Registered model alias best not found.");
  assertStringIncludes(await told("models:/digits@"), "Not a proper models:/ URI: models:/digits@.");
  assertStringIncludes(await told("models:/none/1"), "not found");
});

test("copyModelVersion() makes a version with the tags, run and files of another", async (client, dir) => {
  const { modelId, runId, artifactLocation } = await logModel(client, dir);
  await mlflow.registerModel(`models:/${modelId}`, "staging", { tags: { checked: "yes" } });
  await client.updateModelVersion("staging", 1, { description: "good" });
  await client.setRegisteredModelAlias("staging", "champion", 1);
  const copy = await client.copyModelVersion("models:/staging@champion", "production");
  assertEquals([copy.name, copy.version, copy.source], ["production", 1, "models:/staging/1"]);
  assertEquals([copy.runId, copy.tags, copy.description, copy.aliases], [runId, { checked: "yes" }, "good", []]);
  assertEquals(await client.getModelVersionDownloadUri("production", 1), artifactLocation);
  assertEquals((await client.copyModelVersion("models:/staging/1", "production")).version, 2);
  assertStringIncludes(
    await refusal(() => client.copyModelVersion("models:/none/1", "production")),
    "Failed to fetch model version from source model URI: 'models:/none/1'. Error: ",
  );
  assertStringIncludes(
    await refusal(() => client.copyModelVersion("runs:/a/b", "production")),
    "Unsupported source model URI: 'runs:/a/b'.",
  );
});

test("a registry may be kept elsewhere than the runs", async (client, dir) => {
  const { modelId } = await logModel(client, dir);
  assertEquals(mlflow.getRegistryUri(), mlflow.getTrackingUri());
  const uri = `sqlite:///${dir}/registry.db`;
  mlflow.setRegistryUri(uri);
  assertEquals(mlflow.getRegistryUri(), uri);
  assertEquals(Deno.env.get("MLFLOW_REGISTRY_URI"), uri);
  await mlflow.registerModel(`models:/${modelId}`, "digits");
  assertEquals(await client.searchRegisteredModels().toArray(), []);
  assertEquals(await new MlflowClient(undefined, uri).searchRegisteredModels().toArray().then((all) => all.length), 1);
  assertStringIncludes(await mlflow.loadText("models:/digits/1/MLmodel"), modelId);
  mlflow.setRegistryUri("");
  const untouched = new MlflowClient(`sqlite:///${dir}/untouched.db`, uri);
  assertEquals((await untouched.getRegisteredModel("digits")).name, "digits");
  await assertRejects(() => Deno.stat(join(dir, "untouched.db")), Deno.errors.NotFound);
  await refusal(() => mlflow.loadText("models:/digits/1/MLmodel"));
  assertStringIncludes(await mlflow.loadText("models:/digits/1/MLmodel", { registryUri: uri }), modelId);
});

test("MLFLOW_REGISTRY_URI says where registered models are kept", async (client, dir) => {
  const uri = `sqlite:///${dir}/registry.db`;
  await withEnv({ MLFLOW_REGISTRY_URI: uri }, async () => {
    assertEquals(mlflow.getRegistryUri(), uri);
    await new MlflowClient().createRegisteredModel("digits");
  });
  assertEquals(mlflow.getRegistryUri(), mlflow.getTrackingUri());
  assertEquals(await client.searchRegisteredModels().toArray(), []);
});

test("searches of the registry are walked through page by page", async (client) => {
  await client.createRegisteredModel("digits");
  for (let i = 0; i < 3; i++) await client.createModelVersion("digits", `/models/${i}`);
  const versions = [];
  for await (const { version } of mlflow.searchModelVersions({ orderBy: ["version_number"], maxResults: 2 })) {
    versions.push(version);
  }
  assertEquals(versions, [1, 2]);
  await mlflow.setModelVersionTag("digits", 2, "checked", true);
  const [found] = await mlflow.searchModelVersions({ filter: "tags.checked = 'True'" }).toArray();
  assertEquals(found.version, 2);
});

test("tags of the latest version of a stage are set by the stage's name", async (client) => {
  await client.createRegisteredModel("digits");
  await client.createModelVersion("digits", "/models/1");
  await client.transitionModelVersionStage("digits", 1, "Production");
  await client.setModelVersionTag("digits", { stage: "Production" }, "checked", "yes");
  assertEquals((await client.getModelVersion("digits", 1)).tags, { checked: "yes" });
  await client.deleteModelVersionTag("digits", { stage: "production" }, "checked");
  assertEquals((await client.getModelVersion("digits", 1)).tags, {});
  assertEquals(await client.getModelVersionStages(), ["None", "Staging", "Production", "Archived"]);
  assertEquals(
    await refusal(() => client.setModelVersionTag("digits", { stage: "Staging" }, "checked", "yes")),
    'Cannot set tag "checked" of the latest version in stage "Staging" of registered model "digits": Could not find any ' +
      "model version for Staging stage (INTERNAL_ERROR)",
  );
  assert(!(await client.getLatestVersions("digits", ["Staging"])).length);
});
