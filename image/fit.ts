import type { Image } from "../entities.ts";
import type { Raster } from "./raster.ts";
import { type Interpolation, resize } from "./resize.ts";

/** How a picture is brought to a size of another shape. */
export interface FitOptions {
  readonly interpolation: Interpolation;
  /** "stretch" both ways, "crop" the middle, or "pad" with zeros. */
  readonly aspect: "stretch" | "crop" | "pad";
}

/** Resizes as Keras's `image_dataset_from_directory` does. */
export function fit(
  image: Raster,
  [height, width]: readonly [height: number, width: number],
  { interpolation, aspect }: FitOptions,
): Image {
  if (aspect === "crop") return resize(cropped(image, height, width), height, width, interpolation);
  if (aspect === "pad") return padded(image, height, width, interpolation);
  return resize(image, height, width, interpolation);
}

/** The largest middle part of the target's shape, by the float32 arithmetic of Keras's `smart_resize`. */
function cropped(image: Raster, height: number, width: number): Raster {
  const { channels } = image;
  const part = (size: number, other: number, target: number, otherTarget: number): number =>
    Math.max(1, Math.min(size, Math.trunc(Math.fround(Math.fround(other * target) / otherTarget))));
  const h = part(image.height, image.width, height, width);
  const w = part(image.width, image.height, width, height);
  if (h === image.height && w === image.width) return image;
  const top = Math.trunc((image.height - h) / 2);
  const left = Math.trunc((image.width - w) / 2);
  const data = new Uint8Array(h * w * channels);
  for (let y = 0; y < h; y++) {
    const from = ((top + y) * image.width + left) * channels;
    data.set(image.data.subarray(from, from + w * channels), y * w * channels);
  }
  return { width: w, height: h, channels, data };
}

/** As `tf.image.resize_with_pad`, in its float32: where that falls short of the target by a pixel, so does this. */
function padded(image: Raster, height: number, width: number, interpolation: Interpolation): Image {
  const { fround } = Math;
  const ratio = Math.max(fround(image.width / width), fround(image.height / height));
  const exactHeight = fround(image.height / ratio);
  const exactWidth = fround(image.width / ratio);
  // TensorFlow fails where a side would vanish.
  const inner = resize(image, Math.max(1, Math.floor(exactHeight)), Math.max(1, Math.floor(exactWidth)), interpolation);
  if (inner.height === height && inner.width === width) return inner;
  const top = Math.min(height - inner.height, Math.max(0, Math.floor((height - exactHeight) / 2)));
  const left = Math.min(width - inner.width, Math.max(0, Math.floor((width - exactWidth) / 2)));
  const { channels } = image;
  const length = height * width * channels;
  const data = inner.data instanceof Uint8Array ? new Uint8Array(length) : new Float32Array(length);
  for (let y = 0; y < inner.height; y++) {
    const row = inner.data.subarray(y * inner.width * channels, (y + 1) * inner.width * channels);
    data.set(row, ((top + y) * width + left) * channels);
  }
  return { width, height, channels, data };
}
