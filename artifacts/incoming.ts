import { MlflowError } from "../errors.ts";
import { checkArtifactFile } from "./artifact_path.ts";
import type { ByteRange } from "./repository.ts";

/** A file of a server that has begun to come. */
export interface Incoming {
  /** Its bytes, from `start`. */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** The first byte that comes: 0 where a server does not know of parts. */
  readonly start: number;
  /** The size of the whole file, in bytes, if the server said it. */
  readonly size: number | undefined;
  /** The server's mark of this version of the file. */
  readonly etag: string | undefined;
}

/** What is asked of a server. */
export interface Wanted extends ByteRange {
  /** The version that the first bytes were of: another one is given from its start. */
  readonly etag?: string;
  /** Ends the request. */
  readonly signal?: AbortSignal;
}

/** Asks a server for a file. */
export type OpenFile = (path: string, wanted: Wanted) => Promise<Incoming>;

/** As `ArtifactRepository.read`. */
export async function readFile(open: OpenFile, path: string): Promise<Uint8Array<ArrayBuffer>> {
  return await collect(await open(checkArtifactFile(path), {}), path);
}

/** As `ArtifactRepository.stream`. */
export async function streamFile(
  open: OpenFile,
  path: string,
  range: ByteRange = {},
): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const { start = 0, end } = range;
  checkArtifactFile(path);
  if (end !== undefined && end <= start) return new Blob([]).stream();
  return cutTo(await open(path, range), range);
}

/** What is beyond the end of a file: nothing. */
export function nothing({ start = 0 }: Wanted): Incoming {
  return { body: new Blob([]).stream(), start, size: undefined, etag: undefined };
}

/** The headers that ask for a part of a file, as it is: not packed for the way. */
export function wantedHeaders({ start = 0, end, etag }: Wanted): Record<string, string> {
  const whole = start === 0 && end === undefined;
  return {
    // With any other value Deno's fetch would unpack a file that is stored packed.
    "accept-encoding": "identity",
    ...whole ? {} : { range: `bytes=${start}-${end === undefined ? "" : end - 1}` },
    ...whole || etag === undefined ? {} : { "if-range": etag },
  };
}

/** What an answer of status 200 or 206 brings. */
export function incoming(response: Response): Incoming {
  const etag = response.headers.get("etag") ?? undefined;
  const body = response.body ?? new Blob([]).stream();
  // Only a strong mark may join two parts (RFC 9110, 13.1.5).
  const strong = etag?.startsWith("W/") ? undefined : etag;
  const [, start, size] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "") ?? [];
  if (response.status === 206 && start !== undefined) {
    return { body, start: Number(start), size: size === "*" ? undefined : Number(size), etag: strong };
  }
  const length = response.headers.get("content-length");
  return { body, start: 0, size: length === null ? undefined : Number(length), etag: strong };
}

/** A part of what comes, where a server gives more than was asked for. */
function cutTo(
  { body, start: first }: Incoming,
  { start = 0, end = Infinity }: ByteRange,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  if (first === start && end === Infinity) return body;
  let at = first;
  return body.pipeThrough(
    new TransformStream({
      transform(chunk: Uint8Array<ArrayBuffer>, controller) {
        const part = chunk.subarray(Math.max(0, start - at), Math.max(0, end - at));
        at += chunk.length;
        if (part.length > 0) controller.enqueue(part);
        if (at >= end) controller.terminate();
      },
    }),
  );
}

async function collect({ body, size }: Incoming, path: string): Promise<Uint8Array<ArrayBuffer>> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = new Uint8Array(await new Response(body).arrayBuffer());
  } catch (error) {
    throw broken(path, "it broke off", error);
  }
  checkSize(path, bytes.length, size);
  return bytes;
}

/** Refuses what came of a file where it is not all of it. */
export function checkSize(path: string, found: number, wanted: number | undefined): void {
  if (wanted === undefined || found === wanted) return;
  throw broken(path, found < wanted ? `it ends after ${found} of ${wanted} bytes` : `more than ${wanted} bytes came`);
}

/** What says that a file did not come whole. */
export function broken(path: string, why: string, cause?: unknown): MlflowError {
  return new MlflowError("DATA_LOSS", `artifact '${path}' did not come whole: ${why}`, { cause });
}
