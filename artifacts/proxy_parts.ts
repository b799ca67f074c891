import { MlflowError } from "../errors.ts";
import type { HttpClient } from "../stores/http.ts";
import { folderOf } from "./artifact_path.ts";
import { type Incoming, incoming, type Wanted, wantedHeaders } from "./incoming.ts";
import type { LocalFile } from "./local_files.ts";
import { forEachParallel } from "./parallel.ts";
import type { Progress } from "./progress.ts";
import { fileBody } from "./request_body.ts";
import { Sender } from "./sender.ts";
import type { TransferSettings } from "./transfer_settings.ts";

const SERVICE = "/api/2.0/mlflow-artifacts";
const SERVER_INFO = "/api/3.0/mlflow/server-info";
/** Parts of one file that are sent at a time. */
const PARALLEL_PARTS = 4;

interface Credential {
  readonly url: string;
  readonly part_number: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Moves big files in parts between here and the store behind a tracking server, by addresses that it signs, where the
 * server offers that (one on a local disk does not) and MLflow's variables do not forbid it.
 */
export class ProxyParts {
  readonly #server: () => Promise<HttpClient>;
  readonly #settings: TransferSettings;
  readonly #sender: Sender;
  #offers: Promise<{ readonly uploads: boolean; readonly downloads: boolean }> | undefined;

  constructor(server: () => Promise<HttpClient>, settings: TransferSettings) {
    this.#server = server;
    this.#settings = settings;
    this.#sender = new Sender(settings);
  }

  /**
   * Uploads a file in parts, and says whether it did: false where it is not big enough or the server has no way.
   *
   * @param place the file's path from the root of the server
   */
  async upload(
    { localPath, size }: Pick<LocalFile, "localPath" | "size">,
    place: string,
    progress: Progress,
  ): Promise<boolean> {
    if (size < this.#settings.uploadMinimum || size === 0) return false;
    if (!(this.#settings.proxyMultipartUpload ?? (await this.#ask()).uploads)) return false;
    const server = await this.#server();
    const chunk = Math.max(this.#settings.uploadChunk, Math.ceil(size / 10_000));
    const count = Math.ceil(size / chunk);
    const name = place.slice(place.lastIndexOf("/") + 1);
    const call = async (what: string, json: Record<string, unknown>) =>
      await server.json({
        method: "POST",
        path: `${SERVICE}/mpu/${what}${encode(folderOf(place))}`,
        json: { path: name, ...json },
        signal: what === "abort" ? undefined : progress.signal,
      });
    let created: Readonly<Record<string, unknown>>;
    try {
      created = await call("create", { num_parts: count });
    } catch (error) {
      if (error instanceof MlflowError && error.code === "NOT_IMPLEMENTED") return false;
      throw error;
    }
    const uploadId = created.upload_id;
    const parts: { part_number: number; etag: string; url: string }[] = [];
    try {
      await forEachParallel(created.credentials as Credential[], PARALLEL_PARTS, async (credential) => {
        const start = (credential.part_number - 1) * chunk;
        const end = Math.min(size, start + chunk);
        const response = await this.#sender.send((moved) => ({
          method: "PUT",
          url: credential.url,
          headers: credential.headers ?? {},
          body: fileBody(localPath, start, end, moved),
        }), progress.signal);
        await response.body?.cancel();
        const { part_number, url } = credential;
        parts.push({ part_number, etag: response.headers.get("etag") ?? "", url });
        progress.add(end - start);
      });
      parts.sort((a, b) => a.part_number - b.part_number);
      await call("complete", { upload_id: uploadId, parts });
    } catch (error) {
      // What has come of it is of no use, and the store would charge for it.
      await call("abort", { upload_id: uploadId }).catch(() => {});
      throw error;
    }
    return true;
  }

  /**
   * What gives parts of a big file, many at a time; undefined where the server has no way.
   *
   * @param place the file's path from the root of the server
   */
  async openDownload(place: string): Promise<((wanted: Wanted) => Promise<Incoming>) | undefined> {
    if (!(this.#settings.proxyMultipartDownload ?? (await this.#ask()).downloads)) return undefined;
    const server = await this.#server();
    let signed: Readonly<Record<string, unknown>>;
    try {
      signed = await server.json({ method: "GET", path: `${SERVICE}/presigned${encode(place)}` });
    } catch (error) {
      if (error instanceof MlflowError && (error.status === 404 || error.status === 501)) return undefined;
      throw error;
    }
    const headers = (signed.headers ?? {}) as Readonly<Record<string, string>>;
    return async (wanted) => {
      const request = () => ({
        method: "GET" as const,
        url: String(signed.url),
        headers: { ...headers, ...wantedHeaders(wanted) },
      });
      return incoming(await this.#sender.send(request, wanted.signal));
    };
  }

  async #ask(): Promise<{ readonly uploads: boolean; readonly downloads: boolean }> {
    return await (this.#offers ??= this.#readOffers());
  }

  async #readOffers(): Promise<{ readonly uploads: boolean; readonly downloads: boolean }> {
    try {
      const server = await this.#server();
      const info = await server.json({ method: "GET", path: SERVER_INFO });
      return {
        uploads: info.multipart_uploads_enabled === true,
        downloads: info.multipart_downloads_enabled === true,
      };
    } catch {
      // An older server does not know the question, and offers nothing.
      return { uploads: false, downloads: false };
    }
  }
}

function encode(place: string): string {
  return place === "" ? "" : `/${place.split("/").map(encodeURIComponent).join("/")}`;
}
