import { posix } from "@std/path";
import type { FileInfo } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import { checkArtifactPath as checkPath } from "../validate.ts";

/** The beginning of a path that names a drive of Windows. */
const DRIVE = /^[a-zA-Z]:(\/|$)/;

/**
 * Checks a path below the root of the artifacts, and gives it back: relative, with `/`, not leaving its root, and not
 * naming a drive of Windows. The empty path is the root itself.
 */
export function checkArtifactPath(path: string): string {
  if (DRIVE.test(path)) throw invalid(`Invalid artifact path: '${path}'. It names a drive`);
  return checkPath(path);
}

/** As {@linkcode checkArtifactPath}, for a file: the root is refused. */
export function checkArtifactFile(path: string): string {
  if (path === "") throw invalid("Invalid artifact path: ''. A file name is wanted");
  return checkArtifactPath(path);
}

/** A path in a folder, which may be the root. */
export function inFolder(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}

/** The path of a file or folder from a folder above it. */
export function fromFolder(folder: string, path: string): string {
  return folder === "" ? path : path.slice(folder.length + 1);
}

/** The folder that a path is in; the root is in itself. */
export function folderOf(path: string): string {
  const folder = posix.dirname(path);
  return folder === "." ? "" : folder;
}

/**
 * An entry that a server lists as one of a folder. A name that is not that of an entry of the folder, such as
 * `../../etc/passwd`, is refused: it would be written there by a download.
 */
export function listedEntry(folder: string, name: string, size: number | undefined): FileInfo {
  if (name === "" || name.includes("/")) throw strange(folder, name);
  return listedFile(folder, name, size);
}

/** As {@linkcode listedEntry}, for a name that may lie in folders of the folder. */
export function listedFile(folder: string, name: string, size: number | undefined): FileInfo {
  try {
    if (name === "" || DRIVE.test(name)) throw strange(folder, name);
    return { path: checkArtifactFile(inFolder(folder, name)), isDir: size === undefined, fileSize: size };
  } catch (cause) {
    throw strange(folder, name, cause);
  }
}

/** Entries in the order of their paths. */
export function byPath(a: FileInfo, b: FileInfo): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}

/** What says that there is no such artifact. */
export function notThere(path: string, cause?: unknown): MlflowError {
  return new MlflowError("RESOURCE_DOES_NOT_EXIST", `No such artifact: '${path}'`, { cause });
}

function strange(folder: string, name: string, cause?: unknown): MlflowError {
  const where = folder === "" ? "the root" : JSON.stringify(folder);
  return invalid(`Invalid path: ${where} of the artifacts is said to hold ${JSON.stringify(name)}`, cause);
}

function invalid(reason: string, cause?: unknown): MlflowError {
  return new MlflowError("INVALID_PARAMETER_VALUE", reason, { cause });
}
