/**
 * Images from files: one as an array, or a directory of them as a dataset to train on.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import type { Image } from "./entities.ts";
import type { ImageFormat } from "./image/encode.ts";
import type { Interpolation } from "./image/resize.ts";

export type { Image } from "./entities.ts";
export type { ImageFormat } from "./image/encode.ts";
export type { Interpolation } from "./image/resize.ts";

/** How an image file is read: what `loadImage` and `imageDatasetFromDirectory` share. */
export interface ReadImageOptions {
  /**
   * Values a pixel: "rgb" 3, "rgba" 4, "grayscale" 1. "rgb" and "grayscale" drop alpha, they do not blend it; gray is
   * Pillow's `convert("L")`: 0.299 red, 0.587 green, 0.114 blue.
   *
   * @default {"rgb"}
   */
  readonly colorMode?: "rgb" | "rgba" | "grayscale";
  /**
   * How values between pixels are found when the size changes, with the numbers of `tf.image.resize` without
   * antialiasing.
   *
   * @default {"bilinear"}
   */
  readonly interpolation?: Interpolation;
  /**
   * Where the size asked for is of another shape than the picture: cut away what sticks out on both sides, so that
   * nothing is distorted.
   *
   * @default {false}
   */
  readonly cropToAspectRatio?: boolean;
  /**
   * Where the size asked for is of another shape than the picture: fill up with zeros (black) on both sides, so that
   * nothing is distorted.
   *
   * @default {false}
   */
  readonly padToAspectRatio?: boolean;
  /**
   * "apply": photos are turned upright by their EXIF orientation, as Pillow's `ImageOps.exif_transpose` does.
   * "ignore": pixels as they lie in the file, as Keras reads them.
   *
   * @default {"apply"}
   */
  readonly orientation?: "apply" | "ignore";
  /**
   * The most pixels a picture may have; a larger one is refused before it is decoded. Decoding takes about 12 bytes a
   * pixel.
   *
   * @default {64_000_000}
   */
  readonly maxPixels?: number;
}

/** What `loadImage` can be told. */
export interface LoadImageOptions extends ReadImageOptions {
  /** The size wanted, in pixels; without it, the size of the picture. */
  readonly imageSize?: readonly [height: number, width: number];
}

/**
 * Reads a JPEG, PNG, WebP, GIF (its first frame) or BMP file.
 *
 * The pixels are those of Pillow's `Image.open(path).convert(…)`, with photos turned upright. Of PNGs with 16 bits the
 * upper 8 are kept; colour profiles and gamma are not applied.
 *
 * @param path a path, a `file:` URL, or the file's bytes
 * @returns values from 0 to 255: a `Uint8Array`, or a `Float32Array` where values were computed by resizing
 * @throws Error that names the file and the reason: not there, not readable, empty, not an image, cut off, damaged, or
 * of too many pixels
 *
 * @example
 * ```ts ignore
 * import { loadImage } from "@mlflow-deno/mlflow";
 *
 * const image = await loadImage("photos/rose/003.jpg", { imageSize: [64, 64] });
 * ```
 */
export async function loadImage(path: string | URL | Uint8Array, options: LoadImageOptions = {}): Promise<Image> {
  // Loaded here, since node:zlib takes longer to load than a run to start.
  const [{ loadSettings }, { readFile }, { decode }] = await Promise.all([
    import("./image/settings.ts"),
    import("./image/load_file.ts"),
    import("./image/decode.ts"),
  ]);
  const settings = loadSettings(options);
  if (!(typeof path === "string" || path instanceof Uint8Array || (path instanceof URL && path.protocol === "file:"))) {
    throw new TypeError(`Cannot read an image: expected a path, a file: URL or bytes, received ${path}`);
  }
  try {
    const bytes = path instanceof Uint8Array ? path : await readFile(path);
    return (await decode(bytes, settings)).image;
  } catch (cause) {
    const name = path instanceof Uint8Array ? "an image" : JSON.stringify(String(path));
    throw new Error(`Cannot read ${name}: ${(cause as Error).message}`, { cause });
  }
}

/** How an image is written. */
export interface EncodeImageOptions {
  /**
   * How much of the picture a JPEG or WebP keeps, 0 to 100; a PNG keeps all.
   *
   * @default {90}
   */
  readonly quality?: number;
}

/**
 * An image as the bytes of a file. A JPEG has no alpha: it is dropped, not blended.
 *
 * @param image values are rounded and held to 0 to 255; NaN is 0
 * @throws RangeError where the image has not as many values as its size says
 *
 * @example
 * ```ts ignore
 * import { encodeImage, loadImage } from "@mlflow-deno/mlflow";
 *
 * const image = await loadImage("photo.jpg", { imageSize: [64, 64] });
 * await Deno.writeFile("small.png", await encodeImage(image, "png"));
 * ```
 */
export async function encodeImage(
  image: Image,
  format: ImageFormat,
  options: EncodeImageOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { quality = 90 } = options;
  const { width, height, channels, data } = image;
  if (!(width > 0 && height > 0 && data.length === width * height * channels)) {
    throw new RangeError(
      `Cannot encode an image: ${width} x ${height} pixels of ${channels} values, and ${data.length} values were given`,
    );
  }
  if (!["png", "jpeg", "webp"].includes(format)) {
    throw new TypeError(`Cannot encode an image: format must be one of png, jpeg, webp: received "${format}"`);
  }
  if (!(quality >= 0 && quality <= 100)) {
    throw new RangeError(`Cannot encode an image: quality must be 0 to 100: received ${quality}`);
  }
  const { encode } = await import("./image/encode.ts");
  return await encode(image, format, quality);
}

/**
 * What `imageDatasetFromDirectory` uses of the program's own TensorFlow.js: pass `tf` of
 * `import * as tf from "@tensorflow/tfjs"`.
 *
 * `T` is its tensor, `E` what a dataset gives, `D` the dataset.
 */
export interface ImageTensorFlow<T, E, D> {
  /** Makes a tensor. */
  tensor(values: Float32Array, shape: number[], dtype: "float32"): T;
  /** The part that makes datasets. */
  readonly data: {
    /** Makes a dataset that reads an iterator for each pass. */
    generator(passes: () => AsyncIterator<E>): D;
  };
}

/** What `imageDatasetFromDirectory` can be told; names and meanings are Keras's where Keras has them. */
export interface ImageDatasetOptions extends ReadImageOptions {
  /**
   * "inferred": one folder a class. An array: one label for each image in the order of their paths; a label's number is
   * its place among the sorted labels. `null`: none.
   *
   * @default {"inferred"}
   */
  readonly labels?: "inferred" | readonly (string | number)[] | null;
  /**
   * "int": `ys` holds class indices, shape `[batch]`, for `sparseCategoricalCrossentropy`. "categorical": one-hot rows,
   * shape `[batch, classes]`, for `categoricalCrossentropy`. "binary": 0 or 1, shape `[batch, 1]`, for
   * `binaryCrossentropy`; needs exactly 2 classes. All are float32. `null`: batches are the tensor of images alone.
   *
   * @default {"int"}
   */
  readonly labelMode?: "int" | "categorical" | "binary" | null;
  /**
   * The class folders wanted, in this order; others are left out.
   *
   * @default all, sorted by name
   */
  readonly classNames?: readonly string[];
  /**
   * Images a batch; the last batch of a pass may hold fewer.
   *
   * @default {32}
   */
  readonly batchSize?: number;
  /**
   * Size of the images given, in pixels.
   *
   * @default {[256, 256]}
   */
  readonly imageSize?: readonly [height: number, width: number];
  /**
   * Whether files are shuffled before they are split, and the training images before each pass. Without it, the split
   * takes the last files by name: all of the last classes.
   *
   * @default {true}
   */
  readonly shuffle?: boolean;
  /**
   * Seed of all shuffling, a whole number from 0 to 4,294,967,295. The same seed and files give the same split as in
   * Keras.
   *
   * @default {0}
   */
  readonly seed?: number;
  /** The part of the images to validate on, between 0 and 1; rounded down to whole images. */
  readonly validationSplit?: number;
  /**
   * Whether folders that are links are entered. Class folders and files may be links in any case.
   *
   * @default {false}
   */
  readonly followLinks?: boolean;
  /**
   * "throw": the first file that cannot be read ends it. "skip": such files are left out and listed in `skipped`.
   *
   * @default {"throw"}
   */
  readonly onError?: "throw" | "skip";
  /**
   * Images taken of each class, the first by name.
   *
   * @default {Infinity}
   */
  readonly limit?: number;
  /**
   * Bytes of decoded images kept in memory, 0 for none. Images beyond it are read and decoded again in each pass, on
   * the workers, while the model trains on the batch before.
   *
   * @default {1_073_741_824}
   */
  readonly cacheBytes?: number;
  /**
   * Workers that decode, 0 for none: the program's own thread does it.
   *
   * @default one for each processor, 8 at most, of which the program's own thread replaces one until this function
   * returns; none where the job is small
   */
  readonly workers?: number;
}

/** An image of a dataset. */
export interface ImageFile {
  /** Relative to the directory, with `/`. */
  readonly path: string;
  /** Name of its class; empty where there are no labels. */
  readonly className: string;
  /** Index of its class in `classNames`; -1 where there are no labels. */
  readonly label: number;
  /** Which dataset it is in. */
  readonly split: "train" | "validation";
  /** Size of the file in bytes. */
  readonly bytes: number;
  /** SHA-256 of the file, in hexadecimal. */
  readonly sha256: string;
  /** Pixels in a row of the picture (upright, before it was resized). */
  readonly width: number;
  /** Rows of the picture (upright, before it was resized). */
  readonly height: number;
}

/** A file that could not be read and was left out. */
export interface SkippedImage {
  /** Relative to the directory, with `/`. */
  readonly path: string;
  /** Why, without the file's name. */
  readonly reason: string;
}

/**
 * A dataset's reading methods with the type of what they give: tfjs's own types, seen from here, say no more than that
 * it is a tensor or holds tensors.
 */
export interface ImageBatches<E, D> {
  /** Calls a function with each batch of one pass. The tensors are the function's to dispose. */
  forEachAsync(each: (batch: E) => void): Promise<void>;
  /** All batches of one pass. The tensors are the caller's to dispose. */
  toArray(): Promise<E[]>;
  /** The first `count` batches of each pass. */
  take(count: number): ImageBatches<E, D> & D;
  /** Begins a pass. */
  iterator(): Promise<{ next(): Promise<IteratorResult<E>> }>;
}

/** A batch with labels: the images, and their classes in the form of `labelMode`. */
export type LabeledBatch<T> = {
  /** `[batch, height, width, channels]`, float32, 0 to 255. */
  readonly xs: T;
  /** Labels in the form of `labelMode`. */
  readonly ys: T;
};

/** What `imageDatasetFromDirectory` gives; `D` is the dataset of the program's own TensorFlow.js. */
export interface ImageDataset<D, V = D> {
  /** Batches to train on, in a new order each pass; its `size` is the number of batches a pass. */
  readonly train: D;
  /** Batches to validate on, always in the same order; `undefined` without `validationSplit`. */
  readonly validation: V;
  /** Names of the classes: a label is an index into it. */
  readonly classNames: readonly string[];
  /** Every image used, by class and then by path. */
  readonly files: readonly ImageFile[];
  /** The files left out with `onError: "skip"`, in the same order. */
  readonly skipped: readonly SkippedImage[];
}

/** Options of a dataset whose batches hold labels. */
export type LabeledOptions = ImageDatasetOptions & {
  readonly labels?: "inferred" | readonly (string | number)[];
  readonly labelMode?: "int" | "categorical" | "binary";
};
/** Options of a dataset whose batches are images alone. */
export type UnlabeledOptions = ImageDatasetOptions & ({ readonly labels: null } | { readonly labelMode: null });

/** With labels and a split: `train` and `validation` give `{ xs, ys }`. */
export function imageDatasetFromDirectory<T, D extends object>(
  tf: ImageTensorFlow<T, LabeledBatch<T>, D>,
  directory: string | URL,
  options: LabeledOptions & { readonly validationSplit: number },
): Promise<ImageDataset<ImageBatches<LabeledBatch<T>, D> & D>>;
/** With labels and no split: `validation` is `undefined`. */
export function imageDatasetFromDirectory<T, D extends object>(
  tf: ImageTensorFlow<T, LabeledBatch<T>, D>,
  directory: string | URL,
  options?: LabeledOptions & { readonly validationSplit?: undefined },
): Promise<ImageDataset<ImageBatches<LabeledBatch<T>, D> & D, undefined>>;
/** Without labels, with a split: `train` and `validation` give tensors of images. */
export function imageDatasetFromDirectory<T, D extends object>(
  tf: ImageTensorFlow<T, NoInfer<T>, D>,
  directory: string | URL,
  options: UnlabeledOptions & { readonly validationSplit: number },
): Promise<ImageDataset<ImageBatches<T, D> & D>>;
/** Without labels and split: `train` gives tensors of images. */
export function imageDatasetFromDirectory<T, D extends object>(
  tf: ImageTensorFlow<T, NoInfer<T>, D>,
  directory: string | URL,
  options: UnlabeledOptions & { readonly validationSplit?: undefined },
): Promise<ImageDataset<ImageBatches<T, D> & D, undefined>>;
/**
 * Makes datasets of a directory of images, as Keras's `image_dataset_from_directory` does.
 *
 * All files are read, checked and decoded once before it returns, so a bad one is found before the training and not
 * within it. JPEG, PNG, WebP, GIF and BMP files are found by their extensions (`.jpg`, `.jpeg`, `.png`, `.webp`, `.gif`,
 * `.bmp` in any case), also in folders within a class folder; hidden folders and other files are passed over. Values
 * are not scaled: begin the model with `tf.layers.rescaling({ scale: 1 / 255 })`, which is then part of what is saved.
 *
 * The same seed, split and files give the training and validation images that Keras gives. What differs from Keras:
 * photos are turned upright by EXIF (see `orientation`); pixels are Pillow's, from which TensorFlow's own JPEG decoder
 * is off by 1 on the average and 5 at most in what was compared; WebP files are taken too; each pass shuffles all
 * training images, not a window of 8 batches; a class folder without images is an error.
 *
 * @param tf the program's own TensorFlow.js
 * @param directory the directory that holds one folder of images a class
 * @throws Error that names the directory or the file and the reason; TypeError or RangeError for a wrong option
 *
 * @example
 * ```ts ignore
 * import * as tf from "@tensorflow/tfjs";
 * import { imageDatasetFromDirectory } from "@mlflow-deno/mlflow";
 *
 * const { train, validation, classNames } = await imageDatasetFromDirectory(tf, "photos", {
 *   imageSize: [64, 64],
 *   validationSplit: 0.2,
 *   seed: 42,
 * });
 * await model.fitDataset(train, { epochs: 10, validationData: validation });
 * ```
 */
export function imageDatasetFromDirectory<T, D extends object>(
  tf: ImageTensorFlow<T, LabeledBatch<T>, D>,
  directory: string | URL,
  options?: LabeledOptions,
): Promise<ImageDataset<ImageBatches<LabeledBatch<T>, D> & D, (ImageBatches<LabeledBatch<T>, D> & D) | undefined>>;
export async function imageDatasetFromDirectory<T, D extends object>(
  tf: ImageTensorFlow<T, LabeledBatch<T> | T, D>,
  directory: string | URL,
  options: ImageDatasetOptions = {},
): Promise<ImageDataset<D, D | undefined>> {
  const { makeDatasets } = await import("./image/dataset.ts");
  return await makeDatasets(tf, directory instanceof URL ? fileURLToPath(directory) : directory, options);
}
