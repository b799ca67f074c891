import { join } from "@std/path";
import type {
  ImageDataset,
  ImageDatasetOptions,
  ImageFile,
  ImageTensorFlow,
  LabeledBatch,
  SkippedImage,
} from "../images.ts";
import { batches, type Sample } from "./batches.ts";
import { DecodePool } from "./decode_pool.ts";
import { type ListedFile, listImages } from "./directory.ts";
import type { LoadedFile } from "./load_file.ts";
import { RandomState } from "./random_state.ts";
import { type DatasetSettings, datasetSettings } from "./settings.ts";

/** What one thread takes, about, as measured; a worker takes about 50 ms to start. */
const MILLISECONDS_A_FILE = 0.12;
const MILLISECONDS_A_MEGABYTE = 15;
const WORTH_WORKERS_MILLISECONDS = 150;
const MOST_WORKERS = 8;
/** Files that travel to a worker together: so many, or so many bytes of them. */
const GROUP_FILES = 16;
const GROUP_BYTES = 262_144;

interface Loaded extends Omit<LoadedFile, "data"> {
  readonly listed: ListedFile;
  /** Pixels, where they are kept. */
  readonly data: LoadedFile["data"] | undefined;
}

/** Lists, reads, splits: what stands behind `imageDatasetFromDirectory`. */
export async function makeDatasets<T, D extends object>(
  tf: ImageTensorFlow<T, LabeledBatch<T> | T, D>,
  directory: string,
  options: ImageDatasetOptions,
): Promise<ImageDataset<D, D | undefined>> {
  const settings = datasetSettings(options);
  const { classNames, files: listed, bytes } = await listImages(directory, settings);
  const classes = classNames.length;
  if (settings.labelMode === "binary" && classes !== 2) {
    throw new RangeError(
      `Cannot label images of ${classes} ${classes === 1 ? "class" : "classes"} with labelMode "binary": 2 are wanted`,
    );
  }
  const pool = new DecodePool(settings.decode, {
    workers: Math.min(settings.workers ?? worthwhileWorkers(listed.length, bytes), listed.length),
    group: Math.max(1, Math.min(GROUP_FILES, Math.floor(GROUP_BYTES * listed.length / bytes))),
  });
  const { loaded, skipped } = await loadAll(pool, directory, listed, settings).finally(() => pool.close());

  const found = new Set(loaded.map(({ listed }) => listed.label));
  const bare = classNames.filter((_, label) => !found.has(label));
  if (bare.length > 0) {
    throw new Error(
      `Cannot read images from ${JSON.stringify(directory)}: no image of the class ` +
        `${bare.map((name) => JSON.stringify(name)).join(", ")} could be read (${skipped.length} files skipped)`,
    );
  }

  const order = loaded.map((_, i) => i);
  if (settings.shuffle) new RandomState(settings.seed).shuffle(order);
  const validationCount = Math.floor(order.length * (settings.validationSplit ?? 0));
  const trainCount = order.length - validationCount;
  if (trainCount === 0 || (settings.validationSplit !== undefined && validationCount === 0)) {
    const split = settings.validationSplit === undefined ? "" : ` with validationSplit ${settings.validationSplit}`;
    throw new RangeError(
      `Cannot make datasets of ${order.length} images of ${JSON.stringify(directory)}${split}: ` +
        `none to ${trainCount === 0 ? "train" : "validate"} on`,
    );
  }

  const sample = (i: number): Sample => {
    const { listed, data } = loaded[i];
    return {
      label: listed.label,
      pixels: () => data ?? pixelsAgain(pool, directory, listed),
    };
  };
  // Its own state, so that the first pass is not the order of the split once more.
  const random = settings.shuffle ? new RandomState((settings.seed + 1) % 2 ** 32) : undefined;
  const dataset = (indices: readonly number[], random: RandomState | undefined): D =>
    makeDataset(tf, indices.map(sample), classes, settings, { random, onEnd: () => pool.close() });
  const inValidation = new Set(order.slice(trainCount));
  return {
    train: dataset(order.slice(0, trainCount), random),
    validation: validationCount > 0 ? dataset(order.slice(trainCount), undefined) : undefined,
    classNames,
    files: loaded.map(({ listed, bytes, sha256, width, height }, i): ImageFile => ({
      path: listed.path,
      className: classNames[listed.label] ?? "",
      label: classes > 0 ? listed.label : -1,
      split: inValidation.has(i) ? "validation" : "train",
      bytes,
      sha256,
      width,
      height,
    })),
    skipped,
  };
}

function worthwhileWorkers(files: number, bytes: number): number {
  const milliseconds = files * MILLISECONDS_A_FILE + bytes / 1e6 * MILLISECONDS_A_MEGABYTE;
  if (milliseconds < WORTH_WORKERS_MILLISECONDS) return 0;
  const processors = navigator.hardwareConcurrency;
  // One worker would only take this thread's place.
  return processors === 1 ? 0 : Math.min(processors, MOST_WORKERS);
}

async function loadAll(
  pool: DecodePool,
  directory: string,
  listed: readonly ListedFile[],
  { onError, cacheBytes, workers }: DatasetSettings,
): Promise<{ loaded: Loaded[]; skipped: SkippedImage[] }> {
  const results: (Loaded | SkippedImage)[] = new Array(listed.length);
  let cached = 0;
  let next = 0;
  const failures: { readonly at: number; readonly error: Error }[] = [];
  const run = async (): Promise<void> => {
    while (next < listed.length && failures.length === 0) {
      const i = next++;
      const { path } = listed[i];
      try {
        const { data, ...about } = await pool.decode(join(directory, path));
        const keep = cached + data.byteLength <= cacheBytes;
        if (keep) cached += data.byteLength;
        results[i] = { ...about, listed: listed[i], data: keep ? data : undefined };
      } catch (cause) {
        const reason = (cause as Error).message;
        if (onError === "skip") results[i] = { path, reason };
        else failures.push({ at: i, error: cannotRead(directory, path, cause) });
      }
    }
  };
  pool.helping = workers === undefined;
  await Promise.all(Array.from({ length: pool.width }, run));
  pool.helping = false;
  // Of those in work at the same time the first by name is told, so that a second run says the same.
  if (failures.length > 0) throw failures.sort((a, b) => a.at - b.at)[0].error;
  return {
    loaded: results.filter((result) => "listed" in result),
    skipped: results.filter((result) => "reason" in result),
  };
}

async function pixelsAgain(pool: DecodePool, directory: string, { path }: ListedFile): Promise<LoadedFile["data"]> {
  try {
    return (await pool.decode(join(directory, path))).data;
  } catch (cause) {
    throw cannotRead(directory, path, cause);
  }
}

function cannotRead(directory: string, path: string, cause: unknown): Error {
  return new Error(`Cannot read ${JSON.stringify(join(directory, path))}: ${(cause as Error).message}`, { cause });
}

function makeDataset<T, D extends object>(
  tf: ImageTensorFlow<T, LabeledBatch<T> | T, D>,
  samples: readonly Sample[],
  classes: number,
  { batchSize, decode, labelMode }: DatasetSettings,
  pass: { readonly random: RandomState | undefined; readonly onEnd: () => void },
): D {
  const [height, width] = decode.size;
  const { channels } = decode;
  const imageLength = height * width * channels;
  const dataset = tf.data.generator(async function* () {
    for await (const { pixels, labels } of batches(samples, { batchSize, imageLength, ...pass })) {
      const xs = tf.tensor(pixels, [labels.length, height, width, channels], "float32");
      yield labelMode === null ? xs : { xs, ys: labelTensor(tf, labels, classes, labelMode) };
    }
  });
  // A generator's length is unknown to tfjs; with it, `fitDataset` tells callbacks the steps of an epoch.
  Object.defineProperty(dataset, "size", { value: Math.ceil(samples.length / batchSize), configurable: true });
  return dataset;
}

/** float32, Keras's int32 is not: tfjs's accuracy compares labels with predictions in the labels' type. */
function labelTensor<T>(
  tf: { tensor(values: Float32Array, shape: number[], dtype: "float32"): T },
  labels: readonly number[],
  classes: number,
  labelMode: "int" | "categorical" | "binary",
): T {
  if (labelMode !== "categorical") {
    return tf.tensor(Float32Array.from(labels), labelMode === "int" ? [labels.length] : [labels.length, 1], "float32");
  }
  const rows = new Float32Array(labels.length * classes);
  labels.forEach((label, i) => rows[i * classes + label] = 1);
  return tf.tensor(rows, [labels.length, classes], "float32");
}
