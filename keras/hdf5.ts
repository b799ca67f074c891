/** Numbers of a dataset and its shape. */
export interface Hdf5Dataset {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A group: other groups and datasets by name. */
export interface Hdf5Group {
  readonly [name: string]: Hdf5Group | Hdf5Dataset;
}

/**
 * An HDF5 file of groups and float32 datasets, in pieces that follow one another; the datasets' own memory is among them.
 *
 * It is the newer file format (superblock 2, object headers 2, links kept in the headers), with nothing that Keras's
 * reader does not look at: no attributes, no chunks.
 */
export function hdf5File(root: Hdf5Group): Uint8Array[] {
  const file = new Layout(SUPERBLOCK_SIZE);
  const rootAt = placeGroup(file, root);
  return [superblock(file.size, rootAt), ...file.pieces];
}

/** 48 bytes that say where the file ends and where its root is. */
const SUPERBLOCK_SIZE = 48;
const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];
const UNDEFINED_ADDRESS = new Array<number>(8).fill(0xff);

const DATASPACE = 1;
const LINK_INFO = 2;
const DATATYPE = 3;
const FILL_VALUE = 5;
const LINK = 6;
const DATA_LAYOUT = 8;
const GROUP_INFO = 10;

/** IEEE 754 little-endian: sign at bit 31, 8 bits of exponent from bit 23 with bias 127, 23 bits of mantissa. */
const FLOAT32 = [0x11, 0x20, 0x1f, 0, ...int(4, 4), ...int(2, 0), ...int(2, 32), 23, 8, 0, 23, ...int(4, 127)];

/** Pieces of a file, each at an address that 8 divides. */
class Layout {
  readonly pieces: Uint8Array[] = [];
  size: number;

  constructor(start: number) {
    this.size = start;
  }

  /** Puts a piece at the end and gives its address. */
  place(piece: Uint8Array): number {
    const address = this.size;
    this.pieces.push(piece);
    const padding = -piece.byteLength & 7;
    if (padding > 0) this.pieces.push(new Uint8Array(padding));
    this.size += piece.byteLength + padding;
    return address;
  }
}

function placeGroup(file: Layout, group: Hdf5Group): number {
  const links = Object.entries(group).map(([name, node]): Message => {
    const address = isDataset(node) ? placeDataset(file, node) : placeGroup(file, node);
    const bytes = [...new TextEncoder().encode(name)];
    // Version 1, UTF-8, a name's length in 2 bytes.
    return [LINK, [1, 0x11, 1, ...int(2, bytes.length), ...bytes, ...int(8, address)]];
  });
  const info: Message[] = [[LINK_INFO, [0, 0, ...UNDEFINED_ADDRESS, ...UNDEFINED_ADDRESS]], [GROUP_INFO, [0, 0]]];
  return file.place(objectHeader([...info, ...links]));
}

function placeDataset(file: Layout, { shape, data }: Hdf5Dataset): number {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const address = bytes.length === 0 ? UNDEFINED_ADDRESS : int(8, file.place(bytes));
  return file.place(objectHeader([
    [DATASPACE, [2, shape.length, 0, shape.length === 0 ? 0 : 1, ...shape.flatMap((size) => int(8, size))]],
    [DATATYPE, FLOAT32],
    // Version 3: never written before the data are, no value set.
    [FILL_VALUE, [3, 0x0a]],
    // Version 3, contiguous.
    [DATA_LAYOUT, [3, 1, ...address, ...int(8, bytes.length)]],
  ]));
}

function isDataset(node: Hdf5Group | Hdf5Dataset): node is Hdf5Dataset {
  return node.data instanceof Float32Array;
}

/** A type and its bytes. */
type Message = readonly [number, readonly number[]];

function objectHeader(messages: readonly Message[]): Uint8Array {
  const body = messages.flatMap(([type, bytes]) => [type, ...int(2, bytes.length), 0, ...bytes]);
  // "OHDR", version 2, its size in 4 bytes.
  return withChecksum([0x4f, 0x48, 0x44, 0x52, 2, 2, ...int(4, body.length), ...body]);
}

function superblock(fileSize: number, rootAt: number): Uint8Array {
  // Version 2, addresses and lengths of 8 bytes.
  return withChecksum([
    ...SIGNATURE,
    2,
    8,
    8,
    0,
    ...int(8, 0),
    ...UNDEFINED_ADDRESS,
    ...int(8, fileSize),
    ...int(8, rootAt),
  ]);
}

function withChecksum(bytes: readonly number[]): Uint8Array {
  const block = Uint8Array.from(bytes);
  return Uint8Array.from([...block, ...int(4, lookup3(block))]);
}

/** A whole number in so many bytes, the lowest first. */
function int(bytes: number, value: number): number[] {
  return Array.from({ length: bytes }, (_, i) => Math.floor(value / 2 ** (8 * i)) % 256);
}

/** Bob Jenkins' lookup3 hash, HDF5's checksum of what is not data. */
function lookup3(key: Uint8Array): number {
  const rotate = (x: number, bits: number) => (x << bits) | (x >>> (32 - bits));
  const word = (at: number) => [0, 1, 2, 3].reduce((sum, i) => sum | ((key[at + i] ?? 0) << (8 * i)), 0);
  let a = (0xdeadbeef + key.length) | 0;
  let b = a;
  let c = a;
  let at = 0;
  for (; key.length - at > 12; at += 12) {
    a = (a + word(at)) | 0;
    b = (b + word(at + 4)) | 0;
    c = (c + word(at + 8)) | 0;
    a = (a - c) ^ rotate(c, 4);
    c = (c + b) | 0;
    b = (b - a) ^ rotate(a, 6);
    a = (a + c) | 0;
    c = (c - b) ^ rotate(b, 8);
    b = (b + a) | 0;
    a = (a - c) ^ rotate(c, 16);
    c = (c + b) | 0;
    b = (b - a) ^ rotate(a, 19);
    a = (a + c) | 0;
    c = (c - b) ^ rotate(b, 4);
    b = (b + a) | 0;
  }
  if (at === key.length) return c >>> 0;
  a = (a + word(at)) | 0;
  b = (b + word(at + 4)) | 0;
  c = (c + word(at + 8)) | 0;
  c = ((c ^ b) - rotate(b, 14)) | 0;
  a = ((a ^ c) - rotate(c, 11)) | 0;
  b = ((b ^ a) - rotate(a, 25)) | 0;
  c = ((c ^ b) - rotate(b, 16)) | 0;
  a = ((a ^ c) - rotate(c, 4)) | 0;
  b = ((b ^ a) - rotate(a, 14)) | 0;
  c = ((c ^ b) - rotate(b, 24)) | 0;
  return c >>> 0;
}
