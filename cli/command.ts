import { parseArgs, type ParseArgsOptionsConfig } from "node:util";

/** A command of the command line. */
export interface Command {
  /** The words that it is called by, such as `models serve`. */
  readonly name: string;
  /** What stands behind its name, such as `URI [options]`. */
  readonly takes: string;
  /** What it does, in a line without a full stop. */
  readonly does: string;
  /** The options, a line each, as `--help` shows them. */
  readonly options: string;
  /** Does it, and gives the exit code. */
  readonly main: (args: readonly string[]) => Promise<number>;
}

/** What is wrong with the arguments. */
export class UsageError extends Error {}

/** Reads a command's options, and the arguments between them; what does not fit is a {@linkcode UsageError}. */
export function readArguments<T extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: T,
): ReturnType<typeof parseArgs<{ args: string[]; options: T; allowPositionals: true }>> {
  try {
    const parsed = parseArgs({ args: [...args], options, allowPositionals: true });
    for (const [name, value] of Object.entries(parsed.values)) {
      if (value === "") throw new TypeError(`--${name} must not be empty`);
    }
    return parsed;
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

/** The one argument that a command takes beside its options. */
export function onlyArgument(positionals: readonly string[], name: string): string {
  if (positionals.length === 1) return positionals[0];
  const found = positionals.length === 0 ? "none" : positionals.map((one) => JSON.stringify(one)).join(", ");
  throw new UsageError(`one ${name} is wanted: received ${found}`);
}
