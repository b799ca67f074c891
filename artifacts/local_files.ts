import { join } from "@std/path";
import { MlflowError } from "../errors.ts";
import { forEachParallel, PARALLEL_FILES } from "./parallel.ts";
import { inFolder } from "./artifact_path.ts";

/** Bytes that a file is read in at a time. */
const PIECE = 64 * 1024;

/** A file of this machine that is to be sent. */
export interface LocalFile {
  /** Where it is. */
  readonly localPath: string;
  /** Its path from the folder that is sent, with `/`; empty for a file that is sent alone. */
  readonly path: string;
  /** Its size in bytes. */
  readonly size: number;
}

/** What is sent of this machine: a file, or all that is in a folder. */
export interface LocalTree {
  /** The files. */
  readonly files: readonly LocalFile[];
  /** The folders, by their paths from the one that is sent, which is the first; none for a file. */
  readonly folders: readonly string[];
}

/**
 * The file of a path, or all that is in a folder and in its folders. A link counts as what it leads to; one to a
 * folder that it lies in is refused.
 *
 * @param takes whether an entry of a folder is taken. @default {all are}
 */
export async function localTree(
  localPath: string,
  takes: (entry: Deno.DirEntry, localPath: string) => boolean | Promise<boolean> = () => true,
): Promise<LocalTree> {
  const { isDirectory, size } = await stat(localPath);
  if (!isDirectory) return { files: [{ localPath, path: "", size }], folders: [] };
  const files: LocalFile[] = [];
  const folders: string[] = [];
  const collect = async (folder: string, path: string, above: readonly string[]): Promise<void> => {
    folders.push(path);
    const inner: Deno.DirEntry[] = [];
    await forEachParallel(Deno.readDir(folder), 4 * PARALLEL_FILES, async (entry) => {
      const local = join(folder, entry.name);
      if (!await takes(entry, local)) return;
      if (entry.isDirectory) return void inner.push(entry);
      const { isDirectory, size } = await stat(local);
      if (isDirectory) inner.push(entry);
      else files.push({ localPath: local, path: inFolder(path, entry.name), size });
    });
    for (const { name, isSymlink } of inner) {
      const local = join(folder, name);
      const chain = [...above, folder];
      if (isSymlink) await checkLoop(local, chain);
      await collect(local, inFolder(path, name), chain);
    }
  };
  await collect(localPath, "", []);
  return { files, folders };
}

/** Refuses a link to a folder that it lies in, which would have no end. */
async function checkLoop(link: string, above: readonly string[]): Promise<void> {
  const target = await Deno.realPath(link);
  for (const folder of above) {
    if (await Deno.realPath(folder) !== target) continue;
    throw new MlflowError("INVALID_PARAMETER_VALUE", `"${link}" links to "${folder}", the folder that it lies in`);
  }
}

async function stat(localPath: string): Promise<Deno.FileInfo> {
  try {
    return await Deno.stat(localPath);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new MlflowError("RESOURCE_DOES_NOT_EXIST", `there is no file or folder "${localPath}"`, { cause });
  }
}

/**
 * The bytes of a file from one to before another, as they are asked for. It fails where the file has become shorter.
 *
 * @param onBytes called with the number of bytes of each piece
 */
export function readFileRange(
  localPath: string,
  start: number,
  end: number,
  onBytes: (bytes: number) => void = () => {},
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let file: Deno.FsFile | undefined;
  let position = start;
  return new ReadableStream({
    // Whoever reads it may bring a buffer, and so keep from filling the memory with new ones.
    type: "bytes",
    async pull(controller) {
      try {
        const request = controller.byobRequest;
        if (position < end) {
          file ??= await openAt(localPath, start);
          const length = Math.min(request?.view?.byteLength ?? PIECE, end - position);
          const buffer = request?.view === null || request?.view === undefined
            ? new Uint8Array(length)
            : new Uint8Array(request.view.buffer, request.view.byteOffset, length);
          const count = await file.read(buffer);
          if (count === null) throw shortened(localPath, position, end);
          position += count;
          onBytes(count);
          if (request === null) controller.enqueue(buffer.subarray(0, count));
          else request.respond(count);
          if (position < end) return;
          file.close();
          controller.close();
        } else {
          controller.close();
          request?.respond(0);
        }
      } catch (error) {
        file?.close();
        throw error;
      }
    },
    cancel() {
      file?.close();
    },
  });
}

async function openAt(localPath: string, start: number): Promise<Deno.FsFile> {
  const file = await Deno.open(localPath);
  if (start > 0) await file.seek(start, Deno.SeekMode.Start);
  return file;
}

/** Part of a file, in memory. It fails where the file has become shorter. */
export async function readPart(localPath: string, start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(end - start);
  using file = await Deno.open(localPath);
  if (start > 0) await file.seek(start, Deno.SeekMode.Start);
  for (let filled = 0; filled < bytes.length;) {
    const count = await file.read(bytes.subarray(filled));
    if (count === null) throw shortened(localPath, start + filled, end);
    filled += count;
  }
  return bytes;
}

/**
 * Fills a new file beside the wanted one and moves it into place, so that nobody ever sees half of it. A failure
 * leaves nothing.
 */
export async function replaceFile(target: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  // MLflow leaves names that begin so out of its listings.
  const temporary = target.replace(/[^/\\]*$/, `.artifact.uploading.${crypto.randomUUID()}`);
  try {
    await fill(temporary);
    await Deno.rename(temporary, target);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}

/** Whether a name is that of a file that is still being written. */
export function isUnfinished(name: string): boolean {
  return name.startsWith(".artifact.uploading.");
}

function shortened(localPath: string, found: number, wanted: number): MlflowError {
  return new MlflowError(
    "INVALID_STATE",
    `"${localPath}" became shorter while it was sent: it ends after ${found} of ${wanted} bytes`,
  );
}
