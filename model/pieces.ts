/** Bytes in pieces that follow one another: views of memory that others hold. */
export type Pieces = readonly Uint8Array[];

/** The bytes of several pieces. */
export function sizeOf(pieces: Pieces): number {
  return pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** A part of pieces, as views of them. */
export function cut(pieces: Pieces, from: number, to: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const piece of pieces) {
    const part = piece.subarray(Math.max(0, from - at), Math.max(0, to - at));
    if (part.byteLength > 0) parts.push(part);
    at += piece.byteLength;
  }
  return parts;
}

/** Pieces as one: a view where it is one already. */
export function joined(pieces: Pieces): Uint8Array {
  if (pieces.length === 1) return pieces[0];
  const whole = new Uint8Array(sizeOf(pieces));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}

/** Bytes that a stream gives at a time. */
const CHUNK = 4 * 1024 ** 2;

/** What a repository takes: bytes where there is one piece, else a stream of them. */
export function contentOf(pieces: Pieces): Uint8Array | ReadableStream<Uint8Array> {
  if (pieces.length === 1) return pieces[0];
  const chunks = chunksOf(pieces);
  return new ReadableStream({
    pull(controller) {
      const { done, value } = chunks.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
}

function* chunksOf(pieces: Pieces): Generator<Uint8Array> {
  for (const piece of pieces) {
    for (let from = 0; from < piece.byteLength; from += CHUNK) yield piece.subarray(from, from + CHUNK);
  }
}
