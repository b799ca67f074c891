import { MlflowError } from "../errors.ts";
import { random } from "../random.ts";
import { type FailedAttempt, retryDelay } from "../stores/retry.ts";
import { Silence } from "../stores/silence.ts";
import type { SizedBody } from "./request_body.ts";
import type { TransferSettings } from "./transfer_settings.ts";

/** A request that is ready to go: with the address, the headers and the body that it has in the end. */
export interface ReadyRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>> | Headers;
  readonly body?: SizedBody;
}

/** What an answer that is no success means. */
export type ReadRefusal = (response: Response, text: string, url: string) => MlflowError;

/**
 * Sends requests to stores of objects, none of which does harm if it is done twice. Credentials of a tracking server
 * are not sent along. No error holds the query of an address, which may be a signature.
 */
export class Sender {
  readonly #settings: TransferSettings;
  readonly #refusal: ReadRefusal;

  constructor(settings: TransferSettings, refusal: ReadRefusal = readRefusal) {
    this.#settings = settings;
    this.#refusal = refusal;
  }

  /**
   * Sends a request, again where that may help, and gives the answer of a success, its body unread.
   *
   * @param prepare makes the request anew for each time that it is sent; to be told when some of its body is sent
   */
  async send(
    prepare: (moved: () => void) => ReadyRequest | Promise<ReadyRequest>,
    signal?: AbortSignal,
  ): Promise<Response> {
    for (let retries = 0;; retries++) {
      using silence = new Silence(this.#settings.timeout, signal);
      const { url, ...init } = await prepare(() => silence.heard());
      let attempt: FailedAttempt = { status: undefined, retryAfter: null, unsent: false, final: false };
      let failure: MlflowError;
      try {
        const response = await fetch(url, { ...init, signal: silence.signal });
        if (response.ok) return response;
        attempt = { ...attempt, status: response.status, retryAfter: response.headers.get("retry-after") };
        failure = this.#refusal(response, await response.text(), withoutQuery(url));
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof Deno.errors.NotCapable || error instanceof MlflowError) throw error;
        failure = new MlflowError("TEMPORARILY_UNAVAILABLE", `${new URL(url).origin} did not answer`, {
          method: init.method,
          url: withoutQuery(url),
          // The message of fetch's own error holds the whole address.
          cause: new Error(redact(error, url)),
        });
      }
      const wait = retryDelay(attempt, retries, true, {
        policy: this.#settings.retries,
        now: Date.now(),
        random,
      });
      if (wait === undefined) throw failure;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

function withoutQuery(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

function redact(error: unknown, url: string): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(url, withoutQuery(url));
}

function readRefusal({ status }: Response, text: string, url: string): MlflowError {
  const code = status === 404 ? "RESOURCE_DOES_NOT_EXIST" : status === 403 ? "PERMISSION_DENIED" : "INTERNAL_ERROR";
  const reason = `${new URL(url).origin} answered with status ${status}: ${text.replace(/\s+/g, " ").slice(0, 300)}`;
  return new MlflowError(code, reason, { status, url });
}
