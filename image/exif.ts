/** Where an EXIF block's orientation lies, and its value. */
export interface Orientation {
  /** 1 to 8. */
  readonly orientation: number;
  /** Offset of its two bytes in the file. */
  readonly orientationAt?: number;
}

const UPRIGHT: Orientation = { orientation: 1 };

/**
 * Reads the orientation from a TIFF block of EXIF, in the first directory as Pillow does.
 *
 * A block that is damaged says nothing: the picture is taken as it is.
 *
 * @param start where the block ("II" or "MM") begins in `bytes`
 * @param end where it ends
 */
export function exifOrientation(bytes: Uint8Array, start: number, end: number): Orientation {
  const mark = String.fromCharCode(bytes[start], bytes[start + 1]);
  if (end - start < 14 || (mark !== "II" && mark !== "MM")) return UPRIGHT;
  const littleEndian = mark === "II";
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, end - start);
  if (view.getUint16(2, littleEndian) !== 42) return UPRIGHT;
  const directory = view.getUint32(4, littleEndian);
  if (directory + 2 > view.byteLength) return UPRIGHT;
  const entries = view.getUint16(directory, littleEndian);
  for (let i = 0; i < entries; i++) {
    const at = directory + 2 + 12 * i;
    if (at + 12 > view.byteLength) return UPRIGHT;
    if (view.getUint16(at, littleEndian) !== 0x0112) continue;
    const isShort = view.getUint16(at + 2, littleEndian) === 3;
    const value = view.getUint16(at + 8, littleEndian);
    return isShort && value >= 1 && value <= 8 ? { orientation: value, orientationAt: start + at + 8 } : UPRIGHT;
  }
  return UPRIGHT;
}
