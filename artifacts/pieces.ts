/** Bytes that are read at a time at most. */
const PIECE = 256 * 1024;

/** What ends the reading of a stream, and is told that it goes on. */
export interface PieceWatch {
  readonly signal: AbortSignal | undefined;
  heard?(): void;
}

/** The pieces of a stream, until it is ended. Each of them holds only until the next one is asked for. */
export async function* piecesOf<T extends Uint8Array>(
  stream: ReadableStream<T>,
  watch?: PieceWatch,
): AsyncGenerator<Uint8Array> {
  const signal = watch?.signal;
  const reader = readerOf(stream);
  const stop = () => void reader.cancel(signal?.reason).catch(() => {});
  signal?.addEventListener("abort", stop);
  let reason: unknown;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      signal?.throwIfAborted();
      if (done || value === undefined) return;
      watch?.heard?.();
      yield value;
    }
  } catch (error) {
    reason = error;
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
    await reader.cancel(reason).catch(() => {});
  }
}

interface PieceReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array }>;
  cancel(reason?: unknown): Promise<void>;
}

/** Reads into one and the same buffer where it can: new ones for gigabytes would fill the memory before they go. */
function readerOf<T extends Uint8Array>(body: ReadableStream<T>): PieceReader {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = body.getReader({ mode: "byob" });
  } catch {
    return body.getReader();
  }
  let buffer = new ArrayBuffer(PIECE);
  return {
    async read() {
      const result = await reader.read(new Uint8Array(buffer));
      if (result.value !== undefined) buffer = result.value.buffer;
      return result;
    },
    cancel: (reason) => reader.cancel(reason),
  };
}
