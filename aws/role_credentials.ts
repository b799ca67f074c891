import { readEnv } from "../env.ts";
import { MlflowError } from "../errors.ts";
import type { AwsCredentials } from "./credentials.ts";
import { element } from "./xml.ts";

/** Where AWS's containers ask for their credentials. */
const CONTAINER = "http://169.254.170.2";
/** Hosts of containers, besides loopback, that are asked without encryption: those of ECS and EKS. */
const CONTAINER_HOSTS = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];
/** Where AWS's machines ask for theirs. */
const INSTANCE = "http://169.254.169.254";
/** How long an answer from the network may take, in milliseconds. */
const PATIENCE = 10_000;

/**
 * The credentials of the role that `AWS_ROLE_ARN` names, for the token in the file of `AWS_WEB_IDENTITY_TOKEN_FILE`;
 * undefined where they are not set.
 *
 * @param region the region whose service is asked
 */
export async function ofWebIdentity(region: string | undefined): Promise<AwsCredentials | undefined> {
  const [file, role] = [readEnv("AWS_WEB_IDENTITY_TOKEN_FILE"), readEnv("AWS_ROLE_ARN")];
  if (file === undefined || role === undefined) return undefined;
  const domain = region?.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  const endpoint = readEnv("AWS_ENDPOINT_URL_STS") ?? readEnv("AWS_ENDPOINT_URL") ??
    `https://sts.${region === undefined ? "" : `${region}.`}${domain}`;
  const body = new URLSearchParams({
    Action: "AssumeRoleWithWebIdentity",
    Version: "2011-06-15",
    RoleArn: role,
    RoleSessionName: readEnv("AWS_ROLE_SESSION_NAME") ?? `mlflow-deno-${Date.now()}`,
    WebIdentityToken: (await Deno.readTextFile(file)).trim(),
  });
  const xml = await ask(endpoint, "AWS_WEB_IDENTITY_TOKEN_FILE", { method: "POST", body });
  const names = ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"].map((name) => element(xml, name));
  return credentials(endpoint, names);
}

/**
 * The credentials that a container of ECS or EKS gets where `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or
 * `AWS_CONTAINER_CREDENTIALS_FULL_URI` says; undefined where neither is set.
 */
export async function ofContainer(): Promise<AwsCredentials | undefined> {
  const relative = readEnv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const url = relative === undefined ? readEnv("AWS_CONTAINER_CREDENTIALS_FULL_URI") : `${CONTAINER}${relative}`;
  if (url === undefined) return undefined;
  const { protocol, hostname } = new URL(url);
  const near = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname) || CONTAINER_HOSTS.includes(hostname);
  if (protocol !== "https:" && !near) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `AWS_CONTAINER_CREDENTIALS_FULL_URI must be an https URL, or one of this machine: received ${hostname}`,
    );
  }
  const file = readEnv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  const token = file === undefined
    ? readEnv("AWS_CONTAINER_AUTHORIZATION_TOKEN")
    : (await Deno.readTextFile(file)).trim();
  const headers: Record<string, string> = token === undefined ? {} : { authorization: token };
  return fromJson(url, await ask(url, "AWS_CONTAINER_CREDENTIALS", { headers }));
}

/**
 * The credentials of the role of an EC2 machine. Undefined where `AWS_EC2_METADATA_DISABLED` forbids to ask, where Deno
 * does not allow it, which brings no prompt up, and where nobody answers, for which it waits a second.
 */
export async function ofInstance(): Promise<AwsCredentials | undefined> {
  if (/^true$/i.test(readEnv("AWS_EC2_METADATA_DISABLED") ?? "")) return undefined;
  const given = readEnv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  const endpoint = (given ?? INSTANCE).replace(/\/+$/, "");
  const { host } = new URL(endpoint);
  if ((await Deno.permissions.query({ name: "net", host })).state !== "granted") return undefined;
  const seconds = Number(readEnv("AWS_METADATA_SERVICE_TIMEOUT") ?? 1);
  const signal = AbortSignal.timeout((seconds > 0 ? seconds : 1) * 1000);
  try {
    const get = async (path: string, init: RequestInit) => {
      const response = await fetch(`${endpoint}/latest${path}`, { ...init, signal, redirect: "manual" });
      const text = await response.text();
      if (!response.ok) throw new Error(`status ${response.status}`);
      return text.trim();
    };
    const token = await get("/api/token", {
      method: "PUT",
      headers: { "x-aws-ec2-metadata-token-ttl-seconds": "21600" },
    });
    const headers = { "x-aws-ec2-metadata-token": token };
    const roles = "/meta-data/iam/security-credentials/";
    const [role] = (await get(roles, { headers })).split("\n");
    return fromJson(endpoint, await get(`${roles}${encodeURIComponent(role)}`, { headers }));
  } catch (cause) {
    // Most machines are no machines of AWS.
    if (given === undefined) return undefined;
    throw refused(endpoint, "AWS_EC2_METADATA_SERVICE_ENDPOINT", cause);
  }
}

async function ask(url: string, variable: string, init: RequestInit): Promise<string> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, { ...init, redirect: "manual", signal: AbortSignal.timeout(PATIENCE) });
    text = await response.text();
  } catch (cause) {
    throw refused(url, variable, cause);
  }
  if (response.ok) return text;
  throw refused(url, variable, new Error(element(text, "Message") ?? `it answered with status ${response.status}`));
}

function fromJson(url: string, text: string): AwsCredentials {
  let values: Readonly<Record<string, string | undefined>> = {};
  try {
    values = JSON.parse(text);
  } catch {
    // What cannot be read has no credentials in it; it may be a secret itself, and is not told.
  }
  return credentials(url, [values.AccessKeyId, values.SecretAccessKey, values.Token, values.Expiration]);
}

function credentials(url: string, [id, secret, token, end]: readonly (string | undefined)[]): AwsCredentials {
  if (!id || !secret) {
    throw new MlflowError("UNAUTHENTICATED", `${new URL(url).origin} gave no credentials for AWS`);
  }
  const expiration = end === undefined ? NaN : Date.parse(end);
  return {
    accessKeyId: id,
    secretAccessKey: secret,
    sessionToken: token,
    ...Number.isNaN(expiration) ? {} : { expiration },
  };
}

/** An error that does not hold the address itself, which may be a secret. */
function refused(url: string, variable: string, cause: unknown): MlflowError {
  const reason = `${new URL(url).origin}, which ${variable} asks for, gave no credentials for AWS` +
    (cause instanceof Error ? `: ${cause.message.replaceAll(url, new URL(url).origin)}` : "");
  return new MlflowError("UNAUTHENTICATED", reason);
}
