import { dirname, join, relative } from "@std/path";
import type { FileInfo } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import { byPath, checkArtifactFile, checkArtifactPath, folderOf, inFolder, notThere } from "./artifact_path.ts";
import { FileWriter } from "./file_writer.ts";
import { isUnfinished, localTree, readFileRange, replaceFile } from "./local_files.ts";
import { forEachParallel, PARALLEL_FILES } from "./parallel.ts";
import { piecesOf } from "./pieces.ts";
import { Progress } from "./progress.ts";
import type { ArtifactRepository, ArtifactStat, ByteRange, TransferOptions } from "./repository.ts";
import { upload } from "./upload.ts";

/** Files up to this size, in bytes, are copied without a word on how far it has come. */
const SMALL = 8 * 1024 ** 2;

/**
 * Artifacts in a folder of this machine. A link in it is followed as long as it leads to something in the folder; one
 * that leads out of it is refused with `INVALID_PARAMETER_VALUE`, as MLflow does.
 */
export class LocalRepository implements ArtifactRepository {
  readonly #root: string;
  #realRoot: string | undefined;

  /** @param root the folder, which is made at the first write */
  constructor(root: string) {
    this.#root = root;
  }

  async write(
    path: string,
    content: Uint8Array | ReadableStream<Uint8Array>,
    options: TransferOptions = {},
  ): Promise<void> {
    const progress = new Progress(options, 1, content instanceof Uint8Array ? content.length : undefined);
    const target = await this.#target(path);
    if (content instanceof Uint8Array) {
      await replaceFile(target, (temporary) => writeBytes(temporary, content, progress));
    } else {
      await replaceFile(target, (temporary) => writeStream(temporary, content, progress));
    }
    progress.fileDone();
  }

  async upload(localPath: string, path: string, options: TransferOptions = {}): Promise<void> {
    const folders = new Map<string, Promise<string>>();
    await upload(localPath, path, async (file, artifact, progress) => {
      // Of many files in a folder, the first one makes it.
      const folder = folderOf(artifact);
      let made = folders.get(folder);
      if (made === undefined) folders.set(folder, made = this.#makeFolder(folder));
      const target = join(await made, artifact.slice(artifact.lastIndexOf("/") + 1));
      await copy(file.localPath, target, file.size, progress);
    }, options);
  }

  async read(path: string): Promise<Uint8Array<ArrayBuffer>> {
    const local = await this.#file(path);
    return await Deno.readFile(local);
  }

  async stream(path: string, { start = 0, end }: ByteRange = {}): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    const local = await this.#file(path);
    const { size } = await Deno.stat(local);
    return readFileRange(local, Math.min(start, size), Math.min(end ?? size, size));
  }

  async stat(path: string): Promise<ArtifactStat | undefined> {
    const local = await this.#existing(path);
    if (local === undefined) return path === "" ? { path, isDir: true, fileSize: undefined } : undefined;
    const { isDirectory, size, mtime, ino } = await Deno.stat(local);
    if (isDirectory) return { path, isDir: true, fileSize: undefined };
    return { path, isDir: false, fileSize: size, version: `${ino ?? 0}-${size}-${mtime?.getTime() ?? 0}` };
  }

  async list(path = ""): Promise<FileInfo[]> {
    const local = await this.#existing(path);
    if (local === undefined || !(await Deno.stat(local)).isDirectory) return [];
    const names: string[] = [];
    for await (const { name } of Deno.readDir(local)) if (!isUnfinished(name)) names.push(name);
    const files: FileInfo[] = [];
    await forEachParallel(names, 4 * PARALLEL_FILES, async (name) => {
      const info = await optional(Deno.stat(join(local, name)));
      // A link that leads nowhere is not listed.
      if (info === undefined) return;
      const { isDirectory, size } = info;
      files.push({ path: inFolder(path, name), isDir: isDirectory, fileSize: isDirectory ? undefined : size });
    });
    return files.sort(byPath);
  }

  async download(path: string, localPath: string, options: TransferOptions = {}): Promise<void> {
    const local = await this.#existing(path);
    if (local === undefined) {
      if (path !== "") throw notThere(path);
      return await Deno.mkdir(localPath, { recursive: true });
    }
    const { files, folders } = await localTree(local, async ({ name, isSymlink }, entry) => {
      if (isUnfinished(name)) return false;
      if (!isSymlink) return true;
      const real = await optional(Deno.realPath(entry));
      if (real !== undefined) await this.#checkInside(inFolder(path, fromLocal(local, entry)), real);
      return real !== undefined;
    });
    const progress = new Progress(options, files.length, files.reduce((sum, { size }) => sum + size, 0));
    if (folders.length === 0) await Deno.mkdir(dirname(localPath), { recursive: true });
    for (const folder of folders) await Deno.mkdir(join(localPath, folder), { recursive: true });
    await forEachParallel(files, PARALLEL_FILES, async (file) => {
      checkArtifactPath(inFolder(path, file.path).replace(/\/$/, ""));
      await copy(file.localPath, join(localPath, file.path), file.size, progress);
      progress.fileDone();
    });
  }

  async delete(path: string): Promise<void> {
    checkArtifactPath(path);
    if (path === "") {
      for (const { path: entry } of await this.list()) await this.delete(entry);
      return;
    }
    // A link is removed itself, wherever it leads.
    const folder = await this.#existing(folderOf(path));
    if (folder === undefined) return;
    await optional(Deno.remove(join(this.#root, path), { recursive: true }));
  }

  /** The local path of a file that is there. */
  async #file(path: string): Promise<string> {
    const local = await this.#existing(checkArtifactFile(path));
    if (local === undefined) throw notThere(path);
    if ((await Deno.stat(local)).isDirectory) {
      throw new MlflowError(
        "INVALID_PARAMETER_VALUE",
        `Artifact path refers to a directory, not a file: '${path}'`,
      );
    }
    return local;
  }

  /** The local path of what is there and, links followed, in the root; undefined where there is nothing. */
  async #existing(path: string): Promise<string | undefined> {
    const local = join(this.#root, checkArtifactPath(path));
    const real = await optional(Deno.realPath(local));
    if (real === undefined) return undefined;
    if (path !== "") await this.#checkInside(path, real);
    return local;
  }

  /** Where a file is written, its folder made. */
  async #target(path: string): Promise<string> {
    const name = checkArtifactFile(path).slice(path.lastIndexOf("/") + 1);
    return join(await this.#makeFolder(folderOf(path)), name);
  }

  async #makeFolder(path: string): Promise<string> {
    const local = join(this.#root, path);
    // A folder must not be made where a link leads out of the root.
    for (let above = path; above !== ""; above = folderOf(above)) {
      const real = await optional(Deno.realPath(join(this.#root, above)));
      if (real === undefined) continue;
      await this.#checkInside(path, real);
      break;
    }
    await Deno.mkdir(local, { recursive: true });
    return local;
  }

  async #checkInside(path: string, real: string): Promise<void> {
    this.#realRoot ??= await Deno.realPath(this.#root);
    const inside = relative(this.#realRoot, real);
    if (inside !== ".." && !/^\.\.[/\\]/.test(inside) && !/^([a-zA-Z]:|[/\\])/.test(inside)) return;
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `Invalid artifact path: '${path}'. A link leads out of the folder of the artifacts`,
    );
  }
}

/** The path of what is in a folder from that folder, with `/`. */
function fromLocal(folder: string, entry: string): string {
  return relative(folder, entry).replaceAll("\\", "/");
}

/** Copies a file, in one go where it is small. */
async function copy(from: string, to: string, size: number, progress: Progress): Promise<void> {
  await replaceFile(to, async (temporary) => {
    if (size <= SMALL) {
      await Deno.copyFile(from, temporary);
      progress.add(size);
    } else {
      await writeStream(temporary, readFileRange(from, 0, size), progress);
    }
  });
}

/** Deno copies what it is given to write: of many bytes not all at once. */
async function writeBytes(path: string, content: Uint8Array, progress: Progress): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  for (let from = 0; from < content.length;) {
    const written = await file.write(content.subarray(from, from + SMALL));
    progress.add(written);
    from += written;
  }
}

async function writeStream(path: string, content: ReadableStream<Uint8Array>, progress: Progress): Promise<void> {
  using file = await FileWriter.open(path, 0);
  for await (const piece of piecesOf(content, progress)) {
    await file.write(piece);
    progress.add(piece.length);
  }
  await file.flush();
}

/** A result, or undefined where there is no such file. */
async function optional<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result;
  } catch (error) {
    const nothing = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory ||
      (error instanceof Error && error.message.startsWith("Not a directory"));
    if (!nothing) throw error;
  }
}
