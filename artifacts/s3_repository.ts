import { element, elements, escapeXml } from "../aws/xml.ts";
import type { FileInfo } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import { byPath, checkArtifactPath, inFolder, listedEntry, listedFile } from "./artifact_path.ts";
import type { DownloadSource } from "./download.ts";
import { type Incoming, incoming, nothing, type Wanted, wantedHeaders } from "./incoming.ts";
import type { LocalFile } from "./local_files.ts";
import { mimeType } from "./mime_type.ts";
import { forEachParallel } from "./parallel.ts";
import type { Progress } from "./progress.ts";
import type { ArtifactRepository, ArtifactStat } from "./repository.ts";
import { bytesBody, fileBody, type SizedBody } from "./request_body.ts";
import { RemoteFiles } from "./remote_files.ts";
import { S3Client } from "./s3_client.ts";
import { readUploadHeaders } from "./s3_upload_args.ts";
import { readTransferSettings, type TransferSettings } from "./transfer_settings.ts";
import { inParts } from "./upload.ts";

/** S3 takes no part but the last that is smaller, and no more parts than these. */
const SMALLEST_PART = 5 * 1024 ** 2;
const MOST_PARTS = 10_000;
/** Parts of one file that are sent at a time. */
const PARALLEL_PARTS = 4;
/** Keys that one request can delete. */
const MOST_DELETED = 1000;

/** What gives the body of a request, anew for each time that it is read. */
type ReadBody = (moved?: () => void) => SizedBody;

/** Artifacts in a bucket of S3, or of a server that speaks as S3 does: those of `s3:` URIs. */
export class S3Repository extends RemoteFiles implements ArtifactRepository {
  readonly #client: S3Client;
  readonly #root: string;
  readonly #partSize: number;
  protected override readonly source: DownloadSource = {
    stat: (one) => this.stat(one),
    walk: (folder) => this.#walk(folder),
    open: (one, wanted) => this.#open(one, wanted),
    openParts: async (one) => this.settings.multipartDownload ? (wanted) => this.#open(one, wanted) : undefined,
  };

  /**
   * @param bucket the bucket's name
   * @param root what the keys begin with, without slashes around it
   */
  constructor(bucket: string, root: string, settings: TransferSettings = readTransferSettings()) {
    super(settings);
    this.#client = new S3Client(bucket, settings);
    this.#root = root;
    this.#partSize = Math.max(SMALLEST_PART, settings.uploadChunk);
  }

  async stat(path: string): Promise<ArtifactStat | undefined> {
    if (checkArtifactPath(path) === "") return { path, isDir: true, fileSize: undefined };
    try {
      const { headers } = await this.#client.send({ method: "HEAD", key: this.#key(path) });
      const version = headers.get("etag")?.replaceAll('"', "");
      return { path, isDir: false, fileSize: Number(headers.get("content-length")), version };
    } catch (error) {
      if (!(error instanceof MlflowError && error.status === 404)) throw error;
    }
    const page = await this.#page({ prefix: `${this.#key(path)}/`, "max-keys": "1" });
    return elements(page, "Contents").length === 0 ? undefined : { path, isDir: true, fileSize: undefined };
  }

  async list(path = ""): Promise<FileInfo[]> {
    const prefix = this.#prefix(checkArtifactPath(path));
    const infos: FileInfo[] = [];
    for await (const page of this.#pages({ prefix, delimiter: "/" })) {
      for (const { key, size } of keys(page, prefix)) if (key !== "") infos.push(listedEntry(path, key, size));
      for (const common of elements(page, "CommonPrefixes")) {
        const name = readKey(common, "Prefix", prefix).replace(/\/$/, "");
        // A key with two slashes in a row is in a folder without a name.
        if (name !== "") infos.push(listedEntry(path, name, undefined));
      }
    }
    return infos.sort(byPath);
  }

  async delete(path: string): Promise<void> {
    checkArtifactPath(path);
    const doomed: string[] = path === "" ? [] : [this.#key(path)];
    const remove = async () => {
      const batch = doomed.splice(0, MOST_DELETED);
      if (batch.length > 0) await this.#deleteKeys(batch);
    };
    const prefix = this.#prefix(path);
    for await (const page of this.#pages({ prefix })) {
      doomed.push(...keys(page, prefix).map(({ key }) => `${prefix}${key}`));
      while (doomed.length >= MOST_DELETED) await remove();
    }
    await remove();
  }

  async #open(path: string, wanted: Wanted): Promise<Incoming> {
    const { "if-range": version, ...headers } = wantedHeaders(wanted);
    const request = { method: "GET", key: this.#key(path), signal: wanted.signal } as const;
    try {
      // S3 has another word for it, and refuses where a server of HTTP would begin anew.
      const match: Record<string, string> = version === undefined ? {} : { "if-match": version };
      return incoming(await this.#client.send({ ...request, headers: { ...headers, ...match } }));
    } catch (error) {
      const status = error instanceof MlflowError ? error.status : undefined;
      if (status === 416) return nothing(wanted);
      if (status !== 412 || wanted.end !== undefined) throw error;
      return incoming(await this.#client.send(request));
    }
  }

  async *#walk(folder: string): AsyncGenerator<FileInfo> {
    const prefix = this.#prefix(folder);
    for await (const page of this.#pages({ prefix })) {
      for (const { key, size } of keys(page, prefix)) {
        // The console of AWS makes a folder by an empty object of its name and a slash.
        if (key !== "" && !key.endsWith("/")) yield listedFile(folder, key, size);
      }
    }
  }

  protected override async sendBytes(path: string, bytes: Uint8Array<ArrayBuffer>, progress: Progress): Promise<void> {
    await this.#put(path, () => bytesBody(bytes), progress);
  }

  protected override async sendFile({ localPath, size }: LocalFile, path: string, progress: Progress): Promise<void> {
    const part = this.#partSizeFor(size);
    if (size <= part) return await this.#put(path, (moved) => fileBody(localPath, 0, size, moved), progress);
    await this.#inParts(path, progress, async (putPart) => {
      const numbers = Array.from({ length: Math.ceil(size / part) }, (_, i) => i + 1);
      await forEachParallel(numbers, PARALLEL_PARTS, async (number) => {
        const start = (number - 1) * part;
        const end = Math.min(size, start + part);
        await putPart(number, (moved) => fileBody(localPath, start, end, moved));
      });
    });
  }

  protected override async sendStream(
    path: string,
    content: ReadableStream<Uint8Array>,
    progress: Progress,
  ): Promise<void> {
    const parts = inParts(content, this.#partSize, progress.signal);
    const first = (await parts.next()).value!;
    if (first.length < this.#partSize) return await this.#put(path, () => bytesBody(first), progress);
    await this.#inParts(path, progress, async (putPart) => {
      let number = 0;
      await putPart(++number, () => bytesBody(first));
      for await (const part of parts) await putPart(++number, () => bytesBody(part));
    });
  }

  async #put(path: string, body: ReadBody, progress: Progress): Promise<void> {
    const headers = this.#uploadHeaders(path);
    const { signal } = progress;
    await this.#client.text({ method: "PUT", key: this.#key(path), headers, body, signal });
    progress.add(body().size);
  }

  /** Writes an object by its parts, or not at all. */
  async #inParts(
    path: string,
    progress: Progress,
    send: (putPart: (number: number, body: ReadBody) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const key = this.#key(path);
    const { signal } = progress;
    const headers = this.#uploadHeaders(path);
    const created = await this.#client.text({ method: "POST", key, query: { uploads: "" }, headers, signal });
    const uploadId = element(created, "UploadId");
    if (uploadId === undefined) throw new MlflowError("INTERNAL_ERROR", "S3 began no upload in parts");
    const etags: string[] = [];
    try {
      await send(async (number, body) => {
        const query = { partNumber: String(number), uploadId };
        const response = await this.#client.send({ method: "PUT", key, query, body, signal });
        await response.body?.cancel();
        etags[number - 1] = response.headers.get("etag") ?? "";
        progress.add(body().size);
      });
      const parts = etags.map((etag, i) =>
        `<Part><PartNumber>${i + 1}</PartNumber><ETag>${escapeXml(etag)}</ETag></Part>`
      );
      const xml = `<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`;
      const done = await this.#client.text({
        method: "POST",
        key,
        query: { uploadId },
        body: () => bytesBody(utf8(xml)),
        signal,
      });
      // S3 begins to answer before it is done, and may then say with status 200 that it failed.
      if (element(done, "ETag") === undefined) {
        throw new MlflowError("INTERNAL_ERROR", element(done, "Message") ?? "S3 did not put the parts together");
      }
    } catch (error) {
      // What has come of it is of no use, and S3 would charge for it.
      const abort = await this.#client.send({ method: "DELETE", key, query: { uploadId } }).catch(() => undefined);
      await abort?.body?.cancel();
      throw error;
    }
  }

  async #deleteKeys(batch: readonly string[]): Promise<void> {
    const objects = batch.map((key) => `<Object><Key>${escapeXml(key)}</Key></Object>`);
    const body = utf8(`<Delete><Quiet>true</Quiet>${objects.join("")}</Delete>`);
    // Loading it takes longer than a run to start, and nothing else here needs it.
    const { createHash } = await import("node:crypto");
    const headers = { "content-md5": createHash("md5").update(body).digest("base64") };
    const reply = await this.#client.text({
      method: "POST",
      query: { delete: "" },
      headers,
      body: () => bytesBody(body),
    });
    const [error] = elements(reply, "Error");
    if (error === undefined) return;
    throw new MlflowError(
      element(error, "Code") === "AccessDenied" ? "PERMISSION_DENIED" : "INTERNAL_ERROR",
      `S3 did not delete "${element(error, "Key")}": ${element(error, "Message")}`,
    );
  }

  async *#pages(query: Readonly<Record<string, string>>): AsyncGenerator<string> {
    let page = await this.#page(query);
    yield page;
    while (element(page, "IsTruncated") === "true") {
      page = await this.#page({ ...query, "continuation-token": element(page, "NextContinuationToken") ?? "" });
      yield page;
    }
  }

  /** A page of keys, written so that XML can hold all of them. */
  async #page(query: Readonly<Record<string, string>>): Promise<string> {
    return await this.#client.text({ method: "GET", query: { "list-type": "2", "encoding-type": "url", ...query } });
  }

  #uploadHeaders(path: string): Record<string, string> {
    return { "content-type": mimeType(path), ...readUploadHeaders() };
  }

  #partSizeFor(size: number): number {
    return Math.max(this.#partSize, Math.ceil(size / MOST_PARTS));
  }

  #key(path: string): string {
    return inFolder(this.#root, path);
  }

  #prefix(path: string): string {
    const folder = this.#key(path).replace(/\/$/, "");
    return folder === "" ? "" : `${folder}/`;
  }
}

/** The keys of a page, from its prefix, with their sizes in bytes. */
function keys(page: string, prefix: string): { readonly key: string; readonly size: number }[] {
  return elements(page, "Contents").map((xml) => ({
    key: readKey(xml, "Key", prefix),
    size: Number(element(xml, "Size")),
  }));
}

function readKey(xml: string, name: string, prefix: string): string {
  const key = decodeURIComponent((element(xml, name) ?? "").replaceAll("+", " "));
  if (key.startsWith(prefix)) return key.slice(prefix.length);
  throw new MlflowError(
    "INVALID_PARAMETER_VALUE",
    `The path of the listed S3 object does not begin with the specified artifact path. Artifact path: ${prefix}. ` +
      `Object path: ${key}.`,
  );
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
