import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { MlflowError } from "../../errors.ts";
import { entryPointOf, type Project, readProject } from "../../projects/mlproject.ts";
import { withFolder } from "../support/folder.ts";

async function read(text: string, file = "MLproject"): Promise<Project> {
  return await withFolder({ [file]: text }, (dir) => readProject(dir));
}

Deno.test("readProject() gives entry points with their parameters in order", async () => {
  const { entryPoints } = await read(
    `
name: flowers
entry_points:
  main:
    parameters:
      data: path
      epochs: {type: float, default: 10}
      rate: {type: float, default: 1.0}
      small: {default: 0.00001}
      exponent: {default: 1e-5}
      note: {type: string, default: "a b"}
      day: {default: 2026-11-23}
      deep: {default: true}
      other: {type: int}
      empty: {type: string, default: ~}
    command: "python train.py {data}"
  bare:
    parameters:
    command: ls
`,
    "mlPROJECT",
  );
  assertEquals(entryPoints.get("bare"), { name: "bare", parameters: [], command: "ls" });
  const { parameters } = entryPoints.get("main")!;
  assertEquals(parameters.map(({ name, type, default: missing }) => [name, type, missing]), [
    ["data", "path", undefined],
    ["epochs", "float", "10"],
    ["rate", "float", "1.0"],
    ["small", "string", "1e-05"],
    ["exponent", "string", "1e-5"],
    ["note", "string", "a b"],
    ["day", "string", "2026-11-23"],
    ["deep", "string", "True"],
    ["other", "int", undefined],
    ["empty", "string", undefined],
  ]);
});

Deno.test("readProject() takes a folder without MLproject, and one without entry points", async () => {
  assertEquals((await withFolder({}, (dir) => readProject(dir))).entryPoints.size, 0);
  assertEquals((await read("name: a\nentry_points:\n")).entryPoints.size, 0);
});

Deno.test("readProject() says what is wrong, and where", async (t) => {
  const cases: Readonly<Record<string, string>> = {
    "": "MLproject is not readable: expected a document, but the input is empty",
    "- a": "MLproject must be a mapping: found [",
    "a: [": "MLproject is not readable",
    "entry_points: [a]": "MLproject: entry_points must be a mapping",
    "entry_points: {main: ls}": 'MLproject: entry_points.main must be a mapping: found "ls"',
    "entry_points: {main: {}}": "MLproject: entry_points.main.command must be a text",
    "entry_points: {main: {command: 3}}": "MLproject: entry_points.main.command must be a text: found 3",
    "entry_points: {main: {command: ls, parameters: [a]}}": "entry_points.main.parameters must be a mapping",
    "entry_points: {main: {command: ls, parameters: {a: 3}}}": "entry_points.main.parameters.a must be a mapping",
    "entry_points: {main: {command: ls, parameters: {a: {type: [x]}}}}": "parameters.a.type must be a text",
    "entry_points: {main: {command: ls, parameters: {a: {default: [1]}}}}": "parameters.a.default must be one value",
    "python_env: a.yaml\nconda_env: b.yaml":
      "Project cannot contain multiple environment fields: python_env, conda_env",
    "conda_env: b.yaml": "conda_env names the file b.yaml, and there is none",
    "docker_env: {image: x}": "docker_env, and projects run in the local environment only",
  };
  for (const [text, expected] of Object.entries(cases)) {
    await t.step(text, async () => {
      const { reason } = await assertRejects(() => read(text), MlflowError);
      assertStringIncludes(reason, expected);
    });
  }
});

Deno.test("entryPointOf() takes a script of the folder", async () => {
  await withFolder({ "a b.py": "", "steps/run.sh": "", "train.ts": "", "{x}.js": "", "a.R": "" }, async (folder) => {
    const project: Project = { folder, entryPoints: new Map() };
    const command = async (name: string) => (await entryPointOf(project, name)).command;
    assertEquals(await command("a b.py"), "python 'a b.py'");
    assertEquals(await command("steps/run.sh"), `${Deno.env.get("SHELL") ?? "bash"} steps/run.sh`);
    assertEquals(await command("train.ts"), "deno run -A train.ts");
    assertEquals(await command("{x}.js"), "deno run -A '{{x}}.js'");
    for (
      const [name, expected] of [["main", "Could not find main among"], ["a.R", "or interpret"], ["b.py", "no file"]]
    ) {
      const { code, reason } = await assertRejects(() => command(name), MlflowError);
      assertEquals(code, "INVALID_PARAMETER_VALUE");
      assertStringIncludes(reason, expected);
    }
  });
});
