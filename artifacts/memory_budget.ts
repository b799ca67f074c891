/** Keeps what many tasks hold in memory at a time below a number of bytes. */
export class MemoryBudget {
  readonly #limit: number;
  #held = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Does work that holds so many bytes when there is room for them. What needs more than all of it is done alone. */
  async holding<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    while (this.#held > 0 && this.#held + bytes > this.#limit) {
      await new Promise<void>((go) => this.#waiting.push(go));
    }
    this.#held += bytes;
    try {
      return await work();
    } finally {
      this.#held -= bytes;
      for (const go of this.#waiting.splice(0)) go();
    }
  }
}
