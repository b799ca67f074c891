import type { Page } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import type { LoggedModelSearch } from "./store.ts";

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

/** Where the page of this token of a search for logged models starts: it is good for the search that gave it alone. */
export function loggedModelOffset(experimentIds: readonly string[], search: LoggedModelSearch): number {
  const { pageToken } = search;
  if (pageToken === undefined || pageToken === "") return 0;
  let found: Record<string, unknown>;
  try {
    found = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(pageToken), (c) => c.charCodeAt(0))));
  } catch (cause) {
    throw new MlflowError("INVALID_PARAMETER_VALUE", `Invalid page token: ${pageToken}.`, { cause });
  }
  const wanted = loggedModelQuestion(experimentIds, search);
  const names = {
    experiment_ids: "Experiment IDs in the page token do not match the requested experiment IDs",
    filter_string: "Filter string in the page token does not match the requested filter string",
    order_by: "Order by in the page token does not match the requested order by",
  };
  for (const [name, sentence] of Object.entries(names)) {
    const [asked, told] = [wanted[name], found[name] ?? null].map((value) => JSON.stringify(value));
    if (asked !== told) {
      throw new MlflowError("INVALID_PARAMETER_VALUE", `${sentence}. Expected: ${asked}. Found: ${told}`);
    }
  }
  return Number(found.offset ?? 0);
}

/** Cuts the one entry too many, as `pageOf` does; the token is MLflow's for logged models, which repeats the search. */
export function loggedModelPage<T>(
  items: readonly T[],
  limit: number,
  offset: number,
  experimentIds: readonly string[],
  search: LoggedModelSearch,
): Page<T> {
  if (items.length <= limit) return { items, nextPageToken: undefined };
  const token = { ...loggedModelQuestion(experimentIds, search), offset: offset + limit };
  const bytes = new TextEncoder().encode(JSON.stringify(token));
  return { items: items.slice(0, limit), nextPageToken: btoa(String.fromCharCode(...bytes)) };
}

function loggedModelQuestion(experimentIds: readonly string[], search: LoggedModelSearch): Record<string, unknown> {
  return {
    experiment_ids: experimentIds,
    filter_string: search.filter || null,
    order_by: search.orderBy?.length
      ? search.orderBy.map(({ fieldName, ascending = true, datasetName, datasetDigest }) => ({
        field_name: fieldName,
        ascending,
        ...(datasetName === undefined ? {} : { dataset_name: datasetName }),
        ...(datasetDigest === undefined ? {} : { dataset_digest: datasetDigest }),
      }))
      : null,
  };
}
