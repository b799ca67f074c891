import { bmpHeader } from "./bmp.ts";
import { foreignContent } from "./foreign_content.ts";
import { gifHeader } from "./gif.ts";
import { jpegHeader } from "./jpeg.ts";
import { pngHeader } from "./png.ts";
import { webpHeader } from "./webp.ts";

/** What a file's bytes say of its picture before anything is decoded. */
export interface ImageHeader {
  readonly format: "JPEG" | "PNG" | "WebP" | "GIF" | "BMP";
  /** Pixels in a row as the file holds them, before EXIF turns the picture. */
  readonly width: number;
  readonly height: number;
  /** EXIF orientation, 1 to 8. */
  readonly orientation: number;
  /** Where in the file the two bytes of the EXIF orientation lie. */
  readonly orientationAt?: number;
}

/**
 * Format, size and orientation of an image file, read from its bytes.
 *
 * Walks the file to its end mark, so a file that was cut off, at whatever byte, is refused here. Bytes after the end
 * mark are allowed.
 *
 * @throws Error with the reason alone, such as "the PNG ends after 1,024 of at least 5,120 bytes"
 */
export function imageHeader(bytes: Uint8Array, maxPixels: number): ImageHeader {
  const header = headerOf(bytes);
  const { format, width, height } = header;
  if (width === 0 || height === 0) throw new Error(`the ${format} is damaged: it has ${width} x ${height} pixels`);
  if (!(width * height <= maxPixels)) {
    const [w, h, max] = [width, height, maxPixels].map((n) => n.toLocaleString("en-US"));
    throw new Error(`the ${format} has ${w} x ${h} pixels, over the limit of ${max} (maxPixels)`);
  }
  return header;
}

function headerOf(bytes: Uint8Array): ImageHeader {
  if (bytes.length === 0) throw new Error("the file is empty");
  if (startsWith(bytes, "\xff\xd8")) return jpegHeader(bytes);
  if (startsWith(bytes, "\x89PNG\r\n\x1a\n")) return pngHeader(bytes);
  if (startsWith(bytes, "GIF87a") || startsWith(bytes, "GIF89a")) return gifHeader(bytes);
  if (startsWith(bytes, "RIFF") && startsWith(bytes.subarray(8), "WEBP")) return webpHeader(bytes);
  if (startsWith(bytes, "BM") && bytes.length >= 6) return bmpHeader(bytes);
  throw new Error(foreignContent(bytes));
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[i] !== text.charCodeAt(i)) return false;
  return true;
}
