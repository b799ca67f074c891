/**
 * Writes in the order they were added, one after the other.
 *
 * The first one starts at once: with a store that writes without waiting, a value is there when `add` returns. A write
 * that fails rejects its own promise and does not stop those after it.
 */
export class WriteQueue {
  #last: Promise<void> | undefined;

  /** Adds a write and gives its result. */
  add<T>(write: () => Promise<T>): Promise<T> {
    const result = this.#last === undefined ? write() : this.#last.then(write);
    const settled = result.then(() => {}, () => {}).then(() => {
      if (this.#last === settled) this.#last = undefined;
    });
    this.#last = settled;
    return result;
  }

  /** Waits until everything that was added so far has been written or has failed. */
  async flush(): Promise<void> {
    await this.#last;
  }
}
