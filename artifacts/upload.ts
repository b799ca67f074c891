import { MlflowError } from "../errors.ts";
import { checkArtifactFile, checkArtifactPath, inFolder } from "./artifact_path.ts";
import { type LocalFile, localTree } from "./local_files.ts";
import { forEachFile } from "./parallel.ts";
import { piecesOf } from "./pieces.ts";
import { Progress } from "./progress.ts";
import type { TransferOptions } from "./repository.ts";

/** Sends one file. It says of its bytes that they were moved, and not of the file that it is done. */
export type SendFile = (file: LocalFile, path: string, progress: Progress) => Promise<void>;

/** Uploads a local file to a path, or what is in a local folder into a folder. */
export async function upload(
  localPath: string,
  path: string,
  sendFile: SendFile,
  options: TransferOptions = {},
): Promise<void> {
  checkArtifactPath(path);
  const { files } = await localTree(localPath);
  // A name that cannot be kept is told before anything is sent.
  const target = (file: LocalFile) => checkArtifactFile(file.path === "" ? path : inFolder(path, file.path));
  files.forEach(target);
  const progress = new Progress(options, files.length, files.reduce((sum, { size }) => sum + size, 0));
  await forEachFile(files, ({ size }) => size, async (file) => {
    await sendFile(file, target(file), progress);
    progress.fileDone();
  });
}

/**
 * The content of a write in pieces of one size, the last of which may be smaller and, for nothing at all, empty. A piece
 * holds only until the next one is asked for.
 */
export async function* inParts(
  content: ReadableStream<Uint8Array>,
  size: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const part = new Uint8Array(size);
  let filled = 0;
  let any = false;
  for await (const chunk of piecesOf(content, { signal })) {
    for (let from = 0; from < chunk.length;) {
      if (filled === size) {
        yield part;
        any = true;
        filled = 0;
      }
      const piece = chunk.subarray(from, from + size - filled);
      part.set(piece, filled);
      filled += piece.length;
      from += piece.length;
    }
  }
  if (filled > 0 || !any) yield part.subarray(0, filled);
}

/** Checks that a server lists a file with the size that was sent. */
export function checkArrived(path: string, arrived: number | undefined, sent: number): void {
  if (arrived === sent) return;
  const found = arrived === undefined ? "it is not there" : `${arrived} of ${sent} bytes are there`;
  throw new MlflowError("DATA_LOSS", `artifact '${path}' did not arrive whole: ${found}`);
}
