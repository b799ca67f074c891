import type { Image } from "../entities.ts";
import type { Raster } from "./raster.ts";

/** The ways of resizing, by TensorFlow's names. */
export const INTERPOLATIONS = [
  "bilinear",
  "nearest",
  "bicubic",
  "area",
  "lanczos3",
  "lanczos5",
  "gaussian",
  "mitchellcubic",
] as const;

/**
 * How a value between pixels is found. As in Keras, nothing is smoothed before a picture is made smaller, except by
 * "area".
 */
export type Interpolation =
  | "bilinear"
  | "nearest"
  | "bicubic"
  | "area"
  | "lanczos3"
  | "lanczos5"
  | "gaussian"
  | "mitchellcubic";

/**
 * Resizes with the numbers of `tf.image.resize(…, antialias=False)`: half-pixel centres, float32.
 *
 * Values stay bytes where none is computed: for "nearest", and where the size is right already.
 */
export function resize(image: Raster, height: number, width: number, interpolation: Interpolation): Image {
  if (image.height === height && image.width === width) return image;
  if (interpolation === "nearest") return nearest(image, height, width);
  if (interpolation === "bilinear") return bilinear(image, height, width);
  return weighted(image, taps(image.height, height, interpolation), taps(image.width, width, interpolation));
}

const { fround } = Math;

function nearest({ data: from, width: w, height: h, channels }: Raster, height: number, width: number): Image {
  const pick = (size: number, out: number): number[] => {
    const scale = fround(size / out);
    return Array.from({ length: out }, (_, i) => Math.min(size - 1, Math.floor(fround((i + 0.5) * scale))));
  };
  const columns = pick(w, width);
  const data = new Uint8Array(height * width * channels);
  let o = 0;
  for (const y of pick(h, height)) {
    for (const x of columns) {
      const i = (y * w + x) * channels;
      for (let k = 0; k < channels; k++) data[o++] = from[i + k];
    }
  }
  return { width, height, channels, data };
}

/** Positions are rounded to float32 as TensorFlow's are: in a large picture the weights depend on it. */
function position(i: number, scale: number): number {
  return fround(fround(fround(i + 0.5) * scale) - 0.5);
}

function bilinear({ data: from, width: w, height: h, channels }: Raster, height: number, width: number): Image {
  const axis = (size: number, out: number): { low: Int32Array; high: Int32Array; part: Float32Array } => {
    const low = new Int32Array(out);
    const high = new Int32Array(out);
    const part = new Float32Array(out);
    const scale = fround(size / out);
    for (let i = 0; i < out; i++) {
      const at = position(i, scale);
      const floor = Math.floor(at);
      low[i] = Math.max(0, floor);
      high[i] = Math.min(size - 1, Math.ceil(at));
      part[i] = at - floor;
    }
    return { low, high, part };
  };
  const rows = axis(h, height);
  const columns = axis(w, width);
  const data = new Float32Array(height * width * channels);
  for (let y = 0, o = 0; y < height; y++) {
    const top = rows.low[y] * w;
    const bottom = rows.high[y] * w;
    const down = rows.part[y];
    for (let x = 0; x < width; x++) {
      const left = columns.low[x];
      const right = columns.high[x];
      const across = columns.part[x];
      for (let k = 0; k < channels; k++, o++) {
        const topLeft = from[(top + left) * channels + k];
        const bottomLeft = from[(bottom + left) * channels + k];
        const above = topLeft + (from[(top + right) * channels + k] - topLeft) * across;
        const below = bottomLeft + (from[(bottom + right) * channels + k] - bottomLeft) * across;
        data[o] = above + (below - above) * down;
      }
    }
  }
  return { width, height, channels, data };
}

/** For every place of the output, the first place of the input that counts and the weights from there on. */
type Taps = readonly { readonly first: number; readonly weights: readonly number[] }[];

function taps(size: number, out: number, interpolation: Interpolation): Taps {
  if (interpolation === "area") return areaTaps(size, out);
  if (interpolation === "bicubic") return cubicTaps(size, out);
  return kernelTaps(size, out, KERNELS[interpolation as keyof typeof KERNELS]);
}

function weighted({ data: from, width: w, channels }: Raster, rows: Taps, columns: Taps): Image {
  const [height, width] = [rows.length, columns.length];
  const data = new Float32Array(height * width * channels);
  const line = new Float64Array(w * channels);
  rows.forEach(({ first, weights }, y) => {
    line.fill(0);
    weights.forEach((weight, n) => {
      const start = (first + n) * w * channels;
      for (let i = 0; i < line.length; i++) line[i] += from[start + i] * weight;
    });
    let o = y * width * channels;
    for (const column of columns) {
      for (let k = 0; k < channels; k++, o++) {
        let sum = 0;
        for (let n = 0; n < column.weights.length; n++) {
          sum += line[(column.first + n) * channels + k] * column.weights[n];
        }
        data[o] = sum;
      }
    }
  });
  return { width, height, channels, data };
}

function areaTaps(size: number, out: number): Taps {
  const scale = fround(size / out);
  return Array.from({ length: out }, (_, i) => {
    const from = fround(i * scale);
    const to = fround((i + 1) * scale);
    const first = Math.floor(from);
    const last = Math.min(size, Math.ceil(to));
    const weights: number[] = [];
    for (let n = first; n < last; n++) weights.push((Math.min(n + 1, to) - Math.max(n, from)) / scale);
    return { first, weights };
  });
}

/** Keys's cubic with a = -0.5, its weights from a table of 1,024 steps as TensorFlow's kernel takes them. */
function cubicTaps(size: number, out: number): Taps {
  const a = -0.5;
  const near = (x: number): number => ((a + 2) * x - (a + 3)) * x * x + 1;
  const far = (x: number): number => ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  const scale = fround(size / out);
  return Array.from({ length: out }, (_, i) => {
    const at = position(i, scale);
    const floor = Math.floor(at);
    const step = roundHalfToEven((at - floor) * 1024) / 1024;
    const all = [far(1 + step), near(step), near(1 - step), far(2 - step)];
    const first = Math.max(0, floor - 1);
    const weights = all.filter((_, n) => floor - 1 + n >= 0 && floor - 1 + n < size);
    return { first, weights: normalised(weights) };
  });
}

function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + floor % 2 : Math.round(value);
}

interface Kernel {
  readonly radius: number;
  /** Weight at a distance of 0 or more. */
  readonly weight: (distance: number) => number;
}

const lanczos = (radius: number): Kernel => ({
  radius,
  weight: (x) => {
    if (x > radius) return 0;
    if (x <= 1e-3) return 1;
    return radius * Math.sin(Math.PI * x) * Math.sin(Math.PI * x / radius) / (Math.PI * Math.PI * x * x);
  },
});

const KERNELS = {
  lanczos3: lanczos(3),
  lanczos5: lanczos(5),
  gaussian: { radius: 1.5, weight: (x: number) => x >= 1.5 ? 0 : Math.exp(-x * x / (2 * 0.5 * 0.5)) },
  mitchellcubic: {
    radius: 2,
    weight: (x: number) => {
      if (x >= 2) return 0;
      if (x >= 1) return (((-7 / 18) * x + 2) * x - 10 / 3) * x + 16 / 9;
      return ((7 / 6) * x - 2) * x * x + 8 / 9;
    },
  },
} as const;

function kernelTaps(size: number, out: number, { radius, weight }: Kernel): Taps {
  const inverse = fround(1 / fround(out / size));
  return Array.from({ length: out }, (_, i) => {
    const at = fround((i + 0.5) * inverse);
    const first = Math.max(0, Math.min(size - 1, Math.ceil(fround(at - radius - 0.5))));
    const last = Math.max(0, Math.min(size - 1, Math.floor(fround(at + radius - 0.5))));
    const weights: number[] = [];
    for (let n = first; n <= last; n++) weights.push(weight(Math.abs(n + 0.5 - at)));
    return { first, weights: normalised(weights) };
  });
}

function normalised(weights: readonly number[]): number[] {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return sum === 0 ? [...weights] : weights.map((weight) => weight / sum);
}
