/** Projects run by this library and by Python's `mlflow run`, held against each other. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient, runProject, type RunRecord, setTrackingUri } from "../mod.ts";
import { copyCheckout } from "./support/checkout.ts";
import { deno } from "./support/deno.ts";
import { withEnv } from "./support/env.ts";
import { writeFiles } from "./support/folder.ts";
import { commitAll, git, missingGit } from "./support/git.ts";
import { mlflowTest } from "./support/mlflow.ts";

const ROOT = Deno.realPathSync(new URL("..", import.meta.url));

/** What two runs of the same project have to have in common. */
function comparable({ info, data }: RunRecord): unknown {
  const { "mlflow.runName": _name, ...tags } = data.tags;
  const metrics = Object.keys(data.metrics).sort();
  return {
    status: info.status,
    experimentId: info.experimentId,
    userId: info.userId,
    params: data.params,
    tags,
    metrics,
  };
}

async function runs(client: MlflowClient): Promise<RunRecord[]> {
  const experimentIds = async () =>
    (await client.searchExperiments().toArray()).map(({ experimentId }) => experimentId);
  return (await client.searchRuns({ experimentIds }).toArray()).filter(({ data }) =>
    data.tags["mlflow.source.type"] === "PROJECT"
  );
}

function cleanPath(executable: string): Record<string, string> {
  const { PATH, ...env } = Deno.env.toObject();
  const kept = Object.entries(env).filter(([name]) => !/^_?MLFLOW_/.test(name));
  const path = [join(executable, ".."), join(Deno.execPath(), ".."), PATH].join(":");
  return { ...Object.fromEntries(kept), PATH: path, NO_COLOR: "1", GIT_CONFIG_GLOBAL: "/dev/null" };
}

const MLPROJECT = `
name: a project
entry_points:
  main:
    parameters:
      note: {type: string, default: "two words"}
      rate: {type: float, default: 1.0}
      deep: {default: false}
    command: "echo {note} {rate} {deep} > said.txt"
  fails:
    command: exit 4
  python:
    parameters: {epochs: {type: float, default: 2}}
    command: "python train.py --epochs {epochs}"
`;
const TRAIN = `
import argparse, mlflow
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
args = parser.parse_args()
with mlflow.start_run():
    mlflow.log_param("epochs", args.epochs)
    mlflow.log_metric("loss", 0.5)
`;

/** Calls of both, by the names of Python's arguments. */
interface Call {
  readonly uri: string;
  readonly entry_point?: string;
  readonly version?: string;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly experiment_name?: string;
  readonly run_name?: string;
}

const CALLS: readonly Call[] = [
  { uri: "plain" },
  {
    uri: "plain",
    parameters: { note: "it's", more: "a b", rate: "3" },
    experiment_name: "new one",
    run_name: "named",
  },
  { uri: "plain", entry_point: "fails" },
  { uri: "plain", entry_point: "python", parameters: { epochs: "3" } },
  { uri: "plain", entry_point: "script.sh", parameters: { x: "1" } },
  { uri: "repo" },
  { uri: "repo/deep" },
  { uri: "repo#deep", version: "main" },
  { uri: "repo/ignored" },
];

mlflowTest("a project's run has the tags and params of Python's", { missing: missingGit() }, async (mlflow, t) => {
  const { dir } = mlflow;
  await writeFiles(dir, {
    "plain/MLproject": MLPROJECT,
    "plain/train.py": TRAIN,
    "plain/script.sh": "exit 0\n",
    "repo/MLproject": MLPROJECT,
    "repo/deep/MLproject": MLPROJECT,
    "repo/ignored/MLproject": MLPROJECT,
    "repo/.gitignore": "ignored/\nsaid.txt\n",
  });
  await commitAll(join(dir, "repo"));
  await git(dir, "clone", "--quiet", "--bare", "repo", "origin.git");
  await git(join(dir, "repo"), "remote", "add", "origin", join(dir, "origin.git"));
  const uri = `sqlite:///${join(dir, "mlflow.db")}`;
  const calls = CALLS.map((call) => ({ ...call, uri: join(dir, call.uri) }));
  const theirs = await mlflow.python<[string, boolean][]>(
    `
    import os, sys, mlflow
    os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    mlflow.set_tracking_uri(args["uri"])
    result = []
    for call in args["calls"]:
        before = {run.info.run_id for run in mlflow.search_runs(search_all_experiments=True, output_format="list")}
        try:
            mlflow.projects.run(**call, env_manager="local")
            succeeded = True
        except mlflow.exceptions.ExecutionException as error:
            succeeded = False
        after = mlflow.search_runs(search_all_experiments=True, output_format="list")
        result += [(run.info.run_id, succeeded) for run in after if run.info.run_id not in before]
    `,
    { calls, uri },
  );
  assertEquals(theirs.length, calls.length);
  setTrackingUri(uri);
  const client = new MlflowClient(uri);
  const variables = { PATH: `${join(mlflow.executable, "..")}:${Deno.env.get("PATH")}` };
  try {
    for (const [i, { uri, entry_point, version, parameters, experiment_name, run_name }] of calls.entries()) {
      await t.step(JSON.stringify(CALLS[i]), async () => {
        const { runId, status } = await withEnv(variables, () =>
          runProject(uri, {
            entryPoint: entry_point,
            version,
            parameters,
            experimentName: experiment_name,
            runName: run_name,
            onFailure: "return",
          }));
        const [ours, python] = await Promise.all([runId, theirs[i][0]].map((id) => client.getRun(id)));
        assertEquals(comparable(ours), comparable(python));
        assertEquals(status === "FINISHED", theirs[i][1]);
        if (run_name !== undefined) assertEquals(ours.info.runName, python.info.runName);
      });
    }
  } finally {
    setTrackingUri("");
  }
});

mlflowTest("this project's own MLproject runs by our command line and by Python's", {
  missing: missingGit(),
}, async (mlflow) => {
  const { dir: cwd, executable } = mlflow;
  await copyCheckout(ROOT, cwd);
  await deno(["install", "--quiet"], { cwd });
  await writeFiles(cwd, { ".gitignore": "node_modules/\nmlruns/\nmlflow.db*\ndata/\n" });
  await commitAll(cwd);
  const client = new MlflowClient(`sqlite:///${join(cwd, "mlflow.db")}`);
  const run = async (command: string, ...args: readonly string[]) => {
    const known = new Set((await runs(client)).map(({ info }) => info.runId));
    const all = [...args, "run", ".", "--env-manager", "local", "-P", "epochs=1", "-P", "limit=20"];
    const options = { args: all, cwd, env: cleanPath(executable), clearEnv: true, stdin: "null" } as const;
    const { code, stderr } = await new Deno.Command(command, options).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    return (await runs(client)).filter(({ info }) => !known.has(info.runId))[0];
  };
  const theirs = await run(executable, "-m", "mlflow");
  const ours = await run(Deno.execPath(), "run", "-A", "--no-check", "cli.ts");
  assertEquals(comparable(ours), comparable(theirs));
  assertEquals([ours, theirs].map(({ data }) => data.params.epochs), ["1", "1"]);
  assertEquals([ours, theirs].map(({ outputs }) => outputs.modelOutputs.length), [1, 1]);
});
