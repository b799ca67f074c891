import type { Page } from "../entities.ts";
import { MlflowError } from "../errors.ts";

/** The most entries that MLflow gives on a page. */
const MAX_RESULTS = 50_000;

/** Checks the number of entries wanted on a page. */
export function resultLimit(maxResults: number | undefined, missing: number): number {
  const limit = maxResults ?? missing;
  if (!(Number.isInteger(limit) && limit >= 1 && limit <= MAX_RESULTS)) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `Invalid value ${limit} for parameter 'max_results' supplied. It must be a positive integer of at most ${MAX_RESULTS}.`,
    );
  }
  return limit;
}

/** Where the page of this token starts. Tokens are MLflow's: base64 of `{"offset": 1000}`. */
export function pageOffset(pageToken: string | undefined): number {
  if (pageToken === undefined || pageToken === "") return 0;
  let offset: unknown;
  try {
    offset = JSON.parse(atob(pageToken)).offset;
  } catch {
    // told below, with the token
  }
  if (typeof offset !== "number" || !Number.isInteger(offset) || offset < 0) {
    throw new MlflowError("INVALID_PARAMETER_VALUE", `Invalid page token, could not base64-decode: '${pageToken}'`);
  }
  return offset;
}

/** Cuts the one entry too many that says that there is a next page. */
export function pageOf<T>(items: readonly T[], limit: number, offset: number): Page<T> {
  const more = items.length > limit;
  return {
    items: more ? items.slice(0, limit) : items,
    nextPageToken: more ? btoa(`{"offset": ${offset + limit}}`) : undefined,
  };
}
