/**
 * An environment variable, or undefined where it is not set or Deno does not allow it to be read.
 *
 * It asks for nothing: a variable that was not allowed is as if it were not there, and no prompt appears.
 */
export function readEnv(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) || undefined : undefined;
}

/** Sets an environment variable for this program's children, or removes it, where Deno allows it. */
export function writeEnv(name: string, value: string | undefined): void {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  if (state !== "granted") return;
  if (value === undefined) Deno.env.delete(name);
  else Deno.env.set(name, value);
}

/** A boolean environment variable as MLflow reads it: `true`, `false`, `1` or `0` in any case. */
export function readBooleanEnv(name: string, missing: boolean): boolean {
  const value = readEnv(name);
  if (value === undefined) return missing;
  if (/^(true|1)$/i.test(value)) return true;
  if (/^(false|0)$/i.test(value)) return false;
  throw new TypeError(`${name} must be one of "true", "false", "1", "0": received "${value}"`);
}
