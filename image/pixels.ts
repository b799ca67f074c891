import type { Image, TensorLike } from "../entities.ts";
import type { Raster } from "./raster.ts";

/**
 * A copy of an image's or a tensor's values as bytes, taken before this returns where they are at hand, so that the
 * image may change and the tensor be disposed at once.
 *
 * @param range the values of a tensor of floats that are black and white
 */
export function takePixels(image: Image | TensorLike, range: readonly [number, number]): Raster | Promise<Raster> {
  if (!("shape" in image)) {
    const { width, height, channels, data } = image;
    checkSize(width, height, channels, data.length);
    return { width, height, channels, data: new Uint8Array(Uint8ClampedArray.from(data).buffer) };
  }
  const { shape, dtype } = image;
  if (shape.length !== 2 && shape.length !== 3) {
    throw new RangeError(`An image must be a 2D or 3D tensor: received shape [${shape}]`);
  }
  const [height, width, channels = 1] = shape;
  const toRaster = (values: ArrayLike<number>): Raster => {
    checkSize(width, height, channels, values.length);
    return {
      width,
      height,
      channels: channels as 1 | 3 | 4,
      data: toBytes(values, isFloat(values, dtype), dtype, range),
    };
  };
  if (image.dataSync === undefined) return image.data().then(toRaster);
  return toRaster(image.dataSync());
}

function isFloat(values: ArrayLike<number>, dtype: string | undefined): boolean {
  return dtype === undefined ? values instanceof Float32Array || values instanceof Float64Array : /^float/.test(dtype);
}

function checkSize(width: number, height: number, channels: number, values: number): void {
  if (channels !== 1 && channels !== 3 && channels !== 4) {
    throw new RangeError(`An image has 1, 3 or 4 channels: received ${channels}`);
  }
  if (!(width > 0 && height > 0 && values === width * height * channels)) {
    throw new RangeError(
      `An image of ${width} x ${height} pixels and ${channels} channels has ${
        width * height * channels
      } values, and at ` +
        `least one: received ${values}`,
    );
  }
}

/** By the rules of Python's `log_image`: whole numbers are bytes, truth is white, floats are scaled. */
function toBytes(
  values: ArrayLike<number>,
  float: boolean,
  dtype: string | undefined,
  [black, white]: readonly [number, number],
): Uint8Array {
  const bytes = new Uint8Array(values.length);
  if (dtype === "bool") {
    for (let i = 0; i < bytes.length; i++) bytes[i] = values[i] ? 255 : 0;
    return bytes;
  }
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < bytes.length; i++) {
    low = Math.min(low, values[i]);
    high = Math.max(high, values[i]);
  }
  if (!float) {
    if (low < 0 || high > 255) {
      throw new RangeError(
        `Integer pixel values out of acceptable range [0, 255]. Found minimum value ${low} and maximum value ${high}. ` +
          "Ensure all pixel values are within the specified range.",
      );
    }
    for (let i = 0; i < bytes.length; i++) bytes[i] = values[i];
    return bytes;
  }
  const inside = low >= black && high <= white;
  if (!inside) {
    console.warn(
      `warning: the values of an image reach from ${low} to ${high} and not from ${black} to ${white}: they are scaled to ` +
        "what they reach; `range` says what is black and white",
    );
  }
  const [from, to] = inside ? [black, white] : [low, high];
  const scale = to > from ? 255 / (to - from) : 0;
  // Python cuts off what is behind the point. The tiny sum lets a byte that was divided by 255 come back as it was.
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.min(255, (values[i] - from) * scale + 1e-4);
  return bytes;
}
