/** The README's snippets, run as its readers would: in a project of their own, with a folder of photos. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import config from "../deno.json" with { type: "json" };
import { prepareDigits } from "../examples/digits.ts";
import { deno } from "./support/deno.ts";
import { kerasTest } from "./support/keras.ts";

const ROOT = Deno.realPathSync(new URL("..", import.meta.url));
const README = await Deno.readTextFile(join(ROOT, "README.md"));

/** The TypeScript of a section, its pieces joined to one program. */
function program(section: string): string {
  const text = README.split(/^## /m).find((part) => part.startsWith(section));
  assert(text !== undefined, `the README has no section "${section}"`);
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code).join("\n");
}

for (const section of ["Use it", "Tutorial"]) {
  Deno.test(`the README's section "${section}" is a program that runs`, async () => {
    const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
    try {
      await prepareDigits(join(dir, "photos"), 20);
      const imports = Object.fromEntries(
        Object.entries(config.imports).map(([name, target]) => [name, target.replace(/^\.\//, `${ROOT}/`)]),
      );
      await Deno.writeTextFile(join(dir, "deno.json"), JSON.stringify({ nodeModulesDir: "auto", imports }));
      await Deno.writeTextFile(join(dir, "program.ts"), program(section));
      await deno(["check", "program.ts"], { cwd: dir });
      const flags = ["--no-prompt", `--allow-read=.,${ROOT}`, "--allow-write=."];
      const { stdout } = await deno(["run", ...flags, "program.ts"], { cwd: dir });
      if (section === "Tutorial") assertStringIncludes(stdout, "models:/m-");
      assert((await Deno.stat(join(dir, "mlflow.db"))).size > 0);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

kerasTest("the README's Python opens what examples/train.ts has logged", async (mlflow) => {
  const [, snippet] = /^```python\n(.*?)^```$/ms.exec(README) ?? [];
  assert(snippet !== undefined, "the README has no Python");
  const train = ["run", "-A", "--config", join(ROOT, "deno.json"), join(ROOT, "examples/train.ts")];
  await deno([...train, "--epochs", "2", "--limit", "50"], { cwd: mlflow.dir });
  const printed = await mlflow.python<string>(
    `
import contextlib, io
text = io.StringIO()
with contextlib.redirect_stdout(text):
    exec(args)
result = text.getvalue()
`,
    snippet,
  );
  const [best] = /\d+\s*$/.exec(printed) ?? [];
  // The program of the example says the same of the same picture.
  const predict = ["run", "-A", "--config", join(ROOT, "deno.json"), join(ROOT, "examples/predict.ts")];
  const { stdout } = await deno([...predict, "data/digits/7/0000.png"], { cwd: mlflow.dir });
  const [, ours] = /0000\.png: (\d) [\d.]+ %/.exec(stdout) ?? [];
  assertEquals(best?.trim(), ours);
});
