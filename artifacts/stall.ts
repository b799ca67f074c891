/** Ends a transfer in which nothing has moved for too long. */
export class StallWatch implements Disposable {
  readonly #timeout: number;
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  #movedAt = performance.now();

  /**
   * @param timeout how long nothing may move, in milliseconds
   * @param outer what else ends the transfer
   */
  constructor(timeout: number, outer: AbortSignal | undefined) {
    this.#timeout = timeout;
    this.#outer = outer;
    outer?.throwIfAborted();
    outer?.addEventListener("abort", this.#abort);
    if (Number.isFinite(timeout)) this.#timer = setInterval(() => this.#check(), Math.max(1, timeout / 4));
  }

  /** Tells that the transfer has ended. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Bytes have moved: the time starts anew. */
  moved(): void {
    this.#movedAt = performance.now();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#outer?.removeEventListener("abort", this.#abort);
  }

  readonly #abort = (): void => this.#controller.abort(this.#outer?.reason);

  #check(): void {
    if (performance.now() - this.#movedAt < this.#timeout) return;
    this.#controller.abort(new DOMException(`Nothing has moved for ${this.#timeout} ms`, "TimeoutError"));
  }
}
