import { readBooleanEnv, readEnv } from "../env.ts";
import { type ErrorCode, MlflowError } from "../errors.ts";
import { AwsIdentity, readAwsRegion } from "../aws/credentials.ts";
import { percentEncode } from "../stores/percent_encoding.ts";
import { bytesBody, sha256, type SizedBody } from "./request_body.ts";
import { element } from "../aws/xml.ts";
import { Sender } from "./sender.ts";
import type { TransferSettings } from "./transfer_settings.ts";

/** A request to a bucket. */
export interface S3Request {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** The object's key. @default {the bucket itself} */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Made anew for each time that it is read; to be told when some of it is sent. */
  readonly body?: (moved?: () => void) => SizedBody;
  readonly signal?: AbortSignal;
}

/** The codes of S3 that MLflow has a code of its own for. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  AccessDenied: "PERMISSION_DENIED",
  NoSuchBucket: "RESOURCE_DOES_NOT_EXIST",
  NoSuchKey: "RESOURCE_DOES_NOT_EXIST",
  NoSuchUpload: "RESOURCE_DOES_NOT_EXIST",
  InvalidAccessKeyId: "UNAUTHENTICATED",
  SignatureDoesNotMatch: "UNAUTHENTICATED",
  ExpiredToken: "UNAUTHENTICATED",
  InvalidRange: "INVALID_PARAMETER_VALUE",
};

/** Signs and sends requests to one bucket, as `MLFLOW_S3_ENDPOINT_URL` and the variables of AWS say. */
export class S3Client {
  readonly #bucket: string;
  readonly #sender: Sender;
  readonly #identity = new AwsIdentity();
  #access: Promise<Access> | undefined;

  constructor(bucket: string, settings: TransferSettings) {
    this.#bucket = bucket;
    this.#sender = new Sender(settings, readRefusal);
    if (readBooleanEnv("MLFLOW_S3_IGNORE_TLS", false)) {
      throw new MlflowError(
        "INVALID_PARAMETER_VALUE",
        "MLFLOW_S3_IGNORE_TLS is not supported: start Deno with --unsafely-ignore-certificate-errors=<host>",
      );
    }
  }

  /** Sends a request and gives the answer, its body unread. What S3 refuses is an `MlflowError`. */
  async send(request: S3Request): Promise<Response> {
    const access = await (this.#access ??= this.#open());
    try {
      return await this.#sendTo(access, request);
    } catch (error) {
      const region = error instanceof WrongRegion ? error.region : undefined;
      if (region === undefined || region === access.region) throw error;
      // The bucket said where it is.
      this.#access = Promise.resolve({ ...access, region });
      return await this.#sendTo({ ...access, region }, request);
    }
  }

  /** Sends a request and gives the text of the answer. */
  async text(request: S3Request): Promise<string> {
    return await (await this.send(request)).text();
  }

  async #sendTo(access: Access, { method, key, query = {}, headers = {}, body, signal }: S3Request): Promise<Response> {
    const { Signer, region, owner } = access;
    const url = `${this.#url(access)}${key === undefined ? "" : encodeKey(key)}${encodeQuery(query)}`;
    const digest = await sha256(body?.() ?? bytesBody(new Uint8Array()));
    return await this.#sender.send(async (moved) => {
      // What proxies on the way may change cannot be signed.
      const { "accept-encoding": encoding = "identity", ...signedHeaders } = headers;
      const signed = await new Signer({
        method,
        url,
        service: "s3",
        region,
        ...await this.#identity.get(),
        headers: {
          ...signedHeaders,
          ...owner === undefined ? {} : { "x-amz-expected-bucket-owner": owner },
          // S3 checks what arrives by it.
          "x-amz-content-sha256": digest,
        },
      }).sign();
      signed.headers.set("accept-encoding", encoding);
      return { method, url: signed.url.href, headers: signed.headers, body: body?.(moved) };
    }, signal);
  }

  #url({ endpoint, region, addressing }: Access): string {
    if (endpoint !== undefined) {
      // As boto3 does: a server of one's own has no host name for each bucket, unless it is said that it has.
      if (addressing !== "virtual") return `${endpoint}/${this.#bucket}/`;
      const { protocol, host, pathname } = new URL(endpoint);
      return `${protocol}//${this.#bucket}.${host}${pathname.replace(/\/$/, "")}/`;
    }
    const host = `s3.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`;
    // The certificate of AWS does not reach a host name of more parts.
    const byPath = addressing === "path" || this.#bucket.includes(".");
    return byPath ? `https://${host}/${this.#bucket}/` : `https://${this.#bucket}.${host}/`;
  }

  async #open(): Promise<Access> {
    const endpoint = readEnv("MLFLOW_S3_ENDPOINT_URL") ?? readEnv("AWS_ENDPOINT_URL_S3") ??
      readEnv("AWS_ENDPOINT_URL");
    const [{ AwsV4Signer }, region] = await Promise.all([import("aws4fetch"), readAwsRegion()]);
    return {
      Signer: AwsV4Signer,
      region: region ?? "us-east-1",
      endpoint: endpoint?.replace(/\/+$/, ""),
      addressing: readEnv("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE") ?? "auto",
      owner: readEnv("MLFLOW_S3_EXPECTED_BUCKET_OWNER"),
    };
  }
}

interface Access {
  readonly Signer: typeof import("aws4fetch").AwsV4Signer;
  readonly region: string;
  readonly endpoint: string | undefined;
  readonly addressing: string;
  readonly owner: string | undefined;
}

/** A bucket that is elsewhere. */
class WrongRegion extends MlflowError {
  readonly region: string;

  constructor(region: string, reason: string, status: number) {
    super("INVALID_PARAMETER_VALUE", reason, { status });
    this.region = region;
  }
}

function readRefusal({ status, headers }: Response, text: string, url: string): MlflowError {
  const name = element(text, "Code");
  const reason = element(text, "Message") ?? name ?? `S3 answered with status ${status}`;
  const region = headers.get("x-amz-bucket-region");
  // The 307 of a bucket that is new may also name no region.
  if (region !== null && (status === 301 || status === 307 || status === 400)) {
    return new WrongRegion(region, reason, status);
  }
  // The answer to HEAD has no body, only its status.
  const byStatus = status === 404
    ? "RESOURCE_DOES_NOT_EXIST"
    : status === 403
    ? "PERMISSION_DENIED"
    : status >= 500
    ? "TEMPORARILY_UNAVAILABLE"
    : "INTERNAL_ERROR";
  return new MlflowError(CODES[name ?? ""] ?? byStatus, reason, { status, url });
}

/** A key in a URL. The signer takes a plus for a space, and a server may want signs as they came. */
function encodeKey(key: string): string {
  return key.split("/").map(percentEncode).join("/");
}

function encodeQuery(query: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(query).map(([name, value]) => `${name}=${percentEncode(value)}`);
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}
