/** How often and when a request is sent again. */
export interface RetryPolicy {
  /** How often a request is sent again at most. */
  readonly maxRetries: number;
  /** The factor of the exponential wait, in milliseconds. */
  readonly backoffFactor: number;
  /** The most that is added to a wait by chance, in milliseconds. */
  readonly backoffJitter: number;
  /** Whether the server's own word on when to come again is followed. */
  readonly respectRetryAfter: boolean;
}

/** How one sending of a request ended without success. */
export interface FailedAttempt {
  /** The status of the answer; undefined if none came. */
  readonly status: number | undefined;
  /** The header `Retry-After` of the answer. */
  readonly retryAfter: string | null;
  /** Whether the request surely did nothing at the server: no connection came about, or it was turned away unread. */
  readonly unsent: boolean;
  /** Whether sending it again cannot help: a certificate that is not trusted, a refusal that stays. */
  readonly final: boolean;
}

/** The statuses after which MLflow's client sends a request again. */
const TRANSIENT_STATUSES: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);
/** The longest wait that grows from the policy, in milliseconds, as in MLflow. */
const LONGEST_BACKOFF = 120_000;
/** The longest wait that a server can ask for, in milliseconds: beyond it the request fails at once. */
const LONGEST_RETRY_AFTER = 600_000;

/**
 * How long to wait before a request is sent again, in milliseconds; undefined: not again.
 *
 * @param attempt how the last sending ended
 * @param retries how often it was sent again already
 * @param repeatable whether it may be done twice. If not, it is sent again only when it surely did nothing.
 */
export function retryDelay(
  attempt: FailedAttempt,
  retries: number,
  repeatable: boolean,
  { policy, now, random }: { readonly policy: RetryPolicy; readonly now: number; readonly random: () => number },
): number | undefined {
  if (attempt.final || retries >= policy.maxRetries) return undefined;
  if (attempt.status !== undefined && !TRANSIENT_STATUSES.has(attempt.status)) return undefined;
  if (!repeatable && !attempt.unsent) return undefined;
  if (policy.respectRetryAfter && attempt.retryAfter !== null) {
    const asked = parseRetryAfter(attempt.retryAfter, now);
    if (asked !== undefined) return asked <= LONGEST_RETRY_AFTER ? asked : undefined;
  }
  // MLflow's first repetition does not wait: most of what fails once is a connection that the server had closed.
  const backoff = retries === 0 ? 0 : policy.backoffFactor * 2 ** retries;
  return Math.min(LONGEST_BACKOFF, backoff + random() * policy.backoffJitter);
}

/** The wait that a `Retry-After` header asks for, in milliseconds: it holds seconds or a date (RFC 9110, 10.2.3). */
export function parseRetryAfter(header: string, now: number): number | undefined {
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
