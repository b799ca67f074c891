import { ByteReader } from "./byte_reader.ts";
import { exifOrientation, type Orientation } from "./exif.ts";
import type { ImageHeader } from "./header.ts";

/** Walks a JPEG from its first marker to the end marker. */
export function jpegHeader(bytes: Uint8Array): ImageHeader {
  const reader = new ByteReader(bytes, "JPEG");
  let size: { width: number; height: number } | undefined;
  let orientation: Orientation = { orientation: 1 };
  let at = 2;
  for (;;) {
    // Fill bytes before a marker, and stray ones that decoders skip as well.
    at = markerAfter(bytes, at);
    if (at < 0) {
      throw new Error(`the JPEG ends after ${bytes.length.toLocaleString("en-US")} bytes without its end mark`);
    }
    const marker = bytes[at + 1];
    at += 2;
    if (marker === 0xd9) break;
    // Restart markers, which lie within the picture's data, and TEM have no length.
    if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) continue;
    const length = reader.u16(at);
    if (length < 2) throw reader.damaged(`a segment of ${length} bytes`);
    reader.need(at + length);
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      if (length < 8) throw reader.damaged("its frame header is too short");
      size ??= { height: reader.u16(at + 3), width: reader.u16(at + 5) };
    } else if (
      marker === 0xe1 && orientation.orientation === 1 && reader.text(at, Math.min(length, 8)).startsWith("Exif\0", 2)
    ) {
      orientation = exifOrientation(bytes, at + 8, at + length);
    } else if (marker === 0xda && !size) {
      throw reader.damaged("its picture data comes before its size");
    }
    at += length;
  }
  if (!size) throw reader.damaged("it holds no picture");
  return { format: "JPEG", ...size, ...orientation };
}

/** Where the next marker (0xff and a byte that is neither 0x00, an escape, nor 0xff, a fill) begins; -1: nowhere. */
function markerAfter(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(0xff, from); at >= 0 && at + 1 < bytes.length; at = bytes.indexOf(0xff, at + 1)) {
    if (bytes[at + 1] !== 0 && bytes[at + 1] !== 0xff) return at;
  }
  return -1;
}
