import { dirname, join } from "@std/path";
import { MlflowError } from "../../errors.ts";

/** The most bytes that file systems take for one name. */
const NAME_BYTES = 255;

/** The text of a file, or undefined where there is none. */
export function readText(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

/** As {@linkcode readText}, for many files at a time. */
export async function readTextAsync(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

/** What is at a path, or undefined where there is nothing. */
export function statAt(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

/** The entries of a folder in the order of their names; none where there is no such folder. */
export function listFolder(path: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(path)].sort((a, b) => a.name < b.name ? -1 : 1);
  } catch (error) {
    if (isAbsence(error)) return [];
    throw error;
  }
}

/**
 * The contents of all files below a folder by their paths from there, with `/`: how MLflow keeps params, tags and the
 * values of metrics, a key with slashes as folders.
 */
export async function readKeys(folder: string): Promise<(readonly [key: string, text: string])[]> {
  const found = listFolder(folder).map(async ({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    if (isDirectory) return (await readKeys(path)).map(([key, text]) => [`${name}/${key}`, text] as const);
    const text = await readTextAsync(path);
    return text === undefined ? [] : [[name, text] as const];
  });
  return (await Promise.all(found)).flat();
}

/**
 * Replaces a file as a whole: whoever reads it sees the old text or the new one.
 *
 * @param home the folder that the new file is written in first: where MLflow takes no file for a tag or param
 */
export function replaceFile(path: string, text: string, home: string = dirname(path)): void {
  const temporary = join(home, `.${crypto.randomUUID()}.tmp`);
  try {
    Deno.writeTextFileSync(temporary, text, { createNew: true });
    Deno.renameSync(temporary, path);
  } catch (error) {
    try {
      Deno.removeSync(temporary);
    } catch {
      // it was not made, or has been renamed
    }
    throw error;
  }
}

/** Writes the file of a key, making the folders that its slashes name; one that is there is replaced as a whole. */
export function writeKey(root: string, folder: string, key: string, text: string): void {
  const path = join(root, folder, key);
  if (statAt(path) === undefined) {
    Deno.mkdirSync(dirname(path), { recursive: true });
    writeNew(path, text);
  } else if (readText(path) !== text) {
    replaceFile(path, text, root);
  }
}

/** Writes a file that is not there; none is left where that fails. */
function writeNew(path: string, text: string): void {
  using file = Deno.openSync(path, { write: true, createNew: true });
  try {
    const bytes = new TextEncoder().encode(text);
    for (let written = 0; written < bytes.length;) written += file.writeSync(bytes.subarray(written));
  } catch (error) {
    Deno.removeSync(path);
    throw error;
  }
}

/** Removes the file of a key, and says whether there was one. */
export function removeKey(root: string, folder: string, key: string): boolean {
  const path = join(root, folder, key);
  if (!statAt(path)?.isFile) return false;
  Deno.removeSync(path);
  return true;
}

/** Whether a key is a path that stays in its folder. */
export function isKey(key: string): boolean {
  return !/[\\\0]/.test(key) && key.split("/").every((part) => !["", ".", ".."].includes(part));
}

/**
 * Refuses keys of which files cannot be made: a part of the name that is too long, or a key that would be a file where
 * another key needs a folder. Nothing is written.
 */
export function checkKeys(folder: string, what: string, keys: readonly string[]): void {
  const all = new Set(keys);
  for (const key of all) {
    const parts = key.split("/");
    if (parts.some((part) => new TextEncoder().encode(part).length > NAME_BYTES)) {
      throw new MlflowError(
        "INVALID_PARAMETER_VALUE",
        `the file store cannot keep the ${what} "${
          key.slice(0, 40)
        }…": a name between slashes may take ${NAME_BYTES} bytes`,
      );
    }
    const found = statAt(join(folder, key));
    if (found?.isFile) continue;
    const above = parts.slice(0, -1).map((_, i) => parts.slice(0, i + 1).join("/"));
    const inTheWay = above.find((parent) => all.has(parent) || statAt(join(folder, parent))?.isFile);
    if (inTheWay !== undefined || found?.isDirectory) {
      throw new MlflowError(
        "INVALID_PARAMETER_VALUE",
        `the file store cannot keep the ${what} "${key}" beside "${inTheWay ?? `${key}/…`}": one is a file where the ` +
          "other needs a folder",
      );
    }
  }
}

/**
 * Does work on a folder that no other process of this library works on at the same time. MLflow itself locks nothing.
 * The work must not wait for anything.
 */
export function locked<T>(folder: string, work: () => T): T {
  let handle: Deno.FsFile | undefined;
  try {
    handle = Deno.openSync(folder);
    handle.lockSync(true);
  } catch {
    // Windows opens no folders, and some network file systems have no locks: there it goes as in MLflow, without.
  }
  try {
    return work();
  } finally {
    handle?.close();
  }
}

/** Whether an error says that there is no such file or folder, or the other of the two. */
export function isAbsence(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory ||
    error instanceof Deno.errors.IsADirectory;
}
