/**
 * Writes in the order they were added, one after the other.
 *
 * The first one starts at once: with a store that writes without waiting, a value is there when `add` returns. A write
 * that fails rejects its own promise and does not stop those after it.
 */
export class WriteQueue {
  readonly #waiting: (() => Promise<void>)[] = [];
  #last: Promise<void> = Promise.resolve();
  #busy = false;
  #hurrying = false;

  /** Adds a write and gives its result. */
  add<T>(write: () => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#waiting.push(async () => {
      try {
        resolve(await write());
      } catch (error) {
        reject(error);
      }
    });
    this.#last = promise.then(() => {}, () => {});
    if (this.#hurrying) this.hurry();
    else if (!this.#busy) void this.#drain();
    return promise;
  }

  /** Waits until everything that was added so far has been written or has failed. */
  async flush(): Promise<void> {
    await this.#last;
  }

  /**
   * Starts every write that waits, and later ones, without waiting for those before it: for a program that is ending
   * and has no time left. With a store that writes without waiting, all of them are there when this returns.
   */
  hurry(): void {
    this.#hurrying = true;
    for (const write of this.#waiting.splice(0)) void write();
  }

  async #drain(): Promise<void> {
    this.#busy = true;
    for (let write = this.#waiting.shift(); write !== undefined; write = this.#waiting.shift()) await write();
    this.#busy = false;
  }
}
