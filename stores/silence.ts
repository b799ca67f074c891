/** Ends a request when the server has been silent for too long. */
export class Silence implements Disposable {
  /** How long the server may be silent, in milliseconds. */
  readonly timeout: number;
  readonly #controller = new AbortController();
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  readonly #outer: AbortSignal | undefined;
  #heardAt = performance.now();
  #timedOut = false;

  /**
   * @param timeout how long the server may be silent, in milliseconds
   * @param outer ends the request too
   */
  constructor(timeout: number, outer: AbortSignal | undefined) {
    this.timeout = timeout;
    this.#outer = outer;
    outer?.throwIfAborted();
    outer?.addEventListener("abort", this.#abort);
    if (Number.isFinite(timeout)) this.#timer = setInterval(() => this.#check(), Math.max(1, timeout / 4));
  }

  /** Ends what it is given to. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether the server was silent for too long. */
  get timedOut(): boolean {
    return this.#timedOut;
  }

  /** The server was heard: the time starts anew. */
  heard(): void {
    this.#heardAt = performance.now();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#outer?.removeEventListener("abort", this.#abort);
  }

  readonly #abort = (): void => this.#controller.abort(this.#outer?.reason);

  #check(): void {
    if (performance.now() - this.#heardAt < this.timeout) return;
    this.#timedOut = true;
    this.#controller.abort(new DOMException(`The server was silent for ${this.timeout} ms`, "TimeoutError"));
  }
}
