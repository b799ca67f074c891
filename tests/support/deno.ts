/** Deno as a user starts it: another process, in some folder, in a clean environment. */
import { cleanEnv } from "./clean_env.ts";

/** How Deno is started. */
export interface DenoOptions {
  /** The folder that it runs in. */
  readonly cwd: string;
  /** Environment variables beside those of this process, of which all `MLFLOW_*` are left out. */
  readonly env?: Readonly<Record<string, string>>;
  /** How long it may take, in milliseconds. @default {300_000} */
  readonly timeout?: number;
}

/**
 * Runs `deno` to its end and returns what it wrote to stdout and stderr.
 *
 * @throws {Error} if it ends with another code than 0, with all that it wrote
 */
export async function deno(args: readonly string[], options: DenoOptions): Promise<{ stdout: string; stderr: string }> {
  const { cwd, env = {}, timeout = 300_000 } = options;
  const output = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd,
    env: { ...cleanEnv(), ...env },
    clearEnv: true,
    stdin: "null",
    signal: AbortSignal.timeout(timeout),
  }).output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!output.success) {
    const state = output.signal ? `it was ended by ${output.signal}` : `it ended with code ${output.code}`;
    throw new Error(`Cannot run deno ${args.join(" ")}: ${state} (limit ${timeout} ms). It wrote:\n${stdout}${stderr}`);
  }
  return { stdout, stderr };
}
