import type { FileInfo } from "../entities.ts";

/** How far a transfer of one or many files has come. */
export interface TransferProgress {
  /** Bytes moved so far. It falls where part of a file has to be moved again. */
  readonly bytes: number;
  /** Bytes to move in all; undefined where it is not known. */
  readonly totalBytes: number | undefined;
  /** Files moved whole. */
  readonly files: number;
  /** Files to move in all. */
  readonly totalFiles: number;
}

/** What a transfer may be told. */
export interface TransferOptions {
  /** Called as bytes are moved, at the start and at the end. */
  readonly onProgress?: (progress: TransferProgress) => void;
  /** Ends the transfer. A file that was not moved whole is not there afterwards. */
  readonly signal?: AbortSignal;
}

/** A part of a file. */
export interface ByteRange {
  /** The first byte, counted from 0. @default {0} */
  readonly start?: number;
  /** The byte after the last one. @default {the size of the file} */
  readonly end?: number;
}

/** A file or folder, and which version of it is there. */
export interface ArtifactStat extends FileInfo {
  /** What changes whenever the content of a file changes; undefined where that is not known. */
  readonly version?: string | undefined;
}

/**
 * Where the files of a run or a model are. Paths are relative to its root, with `/`; one that would leave the root is
 * refused with `INVALID_PARAMETER_VALUE`, also where a server lists it. Several files are moved at a time, each in
 * pieces, so that memory stays flat whatever their size. What is read back is as long as what was written, or an
 * error.
 */
export interface ArtifactRepository {
  /** Writes bytes or a stream to a file, making its folders; a file in place is replaced whole. */
  write(
    path: string,
    content: Uint8Array | ReadableStream<Uint8Array>,
    options?: TransferOptions,
  ): Promise<void>;
  /**
   * Copies a local file to a path, or what is in a local folder into a folder, with its folders. A link counts as what
   * it leads to.
   */
  upload(localPath: string, path: string, options?: TransferOptions): Promise<void>;
  /** The bytes of a file. A missing one gives `RESOURCE_DOES_NOT_EXIST`. */
  read(path: string): Promise<Uint8Array<ArrayBuffer>>;
  /** The bytes of a file, or of a part of it, as they come. A missing one gives `RESOURCE_DOES_NOT_EXIST`. */
  stream(path: string, range?: ByteRange): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  /** The file or folder of a path, or undefined where there is none. The root, `""`, is always there. */
  stat(path: string): Promise<ArtifactStat | undefined>;
  /** The files and folders directly in a folder, by name; none for a file or a missing folder. */
  list(path?: string): Promise<FileInfo[]>;
  /**
   * Copies a file, or a folder with all that is in it, to a local path, making its folders. A missing one gives
   * `RESOURCE_DOES_NOT_EXIST`.
   */
  download(path: string, localPath: string, options?: TransferOptions): Promise<void>;
  /** Removes a file, or a folder with all that is in it; the root is emptied. What is not there needs no removal. */
  delete(path: string): Promise<void>;
}
