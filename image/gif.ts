import { ByteReader } from "./byte_reader.ts";
import type { ImageHeader } from "./header.ts";
import type { Raster } from "./raster.ts";

interface Frame {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly interlaced: boolean;
  readonly palette: Uint8Array;
  readonly transparent?: number;
  readonly minimumCodeSize: number;
  readonly data: Uint8Array;
}

/** Walks the blocks of a GIF to its trailer. */
export function gifHeader(bytes: Uint8Array): ImageHeader {
  const { width, height } = walk(new ByteReader(bytes, "GIF"));
  return { format: "GIF", width, height, orientation: 1 };
}

/** Decodes the first frame of a GIF whose header was read. */
export function decodeGif(bytes: Uint8Array): Raster {
  const reader = new ByteReader(bytes, "GIF");
  const { width, height, frame } = walk(reader);
  const indices = inflate(reader, frame);
  const channels = frame.transparent === undefined ? 3 : 4;
  const data = new Uint8Array(width * height * channels);
  const paint = (at: number, index: number): void => {
    data.set(frame.palette.subarray(index * 3, index * 3 + 3), at);
    if (channels === 4) data[at + 3] = index === frame.transparent ? 0 : 255;
  };
  // Pillow's ground where the frame leaves the canvas bare.
  const bare = frame.width < width || frame.height < height || frame.x > 0 || frame.y > 0;
  if (bare) { for (let at = 0; at < data.length; at += channels) paint(at, frame.transparent ?? 0); }
  const rows = frame.interlaced ? interlacedRows(frame.height) : undefined;
  for (let row = 0, i = 0; row < frame.height; row++) {
    const y = frame.y + (rows ? rows[row] : row);
    for (let x = frame.x; x < frame.x + frame.width; x++, i++) {
      if (y < height && x < width) paint((y * width + x) * channels, indices[i]);
    }
  }
  return { width, height, channels, data };
}

function walk(reader: ByteReader): { width: number; height: number; frame: Frame } {
  const { bytes } = reader;
  const paletteAt = (at: number, flags: number): Uint8Array => {
    const length = 3 << (flags & 7) + 1;
    reader.need(at + length);
    // Indices beyond the palette are black.
    const palette = new Uint8Array(768);
    palette.set(bytes.subarray(at, at + length));
    return palette;
  };
  let width = reader.u16(6, true);
  let height = reader.u16(8, true);
  const flags = reader.u8(10);
  reader.need(13);
  let at = 13;
  let palette: Uint8Array | undefined;
  if (flags & 0x80) {
    palette = paletteAt(at, flags);
    at += 3 << (flags & 7) + 1;
  }
  let transparent: number | undefined;
  let frame: Frame | undefined;
  for (;;) {
    const block = reader.u8(at++);
    if (block === 0x3b) break;
    if (block === 0x21) {
      const label = reader.u8(at++);
      if (label === 0xf9 && !frame && reader.u8(at) >= 4) {
        transparent = reader.u8(at + 1) & 1 ? reader.u8(at + 4) : undefined;
      }
      at = afterSubBlocks(reader, at);
    } else if (block === 0x2c) {
      const box = [0, 2, 4, 6].map((offset) => reader.u16(at + offset, true));
      const local = reader.u8(at + 8);
      at += 9;
      let ownPalette: Uint8Array | undefined;
      if (local & 0x80) {
        ownPalette = paletteAt(at, local);
        at += 3 << (local & 7) + 1;
      }
      const minimumCodeSize = reader.u8(at++);
      const start = at;
      at = afterSubBlocks(reader, at);
      if (frame) continue;
      frame = {
        x: box[0],
        y: box[1],
        width: box[2],
        height: box[3],
        interlaced: (local & 0x40) !== 0,
        palette: ownPalette ?? palette ?? Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3)),
        transparent,
        minimumCodeSize,
        data: joinSubBlocks(bytes, start),
      };
      // As Pillow does: a first frame that sticks out makes the picture larger.
      width = Math.max(width, frame.x + frame.width);
      height = Math.max(height, frame.y + frame.height);
    } else if (block !== 0) {
      throw reader.damaged(`a block of the unknown kind 0x${block.toString(16)}`);
    }
  }
  if (!frame) throw reader.damaged("it holds no picture");
  return { width, height, frame };
}

function afterSubBlocks(reader: ByteReader, at: number): number {
  for (let length = reader.u8(at++); length > 0; length = reader.u8(at++)) at += length;
  return at;
}

function joinSubBlocks(bytes: Uint8Array, at: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let total = 0;
  for (let length = bytes[at++]; length > 0; length = bytes[at++]) {
    parts.push(bytes.subarray(at, at + length));
    total += length;
    at += length;
  }
  const joined = new Uint8Array(total);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

function interlacedRows(height: number): number[] {
  const rows: number[] = [];
  for (const [first, step] of [[0, 8], [4, 8], [2, 4], [1, 2]]) {
    for (let row = first; row < height; row += step) rows.push(row);
  }
  return rows;
}

/** GIF's variant of LZW: code words of growing width, least significant bit first. */
function inflate(reader: ByteReader, { data, minimumCodeSize, width, height }: Frame): Uint8Array {
  if (minimumCodeSize < 1 || minimumCodeSize > 11) throw reader.damaged(`a code size of ${minimumCodeSize} bits`);
  const out = new Uint8Array(width * height);
  const clear = 1 << minimumCodeSize;
  const prefix = new Int16Array(4096);
  const suffix = new Uint8Array(4096);
  const stack = new Uint8Array(4097);
  for (let code = 0; code < clear; code++) suffix[code] = code;
  let codeSize = minimumCodeSize + 1;
  let next = clear + 2;
  let previous = -1;
  let first = 0;
  let bits = 0;
  let bitCount = 0;
  let filled = 0;
  for (let at = 0; filled < out.length;) {
    while (bitCount < codeSize && at < data.length) {
      bits |= data[at++] << bitCount;
      bitCount += 8;
    }
    if (bitCount < codeSize) break;
    const code = bits & (1 << codeSize) - 1;
    bits >>>= codeSize;
    bitCount -= codeSize;
    if (code === clear) {
      codeSize = minimumCodeSize + 1;
      next = clear + 2;
      previous = -1;
      continue;
    }
    if (code === clear + 1) break;
    if (code > next || (code === next && previous < 0)) throw reader.damaged("a code word that stands for nothing");
    let depth = 0;
    let walking = code;
    if (code === next) {
      stack[depth++] = first;
      walking = previous;
    }
    while (walking >= clear) {
      stack[depth++] = suffix[walking];
      walking = prefix[walking];
    }
    first = suffix[walking];
    stack[depth++] = first;
    while (depth > 0 && filled < out.length) out[filled++] = stack[--depth];
    if (previous >= 0 && next < 4096) {
      prefix[next] = previous;
      suffix[next] = first;
      next++;
      if (next === 1 << codeSize && codeSize < 12) codeSize++;
    }
    previous = code;
  }
  if (filled < out.length) throw reader.damaged(`its picture ends after ${filled} of ${out.length} pixels`);
  return out;
}
