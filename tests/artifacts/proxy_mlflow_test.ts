/** ProxyRepository over MLflow's own server, and Python reading what we wrote and the reverse. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { openArtifacts, openRepository } from "../../artifacts/open_repository.ts";
import { mlflowTest } from "../support/mlflow.ts";
import { randomBytes } from "./random_bytes.ts";
import { checkRepositoryContract } from "./repository_contract.ts";

/** Names that MLflow's server would keep under other names, or refuse. */
const REFUSED_NAMES = ["50%25.txt", "a#b.txt"];

mlflowTest("ProxyRepository and MLflow's server", async (mlflow, t) => {
  await using server = await mlflow.ui({ command: "server" });
  const options = { trackingUri: server.url };
  let count = 0;
  await checkRepositoryContract(t, async () => ({
    repository: await openRepository(`mlflow-artifacts:/contract ${count++}/artifacts`, options),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }), { refusedNames: REFUSED_NAMES });

  await t.step("Python downloads what we uploaded, and the reverse", async () => {
    await using python = mlflow.interpreter({ env: { MLFLOW_TRACKING_URI: server.url } });
    const names = ["a b.txt", "über/文件.bin", "1+1.txt", "100%.txt", "empty.txt", "30 MiB/big.bin"];
    const digests: Record<string, string> = {};
    for (const [i, name] of names.entries()) {
      const bytes = randomBytes(name.includes("big") ? 30 * 1024 ** 2 : i === 4 ? 0 : 5000 + i, i);
      digests[name] = await digest(bytes);
      await Deno.mkdir(join(mlflow.dir, "up", name, ".."), { recursive: true });
      await Deno.writeFile(join(mlflow.dir, "up", name), bytes);
    }
    const { run_id, uri } = await python.run<{ run_id: string; uri: string }>(`
      import mlflow, os, hashlib
      client = mlflow.MlflowClient()
      run = client.create_run("0")
      result = {"run_id": run.info.run_id, "uri": run.info.artifact_uri}
      def digests(folder):
          found = {}
          for root, _, files in os.walk(folder):
              for name in files:
                  path = os.path.join(root, name)
                  found[os.path.relpath(path, folder)] = hashlib.sha256(open(path, "rb").read()).hexdigest()
          return found
    `);
    const repository = await openRepository(uri, options);
    await repository.upload(join(mlflow.dir, "up"), "ours");
    assertEquals(
      await python.run(`result = digests(client.download_artifacts(args, "ours"))`, run_id),
      digests,
    );
    const listed = await python.run(
      `result = [[f.path, f.is_dir, f.file_size or 0] for f in client.list_artifacts(args, "ours")]`,
      run_id,
    );
    assertEquals(
      (await repository.list("ours")).map(({ path, isDir, fileSize }) => [path, isDir, fileSize ?? 0]),
      listed as never,
    );
    await python.run(`client.log_artifacts(args[0], args[1], "theirs")`, [run_id, join(mlflow.dir, "up")]);
    const theirs = await openArtifacts(`runs:/${run_id}/theirs`, options);
    await theirs.repository.download(theirs.path, join(mlflow.dir, "down"));
    for (const name of names) {
      assertEquals(await digest(await Deno.readFile(join(mlflow.dir, "down", name))), digests[name]);
    }
  });

  await t.step("models:/m-… and runs:/<run>/<model's name> are the model's files", async () => {
    await using python = mlflow.interpreter({ env: { MLFLOW_TRACKING_URI: server.url } });
    const [modelId, runId] = await python.run<string[]>(`
      import mlflow, pathlib
      with mlflow.start_run() as run:
          model = mlflow.initialize_logged_model(name="digits")
          pathlib.Path("MLmodel").write_text("flavors: {}")
          client = mlflow.MlflowClient()
          client.log_model_artifact(model.model_id, "MLmodel")
          client.finalize_logged_model(model.model_id, "READY")
          client.log_outputs(run.info.run_id, [mlflow.entities.LoggedModelOutput(model.model_id, 0)])
      result = [model.model_id, run.info.run_id]
    `);
    for (const uri of [`models:/${modelId}/MLmodel`, `runs:/${runId}/digits/MLmodel`, `models:/${modelId}/`]) {
      const { repository, path } = await openArtifacts(uri, options);
      assertEquals(new TextDecoder().decode(await repository.read(path || "MLmodel")), "flavors: {}");
    }
  });

  await t.step("an artifact is gone on with by Range", async () => {
    const repository = await openRepository("mlflow-artifacts:/ranges", options);
    const bytes = randomBytes(2_000_000, 9);
    await repository.write("a.bin", bytes);
    const response = await fetch(`${server.url}/api/2.0/mlflow-artifacts/artifacts/ranges/a.bin`, {
      headers: { range: "bytes=1999990-" },
    });
    assertEquals([response.status, (await response.bytes()).length], [206, 10]);
    assert(response.headers.get("etag") !== null);
  });
});

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}
