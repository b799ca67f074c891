import type { FileInfo } from "../entities.ts";

/**
 * Where the files of a run or a model are. Paths are relative to its root, with `/`; one that would leave the root is
 * refused with `INVALID_PARAMETER_VALUE`.
 */
export interface ArtifactRepository {
  /** Writes bytes or a stream to a file, making its folders; a file in place is replaced whole. */
  write(path: string, content: Uint8Array | ReadableStream<Uint8Array>): Promise<void>;
  /** Copies a local file. */
  upload(localFile: string, path: string): Promise<void>;
  /** The bytes of a file. A missing one gives `RESOURCE_DOES_NOT_EXIST`. */
  read(path: string): Promise<Uint8Array<ArrayBuffer>>;
  /** The files and folders directly in a folder, by name; none for a file or a missing folder. */
  list(path?: string): Promise<FileInfo[]>;
  /** Copies a file, or a folder with all that is in it, to a local path, making its folders. */
  download(path: string, localPath: string): Promise<void>;
  /** Removes a file, or a folder with all that is in it. */
  delete(path: string): Promise<void>;
}
