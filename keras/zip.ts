import { crc32 } from "node:zlib";

/** A file of an archive, in pieces that follow one another. */
export interface ZipEntry {
  readonly name: string;
  readonly pieces: readonly Uint8Array[];
}

/** What a file of the archive, and the archive itself, can be long at most: sizes have 32 bits. */
export const MAX_ZIP_SIZE = 0xffffffff;

const LOCAL_HEADER = 0x04034b50;
const CENTRAL_HEADER = 0x02014b50;
const END_OF_DIRECTORY = 0x06054b50;
/** MS-DOS's version that files without compression need: 1.0. */
const VERSION = 10;
/** Names are UTF-8. */
const FLAGS = 0x0800;
/** 1 January 1980, where MS-DOS's calendar begins: equal models give equal files. */
const DATE = 0x0021;

/** A zip archive of files as they are, without compression, in pieces that follow one another. */
export function zipFile(entries: readonly ZipEntry[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  const put = (piece: Uint8Array) => {
    pieces.push(piece);
    at += piece.byteLength;
  };
  for (const { name, pieces: content } of entries) {
    const path = new TextEncoder().encode(name);
    const size = totalSize(content);
    const checksum = content.reduce((sum, piece) => crc32(piece, sum), 0);
    const common = [[2, FLAGS], [2, 0], [2, 0], [2, DATE], [4, checksum], [4, size], [4, size], [2, path.length], [
      2,
      0,
    ]];
    directory.push(
      record([[4, CENTRAL_HEADER], [2, VERSION], [2, VERSION], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]]),
    );
    directory.push(path);
    put(record([[4, LOCAL_HEADER], [2, VERSION], ...common]));
    put(path);
    content.forEach(put);
  }
  const directoryAt = at;
  directory.forEach(put);
  const count = entries.length;
  put(
    record([[4, END_OF_DIRECTORY], [2, 0], [2, 0], [2, count], [2, count], [4, at - directoryAt], [4, directoryAt], [
      2,
      0,
    ]]),
  );
  return pieces;
}

/** The bytes of several pieces. */
export function totalSize(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** Fields, each of so many bytes, the lowest first. */
function record(fields: readonly (readonly number[])[]): Uint8Array {
  return Uint8Array.from(
    fields.flatMap(([bytes, value]) => Array.from({ length: bytes }, (_, i) => (value >>> (8 * i)) & 255)),
  );
}
