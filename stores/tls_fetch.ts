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
  // Node's client takes longer to load than a run to start.
  if (insecure) return (await import("./insecure_fetch.ts")).insecureSender(clientCert);
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
