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

/**
 * The one error class for what MLflow refuses or a store cannot do. `code` says which kind, the same from every
 * store; `cause` holds the lower error where there is one.
 */
export class MlflowError extends Error {
  override readonly name = "MlflowError";
  /** MLflow's code for this kind of error. */
  readonly code: ErrorCode;

  /**
   * @param code MLflow's code for this kind of error
   * @param message the action, a colon, the state found and what is wanted
   * @param options `cause`: the lower error this one comes from
   */
  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options);
    this.code = code;
  }
}
