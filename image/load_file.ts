import { createHash } from "node:crypto";
import { decode, type DecodeSettings } from "./decode.ts";

/** A decoded file and what is told of it. */
export interface LoadedFile {
  /** Pixels, resized: `height * width * channels` values of the size asked for. */
  readonly data: Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer>;
  /** Size of the file in bytes. */
  readonly bytes: number;
  /** SHA-256 of the file, in hexadecimal. */
  readonly sha256: string;
  /** Pixels in a row of the file's picture, upright. */
  readonly width: number;
  readonly height: number;
}

/**
 * Reads and decodes one file.
 *
 * @throws Error with the reason alone
 */
export async function loadFile(path: string, settings: DecodeSettings): Promise<LoadedFile> {
  const content = await readFile(path);
  const { image, width, height } = await decode(content, settings);
  return {
    data: image.data as LoadedFile["data"],
    bytes: content.length,
    // For files of this size four times as fast as the asynchronous digest.
    sha256: createHash("sha256").update(content).digest("hex"),
    width,
    height,
  };
}

/** Reads a file; the error says the reason alone. */
export async function readFile(path: string | URL): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await Deno.readFile(path);
  } catch (cause) {
    throw new Error(reasonOf(cause), { cause });
  }
}

/** Why the system refused, in a few words. */
export function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no such file or directory";
  if (error instanceof Deno.errors.PermissionDenied) return "the system does not allow to read it (permission denied)";
  if (error instanceof Deno.errors.IsADirectory) return "it is a directory";
  return error instanceof Error ? error.message : String(error);
}
