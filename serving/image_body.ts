import { MlflowError } from "../errors.ts";
import { loadImage } from "../images.ts";
import type { TensorSpec, TensorValues } from "../signature.ts";
import { isTensorSchema, type Schema } from "../signature.ts";
import type { Inputs } from "./inputs.ts";

/** What is most probable, of a model that tells classes apart. */
export interface Classification {
  /** The class's place among the model's outputs. */
  readonly index: number;
  /** Its name, where it is known. */
  readonly name?: string;
  /** What the model gives for it. */
  readonly score: number;
}

/** Reads a picture as the model's one input: of the size and channels that it takes, values from 0 to 255. */
export async function readImage(bytes: Uint8Array, specs: Schema): Promise<Inputs> {
  const { shape, dtype } = pictureSpec(specs);
  const [, height, width, channels] = shape;
  const imageSize = height === -1 || width === -1 ? undefined : [height, width] as const;
  const colorMode = channels === 1 ? "grayscale" : channels === 4 ? "rgba" : "rgb";
  let image;
  try {
    image = await loadImage(bytes, { imageSize, colorMode });
  } catch (cause) {
    throw new MlflowError("BAD_REQUEST", `Invalid input. ${(cause as Error).message}`, { cause });
  }
  const isWhole = !/^float/.test(dtype);
  const values = isWhole ? Int32Array.from(image.data, Math.round) : Float32Array.from(image.data);
  const tensor: TensorValues = {
    shape: [1, image.height, image.width, image.channels],
    dtype: isWhole ? "int32" : "float32",
    values,
  };
  return { tensors: [tensor], count: 1 };
}

/** The class of each example, where a model gives a score for each of at least two classes. */
export function classify(
  outputs: readonly TensorValues[],
  names: readonly string[] = [],
): Classification[] | undefined {
  const [{ shape, values }] = outputs;
  if (outputs.length !== 1 || shape.length !== 2 || shape[1] < 2) return undefined;
  return Array.from({ length: shape[0] }, (_, row) => {
    const scores = values.slice(row * shape[1], (row + 1) * shape[1]) as Float32Array;
    const index = scores.indexOf(scores.reduce((most, score) => Math.max(most, score)));
    const name = names[index];
    return { index, ...(name === undefined ? {} : { name }), score: scores[index] };
  });
}

function pictureSpec(specs: Schema): TensorSpec {
  if (isTensorSchema(specs) && specs.length === 1) {
    const [spec] = specs;
    const [open, , , channels] = spec.shape;
    if (spec.shape.length === 4 && (open === -1 || open === 1) && [1, 3, 4].includes(channels)) return spec;
  }
  throw new MlflowError(
    "INVALID_PARAMETER_VALUE",
    "the model takes no picture: its one input must be of the shape (-1, height, width, 1, 3 or 4 channels)",
  );
}
