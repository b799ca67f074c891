/** The command `deno run -A examples/train.ts` as a whole. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient } from "../../client.ts";
import { cleanEnv } from "../support/clean_env.ts";

const ROOT = Deno.realPathSync(new URL("../..", import.meta.url));
const COMMAND = ["run", "-A", "--config", join(ROOT, "deno.json"), join(ROOT, "examples/train.ts")];

async function inFolder(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
  try {
    await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function start(dir: string, args: readonly string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [...COMMAND, ...args],
    cwd: dir,
    env: { ...cleanEnv(), NO_COLOR: "1" },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function run(dir: string, ...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await start(dir, args).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

Deno.test("train.ts ends with a message and exit code 2 on a bad option", () =>
  inFolder(async (dir) => {
    const { code, stdout, stderr } = await run(dir, "--epochs", "ten");
    assertEquals([code, stdout], [2, ""]);
    assertMatch(stderr, /^train\.ts: --epochs must be a whole number of at least 1: received "ten"\n/);
    assertEquals([...Deno.readDirSync(dir)], []);
  }));

Deno.test("train.ts explains itself", () =>
  inFolder(async (dir) => {
    const { code, stdout } = await run(dir, "--help");
    assertEquals(code, 0);
    for (const option of ["--data", "--experiment", "--run-name", "--tracking-uri", "--epochs", "--image-size"]) {
      assertStringIncludes(stdout, option);
    }
    for (const option of ["--batch-size", "--learning-rate", "--validation-split", "--seed", "--limit", "--help"]) {
      assertStringIncludes(stdout, option);
    }
  }));

Deno.test("train.ts logs all that it should, the same again for the same seed", () =>
  inFolder(async (dir) => {
    const args = ["--epochs", "2", "--limit", "20", "--tracking-uri", "sqlite:///sub/t.db", "--experiment", "mine"];
    const { code, stdout, stderr } = await run(dir, ...args);
    assertEquals([code, stderr.replace(/^(Download|Initialize) .*\n/gm, "")], [0, ""]);
    assertStringIncludes(stdout, "digits: 200 images of 10 classes, 160 to train on, 40 to validate\n");
    assertMatch(stdout, /^5\/5 ━{20} \d+s \d+ms\/step - accuracy: .* - val_loss: /m);
    assertStringIncludes(stdout, "  experiment  mine in sqlite:///sub/t.db\n");
    await run(dir, ...args, "--run-name", "again");

    const client = new MlflowClient(`sqlite:///${join(dir, "sub/t.db")}`);
    const experiment = await client.getExperimentByName("mine");
    const runs = await client.searchRuns({ experimentIds: [experiment!.experimentId] }).toArray();
    const [again, first] = runs;
    assertEquals(runs.map(({ info }) => info.status), ["FINISHED", "FINISHED"]);
    assertEquals(again.info.runName, "again");
    assertEquals(again.data.metrics, first.data.metrics);
    const expected = {
      epochs: "2",
      img_height: "28",
      img_width: "28",
      batch_size: "32",
      learning_rate: "0.001",
      optimizer: "adam",
      seed: "42",
      validation_split: "0.2",
      num_images: "200",
      num_classes: "10",
      optimizer_name: "adam",
      optimizer_learning_rate: "0.001",
    };
    for (const [key, value] of Object.entries(expected)) assertEquals(first.data.params[key], value, key);
    for (const key of ["accuracy", "loss", "val_accuracy", "val_loss"]) {
      assertEquals((await client.getMetricHistory(first.info.runId, key)).map(({ step }) => step), [0, 1], key);
    }
    const files = async (path: string): Promise<string[]> =>
      (await Promise.all((await client.listArtifacts(first.info.runId, path)).map(async (file) =>
        file.isDir ? await files(file.path) : [file.path]
      ))).flat();
    assertEquals(await files(""), [
      "class_names.json",
      "code/train.ts",
      "config.yaml",
      "data/files.csv",
      "model_summary.txt",
      "plots/accuracy.png",
      "plots/confusion_matrix.png",
      "plots/loss.png",
      "plots/predictions.png",
    ]);
    const csv = new TextDecoder().decode(await client.readArtifact(first.info.runId, "data/files.csv")).trim().split(
      "\n",
    );
    assertEquals([csv[0], csv.length], ["path,class,split,bytes,width,height,sha256", 201]);
    const [{ modelId }] = first.outputs.modelOutputs;
    const model = await client.getLoggedModel(modelId);
    assertEquals([model.name, model.status, model.sourceRunId], ["classifier", "READY", first.info.runId]);
    assertStringIncludes(stdout, `models:/${modelId}`);
  }));

Deno.test("train.ts takes a folder of photos, and says what is wrong with one", () =>
  inFolder(async (dir) => {
    const { code, stderr } = await run(dir, "--data", "photos");
    assertEquals(code, 1);
    assertMatch(stderr, /^train\.ts: .*photos[^\n]*\n$/);
    for (const name of ["cat", "dog"]) {
      await Deno.mkdir(join(dir, "photos", name), { recursive: true });
      for (let i = 0; i < 6; i++) {
        await Deno.copyFile(join(ROOT, "docs/training.png"), join(dir, "photos", name, `${i}.png`));
      }
    }
    const good = await run(dir, "--data", "photos/", "--epochs", "1", "--image-size", "16", "--batch-size", "4");
    assertEquals(good.code, 0, good.stderr);
    assertStringIncludes(good.stdout, "photos: 12 images of 2 classes");
    await Deno.writeTextFile(join(dir, "photos/cat/broken.jpg"), "<html>");
    const broken = await run(dir, "--data", "photos", "--epochs", "1");
    assertEquals(broken.code, 1);
    assertMatch(broken.stderr, /^train\.ts: .*broken\.jpg[^\n]*\n$/);
    await Deno.remove(join(dir, "photos/dog"), { recursive: true });
    await Deno.remove(join(dir, "photos/cat/broken.jpg"));
    const one = await run(dir, "--data", "photos");
    assertEquals([one.code, one.stderr], [
      1,
      'train.ts: Cannot train on "photos": it has one class folder, "cat", and two are wanted\n',
    ]);
  }));

Deno.test("train.ts leaves a KILLED run with all that was logged on Ctrl-C", () =>
  inFolder(async (dir) => {
    const child = start(dir, ["--epochs", "1000", "--limit", "20"]);
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("Epoch 4/")) {
      const { value, done } = await reader.read();
      assert(!done, text);
      text += value;
    }
    child.kill("SIGINT");
    while (!(await reader.read()).done);
    await child.stderr.cancel();
    assertEquals((await child.status).code, 130);
    const client = new MlflowClient(`sqlite:///${join(dir, "mlflow.db")}`);
    const [{ info, data }] = await client.searchRuns({ experimentIds: ["1"] }).toArray();
    assertEquals(info.status, "KILLED");
    assert((info.endTime ?? 0) >= info.startTime);
    assertEquals(data.params.epochs, "1000");
    assert((await client.getMetricHistory(info.runId, "loss")).length >= 3);
  }));
