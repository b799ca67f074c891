import { join } from "@std/path";
import type { Sigv4Signer } from "../aws/sigv4.ts";
import { readBooleanEnv, readEnv } from "../env.ts";
import { MlflowError } from "../errors.ts";

/** What a request is authorized with, and what must never be shown. */
export interface Credentials {
  /** The value of the header `Authorization`; undefined where none was given. */
  readonly authorization: string | undefined;
  /** The parts of it that no message may hold. */
  readonly secrets: readonly string[];
  /** Signs each request, where that is what the server wants. */
  readonly signer?: Sigv4Signer;
}

/** The name and password in a URL, if it has any. */
export function credentialsInUrl(url: URL): Credentials {
  if (url.username === "" && url.password === "") return { authorization: undefined, secrets: [] };
  return basic(decodeURIComponent(url.username), decodeURIComponent(url.password));
}

/**
 * The credentials for a tracking server: AWS's, to sign with, where `MLFLOW_TRACKING_AWS_SIGV4` says so. Else those in
 * its URL, else name and password of `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, each of them else of
 * `~/.mlflow/credentials`, else `MLFLOW_TRACKING_TOKEN`.
 */
export async function readCredentials(url: URL): Promise<Credentials> {
  if (readBooleanEnv("MLFLOW_TRACKING_AWS_SIGV4", false)) {
    const { Sigv4Signer } = await import("../aws/sigv4.ts");
    return { authorization: undefined, secrets: [], signer: await Sigv4Signer.open("execute-api", url) };
  }
  const plugin = readEnv("MLFLOW_TRACKING_AUTH");
  if (plugin !== undefined) {
    throw new MlflowError("NOT_IMPLEMENTED", `MLFLOW_TRACKING_AUTH asks for "${plugin}", a plugin of Python's client`);
  }
  const given = credentialsInUrl(url);
  if (given.authorization !== undefined) return given;
  const file = await readFile();
  const username = readEnv("MLFLOW_TRACKING_USERNAME") ?? file.get("mlflow_tracking_username");
  const password = readEnv("MLFLOW_TRACKING_PASSWORD") ?? file.get("mlflow_tracking_password");
  if (username && password) return basic(username, password);
  const token = readEnv("MLFLOW_TRACKING_TOKEN");
  if (token === undefined) return { authorization: undefined, secrets: [] };
  return { authorization: `Bearer ${token}`, secrets: [token] };
}

function basic(username: string, password: string): Credentials {
  const encoded = new TextEncoder().encode(`${username}:${password}`).toBase64();
  return { authorization: `Basic ${encoded}`, secrets: [encoded, password, encodeURIComponent(password)] };
}

/** The section `[mlflow]` of the file of credentials; empty where it is not there or Deno does not allow to read it. */
async function readFile(): Promise<ReadonlyMap<string, string>> {
  const home = readEnv("HOME") ?? readEnv("USERPROFILE");
  if (home === undefined) return new Map();
  const path = join(home, ".mlflow", "credentials");
  if ((await Deno.permissions.query({ name: "read", path })).state !== "granted") return new Map();
  try {
    return parseSection(await Deno.readTextFile(path), "mlflow");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Map();
    throw error;
  }
}

/** One section of an INI file, read as Python's `configparser` reads it: names in small letters, `%%` for `%`. */
export function parseSection(text: string, section: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  let current = "";
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*([#;]|$)/.test(line)) continue;
    const header = /^\s*\[([^\]]+)\]/.exec(line);
    if (header !== null) {
      current = header[1];
      continue;
    }
    const [, name, value] = /^\s*([^=:]+?)\s*[=:]\s*(.*?)\s*$/.exec(line) ?? [];
    if (current === section && name !== undefined) values.set(name.toLowerCase(), value.replaceAll("%%", "%"));
  }
  return values;
}
