import type { MlflowClient } from "../client.ts";
import type { Image, TensorLike } from "../entities.ts";
import { doing, MlflowError } from "../errors.ts";
import { takePixels } from "../image/pixels.ts";
import type { Raster } from "../image/raster.ts";

/**
 * What can be logged as an image: an image in memory, the bytes of an image file, or a tensor `[height, width]` or
 * `[height, width, 1 | 3 | 4]`, whose whole numbers are 0 to 255, and floats 0 to 1.
 */
export type ImageSource = Image | Uint8Array | TensorLike;

/** How an image is logged: to one file, or by a key, as one of the images of a run's steps. */
export interface LogImageOptions {
  /** The file among the run's artifacts, ending in `.png`, `.jpg`, `.jpeg` or `.webp`; not together with `key`. */
  readonly artifactFile?: string;
  /** Images of one key are shown together, with a slider for the step. Letters, digits and `_-./ ` may be in it. */
  readonly key?: string;
  /** The step (epoch, batch, …) the image belongs to. @default {0} */
  readonly step?: number;
  /** When it was made, in milliseconds since the Unix epoch. @default {now} */
  readonly timestamp?: number;
  /**
   * The values of a tensor of floats that are black and white. One that reaches beyond them is scaled to what it
   * reaches, with a warning, as in Python.
   *
   * @default {[0, 1]}
   */
  readonly range?: readonly [black: number, white: number];
}

/** Says of a run that images were logged to it by keys: MLflow's UI looks for no images without it. */
const IMAGES_TAG = "mlflow.loggedImages";
/** The longer side of the small copy that MLflow's UI shows, in pixels. */
const SMALL_SIDE = 256;
/** Pillow's own quality for WebP, of which MLflow's small copies are. */
const SMALL_QUALITY = 80;

/** An image on its way to a store. */
export interface TakenImage {
  /** The bytes of the file that it is, if it came as one. */
  readonly bytes: Uint8Array | undefined;
  readonly pixels: () => Raster | Promise<Raster>;
}

/**
 * Takes an image's values, before it returns where they are at hand: the image may change, and the tensor be disposed,
 * while it waits to be written.
 */
export function takeImage(image: ImageSource, { range = [0, 1] }: LogImageOptions = {}): TakenImage {
  if (image instanceof Uint8Array) {
    const bytes = image.slice();
    return { bytes, pixels: () => decode(bytes) };
  }
  const pixels = takePixels(image, range);
  // Told where it is written, not where nobody waits for it yet.
  if (pixels instanceof Promise) pixels.catch(() => {});
  return { bytes: undefined, pixels: () => pixels };
}

async function decode(bytes: Uint8Array): Promise<Raster> {
  const [{ loadImage }, { toChannels }] = await Promise.all([import("../images.ts"), import("../image/raster.ts")]);
  const image = await loadImage(bytes, { colorMode: "rgba" }) as Raster;
  return image.data.every((value, i) => i % 4 !== 3 || value === 255) ? toChannels(image, 3) : image;
}

/** Writes an image, and by a key also its small copy and the run's tag, under MLflow's names. */
export async function writeImage(
  client: MlflowClient,
  runId: string,
  image: TakenImage,
  options: LogImageOptions,
): Promise<void> {
  const { artifactFile, key, step = 0, timestamp = Date.now() } = options;
  await doing(`Cannot log image "${artifactFile ?? key}" to run "${runId}"`, async () => {
    if (artifactFile !== undefined) {
      return await client.logBytes(runId, await asFile(image, artifactFile), artifactFile);
    }
    const name = `images/${key!.replaceAll("/", "~")}+step+${step}+timestamp+${timestamp}+${crypto.randomUUID()}`;
    const png = await asPng(image);
    // The whole image travels while the small one is made.
    await Promise.all([
      client.logBytes(runId, png, `${name}.png`),
      smallCopy(image).then((small) => client.logBytes(runId, small, `${name}+compressed.webp`)),
      client.setTag(runId, IMAGES_TAG, true),
    ]);
  });
}

/** The options of an image, checked: exactly one of a file and a key. */
export function imageOptions(target: string | LogImageOptions): LogImageOptions {
  const options = typeof target === "string" ? { artifactFile: target } : target;
  const { artifactFile, key, step, timestamp } = options;
  if ((artifactFile === undefined) === (key === undefined)) {
    throw new TypeError("An image is logged either to an artifactFile or by a key: exactly one of them is wanted");
  }
  if (artifactFile !== undefined) {
    if (step !== undefined || timestamp !== undefined) {
      throw new TypeError(
        "An image that is logged to an artifactFile has no step and no timestamp: give a key instead",
      );
    }
    formatOf(artifactFile);
  } else if (!/^[a-zA-Z0-9_\-./ ]+$/.test(key!)) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      "The `key` parameter may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), and " +
        `slashes (/).The provided key \`${key}\` contains invalid characters.`,
      { action: "Cannot log image" },
    );
  }
  for (const [name, value] of Object.entries({ step, timestamp })) {
    // The names of the files are read back by MLflow's UI, which takes whole numbers.
    if (value !== undefined && !Number.isSafeInteger(value)) {
      throw new TypeError(`The ${name} of an image must be a whole number: received ${value}`);
    }
  }
  return options;
}

type Format = "png" | "jpeg" | "webp";

function formatOf(artifactFile: string): Format {
  const extension = /\.([a-z]+)$/i.exec(artifactFile)?.[1].toLowerCase();
  if (extension === "png" || extension === "webp") return extension;
  if (extension === "jpg" || extension === "jpeg") return "jpeg";
  throw new TypeError(
    `An image is written to a file that ends in .png, .jpg, .jpeg or .webp: received "${artifactFile}"`,
  );
}

/** The first bytes of a file of a format. */
const SIGNATURES: Readonly<Record<Format, RegExp>> = {
  png: /^\x89PNG/,
  jpeg: /^\xff\xd8\xff/,
  webp: /^RIFF[^]{4}WEBP/,
};

async function asFile({ bytes, pixels }: TakenImage, artifactFile: string): Promise<Uint8Array> {
  const format = formatOf(artifactFile);
  // What is a file of the kind already is kept as it is.
  if (bytes !== undefined && SIGNATURES[format].test(String.fromCharCode(...bytes.subarray(0, 12)))) return bytes;
  const { encode } = await import("../image/encode.ts");
  return await encode(await pixels(), format, 90);
}

/** The image as a PNG file. */
export async function asPng(image: TakenImage): Promise<Uint8Array> {
  return await asFile(image, "image.png");
}

/** The small WebP of an image that MLflow's UI shows. */
export async function smallCopy(image: TakenImage): Promise<Uint8Array> {
  const { encode, scaled } = await import("../image/encode.ts");
  return await encode(scaled(await image.pixels(), SMALL_SIDE), "webp", SMALL_QUALITY);
}
