const SIGNATURES: readonly (readonly [at: number, text: string, name: string])[] = [
  [4, "ftypavi", "an AVIF image"],
  [4, "ftyphei", "a HEIC photo"],
  [4, "ftyphev", "a HEIC photo"],
  [4, "ftypmif1", "a HEIC photo"],
  [4, "ftyp", "an MP4 video"],
  [0, "II*\0", "a TIFF image"],
  [0, "MM\0*", "a TIFF image"],
  [0, "\xff\x0a", "a JPEG XL image"],
  [0, "\0\0\0\x0cJXL ", "a JPEG XL image"],
  [0, "\0\0\0\x0cjP  ", "a JPEG 2000 image"],
  [0, "8BPS", "a Photoshop file"],
  [0, "\0\0\x01\0", "an icon file"],
  [0, "%PDF", "a PDF document"],
  [0, "PK\x03\x04", "a ZIP archive"],
  [0, "\x1f\x8b", "a gzip archive"],
  [0, "RIFF", "a RIFF file (sound or video)"],
  [0, "version https://git-lfs", "a Git LFS pointer: fetch the file itself with `git lfs pull`"],
];

/** The start of every format that is read, to tell a file cut within its first bytes from a foreign one. */
const READ: readonly (readonly [start: string, name: string, least: number])[] = [
  ["\xff\xd8", "JPEG", 4],
  ["\x89PNG\r\n\x1a\n", "PNG", 57],
  ["GIF89a", "GIF", 14],
  ["GIF87a", "GIF", 14],
  ["RIFF", "WebP", 20],
  ["BM", "BMP", 26],
];

/** Says why bytes that begin like none of the formats read are not one of them. */
export function foreignContent(bytes: Uint8Array): string {
  const start = String.fromCharCode(...bytes.subarray(0, 512));
  const cut = READ.find(([text]) => bytes.length < 12 && text.startsWith(start.slice(0, text.length)));
  if (cut) return `the ${cut[1]} ends after ${bytes.length} of at least ${cut[2]} bytes`;
  return `not a JPEG, PNG, WebP, GIF or BMP image, it looks like ${describe(bytes, start)}`;
}

function describe(bytes: Uint8Array, start: string): string {
  const known = SIGNATURES.find(([at, text]) => start.startsWith(text, at));
  if (known) return known[2];
  if (bytes.every((byte) => byte === 0)) return "zeros alone (a file whose content was never written)";
  const text = start.replace(/^\xef\xbb\xbf/, "").trimStart().toLowerCase();
  if (/^(<!doctype html|<html|<head|<body)/.test(text)) return "an HTML page";
  if (/^(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!doctype svg[^>]*>\s*)?<svg/s.test(text)) return "an SVG drawing";
  if (text.startsWith("<?xml")) return "an XML file";
  const utf8 = new TextDecoder().decode(bytes.subarray(0, 96)).slice(0, 24);
  if (/^[^\p{Cc}\p{Co}\p{Cn}\ufffd]*$/u.test(utf8.replace(/\s/g, ""))) return `text (${JSON.stringify(utf8)})`;
  const hex = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return `none that is known (first bytes ${hex})`;
}
