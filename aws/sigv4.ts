import { AwsV4Signer } from "aws4fetch";
import { sha256, SizedBody } from "../artifacts/request_body.ts";
import { MlflowError } from "../errors.ts";
import { AwsIdentity, readAwsRegion } from "./credentials.ts";

/** Signs requests to a service of AWS, as `MLFLOW_TRACKING_AWS_SIGV4` asks for. */
export class Sigv4Signer {
  readonly #service: string;
  readonly #region: string;
  readonly #identity = new AwsIdentity();

  private constructor(service: string, region: string) {
    this.#service = service;
    this.#region = region;
  }

  /**
   * Makes ready to sign.
   *
   * @param service AWS's name of the service, such as `execute-api`
   * @param url where requests are sent, which says the region if nothing else does
   */
  static async open(service: string, url: URL): Promise<Sigv4Signer> {
    const [, inHost] = /\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$/.exec(url.hostname) ?? [];
    const region = await readAwsRegion() ?? inHost;
    if (region !== undefined) return new Sigv4Signer(service, region);
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      "MLFLOW_TRACKING_AWS_SIGV4 needs a region to sign for: set AWS_DEFAULT_REGION",
    );
  }

  /** The headers that sign a request. A stream, which cannot be read twice, is `NOT_IMPLEMENTED`. */
  async sign(method: string, url: string, body: BodyInit | undefined): Promise<Headers> {
    const credentials = await this.#identity.get();
    const headers = { "x-amz-content-sha256": await digest(body) };
    const signed = await new AwsV4Signer({
      method,
      url,
      service: this.#service,
      region: this.#region,
      ...credentials,
      headers,
    }).sign();
    signed.headers.delete("host");
    return signed.headers;
  }
}

async function digest(body: BodyInit | undefined): Promise<string> {
  if (body instanceof SizedBody) return await sha256(body);
  const bytes = typeof body === "string" || body === undefined ? new TextEncoder().encode(body) : body;
  if (bytes instanceof Uint8Array) {
    const hash = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
    return new Uint8Array(hash).toHex();
  }
  throw new MlflowError(
    "NOT_IMPLEMENTED",
    "what is sent as it comes cannot be signed: allow Deno to write to the folder of temporary files",
  );
}
