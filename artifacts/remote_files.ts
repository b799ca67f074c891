import { checkArtifactFile, checkArtifactPath } from "./artifact_path.ts";
import { download, type DownloadSource } from "./download.ts";
import { readFile, streamFile } from "./incoming.ts";
import type { LocalFile } from "./local_files.ts";
import { Progress } from "./progress.ts";
import type { ByteRange, TransferOptions } from "./repository.ts";
import type { TransferSettings } from "./transfer_settings.ts";
import { upload } from "./upload.ts";

/** How files go to a server and come from it, made of the few things in which servers differ. */
export abstract class RemoteFiles {
  /** When files are moved in parts, and what is done when a connection breaks. */
  protected readonly settings: TransferSettings;
  /** Where files come from. */
  protected abstract readonly source: DownloadSource;

  constructor(settings: TransferSettings) {
    this.settings = settings;
  }

  /** Sends bytes, and says of them that they were moved. */
  protected abstract sendBytes(path: string, bytes: Uint8Array<ArrayBuffer>, progress: Progress): Promise<void>;

  /** Sends a stream, and says of its bytes that they were moved. */
  protected abstract sendStream(path: string, content: ReadableStream<Uint8Array>, progress: Progress): Promise<void>;

  /** Sends a file of this machine, and says of its bytes that they were moved. */
  protected abstract sendFile(file: LocalFile, path: string, progress: Progress): Promise<void>;

  async write(
    path: string,
    content: Uint8Array | ReadableStream<Uint8Array>,
    options: TransferOptions = {},
  ): Promise<void> {
    checkArtifactFile(path);
    const progress = new Progress(options, 1, content instanceof Uint8Array ? content.length : undefined);
    if (content instanceof Uint8Array) await this.sendBytes(path, content as Uint8Array<ArrayBuffer>, progress);
    else await this.sendStream(path, content, progress);
    progress.fileDone();
  }

  async upload(localPath: string, path: string, options: TransferOptions = {}): Promise<void> {
    await upload(localPath, path, (file, artifact, progress) => this.sendFile(file, artifact, progress), options);
  }

  async read(path: string): Promise<Uint8Array<ArrayBuffer>> {
    return await readFile(this.source.open, path);
  }

  async stream(path: string, range?: ByteRange): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    return await streamFile(this.source.open, path, range);
  }

  async download(path: string, localPath: string, options: TransferOptions = {}): Promise<void> {
    await download(this.source, checkArtifactPath(path), localPath, this.settings, options);
  }
}
