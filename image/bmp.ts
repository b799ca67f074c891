import { ByteReader } from "./byte_reader.ts";
import type { ImageHeader } from "./header.ts";
import type { Raster } from "./raster.ts";

interface Layout {
  readonly width: number;
  readonly height: number;
  readonly topDown: boolean;
  readonly bits: number;
  /** 0: plain, 1: runs of bytes, 2: runs of half bytes, 3 and 6: plain with masks. */
  readonly compression: number;
  /** Red, green, blue, alpha. */
  readonly masks: readonly number[];
  readonly palette: Uint8Array;
  readonly dataAt: number;
  /** Bytes of the pixels. */
  readonly dataLength: number;
}

/** Reads the header of a Windows bitmap and checks that all pixels are there. */
export function bmpHeader(bytes: Uint8Array): ImageHeader {
  const { width, height } = layout(new ByteReader(bytes, "BMP"));
  return { format: "BMP", width, height, orientation: 1 };
}

function layout(reader: ByteReader): Layout {
  const { bytes } = reader;
  const dataAt = reader.u32(10, true);
  const headerSize = reader.u32(14, true);
  if (headerSize !== 12 && !(headerSize >= 40 && headerSize <= 124) && headerSize !== 16) {
    throw reader.damaged(`a header of ${headerSize} bytes`);
  }
  const old = headerSize === 12;
  reader.need(14 + headerSize);
  const width = old ? reader.u16(18, true) : reader.i32(18, true);
  const rows = old ? reader.u16(20, true) : reader.i32(22, true);
  const bits = reader.u16(old ? 24 : 28, true);
  const compression = headerSize >= 20 ? reader.u32(30, true) : 0;
  const height = Math.abs(rows);
  if (width < 0) throw reader.damaged(`a width of ${width} pixels`);
  if (![1, 4, 8, 16, 24, 32].includes(bits)) throw new Error(`the BMP has ${bits} bits a pixel, which is not read`);
  const runs = (compression === 1 && bits === 8) || (compression === 2 && bits === 4);
  const masked = (compression === 3 || compression === 6) && (bits === 16 || bits === 32);
  if (compression !== 0 && !runs && !masked) {
    throw new Error(`the BMP has compression ${compression} with ${bits} bits a pixel, which is not read`);
  }
  // A header of 40 bytes has the masks behind it, the longer ones hold them: the same place.
  let masks = bits === 16 ? [0x7c00, 0x3e0, 0x1f, 0] : [0xff0000, 0xff00, 0xff, 0];
  if (masked) {
    masks = [54, 58, 62].map((at) => reader.u32(at, true));
    masks.push(headerSize >= 56 || compression === 6 ? reader.u32(66, true) : 0);
  }
  const palette = new Uint8Array(768);
  if (bits <= 8) {
    const entry = old ? 3 : 4;
    const at = 14 + headerSize;
    const colours = Math.min(1 << bits, (headerSize >= 36 ? reader.u32(46, true) : 0) || 1 << bits);
    const there = Math.min(colours, Math.floor((dataAt - at) / entry));
    reader.need(at + there * entry);
    for (let i = 0; i < there; i++) {
      for (let k = 0; k < 3; k++) palette[i * 3 + k] = bytes[at + i * entry + 2 - k];
    }
  }
  const stride = Math.ceil(width * bits / 32) * 4;
  const dataLength = runs ? reader.u32(34, true) || Math.max(0, reader.u32(2, true) - dataAt) : stride * height;
  reader.need(dataAt + dataLength);
  return { width, height, topDown: rows < 0, bits, compression, masks, palette, dataAt, dataLength };
}

/** Decodes a Windows bitmap whose header was read. */
export function decodeBmp(bytes: Uint8Array): Raster {
  const reader = new ByteReader(bytes, "BMP");
  const bmp = layout(reader);
  const { width, height, bits, masks, dataAt } = bmp;
  const channels = masks[3] !== 0 ? 4 : 3;
  const data = new Uint8Array(width * height * channels);
  const stride = Math.ceil(width * bits / 32) * 4;
  const indices = bits > 8
    ? undefined
    : bmp.compression === 0
    ? plainIndices(bytes, bmp, stride)
    : runIndices(reader, bmp);
  const scales = masks.map((mask) => maskScale(mask));
  for (let row = 0; row < height; row++) {
    let o = (bmp.topDown ? row : height - 1 - row) * width * channels;
    const line = dataAt + row * stride;
    for (let x = 0; x < width; x++, o += channels) {
      if (indices) {
        const i = indices[row * width + x] * 3;
        data[o] = bmp.palette[i];
        data[o + 1] = bmp.palette[i + 1];
        data[o + 2] = bmp.palette[i + 2];
      } else if (bits === 24) {
        data[o] = bytes[line + x * 3 + 2];
        data[o + 1] = bytes[line + x * 3 + 1];
        data[o + 2] = bytes[line + x * 3];
      } else {
        const at = line + x * bits / 8;
        const low = bytes[at] | bytes[at + 1] << 8;
        const pixel = bits === 16 ? low : (low | bytes[at + 2] << 16 | bytes[at + 3] << 24) >>> 0;
        for (let k = 0; k < channels; k++) data[o + k] = scales[k](pixel);
      }
    }
  }
  return { width, height, channels, data };
}

/** Takes the bits under a mask and stretches them to 0 to 255. */
function maskScale(mask: number): (pixel: number) => number {
  if (mask === 0) return () => 0;
  const shift = 31 - Math.clz32(mask & -mask);
  const most = mask >>> shift;
  return (pixel) => Math.floor(((pixel & mask) >>> shift) * 255 / most);
}

function plainIndices(bytes: Uint8Array, { width, height, bits, dataAt }: Layout, stride: number): Uint8Array {
  const indices = new Uint8Array(width * height);
  const perByte = 8 / bits;
  const mask = (1 << bits) - 1;
  for (let row = 0, o = 0; row < height; row++) {
    for (let x = 0; x < width; x++) {
      const byte = bytes[dataAt + row * stride + Math.floor(x / perByte)];
      indices[o++] = byte >> 8 - bits * (x % perByte + 1) & mask;
    }
  }
  return indices;
}

function runIndices(reader: ByteReader, { width, height, bits, dataAt, dataLength }: Layout): Uint8Array {
  const indices = new Uint8Array(width * height);
  const { bytes } = reader;
  const end = dataAt + dataLength;
  const put = (x: number, y: number, index: number): void => {
    if (x < width && y < height) indices[y * width + x] = index;
  };
  let x = 0;
  let y = 0;
  for (let at = dataAt; at + 1 < end;) {
    const count = bytes[at++];
    const value = bytes[at++];
    if (count > 0) {
      for (let i = 0; i < count; i++) put(x++, y, bits === 8 ? value : i % 2 ? value & 15 : value >> 4);
    } else if (value === 0) {
      x = 0;
      y++;
    } else if (value === 1) {
      return indices;
    } else if (value === 2) {
      x += reader.u8(at++);
      y += reader.u8(at++);
    } else {
      for (let i = 0; i < value; i++) {
        const byte = reader.u8(bits === 8 ? at + i : at + (i >> 1));
        put(x++, y, bits === 8 ? byte : i % 2 ? byte & 15 : byte >> 4);
      }
      const length = bits === 8 ? value : value + 1 >> 1;
      at += length + length % 2;
    }
  }
  throw reader.damaged("its picture has no end mark");
}
