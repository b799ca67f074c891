import type { TransferOptions } from "./repository.ts";

/** Counts what a transfer has moved, tells whoever wants to know, and ends it where it is asked to. */
export class Progress {
  readonly #options: TransferOptions;
  readonly #totalFiles: number;
  readonly #totalBytes: number | undefined;
  #bytes = 0;
  #files = 0;

  constructor(options: TransferOptions, totalFiles: number, totalBytes: number | undefined) {
    this.#options = options;
    this.#totalFiles = totalFiles;
    this.#totalBytes = totalBytes;
    this.add(0);
  }

  /** What ends the transfer. */
  get signal(): AbortSignal | undefined {
    return this.#options.signal;
  }

  /** Says that bytes were moved; a negative number, that they have to be moved again. */
  add(bytes: number): void {
    this.#options.signal?.throwIfAborted();
    this.#bytes += bytes;
    this.#tell();
  }

  /** Says that a file is where it should be. */
  fileDone(): void {
    this.#files++;
    this.#tell();
  }

  #tell(): void {
    this.#options.onProgress?.({
      bytes: this.#bytes,
      totalBytes: this.#totalBytes,
      files: this.#files,
      totalFiles: this.#totalFiles,
    });
  }
}
