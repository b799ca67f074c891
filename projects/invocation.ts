import { join, resolve } from "@std/path";
import { fileURLToPath } from "node:url";
import { downloadArtifacts } from "../artifacts.ts";
import { hasScheme } from "../artifacts/uri.ts";
import { MlflowError } from "../errors.ts";
import type { EntryPoint, Parameter } from "./mlproject.ts";
import { shellQuote } from "./shell_quote.ts";

/** What an entry point becomes with the values of its parameters. */
export interface Invocation {
  /** The command for the shell. */
  readonly command: string;
  /** The params of the run: values quoted as in the command and paths as they were given, as Python logs them. */
  readonly params: Readonly<Record<string, string>>;
}

/**
 * Puts the values of parameters into an entry point's command; those that it does not declare go behind it, as
 * `--name value`.
 *
 * @param given values by name
 * @param storage makes the folder into which what a `path` parameter names elsewhere is copied
 */
export async function invoke(
  entryPoint: EntryPoint,
  given: Readonly<Record<string, string>>,
  storage: () => Promise<string>,
): Promise<Invocation> {
  const missing = entryPoint.parameters.filter((parameter) => valueOf(parameter, given) === undefined);
  if (missing.length > 0) {
    const names = missing.map(({ name }) => `'${name}'`).join(", ");
    throw invalid(`No value given for missing parameters: ${names}`);
  }
  const declared = entryPoint.parameters.map((parameter) => ({ ...parameter, value: valueOf(parameter, given)! }));
  for (const { name, type, value } of declared) {
    if (type === "uri" && !/^[a-z][a-z0-9+.-]*:/i.test(value)) {
      throw invalid(`Expected URI for parameter ${name} but got ${value}`);
    }
    if (type === "float" && !isNumber(value)) throw invalid(`parameter ${name} must be a number: received "${value}"`);
  }
  const words = new Map<string, string>();
  for (const [position, { name, type, value }] of declared.entries()) {
    words.set(name, shellQuote(type === "path" ? await localPath(name, value, position, storage) : value));
  }
  const known = new Set(declared.map(({ name }) => name));
  const extra = Object.entries(given).filter(([name]) => !known.has(name)).map(([name, value]) =>
    [shellQuote(name), shellQuote(value)] as const
  );
  return {
    command: [substitute(entryPoint.command, words), ...extra.map(([name, value]) => `--${name} ${value}`)].join(" "),
    params: Object.fromEntries([...declared.map(({ name, value }) => [name, shellQuote(value)] as const), ...extra]),
  };
}

function valueOf(parameter: Parameter, given: Readonly<Record<string, string>>): string | undefined {
  return Object.hasOwn(given, parameter.name) ? given[parameter.name] : parameter.default;
}

/** Replaces `{name}`; as in Python's `str.format`, a brace that is meant stands twice. */
function substitute(command: string, words: ReadonlyMap<string, string>): string {
  return command.replace(/\{\{|\}\}|\{([^{}]*)\}|[{}]/g, (found, name?: string) => {
    if (found === "{{" || found === "}}") return found[0];
    const word = name === undefined ? undefined : words.get(name);
    if (word !== undefined) return word;
    const names = [...words.keys()].map((key) => `{${key}}`).join(", ") || "none";
    throw invalid(
      `the command has ${found}, which is no parameter of the entry point: there are ${names}; ` +
        "write {{ and }} for braces that the shell is to see",
    );
  });
}

async function localPath(
  name: string,
  value: string,
  position: number,
  storage: () => Promise<string>,
): Promise<string> {
  if (hasScheme(value) && !/^file:(\/\/)?\//i.test(value)) {
    const localDirectory = join(await storage(), `param_${position}`);
    await Deno.mkdir(localDirectory, { recursive: true });
    return await downloadArtifacts(value, { localDirectory });
  }
  const path = resolve(hasScheme(value) ? fileURLToPath(value) : value);
  const found = await Deno.stat(path).catch(() => undefined);
  if (found !== undefined) return path;
  throw invalid(`Got value ${value} for parameter ${name}, but no such file or directory was found.`);
}

/** Whether Python's `float()` would take it. */
function isNumber(text: string): boolean {
  return /^[+-]?((\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(e[+-]?\d+)?|inf(inity)?|nan)$/i.test(text.trim());
}

function invalid(reason: string): MlflowError {
  return new MlflowError("INVALID_PARAMETER_VALUE", reason);
}
