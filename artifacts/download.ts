import { dirname, join } from "@std/path";
import type { FileInfo } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import { random } from "../random.ts";
import { retryDelay } from "../stores/retry.ts";
import { Silence } from "../stores/silence.ts";
import { fromFolder, notThere } from "./artifact_path.ts";
import { FileWriter } from "./file_writer.ts";
import { broken, checkSize, type Incoming, type OpenFile, type Wanted } from "./incoming.ts";
import { replaceFile } from "./local_files.ts";
import { forEachFile, forEachParallel, PARALLEL_FILES } from "./parallel.ts";
import { piecesOf } from "./pieces.ts";
import { Progress } from "./progress.ts";
import type { TransferOptions } from "./repository.ts";
import type { TransferSettings } from "./transfer_settings.ts";

/** Files up to this size, in bytes, are held in memory whole. */
const SMALL = 1024 ** 2;
/** Parts of one file that are moved at a time. */
const PARALLEL_PARTS = 4;

/** Where files can be downloaded from. */
export interface DownloadSource {
  /** As in `ArtifactRepository`. */
  stat(path: string): Promise<FileInfo | undefined>;
  /** All that is in a folder and in its folders. */
  walk(folder: string): AsyncIterable<FileInfo>;
  readonly open: OpenFile;
  /** What a big file is read from in parts, many at a time; undefined: in one piece. */
  openParts?(path: string, size: number): Promise<((wanted: Wanted) => Promise<Incoming>) | undefined>;
}

/** All that is in a folder and in its folders, by listing one after the other. */
export async function* walkByListing(
  list: (folder: string) => Promise<FileInfo[]>,
  folder: string,
): AsyncGenerator<FileInfo> {
  let folders = [folder];
  while (folders.length > 0) {
    const next: string[] = [];
    const found: FileInfo[] = [];
    await forEachParallel(folders, PARALLEL_FILES, async (one) => {
      for (const info of await list(one)) {
        found.push(info);
        if (info.isDir) next.push(info.path);
      }
    });
    yield* found;
    folders = next;
  }
}

/** Downloads a file, or a folder with all that is in it. */
export async function download(
  source: DownloadSource,
  path: string,
  localPath: string,
  settings: TransferSettings,
  options: TransferOptions = {},
): Promise<void> {
  const found = await source.stat(path);
  if (found === undefined) throw notThere(path);
  if (!found.isDir) {
    await Deno.mkdir(dirname(localPath), { recursive: true });
    const progress = new Progress(options, 1, found.fileSize);
    await downloadFile(source, found, localPath, settings, progress);
    return;
  }
  const files: FileInfo[] = [];
  const folders = new Set([localPath]);
  const local = ({ path: inner }: FileInfo) => join(localPath, fromFolder(path, inner));
  for await (const info of source.walk(path)) {
    if (!info.isDir) files.push(info);
    folders.add(info.isDir ? local(info) : dirname(local(info)));
  }
  for (const folder of folders) await Deno.mkdir(folder, { recursive: true });
  const progress = new Progress(options, files.length, files.reduce((sum, { fileSize }) => sum + (fileSize ?? 0), 0));
  await forEachFile(files, ({ fileSize }) => fileSize, async (file) => {
    await downloadFile(source, file, local(file), settings, progress);
  });
}

async function downloadFile(
  source: DownloadSource,
  file: FileInfo,
  target: string,
  settings: TransferSettings,
  progress: Progress,
): Promise<void> {
  const size = file.fileSize;
  await replaceFile(target, async (temporary) => {
    const openPart = size !== undefined && size >= settings.downloadMinimum
      ? await source.openParts?.(file.path, size)
      : undefined;
    if (size !== undefined && openPart !== undefined) {
      await fillParts(openPart, file.path, temporary, size, settings, progress);
      return;
    }
    const open = (wanted: Wanted) => source.open(file.path, wanted);
    await fill(open, file.path, temporary, { start: 0, size, settings, progress });
  });
  progress.fileDone();
}

async function fillParts(
  open: (wanted: Wanted) => Promise<Incoming>,
  path: string,
  temporary: string,
  size: number,
  settings: TransferSettings,
  progress: Progress,
): Promise<void> {
  await Deno.writeFile(temporary, new Uint8Array());
  await Deno.truncate(temporary, size);
  const starts = Array.from({ length: Math.ceil(size / settings.downloadChunk) }, (_, i) => i * settings.downloadChunk);
  await forEachParallel(starts, PARALLEL_PARTS, async (start) => {
    const end = Math.min(size, start + settings.downloadChunk);
    await fill(open, path, temporary, { start, end, size, settings, progress });
  });
}

interface Filling {
  readonly start: number;
  /** The byte after the last one; undefined: all. */
  readonly end?: number;
  /** The size of the file as it was listed. */
  readonly size: number | undefined;
  readonly settings: TransferSettings;
  readonly progress: Progress;
}

/** Writes what comes into a local file, taking it up again where it broke off. */
async function fill(
  open: (wanted: Wanted) => Promise<Incoming>,
  path: string,
  temporary: string,
  { start, end, size: listed, settings, progress }: Filling,
): Promise<void> {
  let file: FileWriter | undefined;
  let at = start;
  let furthest = start;
  let etag: string | undefined;
  let ownFault = false;
  try {
    for (let failures = 0;;) {
      using silence = new Silence(settings.timeout, progress.signal);
      // What `open` refuses was tried often enough; only what breaks off later is taken up again.
      // Without a mark of the version, the rest of the file may be that of another one.
      const from = etag === undefined ? start : at;
      const incoming = await open({ start: from, end, etag, signal: silence.signal });
      try {
        if (incoming.start !== from && end !== undefined) {
          throw new MlflowError("NOT_IMPLEMENTED", `the server does not give parts of artifact '${path}'`);
        }
        if (incoming.start !== at) {
          progress.add(incoming.start - at);
          at = incoming.start;
          await file?.restart(at);
        }
        etag = incoming.etag;
        const size = end ?? incoming.size ?? listed;
        if (end === undefined && file === undefined && size !== undefined && size <= SMALL) {
          const bytes = await collectSmall(incoming.body, size, silence);
          checkSize(path, bytes.length, size);
          ownFault = true;
          await Deno.writeFile(temporary, bytes);
          progress.add(bytes.length);
          return;
        }
        ownFault = true;
        file ??= await FileWriter.open(temporary, at);
        ownFault = false;
        for await (const chunk of piecesOf(incoming.body, silence)) {
          ownFault = true;
          await file.write(chunk);
          at += chunk.length;
          progress.add(chunk.length);
          ownFault = false;
          if (size !== undefined && at > size) break;
        }
        checkSize(path, at, size);
        ownFault = true;
        await file.flush();
        return;
      } catch (error) {
        progress.signal?.throwIfAborted();
        if (ownFault || (error instanceof MlflowError && error.code !== "DATA_LOSS")) throw error;
        if (at > furthest) failures = 0;
        furthest = Math.max(at, furthest);
        const wait = retryDelay(
          { status: undefined, retryAfter: null, unsent: false, final: false },
          failures++,
          true,
          { policy: settings.retries, now: Date.now(), random },
        );
        if (wait === undefined) throw error instanceof MlflowError ? error : broken(path, "it broke off", error);
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  } finally {
    await file?.flush().catch(() => {});
    file?.[Symbol.dispose]();
  }
}

/** All bytes of a body, and no more than one above the size. */
async function collectSmall(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  size: number,
  silence: Silence,
): Promise<Uint8Array<ArrayBuffer>> {
  let bytes = new Uint8Array(size);
  let length = 0;
  for await (const chunk of piecesOf(body, silence)) {
    if (length + chunk.length > size) {
      length = size + 1;
      bytes = new Uint8Array(length);
      break;
    }
    bytes.set(chunk, length);
    length += chunk.length;
  }
  return bytes.subarray(0, length);
}
