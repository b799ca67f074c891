import { MlflowError } from "../errors.ts";
import type { Checksum } from "./checksum.ts";
import { readable } from "./mlmodel.ts";
import { cut, type Pieces, sizeOf } from "./pieces.ts";
import type { ModelArtifactsLike } from "./tfjs_model.ts";

/** A file of a model. */
export interface ModelFile {
  readonly path: string;
  readonly pieces: Pieces;
}

/** The file that tfjs loads a model by. */
export const TOPOLOGY = "model.json";

/**
 * Bytes of weights in a file at most.
 *
 * tfjs cuts weights into files of 4 MB for browsers' caches. Here each file costs a request, and one that is damaged is
 * read to its end before it is found out; several of this size go side by side.
 */
const SHARD_SIZE = 64 * 1024 ** 2;

/**
 * The files that keep a model as tfjs does: its topology, and its weights as views of the memory that they are in.
 *
 * @param checksum what makes the checksums that the topology keeps of the weights, where nothing else keeps them
 */
export function tfjsFiles(artifacts: ModelArtifactsLike, checksum?: (pieces: Pieces) => Checksum): ModelFile[] {
  const { weightSpecs = [], weightData, ...description } = artifacts;
  const weights = weightPieces(weightData);
  const size = sizeOf(weights);
  const count = Math.max(1, Math.ceil(size / SHARD_SIZE));
  const shards = Array.from({ length: count }, (_, i): ModelFile => ({
    path: count === 1 ? "weights.bin" : `weights-${number(i + 1)}-of-${number(count)}.bin`,
    pieces: cut(weights, i * SHARD_SIZE, (i + 1) * SHARD_SIZE),
  }));
  const group = {
    paths: shards.map(({ path }) => path),
    weights: weightSpecs,
    ...(checksum === undefined ? {} : { checksums: shards.map(({ pieces }) => checksum(pieces)) }),
  };
  const json = { ...description, weightsManifest: [group] };
  return [{ path: TOPOLOGY, pieces: [new TextEncoder().encode(JSON.stringify(json))] }, ...shards];
}

/** The bytes of a model's weights. */
export function weightPieces(data: ModelArtifactsLike["weightData"] = []): Uint8Array[] {
  return (data instanceof ArrayBuffer ? [data] : data).map((buffer) => new Uint8Array(buffer));
}

/** What `tf.loadLayersModel` and `tf.loadGraphModel` load, from the files that {@linkcode tfjsFiles} has made. */
export async function readTfjsFiles(
  read: (path: string) => Promise<Uint8Array<ArrayBuffer>>,
): Promise<ModelArtifactsLike> {
  const text = new TextDecoder().decode(await read(TOPOLOGY));
  const { weightsManifest, ...description } = readable(TOPOLOGY, () => JSON.parse(text) ?? {});
  const groups = readable(TOPOLOGY, () => {
    if (!Array.isArray(weightsManifest)) throw new TypeError("it has no weightsManifest");
    const isGroup = (group: unknown) =>
      ["paths", "weights"].every((key) => Array.isArray((group as Readonly<Record<string, unknown>> | null)?.[key]));
    if (!weightsManifest.every(isGroup)) {
      throw new TypeError("a part of its weightsManifest has no paths or no weights");
    }
    return weightsManifest as WeightGroup[];
  });
  const files = await Promise.all(groups.flatMap(({ paths, checksums = [] }) =>
    paths.map(async (path, i) => {
      const bytes = await read(path);
      if (checksums[i] === undefined) return bytes;
      const { checkFile } = await import("./checksum.ts");
      checkFile(path, bytes, checksums[i]);
      return bytes;
    })
  ));
  const weightSpecs = groups.flatMap(({ weights }) => weights);
  checkSize(weightSpecs, sizeOf(files));
  return { ...description, weightSpecs, weightData: files.map(bufferOf) };
}

interface WeightGroup {
  readonly paths: readonly string[];
  readonly weights: readonly WeightSpec[];
  readonly checksums?: readonly Checksum[];
}

interface WeightSpec {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly quantization?: unknown;
}

const BYTES: Readonly<Record<string, number>> = { float32: 4, int32: 4, bool: 1, complex64: 8 };

/** tfjs would fill missing weights up, or say nothing of the names of files. */
function checkSize(specs: readonly WeightSpec[], found: number): void {
  // Of texts and of numbers that were made smaller, the sizes are not told.
  if (specs.some(({ dtype, quantization }) => BYTES[dtype] === undefined || quantization !== undefined)) return;
  const wanted = specs.reduce((sum, { dtype, shape }) => sum + shape.reduce((a, b) => a * b, BYTES[dtype]), 0);
  if (found === wanted) return;
  throw new MlflowError("DATA_LOSS", `the weights are ${found} bytes long, ${TOPOLOGY} tells of ${wanted}`);
}

function bufferOf(bytes: Uint8Array<ArrayBuffer>): ArrayBuffer {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer;
}

function number(value: number): string {
  return `${value}`.padStart(5, "0");
}
