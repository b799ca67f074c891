import { MemoryBudget } from "./memory_budget.ts";

/** Files that are moved at a time on one machine, and requests that are under way for listings. */
export const PARALLEL_FILES = 8;
/** Small files that are moved over a network at a time: most of that time is waiting for an answer. */
const PARALLEL_SMALL = 24;
/** What counts as the memory that a big file takes, in bytes, so that eight of them are moved at a time. */
const BIG = 2 * 1024 ** 2;

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

/** Moves files over a network: many small ones at a time, and few big ones. */
export async function forEachFile<T>(
  files: Iterable<T>,
  sizeOf: (file: T) => number | undefined,
  work: (file: T) => Promise<void>,
): Promise<void> {
  const budget = new MemoryBudget(PARALLEL_FILES * BIG);
  await forEachParallel(files, PARALLEL_SMALL, async (file) => {
    await budget.holding(Math.min(BIG, sizeOf(file) ?? BIG), () => work(file));
  });
}
