/** How long a system waits before it acknowledges what it has nothing to say to, in milliseconds: Linux 40, others more. */
const DELAYED_ACK = { least: 35, most: 250 };
/** So many answers in a row tell the server from a busy moment. */
const ENOUGH = 2;

/** The largest body, in bytes, that a server sends in one piece, and so may hold back. */
export const ONE_PIECE: number = 64 * 1024;

/**
 * Finds out whether a server answers slowly on connections that are kept. One that writes the head and the body of an
 * answer apart, and leaves Nagle's algorithm on, holds a small body back until the head is acknowledged, which systems
 * do at once on new connections alone, and later after 40 ms. MLflow's own server is of that kind with more than one
 * worker, its default. A new connection for each request is far quicker there, but for TLS, which greets for long.
 */
export class ConnectionReuse {
  readonly #encrypted: boolean;
  #heldBack = 0;

  /** @param url the server's URL */
  constructor(url: string) {
    this.#encrypted = url.startsWith("https:");
  }

  /** Whether the next request is better sent without keeping its connection. */
  get isSlow(): boolean {
    return this.#heldBack >= ENOUGH;
  }

  /**
   * Tells of an answer.
   *
   * @param wait how long after its head the body came, in milliseconds
   */
  answered(wait: number): void {
    if (this.#encrypted || this.isSlow) return;
    this.#heldBack = wait >= DELAYED_ACK.least && wait <= DELAYED_ACK.most ? this.#heldBack + 1 : 0;
  }
}
