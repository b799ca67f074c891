/**
 * The command line.
 *
 * ```sh
 * deno run -A jsr:@mlflow-deno/mlflow/cli --help
 * ```
 *
 * @module
 */
import config from "./deno.json" with { type: "json" };
import { type Command, UsageError } from "./cli/command.ts";
import { modelsServe } from "./cli/models_serve.ts";
import { run } from "./cli/run.ts";
import { MlflowError } from "./errors.ts";

const COMMANDS: readonly Command[] = [run, modelsServe];
const PROGRAM = "deno run -A jsr:@mlflow-deno/mlflow/cli";
const NAME_WIDTH = Math.max(...COMMANDS.map(({ name }) => name.length)) + 2;

const USAGE = `MLflow for Deno ${config.version}

  ${PROGRAM} COMMAND

${COMMANDS.map(({ name, does }) => `  ${name.padEnd(NAME_WIDTH)}${does}`).join("\n")}

  --help     this text, or behind a command that command's options
  --version  the version`;

/**
 * Does what a command line says, and gives the exit code: 0, 1 where it went wrong, 2 where the command line is.
 *
 * @param args the words behind the program's name
 */
export async function main(args: readonly string[]): Promise<number> {
  const command = COMMANDS.find(({ name }) => name.split(" ").every((word, i) => args[i] === word));
  if (command === undefined) return withoutCommand(args);
  const usage = `${command.does}\n\n  ${PROGRAM} ${command.name} ${command.takes}\n\n${command.options}`;
  const rest = args.slice(command.name.split(" ").length);
  if (rest.includes("--help")) {
    console.log(usage);
    return 0;
  }
  try {
    return await command.main(rest);
  } catch (error) {
    const isUsage = error instanceof UsageError;
    if (!isUsage && !(error instanceof MlflowError)) throw error;
    console.error(`${command.name}: ${error.message}${isUsage ? `\n\n${usage}` : ""}`);
    return isUsage ? 2 : 1;
  }
}

function withoutCommand(args: readonly string[]): number {
  const [first] = args;
  if (first === "--version") console.log(config.version);
  else if (first === "--help") console.log(USAGE);
  else {
    const state = first === undefined ? "a command is wanted" : `there is no command "${args.join(" ")}"`;
    console.error(`${state}\n\n${USAGE}`);
    return 2;
  }
  return 0;
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);
