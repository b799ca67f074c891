import { resolve } from "@std/path";
import { MlflowError } from "../errors.ts";
import { absoluteFolderUri, isFolderUri } from "./file/location.ts";
import { SqliteStore } from "./sqlite_store.ts";
import type { TrackingStore } from "./store.ts";

const stores = new Map<string, TrackingStore | Promise<TrackingStore>>();

/**
 * The store of a tracking URI, opened at its first use and kept for the program's life. One that is open is given at
 * once, not as a promise, so that a write to it can be made while the program is ending.
 *
 * @param uri as {@linkcode absoluteUri} gives it
 */
export function openStore(uri: string): TrackingStore | Promise<TrackingStore> {
  let store = stores.get(uri);
  if (store === undefined) {
    store = openNew(uri);
    stores.set(uri, store);
    // What could not be opened now may be there later.
    store.then((opened) => stores.set(uri, opened), () => stores.delete(uri));
  }
  return store;
}

/** A tracking URI whose relative path is that of the present working directory. */
export function absoluteUri(uri: string): string {
  if (isFolderUri(uri)) return absoluteFolderUri(uri);
  const relative = /^sqlite:\/\/\/([^/:][^?#]*)$/.exec(uri)?.[1];
  // See `resolveRoot` in sqlite_store.ts for why the working directory is given.
  return relative === undefined ? uri : `sqlite:///${resolve(Deno.cwd(), relative)}`;
}

async function openNew(uri: string): Promise<TrackingStore> {
  if (uri.startsWith("sqlite:") || uri.startsWith("memory:")) return await SqliteStore.open(uri);
  // The embedded store is what most programs use; the others, with what they need, are loaded when they are.
  if (/^https?:/.test(uri)) return await (await import("./rest_store.ts")).RestStore.open(uri);
  if (isFolderUri(uri)) return await (await import("./file_store.ts")).FileStore.open(uri);
  throw new MlflowError(
    "INVALID_PARAMETER_VALUE",
    "the scheme must be one of http, https, sqlite (sqlite:///mlflow.db), file (file:./mlruns), memory (memory:)",
    // A mistyped URI may hold a password.
    { action: `Cannot open tracking store "${uri.replace(/\/\/[^/@]*@/, "//")}"` },
  );
}
