import { readBooleanEnv, readEnv } from "../env.ts";
import { MlflowError } from "../errors.ts";
import type { RetryPolicy } from "../stores/retry.ts";

/** When a file is moved in parts, and what is done when a connection breaks. */
export interface TransferSettings {
  /** Whether uploads in parts are allowed; undefined where the server is to be asked. */
  readonly proxyMultipartUpload: boolean | undefined;
  /** Whether downloads in parts, past the tracking server, are allowed; undefined where it is to be asked. */
  readonly proxyMultipartDownload: boolean | undefined;
  /** Whether a store of objects is read in parts. */
  readonly multipartDownload: boolean;
  /** Files of at least this size, in bytes, are uploaded in parts through a tracking server. */
  readonly uploadMinimum: number;
  /** The size of an upload's part, in bytes. */
  readonly uploadChunk: number;
  /** Files of at least this size, in bytes, are downloaded in parts. */
  readonly downloadMinimum: number;
  /** The size of a download's part, in bytes. */
  readonly downloadChunk: number;
  /** How long nothing may move, in milliseconds. */
  readonly timeout: number;
  /** How often and when a broken transfer is taken up again. */
  readonly retries: RetryPolicy;
}

/** The settings that MLflow's environment variables ask for, with MLflow's defaults. */
export function readTransferSettings(): TransferSettings {
  return {
    proxyMultipartUpload: readSwitch("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"),
    proxyMultipartDownload: readSwitch("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"),
    multipartDownload: readBooleanEnv("MLFLOW_ENABLE_MULTIPART_DOWNLOAD", true),
    uploadMinimum: readNumber("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", 500 * 1024 ** 2),
    uploadChunk: Math.max(1, readNumber("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE", 10 * 1024 ** 2)),
    downloadMinimum: readNumber("MLFLOW_MULTIPART_DOWNLOAD_MINIMUM_FILE_SIZE", 500 * 1024 ** 2),
    downloadChunk: Math.max(1, readNumber("MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE", 100 * 1024 ** 2)),
    timeout: readNumber("MLFLOW_HTTP_REQUEST_TIMEOUT", 120) * 1000,
    retries: {
      maxRetries: Math.min(10, readNumber("MLFLOW_HTTP_REQUEST_MAX_RETRIES", 7)),
      backoffFactor: readNumber("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", 2) * 1000,
      backoffJitter: readNumber("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", 1) * 1000,
      respectRetryAfter: readBooleanEnv("MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER", true),
    },
  };
}

function readSwitch(name: string): boolean | undefined {
  return readEnv(name) === undefined ? undefined : readBooleanEnv(name, false);
}

function readNumber(name: string, missing: number): number {
  const text = readEnv(name);
  if (text === undefined) return missing;
  const number = Number(text);
  if (number >= 0) return number;
  throw new MlflowError("INVALID_PARAMETER_VALUE", `${name} must be a number of at least 0: received "${text}"`);
}
