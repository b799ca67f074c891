import type { ImageDatasetOptions, LoadImageOptions, ReadImageOptions } from "../images.ts";
import type { DecodeSettings } from "./decode.ts";
import { INTERPOLATIONS } from "./resize.ts";

/** The options of `imageDatasetFromDirectory` with no optionals left. */
export interface DatasetSettings {
  readonly labels: "inferred" | readonly (string | number)[] | null;
  readonly labelMode: "int" | "categorical" | "binary" | null;
  readonly classNames: readonly string[] | undefined;
  readonly batchSize: number;
  readonly shuffle: boolean;
  readonly seed: number;
  readonly validationSplit: number | undefined;
  readonly followLinks: boolean;
  readonly onError: "throw" | "skip";
  readonly limit: number;
  readonly cacheBytes: number;
  /** `undefined`: as many as are worth it. */
  readonly workers: number | undefined;
  readonly decode: DecodeSettings & { readonly size: readonly [height: number, width: number] };
}

const CHANNELS = { rgb: 3, rgba: 4, grayscale: 1 } as const;

/** Checks the options of `loadImage`. */
export function loadSettings(options: LoadImageOptions): DecodeSettings {
  return decodeSettings(options, options.imageSize && checkedSize(options.imageSize));
}

function decodeSettings<S extends DecodeSettings["size"]>(
  options: ReadImageOptions,
  size: S,
): DecodeSettings & { readonly size: S } {
  const { cropToAspectRatio = false, padToAspectRatio = false } = options;
  if (cropToAspectRatio && padToAspectRatio) {
    throw new TypeError("Cannot resize images: cropToAspectRatio and padToAspectRatio exclude each other");
  }
  return {
    channels: CHANNELS[oneOf("colorMode", options.colorMode ?? "rgb", ["rgb", "rgba", "grayscale"])],
    size,
    interpolation: oneOf("interpolation", options.interpolation ?? "bilinear", INTERPOLATIONS),
    aspect: cropToAspectRatio ? "crop" : padToAspectRatio ? "pad" : "stretch",
    orientation: oneOf("orientation", options.orientation ?? "apply", ["apply", "ignore"]),
    maxPixels: atLeast("maxPixels", options.maxPixels ?? 64_000_000, 1),
  };
}

/** Checks the options of `imageDatasetFromDirectory`. */
export function datasetSettings(options: ImageDatasetOptions): DatasetSettings {
  const { labels = "inferred", validationSplit, classNames, seed = 0 } = options;
  if (labels !== "inferred" && labels !== null && !Array.isArray(labels)) {
    throw new TypeError(`Cannot read images: labels must be "inferred", null or an array, received ${show(labels)}`);
  }
  if (validationSplit !== undefined && !(validationSplit > 0 && validationSplit < 1)) {
    throw new RangeError(
      `Cannot split images: validationSplit must be over 0 and under 1, received ${show(validationSplit)}`,
    );
  }
  if (classNames !== undefined) {
    if (labels !== "inferred") throw new TypeError(`Cannot read images: classNames needs labels "inferred"`);
    if (classNames.length === 0 || new Set(classNames).size !== classNames.length) {
      throw new TypeError(`Cannot read images: classNames must be different names, received ${show(classNames)}`);
    }
  }
  if (!(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32)) {
    throw new RangeError(
      `Cannot shuffle images: seed must be a whole number from 0 to 4,294,967,295, received ${show(seed)}`,
    );
  }
  return {
    labels,
    labelMode: labels === null ? null : oneOf(
      "labelMode",
      options.labelMode === undefined ? "int" : options.labelMode,
      ["int", "categorical", "binary", null],
    ),
    classNames,
    batchSize: whole("batchSize", options.batchSize ?? 32, 1),
    shuffle: options.shuffle ?? true,
    seed,
    validationSplit,
    followLinks: options.followLinks ?? false,
    onError: oneOf("onError", options.onError ?? "throw", ["throw", "skip"]),
    limit: options.limit === Infinity ? Infinity : whole("limit", options.limit ?? Number.MAX_SAFE_INTEGER, 1),
    cacheBytes: atLeast("cacheBytes", options.cacheBytes ?? 2 ** 30, 0),
    workers: options.workers === undefined ? undefined : whole("workers", options.workers, 0),
    decode: decodeSettings(options, checkedSize(options.imageSize ?? [256, 256])),
  };
}

function checkedSize(size: readonly [height: number, width: number]): readonly [height: number, width: number] {
  if (!(Array.isArray(size) && size.length === 2 && size.every((n) => Number.isInteger(n) && n > 0))) {
    throw new RangeError(
      `Cannot resize images: imageSize must be [height, width] in whole pixels, received ${show(size)}`,
    );
  }
  return size;
}

function oneOf<T extends string | null>(name: string, value: T, allowed: readonly T[]): T {
  if (!allowed.includes(value)) {
    throw new TypeError(
      `Cannot read images: ${name} must be one of ${allowed.map(show).join(", ")}, received ${show(value)}`,
    );
  }
  return value;
}

function whole(name: string, value: number, least: number): number {
  if (!Number.isInteger(value) || value < least) {
    throw new RangeError(
      `Cannot read images: ${name} must be a whole number of at least ${least}, received ${show(value)}`,
    );
  }
  return value;
}

function atLeast(name: string, value: number, least: number): number {
  if (!(value >= least)) {
    throw new RangeError(`Cannot read images: ${name} must be at least ${least}, received ${show(value)}`);
  }
  return value;
}

function show(value: unknown): string {
  return typeof value === "number" ? String(value) : JSON.stringify(value) ?? String(value);
}
