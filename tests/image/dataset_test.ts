import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { imageDatasetFromDirectory, type LabeledOptions } from "../../images.ts";
import expected from "../testdata/images/expected.json" with { type: "json" };

const FLOWERS = fileURLToPath(new URL("../testdata/images/flowers", import.meta.url));
const IMAGES = fileURLToPath(new URL("../testdata/images", import.meta.url));
const READ = { permissions: { read: true } } as const;
await tf.setBackend("cpu");

interface Values {
  readonly shapes: number[][];
  readonly xs: number[];
  readonly ys: number[];
}

/** Reads one pass. */
async function pass(
  dataset: { forEachAsync(f: (batch: { xs: tf.Tensor; ys: tf.Tensor }) => void): Promise<void> },
): Promise<Values> {
  const values: Values = { shapes: [], xs: [], ys: [] };
  await dataset.forEachAsync(({ xs, ys }) => {
    values.shapes.push(xs.shape, ys.shape);
    values.xs.push(...xs.dataSync());
    values.ys.push(...ys.dataSync());
    tf.dispose([xs, ys]);
  });
  return values;
}

async function withFolder(
  files: Readonly<Record<string, string | Uint8Array | null>>,
  use: (dir: string) => Promise<unknown>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    for (const [path, content] of Object.entries(files)) {
      await Deno.mkdir(`${dir}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      if (content === null) await Deno.mkdir(`${dir}/${path}`);
      else if (typeof content === "string") await Deno.copyFile(`${IMAGES}/${content}`, `${dir}/${path}`);
      else await Deno.writeFile(`${dir}/${path}`, content);
    }
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const KERAS: [name: keyof typeof expected.keras, options: LabeledOptions][] = [
  ["seed 42", { seed: 42 }],
  ["seed 7, one-hot, two classes", { seed: 7, labelMode: "categorical", classNames: ["tulip", "daisy"] }],
  ["not shuffled", { shuffle: false }],
];
for (const [name, options] of KERAS) {
  Deno.test(`imageDatasetFromDirectory() gives what Keras gives: ${name}`, READ, async () => {
    const keras = expected.keras[name];
    const { train, validation, classNames, files, skipped } = await imageDatasetFromDirectory(tf, FLOWERS, {
      ...options,
      imageSize: [6, 5],
      batchSize: 4,
      validationSplit: 0.3,
    });
    const paths = (split: string) => files.filter((file) => file.split === split).map(({ path }) => path);
    assertEquals(classNames, keras.classNames);
    assertEquals(paths("train").sort(), keras.train);
    assertEquals(paths("validation").sort(), [...keras.validation].sort());
    assertEquals(skipped, []);
    assertEquals([train.size, validation.size], [Math.ceil(keras.train.length / 4), keras.batches.length]);
    const values = await pass(validation);
    assertEquals(values.ys, keras.batches.flatMap(({ ys }) => ys.flat()));
    const reference = keras.batches.flatMap(({ xs }) => [...new Float32Array(Uint8Array.fromBase64(xs).buffer)]);
    assertEquals(values.xs.length, reference.length);
    for (const [i, value] of reference.entries()) assert(Math.abs(values.xs[i] - value) <= 1e-3, `value ${i}`);
  });
}

Deno.test("imageDatasetFromDirectory() tells each file used", READ, async () => {
  const { files, classNames } = await imageDatasetFromDirectory(tf, new URL(`file://${FLOWERS}`), { limit: 2 });
  assertEquals(files.map(({ path }) => path), [
    "Rose/1.png",
    "Rose/2.png",
    "daisy/10.png",
    "daisy/2.PNG",
    "tulip/1.png",
    "tulip/2.png",
  ]);
  for (const file of files) {
    const content = await Deno.readFile(`${FLOWERS}/${file.path}`);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
    assertEquals(file.sha256, Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join(""));
    assertEquals([file.bytes, file.split], [content.length, "train"]);
    assertEquals([file.className, classNames[file.label]], [file.path.split("/")[0], file.className]);
    assert(file.width >= 8 && file.height >= 8);
  }
});

Deno.test("imageDatasetFromDirectory() gives train alone without a split", READ, async () => {
  const { train, validation } = await imageDatasetFromDirectory(tf, FLOWERS, { imageSize: [2, 3] });
  const none: undefined = validation;
  assertEquals(none, undefined);
  assertEquals((await pass(train)).shapes, [[18, 2, 3, 3], [18]]);
});

Deno.test(
  "imageDatasetFromDirectory() shuffles the training images anew in each pass, the same with the same seed",
  READ,
  async () => {
    const make = (seed: number) =>
      imageDatasetFromDirectory(tf, FLOWERS, { imageSize: [1, 1], validationSplit: 0.5, seed, batchSize: 2 });
    const [one, same, other] = await Promise.all([make(3), make(3), make(4)]);
    // fitDataset begins a pass that it never reads.
    await one.train.iterator();
    const first = await pass(one.train);
    const second = await pass(one.train);
    assertEquals([...first.xs].sort(), [...second.xs].sort());
    assert(String(first.xs) !== String(second.xs), "the second pass has the order of the first");
    assertEquals(await pass(same.train), first);
    assertEquals(await pass(same.train), second);
    assert(String((await pass(other.train)).xs) !== String(first.xs));
    assertEquals(await pass(one.validation), await pass(one.validation));
  },
);

Deno.test(
  "imageDatasetFromDirectory() gives the same from memory, from the files again, and from workers",
  READ,
  async () => {
    const options = { imageSize: [7, 9], batchSize: 5, validationSplit: 0.4, seed: 1 } as const;
    const reference = await imageDatasetFromDirectory(tf, FLOWERS, options);
    const passes = [await pass(reference.train), await pass(reference.train), await pass(reference.validation)];
    for (const more of [{ cacheBytes: 0 }, { cacheBytes: 3000 }, { workers: 2 }, { workers: 3, cacheBytes: 0 }]) {
      const { train, validation, files } = await imageDatasetFromDirectory(tf, FLOWERS, { ...options, ...more });
      assertEquals(files, reference.files);
      assertEquals([await pass(train), await pass(train), await pass(validation)], passes, JSON.stringify(more));
    }
  },
);

Deno.test("imageDatasetFromDirectory() gives labels in the form of labelMode", READ, async () => {
  const options = { imageSize: [1, 1], shuffle: false, classNames: ["tulip", "daisy"], limit: 2 } as const;
  const int = await pass((await imageDatasetFromDirectory(tf, FLOWERS, options)).train);
  assertEquals([int.shapes[1], int.ys], [[4], [0, 0, 1, 1]]);
  const binary = await pass((await imageDatasetFromDirectory(tf, FLOWERS, { ...options, labelMode: "binary" })).train);
  assertEquals([binary.shapes[1], binary.ys], [[4, 1], [0, 0, 1, 1]]);
  const rows = await pass(
    (await imageDatasetFromDirectory(tf, FLOWERS, { ...options, labelMode: "categorical" })).train,
  );
  assertEquals([rows.shapes[1], rows.ys], [[4, 2], [1, 0, 1, 0, 0, 1, 0, 1]]);
  const { train } = await imageDatasetFromDirectory(tf, FLOWERS, { ...options, labelMode: null });
  const shapes: number[][] = [];
  await train.forEachAsync((xs) => {
    shapes.push(xs.shape);
    xs.dispose();
  });
  assertEquals(shapes, [[4, 1, 1, 3]]);
});

Deno.test("imageDatasetFromDirectory() takes labels from an array, and folders without classes", READ, async () => {
  const tulips = `${FLOWERS}/tulip`;
  const options = { imageSize: [1, 1], shuffle: false } as const;
  const named = await imageDatasetFromDirectory(tf, tulips, {
    ...options,
    labels: ["b", "a", "b", "c", "a", "a", "a"],
  });
  assertEquals([named.classNames, (await pass(named.train)).ys], [["a", "b", "c"], [1, 0, 1, 2, 0, 0, 0]]);
  const numbered = await imageDatasetFromDirectory(tf, tulips, { ...options, labels: [1, 10, 2, 2, 1, 1, 1] });
  assertEquals([numbered.classNames, (await pass(numbered.train)).ys], [["1", "2", "10"], [0, 2, 1, 1, 0, 0, 0]]);
  const { classNames, files } = await imageDatasetFromDirectory(tf, tulips, { ...options, labels: null });
  assertEquals([classNames, files.length, files[0].label, files[0].className], [[], 7, -1, ""]);
  await assertRejects(
    () => imageDatasetFromDirectory(tf, tulips, { labels: [1, 2] }),
    RangeError,
    "2 labels for 7 images",
  );
});

Deno.test("imageDatasetFromDirectory() reads gray and alpha, crops and pads", READ, async () => {
  const options = { imageSize: [4, 8], shuffle: false, limit: 1 } as const;
  for (const [colorMode, channels] of [["grayscale", 1], ["rgba", 4]] as const) {
    const { train } = await imageDatasetFromDirectory(tf, FLOWERS, { ...options, colorMode });
    assertEquals((await pass(train)).shapes[0], [3, 4, 8, channels]);
  }
  const cropped = await pass(
    (await imageDatasetFromDirectory(tf, FLOWERS, { ...options, cropToAspectRatio: true })).train,
  );
  const padded = await pass(
    (await imageDatasetFromDirectory(tf, FLOWERS, { ...options, padToAspectRatio: true })).train,
  );
  assert(!cropped.xs.slice(0, 3).every((value) => value === 0));
  assertEquals(padded.xs.slice(0, 3), [0, 0, 0]);
});

for (
  const [labelMode, loss, units] of [
    ["int", "sparseCategoricalCrossentropy", 3],
    ["categorical", "categoricalCrossentropy", 3],
    ["binary", "binaryCrossentropy", 1],
  ] as const
) {
  Deno.test(
    `a model learns from the dataset with labelMode "${labelMode}", and no tensor is left behind`,
    READ,
    async () => {
      const tensors = tf.memory().numTensors;
      const { train, validation } = await imageDatasetFromDirectory(tf, FLOWERS, {
        imageSize: [4, 4],
        batchSize: 4,
        validationSplit: 0.25,
        seed: 5,
        labelMode,
        classNames: labelMode === "binary" ? ["Rose", "daisy"] : undefined,
      });
      const model = tf.sequential({
        layers: [
          tf.layers.rescaling({ scale: 1 / 255, inputShape: [4, 4, 3] }),
          tf.layers.flatten(),
          tf.layers.dense({
            units,
            activation: labelMode === "binary" ? "sigmoid" : "softmax",
            kernelInitializer: "zeros",
          }),
        ],
      });
      const optimizer = tf.train.adam(0.02);
      model.compile({ optimizer, loss, metrics: ["accuracy"] });
      const steps: (number | undefined)[] = [];
      const counts: number[] = [];
      const { history } = await model.fitDataset(train, {
        epochs: 25,
        validationData: validation,
        verbose: 0,
        callbacks: new tf.CustomCallback({
          onEpochEnd: () => {
            counts.push(tf.memory().numTensors);
          },
          onTrainBegin: () => {
            steps.push(train.size);
          },
        }),
      });
      assertEquals(steps, [Math.ceil((labelMode === "binary" ? 9 : 14) / 4)]);
      assert(Number(history.loss.at(-1)) < Number(history.loss[0]), String(history.loss));
      for (const key of ["acc", "val_acc", "val_loss"]) assert(Number.isFinite(history[key].at(-1)), key);
      assert(Number(history.acc.at(-1)) >= 0.5, String(history.acc));
      assertEquals(counts.at(-1), counts[1]);
      model.dispose();
      optimizer.dispose();
      assertEquals(tf.memory().numTensors, tensors);
    },
  );
}

Deno.test("imageDatasetFromDirectory() leaves out and lists what it cannot read with onError skip", async () => {
  await withFolder({
    "a/1.png": "rgb.png",
    "a/2.png": new Uint8Array(0),
    "a/3.jpg": "420.jpg",
    "b/1.jpg": new TextEncoder().encode("<html>"),
    "b/2.webp": "lossy.webp",
    "b/3.gif": "plain.gif",
  }, async (dir) => {
    const { files, skipped, train } = await imageDatasetFromDirectory(tf, dir, { imageSize: [2, 2], onError: "skip" });
    assertEquals(skipped, [
      { path: "a/2.png", reason: "the file is empty" },
      { path: "b/1.jpg", reason: "not a JPEG, PNG, WebP, GIF or BMP image, it looks like an HTML page" },
    ]);
    assertEquals(files.map(({ path }) => path), ["a/1.png", "a/3.jpg", "b/2.webp", "b/3.gif"]);
    assertEquals((await pass(train)).shapes[0], [4, 2, 2, 3]);
    for (const workers of [0, 2]) {
      const error = await assertRejects(() => imageDatasetFromDirectory(tf, dir, { workers }), Error, "Cannot read ");
      assertStringIncludes(error.message, `2.png": the file is empty`);
    }
    await Deno.writeFile(`${dir}/b/2.webp`, new Uint8Array(3));
    await Deno.writeFile(`${dir}/b/3.gif`, new Uint8Array(3));
    await assertRejects(
      () => imageDatasetFromDirectory(tf, dir, { onError: "skip" }),
      Error,
      'no image of the class "b" could be read',
    );
  });
});

Deno.test("imageDatasetFromDirectory() names a file that vanishes between passes", async () => {
  await withFolder({ "a/1.png": "rgb.png", "b/1.png": "gray.png" }, async (dir) => {
    const { train } = await imageDatasetFromDirectory(tf, dir, { imageSize: [2, 2], cacheBytes: 0 });
    await pass(train);
    await Deno.remove(`${dir}/b/1.png`);
    await assertRejects(() => pass(train), Error, 'b/1.png": no such file or directory');
  });
});

Deno.test("imageDatasetFromDirectory() follows links as Keras does, and never in a circle", async () => {
  await withFolder({ "a/1.png": "rgb.png", "b/1.png": "gray.png", "b/below/2.png": "rgb.png" }, async (dir) => {
    await Deno.symlink(`${dir}/b`, `${dir}/a/linked`);
    await Deno.symlink(`${dir}/b/1.png`, `${dir}/a/2.png`);
    await Deno.symlink(`${dir}/b/below`, `${dir}/c`);
    await Deno.symlink(`${dir}/b`, `${dir}/b/below/again`);
    const paths = async (followLinks: boolean) =>
      (await imageDatasetFromDirectory(tf, dir, { followLinks, imageSize: [1, 1] })).files.map(({ path }) => path);
    assertEquals(await paths(false), ["a/1.png", "a/2.png", "b/1.png", "b/below/2.png", "c/2.png"]);
    assertEquals(await paths(true), [
      "a/1.png",
      "a/2.png",
      "a/linked/1.png",
      "a/linked/below/2.png",
      "b/1.png",
      "b/below/2.png",
      "c/2.png",
      "c/again/1.png",
    ]);
  });
});

Deno.test("imageDatasetFromDirectory() says what is wrong with a directory", async (t) => {
  const rejects = (name: string, dir: string, includes: string, options: LabeledOptions = {}) =>
    t.step(name, async () => {
      const error = await assertRejects(
        () => imageDatasetFromDirectory(tf, dir, options),
        Error,
        includes,
      );
      assertStringIncludes(error.message, dir);
    });
  await rejects("missing", `${FLOWERS}/none`, "no such file or directory");
  await rejects("a file", `${FLOWERS}/readme.txt`, "it is a file, a directory is wanted");
  await rejects(
    "no class folders",
    `${FLOWERS}/tulip`,
    "it has no folders but 7 images; expected one folder of images",
  );
  await rejects("an unknown class", FLOWERS, 'no folder for the class "lily"; it has "Rose", "daisy", "tulip"', {
    classNames: ["Rose", "lily"],
  });
  await rejects("nothing to validate on", FLOWERS, "with validationSplit 0.05: none to validate on", {
    validationSplit: 0.05,
  });
  await withFolder({ "a/1.png": "rgb.png", "b/.DS_Store": new Uint8Array(1) }, async (dir) => {
    await rejects("an empty class folder", dir, 'no images in the class folder "b"');
    await rejects("no images", `${dir}`, 'no images in its folders "b"', { classNames: ["b"] });
    await t.step("no images and no labels", async () => {
      const make = () => imageDatasetFromDirectory(tf, `${dir}/b`, { labels: null });
      await assertRejects(make, Error, "no images in it or below it");
    });
    await rejects("nothing to train on", `${dir}`, "none to validate on", {
      classNames: ["a"],
      validationSplit: 0.999,
    });
    const { classNames } = await imageDatasetFromDirectory(tf, dir, { classNames: ["a"] });
    assertEquals(classNames, ["a"]);
  });
  await withFolder(
    { "x.txt": new Uint8Array(1) },
    (dir) => rejects("nothing at all", dir, "it has no folders; expected"),
  );
});

Deno.test("imageDatasetFromDirectory() refuses wrong options", async (t) => {
  // deno-lint-ignore no-explicit-any
  const cases: [options: any, error: typeof RangeError | typeof TypeError, includes: string][] = [
    [{ validationSplit: 0 }, RangeError, "validationSplit must be over 0 and under 1, received 0"],
    [{ validationSplit: 1 }, RangeError, "validationSplit must be over 0 and under 1, received 1"],
    [{ validationSplit: NaN }, RangeError, "received NaN"],
    [{ batchSize: 0 }, RangeError, "batchSize must be a whole number of at least 1, received 0"],
    [{ seed: -1 }, RangeError, "seed must be a whole number from 0 to 4,294,967,295, received -1"],
    [{ seed: 0.5 }, RangeError, "seed must be"],
    [{ limit: 0 }, RangeError, "limit must be a whole number of at least 1"],
    [{ workers: 1.5 }, RangeError, "workers must be"],
    [{ cacheBytes: -1 }, RangeError, "cacheBytes must be at least 0"],
    [{ imageSize: 64 }, RangeError, "imageSize must be [height, width] in whole pixels, received 64"],
    [{ labelMode: "one-hot" }, TypeError, 'labelMode must be one of "int", "categorical", "binary", null'],
    [{ labelMode: "binary" }, RangeError, '3 classes with labelMode "binary": 2 are wanted'],
    [{ onError: "ignore" }, TypeError, 'onError must be one of "throw", "skip"'],
    [{ labels: "none" }, TypeError, 'labels must be "inferred", null or an array'],
    [{ labels: null, classNames: ["a"] }, TypeError, 'classNames needs labels "inferred"'],
    [{ classNames: ["Rose", "Rose"] }, TypeError, "classNames must be different names"],
  ];
  for (const [options, error, includes] of cases) {
    await t.step(JSON.stringify(options), async () => {
      await assertRejects(() => imageDatasetFromDirectory(tf, FLOWERS, options), error, includes);
    });
  }
});

Deno.test("imageDatasetFromDirectory() gives the same where this thread and workers share the first reading", async () => {
  const pictures = await Promise.all(
    ["420.jpg", "gray.jpg", "rgb.png", "lossy.webp"].map((name) => Deno.readFile(`${IMAGES}/${name}`)),
  );
  const files = Object.fromEntries(
    Array.from({ length: 1400 }, (_, i) => [`${i % 2}/${i}.jpg`, pictures[i * 7 % 11 % 4]]),
  );
  await withFolder(files, async (dir) => {
    const options = { imageSize: [3, 2], shuffle: false, batchSize: 100 } as const;
    const shared = await imageDatasetFromDirectory(tf, dir, options);
    const alone = await imageDatasetFromDirectory(tf, dir, { ...options, workers: 0 });
    assertEquals(shared.files, alone.files);
    assertEquals(await pass(shared.train), await pass(alone.train));
  });
});
