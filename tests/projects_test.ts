import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient, MlflowError, runProject, setTrackingUri, withRun } from "../mod.ts";
import { cleanEnv } from "./support/clean_env.ts";
import { withEnv } from "./support/env.ts";
import { writeFiles } from "./support/folder.ts";
import { gatedTest } from "./support/gate.ts";
import { commitAll, git, missingGit } from "./support/git.ts";

const MOD = new URL("../mod.ts", import.meta.url).href;
const CONFIG = new URL("../deno.json", import.meta.url).pathname;

/** A test in a folder of its own, with a database of its own there. */
function test(
  name: string,
  files: Readonly<Record<string, string>>,
  check: (dir: string, client: MlflowClient) => Promise<void>,
  missing?: string,
): void {
  const work = async () => {
    const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
    const uri = `sqlite:///${join(dir, "mlflow.db")}`;
    setTrackingUri(uri);
    try {
      await writeFiles(dir, files);
      await check(dir, new MlflowClient(uri));
    } finally {
      setTrackingUri("");
      await Deno.remove(dir, { recursive: true });
    }
  };
  gatedTest({ name, missing, fn: work });
}

const project = (command: string, parameters = "{}") => `
name: a project
entry_points:
  main:
    parameters: ${parameters}
    command: ${JSON.stringify(command)}
`;

test("runProject() runs the command in the project's folder, with the run in its environment", {
  "p/MLproject": project(
    "echo $MLFLOW_RUN_ID $MLFLOW_EXPERIMENT_ID $MLFLOW_TRACKING_URI {a} > said.txt",
    "{a: {default: 1.0}, b: {default: x y}}",
  ),
}, async (dir, client) => {
  const started: unknown[] = [];
  const end = await runProject(join(dir, "p"), {
    experimentName: "new one",
    runName: "named",
    parameters: { a: "it's", more: true },
    onStart: (start) => started.push(start),
  });
  const { info, data } = await client.getRun(end.runId);
  assertEquals(end, { runId: info.runId, status: "FINISHED", exitCode: 0 });
  const command = `echo $MLFLOW_RUN_ID $MLFLOW_EXPERIMENT_ID $MLFLOW_TRACKING_URI 'it'"'"'s' > said.txt --more True`;
  assertEquals(started, [{ runId: end.runId, command }]);
  assertEquals((await client.getExperiment(info.experimentId)).name, "new one");
  assertEquals([info.status, info.runName], ["FINISHED", "named"]);
  assertEquals(data.params, { a: `'it'"'"'s'`, b: "'x y'", more: "True" });
  const { "mlflow.user": _, ...tags } = data.tags;
  assertEquals(tags, {
    "mlflow.runName": "named",
    "mlflow.source.name": join(dir, "p"),
    "mlflow.source.type": "PROJECT",
    "mlflow.project.entryPoint": "main",
    "mlflow.project.backend": "local",
  });
  assertEquals(
    await Deno.readTextFile(join(dir, "p", "said.txt")),
    `${end.runId} ${info.experimentId} ${client.trackingUri} it's --more True\n`,
  );
});

test("what the project's program logs goes to the project's run", {
  "p/train.ts": `
import * as mlflow from ${JSON.stringify(MOD)};
await mlflow.withRun(async (run) => {
  await run.logMetric("loss", 0.5);
  await mlflow.withRun({ nested: true }, (inner) => inner.logParam("inner", 1));
});
await mlflow.withRun((next) => next.logParam("second", 1));
`,
  "p/MLproject": project(`deno run --allow-read --allow-write --allow-env --no-check --config ${CONFIG} train.ts`),
}, async (dir, client) => {
  const experimentId = await client.createExperiment("e");
  const { runId } = await runProject(join(dir, "p"), { experimentId });
  const { info, data } = await client.getRun(runId);
  assertEquals([info.status, data.metrics], ["FINISHED", { loss: 0.5 }]);
  assertEquals(data.tags["mlflow.source.type"], "PROJECT");
  const others = (await client.searchRuns({ experimentIds: [experimentId] }).toArray()).filter((run) =>
    run.info.runId !== runId
  );
  assertEquals(others.map((run) => run.data.params), [{ second: "1" }, { inner: "1" }]);
  assertEquals(others[1].data.tags["mlflow.parentRunId"], runId);
});

test("a project's run ends as its command ends", {
  "p/MLproject": `
entry_points:
  fails: {command: exit 3}
  missing: {command: there-is-no-such-program}
  killed: {command: kill -TERM $$}
  kills: {command: "(kill -TERM $BASHPID); exit $?"}
`,
}, async (dir, client) => {
  const ends = [["fails", "FAILED", 3], ["missing", "FAILED", 127], ["killed", "KILLED", 143], [
    "kills",
    "KILLED",
    143,
  ]];
  for (const [entryPoint, status, exitCode] of ends as [string, string, number][]) {
    const end = await runProject(join(dir, "p"), { entryPoint, onFailure: "return" });
    assertEquals([end.status, end.exitCode], [status, exitCode], entryPoint);
    assertEquals((await client.getRun(end.runId)).info.status, status);
  }
  const error = await assertRejects(() => runProject(join(dir, "p"), { entryPoint: "fails" }), MlflowError);
  assertEquals(error.code, "INVALID_STATE");
  assertStringIncludes(error.message, "failed: its command ended with code 3");
});

test("a project that cannot be run leaves no run", {
  "p/MLproject": project("echo {a}", "{a: {type: float}}"),
  "p/deep/MLproject": project("true"),
}, async (dir, client) => {
  const cases: readonly (readonly [string, Parameters<typeof runProject>[1], string])[] = [
    ["p", {}, "No value given for missing parameters: 'a'"],
    ["p", { parameters: { a: "x" } }, "parameter a must be a number"],
    ["p", { entryPoint: "other" }, "Could not find other among entry points ['main']"],
    ["q", {}, "there is no folder"],
    ["p#q", {}, "Could not find subdirectory q of"],
    ["p#../p", {}, "'.' is not allowed in project subdirectory paths."],
    ["p/MLproject", {}, "is a file: the project's folder is wanted"],
    ["p.zip", {}, "a zipped project must be unpacked first"],
    ["p#deep", { experimentName: "a", experimentId: "0" }, "Specify only one of 'experimentName' or 'experimentId'."],
    ["p#deep", { version: "main" }, "Setting a version is only supported for Git project URIs"],
    ["p#deep", { experimentId: "99" }, "No Experiment with id=99 exists"],
  ];
  for (const [uri, options, expected] of cases) {
    const error = await assertRejects(() => runProject(join(dir, uri), options), MlflowError);
    assertStringIncludes(error.message, expected);
    assertStringIncludes(error.message, `Cannot run project "${join(dir, uri)}": `);
  }
  setTrackingUri("memory:");
  const error = await assertRejects(() => runProject(join(dir, "p#deep")), MlflowError);
  assertStringIncludes(error.message, "in this program's memory");
  assertEquals(await client.searchRuns({ experimentIds: ["0"] }).toArray(), []);
});

test("a project run inside a run is its child", { "p/run.sh": "exit 0\n" }, async (dir, client) => {
  await withRun(async (parent) => {
    const { runId } = await runProject(join(dir, "p"), { entryPoint: "run.sh" });
    const { data } = await client.getRun(runId);
    assertEquals(data.tags["mlflow.parentRunId"], parent.runId);
    assertEquals(data.tags["mlflow.project.entryPoint"], "run.sh");
  });
});

test("no password or token of a git URI is logged or told", {
  "repo/deep/MLproject": project("exit 0", "{}"),
}, async (dir, client) => {
  const repo = join(dir, "repo");
  await commitAll(repo);
  const secrets = ["https://me:secret@example.org/a.git", "https://secret@example.org/a.git?token=secret"];
  const env = Object.fromEntries(secrets.flatMap((uri, i) => [
    [`GIT_CONFIG_KEY_${i}`, `url.file://${repo}.insteadOf`],
    [`GIT_CONFIG_VALUE_${i}`, uri],
  ]));
  await withEnv({ ...env, GIT_CONFIG_COUNT: String(secrets.length) }, async () => {
    for (const uri of secrets) {
      const { runId } = await runProject(`${uri}#deep`);
      const { tags } = (await client.getRun(runId)).data;
      assertEquals(tags["mlflow.source.name"], "https://example.org/a.git#deep");
      assertEquals(JSON.stringify(tags).includes("secret"), false);
      const error = await assertRejects(() => runProject(uri, { version: "none" }), MlflowError, "example.org/a.git");
      assertEquals(error.message.includes("secret"), false);
    }
  });
  const error = await assertRejects(
    () => runProject("https://me:secret@127.0.0.1:1/a.git?token=secret"),
    MlflowError,
    "git clone did not succeed",
  );
  assertEquals(error.message.includes("secret"), false);
  const elsewhere = await assertRejects(
    () => runProject("file://me:secret@localhost/a"),
    MlflowError,
    "is not the URI of a folder of this machine",
  );
  assertEquals(Deno.inspect(elsewhere).includes("secret"), false);
}, missingGit());

test("a project in git is named by it, and a version of it is run in a copy", {
  "repo/deep/MLproject": project("cat said.txt > {to}", "{to: string}"),
  "repo/deep/said.txt": "first",
}, async (dir, client) => {
  const repo = join(dir, "repo");
  const first = await commitAll(repo);
  await git(repo, "remote", "add", "origin", "https://me:secret@example.org/a.git");
  await git(repo, "tag", "v1");
  await git(repo, "checkout", "--quiet", "-b", "feature/x");
  await Deno.writeTextFile(join(repo, "deep", "said.txt"), "second");
  const second = await commitAll(repo, "Change it");
  await Deno.writeTextFile(join(repo, "deep", "said.txt"), "not committed");
  const to = join(dir, "out.txt");
  const cases = [
    { uri: "repo/deep", name: `file://${repo}#deep`, commit: second, said: "not committed" },
    { uri: "repo#deep", name: `${repo}#deep`, commit: second, said: "not committed" },
    { uri: "repo#deep", version: "main", name: `${repo}#deep`, commit: first, branch: "main", said: "first" },
    {
      uri: "repo#deep",
      version: "feature/x",
      name: `${repo}#deep`,
      commit: second,
      branch: "feature/x",
      said: "second",
    },
    { uri: "repo#deep", version: "v1", name: `${repo}#deep`, commit: first, said: "first" },
    { uri: "repo#deep", version: first.slice(0, 10), name: `${repo}#deep`, commit: first, said: "first" },
  ];
  for (const { uri, version, name, commit, branch, said } of cases) {
    const { runId } = await runProject(join(dir, uri), { version, parameters: { to } });
    const { data } = await client.getRun(runId);
    const source = Object.entries(data.tags).filter(([key]) => /^mlflow\.source\./.test(key));
    assertEquals(Object.fromEntries(source), {
      "mlflow.source.type": "PROJECT",
      "mlflow.source.name": name,
      "mlflow.source.git.commit": commit,
      "mlflow.source.git.repoURL": "https://example.org/a.git",
      ...(branch === undefined ? {} : { "mlflow.source.git.branch": branch }),
    }, `${uri} ${version}`);
    assertEquals(await Deno.readTextFile(to), said, `${uri} ${version}`);
  }
  assertEquals(await Deno.readTextFile(join(repo, "deep", "said.txt")), "not committed");
  for (const version of ["nothing", "--help", "HEAD^^^"]) {
    const error = await assertRejects(() => runProject(`${repo}#deep`, { version, parameters: { to } }), MlflowError);
    assertStringIncludes(error.message, `Unable to checkout version '${version}' of git repo ${repo}`);
  }
  const bad = await assertRejects(() => runProject(join(dir, "repo/deep"), { version: "main" }), MlflowError);
  assertStringIncludes(bad.message, "Setting a version is only supported for Git project URIs");
}, missingGit());

test("a project is cloned from a git server", {
  "repo/MLproject": project("cat said.txt > {to}", "{to: string}"),
  "repo/said.txt": "cloned",
}, async (dir, client) => {
  const commit = await commitAll(join(dir, "repo"));
  await git(dir, "clone", "--quiet", "--bare", "repo", "served.git");
  await git(join(dir, "served.git"), "update-server-info");
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const path = join(dir, new URL(request.url).pathname);
    return new Response(await Deno.readFile(path).catch(() => null), {
      status: await Deno.stat(path).then(() => 200, () => 404),
    });
  });
  try {
    const uri = `http://127.0.0.1:${server.addr.port}/served.git`;
    const to = join(dir, "out.txt");
    for (const version of [undefined, "main"]) {
      const { runId } = await runProject(uri, { version, parameters: { to } });
      const { data } = await client.getRun(runId);
      assertEquals(data.tags["mlflow.source.name"], uri);
      assertEquals(data.tags["mlflow.source.git.commit"], commit);
      assertEquals(data.tags["mlflow.source.git.repoURL"], uri);
      assertEquals(data.tags["mlflow.source.git.branch"], version);
      assertEquals(await Deno.readTextFile(to), "cloned");
    }
  } finally {
    await server.shutdown();
  }
}, missingGit());

/** Starts a program that runs the project in its folder, and waits for the project's first line. */
async function started(dir: string): Promise<Deno.ChildProcess> {
  const program = `
import * as mlflow from ${JSON.stringify(MOD)};
mlflow.setTrackingUri(${JSON.stringify(`sqlite:///${join(dir, "mlflow.db")}`)});
await mlflow.withRun({ runName: "around" }, () => mlflow.runProject("p"));
`;
  await Deno.writeTextFile(join(dir, "program.ts"), program);
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--config", CONFIG, "program.ts"],
    cwd: dir,
    env: cleanEnv(),
    clearEnv: true,
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = process.stdout.getReader();
  assertEquals(new TextDecoder().decode((await reader.read()).value), "ready\n");
  await reader.cancel();
  return process;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  test(`${signal} is passed on to the project's program, and its run is KILLED`, {
    "p/MLproject": project(
      "trap 'echo stopped > ../told.txt; exit 5' INT; echo ready; while true; do sleep 0.05; done",
    ),
  }, async (dir, client) => {
    const process = await started(dir);
    process.kill(signal);
    const { code } = await process.status;
    assertEquals(code, signal === "SIGINT" ? 130 : 143);
    assertEquals(await Deno.readTextFile(join(dir, "told.txt")), "stopped\n");
    const runs = await client.searchRuns({ experimentIds: ["0"] }).toArray();
    assertEquals(runs.map(({ info }) => info.status), ["KILLED", "KILLED"]);
  });
}

test("a terminal that is closed is told to the project's program, which may go on", {
  // who runs the project listens to the terminal from then on that the program has started: it takes its time to be ready
  "p/MLproject": project(
    "trap 'echo told > ../told.txt; exit 0' HUP; sleep 0.3; echo ready; while true; do sleep 0.05; done",
  ),
}, async (dir, client) => {
  const process = await started(dir);
  process.kill("SIGHUP");
  assertEquals((await process.status).code, 0);
  assertEquals(await Deno.readTextFile(join(dir, "told.txt")), "told\n");
  const runs = await client.searchRuns({ experimentIds: ["0"] }).toArray();
  assertEquals(runs.map(({ info }) => info.status), ["FINISHED", "FINISHED"]);
});

test("a second Ctrl-C ends a project's program that does not want to end", {
  "p/MLproject": project("trap '' INT; echo $$ > ../pid.txt; echo ready; while true; do sleep 0.05; done"),
}, async (dir, client) => {
  const process = await started(dir);
  process.kill("SIGINT");
  await new Promise((resolve) => setTimeout(resolve, 200));
  process.kill("SIGINT");
  await process.status;
  const pid = Number(await Deno.readTextFile(join(dir, "pid.txt")));
  const alive = () => {
    try {
      Deno.kill(pid, "SIGCONT");
      return true;
    } catch {
      return false;
    }
  };
  for (let i = 0; i < 100 && alive(); i++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert(!alive(), "the project's program goes on");
  const runs = await client.searchRuns({ experimentIds: ["0"] }).toArray();
  assertEquals(runs.map(({ info }) => info.status), ["KILLED", "KILLED"]);
});
