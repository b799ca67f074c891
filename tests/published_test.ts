/** What a user of the published package gets, from an empty project. */
import config from "../deno.json" with { type: "json" };
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { gatedTest } from "./support/gate.ts";
import { PublishedPackage } from "./support/published.ts";
import { type ExampleCommand, exampleCommands } from "./support/readme.ts";

const ROOT = Deno.realPathSync(new URL("..", import.meta.url));

/** The examples that a user of the published package runs here, with what makes them quick and a part of what they say. */
const EXAMPLES: readonly { readonly path: string; readonly args: readonly string[]; readonly says: string }[] = [
  { path: "examples/quickstart.ts", args: [], says: "mlflow ui" },
  { path: "examples/train.ts", args: ["--epochs", "1", "--limit", "20"], says: "mlflow ui" },
];

const PLOT_PROGRAM = `
import { trainingCurves } from "@mlflow-deno/mlflow/plots";

const curves = await trainingCurves({ loss: [2, 1, 0.5], val_loss: [2, 1.5, 1] });
console.log((await curves.toPng()).length > 1000, (await curves.toSvg()).length > 1000);
`;

gatedTest({
  name: "the published package draws a plot in an empty project",
  missing: missingFiles(Object.values(config.exports)),
  fn: async () => {
    await using published = await PublishedPackage.serve(ROOT);
    const dir = await Deno.makeTempDir({ prefix: "mlflow-deno-" });
    try {
      await published.writeConsumer(dir, { files: { "plot.ts": PLOT_PROGRAM }, imports: {} });
      assertEquals(await published.run(dir, ["--allow-read=."], "plot.ts"), "true true\n");
      assertEquals(published.missed, []);
      assert(published.served.has("plots.ts"));
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});

const CLI_PROGRAM = `
import { main } from "@mlflow-deno/mlflow/cli";

Deno.exitCode = await main(Deno.args);
`;

gatedTest({
  name: "the published package's command line runs a project and knows its version",
  missing: missingFiles(["cli.ts"]),
  fn: async () => {
    await using published = await PublishedPackage.serve(ROOT);
    const dir = await Deno.makeTempDir({ prefix: "mlflow-deno-" });
    try {
      const MLproject = `entry_points: {main: {parameters: {a: string}, command: "echo {a}"}}`;
      await published.writeConsumer(dir, { files: { "cli.ts": CLI_PROGRAM, "p/MLproject": MLproject }, imports: {} });
      assertEquals(await published.run(dir, ["-A"], "cli.ts", ["--version"]), `${config.version}\n`);
      assertEquals(await published.run(dir, ["-A"], "cli.ts", ["run", "p", "-P", "a=said"]), "said\n");
      assertEquals(published.missed, []);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});

gatedTest({
  name: "the published package runs quickstart and a training in an empty project",
  missing: missingFiles(["mod.ts", "README.md", ...EXAMPLES.map(({ path }) => path)]),
  fn: async (t) => {
    const commands = exampleCommands(await Deno.readTextFile(join(ROOT, "README.md")));
    await using published = await PublishedPackage.serve(ROOT);
    const dir = await Deno.makeTempDir({ prefix: "mlflow-deno-" });
    try {
      await published.writeConsumer(dir, { files: await exampleFiles() });
      for (const { path, args, says } of EXAMPLES) {
        await t.step(path, async () => {
          const { flags } = commandFor(commands, path);
          assertStringIncludes(await published.run(dir, flags, path, args), says);
          assertEquals(published.missed, []);
        });
      }
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});

Deno.test("PublishedPackage serves nothing but what would be published", async () => {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
  const root = join(dir, "package");
  const consumer = join(dir, "consumer");
  try {
    await Deno.mkdir(root);
    const config = {
      name: "@a/b",
      version: "1.0.0",
      license: "MIT",
      exports: { ".": "./mod.ts", "./late": "./late.ts" },
      imports: { "@std/path": "node:path" },
      publish: { exclude: ["hidden.ts"] },
    };
    const files = {
      "deno.json": JSON.stringify(config),
      "mod.ts": `import { join } from "@std/path";\nexport const joined: string = join("a", "b");\n`,
      "late.ts": `export const load = (): Promise<unknown> => import(["./hidden", "ts"].join("."));\n`,
      "hidden.ts": `export {};\n`,
    };
    for (const [path, text] of Object.entries(files)) await Deno.writeTextFile(join(root, path), text);
    const programs = {
      "good.ts": `import { joined } from "@a/b";\nconsole.log(joined);\n`,
      "bad.ts": `import { load } from "@a/b/late";\nawait load().catch((error) => console.log(error.message));\n`,
    };
    await using published = await PublishedPackage.serve(root);
    assertEquals([...published.files].sort(), ["deno.json", "late.ts", "mod.ts"]);
    await published.writeConsumer(consumer, { files: programs });
    assertEquals(await published.run(consumer, [], "good.ts"), `${join("a", "b")}\n`);
    assertEquals(published.missed, []);
    assertStringIncludes(await published.run(consumer, [], "bad.ts"), "Module not found");
    assertEquals([...new Set(published.missed)], ["hidden.ts"]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

function missingFiles(paths: readonly string[]): string | undefined {
  const missing = paths.filter((path) => {
    try {
      Deno.statSync(join(ROOT, path));
      return false;
    } catch {
      return true;
    }
  });
  return missing.length > 0 ? `no ${missing.join(", ")} yet` : undefined;
}

function commandFor(commands: readonly ExampleCommand[], path: string): ExampleCommand {
  const command = commands.find((command) => command.path === path);
  assert(command, `README.md does not say how to run ${path}`);
  return command;
}

async function exampleFiles(): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for await (const { name } of Deno.readDir(join(ROOT, "examples"))) {
    if (name.endsWith(".ts")) files[`examples/${name}`] = await Deno.readTextFile(join(ROOT, "examples", name));
  }
  return files;
}
