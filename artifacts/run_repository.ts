import type { FileInfo } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import { byPath, inFolder, notThere } from "./artifact_path.ts";
import type { ArtifactRepository, ArtifactStat, ByteRange, TransferOptions } from "./repository.ts";

/** Gives the files of the model of a name that a run has put out, or undefined. */
export type FindModel = (name: string) => Promise<ArtifactRepository | undefined>;

/** A path in a model, and the model's files. */
interface InModel {
  readonly files: ArtifactRepository;
  readonly name: string;
  readonly path: string;
}

/**
 * The artifacts of a run, and in folders of their names, which the root does not list, the files of the models that it
 * has put out. As in MLflow, what both have is taken from the model; what is written goes to the run.
 */
export class RunRepository implements ArtifactRepository {
  readonly #own: ArtifactRepository;
  readonly #findModel: FindModel;

  constructor(own: ArtifactRepository, findModel: FindModel) {
    this.#own = own;
    this.#findModel = findModel;
  }

  async write(
    path: string,
    content: Uint8Array | ReadableStream<Uint8Array>,
    options?: TransferOptions,
  ): Promise<void> {
    await this.#own.write(path, content, options);
  }

  async upload(localPath: string, path: string, options?: TransferOptions): Promise<void> {
    await this.#own.upload(localPath, path, options);
  }

  async read(path: string): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#first(path, (files, path) => files.read(path));
  }

  async stream(path: string, range?: ByteRange): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    return await this.#first(path, (files, path) => files.stream(path, range));
  }

  async stat(path: string): Promise<ArtifactStat | undefined> {
    const model = await this.#inModel(path);
    const found = await model?.files.stat(model.path);
    return found === undefined ? await this.#own.stat(path) : { ...found, path };
  }

  async list(path = ""): Promise<FileInfo[]> {
    const model = await this.#inModel(path);
    const own = await this.#own.list(path);
    if (model === undefined) return own;
    const listed = (await model.files.list(model.path)).map((info) => ({
      ...info,
      path: inFolder(model.name, info.path),
    }));
    const paths = new Set(listed.map((info) => info.path));
    return [...own.filter((info) => !paths.has(info.path)), ...listed].sort(byPath);
  }

  async download(path: string, localPath: string, options?: TransferOptions): Promise<void> {
    const model = await this.#inModel(path);
    if (model === undefined) return await this.#own.download(path, localPath, options);
    const [own, found] = [await this.#own.stat(path), await model.files.stat(model.path)];
    if (own === undefined && found === undefined) throw notThere(path);
    if (own !== undefined) await this.#own.download(path, localPath, options);
    if (found !== undefined) await model.files.download(model.path, localPath, options);
  }

  async delete(path: string): Promise<void> {
    await this.#own.delete(path);
  }

  /** What the model has of a path, or else the run. */
  async #first<T>(path: string, get: (files: ArtifactRepository, path: string) => Promise<T>): Promise<T> {
    const model = await this.#inModel(path);
    if (model === undefined || model.path === "") return await get(this.#own, path);
    try {
      return await get(model.files, model.path);
    } catch (error) {
      if (!(error instanceof MlflowError && error.code === "RESOURCE_DOES_NOT_EXIST")) throw error;
      return await get(this.#own, path);
    }
  }

  async #inModel(path: string): Promise<InModel | undefined> {
    const [name, ...rest] = path.split("/");
    const files = name === "" ? undefined : await this.#findModel(name);
    return files && { files, name, path: rest.join("/") };
  }
}
