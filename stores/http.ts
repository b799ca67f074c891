import { readBooleanEnv, readEnv } from "../env.ts";
import { type ErrorCode, MlflowError } from "../errors.ts";
import { type Credentials, readCredentials } from "./credentials.ts";
import { type FailedAttempt, retryDelay, type RetryPolicy } from "./retry.ts";
import { type Fetch, openSender, readTlsOptions, type Sender } from "./tls_fetch.ts";
import { codeOfStatus, isJson, type Json, readError } from "./wire.ts";

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
  /** What the reply must have: an object of this name. */
  readonly wants?: string;
  /** How long the server may be silent, in milliseconds. @default {the client's} */
  readonly timeout?: number;
  /** Ends the request. */
  readonly signal?: AbortSignal;
}

/** How requests are sent; what is left out is taken from MLflow's environment variables, with MLflow's defaults. */
export interface HttpOptions {
  /** How long the server may be silent, in milliseconds. @default {120_000, or `MLFLOW_HTTP_REQUEST_TIMEOUT`} */
  readonly timeout?: number;
  /** How often a request is sent again. @default {7, or `MLFLOW_HTTP_REQUEST_MAX_RETRIES`} */
  readonly maxRetries?: number;
  /** Whether redirections are followed. @default {true, or `MLFLOW_ALLOW_HTTP_REDIRECTS`} */
  readonly allowRedirects?: boolean;
  /** Sends a request. @default {the global `fetch`, with the certificates that the variables name} */
  readonly fetch?: Fetch;
  /** Waits this many milliseconds before a request is sent again. */
  readonly delay?: (ms: number) => Promise<void>;
  /** The time, in milliseconds since the Unix epoch. @default {Date.now} */
  readonly now?: () => number;
  /** A number from 0 to 1, not 1 itself. @default {Math.random} */
  readonly random?: () => number;
}

interface Settings extends RetryPolicy {
  readonly timeout: number;
  readonly allowRedirects: boolean;
  readonly delay: (ms: number) => Promise<void>;
  readonly now: () => number;
  readonly random: () => number;
}

/** MLflow's limits to what its variables may ask for. */
const MAX_RETRIES_LIMIT = 10;
const MAX_BACKOFF_FACTOR = 120;
const MAX_REDIRECTS = 10;
const WORKSPACE_HEADER = "X-MLFLOW-WORKSPACE";
const USER_AGENT = "mlflow-deno";

/**
 * Sends requests to one MLflow server: the one place that knows its address, its credentials, how long to wait and what
 * may be sent again. No message and no error that comes from here holds a password, a token or a header's value.
 */
export class HttpClient implements Disposable {
  /** The server's URL, without a name and password and without a slash at its end. */
  readonly url: string;
  readonly #credentials: Credentials;
  readonly #settings: Settings;
  readonly #fetch: Fetch;
  readonly #sender: Sender | undefined;
  readonly #workspace: string | undefined;

  private constructor(url: string, credentials: Credentials, settings: Settings, fetch: Fetch, sender?: Sender) {
    this.url = url;
    this.#credentials = credentials;
    this.#settings = settings;
    this.#fetch = fetch;
    this.#sender = sender;
    this.#workspace = readEnv("MLFLOW_WORKSPACE");
  }

  /**
   * Makes ready to send to a server; nothing is sent yet.
   *
   * @param uri its URL, with a path if it has one, and with `user:password@` if that is how it knows us
   */
  static async open(uri: string, options: HttpOptions = {}): Promise<HttpClient> {
    const url = parseUrl(uri);
    const credentials = await readCredentials(url);
    const settings = normalize(options);
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
    return await this.#retrying(request, async (url, watch) => {
      const response = await this.#follow(request, url, watch);
      const text = await readText(response, watch);
      if (!response.ok) throw this.#refusal(request, url, response, text);
      return this.#parse(request, url, response, text);
    });
  }

  /**
   * Sends a request and gives the answer, its body unread; one that is not a success is an error, as in `json`. The
   * body is the caller's to read or cancel, and its end too: the timeout holds until the answer begins.
   */
  async send(request: HttpRequest): Promise<Response> {
    return await this.#retrying(request, async (url, watch) => {
      const response = await this.#follow(request, url, watch);
      if (!response.ok) throw this.#refusal(request, url, response, await readText(response, watch));
      return response;
    });
  }

  /** Lets go of what it holds. */
  [Symbol.dispose](): void {
    this.#sender?.[Symbol.dispose]();
  }

  async #retrying<T>(request: HttpRequest, attempt: (url: string, watch: Watch) => Promise<T>): Promise<T> {
    const url = `${this.url}${request.path}${writeQuery(request.query)}`;
    const repeatable = request.repeatable ?? request.method !== "POST";
    const { delay, now, random } = this.#settings;
    for (let retries = 0;; retries++) {
      using watch = new Watch(request.timeout ?? this.#settings.timeout, request.signal);
      let failure: Failure;
      try {
        return await attempt(url, watch);
      } catch (error) {
        request.signal?.throwIfAborted();
        failure = error instanceof Failure ? error : this.#unanswered(request, url, error, watch);
      }
      const wait = retryDelay(failure.attempt, retries, repeatable, { policy: this.#settings, now: now(), random });
      if (wait === undefined) throw failure.toError(retries);
      await delay(wait);
    }
  }

  /** Sends a request once, wherever the server sends it on to. */
  async #follow(request: HttpRequest, url: string, watch: Watch): Promise<Response> {
    const { authorization } = this.#credentials;
    let { method } = request;
    let body = request.json === undefined ? await request.body?.() : JSON.stringify(request.json);
    const headers = new Headers({ accept: "application/json", "user-agent": USER_AGENT, ...request.headers });
    if (request.json !== undefined) headers.set("content-type", "application/json");
    if (authorization !== undefined) headers.set("authorization", authorization);
    if (this.#workspace !== undefined && !request.path.includes("/mlflow/workspaces")) {
      headers.set(WORKSPACE_HEADER, this.#workspace);
    }
    let target = url;
    for (let redirects = 0;; redirects++) {
      const response = await this.#fetch(target, { method, headers, body, redirect: "manual", signal: watch.signal });
      watch.heard();
      const location = response.status >= 300 && response.status < 400 ? response.headers.get("location") : null;
      if (location === null) return response;
      await response.body?.cancel();
      const next = new URL(location, target);
      next.username = next.password = "";
      if (!this.#settings.allowRedirects || redirects >= MAX_REDIRECTS || !/^https?:$/.test(next.protocol)) {
        throw this.#failure(request, url, response.status, {
          code: codeOfStatus(response.status),
          reason: `${origin(target)} sends the request on to ${next.origin}${next.pathname}, which ` +
            (this.#settings.allowRedirects ? "was not followed" : "MLFLOW_ALLOW_HTTP_REDIRECTS does not allow"),
        });
      }
      if (next.origin !== new URL(target).origin) {
        headers.delete("authorization");
        headers.delete(WORKSPACE_HEADER);
      }
      // A page elsewhere, such as one to log in, is looked at and not written to; the server's own new address
      // (https instead of http, another path) gets the request as it is, which browsers alone would make a GET.
      const elsewhere = next.hostname !== new URL(target).hostname;
      if (response.status === 303 || (elsewhere && response.status < 307)) {
        [method, body] = ["GET", undefined];
        headers.delete("content-type");
      } else if (request.body !== undefined) {
        body = await request.body();
      }
      target = next.href;
    }
  }

  #parse(request: HttpRequest, url: string, response: Response, text: string): Json {
    let reply: unknown = {};
    try {
      if (text.trim() !== "") reply = JSON.parse(text);
    } catch {
      reply = undefined;
    }
    const { wants } = request;
    if (isJson(reply) && (wants === undefined || isJson(reply[wants]))) return reply;
    const reason = isJson(reply)
      ? `API request to endpoint ${request.path} was successful but the response body has no '${wants}'`
      : `API request to endpoint ${request.path} was successful but the response body was not in a valid JSON format`;
    throw this.#failure(request, url, response.status, {
      code: "INTERNAL_ERROR",
      reason: `${reason}. Response body: '${excerpt(text)}'`,
    });
  }

  /** What an answer says that is not a success: MLflow's own sentence, or the one of its client for all others. */
  #refusal(request: HttpRequest, url: string, response: Response, text: string): Failure {
    const { status } = response;
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      // told below, with the beginning of the text
    }
    const sentence = readError(body, status);
    const told = sentence !== undefined ? { ...sentence, verbatim: true } : {
      code: codeOfStatus(status),
      reason: `API request to endpoint ${request.path} failed with error code ${status} != 200. ` +
        `Response body: '${excerpt(text)}'`,
    };
    return this.#failure(request, url, status, told, {
      retryAfter: response.headers.get("retry-after"),
      unsent: status === 429,
      // MLflow says 500 also for a state that does not change by itself.
      final: told.code === "INVALID_STATE" || told.code === "DATA_LOSS",
    });
  }

  /** What it means that no answer came. */
  #unanswered(request: HttpRequest, url: string, error: unknown, watch: Watch): Failure {
    const told = watch.timedOut
      ? {
        code: "DEADLINE_EXCEEDED" as const,
        reason: `${origin(url)} was silent for ${watch.timeout} ms. To increase the timeout, set the environment ` +
          "variable MLFLOW_HTTP_REQUEST_TIMEOUT to a larger value.",
        unsent: false,
        final: false,
      }
      : explain(error, origin(url));
    return this.#failure(request, url, undefined, told, { ...told, retryAfter: null, cause: error });
  }

  #failure(
    request: HttpRequest,
    url: string,
    status: number | undefined,
    told: { readonly code: ErrorCode; readonly reason: string; readonly verbatim?: boolean },
    attempt: Partial<FailedAttempt> & { readonly cause?: unknown } = {},
  ): Failure {
    const { retryAfter = null, unsent = false, final = false, cause } = attempt;
    return new Failure(
      { status, retryAfter, unsent, final },
      (retries) =>
        new MlflowError(
          told.code,
          this.#redact(told.reason) + (retries === 0 || told.verbatim ? "" : `, sent ${retries + 1} times`),
          { status, method: request.method, url: this.#redact(url), ...cause === undefined ? {} : { cause } },
        ),
    );
  }

  /** A text without our secrets, which a server may say back to us. */
  #redact(text: string): string {
    return this.#credentials.secrets.reduce(
      (shown, secret) => secret.length < 3 ? shown : shown.replaceAll(secret, "***"),
      text,
    );
  }
}

/** One sending of a request that came to nothing. */
class Failure {
  readonly attempt: FailedAttempt;
  /** The error of it, for a request that was sent again so often. */
  readonly toError: (retries: number) => MlflowError;

  constructor(attempt: FailedAttempt, toError: (retries: number) => MlflowError) {
    this.attempt = attempt;
    this.toError = toError;
  }
}

/** Ends a request when the server has been silent for too long. */
class Watch implements Disposable {
  readonly timeout: number;
  readonly #controller = new AbortController();
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  readonly #outer: AbortSignal | undefined;
  #heardAt = performance.now();
  #timedOut = false;

  constructor(timeout: number, outer: AbortSignal | undefined) {
    this.timeout = timeout;
    this.#outer = outer;
    outer?.throwIfAborted();
    outer?.addEventListener("abort", this.#abort);
    if (Number.isFinite(timeout)) this.#timer = setInterval(() => this.#check(), Math.max(1, timeout / 4));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

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
    this.#controller.abort(new DOMException("The server was silent for too long", "TimeoutError"));
  }
}

async function readText(response: Response, watch: Watch): Promise<string> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body) {
    watch.heard();
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** What an error of `fetch` or of Node's client means. */
function explain(
  error: unknown,
  server: string,
): { readonly code: ErrorCode; readonly reason: string; readonly unsent: boolean; readonly final: boolean } {
  if (error instanceof Deno.errors.NotCapable) {
    const reason = `Deno does not allow to reach ${server}; allow it with --allow-net=${new URL(server).host}`;
    return { code: "PERMISSION_DENIED", reason, unsent: true, final: true };
  }
  const text = messages(error);
  const certificate = /invalid peer certificate: (\w+)|certificate|fatal alert|self.signed/i.exec(text);
  if (certificate !== null && !/client error \(SendRequest\)/.test(text)) {
    const why = certificate[1] === undefined ? "" : ` (${certificate[1]})`;
    const reason = /fatal alert/.test(text)
      ? `${server} does not accept our certificate; MLFLOW_TRACKING_CLIENT_CERT_PATH names the one to show`
      : `the certificate of ${server} is not trusted${why}; MLFLOW_TRACKING_SERVER_CERT_PATH names a file of ` +
        "authorities to trust";
    return { code: "INTERNAL_ERROR", reason, unsent: true, final: true };
  }
  const unsent = /client error \(Connect\)|ECONNREFUSED|ENOTFOUND|EAI_AGAIN/.test(text);
  const why = /refused/i.test(text)
    ? "connection refused"
    : /dns error|ENOTFOUND|EAI_AGAIN/.test(text)
    ? "its name is not known"
    : unsent
    ? "no connection"
    : /reading a body|decoding|aborted|terminated/.test(text)
    ? "the connection broke within the answer"
    : "the connection was closed before the answer came";
  const state = unsent ? `${server} cannot be reached` : `${server} did not answer`;
  return { code: "TEMPORARILY_UNAVAILABLE", reason: `${state} (${why})`, unsent, final: false };
}

/** The messages of an error and of all that caused it. */
function messages(error: unknown): string {
  const texts: string[] = [];
  for (let e = error; e instanceof Error; e = e.cause) texts.push(`${"code" in e ? e.code : ""} ${e.message}`);
  return texts.join("\n");
}

function origin(url: string): string {
  return new URL(url).origin;
}

/** The beginning of a body that was not expected, on one line. */
function excerpt(text: string): string {
  const line = text.replace(/[\p{Cc}\s]+/gu, " ").trim();
  return line.length <= 300 ? line : `${line.slice(0, 300)}…`;
}

function writeQuery(query: HttpRequest["query"] = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : value === undefined ? [] : [value]) {
      search.append(name, String(one));
    }
  }
  return search.size === 0 ? "" : `?${search}`;
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

function normalize(options: HttpOptions): Settings {
  return {
    timeout: options.timeout ?? readNumber("MLFLOW_HTTP_REQUEST_TIMEOUT", 120, Infinity) * 1000,
    maxRetries: options.maxRetries ?? readNumber("MLFLOW_HTTP_REQUEST_MAX_RETRIES", 7, MAX_RETRIES_LIMIT),
    backoffFactor: readNumber("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", 2, MAX_BACKOFF_FACTOR) * 1000,
    backoffJitter: readNumber("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", 1, Infinity) * 1000,
    respectRetryAfter: readBooleanEnv("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", true),
    allowRedirects: options.allowRedirects ?? readBooleanEnv("MLFLOW_ALLOW_HTTP_REDIRECTS", true),
    delay: options.delay ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms))),
    now: options.now ?? Date.now,
    random: options.random ?? Math.random,
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
