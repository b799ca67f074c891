import type { FileInfo } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import { checkArtifactPath, inFolder, notThere } from "./artifact_path.ts";
import { download } from "./download.ts";
import { type Incoming, incoming, readFile, streamFile, type Wanted, wantedHeaders } from "./incoming.ts";
import type { ArtifactRepository, ArtifactStat, ByteRange, TransferOptions } from "./repository.ts";
import { Sender } from "./sender.ts";
import { readTransferSettings, type TransferSettings } from "./transfer_settings.ts";

/** Files below an `http:` or `https:` URL. They can be read one by one; a web server does not say what it has. */
export class HttpRepository implements ArtifactRepository {
  readonly #url: URL;
  readonly #settings: TransferSettings;
  readonly #sender: Sender;

  /** @param url the URL of a folder, with the query that each of its files is asked for with */
  constructor(url: string, settings: TransferSettings = readTransferSettings()) {
    this.#url = new URL(url);
    this.#settings = settings;
    this.#sender = new Sender(settings);
  }

  async write(): Promise<void> {
    throw this.#readOnly();
  }

  async upload(): Promise<void> {
    throw this.#readOnly();
  }

  async read(path: string): Promise<Uint8Array<ArrayBuffer>> {
    return await readFile((one, wanted) => this.#open(one, wanted), path);
  }

  async stream(path: string, range?: ByteRange): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    return await streamFile((one, wanted) => this.#open(one, wanted), path, range);
  }

  async stat(path: string): Promise<ArtifactStat | undefined> {
    try {
      const { body, size, etag } = await this.#open(path, {});
      await body.cancel();
      return { path, isDir: false, fileSize: size, version: etag };
    } catch (error) {
      if (error instanceof MlflowError && error.code === "RESOURCE_DOES_NOT_EXIST") return undefined;
      throw error;
    }
  }

  async list(): Promise<FileInfo[]> {
    throw this.#readOnly();
  }

  async download(path: string, localPath: string, options: TransferOptions = {}): Promise<void> {
    const source = {
      stat: (one: string) => this.stat(one),
      open: (one: string, wanted: Wanted) => this.#open(one, wanted),
      walk: () => {
        throw this.#readOnly();
      },
    };
    await download(source, path, localPath, this.#settings, options);
  }

  async delete(): Promise<void> {
    throw this.#readOnly();
  }

  async #open(path: string, wanted: Wanted): Promise<Incoming> {
    const url = new URL(this.#url);
    const encoded = checkArtifactPath(path).split("/").map(encodeURIComponent).join("/");
    url.pathname = inFolder(url.pathname.replace(/\/$/, ""), encoded).replace(/\/$/, "");
    const { username, password } = url;
    url.username = url.password = "";
    const authorization = new TextEncoder().encode(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`);
    const headers = {
      ...wantedHeaders(wanted),
      ...username === "" && password === "" ? {} : { authorization: `Basic ${authorization.toBase64()}` },
    };
    try {
      return incoming(await this.#sender.send(() => ({ method: "GET", url: url.href, headers }), wanted.signal));
    } catch (error) {
      if (error instanceof MlflowError && error.status === 404) throw notThere(path, error);
      throw error;
    }
  }

  #readOnly(): MlflowError {
    const reason = `artifacts at ${this.#url.protocol} URLs can only be read, each by its own URL`;
    return new MlflowError("NOT_IMPLEMENTED", reason);
  }
}
