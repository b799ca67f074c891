/** Reads numbers out of a file's bytes and says how much of the file is missing where they end too early. */
export class ByteReader {
  /** The file's bytes. */
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #format: string;

  constructor(bytes: Uint8Array, format: string) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#format = format;
  }

  /** Throws unless the file has `length` bytes. */
  need(length: number): void {
    if (!(this.bytes.length >= length)) {
      const [have, least] = [this.bytes.length, length].map((n) => n.toLocaleString("en-US"));
      throw new Error(`the ${this.#format} ends after ${have} of at least ${least} bytes`);
    }
  }

  u8(at: number): number {
    this.need(at + 1);
    return this.bytes[at];
  }

  u16(at: number, littleEndian = false): number {
    this.need(at + 2);
    return this.#view.getUint16(at, littleEndian);
  }

  u24(at: number): number {
    this.need(at + 3);
    return this.bytes[at] | this.bytes[at + 1] << 8 | this.bytes[at + 2] << 16;
  }

  u32(at: number, littleEndian = false): number {
    this.need(at + 4);
    return this.#view.getUint32(at, littleEndian);
  }

  i32(at: number, littleEndian = false): number {
    this.need(at + 4);
    return this.#view.getInt32(at, littleEndian);
  }

  /** `length` bytes as Latin-1 text. */
  text(at: number, length: number): string {
    this.need(at + length);
    return String.fromCharCode(...this.bytes.subarray(at, at + length));
  }

  /** The error for a file whose bytes contradict its format. */
  damaged(what: string): Error {
    return new Error(`the ${this.#format} is damaged: ${what}`);
  }
}
