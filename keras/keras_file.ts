import { hdf5File } from "./hdf5.ts";
import { modelConfig } from "./model_config.ts";
import { type ModelLike, NotInKeras } from "./tfjs_model.ts";
import { weightGroups, type WeightReader } from "./weights.ts";
import { MAX_ZIP_SIZE, totalSize, zipFile } from "./zip.ts";

/** The release of Keras whose files are written; 3.8 and later open all of them, 3.4 most. */
export const KERAS_VERSION = "3.15.1";

/** A `.keras` file. */
export interface KerasFile {
  /** Its bytes, in pieces that follow one another. */
  readonly pieces: Uint8Array[];
  /** What the model's inputs are called in it. */
  readonly inputNames: readonly string[];
}

/**
 * A tfjs layers model as a `.keras` file of Keras 3.
 *
 * Keras predicts from it what tfjs predicts, to rounding. It is not compiled.
 *
 * @param read gives the values of a weight; they become part of the pieces, without a copy
 * @throws {NotInKeras} naming the layer that Keras does not have or computes otherwise
 */
export function kerasFile(model: ModelLike, read: WeightReader): KerasFile {
  const { config, inputNames } = modelConfig(model);
  const weights = hdf5File(weightGroups(model, read));
  if (totalSize(weights) > MAX_ZIP_SIZE - 2 ** 24) {
    const gigabytes = (totalSize(weights) / 2 ** 30).toFixed(1);
    throw new NotInKeras(`its weights are ${gigabytes} GiB, a Keras file holds 4 GiB`);
  }
  const date = new Date().toISOString().slice(0, 19).replace("T", "@");
  const pieces = zipFile([
    { name: "metadata.json", pieces: [json({ keras_version: KERAS_VERSION, date_saved: date })] },
    { name: "config.json", pieces: [json(config)] },
    { name: "model.weights.h5", pieces: weights },
  ]);
  return { pieces, inputNames };
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
