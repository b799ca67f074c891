import { readEnv } from "../env.ts";
import { MlflowError } from "../errors.ts";

/** The headers of the arguments of boto3 that `MLFLOW_S3_UPLOAD_EXTRA_ARGS` may hold. */
const HEADERS: Readonly<Record<string, string>> = {
  ACL: "x-amz-acl",
  BucketKeyEnabled: "x-amz-server-side-encryption-bucket-key-enabled",
  CacheControl: "cache-control",
  ContentDisposition: "content-disposition",
  ContentEncoding: "content-encoding",
  ContentLanguage: "content-language",
  ContentType: "content-type",
  Expires: "expires",
  GrantFullControl: "x-amz-grant-full-control",
  GrantRead: "x-amz-grant-read",
  GrantReadACP: "x-amz-grant-read-acp",
  GrantWriteACP: "x-amz-grant-write-acp",
  ObjectLockLegalHoldStatus: "x-amz-object-lock-legal-hold",
  ObjectLockMode: "x-amz-object-lock-mode",
  ObjectLockRetainUntilDate: "x-amz-object-lock-retain-until-date",
  RequestPayer: "x-amz-request-payer",
  SSEKMSEncryptionContext: "x-amz-server-side-encryption-context",
  SSEKMSKeyId: "x-amz-server-side-encryption-aws-kms-key-id",
  ServerSideEncryption: "x-amz-server-side-encryption",
  StorageClass: "x-amz-storage-class",
  Tagging: "x-amz-tagging",
  WebsiteRedirectLocation: "x-amz-website-redirect-location",
};

/** The headers that `MLFLOW_S3_UPLOAD_EXTRA_ARGS`, a JSON object such as `{"ServerSideEncryption": "aws:kms"}`, asks for. */
export function readUploadHeaders(): Record<string, string> {
  const text = readEnv("MLFLOW_S3_UPLOAD_EXTRA_ARGS");
  if (text === undefined) return {};
  let args: unknown;
  try {
    args = JSON.parse(text);
  } catch (cause) {
    throw invalid("it must be a JSON object", cause);
  }
  if (typeof args !== "object" || args === null || Array.isArray(args)) throw invalid("it must be a JSON object");
  return Object.fromEntries(
    Object.entries(args).flatMap(([name, value]) => {
      if (name === "Metadata") return Object.entries(value ?? {}).map(([key, one]) => [`x-amz-meta-${key}`, `${one}`]);
      if (!Object.hasOwn(HEADERS, name)) throw invalid(`"${name}" is not one of ${Object.keys(HEADERS).join(", ")}`);
      return [[HEADERS[name], String(value)]];
    }),
  );
}

function invalid(why: string, cause?: unknown): MlflowError {
  return new MlflowError("INVALID_PARAMETER_VALUE", `Cannot read MLFLOW_S3_UPLOAD_EXTRA_ARGS: ${why}`, { cause });
}
