import type { FileInfo } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import type { HttpClient } from "../stores/http.ts";
import { Silence } from "../stores/silence.ts";
import { byPath, checkArtifactPath, folderOf, inFolder, listedEntry } from "./artifact_path.ts";
import { type DownloadSource, walkByListing } from "./download.ts";
import { type Incoming, incoming, nothing, type Wanted, wantedHeaders } from "./incoming.ts";
import { type LocalFile, readPart } from "./local_files.ts";
import type { Progress } from "./progress.ts";
import { ProxyParts } from "./proxy_parts.ts";
import { RemoteFiles } from "./remote_files.ts";
import type { ArtifactRepository } from "./repository.ts";
import { fileBody, type SizedBody } from "./request_body.ts";
import { openSpool } from "./spool.ts";
import { readTransferSettings, type TransferSettings } from "./transfer_settings.ts";
import { checkArrived, inParts } from "./upload.ts";

/** Where a tracking server gives and takes artifacts. */
const ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts";
/** Files up to this size, in bytes, are sent from memory, with their length said beforehand. */
const SMALL = 1024 ** 2;

/**
 * Artifacts that a tracking server keeps and passes on: those of `mlflow-artifacts:` URIs. Big files go around the
 * server, in parts, where it offers that.
 */
export class ProxyRepository extends RemoteFiles implements ArtifactRepository {
  readonly #server: () => Promise<HttpClient>;
  readonly #root: string;
  readonly #parts: ProxyParts;
  protected override readonly source: DownloadSource = {
    stat: (one) => this.stat(one),
    walk: (folder) => walkByListing((one) => this.list(one), folder),
    open: (one, wanted) => this.#open(one, wanted),
    openParts: (one) => this.#parts.openDownload(this.#place(one)),
  };

  /**
   * @param server what sends requests to the tracking server
   * @param root the folder on it, without slashes around it
   */
  constructor(
    server: () => Promise<HttpClient>,
    root: string,
    settings: TransferSettings = readTransferSettings(),
  ) {
    super(settings);
    this.#server = server;
    this.#root = checkArtifactPath(root);
    this.#parts = new ProxyParts(server, settings);
  }

  async stat(path: string): Promise<FileInfo | undefined> {
    if (checkArtifactPath(path) === "") return { path, isDir: true, fileSize: undefined };
    // A server has no question for one file: its folder is asked for what is in it.
    return (await this.list(folderOf(path))).find((info) => info.path === path);
  }

  async list(path = ""): Promise<FileInfo[]> {
    const folder = this.#plain(inFolder(this.#root, checkArtifactPath(path)).replace(/\/$/, ""));
    const server = await this.#server();
    const reply = await server.json({ method: "GET", path: ARTIFACTS, query: { path: folder } });
    return readListing(reply, path).sort(byPath);
  }

  async delete(path: string): Promise<void> {
    const server = await this.#server();
    if (checkArtifactPath(path) === "") {
      for (const entry of await this.list()) await this.delete(entry.path);
      return;
    }
    try {
      await server.json({ method: "DELETE", path: this.#path(path) });
    } catch (error) {
      if (!(error instanceof MlflowError && error.status === 404)) throw error;
    }
  }

  async #open(path: string, wanted: Wanted): Promise<Incoming> {
    const { signal } = wanted;
    const server = await this.#server();
    try {
      return incoming(
        await server.send({ method: "GET", path: this.#path(path), headers: wantedHeaders(wanted), signal }),
      );
    } catch (error) {
      // What begins at the end of a file has nothing in it (RFC 9110, 15.5.17).
      if (!(error instanceof MlflowError && error.status === 416)) throw error;
      return nothing(wanted);
    }
  }

  protected override async sendFile(
    file: Pick<LocalFile, "localPath" | "size">,
    path: string,
    progress: Progress,
  ): Promise<void> {
    const { localPath, size } = file;
    if (await this.#parts.upload(file, this.#place(path), progress)) return;
    if (size <= SMALL) {
      await this.#put(this.#path(path), () => readPart(localPath, 0, size), progress);
      return progress.add(size);
    }
    await this.#putStream(this.#path(path), (moved) => fileBody(localPath, 0, size, moved), progress, true);
    // What servers between us lose of a big file would be found out too late.
    checkArrived(path, (await this.stat(path))?.fileSize, size);
  }

  /**
   * Sends a stream when all of it is there, which is quicker than sending it as it comes: its length can be said, and it
   * can be sent again.
   */
  protected override async sendStream(
    path: string,
    content: ReadableStream<Uint8Array>,
    progress: Progress,
  ): Promise<void> {
    const parts = inParts(content, SMALL, progress.signal);
    const { value: first = new Uint8Array() } = await parts.next();
    if (first.length < SMALL) return await this.sendBytes(path, first, progress);
    const all = async function* () {
      yield first;
      yield* parts;
    };
    await using spool = await openSpool(all());
    if (spool !== undefined) return await this.sendFile(spool, path, progress);
    await this.#putStream(this.#path(path), (moved) => counted(all(), moved), progress, false);
  }

  protected override async sendBytes(path: string, bytes: Uint8Array<ArrayBuffer>, progress: Progress): Promise<void> {
    await this.#put(this.#path(path), () => bytes, progress);
    progress.add(bytes.length);
  }

  async #put(
    path: string,
    body: () => Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>,
    progress: Progress,
  ): Promise<void> {
    const server = await this.#server();
    await server.json({ method: "PUT", path, body, headers: CONTENT, signal: progress.signal });
  }

  /** Sends a stream, which may take longer than an answer may, as long as it moves. */
  async #putStream(
    path: string,
    open: (moved: (bytes: number) => void) => SizedBody | ReadableStream<Uint8Array<ArrayBuffer>>,
    progress: Progress,
    repeatable: boolean,
  ): Promise<void> {
    using silence = new Silence(this.settings.timeout, progress.signal);
    let sent = 0;
    const body = () => {
      progress.add(-sent);
      sent = 0;
      return open((bytes) => {
        silence.heard();
        sent += bytes;
        progress.add(bytes);
      });
    };
    const server = await this.#server();
    await server.json({
      method: "PUT",
      path,
      body,
      headers: CONTENT,
      repeatable,
      timeout: Infinity,
      signal: silence.signal,
    });
  }

  #path(path: string): string {
    return `${ARTIFACTS}/${encodePath(this.#place(path))}`;
  }

  /** A path from the root of the server. */
  #place(path: string): string {
    return this.#plain(inFolder(this.#root, path));
  }

  /** A path as MLflow's server keeps it: it reads escapes in names once more, and would keep others than it was told. */
  #plain(path: string): string {
    // deno-lint-ignore no-control-regex -- control characters are what it looks for
    const odd = /%[0-9a-fA-F]{2}|[#\x00-\x1f\x7f]|[?;](?=$)/.exec(path);
    if (odd === null) return path;
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `Invalid artifact path: ${JSON.stringify(path)}. An MLflow server cannot keep a name with ${
        JSON.stringify(odd[0])
      } under that name`,
    );
  }
}

const CONTENT = { "content-type": "application/octet-stream" };

/** A path in a URL. */
function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

/** The entries of a folder in a server's answer. */
function readListing(reply: Readonly<Record<string, unknown>>, folder: string): FileInfo[] {
  const files = Array.isArray(reply.files) ? reply.files : [];
  return files.map((file: Readonly<Record<string, unknown>>) =>
    listedEntry(folder, String(file.path), file.is_dir === true ? undefined : Number(file.file_size ?? 0))
  );
}

function counted(
  parts: AsyncIterable<Uint8Array>,
  moved: (bytes: number) => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return ReadableStream.from(async function* () {
    for await (const part of parts) {
      moved(part.length);
      yield part.slice();
    }
  }());
}
