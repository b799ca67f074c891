import { posix } from "@std/path";
import { notThere } from "../artifacts/artifact_path.ts";
import { mimeType } from "../artifacts/mime_type.ts";
import type { ArtifactRepository } from "../artifacts/repository.ts";
import { MlflowError } from "../errors.ts";

/** Answers with a file as it comes from its repository, or with the one part of it that is asked for. */
export async function sendArtifact(
  request: Request,
  repository: ArtifactRepository,
  path: string,
): Promise<Response> {
  const found = await repository.stat(path);
  if (found === undefined) throw notThere(path);
  if (found.isDir) {
    throw new MlflowError("INVALID_PARAMETER_VALUE", `Artifact path refers to a directory, not a file: '${path}'`);
  }
  const { fileSize, version } = found;
  const headers = new Headers({
    "content-type": mimeType(path),
    "x-content-type-options": "nosniff",
    // Always a file to save: shown as a page of ours, it could act as one.
    "content-disposition": `attachment; filename*=UTF-8''${encodeURIComponent(posix.basename(path))}`,
  });
  const etag = version === undefined ? undefined : `"${version}"`;
  if (etag !== undefined) headers.set("etag", etag);
  if (fileSize === undefined) return new Response(await repository.stream(path), { headers });
  headers.set("accept-ranges", "bytes");
  const condition = request.headers.get("if-range");
  const asked = condition === null || condition === etag ? request.headers.get("range") : null;
  const range = asked === null ? undefined : readRange(asked, fileSize);
  if (range === "none") {
    headers.set("content-range", `bytes */${fileSize}`);
    return new Response(null, { status: 416, headers });
  }
  const { start, end } = range ?? { start: 0, end: fileSize };
  headers.set("content-length", String(end - start));
  if (range !== undefined) headers.set("content-range", `bytes ${start}-${end - 1}/${fileSize}`);
  const body = await repository.stream(path, { start, end });
  return new Response(body, { status: range === undefined ? 200 : 206, headers });
}

/** The one part that a `Range` header asks for; undefined: all; "none": nothing of it is there (RFC 9110, 14.2). */
function readRange(
  header: string,
  size: number,
): { readonly start: number; readonly end: number } | "none" | undefined {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header.trim()) ?? [];
  if (first === undefined || (first === "" && last === "")) return undefined;
  if (first === "") {
    const count = Math.min(Number(last), size);
    return count === 0 ? "none" : { start: size - count, end: size };
  }
  const start = Number(first);
  const end = last === "" ? size : Math.min(size, Number(last) + 1);
  if (start >= size) return "none";
  return end <= start ? undefined : { start, end };
}
