import type { Image } from "../entities.ts";
import { decodeBmp } from "./bmp.ts";
import { canvasDecode } from "./canvas_decode.ts";
import { fit } from "./fit.ts";
import { decodeGif } from "./gif.ts";
import { imageHeader } from "./header.ts";
import { decodeJpeg } from "./jpeg_decode.ts";
import { decodePng } from "./png.ts";
import { type Raster, toChannels, upright } from "./raster.ts";
import type { Interpolation } from "./resize.ts";

/** How files are turned into arrays: the options of the public functions with no optionals left. */
export interface DecodeSettings {
  readonly channels: 1 | 3 | 4;
  /** `undefined`: as large as the file's picture is. */
  readonly size: readonly [height: number, width: number] | undefined;
  readonly interpolation: Interpolation;
  readonly aspect: "stretch" | "crop" | "pad";
  readonly orientation: "apply" | "ignore";
  readonly maxPixels: number;
}

/** A decoded file. */
export interface Decoded {
  readonly image: Image;
  /** Pixels in a row of the file's picture, turned if it was turned, before it was resized. */
  readonly width: number;
  readonly height: number;
}

/**
 * Checks, decodes, turns and resizes an image file.
 *
 * @throws Error with the reason alone; the caller knows the file's name
 */
export async function decode(bytes: Uint8Array, settings: DecodeSettings): Promise<Decoded> {
  const header = imageHeader(bytes, settings.maxPixels);
  let raster: Raster | undefined;
  if (header.format === "PNG") raster = decodePng(bytes);
  else if (header.format === "GIF") raster = decodeGif(bytes);
  else if (header.format === "BMP") raster = decodeBmp(bytes);
  else if (header.format === "JPEG") raster = decodeJpeg(bytes, header);
  raster ??= await canvasDecode(bytes, header, settings.channels === 4);
  raster = toChannels(raster, settings.channels);
  if (settings.orientation === "apply") raster = upright(raster, header.orientation);
  const { width, height } = raster;
  let image: Image = settings.size ? fit(raster, settings.size, settings) : raster;
  // The JPEG decoder's own memory, where nothing was computed from it.
  if (image.data.byteLength < image.data.buffer.byteLength) image = { ...image, data: image.data.slice() };
  return { image, width, height };
}
