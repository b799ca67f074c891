import type { ErrorCode } from "../errors.ts";

/** Why no answer came to a request. */
export interface FetchFailure {
  /** MLflow's code for it. */
  readonly code: ErrorCode;
  /** The state, and what is wanted. */
  readonly reason: string;
  /** Whether the request surely never reached the server. */
  readonly unsent: boolean;
  /** Whether sending it again cannot help. */
  readonly final: boolean;
}

/**
 * What an error of `fetch` or of Node's client means.
 *
 * @param server the server's origin
 */
export function explainFetchError(error: unknown, server: string): FetchFailure {
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
