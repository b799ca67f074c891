import { setTimeout } from "node:timers/promises";
import { readBooleanEnv, readEnv } from "../env.ts";
import { MlflowError } from "../errors.ts";
import { random } from "../random.ts";
import type { RetryPolicy } from "./retry.ts";
import type { Fetch } from "./tls_fetch.ts";

/** How requests are sent; what is left out is taken from MLflow's environment variables, with MLflow's defaults. */
export interface HttpOptions {
  /** How long the server may be silent, in milliseconds. @default {120_000, or `MLFLOW_HTTP_REQUEST_TIMEOUT`} */
  readonly timeout?: number;
  /** How often a request is sent again. @default {7, or `MLFLOW_HTTP_REQUEST_MAX_RETRIES`} */
  readonly maxRetries?: number;
  /** Whether redirections are followed. @default {true, or `MLFLOW_ALLOW_HTTP_REDIRECTS`} */
  readonly allowRedirects?: boolean;
  /**
   * Whose credentials are sent: those for the tracking server, which the variables, the file and the URL give, or those
   * that the URL itself has, if any. @default {"tracking"}
   */
  readonly credentials?: "tracking" | "url";
  /** Sends a request. @default {the global `fetch`, with the certificates that the variables name} */
  readonly fetch?: Fetch;
  /** Waits this many milliseconds before a request is sent again, or until it is told to end. */
  readonly delay?: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** The time, in milliseconds since the Unix epoch. @default {Date.now} */
  readonly now?: () => number;
  /** A number from 0 to 1, not 1 itself. @default {crypto.getRandomValues} */
  readonly random?: () => number;
}

/** How requests are sent, with nothing left to be filled in. */
export interface HttpSettings extends RetryPolicy {
  readonly credentials: "tracking" | "url";
  readonly timeout: number;
  readonly allowRedirects: boolean;
  readonly delay: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly now: () => number;
  readonly random: () => number;
}

/** MLflow's limits to what its variables may ask for. */
const MAX_RETRIES_LIMIT = 10;
const MAX_BACKOFF_FACTOR = 120;

/** Fills in what is left out from MLflow's environment variables. */
export function normalizeHttpOptions(options: HttpOptions): HttpSettings {
  return {
    credentials: options.credentials ?? "tracking",
    timeout: options.timeout ?? readNumber("MLFLOW_HTTP_REQUEST_TIMEOUT", 120, Infinity) * 1000,
    maxRetries: options.maxRetries ?? readNumber("MLFLOW_HTTP_REQUEST_MAX_RETRIES", 7, MAX_RETRIES_LIMIT),
    backoffFactor: readNumber("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", 2, MAX_BACKOFF_FACTOR) * 1000,
    backoffJitter: readNumber("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", 1, Infinity) * 1000,
    respectRetryAfter: readBooleanEnv("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", true),
    allowRedirects: options.allowRedirects ?? readBooleanEnv("MLFLOW_ALLOW_HTTP_REDIRECTS", true),
    delay: options.delay ?? ((ms, signal) => setTimeout(ms, undefined, { signal })),
    now: options.now ?? Date.now,
    random: options.random ?? random,
  };
}

function readNumber(name: string, missing: number, limit: number): number {
  const text = readEnv(name);
  if (text === undefined) return missing;
  const number = Number(text);
  if (!(number >= 0 && number <= limit)) {
    const most = limit === Infinity ? "" : ` and at most ${limit}`;
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `${name} must be a number of at least 0${most}: received "${text}"`,
    );
  }
  return number;
}
