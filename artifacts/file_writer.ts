/** Bytes that are written at a time. */
const BUFFER = 512 * 1024;

/** Writes a file from many small pieces: while some are written, the next ones are gathered. */
export class FileWriter implements Disposable {
  readonly #file: Deno.FsFile;
  #gathering: Uint8Array<ArrayBuffer> = new Uint8Array(BUFFER);
  #spare: Uint8Array<ArrayBuffer> = new Uint8Array(BUFFER);
  #length = 0;
  #writing: Promise<void> = Promise.resolve();

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /** Opens a file, made if need be, to be written from a position. */
  static async open(path: string, at: number): Promise<FileWriter> {
    const file = await Deno.open(path, { write: true, create: true });
    if (at > 0) await file.seek(at, Deno.SeekMode.Start);
    return new FileWriter(file);
  }

  /** Takes a piece, which may be changed afterwards. A failure to write may be told by a later call. */
  async write(piece: Uint8Array): Promise<void> {
    for (let from = 0; from < piece.length;) {
      const part = piece.subarray(from, from + BUFFER - this.#length);
      this.#gathering.set(part, this.#length);
      this.#length += part.length;
      from += part.length;
      if (this.#length === BUFFER) await this.#turn();
    }
  }

  /** Waits until all that was taken is written. */
  async flush(): Promise<void> {
    await this.#turn();
    await this.#writing;
  }

  /** Cuts the file off at a position, and goes on there. */
  async restart(at: number): Promise<void> {
    await this.flush();
    await this.#file.truncate(at);
    await this.#file.seek(at, Deno.SeekMode.Start);
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  async #turn(): Promise<void> {
    await this.#writing;
    const full = this.#gathering.subarray(0, this.#length);
    [this.#gathering, this.#spare] = [this.#spare, this.#gathering];
    this.#length = 0;
    this.#writing = this.#writeAll(full);
    // It is told when it is waited for.
    this.#writing.catch(() => {});
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length;) from += await this.#file.write(bytes.subarray(from));
  }
}
