import { basename, join } from "@std/path";
import { openArtifacts } from "./artifacts/open_repository.ts";
import type { TransferOptions } from "./artifacts/repository.ts";
import type { FileInfo, Image, ModelVersion } from "./entities.ts";
import { doing, MlflowError } from "./errors.ts";
import type { LoadImageOptions } from "./images.ts";
import { MLMODEL } from "./model/mlmodel.ts";
import { getTrackingUri } from "./tracking/tracking_uri.ts";

/** How artifacts are copied to this machine. */
export interface DownloadOptions extends TransferOptions {
  /** The folder to copy into. @default {a new temporary folder} */
  readonly localDirectory?: string;
}

/** Where artifacts are looked for. */
export interface ArtifactOptions {
  /** The tracking URI, whose store knows the runs and models. @default {the one that `getTrackingUri` gives} */
  readonly trackingUri?: string;
  /** The URI of the registry that knows the registered models. @default {the one in force for the tracking URI} */
  readonly registryUri?: string;
}

/**
 * The files and folders in a folder of artifacts; none for a file or a missing folder.
 *
 * @param uri `runs:/<run id>/<path>`, `models:/m-…/<path>`, `models:/<name>@<alias>/<path>`, or a path or URI as runs have it for their artifacts
 */
export async function listArtifacts(uri: string, options: ArtifactOptions = {}): Promise<FileInfo[]> {
  return await doing(`Cannot list artifacts "${uri}"`, async () => {
    const { repository, path } = await open(uri, options);
    return await repository.list(path);
  });
}

/**
 * Copies a file or folder of artifacts to this machine and gives the path it has there.
 *
 * @param uri `runs:/<run id>/<path>`, `models:/m-…/<path>`, `models:/<name>@<alias>/<path>`, or a path or URI as runs have it for their artifacts
 */
export async function downloadArtifacts(uri: string, options: DownloadOptions & ArtifactOptions = {}): Promise<string> {
  const { localDirectory, trackingUri, registryUri, ...transfer } = options;
  return await doing(`Cannot download artifacts "${uri}"`, async () => {
    const { repository, path, version } = await open(uri, { trackingUri, registryUri });
    const target = join(localDirectory ?? await Deno.makeTempDir({ prefix: "mlflow-" }), basename(path));
    await repository.download(path, target, transfer);
    if (version !== undefined) await describeVersion(version, target);
    return target;
  });
}

/**
 * A text file among artifacts, read as UTF-8.
 *
 * @param uri `runs:/<run id>/<path>`, `models:/m-…/<path>`, `models:/<name>@<alias>/<path>`, or a path or URI as runs have it for their artifacts
 */
export async function loadText(uri: string, options: ArtifactOptions = {}): Promise<string> {
  return decodeText(await read(uri, options));
}

/**
 * A JSON file among artifacts, or a YAML one, which ends in `.yaml` or `.yml`. What cannot be read is `DATA_LOSS`.
 *
 * @param uri `runs:/<run id>/<path>`, `models:/m-…/<path>`, `models:/<name>@<alias>/<path>`, or a path or URI as runs have it for their artifacts
 */
export async function loadDict(uri: string, options: ArtifactOptions = {}): Promise<unknown> {
  return await parseDict(await read(uri, options), uri);
}

/**
 * An image among artifacts: what Python calls `mlflow.artifacts.load_image`, while `loadImage` reads a file.
 *
 * @param uri `runs:/<run id>/<path>`, `models:/m-…/<path>`, `models:/<name>@<alias>/<path>`, or a path or URI as runs have it for their artifacts
 */
export async function loadImageArtifact(uri: string, options: LoadImageOptions & ArtifactOptions = {}): Promise<Image> {
  return await parseImage(await read(uri, options), options);
}

/** The text of a file's bytes. */
export function decodeText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** The value in the bytes of a JSON or YAML file. */
export async function parseDict(bytes: Uint8Array, file: string): Promise<unknown> {
  const text = decodeText(bytes);
  try {
    if (!/\.ya?ml$/i.test(file)) return parseJson(text);
    const { readYaml } = await import("./yaml.ts");
    return readYaml(text);
  } catch (error) {
    throw new MlflowError("DATA_LOSS", `${file} is not readable: ${(error as Error).message}`, { cause: error });
  }
}

/** The image in the bytes of a file. */
export async function parseImage(bytes: Uint8Array, options: LoadImageOptions): Promise<Image> {
  const { loadImage } = await import("./images.ts");
  return await loadImage(bytes, options);
}

/** JSON, and the words for numbers that Python writes into it. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const numbers: Readonly<Record<string, number>> = { NaN, Infinity, "-Infinity": -Infinity };
    // Words in texts stay, outside of them they are numbers: each becomes a text with a mark before it.
    let inText = false;
    const marked = text.replace(/"(?:\\u0001)?|\\.|-?\b(?:NaN|Infinity)\b/gs, (part) => {
      if (part.startsWith('"')) inText = !inText;
      else return inText || part.startsWith("\\") ? part : `"\\u0001${part}"`;
      return inText && part.length > 1 ? '"\\u0001\\u0001' : part;
    });
    if (marked === text) throw error;
    return JSON.parse(marked, (_key, value) => {
      if (typeof value !== "string" || !value.startsWith("\u0001")) return value;
      return numbers[value.slice(1)] ?? value.slice(1);
    });
  }
}

async function read(uri: string, options: ArtifactOptions): Promise<Uint8Array<ArrayBuffer>> {
  return await doing(`Cannot read artifact "${uri}"`, async () => {
    const { repository, path } = await open(uri, options);
    return await repository.read(path);
  });
}

function open(uri: string, options: ArtifactOptions): ReturnType<typeof openArtifacts> {
  const { trackingUri = getTrackingUri(), registryUri } = options;
  return openArtifacts(uri, { trackingUri, registryUri });
}

/** Writes beside a model's description which version it is, as Python's client does. */
async function describeVersion({ name, version }: ModelVersion, folder: string): Promise<void> {
  const found = await Deno.stat(join(folder, MLMODEL)).catch(() => undefined);
  if (!found?.isFile) return;
  const { writeYaml } = await import("./yaml.ts");
  const text = writeYaml({ model_name: name, model_version: String(version) });
  await Deno.writeTextFile(join(folder, "registered_model_meta"), text);
}
