import { isAbsolute, resolve } from "@std/path";

/** Whether a location is a URI with a scheme, and not a path. A single letter is a drive of Windows. */
export function hasScheme(location: string): boolean {
  return /^[a-zA-Z][a-zA-Z0-9+.-]+:/.test(location);
}

/** A location as a store keeps it: a path that is relative made absolute, any other path and a URI as it is. */
export function absoluteLocation(location: string): string {
  // Without the working directory, `resolve` loads all of node:process to ask for it.
  return hasScheme(location) || isAbsolute(location) ? location : resolve(Deno.cwd(), location);
}

/** Appends path segments to a path, or to a URI before its query and fragment. */
export function appendToUri(location: string, ...segments: readonly string[]): string {
  const [, base, rest] = hasScheme(location) ? /^([^?#]*)(.*)$/s.exec(location)! : [location, location, ""];
  // A scheme with an empty path, as in "mlflow-artifacts:", takes a path from its root.
  const start = base.endsWith(":") ? `${base}/` : base;
  return segments.reduce((path, segment) => `${path.replace(/\/+$/, "")}/${segment}`, start) + rest;
}
