import type { RandomState } from "./random_state.ts";

/** An image of a dataset: where its pixels come from, and its class. */
export interface Sample {
  readonly label: number;
  /** Its pixels: kept ones, or read and decoded again. */
  pixels(): Promise<Uint8Array | Float32Array> | Uint8Array | Float32Array;
}

/** A batch before it becomes tensors. */
export interface Batch {
  /** Pixels of all images, one after the other. */
  readonly pixels: Float32Array<ArrayBuffer>;
  readonly labels: readonly number[];
}

/** What `batches` is told. */
export interface BatchesOptions {
  readonly batchSize: number;
  /** Values an image. */
  readonly imageLength: number;
  /** Puts the samples in a new order, drawn when the first batch is asked for; `undefined`: as they are. */
  readonly random: RandomState | undefined;
  /** Called once at the end, however it comes. */
  readonly onEnd: () => void;
}

/** One pass over the samples. The next batch is read while the caller works on this one. */
export async function* batches(
  samples: readonly Sample[],
  { batchSize, imageLength, random, onEnd }: BatchesOptions,
): AsyncGenerator<Batch, void, void> {
  // Not before the first batch is asked for: `fitDataset` asks for one iterator that it never reads.
  const order = [...samples];
  random?.shuffle(order);
  const read = async (start: number): Promise<Batch> => {
    const part = order.slice(start, start + batchSize);
    const pixels = new Float32Array(part.length * imageLength);
    await Promise.all(part.map(async (sample, i) => {
      const values = sample.pixels();
      pixels.set(values instanceof Promise ? await values : values, i * imageLength);
    }));
    return { pixels, labels: part.map(({ label }) => label) };
  };
  try {
    let next = read(0);
    for (let start = batchSize; start < order.length; start += batchSize) {
      const batch = await next;
      next = read(start);
      // It is awaited in the next turn; without this an error before that would end the process.
      next.catch(() => {});
      yield batch;
    }
    yield await next;
  } finally {
    onEnd();
  }
}
