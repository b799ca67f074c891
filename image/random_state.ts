/**
 * The generator behind NumPy's `numpy.random.RandomState` (MT19937), as far as shuffling needs it: the same seed puts
 * a list in the same order, so that a split made here is the split that Keras makes.
 */
export class RandomState {
  readonly #state: Uint32Array = new Uint32Array(624);
  #at = 624;

  /** @param seed a whole number from 0 to 4,294,967,295 */
  constructor(seed: number) {
    this.#state[0] = seed;
    for (let i = 1; i < 624; i++) {
      const previous = this.#state[i - 1];
      this.#state[i] = Math.imul(1812433253, previous ^ previous >>> 30) + i;
    }
  }

  /** Puts the items in a random order, in place. */
  shuffle<T>(items: T[]): void {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.#upTo(i);
      [items[i], items[j]] = [items[j], items[i]];
    }
  }

  /** A whole number from 0 to `max`, by NumPy's rejection under a mask. */
  #upTo(max: number): number {
    const mask = 0xffffffff >>> Math.clz32(max);
    for (;;) {
      const value = (this.#next() & mask) >>> 0;
      if (value <= max) return value;
    }
  }

  #next(): number {
    if (this.#at === 624) this.#twist();
    let y = this.#state[this.#at++];
    y ^= y >>> 11;
    y ^= y << 7 & 0x9d2c5680;
    y ^= y << 15 & 0xefc60000;
    return (y ^ y >>> 18) >>> 0;
  }

  #twist(): void {
    const state = this.#state;
    for (let i = 0; i < 624; i++) {
      const y = state[i] & 0x80000000 | state[(i + 1) % 624] & 0x7fffffff;
      state[i] = state[(i + 397) % 624] ^ y >>> 1 ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.#at = 0;
  }
}
