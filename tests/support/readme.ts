/** The commands that the README tells its readers to run. */

/** A line `deno run <flags> examples/<name> <args>`. */
export interface ExampleCommand {
  /** The example's path, "examples/quickstart.ts". */
  readonly path: string;
  /** The flags before it, as printed. */
  readonly flags: readonly string[];
  /** The arguments behind it, as printed. */
  readonly args: readonly string[];
}

/** The commands that run an example, in their order. A backslash at a line's end joins it with the next. */
export function exampleCommands(readme: string): ExampleCommand[] {
  const lines = readme.replaceAll(/\\\r?\n\s*/g, "").split(/\r?\n/);
  return lines.flatMap((line) => {
    const command = line.match(/^\s*(?:\$ |> )?(?:npx -y )?deno run (.*)$/)?.[1];
    if (command === undefined) return [];
    const words = shellWords(command);
    const at = words.findIndex((word) => /^(\.\/)?examples\/.+\.ts$/.test(word));
    if (at < 0) return [];
    return [{ path: words[at].replace(/^\.\//, ""), flags: words.slice(0, at), args: words.slice(at + 1) }];
  });
}

function shellWords(command: string): string[] {
  const uncommented = command.replace(/\s#.*$/, "");
  const words = uncommented.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? [];
  return words.map((word) => word.replaceAll(/"([^"]*)"|'([^']*)'/g, "$1$2"));
}
