import { crc32, inflateSync } from "node:zlib";
import { ByteReader } from "./byte_reader.ts";
import { exifOrientation, type Orientation } from "./exif.ts";
import type { ImageHeader } from "./header.ts";
import type { Raster } from "./raster.ts";

interface Png {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  /** 0: gray, 2: colour, 3: palette, 4: gray and alpha, 6: colour and alpha. */
  readonly colour: number;
  readonly interlaced: boolean;
  readonly palette: Uint8Array;
  readonly transparency?: Uint8Array;
  readonly parts: readonly Uint8Array[];
  readonly orientation: Orientation;
}

const SAMPLES: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};
/** The seven passes of an interlaced PNG: first column and row, steps. */
const PASSES = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];

/** Walks the chunks of a PNG to its end chunk. */
export function pngHeader(bytes: Uint8Array): ImageHeader {
  const { width, height, orientation } = walk(new ByteReader(bytes, "PNG"));
  return { format: "PNG", width, height, ...orientation };
}

function walk(reader: ByteReader): Png {
  const { bytes } = reader;
  if (reader.u32(8) !== 13 || reader.text(12, 4) !== "IHDR") throw reader.damaged("it does not begin with its header");
  reader.need(33);
  const [depth, colour] = [bytes[24], bytes[25]];
  if (!DEPTHS[colour]?.includes(depth) || bytes[26] !== 0 || bytes[27] !== 0 || bytes[28] > 1) {
    throw reader.damaged(`colour type ${colour} with ${depth} bits`);
  }
  let palette = new Uint8Array(0);
  let transparency: Uint8Array | undefined;
  let orientation: Orientation = { orientation: 1 };
  const parts: Uint8Array[] = [];
  for (let at = 8;;) {
    const length = reader.u32(at);
    const name = reader.text(at + 4, 4);
    const content = at + 8;
    reader.need(content + length + 4);
    // Bit 5 of the first letter marks what a reader may ignore, a wrong checksum included. Picture data has a
    // checksum of its own.
    const mustFit = (bytes[at + 4] & 0x20) === 0 && name !== "IDAT";
    if (mustFit && crc32(bytes.subarray(at + 4, content + length)) !== reader.u32(content + length)) {
      const chunk = /^[A-Za-z]{4}$/.test(name) ? `its ${name} chunk` : "a chunk";
      throw reader.damaged(`the checksum of ${chunk} is wrong`);
    }
    const data = bytes.subarray(content, content + length);
    if (name === "IDAT") parts.push(data);
    else if (name === "PLTE") palette = data.slice();
    else if (name === "tRNS") transparency = data;
    else if (name === "eXIf") orientation = exifOrientation(bytes, content, content + length);
    else if (name === "IEND") break;
    at = content + length + 4;
  }
  if (parts.length === 0) throw reader.damaged("it holds no picture");
  if (colour === 3 && palette.length === 0) throw reader.damaged("its palette is missing");
  return {
    width: reader.u32(16),
    height: reader.u32(20),
    depth,
    colour,
    interlaced: bytes[28] === 1,
    palette,
    transparency,
    parts,
    orientation,
  };
}

/** Decodes a PNG whose header was read. Of 16 bits the upper 8 are kept; gamma and colour profiles are not applied. */
export function decodePng(bytes: Uint8Array): Raster {
  const reader = new ByteReader(bytes, "PNG");
  const png = walk(reader);
  const { width, height, depth, colour } = png;
  const samples = SAMPLES[colour];
  const bitsPerPixel = samples * depth;
  const passes = png.interlaced ? PASSES : [[0, 0, 1, 1]];
  const sizes = passes.map(([x, y, dx, dy]) => [
    Math.max(0, Math.ceil((width - x) / dx)),
    Math.max(0, Math.ceil((height - y) / dy)),
  ]);
  const length = sizes.reduce((sum, [w, h]) => sum + (w > 0 ? (Math.ceil(w * bitsPerPixel / 8) + 1) * h : 0), 0);
  const raw = inflate(reader, png.parts, length);
  // One 8-bit value a sample: grays stretched to 0 to 255, palette indices as they are.
  const values = new Uint8Array(width * height * samples);
  let at = 0;
  passes.forEach(([x0, y0, dx, dy], pass) => {
    const [w, h] = sizes[pass];
    if (w === 0 || h === 0) return;
    const stride = Math.ceil(w * bitsPerPixel / 8);
    unfilter(reader, raw.subarray(at, at + (stride + 1) * h), stride, Math.max(1, bitsPerPixel >> 3));
    for (let row = 0; row < h; row++) {
      const line = raw.subarray(at + row * (stride + 1) + 1, at + (row + 1) * (stride + 1));
      const o = ((y0 + row * dy) * width + x0) * samples;
      spread(line, values, { o, step: dx * samples, count: w, samples, depth, stretch: colour !== 3 });
    }
    at += (stride + 1) * h;
  });
  return colour === 3 ? fromPalette(png, values) : withTransparency(png, values);
}

function inflate(reader: ByteReader, parts: readonly Uint8Array[], length: number): Uint8Array {
  let packed = parts[0];
  if (parts.length > 1) {
    packed = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      packed.set(part, at);
      at += part.length;
    }
  }
  let raw: Uint8Array;
  try {
    // Some writers pad; what unpacks to much more than the picture is refused before it fills the memory.
    raw = inflateSync(packed, { maxOutputLength: length + 65536 });
  } catch (cause) {
    throw new Error(`the PNG is damaged: its picture data does not unpack (${(cause as Error).message})`, { cause });
  }
  if (raw.length < length) throw reader.damaged(`its picture data holds ${raw.length} of ${length} bytes`);
  return raw;
}

/** Undoes the filters of the rows in place; each row begins with the number of its filter. */
function unfilter(reader: ByteReader, raw: Uint8Array, stride: number, step: number): void {
  for (let start = 1, previous = -1; start < raw.length; previous = start, start += stride + 1) {
    const filter = raw[start - 1];
    const end = start + stride;
    if (filter === 1) {
      for (let i = start + step; i < end; i++) raw[i] += raw[i - step];
    } else if (filter === 2) {
      if (previous > 0) { for (let i = start, u = previous; i < end; i++, u++) raw[i] += raw[u]; }
    } else if (filter === 3) {
      for (let i = start, u = previous; i < end; i++, u++) {
        raw[i] += (i >= start + step ? raw[i - step] : 0) + (previous > 0 ? raw[u] : 0) >> 1;
      }
    } else if (filter === 4) {
      for (let i = start, u = previous; i < end; i++, u++) {
        const left = i >= start + step ? raw[i - step] : 0;
        const up = previous > 0 ? raw[u] : 0;
        const corner = i >= start + step && previous > 0 ? raw[u - step] : 0;
        const toLeft = Math.abs(up - corner);
        const toUp = Math.abs(left - corner);
        const toCorner = Math.abs(left + up - 2 * corner);
        raw[i] += toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner;
      }
    } else if (filter !== 0) {
      throw reader.damaged(`a row with filter ${filter}`);
    }
  }
}

interface Spread {
  /** Where the first pixel goes. */
  readonly o: number;
  /** From one pixel of the row to the next. */
  readonly step: number;
  readonly count: number;
  readonly samples: number;
  readonly depth: number;
  readonly stretch: boolean;
}

function spread(line: Uint8Array, values: Uint8Array, to: Spread): void {
  const { step, count, samples, depth } = to;
  let o = to.o;
  if (depth >= 8) {
    const bytes = depth / 8;
    for (let x = 0, i = 0; x < count; x++, o += step) {
      for (let k = 0; k < samples; k++, i += bytes) values[o + k] = line[i];
    }
    return;
  }
  const mask = (1 << depth) - 1;
  const scale = to.stretch ? 255 / mask : 1;
  for (let x = 0; x < count; x++, o += step) {
    const bit = x * depth;
    values[o] = (line[bit >> 3] >> 8 - depth - (bit & 7) & mask) * scale;
  }
}

function fromPalette({ width, height, palette, transparency }: Png, indices: Uint8Array): Raster {
  const channels = transparency ? 4 : 3;
  const data = new Uint8Array(width * height * channels);
  for (let i = 0, o = 0; i < indices.length; i++, o += channels) {
    const p = indices[i] * 3;
    data[o] = palette[p] ?? 0;
    data[o + 1] = palette[p + 1] ?? 0;
    data[o + 2] = palette[p + 2] ?? 0;
    if (transparency) data[o + 3] = transparency[indices[i]] ?? 255;
  }
  return { width, height, channels, data };
}

function withTransparency(png: Png, values: Uint8Array): Raster {
  const { width, height, colour, depth, transparency } = png;
  if (colour === 4) {
    const data = new Uint8Array(width * height * 4);
    for (let i = 0, o = 0; i < values.length; i += 2, o += 4) {
      data[o] = data[o + 1] = data[o + 2] = values[i];
      data[o + 3] = values[i + 1];
    }
    return { width, height, channels: 4, data };
  }
  const samples = colour === 0 ? 1 : 3;
  if (colour === 6 || !transparency || transparency.length < samples * 2) {
    return { width, height, channels: colour === 0 ? 1 : colour === 2 ? 3 : 4, data: values };
  }
  // One colour of the picture is named as the transparent one.
  const key = Array.from({ length: samples }, (_, k) => {
    const value = transparency[k * 2] << 8 | transparency[k * 2 + 1];
    return depth === 16
      ? value >> 8
      : depth === 8
      ? value & 255
      : (value & (1 << depth) - 1) * 255 / ((1 << depth) - 1);
  });
  const data = new Uint8Array(width * height * 4);
  for (let i = 0, o = 0; o < data.length; i += samples, o += 4) {
    let same = true;
    for (let k = 0; k < 3; k++) {
      data[o + k] = values[samples === 3 ? i + k : i];
      if (values[samples === 3 ? i + k : i] !== key[samples === 3 ? k : 0]) same = false;
    }
    data[o + 3] = same ? 0 : 255;
  }
  return { width, height, channels: 4, data };
}
