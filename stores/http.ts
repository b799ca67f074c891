import { readEnv } from "../env.ts";
import { type ErrorCode, MlflowError } from "../errors.ts";
import { ConnectionReuse, ONE_PIECE } from "./connection_reuse.ts";
import { type Credentials, credentialsInUrl, readCredentials } from "./credentials.ts";
import { explainFetchError } from "./fetch_error.ts";
import { type HttpOptions, type HttpSettings, normalizeHttpOptions } from "./http_settings.ts";
import { percentEncode } from "./percent_encoding.ts";
import { type FailedAttempt, retryDelay } from "./retry.ts";
import { Silence } from "./silence.ts";
import { type Fetch, openSender, readTlsOptions, type Sender } from "./tls_fetch.ts";
import { codeOfStatus, isJson, type Json, readError } from "./wire.ts";

export type { HttpOptions } from "./http_settings.ts";

/** One request to a server. */
export interface HttpRequest {
  /** The method. */
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** The path below the server's URL, from its slash, such as `/api/2.0/mlflow/runs/get`. */
  readonly path: string;
  /** What is asked for: a list repeats its name, and what is undefined is left out. */
  readonly query?: Readonly<Record<string, string | number | readonly string[] | undefined>>;
  /** An object to send as JSON; what is undefined in it is left out. */
  readonly json?: Json;
  /** A body that is not JSON, made anew for each time that the request is sent. */
  readonly body?: () => BodyInit | Promise<BodyInit>;
  /** Further headers. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Whether it does no harm if it is done twice. One that does is sent again only when it surely did nothing.
   * @default {true but for `POST`}
   */
  readonly repeatable?: boolean;
  /** Whether what it removes or brings back may be done already when it is sent again, which is then no error. */
  readonly doneIfMissing?: boolean;
  /** What the reply must have: an object of this name. */
  readonly wants?: string;
  /** How long the server may be silent, in milliseconds. @default {the client's} */
  readonly timeout?: number;
  /** Ends the request. */
  readonly signal?: AbortSignal;
}

const MAX_REDIRECTS = 10;
/** The headers that are for the server itself alone: what authorizes us, by whichever way. */
const OWN_HEADERS = ["authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];
const WORKSPACE_HEADER = "X-MLFLOW-WORKSPACE";
const USER_AGENT = "mlflow-deno";
const decoder = new TextDecoder();

/**
 * Sends requests to one MLflow server: the one place that knows its address, its credentials, how long to wait and what
 * may be sent again. No message and no error that comes from here holds a password, a token or a header's value.
 */
export class HttpClient implements Disposable {
  /** The server's URL, without a name and password and without a slash at its end. */
  readonly url: string;
  readonly #credentials: Credentials;
  readonly #withheld: string;
  readonly #settings: HttpSettings;
  readonly #fetch: Fetch;
  readonly #sender: Sender | undefined;
  readonly #workspace: string | undefined;
  readonly #reuse: ConnectionReuse;

  private constructor(url: string, credentials: Credentials, settings: HttpSettings, fetch: Fetch, sender?: Sender) {
    this.url = url;
    this.#credentials = credentials;
    this.#settings = settings;
    this.#fetch = fetch;
    this.#sender = sender;
    this.#workspace = readEnv("MLFLOW_WORKSPACE");
    // Who is refused for want of credentials has them perhaps, and wonders.
    this.#withheld = settings.credentials === "url" && credentials.authorization === undefined
      ? `: the credentials of the tracking server are not sent to ${new URL(url).host}, which is another host`
      : "";
    this.#reuse = new ConnectionReuse(url);
  }

  /**
   * Makes ready to send to a server; nothing is sent yet.
   *
   * @param uri its URL, with a path if it has one, and with `user:password@` if that is how it knows us
   */
  static async open(uri: string, options: HttpOptions = {}): Promise<HttpClient> {
    const url = parseUrl(uri);
    const credentials = options.credentials === "url" ? credentialsInUrl(url) : await readCredentials(url);
    const settings = normalizeHttpOptions(options);
    url.username =
      url.password =
      url.search =
      url.hash =
        "";
    const sender = options.fetch === undefined ? await openSender(readTlsOptions()) : undefined;
    const base = url.href.replace(/\/+$/, "");
    return new HttpClient(base, credentials, settings, options.fetch ?? sender!.fetch, sender);
  }

  /** Sends a request and gives the object that the server replies with, an empty one if the reply is empty. */
  async json(request: HttpRequest): Promise<Json> {
    const attempt = async (sending: Sending) => {
      const response = await this.#follow(sending);
      const text = decoder.decode(await this.#readBody(response, sending.silence));
      if (!response.ok) throw this.#refusal(sending, response, text);
      return this.#parse(sending, response, text);
    };
    return await this.#retrying(request, attempt, request.doneIfMissing ? {} : undefined);
  }

  /**
   * Sends a request and gives the answer; one that is not a success is an error, as in `json`. A small body has come
   * whole, a bigger one is the caller's to read or cancel, and its end too: the timeout holds until the answer begins.
   */
  async send(request: HttpRequest): Promise<Response> {
    return await this.#retrying(request, async (sending) => {
      const response = await this.#follow(sending);
      const small = Number(response.headers.get("content-length") ?? Infinity) <= ONE_PIECE;
      if (response.ok && !small) return response;
      const body = await this.#readBody(response, sending.silence);
      if (!response.ok) throw this.#refusal(sending, response, decoder.decode(body));
      return new Response(body, response);
    });
  }

  /** Lets go of what it holds. */
  [Symbol.dispose](): void {
    this.#sender?.[Symbol.dispose]();
  }

  /**
   * Sends a request until it is answered or there is no use in it.
   *
   * @param done what is given when what was to be changed is not there, after an answer that was lost
   */
  async #retrying<T>(request: HttpRequest, attempt: (sending: Sending) => Promise<T>, done?: T): Promise<T> {
    const url = `${this.url}${request.path}${writeQuery(request.query)}`;
    const repeatable = request.repeatable ?? request.method !== "POST";
    const { delay, now, random } = this.#settings;
    let lost = false;
    for (let retries = 0;; retries++) {
      // What cannot be read here is no fault of the server's.
      const body = request.json === undefined ? await request.body?.() : JSON.stringify(request.json);
      using silence = new Silence(request.timeout ?? this.#settings.timeout, request.signal);
      const sending: Sending = { request, url, body, silence, taken: false };
      let failure: Failure;
      try {
        return await attempt(sending);
      } catch (error) {
        request.signal?.throwIfAborted();
        // It could not be signed.
        if (error instanceof MlflowError) throw error;
        failure = error instanceof Failure ? error : this.#unanswered(sending, error);
      }
      if (lost && done !== undefined && failure.code === "RESOURCE_DOES_NOT_EXIST") return done;
      lost ||= !failure.unsent;
      const wait = retryDelay(failure, retries, repeatable, { policy: this.#settings, now: now(), random });
      if (wait === undefined) throw this.#toError(failure, sending, retries);
      await delay(wait, request.signal);
    }
  }

  /** Sends a request once, wherever the server sends it on to. */
  async #follow(sending: Sending): Promise<Response> {
    const { request, url, silence: { signal } } = sending;
    const headers = this.#headers(request);
    let { method, body }: { method: string; body: BodyInit | undefined } = { ...sending, method: request.method };
    let target = new URL(url);
    for (let redirects = 0;; redirects++) {
      await this.#sign(headers, method, target, body);
      const response = await this.#fetch(target.href, { method, headers, body, redirect: "manual", signal });
      sending.silence.heard();
      const location = response.status >= 300 && response.status < 400 ? response.headers.get("location") : null;
      if (location === null) return response;
      await response.body?.cancel();
      const next = new URL(location, target);
      next.username = next.password = "";
      const { allowRedirects } = this.#settings;
      if (!allowRedirects || redirects >= MAX_REDIRECTS || !/^https?:$/.test(next.protocol)) {
        throw new Failure(codeOfStatus(response.status), {
          status: response.status,
          reason: `${target.origin} sends the request on to ${next.origin}${next.pathname}, which ` +
            (allowRedirects ? "was not followed" : "MLFLOW_ALLOW_HTTP_REDIRECTS does not allow"),
        });
      }
      if (next.origin !== target.origin) {
        for (const name of [...OWN_HEADERS, WORKSPACE_HEADER]) headers.delete(name);
      }
      // A page elsewhere, such as one to log in, is looked at and not written to; the server's own new address
      // (https instead of http, another path) gets the request as it is, which browsers alone would make a GET.
      if (response.status === 303 || (response.status < 307 && next.hostname !== target.hostname)) {
        [method, body] = ["GET", undefined];
        headers.delete("content-type");
        sending.taken = true;
      } else if (request.body !== undefined) {
        body = await request.body();
      }
      target = next;
    }
  }

  /** Signs a request to the server itself. */
  async #sign(headers: Headers, method: string, target: URL, body: BodyInit | undefined): Promise<void> {
    const { signer } = this.#credentials;
    if (signer === undefined || target.origin !== new URL(this.url).origin) return;
    for (const [name, value] of await signer.sign(method, target.href, body)) headers.set(name, value);
  }

  #headers(request: HttpRequest): Headers {
    const { authorization } = this.#credentials;
    const headers = new Headers({ accept: "application/json", "user-agent": USER_AGENT, ...request.headers });
    if (request.json !== undefined) headers.set("content-type", "application/json");
    if (this.#reuse.isSlow) headers.set("connection", "close");
    if (authorization !== undefined) headers.set("authorization", authorization);
    // What concerns workspaces themselves names them in its path.
    if (this.#workspace !== undefined && !request.path.includes("/mlflow/workspaces")) {
      headers.set(WORKSPACE_HEADER, this.#workspace);
    }
    return headers;
  }

  async #readBody(response: Response, silence: Silence): Promise<Uint8Array<ArrayBuffer>> {
    const start = performance.now();
    const body = await readBytes(response, silence);
    if (body.length > 0 && body.length <= ONE_PIECE) this.#reuse.answered(performance.now() - start);
    return body;
  }

  #parse({ request }: Sending, { status }: Response, text: string): Json {
    let reply: unknown = {};
    try {
      if (text.trim() !== "") reply = JSON.parse(text);
    } catch {
      reply = undefined;
    }
    const { path, wants } = request;
    if (isJson(reply) && (wants === undefined || isJson(reply[wants]))) return reply;
    const state = isJson(reply) ? `has no '${wants}'` : "was not in a valid JSON format";
    const reason = `API request to endpoint ${path} was successful but the response body ${state}. ` +
      `Response body: '${excerpt(text)}'`;
    throw new Failure("INTERNAL_ERROR", { status, reason });
  }

  /** What an answer says that is not a success: MLflow's own sentence, or the one of its client for all others. */
  #refusal({ request, taken }: Sending, { status, headers }: Response, text: string): Failure {
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      // told below, with the beginning of the text
    }
    const sentence = readError(body, status);
    const code = sentence?.code ?? codeOfStatus(status);
    const withheld = status === 401 || status === 403 ? this.#withheld : "";
    return new Failure(code, {
      status,
      reason: (sentence?.reason ??
        `API request to endpoint ${request.path} failed with error code ${status} != 200. ` +
          `Response body: '${excerpt(text)}'`) + withheld,
      verbatim: sentence !== undefined,
      retryAfter: headers.get("retry-after"),
      unsent: status === 429 && !taken,
      // MLflow says 500 also for a state that does not change by itself.
      final: code === "INVALID_STATE" || code === "DATA_LOSS",
    });
  }

  /** What it means that no answer came. */
  #unanswered({ url, silence, taken }: Sending, cause: unknown): Failure {
    const server = new URL(url).origin;
    if (silence.timedOut) {
      const reason = `${server} was silent for ${silence.timeout} ms. To increase the timeout, set the environment ` +
        "variable MLFLOW_HTTP_REQUEST_TIMEOUT to a larger value";
      return new Failure("DEADLINE_EXCEEDED", { reason, cause });
    }
    const { code, reason, unsent, final } = explainFetchError(cause, server);
    return new Failure(code, { reason, unsent: unsent && !taken, final, cause });
  }

  #toError(
    { code, reason, status, verbatim, cause }: Failure,
    { request, url }: Sending,
    retries: number,
  ): MlflowError {
    const often = retries === 0 || verbatim ? "" : `, sent ${retries + 1} times`;
    return new MlflowError(code, this.#redact(reason) + often, {
      status,
      method: request.method,
      url: this.#redact(url),
      ...cause === undefined ? {} : { cause },
    });
  }

  /** A text without our secrets, which a server may say back to us. */
  #redact(text: string): string {
    return this.#credentials.secrets.reduce(
      (shown, secret) => secret.length < 3 ? shown : shown.replaceAll(secret, "***"),
      text,
    );
  }
}

/** One sending of a request. */
interface Sending {
  readonly request: HttpRequest;
  readonly url: string;
  readonly body: BodyInit | undefined;
  readonly silence: Silence;
  /** Whether the server has taken the request, though its answer is to be had elsewhere. */
  taken: boolean;
}

/** What is known of a sending that came to nothing. */
interface FailureDetails extends Partial<FailedAttempt> {
  readonly reason: string;
  /** Whether the reason is MLflow's own sentence. */
  readonly verbatim?: boolean;
  readonly cause?: unknown;
}

/** A sending that came to nothing. */
class Failure implements FailedAttempt {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly status: number | undefined;
  readonly retryAfter: string | null;
  readonly unsent: boolean;
  readonly final: boolean;
  readonly verbatim: boolean;
  readonly cause: unknown;

  constructor(code: ErrorCode, details: FailureDetails) {
    this.code = code;
    this.reason = details.reason;
    this.status = details.status;
    this.retryAfter = details.retryAfter ?? null;
    this.unsent = details.unsent ?? false;
    this.final = details.final ?? false;
    this.verbatim = details.verbatim ?? false;
    this.cause = details.cause;
  }
}

async function readBytes(response: Response, silence: Silence): Promise<Uint8Array<ArrayBuffer>> {
  if (response.body === null) return new Uint8Array();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for await (const chunk of response.body) {
    silence.heard();
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0] : concat(chunks);
}

function concat(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** The beginning of a body that was not expected, on one line. */
function excerpt(text: string): string {
  const line = text.replace(/[\p{Cc}\s]+/gu, " ").trim();
  return line.length <= 300 ? line : `${line.slice(0, 300)}…`;
}

function writeQuery(query: HttpRequest["query"] = {}): string {
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : value === undefined ? [] : [value]) {
      pairs.push(`${percentEncode(name)}=${percentEncode(String(one))}`);
    }
  }
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

function parseUrl(uri: string): URL {
  const url = URL.parse(uri);
  if (url !== null && /^https?:$/.test(url.protocol) && url.hostname !== "") return url;
  // What cannot be read as a URL may still hold a password.
  throw new MlflowError(
    "INVALID_PARAMETER_VALUE",
    "the URL of a tracking server reads http://host:port or https://host",
  );
}
