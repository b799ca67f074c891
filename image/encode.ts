import type { Image } from "../entities.ts";
import { canvasKit } from "../plot/canvaskit.ts";
import type { Raster } from "./raster.ts";
import { resize } from "./resize.ts";

/** The formats that an image can be written in. */
export type ImageFormat = "png" | "jpeg" | "webp";

const NAMES = { png: "PNG", jpeg: "JPEG", webp: "WEBP" } as const;

/** An image as the bytes of a file. */
export async function encode(image: Image, format: ImageFormat, quality: number): Promise<Uint8Array<ArrayBuffer>> {
  const kit = await canvasKit();
  const { width, height, channels } = image;
  const data = toBytes(image);
  // Gray stays gray in a PNG; the engine has no pixels of three bytes.
  const gray = channels === 1;
  const info = {
    width,
    height,
    colorType: gray ? kit.ColorType.Gray_8 : kit.ColorType.RGBA_8888,
    alphaType: channels === 4 ? kit.AlphaType.Unpremul : kit.AlphaType.Opaque,
    colorSpace: kit.ColorSpace.SRGB,
  };
  const made = kit.MakeImage(info, channels === 3 ? withAlpha(data) : data, width * (gray ? 1 : 4));
  if (made === null) throw new Error(`Cannot encode an image of ${width} x ${height} pixels: no memory for it`);
  try {
    const bytes = made.encodeToBytes(kit.ImageFormat[NAMES[format]], quality);
    if (bytes === null) throw new Error(`Cannot encode an image of ${width} x ${height} pixels as ${format}`);
    return new Uint8Array(bytes);
  } finally {
    made.delete();
  }
}

/** A copy whose longer side has `side` pixels, smaller or larger than the image; the other side is rounded down. */
export function scaled(image: Raster, side: number): Raster {
  const { width, height, channels } = image;
  const [w, h] = width > height
    ? [side, Math.max(1, Math.floor(height * (side / width)))]
    : [Math.max(1, Math.floor(width * (side / height))), side];
  const from = channels === 4 ? premultiplied(image) : image;
  const { data } = resize(from, h, w, w < width ? "area" : "bicubic");
  const result = { width: w, height: h, channels, data: new Uint8Array(Uint8ClampedArray.from(data).buffer) };
  if (channels === 4) unpremultiply(result.data);
  return result;
}

function toBytes({ data }: Image): Uint8Array {
  if (data instanceof Uint8Array) return data;
  // Values of floats are rounded and held to 0 to 255; NaN is 0.
  return data instanceof Uint8ClampedArray
    ? new Uint8Array(data.buffer, data.byteOffset, data.length)
    : new Uint8Array(Uint8ClampedArray.from(data).buffer);
}

function withAlpha(data: Uint8Array): Uint8Array {
  const result = new Uint8Array(data.length / 3 * 4).fill(255);
  for (let i = 0, o = 0; i < data.length; i += 3, o += 4) {
    result[o] = data[i];
    result[o + 1] = data[i + 1];
    result[o + 2] = data[i + 2];
  }
  return result;
}

/** What is see-through must not colour its neighbours. */
function premultiplied(image: Raster): Raster {
  const data = image.data.slice();
  for (let i = 0; i < data.length; i += 4) {
    for (let k = 0; k < 3; k++) data[i + k] = Math.round(data[i + k] * data[i + 3] / 255);
  }
  return { ...image, data };
}

function unpremultiply(data: Uint8Array): void {
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] === 0) continue;
    for (let k = 0; k < 3; k++) data[i + k] = Math.min(255, Math.round(data[i + k] * 255 / data[i + 3]));
  }
}
