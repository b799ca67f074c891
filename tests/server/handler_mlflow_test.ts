/** Python's own client, asked of our handler as of MLflow's server. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient } from "../../client.ts";
import { createHandler } from "../../server/handler.ts";
import { SqliteStore } from "../../stores/sqlite_store.ts";
import { mlflowTest } from "../support/mlflow.ts";

mlflowTest("Python's client keeps artifacts and models through our handler", async (mlflow) => {
  await using store = await SqliteStore.open(`sqlite:///${mlflow.dir}/ours.db`);
  const handler = createHandler({ store, artifactRoot: join(mlflow.dir, "served") });
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
  const url = `http://127.0.0.1:${server.addr.port}`;
  const told = await mlflow.python<{
    experiment: string;
    location: string;
    run: string;
    uri: string;
    files: string[];
    text: string;
    images: number;
    table: number[];
    model: string;
    answer: string[];
    left: string[];
  }>(
    `
    import mlflow, numpy, os
    mlflow.set_tracking_uri(args)
    experiment = mlflow.set_experiment("from Python")
    class Echo(mlflow.pyfunc.PythonModel):
        def predict(self, model_input: list[str]) -> list[str]:
            return model_input
    with mlflow.start_run() as run:
        mlflow.log_metric("loss", 0.5, step=1)
        mlflow.log_text("größe", "notes/a b.txt")
        mlflow.log_image(numpy.zeros((4, 4, 3), dtype=numpy.uint8), key="k", step=1)
        mlflow.log_table({"a": [1, 2]}, "t.json")
        model = mlflow.pyfunc.log_model(name="echo", python_model=Echo())
    client = mlflow.MlflowClient()
    run_id = run.info.run_id
    result = {"experiment": experiment.experiment_id, "location": experiment.artifact_location, "run": run_id,
        "uri": run.info.artifact_uri, "files": sorted(f.path for f in client.list_artifacts(run_id)),
        "text": mlflow.artifacts.load_text(f"runs:/{run_id}/notes/a b.txt"),
        "images": len(client.list_artifacts(run_id, "images")),
        "table": mlflow.load_table("t.json", run_ids=[run_id])["a"].tolist(),
        "model": model.model_id, "answer": mlflow.pyfunc.load_model(model.model_uri).predict(["hi"]),
        "left": sorted(os.listdir("."))}
    `,
    url,
  );
  assertEquals(told.location, `mlflow-artifacts:/${told.experiment}`);
  assertEquals(told.uri, `${told.location}/${told.run}/artifacts`);
  assertEquals(told.files, ["images", "notes", "t.json"]);
  assertEquals([told.text, told.images, told.table, told.answer], ["größe", 2, [1, 2], ["hi"]]);
  assertEquals(told.left.filter((name) => name.startsWith("mlruns")), [], "Python keeps nothing of its own");
  const client = new MlflowClient(url);
  assertEquals(await client.loadText(told.run, "notes/a b.txt"), "größe");
  assertEquals((await client.getLoggedModel(told.model)).status, "READY");
  const kept = join(mlflow.dir, "served", told.experiment, told.run, "artifacts", "notes", "a b.txt");
  assertEquals(await Deno.readTextFile(kept), "größe");
});
