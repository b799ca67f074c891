import { readFileRange } from "./local_files.ts";
import { piecesOf } from "./pieces.ts";

/** Bytes of a buffer that are given at a time. */
const PIECE = 256 * 1024;

/**
 * The body of a request, of a known size, that is read as it is sent.
 *
 * `fetch` says the length of a Blob beforehand, of a stream it cannot: stores of objects want it, some proxies do, and
 * Deno's own server is far slower without it. A Blob of Deno itself would be held in memory whole.
 */
export class SizedBody extends Blob {
  readonly #size: number;
  readonly #open: () => ReadableStream<Uint8Array<ArrayBuffer>>;

  /** @param open gives all of its bytes, anew for each time that it is read */
  constructor(size: number, open: () => ReadableStream<Uint8Array<ArrayBuffer>>) {
    super();
    this.#size = size;
    this.#open = open;
  }

  override get size(): number {
    return this.#size;
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#open();
  }
}

/** A part of a file of this machine. */
export function fileBody(
  localPath: string,
  start: number,
  end: number,
  onBytes?: (bytes: number) => void,
): SizedBody {
  return new SizedBody(end - start, () => readFileRange(localPath, start, end, onBytes));
}

/** Bytes that are not changed until they are sent. `fetch` would copy them first. */
export function bytesBody(bytes: Uint8Array<ArrayBuffer>): SizedBody {
  return new SizedBody(bytes.length, () => {
    let at = 0;
    return new ReadableStream({
      pull(controller) {
        if (at < bytes.length) controller.enqueue(bytes.subarray(at, at += PIECE));
        if (at >= bytes.length) controller.close();
      },
    }, { highWaterMark: 0 });
  });
}

/** The SHA-256 of a body, in hexadecimal digits. */
export async function sha256(body: SizedBody): Promise<string> {
  // Loading it takes longer than a run to start.
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  for await (const piece of piecesOf(body.stream())) hash.update(piece);
  return hash.digest("hex");
}
