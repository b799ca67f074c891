import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import type { CanvasKit } from "canvaskit-wasm";
import { canvasKit } from "../plot/canvaskit.ts";
import { regularFaces } from "../plot/font.ts";
import { confusionMatrix, type Figure, type Image, imageGrid, trainingCurves } from "../plots.ts";
import { assertSvgSnapshot } from "./plot/svg_snapshot.ts";
import { misplacedTexts, textsOf } from "./plot/svg_texts.ts";

/** What drawing promises to do with. */
const permissions = { read: true } as const;

function decay(count: number, scale = 1): number[] {
  return Array.from({ length: count }, (_, index) => scale * (0.1 + 2 * Math.exp(-3 * index / count)));
}

function gradient(width: number, height: number, channels: Image["channels"]): Image {
  const data = Uint8Array.from({ length: width * height * channels }, (_, index) => index * 37 % 256);
  return { width, height, channels, data };
}

/** Figures whose SVG is kept under `testdata/plots`, by name. */
const snapshots: Record<string, () => Promise<Figure>> = {
  training_and_validation: () => trainingCurves({ loss: decay(8), val_loss: decay(8, 1.2) }),
  one_epoch: () => trainingCurves({ acc: [0.7], val_acc: [0.8] }, "accuracy"),
  not_finite: () =>
    trainingCurves({ loss: [1, NaN, 0.7, Infinity, 0.5, -Infinity], val_loss: [1.1, NaN, 0.9, 0.8, 0.7, 0.6] }),
  all_nan: () => trainingCurves({ loss: [NaN, NaN, NaN] }),
  log_scale: () => trainingCurves({ loss: [1, 0.1, 0, 1e-3, -1, 1e-5] }, "loss", { yScale: "log" }),
  validation_every_third_epoch: () => trainingCurves({ loss: decay(10), val_loss: decay(3) }),
  long_title: () =>
    trainingCurves({ loss: decay(3) }, "loss", { title: "lr=0.001 & dropout<0.5 ".repeat(12), width: 400 }),
  matrix: () =>
    confusionMatrix([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 0], { classNames: ["cat", "dog", "owl", "unseen"] }),
  matrix_percent: () =>
    confusionMatrix([0, 0, 0, 1], [0, 0, 1, 1], {
      classNames: ["a name that is far too long for its cell", "b"],
      cells: "percent",
    }),
  image_grid: () =>
    imageGrid([
      { image: gradient(4, 4, 1), caption: "seven", mark: "right" },
      { image: gradient(8, 2, 3), caption: "predicted nine,\ntrue four", mark: "wrong" },
      { image: gradient(2, 4, 4) },
    ], { title: "Predictions", columns: 2 }),
};
for (const [name, draw] of Object.entries(snapshots)) {
  // --update writes.
  const options = Deno.args.includes("--update") ? {} : { permissions };
  Deno.test(
    { name: `toSvg() of ${name}`, ...options },
    async () => assertSvgSnapshot(await (await draw()).toSvg(), name),
  );
}

/** Histories that are hard to draw, by what is hard about them. */
const hardHistories: Record<string, Record<string, number[]>> = {
  "no epoch": { loss: [] },
  "one epoch": { loss: [1] },
  "two epochs": { loss: [1, 0.5], val_loss: [1.2, 0.8] },
  "1,000 epochs": { loss: decay(1000) },
  "100,000 epochs": { loss: decay(100_000), val_loss: decay(100_000, 2) },
  "NaN alone": { loss: [NaN, NaN], val_loss: [NaN, NaN] },
  "a constant": { loss: [0.25, 0.25, 0.25] },
  "zeros": { loss: [0, 0] },
  "losses of 1e-9": { loss: decay(20, 1e-9) },
  "losses of 1e12": { loss: decay(20, 1e12) },
  "losses from 1e-9 to 1e12": { loss: [1e12, 1, 1e-9] },
  "the largest and smallest numbers": { loss: [Number.MAX_VALUE, -Number.MAX_VALUE, Number.MIN_VALUE] },
  "negative values": { loss: decay(12, -1) },
  "a large offset": { loss: decay(12, 1e-3).map((value) => value + 1e6) },
};
const hardSizes = [{ width: 320, height: 240 }, {}, { width: 2000, height: 300 }];
const hardTitles = [undefined, "", "long ".repeat(100), "W".repeat(500), "Größe Łódź ∑ точность αβγ"];
for (const [what, history] of Object.entries(hardHistories)) {
  Deno.test({ name: `trainingCurves() of ${what} keeps its texts apart and inside`, permissions }, async () => {
    for (const yScale of ["linear", "log"] as const) {
      for (const size of hardSizes) {
        for (const title of hardTitles) {
          const options = { ...size, yScale, ...(title === undefined ? {} : { title, yLabel: title, xLabel: title }) };
          const figure = await trainingCurves(history, "loss", options);
          const svg = await figure.toSvg();
          assertEquals(misplacedTexts(svg, figure), []);
          assert(!/="[^"]*(NaN|Infinity)/.test(svg), "a number of the SVG is not finite");
        }
      }
    }
  });
}

for (const classes of [1, 2, 3, 10, 30, 41, 100, 150, 1000]) {
  Deno.test(
    { name: `confusionMatrix() of ${classes} classes keeps its texts apart and inside`, permissions },
    async () => {
      const labels = Array.from({ length: 3 * classes }, (_, index) => index % classes);
      const names = labels.slice(0, classes).map((label) => `class ${label} ${"with a long name ".repeat(label % 3)}`);
      for (const classNames of [undefined, names]) {
        for (const title of ["Confusion matrix", "long ".repeat(100)]) {
          const figure = await confusionMatrix(labels, labels.toReversed(), { classNames, title });
          assertEquals(misplacedTexts(await figure.toSvg(), figure), []);
        }
      }
    },
  );
}

Deno.test({ name: "imageGrid() keeps its texts apart and inside", permissions }, async () => {
  for (const cellSize of [16, 60, 120]) {
    for (const count of [0, 1, 2, 7]) {
      const items = Array.from({ length: count }, (_, index) => {
        const mark = ([undefined, "right", "wrong"] as const)[index % 3];
        return { image: gradient(3 + index, 9, 3), caption: "predicted something\nelse ".repeat(index), mark };
      });
      for (const title of [undefined, "long ".repeat(40)]) {
        const figure = await imageGrid(items, { cellSize, title });
        assertEquals(misplacedTexts(await figure.toSvg(), figure), []);
      }
    }
  }
});

Deno.test({ name: "trainingCurves() takes the history of tfjs, with its epochs from 1", permissions }, async () => {
  const history = { epoch: [4, 5, 6], history: { loss: [3, 2, 1], acc: [0.1, 0.2, 0.3] } };
  const texts = textsOf(await (await trainingCurves(history, "accuracy")).toSvg()).map(({ text }) => text);
  assertEquals(texts.filter((text) => ["4", "5", "6", "7", "8"].includes(text)), ["5", "6", "7"]);
  assertEquals(texts[0], "Training accuracy");
});

Deno.test({ name: "trainingCurves() finds accuracy and acc by either name", permissions }, async () => {
  for (const metric of ["acc", "accuracy"]) {
    for (const key of ["acc", "accuracy"]) {
      const svg = await (await trainingCurves({ [key]: [0.5], [`val_${key}`]: [0.4] }, metric)).toSvg();
      assertStringIncludes(svg, ">validation</text>");
    }
  }
});

Deno.test({ name: "trainingCurves() of an unknown metric names those found", permissions }, async () => {
  await assertRejects(
    () => trainingCurves({ loss: [1], val_loss: [1] }, "f1"),
    TypeError,
    'Cannot draw training curves of "f1": the history holds "loss", "val_loss"',
  );
  await assertRejects(() => trainingCurves({}), TypeError, "the history holds no metric at all");
});

Deno.test({ name: "trainingCurves() says how to read a tensor", permissions }, async () => {
  const history = { epoch: [0], history: { loss: [{ dataSync: () => [1] }] } };
  await assertRejects(() => trainingCurves(history), TypeError, "await history.syncData()");
});

Deno.test(
  { name: "trainingCurves() puts a shorter validation series where validationFreq says", permissions },
  async () => {
    const history = { loss: decay(10), val_loss: decay(2) };
    const squares = async (validationFreq: number): Promise<number[]> => {
      const svg = await (await trainingCurves(history, "loss", { validationFreq })).toSvg();
      const marks = [...svg.matchAll(/<rect x="([\d.]+)" y="[\d.]+" width="7"/g)].map(([, x]) => Number(x));
      return marks.slice(1);
    };
    const [first, second] = await squares(4);
    const [fifth, tenth] = await squares(5);
    assert(first < fifth && fifth < second && second < tenth, `${first} ${fifth} ${second} ${tenth}`);
    await assertRejects(() => squares(6), RangeError, "one every 6 epochs, must fit into 10 epochs");
  },
);

Deno.test(
  { name: "trainingCurves() of 100,000 epochs shows a single outlier in a small file", permissions },
  async () => {
    const calm = Array.from({ length: 100_000 }, (_, index) => Math.sin(index));
    const svg = await (await trainingCurves({ loss: calm.with(61_803, 50) })).toSvg();
    assert(svg.length < 200_000, `${svg.length} characters`);
    const points = svg.match(/<polyline points="([^"]{1000,})"/)![1].split(" ").map(Number);
    const ys = points.filter((_, index) => index % 2 === 1);
    const highest = ys.indexOf(Math.min(...ys));
    const left = points[0];
    const right = points.at(-2)!;
    assert(Math.abs((points[2 * highest] - left) / (right - left) - 0.61803) < 0.001, "the outlier is somewhere else");
  },
);

for (const size of [{ width: 319 }, { height: 9000 }, { width: NaN }, { height: Infinity }]) {
  Deno.test({ name: `trainingCurves() refuses ${JSON.stringify(size)}`, permissions }, async () => {
    await assertRejects(() => trainingCurves({ loss: [1] }, "loss", size), RangeError, "logical pixels: received");
  });
}

Deno.test({ name: "confusionMatrix() refuses labels that do not fit, and says which", permissions }, async () => {
  const cases: [number[], number[], string[] | undefined, typeof TypeError | typeof RangeError, string][] = [
    [[0, 1], [0], undefined, TypeError, "there are 2 true and 1 predicted labels"],
    [[], [], undefined, TypeError, "neither labels nor class names"],
    [[0, 2], [0, 0], ["a", "b"], RangeError, "trueLabels[1] must be a whole number from 0 to 1: received 2"],
    [[0, 1], [0, -1], undefined, RangeError, "predictedLabels[1] must be a whole number from 0 to 1: received -1"],
    [[0.5], [0], undefined, RangeError, "trueLabels[0] must be a whole number"],
    [[NaN], [0], undefined, RangeError, "received NaN"],
    [[5000], [0], undefined, RangeError, "at most 1000 classes are possible: found 5001"],
  ];
  for (const [trueLabels, predicted, classNames, errorClass, message] of cases) {
    await assertRejects(() => confusionMatrix(trueLabels, predicted, { classNames }), errorClass, message);
  }
});

Deno.test({ name: "confusionMatrix() counts rows by true and columns by predicted label", permissions }, async () => {
  const figure = await confusionMatrix(Int32Array.of(0, 0, 0, 1), Int32Array.of(1, 1, 0, 1));
  // The cells are written first, row by row, then the names.
  const digits = textsOf(await figure.toSvg()).map(({ text }) => text).filter((text) => /^\d$/.test(text));
  assertEquals(digits.slice(0, 4), ["1", "2", "0", "1"]);
});

Deno.test({ name: "imageGrid() refuses an image whose data does not fit", permissions }, async () => {
  const image: Image = { width: 2, height: 2, channels: 3, data: new Uint8Array(4) };
  await assertRejects(
    () => imageGrid([{ image }]),
    TypeError,
    "image 0 has 4 values, it must have height x width x channels",
  );
});

Deno.test({ name: "imageGrid() draws the pixels of images of 1, 3 and 4 channels", permissions }, async () => {
  const items = [
    { image: { width: 1, height: 1, channels: 1, data: Uint8Array.of(100) } },
    { image: { width: 1, height: 1, channels: 3, data: Float32Array.of(250.4, -3, 999) } },
    { image: { width: 1, height: 1, channels: 4, data: Uint8ClampedArray.of(0, 0, 0, 0) } },
    { image: { width: 1, height: 1, channels: 1, data: Float32Array.of(NaN) } },
  ] as const;
  const figure = await imageGrid(items, { cellSize: 40 });
  const pixel = await pixelsOf(figure, 1);
  // Margin 20, gap 14, no title.
  const colours = items.map((_, index) => pixel(20 + index * 54 + 20, 40));
  assertEquals(colours, [[100, 100, 100], [250, 0, 255], [255, 255, 255], [0, 0, 0]]);
});

Deno.test({ name: "imageGrid() makes a large image smaller by its mean", permissions }, async () => {
  const data = Uint8Array.from({ length: 640 * 640 }, (_, index) => (index % 640 + Math.floor(index / 640)) % 2 * 200);
  const pixel = await pixelsOf(
    await imageGrid([{ image: { width: 640, height: 640, channels: 1, data } }], { cellSize: 80 }),
    1,
  );
  assertEquals(pixel(60, 60), [100, 100, 100]);
});

Deno.test(
  { name: "toPng() is as large as its scale says, white at the edge, with the curve in it", permissions },
  async () => {
    const figure = await trainingCurves({ loss: [1, 1, 1] }, "loss", { title: "" });
    assertEquals([figure.width, figure.height], [800, 500]);
    for (const scale of [0.5, 1, 2]) {
      const pixel = await pixelsOf(figure, scale);
      assertEquals([pixel.width, pixel.height], [800 * scale, 500 * scale]);
      assertEquals(pixel(1, 1), [255, 255, 255]);
    }
    const svg = await figure.toSvg();
    const [, x, y] = svg.match(/r="3.75"[^]*<circle cx="([\d.]+)" cy="([\d.]+)" r="3.75"/)!;
    assertEquals((await pixelsOf(figure, 2))(2 * Number(x), 2 * Number(y)), [0, 0x72, 0xB2]);
  },
);

Deno.test({ name: "toPng() refuses a scale that is none, and pictures that are too large", permissions }, async () => {
  const figure = await trainingCurves({ loss: [1] });
  for (const scale of [0, -1, NaN, 17]) {
    await assertRejects(() => figure.toPng({ scale }), RangeError, "scale must be above 0 and at most 16");
  }
  const large = await trainingCurves({ loss: [1] }, "loss", { width: 8192, height: 8192 });
  await assertRejects(
    () => large.toPng({ scale: 2 }),
    RangeError,
    "Cannot paint a picture of 16384 x 16384 pixels: at most",
  );
  const image = gradient(1, 1, 1);
  const items = Array.from({ length: 200 }, () => ({ image }));
  await assertRejects(() => imageGrid(items, { columns: 1 }), RangeError, "at most 16384 a side");
});

Deno.test({ name: "a character that no font has is warned of once", permissions }, async () => {
  const warnings: string[] = [];
  const original = console.warn;
  console.warn = (message: string) => warnings.push(message);
  try {
    for (let time = 0; time < 3; time++) {
      const figure = await trainingCurves({ loss: [1] }, "loss", { title: "精度 Größe точность α ∑\n\u200d" });
      await figure.toPng();
      assertStringIncludes(await figure.toSvg(), "精度 Größe");
    }
  } finally {
    console.warn = original;
  }
  assertEquals(warnings.length, 1);
  assertMatch(warnings[0], /^warning: no font at hand has "精" \(U\+7CBE\), "度" \(U\+5EA6\): drawn as a box in PNG/);
});

Deno.test({ name: "a font file that is none is refused", permissions }, async () => {
  const fonts = [new Uint8Array(100)];
  await assertRejects(
    () => trainingCurves({ loss: [1] }, "loss", { fonts }),
    TypeError,
    "must be a TTF, OTF, WOFF or WOFF2",
  );
});

Deno.test({ name: "a font of the user's fills in after the built-in one", permissions }, async () => {
  const fonts = [Uint8Array.fromBase64(regularFaces[0])];
  const figure = await trainingCurves({ loss: [1] }, "loss", { fonts });
  assertEquals(await figure.toSvg(), await (await trainingCurves({ loss: [1] })).toSvg());
});

Deno.test({ name: "toSvg() escapes what XML needs and leaves out what it forbids", permissions }, async () => {
  const figure = await trainingCurves({ loss: [1] }, "loss", { title: `<a href="x">&\u0000\u0007\ud800</a>` });
  assertStringIncludes(await figure.toSvg(), ">&lt;a href=&quot;x&quot;&gt;&amp; \ufffd&lt;/a&gt;</text>");
});

Deno.test(
  { name: "fifty figures leave no memory behind", permissions: { ...permissions, sys: ["systemMemoryInfo"] } },
  async () => {
    const draw = async (): Promise<void> => {
      const figure = await trainingCurves({ loss: decay(20) });
      await figure.toPng();
    };
    for (let time = 0; time < 5; time++) await draw();
    const before = Deno.memoryUsage().rss;
    for (let time = 0; time < 50; time++) await draw();
    const grown = (Deno.memoryUsage().rss - before) / 2 ** 20;
    // One leaked surface of 1600 x 1000 pixels is 6 MiB.
    assert(grown < 100, `grown by ${grown.toFixed(0)} MiB`);
  },
);

Deno.test({
  name: "plots.ts is imported without any permission and draws with --allow-read",
  permissions: { read: true, run: [Deno.execPath()] },
}, async () => {
  const program = new URL("plot/least_permission.ts", import.meta.url).pathname;
  const run = async (...flags: string[]): Promise<string> => {
    const command = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", ...flags, program],
      stderr: "null",
    });
    return new TextDecoder().decode((await command.output()).stdout);
  };
  assertEquals(await run("--allow-read"), "imported\ndrawn\n");
  assertEquals(await run(), "imported\n");
});

interface PixelReader {
  /** Red, green and blue of a pixel, 0 to 255. */
  (x: number, y: number): number[];
  readonly width: number;
  readonly height: number;
}

async function pixelsOf(figure: Figure, scale: number): Promise<PixelReader> {
  const kit: CanvasKit = await canvasKit();
  const image = kit.MakeImageFromEncoded(await figure.toPng({ scale }))!;
  const width = image.width();
  const height = image.height();
  const info = {
    width,
    height,
    colorType: kit.ColorType.RGBA_8888,
    alphaType: kit.AlphaType.Unpremul,
    colorSpace: kit.ColorSpace.SRGB,
  };
  const pixels = image.readPixels(0, 0, info)!;
  image.delete();
  const read = (x: number, y: number): number[] => {
    const at = (Math.round(y) * width + Math.round(x)) * 4;
    return Array.from(pixels.subarray(at, at + 3));
  };
  return Object.assign(read, { width, height });
}
