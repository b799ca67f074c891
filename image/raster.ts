import type { Image } from "../entities.ts";

/** A decoded image: 8 bits a value, rows from the top, nothing premultiplied. */
export interface Raster extends Image {
  readonly data: Uint8Array;
}

/**
 * The same picture with other channels, by the numbers of Pillow's `convert("L")`, `convert("RGB")` and
 * `convert("RGBA")`: alpha is dropped, not blended.
 */
export function toChannels(image: Raster, channels: 1 | 3 | 4): Raster {
  if (image.channels === channels) return image;
  const { width, height, data: from } = image;
  const data = new Uint8Array(width * height * channels);
  if (image.channels === 1) {
    for (let i = 0, o = 0; i < from.length; i++, o += channels) {
      data[o] = data[o + 1] = data[o + 2] = from[i];
      if (channels === 4) data[o + 3] = 255;
    }
  } else if (channels === 1) {
    for (let i = 0, o = 0; o < data.length; i += image.channels, o++) {
      data[o] = (from[i] * 19595 + from[i + 1] * 38470 + from[i + 2] * 7471 + 0x8000) >> 16;
    }
  } else {
    for (let i = 0, o = 0; i < from.length; i += image.channels, o += channels) {
      data[o] = from[i];
      data[o + 1] = from[i + 1];
      data[o + 2] = from[i + 2];
      if (channels === 4) data[o + 3] = 255;
    }
  }
  return { width, height, channels, data };
}

/**
 * Turns and mirrors a picture as its EXIF orientation asks, so that it stands upright.
 *
 * @param orientation 1 (as it is) to 8; 5 to 8 swap width and height
 */
export function upright(image: Raster, orientation: number): Raster {
  if (orientation === 1) return image;
  const { width, height, channels, data: from } = image;
  // Where the first pixel lies in the file's rows, and the steps to the right and down in the upright picture.
  const last = width * height - 1;
  const [start, right, down] = [
    [0, 1, width],
    [width - 1, -1, width],
    [last, -1, -width],
    [last - width + 1, 1, -width],
    [0, width, 1],
    [last - width + 1, -width, 1],
    [last, -width, -1],
    [width - 1, width, -1],
  ][orientation - 1];
  const [w, h] = orientation > 4 ? [height, width] : [width, height];
  const data = new Uint8Array(from.length);
  for (let y = 0, o = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const i = (start + y * down + x * right) * channels;
      for (let k = 0; k < channels; k++) data[o++] = from[i + k];
    }
  }
  return { width: w, height: h, channels, data };
}
