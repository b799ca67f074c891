import config from "../deno.json" with { type: "json" };
import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient } from "../client.ts";
import { cleanEnv } from "./support/clean_env.ts";
import { withFolder } from "./support/folder.ts";

const ROOT = new URL("..", import.meta.url).pathname;

/** Runs the command line as a user does. */
async function cli(
  cwd: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--config", join(ROOT, "deno.json"), join(ROOT, "cli.ts"), ...args],
    cwd,
    env: { ...cleanEnv(), ...env },
    clearEnv: true,
    stdin: "null",
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

Deno.test("cli.ts says what it can do", async () => {
  const help = await cli(".", ["--help"]);
  assertEquals([help.code, help.stderr], [0, ""]);
  assertStringIncludes(help.stdout, "runs a project");
  assertEquals(await cli(".", ["--version"]), { code: 0, stdout: `${config.version}\n`, stderr: "" });
  const run = await cli(".", ["run", "x", "--help"]);
  assertEquals([run.code, run.stderr], [0, ""]);
  assertStringIncludes(run.stdout, "deno run -A jsr:@mlflow-deno/mlflow/cli run URI [options]");
  assertStringIncludes(run.stdout, "-e, --entry-point NAME");
});

Deno.test("cli.ts refuses what it does not know, with code 2 and how it is used", async (t) => {
  const cases: readonly (readonly [string, string])[] = [
    ["", "a command is wanted"],
    ["walk", 'there is no command "walk"'],
    ["run", "run: one project URI is wanted: received none"],
    ["run a b", 'run: one project URI is wanted: received "a", "b"'],
    ["run . --color red", "run: Unknown option '--color'"],
    ["run . -P a", 'run: -P must be of the form NAME=VALUE: received "a"'],
    ["run . -P a=1 -P a=2", "run: -P a is given twice"],
    ["run . --run-name=", "run: --run-name must not be empty"],
    [
      "run . --env-manager conda",
      'run: --env-manager must be local, the others need Python\'s mlflow: received "conda"',
    ],
    ["run . -b kubernetes", "run: --backend must be local"],
    ["run . --experiment-name a --experiment-id 1", "run: one of --experiment-name and --experiment-id is wanted"],
  ];
  await Promise.all(cases.map(([line, expected]) =>
    t.step({
      name: line || "nothing",
      sanitizeOps: false,
      sanitizeResources: false,
      sanitizeExit: false,
      fn: async () => {
        const { code, stdout, stderr } = await cli(".", line.split(" ").filter((word) => word !== ""));
        assertEquals([code, stdout], [2, ""]);
        assertStringIncludes(stderr, expected);
        assertStringIncludes(stderr, "\n\n  deno run -A jsr:@mlflow-deno/mlflow/cli ");
      },
    })
  ));
});

Deno.test("cli.ts run runs a project and passes its output on", async () => {
  const MLproject = `
entry_points:
  main: {parameters: {a: string, b: {default: 2}}, command: "echo said {a} {b}"}
  fails: {command: exit 7}
`;
  await withFolder({ "p/MLproject": MLproject }, async (dir) => {
    const good = await cli(dir, [
      "run",
      "p",
      "-P",
      "a=x=y z",
      "-P",
      "c=3",
      "--run-name",
      "one",
      "--env-manager",
      "local",
    ]);
    assertEquals([good.code, good.stdout], [0, "said x=y z 2 --c 3\n"]);
    const client = new MlflowClient(`sqlite:///${join(dir, "mlflow.db")}`);
    const [{ info, data }] = await client.searchRuns({ experimentIds: ["0"] }).toArray();
    assertEquals([info.runName, info.status], ["one", "FINISHED"]);
    assertEquals(data.params, { a: "'x=y z'", b: "2", c: "3" });
    assertEquals(
      good.stderr,
      `run ${info.runId}: echo said 'x=y z' 2 --c 3\nrun ${info.runId}: FINISHED\n`,
    );

    const bad = await cli(dir, ["run", "p", "-e", "fails"], { MLFLOW_EXPERIMENT_NAME: "of the environment" });
    assertEquals(bad.code, 1);
    assertStringIncludes(bad.stderr, ": FAILED, the command ended with code 7");
    const experiment = await client.getExperimentByName("of the environment");
    const runs = await client.searchRuns({ experimentIds: [experiment!.experimentId] }).toArray();
    assertEquals(runs.map((run) => run.info.status), ["FAILED"]);

    const wrong = await cli(dir, ["run", "p"]);
    assertEquals([wrong.code, wrong.stdout], [1, ""]);
    assertEquals(
      wrong.stderr,
      `run: Cannot run project "p": No value given for missing parameters: 'a' (INVALID_PARAMETER_VALUE)\n`,
    );
  });
});
