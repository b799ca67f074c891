/** A `tf.data.Dataset`, as far as tfjs's training uses it. */
export interface Batches {
  /** Batches in it; null where that is not known. */
  readonly size: number | null;
  iterator(): Promise<BatchIterator>;
}

interface BatchIterator {
  next(): Promise<{ readonly value: unknown; readonly done: boolean }>;
}

/** Whether what a training was given is a dataset. */
export function isBatches(given: unknown): given is Batches {
  return typeof (given as Partial<Batches> | null | undefined)?.iterator === "function";
}

/**
 * A dataset whose first batch is shown to `look` as it passes. It is never read for that alone: a dataset may be a
 * program of the user's, with a state and random numbers that a second reading would move on.
 */
export function watched(batches: Batches, look: (batch: unknown) => void): Batches {
  let seen = false;
  return {
    size: batches.size,
    iterator: async () => {
      const iterator = await batches.iterator();
      return {
        next: async () => {
          const result = await iterator.next();
          if (!seen && result.value !== null && result.value !== undefined) {
            seen = true;
            look(result.value);
          }
          return result;
        },
      };
    },
  };
}
