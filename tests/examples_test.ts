/** The examples, each run as the README prints it, in a fresh copy of the project. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { copyCheckout, exampleFiles } from "./support/checkout.ts";
import { deno } from "./support/deno.ts";
import { gatedTest } from "./support/gate.ts";
import { type ExampleCommand, exampleCommands } from "./support/readme.ts";

const ROOT = Deno.realPathSync(new URL("..", import.meta.url));

/** Arguments, put behind those that the README prints, that make an example's work small. */
const SMALL: Readonly<Record<string, readonly string[]>> = {
  "examples/train.ts": ["--epochs", "1", "--limit", "20"],
  "examples/autolog.ts": ["1", "20"],
  "examples/sweep.ts": ["--epochs", "1", "--limit", "20"],
};

gatedTest({
  name: "every example runs with the flags that the README prints",
  missing: missingReadme(),
  fn: async (t) => {
    const commands = exampleCommands(await Deno.readTextFile(join(ROOT, "README.md")));
    await t.step("the README tells how to run each of them", async () => {
      const printed = new Set(commands.map(({ path }) => path));
      const programs = (await exampleFiles(ROOT)).filter(isProgram);
      assertEquals(programs.filter((path) => !printed.has(path)), []);
      assertEquals([...printed].filter((path) => !programs.includes(path)), []);
    });
    const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
    try {
      await copyCheckout(ROOT, dir);
      // One after the other in one folder: what an example shows may be what the one before it wrote.
      for (const { path, flags, args } of commands) {
        await t.step([...flags, path, ...args].join(" "), async () => {
          await deno(["run", ...flags, "--no-prompt", path, ...args, ...SMALL[path] ?? []], { cwd: dir });
        });
      }
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});

/** Whether an example is one to run, and not a part that others import. */
function isProgram(path: string): boolean {
  const text = Deno.readTextFileSync(join(ROOT, path));
  return text.includes("import.meta.main") || !/^export /m.test(text);
}

function missingReadme(): string | undefined {
  try {
    Deno.statSync(join(ROOT, "README.md"));
    Deno.statSync(join(ROOT, "examples"));
  } catch {
    return "no README.md and examples/ yet";
  }
}

Deno.test("exampleCommands() finds what the README prints", () => {
  const readme = `
# Title

\`deno run -A examples/inline.ts\` is no line of its own.

\`\`\`sh
deno run -A examples/train.ts
$ deno run --allow-read=. "--allow-env=HOME,USER" \\
    ./examples/predict.ts 'data/a b/0.png' --top 3 # the best three
deno run -A other.ts
  deno task bench
\`\`\`
`;
  const expected: ExampleCommand[] = [
    { path: "examples/train.ts", flags: ["-A"], args: [] },
    {
      path: "examples/predict.ts",
      flags: ["--allow-read=.", "--allow-env=HOME,USER"],
      args: ["data/a b/0.png", "--top", "3"],
    },
  ];
  assertEquals(exampleCommands(readme), expected);
});
