import { ByteReader } from "./byte_reader.ts";
import { exifOrientation, type Orientation } from "./exif.ts";
import type { ImageHeader } from "./header.ts";

interface Chunk {
  readonly name: string;
  /** Where its content begins. */
  readonly at: number;
  readonly length: number;
}

function chunks(reader: ByteReader): Chunk[] {
  const end = reader.u32(4, true) + 8;
  reader.need(end);
  const list: Chunk[] = [];
  for (let at = 12; at + 8 <= end;) {
    const length = reader.u32(at + 4, true);
    if (at + 8 + length > end) throw reader.damaged("a part of it is longer than the whole");
    list.push({ name: reader.text(at, 4), at: at + 8, length });
    at += 8 + length + length % 2;
  }
  return list;
}

/** Walks the chunks of a WebP file. */
export function webpHeader(bytes: Uint8Array): ImageHeader {
  const reader = new ByteReader(bytes, "WebP");
  const list = chunks(reader);
  const [first] = list;
  if (!first) throw reader.damaged("it holds nothing");
  let size: { width: number; height: number };
  if (first.name === "VP8X" && first.length >= 10) {
    size = { width: 1 + reader.u24(first.at + 4), height: 1 + reader.u24(first.at + 7) };
  } else if (first.name === "VP8L" && first.length >= 5) {
    const bits = reader.u32(first.at + 1, true);
    size = { width: 1 + (bits & 0x3fff), height: 1 + (bits >>> 14 & 0x3fff) };
  } else if (first.name === "VP8 " && first.length >= 10) {
    size = { width: reader.u16(first.at + 6, true) & 0x3fff, height: reader.u16(first.at + 8, true) & 0x3fff };
  } else {
    throw reader.damaged(`it begins with ${JSON.stringify(first.name)}`);
  }
  if (!list.some(({ name }) => name === "VP8 " || name === "VP8L" || name === "ANMF")) {
    throw reader.damaged("it holds no picture");
  }
  let orientation: Orientation = { orientation: 1 };
  const exif = list.find(({ name }) => name === "EXIF");
  if (exif) {
    // Some writers keep the mark that JPEG needs before the block.
    const skip = exif.length >= 6 && reader.text(exif.at, 6) === "Exif\0\0" ? 6 : 0;
    orientation = exifOrientation(bytes, exif.at + skip, exif.at + exif.length);
  }
  return { format: "WebP", ...size, ...orientation };
}

/** A WebP made to look as if it had no alpha. */
export interface WithoutAlpha {
  readonly bytes: Uint8Array;
  /** Whether a decoder gives the alpha values all the same: those of lossless data. */
  readonly keepsValues: boolean;
}

/**
 * A copy of the file that claims to have no alpha, so that a decoder which premultiplies leaves the colours of
 * transparent pixels as they are; `undefined` where the file has none.
 */
export function webpWithoutAlpha(bytes: Uint8Array): WithoutAlpha | undefined {
  const copy = bytes.slice();
  let changed = false;
  let keepsValues = false;
  for (const { name, at } of chunks(new ByteReader(copy, "WebP"))) {
    if (name === "VP8X" && copy[at] & 0x10) {
      copy[at] &= ~0x10;
      changed = true;
    } else if (name === "VP8L" && copy[at + 4] & 0x10) {
      copy[at + 4] &= ~0x10;
      changed = keepsValues = true;
    } else if (name === "ALPH") {
      // A chunk of an unknown name is skipped.
      copy.set([0x78, 0x78, 0x78, 0x78], at - 8);
      changed = true;
    }
  }
  return changed ? { bytes: copy, keepsValues } : undefined;
}
