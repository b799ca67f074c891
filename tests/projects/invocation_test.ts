import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { MlflowError } from "../../errors.ts";
import { type Invocation, invoke } from "../../projects/invocation.ts";
import { entryPointOf, readProject } from "../../projects/mlproject.ts";
import { withFolder } from "../support/folder.ts";
import { mlflowTest } from "../support/mlflow.ts";

const MLPROJECT = `
entry_points:
  main:
    parameters:
      data: {type: path, default: .}
      epochs: {type: float, default: 1.0}
      rate: {type: float, default: 0.00001}
      note: string
      link: {type: uri, default: "https://example.org/a?b=c&d"}
      odd: {type: int, default: 3}
    command: "train {note} --data {data} -e {epochs} -r {rate} {link} {odd} \${{HOME}} {note}"
  wanting:
    parameters: {a: string, b: {type: float}, c: {default: 1}}
    command: "{a} {b} {c}"
  none:
    command: "echo 'a b' | cat"
`;

/** Calls that MLflow turns into a command and params too. */
const CALLS: readonly { readonly entry: string; readonly given: Record<string, string> }[] = [
  { entry: "main", given: { note: "plain" } },
  { entry: "main", given: { note: "" } },
  { entry: "main", given: { note: "two words" } },
  { entry: "main", given: { note: 'it\'s $HOME `ls` "x" \\ ; rm -rf / #' } },
  { entry: "main", given: { note: "line\nbreak\ttab" } },
  { entry: "main", given: { note: "ümlaut 日本" } },
  { entry: "main", given: { note: "{epochs} {} }{" } },
  { entry: "main", given: { note: "a@b%c+d=e:f,g./h-i_j" } },
  { entry: "main", given: { note: "$&$1" } },
  { entry: "main", given: { note: "a", epochs: "3", rate: "1e-3", odd: "not a number" } },
  { entry: "main", given: { note: "a", extra: "x", "another one": "y z", "-w": "" } },
  { entry: "main", given: { zz: "1", note: "order", aa: "2" } },
  { entry: "main", given: { note: "a", link: "s3://bucket/key" } },
  { entry: "wanting", given: { a: "1", b: "inf" } },
  { entry: "wanting", given: { a: "1", b: "-.5e3", c: "" } },
  { entry: "none", given: {} },
  { entry: "none", given: { epochs: "1" } },
];

async function call(folder: string, entry: string, given: Record<string, string>): Promise<Invocation> {
  const entryPoint = await entryPointOf(await readProject(folder), entry);
  return await invoke(entryPoint, given, () => Promise.reject(new Error("no storage is wanted here")));
}

mlflowTest("invoke() makes the commands and params that MLflow makes", async (mlflow) => {
  await withFolder({ MLproject: MLPROJECT }, async (folder) => {
    const ours = [];
    for (const { entry, given } of CALLS) ours.push(await call(folder, entry, given));
    const theirs = await mlflow.python<{ command: string; params: [string, string][] }[]>(
      `
      import os
      from mlflow.projects import _project_spec
      os.chdir(args["cwd"])
      project = _project_spec.load_project(args["folder"])
      result = []
      for call in args["calls"]:
          entry = project.get_entry_point(call["entry"])
          declared, extra = entry.compute_parameters(call["given"], None)
          result.append({
              "command": entry.compute_command(call["given"], "/nowhere"),
              "params": list(declared.items()) + list(extra.items()),
          })
      `,
      { folder, calls: CALLS, cwd: Deno.cwd() },
    );
    assertEquals(
      ours.map(({ command, params }) => ({ command, params: Object.entries(params) })),
      theirs,
    );
  });
});

Deno.test("invoke() refuses what does not fit", async (t) => {
  const cases: readonly (readonly [string, Record<string, string>, string])[] = [
    ["wanting", {}, "No value given for missing parameters: 'a', 'b'"],
    ["wanting", { a: "1", b: "ten" }, 'parameter b must be a number: received "ten"'],
    ["main", { note: "a", epochs: "" }, "parameter epochs must be a number"],
    ["main", { note: "a", link: "no/uri" }, "Expected URI for parameter link but got no/uri"],
    ["main", { note: "a", data: "/not/there" }, "Got value /not/there for parameter data, but no such file"],
    ["broken", { a: "1" }, "the command has {b}, which is no parameter of the entry point: there are {a}"],
    ["open", {}, "the command has {, which is no parameter of the entry point: there are none"],
    ["formatted", { a: "1" }, "the command has {a:>10}"],
  ];
  const more = `
  broken: {command: "{a} {b}", parameters: {a: string}}
  open: {command: "a { b"}
  formatted: {command: "{a:>10}", parameters: {a: string}}
`;
  await withFolder({ MLproject: MLPROJECT + more }, async (folder) => {
    for (const [entry, given, expected] of cases) {
      await t.step(expected, async () => {
        const { code, reason } = await assertRejects(() => call(folder, entry, given), MlflowError);
        assertEquals(code, "INVALID_PARAMETER_VALUE");
        assertStringIncludes(reason, expected);
      });
    }
  });
});

Deno.test("invoke() copies what a path parameter names elsewhere, and gives local files by their whole paths", async () => {
  const files = { MLproject: "entry_points: {main: {command: 'cat {f} {g}', parameters: {f: path, g: path}}}" };
  await withFolder({ ...files, "a b.txt": "here" }, async (folder) => {
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => new Response("from afar"));
    try {
      const url = `http://127.0.0.1:${server.addr.port}/data.csv`;
      const entryPoint = await entryPointOf(await readProject(folder), "main");
      const given = { f: url, g: `file://${folder}/a%20b.txt` };
      const { command, params } = await invoke(entryPoint, given, () => Promise.resolve(join(folder, "storage")));
      const copy = join(folder, "storage", "param_0", "data.csv");
      assertEquals(command, `cat ${copy} '${join(folder, "a b.txt")}'`);
      assertEquals(await Deno.readTextFile(copy), "from afar");
      assertEquals(params, { f: url, g: given.g });
    } finally {
      await server.shutdown();
    }
  });
});
