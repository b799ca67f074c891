import { dirname, join } from "@std/path";
import type { FileInfo } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import { checkArtifactPath } from "../validate.ts";
import type { ArtifactRepository } from "./repository.ts";

/** The names that files have until they are complete. */
const UNFINISHED = /^\.[\da-f-]{36}\.part$/;

/** Artifacts in a folder of this machine. */
export class LocalRepository implements ArtifactRepository {
  readonly #root: string;

  /** @param root the folder, which is made at the first write */
  constructor(root: string) {
    this.#root = root;
  }

  async write(path: string, content: Uint8Array | ReadableStream<Uint8Array>): Promise<void> {
    await this.#replace(path, (temporary) => Deno.writeFile(temporary, content));
  }

  async upload(localFile: string, path: string): Promise<void> {
    await this.#replace(path, (temporary) => Deno.copyFile(localFile, temporary));
  }

  async read(path: string): Promise<Uint8Array<ArrayBuffer>> {
    return await this.#found(path, () => Deno.readFile(this.#local(path)));
  }

  async list(path = ""): Promise<FileInfo[]> {
    const files: FileInfo[] = [];
    const folder = this.#local(path);
    try {
      for await (const { name } of Deno.readDir(folder)) {
        if (UNFINISHED.test(name)) continue;
        const info = await stat(join(folder, name));
        // A file that has just been removed, or a link that leads nowhere.
        if (info === undefined) continue;
        const { isDirectory, size } = info;
        files.push({
          path: path === "" ? name : `${path}/${name}`,
          isDir: isDirectory,
          fileSize: isDirectory ? undefined : size,
        });
      }
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    return files.sort((a, b) => a.path < b.path ? -1 : 1);
  }

  async download(path: string, localPath: string): Promise<void> {
    const { isDirectory } = await this.#found(path, () => Deno.stat(this.#local(path)));
    if (!isDirectory) {
      await Deno.mkdir(dirname(localPath), { recursive: true });
      await Deno.copyFile(this.#local(path), localPath);
      return;
    }
    await Deno.mkdir(localPath, { recursive: true });
    for (const file of await this.list(path)) {
      await this.download(file.path, join(localPath, file.path.slice(path === "" ? 0 : path.length + 1)));
    }
  }

  async delete(path: string): Promise<void> {
    await this.#found(path, () => Deno.remove(this.#local(path), { recursive: true }));
  }

  #local(path: string): string {
    return join(this.#root, checkArtifactPath(path));
  }

  /** Writes beside the file and moves it into place, so that nobody ever reads half a file. */
  async #replace(path: string, fill: (temporary: string) => Promise<void>): Promise<void> {
    const target = this.#local(path);
    if (path === "") {
      throw new MlflowError("INVALID_PARAMETER_VALUE", "Invalid artifact path: ''. A file name is wanted");
    }
    await Deno.mkdir(dirname(target), { recursive: true });
    const temporary = join(dirname(target), `.${crypto.randomUUID()}.part`);
    try {
      await fill(temporary);
      await Deno.rename(temporary, target);
    } catch (error) {
      await Deno.remove(temporary).catch(() => {});
      throw error;
    }
  }

  async #found<T>(path: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof Deno.errors.IsADirectory) {
        throw new MlflowError("INVALID_PARAMETER_VALUE", `'${path}' in ${this.#root} is a folder, a file is wanted`, {
          cause: error,
        });
      }
      if (!isMissing(error)) throw error;
      throw new MlflowError("RESOURCE_DOES_NOT_EXIST", `No such artifact: '${path}' in ${this.#root}`, {
        cause: error,
      });
    }
  }
}

async function stat(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** Whether nothing is at a path, also because a file is where one of its folders would be. */
function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}
