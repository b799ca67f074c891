/** Training, and reading images to train on, beside Keras: `deno task bench training`. */
import { join } from "@std/path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { encodeImage, imageDatasetFromDirectory } from "../images.ts";
import { cleanEnv } from "../tests/support/clean_env.ts";
import { kerasPython, missingKeras } from "../tests/support/keras.ts";
import type { Benchmark, Rounds } from "./benchmarks.ts";

/** Epochs of a process that are measured; one more goes before them. */
const EPOCHS = 5;
const IMAGES = 1024;

const JOBS: Readonly<Record<string, string>> = {
  reference: "1,024 images of 64x64x3, three convolutions",
  digits: "the model of examples/train.ts on 2,400 digits",
  separable: "512 images of 96x96x3, depthwise-separable with batch normalization",
};

/** Each job by its epochs and by its whole process, and an image folder. */
export const TRAINING_BENCHMARKS: readonly Benchmark[] = [
  ...Object.entries(JOBS).flatMap(([job, what]): Benchmark[] => [
    {
      name: `training_${job}`,
      what: `an epoch: ${what}`,
      unit: "s",
      rounds: 2,
      ours: () => epochs(job, ours),
      peer: () => epochs(job, keras),
      missing: missingKeras(),
    },
    {
      name: `training_${job}_process`,
      what: `the same, from the start of the process to the end of ${EPOCHS} epochs`,
      unit: "s",
      rounds: 3,
      ours: () => processes(job, ours),
      peer: () => processes(job, keras),
      missing: missingKeras(),
    },
  ]),
  {
    name: "training_images",
    what: `${IMAGES.toLocaleString("en")} JPEG files of 200x200 in a folder, to tensors of 64x64`,
    unit: "images/s",
    rounds: 2,
    ours: imagesOfFolder,
    peer: ({ folder }) => imagesByKeras(join(folder, "..", "images")),
    missing: missingKeras(),
  },
];

type Program = (job: string, argument: string) => Deno.Command;

const ours: Program = (job, argument) =>
  program(Deno.execPath(), ["run", "--no-prompt", path("training.ts"), job, argument]);
const keras: Program = (job, argument) => program(kerasPython(), [path("training.py"), job, argument]);

function program(command: string, args: string[]): Deno.Command {
  return new Deno.Command(command, { args, env: cleanEnv(), clearEnv: true, stdout: "piped", stderr: "piped" });
}

function path(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}

/** Runs a program and reads the JSON that it prints last. */
async function run<T>(command: Deno.Command): Promise<T> {
  const { success, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  if (!success) throw new Error(`Cannot train: ${text(stderr)}`);
  return JSON.parse(text(stdout).split("\n").at(-1)!);
}

async function* epochs(job: string, start: Program): Rounds {
  while (true) {
    const { seconds } = await run<{ seconds: number[] }>(start(job, String(EPOCHS + 1)));
    yield seconds.slice(1);
  }
}

async function* processes(job: string, start: Program): Rounds {
  while (true) {
    const begin = performance.now();
    await run(start(job, String(EPOCHS)));
    yield [(performance.now() - begin) / 1000];
  }
}

/** Makes the folder that both sides read, beside those of both sides. */
async function makeImages(folder: string): Promise<string> {
  const images = join(folder, "..", "images");
  await Deno.mkdir(join(images, "a"), { recursive: true });
  await Deno.mkdir(join(images, "b"));
  for (let i = 0; i < IMAGES; i++) {
    const data = Float32Array.from({ length: 200 * 200 * 3 }, (_, at) => {
      const [x, y] = [Math.floor(at / 3) % 200, Math.floor(at / 600)];
      return 128 + 60 * Math.sin((x + i) / 9 + at % 3) + 60 * Math.cos((y - i) / 13) + (at * 7919 % 16) - 8;
    });
    const jpeg = await encodeImage({ width: 200, height: 200, channels: 3, data }, "jpeg");
    await Deno.writeFile(join(images, i % 2 === 0 ? "a" : "b", `${i}.jpg`), jpeg);
  }
  return images;
}

async function* imagesOfFolder(folder: string): Rounds {
  const images = await makeImages(folder);
  while (true) {
    const rates: number[] = [];
    for (let pass = 0; pass < 3; pass++) {
      const begin = performance.now();
      const { train } = await imageDatasetFromDirectory(tf, images, {
        imageSize: [64, 64],
        batchSize: 32,
        shuffle: false,
      });
      let count = 0;
      await train.forEachAsync((batch) => {
        count += batch.xs.shape[0];
        tf.dispose([batch.xs, batch.ys]);
      });
      rates.push(count / (performance.now() - begin) * 1000);
    }
    yield rates;
  }
}

async function* imagesByKeras(folder: string): Rounds {
  while (true) yield (await run<{ rates: number[] }>(keras("images", folder))).rates;
}
