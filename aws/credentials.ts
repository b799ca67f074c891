import { join } from "@std/path";
import { readEnv } from "../env.ts";
import { MlflowError } from "../errors.ts";
import { parseSection } from "../stores/credentials.ts";
import { ofContainer, ofInstance, ofWebIdentity } from "./role_credentials.ts";

/** What requests to AWS are signed with. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
  /** When they end, in milliseconds since the Unix epoch; undefined where it is not known. */
  readonly expiration?: number;
}

/** They are read again so long before they end, in milliseconds. */
const AHEAD = 5 * 60_000;

/** The credentials of this program, read when they are needed, and again before they end. */
export class AwsIdentity {
  readonly #now: () => number;
  #credentials: Promise<AwsCredentials> | undefined;
  #end = Infinity;

  /** @param now the time, in milliseconds since the Unix epoch */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** The credentials, as {@linkcode readAwsCredentials} gives them. */
  async get(): Promise<AwsCredentials> {
    if (this.#credentials === undefined || this.#now() > this.#end - AHEAD) {
      this.#end = Infinity;
      this.#credentials = readAwsCredentials();
      // What could not be read now may be there later.
      this.#credentials.then(
        ({ expiration }) => this.#end = expiration ?? Infinity,
        () => this.#credentials = undefined,
      );
    }
    return await this.#credentials;
  }
}

/**
 * The credentials of the variables `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, else those of
 * the profile that `AWS_PROFILE` names, or of the default one, in `~/.aws/credentials` or `~/.aws/config`. Without a
 * profile's name also those of a role: by a token of web identity, of a container, and at last of an EC2 machine.
 */
export async function readAwsCredentials(): Promise<AwsCredentials> {
  const accessKeyId = readEnv("AWS_ACCESS_KEY_ID");
  const secretAccessKey = readEnv("AWS_SECRET_ACCESS_KEY");
  const named = readEnv("AWS_PROFILE") ?? readEnv("AWS_DEFAULT_PROFILE");
  if (accessKeyId !== undefined && secretAccessKey !== undefined) {
    return { accessKeyId, secretAccessKey, sessionToken: readEnv("AWS_SESSION_TOKEN") };
  }
  const identified = named === undefined ? await ofWebIdentity(await readAwsRegion()) : undefined;
  if (identified !== undefined) return identified;
  for (const section of [await credentialsSection(), await configSection()]) {
    const [id, secret] = [section.get("aws_access_key_id"), section.get("aws_secret_access_key")];
    if (id === undefined || secret === undefined) continue;
    return { accessKeyId: id, secretAccessKey: secret, sessionToken: section.get("aws_session_token") };
  }
  const found = named === undefined ? await ofContainer() ?? await ofInstance() : undefined;
  if (found !== undefined) return found;
  const profile = named === undefined ? "" : ` of profile "${named}"`;
  throw new MlflowError(
    "UNAUTHENTICATED",
    `Unable to locate credentials${profile}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or keep them in ` +
      "~/.aws/credentials and allow Deno to read it",
  );
}

/** The region of `AWS_DEFAULT_REGION`, `AWS_REGION` or the profile; undefined where none is given. */
export async function readAwsRegion(): Promise<string | undefined> {
  return readEnv("AWS_DEFAULT_REGION") ?? readEnv("AWS_REGION") ?? (await configSection()).get("region") ??
    (await credentialsSection()).get("region");
}

async function credentialsSection(): Promise<ReadonlyMap<string, string>> {
  return await readSection(readEnv("AWS_SHARED_CREDENTIALS_FILE") ?? inHome("credentials"), profileName());
}

async function configSection(): Promise<ReadonlyMap<string, string>> {
  const name = profileName();
  const section = name === "default" ? name : `profile ${name}`;
  return await readSection(readEnv("AWS_CONFIG_FILE") ?? inHome("config"), section);
}

function profileName(): string {
  return readEnv("AWS_PROFILE") ?? readEnv("AWS_DEFAULT_PROFILE") ?? "default";
}

function inHome(name: string): string | undefined {
  const home = readEnv("HOME") ?? readEnv("USERPROFILE");
  return home === undefined ? undefined : join(home, ".aws", name);
}

/** A section of an INI file; empty where the file is not there or Deno does not allow to read it. */
async function readSection(path: string | undefined, section: string): Promise<ReadonlyMap<string, string>> {
  if (path === undefined || (await Deno.permissions.query({ name: "read", path })).state !== "granted") {
    return new Map();
  }
  try {
    return parseSection(await Deno.readTextFile(path), section);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Map();
    throw error;
  }
}
