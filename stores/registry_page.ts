import { MlflowError } from "../errors.ts";

/** Checks the number of registered models wanted on a page. */
export function modelLimit(maxResults: number | undefined): number {
  return limitOf(maxResults ?? 100, 1000);
}

/** Checks the number of versions wanted on a page. */
export function versionLimit(maxResults: number | undefined): number {
  return limitOf(maxResults ?? 10_000, 200_000);
}

function limitOf(limit: number, most: number): number {
  if (!(Number.isInteger(limit) && limit >= 1)) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `Invalid value for max_results. It must be a positive integer, but got ${limit}`,
    );
  }
  if (limit <= most) return limit;
  throw new MlflowError(
    "INVALID_PARAMETER_VALUE",
    `Invalid value for request parameter max_results. It must be at most ${most}, but got value ${limit}`,
  );
}
