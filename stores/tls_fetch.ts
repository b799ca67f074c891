import https from "node:https";
import { Readable } from "node:stream";
import { MlflowError } from "../errors.ts";
import { readBooleanEnv, readEnv } from "../env.ts";

/** What sends requests, as the global `fetch` does. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** How a server is met by TLS. */
export interface TlsOptions {
  /** Whether the server's certificate is not looked at. */
  readonly insecure: boolean;
  /** The path of a PEM file with the authorities to trust besides the known ones. */
  readonly serverCertPath: string | undefined;
  /** The path of a PEM file with our own certificate and its key. */
  readonly clientCertPath: string | undefined;
}

/** What sends requests and lets go of its connections. */
export interface Sender extends Disposable {
  /** Sends a request. */
  readonly fetch: Fetch;
}

/**
 * How a server is met by TLS, of the variables `MLFLOW_TRACKING_INSECURE_TLS`, `MLFLOW_TRACKING_SERVER_CERT_PATH` and
 * `MLFLOW_TRACKING_CLIENT_CERT_PATH`.
 */
export function readTlsOptions(): TlsOptions {
  return {
    insecure: readBooleanEnv("MLFLOW_TRACKING_INSECURE_TLS", false),
    serverCertPath: readEnv("MLFLOW_TRACKING_SERVER_CERT_PATH"),
    clientCertPath: readEnv("MLFLOW_TRACKING_CLIENT_CERT_PATH"),
  };
}

/** What sends requests with these options: the global `fetch` where they ask for nothing. */
export async function openSender({ insecure, serverCertPath, clientCertPath }: TlsOptions): Promise<Sender> {
  if (insecure && serverCertPath !== undefined) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      "When 'ignore_tls_verification' is true then 'server_cert_path' must not be set! This error may have occurred " +
        "because the 'MLFLOW_TRACKING_INSECURE_TLS' and 'MLFLOW_TRACKING_SERVER_CERT_PATH' environment variables are " +
        "both set - only one of these environment variables may be set.",
    );
  }
  const clientCert = await readPem(clientCertPath, "MLFLOW_TRACKING_CLIENT_CERT_PATH");
  if (insecure) return insecureSender(clientCert);
  const serverCert = await readPem(serverCertPath, "MLFLOW_TRACKING_SERVER_CERT_PATH");
  if (clientCert === undefined && serverCert === undefined) {
    return { fetch: (url, init) => fetch(url, init), [Symbol.dispose]: () => {} };
  }
  const client = Deno.createHttpClient({
    ...serverCert === undefined ? {} : { caCerts: [serverCert] },
    // One file holds both, as Python's requests takes it.
    ...clientCert === undefined ? {} : { cert: clientCert, key: clientCert },
  });
  return { fetch: (url, init) => fetch(url, { ...init, client }), [Symbol.dispose]: () => client.close() };
}

async function readPem(path: string | undefined, variable: string): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `Cannot read the certificate "${path}" of ${variable}: a PEM file is wanted`,
      { cause: error },
    );
  }
}

/** Deno's `fetch` always looks at certificates: what must not be looked at goes through Node's client. */
function insecureSender(clientCert: string | undefined): Sender {
  const agent = new https.Agent({ keepAlive: true, rejectUnauthorized: false, cert: clientCert, key: clientCert });
  return {
    fetch: (url, init) => url.startsWith("https:") ? nodeFetch(url, init, agent) : fetch(url, init),
    [Symbol.dispose]: () => agent.destroy(),
  };
}

function nodeFetch(url: string, init: RequestInit, agent: https.Agent): Promise<Response> {
  return new Promise((resolve, reject) => {
    const headers = Object.fromEntries(new Headers(init.headers));
    const method = init.method ?? "GET";
    // An agent's own setting is not enough: Deno's node:https reads that of the request.
    const options = { agent, headers, method, rejectUnauthorized: false, signal: init.signal ?? undefined };
    const request = https.request(url, options, (message) => {
      const status = message.statusCode ?? 500;
      const empty = status === 204 || status === 304 || method === "HEAD";
      if (empty) message.resume();
      const body = empty ? null : Readable.toWeb(message) as ReadableStream<Uint8Array<ArrayBuffer>>;
      resolve(new Response(body, { status, headers: toHeaders(message.headers) }));
    });
    request.on("error", reject);
    sendBody(request, init.body).catch((error) => request.destroy(error));
  });
}

async function sendBody(request: NodeJS.WritableStream, body: BodyInit | null | undefined): Promise<void> {
  if (body !== undefined && body !== null) {
    if (typeof body === "string" || body instanceof Uint8Array) return void request.end(body);
    for await (const chunk of new Response(body).body!) {
      if (!request.write(chunk)) await new Promise((resolve) => request.once("drain", () => resolve(undefined)));
    }
  }
  request.end();
}

function toHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Headers {
  const all = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    for (const one of [value ?? []].flat()) all.append(name, one);
  }
  return all;
}
