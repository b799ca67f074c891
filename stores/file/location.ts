import { fileURLToPath, pathToFileURL } from "node:url";
import { resolve } from "@std/path";
import { hasScheme } from "../../artifacts/uri.ts";
import { MlflowError } from "../../errors.ts";

/** Whether a tracking URI names a folder: a path, or a `file:` URI. */
export function isFolderUri(uri: string): boolean {
  return uri.startsWith("file:") || !(hasScheme(uri) || uri === "" || uri === "databricks");
}

/**
 * The folder of a tracking URI, as an absolute path.
 *
 * @param uri `./mlruns`, `file:./mlruns` or `file:///home/me/mlruns`
 */
export function folderOf(uri: string): string {
  if (!uri.startsWith("file:")) return resolve(uri);
  const path = uri.slice("file:".length);
  try {
    return path.startsWith("/") ? fileURLToPath(new URL(uri)) : resolve(decodeURIComponent(path));
  } catch (error) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      "a folder's URI reads ./relative/path, file:./relative/path or file:///absolute/path",
      { action: `Cannot open tracking store "${uri}"`, cause: error },
    );
  }
}

/** The tracking URI of the same folder that stays right when the working directory changes. */
export function absoluteFolderUri(uri: string): string {
  const folder = folderOf(uri);
  return uri.startsWith("file:") ? pathToFileURL(folder).href : folder;
}
