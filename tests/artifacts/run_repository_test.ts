import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { downloadArtifacts, listArtifacts } from "../../artifacts.ts";
import { MlflowClient, MlflowError } from "../../client.ts";
import { mlflowTest } from "../support/mlflow.ts";

/** A run with files of its own and two models of one name, of which the second one counts. */
async function runWithModels(client: MlflowClient, dir: string): Promise<string> {
  const experimentId = await client.createExperiment("a", { artifactLocation: join(dir, "kept") });
  const { info: { runId } } = await client.createRun({ experimentId });
  await client.logText(runId, "the run's", "model/both.txt");
  await client.logText(runId, "the run's", "model/own.txt");
  await client.logText(runId, "the run's", "notes.txt");
  for (const name of ["old", "new"]) {
    const { modelId } = await client.createLoggedModel({ experimentId, name: "model", sourceRunId: runId });
    await Deno.mkdir(join(dir, name, "data"), { recursive: true });
    await Deno.writeTextFile(join(dir, name, "both.txt"), `the ${name} model's`);
    await Deno.writeTextFile(join(dir, name, "data", "weights.bin"), `the ${name} model's`);
    await client.logModelArtifacts(modelId, join(dir, name));
    await client.logOutputs(runId, [{ modelId, step: 0 }]);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return runId;
}

async function withDir(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
  try {
    await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const paths = (files: readonly { readonly path: string }[]) => files.map(({ path }) => path);

Deno.test("MlflowClient reads the files of a run's models in the folder of their name", () =>
  withDir(async (dir) => {
    const trackingUri = "memory:run-repository";
    const client = new MlflowClient(trackingUri);
    const runId = await runWithModels(client, dir);
    assertEquals(paths(await client.listArtifacts(runId)), ["model", "notes.txt"]);
    assertEquals(paths(await client.listArtifacts(runId, "model")), ["model/both.txt", "model/data", "model/own.txt"]);
    assertEquals(paths(await client.listArtifacts(runId, "model/data")), ["model/data/weights.bin"]);
    assertEquals(paths(await listArtifacts(`runs:/${runId}/model/data`, { trackingUri })), ["model/data/weights.bin"]);
    assertEquals(await client.listArtifacts(runId, "none"), []);
    assertEquals(await client.loadText(runId, "model/both.txt"), "the new model's");
    assertEquals(await client.loadText(runId, "model/own.txt"), "the run's");
    assertEquals(await client.loadText(runId, "notes.txt"), "the run's");
    const missing = await assertRejects(() => client.loadText(runId, "model/none.txt"), MlflowError);
    assertEquals(missing.code, "RESOURCE_DOES_NOT_EXIST");
    const copy = await downloadArtifacts(`runs:/${runId}/model`, { trackingUri, localDirectory: join(dir, "copy") });
    const read = (path: string) => Deno.readTextFile(join(copy, path));
    assertEquals(await Promise.all(["both.txt", "own.txt", "data/weights.bin"].map(read)), [
      "the new model's",
      "the run's",
      "the new model's",
    ]);
    await client.logText(runId, "more", "model/more.txt");
    assertEquals(await Deno.readTextFile(join(dir, "kept", runId, "artifacts", "model", "more.txt")), "more");
  }));

Deno.test("MlflowClient reads a run whose model was deleted", () =>
  withDir(async (dir) => {
    const client = new MlflowClient("memory:run-repository-deleted");
    const runId = await runWithModels(client, dir);
    const { outputs } = await client.getRun(runId);
    await client.deleteLoggedModel(outputs.modelOutputs[1].modelId);
    assertEquals(await client.loadText(runId, "model/both.txt"), "the old model's");
    await client.deleteLoggedModel(outputs.modelOutputs[0].modelId);
    assertEquals(await client.loadText(runId, "model/both.txt"), "the run's");
  }));

Deno.test("MlflowClient tells how far a transfer has come, and ends it", () =>
  withDir(async (dir) => {
    const client = new MlflowClient("memory:run-repository-progress");
    const experimentId = await client.createExperiment("a", { artifactLocation: join(dir, "kept") });
    const { info: { runId } } = await client.createRun({ experimentId });
    await Deno.mkdir(join(dir, "many"));
    for (let i = 0; i < 5; i++) await Deno.writeFile(join(dir, "many", `${i}.bin`), new Uint8Array(1000 + i));
    const told: string[] = [];
    const onProgress = (
      { bytes, totalBytes, files, totalFiles }: {
        bytes: number;
        totalBytes?: number;
        files: number;
        totalFiles: number;
      },
    ) => void told.push(`${bytes} of ${totalBytes} bytes, ${files} of ${totalFiles} files`);
    const last = () => [told[0], told.at(-1), told.splice(0).length > 1];
    await client.logArtifacts(runId, join(dir, "many"), "many", { onProgress });
    assertEquals(last(), ["0 of 5010 bytes, 0 of 5 files", "5010 of 5010 bytes, 5 of 5 files", true]);
    await client.logArtifact(runId, join(dir, "many", "3.bin"), "", { onProgress });
    assertEquals(last(), ["0 of 1003 bytes, 0 of 1 files", "1003 of 1003 bytes, 1 of 1 files", true]);
    await client.logBytes(runId, new Uint8Array(7), "b.bin", { onProgress });
    assertEquals(last(), ["0 of 7 bytes, 0 of 1 files", "7 of 7 bytes, 1 of 1 files", true]);
    await client.downloadArtifacts(runId, "many", { localDirectory: join(dir, "copy"), onProgress });
    assertEquals(last(), ["0 of 5010 bytes, 0 of 5 files", "5010 of 5010 bytes, 5 of 5 files", true]);

    const signal = AbortSignal.abort(new Error("enough"));
    const ended = [
      () => client.logArtifacts(runId, join(dir, "many"), "no", { signal }),
      () => client.logArtifact(runId, join(dir, "many", "3.bin"), "no", { signal }),
      () => client.logStream(runId, new Blob(["no"]).stream(), "no/s.txt", { signal }),
      () => client.downloadArtifacts(runId, "many", { localDirectory: join(dir, "no"), signal }),
    ];
    for (const transfer of ended) await assertRejects(transfer, Error, "enough");
    assertEquals(await client.listArtifacts(runId, "no"), []);
  }));

mlflowTest("MlflowClient lists the files of a run's model as Python's does", async (mlflow) => {
  await using python = mlflow.interpreter({ timeout: 60_000 });
  const uri = `sqlite:///${mlflow.dir}/mlflow.db`;
  const theirs = await python.run<{ run: string; lists: Record<string, string[]>; text: string }>(
    `
    import mlflow, os
    mlflow.set_tracking_uri(args)
    class Echo(mlflow.pyfunc.PythonModel):
        def predict(self, model_input: list[str]) -> list[str]:
            return model_input
    with mlflow.start_run() as run:
        mlflow.log_text("own", "echo/own.txt")
        mlflow.pyfunc.log_model(name="echo", python_model=Echo())
    client = mlflow.MlflowClient()
    lists = {p: sorted(f.path for f in client.list_artifacts(run.info.run_id, p)) for p in ["", "echo", "none"]}
    path = client.download_artifacts(run.info.run_id, "echo/MLmodel")
    result = {"run": run.info.run_id, "lists": lists, "text": open(path).read()}
    `,
    uri,
  );
  const client = new MlflowClient(uri);
  for (const [path, list] of Object.entries(theirs.lists)) {
    assertEquals(paths(await client.listArtifacts(theirs.run, path)), list);
  }
  assertEquals(theirs.lists.echo.includes("echo/MLmodel") && theirs.lists.echo.includes("echo/own.txt"), true);
  assertEquals(await client.loadText(theirs.run, "echo/MLmodel"), theirs.text);
});
