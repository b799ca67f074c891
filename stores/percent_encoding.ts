/**
 * A text in a URL, in the one way that all who check a signature agree on: every character as bytes of UTF-8 but those
 * that no part of a URL gives a meaning (RFC 3986, 2.3).
 */
export function percentEncode(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}
