/** Files that are moved at a time. */
export const PARALLEL_FILES = 8;

/**
 * Works on items, `limit` at a time. After a failure no more are begun; it is thrown when those under way have ended.
 */
export async function forEachParallel<T>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const underWay = new Set<Promise<void>>();
  const errors: unknown[] = [];
  try {
    for await (const item of items) {
      const task = work(item).catch((error) => void errors.push(error)).finally(() => underWay.delete(task));
      underWay.add(task);
      if (underWay.size >= limit) await Promise.race(underWay);
      if (errors.length > 0) break;
    }
  } finally {
    await Promise.all(underWay);
  }
  if (errors.length > 0) throw errors[0];
}
