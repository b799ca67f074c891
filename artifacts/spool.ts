import { readEnv } from "../env.ts";
import { FileWriter } from "./file_writer.ts";

/** A file that is there while something too big for the memory is sent. Disposing of it removes it. */
export interface Spool extends AsyncDisposable {
  /** Where it is. */
  readonly localPath: string;
  /** Its size in bytes. */
  readonly size: number;
}

/** Writes what comes into a temporary file; undefined, and nothing is read, where there can be none. */
export async function openSpool(parts: AsyncIterable<Uint8Array>): Promise<Spool | undefined> {
  const dir = readEnv("TMPDIR") ?? readEnv("TEMP") ?? (Deno.build.os === "windows" ? "C:\\Windows\\Temp" : "/tmp");
  for (const name of ["read", "write"] as const) {
    if ((await Deno.permissions.query({ name, path: dir })).state !== "granted") return undefined;
  }
  // A machine without a place for it still can send what comes as it comes.
  const localPath = await Deno.makeTempFile({ dir, prefix: "mlflow-" }).catch(() => undefined);
  if (localPath === undefined) return undefined;
  const remove = async () => await Deno.remove(localPath).catch(() => {});
  try {
    let size = 0;
    using file = await FileWriter.open(localPath, 0);
    for await (const part of parts) {
      await file.write(part);
      size += part.length;
    }
    await file.flush();
    return { localPath, size, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
