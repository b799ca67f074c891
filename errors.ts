/**
 * MLflow's error codes, as its servers send them and its Python client raises them.
 *
 * The embedded stores give the same code for the same mistake.
 */
export type ErrorCode =
  | "ABORTED"
  | "ALREADY_EXISTS"
  | "BAD_REQUEST"
  | "CANCELLED"
  | "CUSTOMER_UNAUTHORIZED"
  | "DATA_LOSS"
  | "DEADLINE_EXCEEDED"
  | "ENDPOINT_NOT_FOUND"
  | "INTERNAL_ERROR"
  | "INVALID_PARAMETER_VALUE"
  | "INVALID_STATE"
  | "NOT_FOUND"
  | "NOT_IMPLEMENTED"
  | "PERMISSION_DENIED"
  | "REQUEST_LIMIT_EXCEEDED"
  | "RESOURCE_ALREADY_EXISTS"
  | "RESOURCE_CONFLICT"
  | "RESOURCE_DOES_NOT_EXIST"
  | "RESOURCE_EXHAUSTED"
  | "TEMPORARILY_UNAVAILABLE"
  | "UNAUTHENTICATED";

/** What an {@linkcode MlflowError} is made of besides its code and reason. */
export interface MlflowErrorOptions extends ErrorOptions {
  /** What was being done, such as `Cannot log metric "loss" to run "ab12"`. */
  readonly action?: string;
  /** The HTTP status of the answer that says so. */
  readonly status?: number;
  /** The method of the request that came to nothing. */
  readonly method?: string;
  /** The URL of that request, without a user's name and password. */
  readonly url?: string;
}

/**
 * The one error class for what MLflow refuses or a store cannot do.
 *
 * The message reads `action: reason (CODE)`. The reason is MLflow's own sentence wherever MLflow has one, the same
 * from every store.
 */
export class MlflowError extends Error {
  /** Always `"MlflowError"`. */
  override readonly name = "MlflowError";
  /** MLflow's code for this kind of error. */
  readonly code: ErrorCode;
  /** Why, without the action and the code. */
  readonly reason: string;
  /** The HTTP status that a server answered with; undefined where no server did. */
  readonly status: number | undefined;
  /** The method of the request that came to nothing, such as `"POST"`; undefined where none was made. */
  readonly method: string | undefined;
  /** The URL of that request, without a user's name and password; undefined where none was made. */
  readonly url: string | undefined;

  /**
   * Makes an error of a code and a reason.
   *
   * @param code MLflow's code for this kind of error
   * @param reason the state found and what is wanted
   * @param options `action`: what was being done; `cause`: the lower error this one comes from; `status`, `method` and
   * `url` of the request, if it was one
   */
  constructor(code: ErrorCode, reason: string, options: MlflowErrorOptions = {}) {
    const { action, status, method, url, ...rest } = options;
    super(`${action === undefined ? "" : `${action}: `}${reason} (${code})`, rest);
    this.code = code;
    this.reason = reason;
    this.status = status;
    this.method = method;
    this.url = url;
  }
}

/** Runs `work`; an {@linkcode MlflowError} from it is thrown again with the action that it stopped. */
export async function doing<T>(action: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof MlflowError)) throw error;
    const { code, reason, status, method, url } = error;
    throw new MlflowError(code, reason, { action, status, method, url, cause: error });
  }
}
