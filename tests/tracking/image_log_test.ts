import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient } from "../../client.ts";
import { encodeImage, type Image, loadImage } from "../../images.ts";
import { Run } from "../../run.ts";
import { mlflowTest } from "../support/mlflow.ts";

const NAME = /^images\/a~b c\+step\+(\d+)\+timestamp\+(\d+)\+[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[\da-f]{4}-[\da-f]{12}/;

/** A gradient of its own for each number of channels. */
function picture(width: number, height: number, channels: 1 | 3 | 4): Image {
  return { width, height, channels, data: Uint8Array.from({ length: width * height * channels }, (_, i) => i % 256) };
}

async function withRun(check: (run: Run) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
  try {
    const client = new MlflowClient("memory:");
    const experimentId = await client.createExperiment(dir, { artifactLocation: dir });
    await using run = new Run(client, await client.createRun({ experimentId }));
    await check(run);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("Run.logImage() by key writes a PNG, a small WebP and the tag, under MLflow's names", () =>
  withRun(async (run) => {
    const image = picture(300, 200, 3);
    await run.logImage(image, { key: "a/b c", step: 3, timestamp: 1_700_000_000_000 });
    await run.logImage(picture(2, 5, 4), { key: "a/b c" });
    const files = (await run.listArtifacts("images")).map(({ path }) => path);
    assertEquals(files.length, 4);
    const of = (step: number) => files.filter((path) => NAME.exec(path)?.[1] === `${step}`);
    const [small, whole] = of(3);
    assertMatch(small, /\+compressed\.webp$/);
    assertEquals(whole, small.replace("+compressed.webp", ".png"));
    assertEquals(NAME.exec(whole)![2], "1700000000000");
    assert(Math.abs(Number(NAME.exec(of(0)[0])![2]) - Date.now()) < 60_000);
    const read = async (path: string) => await loadImage(await run.client.readArtifact(run.runId, path));
    assertEquals(await read(whole), image);
    const sizes = [await read(small), await read(of(0)[0]), await read(of(0)[1])].map((
      { width, height },
    ) => [width, height]);
    // The longer side becomes 256, smaller or larger, and the other is rounded down.
    assertEquals(sizes, [[256, 170], [102, 256], [2, 5]]);
    assertEquals((await run.get()).data.tags["mlflow.loggedImages"], "True");
  }));

Deno.test("Run.logImage() takes images, files and tensors, and writes the format of the file's name", () =>
  withRun(async (run) => {
    const { data: gray, ...size } = picture(16, 16, 1);
    const png = await encodeImage({ ...size, data: gray }, "png");
    let disposed = false;
    const tensor = (shape: number[], dtype: string, values: ArrayLike<number>, sync = true) => ({
      shape,
      dtype,
      data: () => Promise.resolve(values),
      ...(sync ? { dataSync: () => disposed ? [] : values } : {}),
    });
    const floats = Float32Array.from(gray, (value) => value / 255);
    void run.logImage({ ...size, data: Float32Array.from(gray) }, "image.png");
    void run.logImage(png, "file.png");
    void run.logImage(png, "file.webp");
    void run.logImage(png, "file.jpg");
    void run.logImage(tensor([16, 16], "int32", Int32Array.from(gray)), "int.png");
    void run.logImage(tensor([16, 16, 1], "float32", floats), "float.png");
    void run.logImage(tensor([16, 16, 1], "float32", floats, false), "later.png");
    void run.logImage(tensor([16, 16], "float32", Float32Array.from(gray)), {
      artifactFile: "range.png",
      range: [0, 255],
    });
    void run.logImage(tensor([1, 2, 1], "bool", [1, 0]), "bool.png");
    disposed = true;
    const read = async (path: string, colorMode: "grayscale" | "rgb" = "grayscale") =>
      await loadImage(await run.client.readArtifact(run.runId, path), { colorMode });
    await run.flush();
    for (const name of ["image", "file", "int", "float", "later", "range"]) {
      assertEquals((await read(`${name}.png`)).data, gray, name);
    }
    assertEquals([...(await read("bool.png")).data], [255, 0]);
    assertEquals(await run.client.readArtifact(run.runId, "file.png"), png);
    for (const [path, mark] of [["file.jpg", [0xff, 0xd8]], ["file.webp", [0x52, 0x49]]] as const) {
      assertEquals([...(await run.client.readArtifact(run.runId, path)).subarray(0, 2)], [...mark]);
    }
  }));

Deno.test("Run.logImage() scales floats beyond the range to what they reach, and says so", () =>
  withRun(async (run) => {
    const { warn } = console;
    const said: string[] = [];
    console.warn = (text) => said.push(text);
    try {
      const values = Float32Array.of(-1, 0, 1, 3);
      await run.logImage({ shape: [2, 2], dtype: "float32", data: () => Promise.resolve(values) }, "a.png");
    } finally {
      console.warn = warn;
    }
    assertEquals(said.length, 1);
    const { data } = await loadImage(await run.client.readArtifact(run.runId, "a.png"), { colorMode: "grayscale" });
    assertEquals([...data], [0, 63, 127, 255]);
  }));

Deno.test("Run.logImage() says what is wrong", () =>
  withRun(async (run) => {
    const image = picture(2, 2, 1);
    const tensor = (shape: number[], values: number[]) => ({
      shape,
      dtype: "int32",
      data: () => Promise.resolve(values),
      dataSync: () => values,
    });
    const cases: readonly (readonly [() => Promise<void>, string])[] = [
      [
        () => run.logImage(image, {}),
        "An image is logged either to an artifactFile or by a key: exactly one of them is wanted",
      ],
      [() => run.logImage(image, { key: "a", artifactFile: "a.png" }), "An image is logged either"],
      [() => run.logImage(image, { artifactFile: "a.png", step: 1 }), "has no step and no timestamp"],
      [() => run.logImage(image, "a.bmp"), 'ends in .png, .jpg, .jpeg or .webp: received "a.bmp"'],
      [() => run.logImage(image, { key: "a+b" }), "The provided key `a+b` contains invalid characters."],
      [() => run.logImage(image, { key: "a", step: 0.5 }), "The step of an image must be a whole number: received 0.5"],
      [() => run.logImage({ ...image, width: 3 }, "a.png"), "has 6 values, and at least one: received 4"],
      [
        () => run.logImage(tensor([4], [1, 2, 3, 4]), "a.png"),
        "An image must be a 2D or 3D tensor: received shape [4]",
      ],
      [() => run.logImage(tensor([1, 2, 2], [1, 2, 3, 4]), "a.png"), "An image has 1, 3 or 4 channels: received 2"],
      [() => run.logImage(tensor([1, 1], [256]), "a.png"), "Integer pixel values out of acceptable range [0, 255]."],
      [() => run.logImage(new Uint8Array(9), { key: "a" }), "Cannot read an image"],
    ];
    for (const [work, wanted] of cases) await assertRejects(work, Error, wanted);
    assertEquals(await run.listArtifacts(), []);
  }));

mlflowTest("MLflow reads the images that we log, and we those of MLflow", async (mlflow) => {
  const client = new MlflowClient(`sqlite:///${join(mlflow.dir, "mlflow.db")}`);
  const experimentId = await client.createExperiment("images", { artifactLocation: join(mlflow.dir, "kept") });
  const { info: { runId } } = await client.createRun({ experimentId });
  const images = ([1, 3, 4] as const).map((channels) => picture(40, 30, channels));
  for (const [step, image] of images.entries()) await client.logImage(runId, image, { key: "digit", step });
  const read = await mlflow.python<{ name: string; mode: string; size: number[]; data: number[] | null }[]>(
    `
    import mlflow, os, re
    from PIL import Image
    folder = mlflow.artifacts.download_artifacts(run_id=args, artifact_path="images")
    result = []
    for name in sorted(os.listdir(folder)):
        image = Image.open(os.path.join(folder, name))
        image.load()
        data = list(image.tobytes()) if name.endswith(".png") else None
        result.append({"name": name, "mode": image.mode, "size": image.size, "data": data})
    import numpy as np
    with mlflow.start_run(run_id=args):
        mlflow.log_image(np.arange(48, dtype=np.uint8).reshape(4, 4, 3), key="python", step=7, synchronous=True)
        mlflow.log_image(np.arange(16, dtype=np.uint8).reshape(4, 4), "python.png")
    assert mlflow.get_run(args).data.tags["mlflow.loggedImages"] == "True"
    `,
    runId,
  );
  assertEquals(
    read.map(({ name, mode, size }) => [/\+step\+(\d)/.exec(name)![1], name.slice(-4), mode, size]),
    [
      ["0", "webp", "RGB", [256, 192]],
      ["0", ".png", "L", [40, 30]],
      ["1", "webp", "RGB", [256, 192]],
      ["1", ".png", "RGB", [40, 30]],
      ["2", "webp", "RGBA", [256, 192]],
      ["2", ".png", "RGBA", [40, 30]],
    ].sort((a, b) => String(a[0]).localeCompare(String(b[0]))),
  );
  for (const [step, { data }] of images.entries()) assertEquals(read[step * 2 + 1].data, [...data]);
  const files = (await client.listArtifacts(runId, "images")).map(({ path }) => path);
  const theirs = files.filter((path) => path.startsWith("images/python+step+7+timestamp+"));
  assertEquals(theirs.length, 2);
  const whole = await client.loadImage(runId, theirs.find((path) => path.endsWith(".png"))!);
  assertEquals([...whole.data], Array.from({ length: 48 }, (_, i) => i));
  const small = await client.loadImage(runId, theirs.find((path) => path.endsWith("+compressed.webp"))!);
  assertEquals([small.width, small.height], [256, 256]);
  const gray = await client.loadImage(runId, "python.png", { colorMode: "grayscale" });
  assertEquals([...gray.data], Array.from({ length: 16 }, (_, i) => i));
});
