import type { Page } from "./entities.ts";

/**
 * What a search finds, page by page as it is walked through: `for await (const run of search)`, or all at once by
 * `await search.toArray()`.
 */
export class SearchResults<T> implements AsyncIterable<T> {
  readonly #getPage: (pageToken: string | undefined) => Promise<Page<T>>;
  readonly #limit: number;

  /**
   * Makes results that are asked for when they are walked through.
   *
   * @param getPage gets the page of a token, the first one for undefined
   * @param limit the most entries to give. @default {Infinity}
   */
  constructor(getPage: (pageToken: string | undefined) => Promise<Page<T>>, limit: number = Infinity) {
    this.#getPage = getPage;
    this.#limit = limit;
  }

  /** Walks through the entries; a page is asked for when the one before is used up. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    let left = this.#limit;
    let token: string | undefined;
    do {
      const page = await this.#getPage(token);
      for (const item of page.items) {
        if (left-- <= 0) return;
        yield item;
      }
      token = page.nextPageToken;
    } while (token !== undefined && left > 0);
  }

  /** All entries. */
  async toArray(): Promise<T[]> {
    return await Array.fromAsync(this);
  }
}
