/** MLflow's own tags and variables, found out by a program of its own in a folder of its own. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient } from "../../client.ts";
import { cleanEnv } from "../support/clean_env.ts";

const MOD = new URL("../../mod.ts", import.meta.url);
const CONFIG = new URL("../../deno.json", import.meta.url);
const COMMIT = "0123456789abcdef0123456789abcdef01234567";

const PROGRAM = `
import * as mlflow from ${JSON.stringify(MOD.href)};
const record = await mlflow.withRun({ runName: "r" }, (run) => run.get());
const next = await mlflow.withRun({}, (run) => run.runId);
console.log(JSON.stringify({ ...record, next, uri: mlflow.getTrackingUri() }));
`;

interface Told {
  readonly info: { readonly runId: string; readonly experimentId: string; readonly userId: string };
  readonly data: { readonly tags: Record<string, string> };
  readonly next: string;
  readonly uri: string;
}

/** Runs the program as a user does and gives what it prints. */
async function run(
  dir: string,
  options: { readonly flags?: readonly string[]; readonly env?: Record<string, string>; readonly main?: string } = {},
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const { flags = ["-A"], env = {}, main = "train.ts" } = options;
  const { USER: _user, LOGNAME: _name, ...clean } = cleanEnv();
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", ...flags, "--no-check", "--config", CONFIG.pathname, main],
    cwd: dir,
    env: { ...clean, ...env },
    clearEnv: true,
    stdin: "null",
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

async function told(dir: string, options: Parameters<typeof run>[1] = {}): Promise<Told> {
  const { code, stdout, stderr } = await run(dir, options);
  assertEquals([code, stderr], [0, ""]);
  return JSON.parse(stdout);
}

/** A test in a folder with `train.ts` and the given files. */
function test(name: string, files: Readonly<Record<string, string>>, check: (dir: string) => Promise<void>): void {
  Deno.test(name, async () => {
    const dir = await Deno.realPath(await Deno.makeTempDir());
    try {
      for (const [path, text] of Object.entries({ "train.ts": PROGRAM, ...files })) {
        await Deno.mkdir(join(dir, path, ".."), { recursive: true });
        await Deno.writeTextFile(join(dir, path), text);
      }
      await check(dir);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

const NO_GIT = { "mlflow.runName": "r", "mlflow.source.name": "train.ts", "mlflow.source.type": "LOCAL" };
const config = (url: string) =>
  `[core]\n\tbare = false\n[remote "other"]\n\turl = /other\n[remote "origin"]\n\turl = ${url}\n`;

test("a run gets the user and the program's name", {}, async (dir) => {
  const { info, data } = await told(dir, { env: { USER: "somebody" } });
  assertEquals(data.tags, { ...NO_GIT, "mlflow.user": "somebody" });
  assertEquals(info.userId, "somebody");
  const { data: root } = await told(dir);
  assert(root.tags["mlflow.user"] !== undefined, "the system's own name of the user");
});

test("a program outside the working directory is named by its whole path", { "sub/x.txt": "" }, async (dir) => {
  const { data } = await told(join(dir, "sub"), { main: "../train.ts", env: { USER: "u" } });
  assertEquals(data.tags["mlflow.source.name"], join(dir, "train.ts"));
});

const GITS: readonly (readonly [string, Record<string, string>, Record<string, string>])[] = [
  ["a branch", {
    ".git/HEAD": "ref: refs/heads/feature/a\n",
    ".git/refs/heads/feature/a": `${COMMIT}\n`,
    ".git/config": config("git@github.com:a/b.git"),
  }, { commit: COMMIT, branch: "feature/a", repoURL: "git@github.com:a/b.git" }],
  ["a detached HEAD", { ".git/HEAD": `${COMMIT}\n`, ".git/config": "[core]\n" }, { commit: COMMIT }],
  ["packed refs", {
    ".git/HEAD": "ref: refs/heads/main\n",
    ".git/packed-refs":
      `# pack-refs with: peeled fully-peeled sorted \n${"f".repeat(40)} refs/heads/mainly\n${COMMIT} ` +
      `refs/heads/main\n^${"e".repeat(40)}\n`,
    ".git/config": config("https://github.com/a/b"),
  }, { commit: COMMIT, branch: "main", repoURL: "https://github.com/a/b" }],
  ["a worktree", {
    ".git": "gitdir: main/.git/worktrees/w\n",
    "main/.git/worktrees/w/HEAD": "ref: refs/heads/w\n",
    "main/.git/worktrees/w/commondir": "../..\n",
    "main/.git/refs/heads/w": `${COMMIT}\n`,
    "main/.git/config": config("/srv/git/a b"),
  }, { commit: COMMIT, branch: "w", repoURL: "/srv/git/a b" }],
  ["no commit yet", { ".git/HEAD": "ref: refs/heads/main\n", ".git/config": config("x") }, {}],
  ["a .git that is no repository", { ".git": "nonsense" }, {}],
  ["no readable configuration", { ".git/HEAD": COMMIT, ".git/config/x": "" }, { commit: COMMIT }],
];
for (const [what, files, wanted] of GITS) {
  test(`a run gets git's tags from ${what}`, files, async (dir) => {
    const { data } = await told(dir, { env: { USER: "u" } });
    const tags = Object.entries(wanted).map(([key, value]) => [`mlflow.source.git.${key}`, value]);
    assertEquals(data.tags, { ...NO_GIT, "mlflow.user": "u", ...Object.fromEntries(tags) });
  });
}

test("git's tags are the same as git's own answers", {}, async (dir) => {
  const git = async (...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command("git", {
      args: ["-c", "user.name=n", "-c", "user.email=e@x", ...args],
      cwd: dir,
      env: { GIT_CONFIG_GLOBAL: "/dev/null" },
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trim();
  };
  await git("init", "--quiet", "--initial-branch", "topic/x");
  await git("remote", "add", "origin", "https://example.com/a.git");
  await git("commit", "--allow-empty", "--quiet", "--message", "m");
  const wanted = { commit: await git("rev-parse", "HEAD"), branch: "topic/x", repoURL: "https://example.com/a.git" };
  const found = async (options: Parameters<typeof run>[1] = {}) => {
    const { tags } = (await told(dir, options)).data;
    return {
      commit: tags["mlflow.source.git.commit"],
      branch: tags["mlflow.source.git.branch"],
      repoURL: tags["mlflow.source.git.repoURL"],
    };
  };
  assertEquals(await found(), wanted);
  await git("pack-refs", "--all");
  assertEquals(await found(), wanted);
  await git("worktree", "add", "--quiet", "-b", "side", "tree");
  await Deno.copyFile(join(dir, "train.ts"), join(dir, "tree", "train.ts"));
  assertEquals(await found({ main: "tree/train.ts" }), { ...wanted, branch: "side" });
});

const SECRET = "s3cr3t";
const REMOTES: readonly (readonly [string, string])[] = [
  [`https://user:${SECRET}@example.com/a.git`, "https://example.com/a.git"],
  [`https://${SECRET}@example.com/a.git`, "https://example.com/a.git"],
  [`https://user:x@${SECRET}@example.com/a.git`, "https://example.com/a.git"],
  [`HTTPS://user:${SECRET}@example.com/a.git`, "HTTPS://example.com/a.git"],
  [`https://oauth2:${SECRET}@example.com:8443/a.git`, "https://example.com:8443/a.git"],
  [`https://example.com/a.git?private_token=${SECRET}`, "https://example.com/a.git"],
  [`https://example.com/a.git#${SECRET}`, "https://example.com/a.git"],
  [`http::https://user:${SECRET}@example.com/a`, "http::https://example.com/a"],
  [`"https://user:${SECRET}@example.com/a.git"`, "https://example.com/a.git"],
  [`user:${SECRET}@example.com:a.git`, "example.com:a.git"],
  ["ssh://git@example.com/a.git", "ssh://example.com/a.git"],
  ["git@example.com:a.git", "git@example.com:a.git"],
];
test("no password or token of a remote is written", { ".git/HEAD": COMMIT }, async (dir) => {
  // One program for all: each remote is a repository of its own, around a module that asks for the tags.
  for (const [url, wanted] of REMOTES) {
    await Deno.writeTextFile(join(dir, ".git", "config"), config(url));
    const { data } = await told(dir);
    assertEquals(data.tags["mlflow.source.git.repoURL"], wanted);
    assert(!JSON.stringify(data).includes(SECRET));
  }
});

test("MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME and MLFLOW_RUN_CONTEXT are obeyed", {}, async (dir) => {
  const env = {
    USER: "u",
    MLFLOW_TRACKING_URI: "sqlite:///deep/er/other.db",
    MLFLOW_EXPERIMENT_NAME: "named",
    MLFLOW_RUN_CONTEXT: '{"a": 1, "b": "c", "mlflow.user": "x"}',
  };
  const { uri, info, data } = await told(dir, { env });
  assertEquals(uri, "sqlite:///deep/er/other.db");
  assertEquals(data.tags, { ...NO_GIT, "mlflow.user": "x", a: "1", b: "c" });
  const client = new MlflowClient(`sqlite:///${join(dir, "deep/er/other.db")}`);
  assertEquals((await client.getExperiment(info.experimentId)).name, "named");
  // A second program finds the experiment.
  assertEquals((await told(dir, { env })).info.experimentId, info.experimentId);

  const { code, stderr } = await run(dir, { env: { MLFLOW_RUN_CONTEXT: "a=b" } });
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, "warning: the tags of MLFLOW_RUN_CONTEXT are left out, it must be a JSON object");
});

test("MLFLOW_EXPERIMENT_ID and MLFLOW_RUN_ID are obeyed, the run once", {}, async (dir) => {
  const client = new MlflowClient(`sqlite:///${join(dir, "mlflow.db")}`);
  const experimentId = await client.createExperiment("e");
  assertEquals((await told(dir, { env: { MLFLOW_EXPERIMENT_ID: experimentId } })).info.experimentId, experimentId);
  const { info } = await client.createRun({ experimentId });
  const resumed = await told(dir, { env: { MLFLOW_RUN_ID: info.runId, MLFLOW_EXPERIMENT_ID: experimentId } });
  assertEquals(resumed.info.runId, info.runId);
  assert(resumed.next !== info.runId);
  assertEquals((await client.getRun(resumed.next)).info.experimentId, experimentId);
  const both = await run(dir, { env: { MLFLOW_EXPERIMENT_NAME: "other", MLFLOW_EXPERIMENT_ID: experimentId } });
  assertEquals(both.code, 1);
  assertStringIncludes(both.stderr, "MLFLOW_EXPERIMENT_ID");
});

const LEAST = ["--allow-read=.", "--allow-write=."];
const files = {
  ".git/HEAD": "ref: refs/heads/main",
  ".git/refs/heads/main": COMMIT,
  ".git/config": config("https://u:p@example.com/a"),
};
for (const [what, flags] of [["with --no-prompt", ["--no-prompt"]], ["without", []]] as const) {
  test(`missing permissions drop tags and variables, ${what}`, files, async (dir) => {
    const options = { flags: [...LEAST, ...flags], env: { MLFLOW_EXPERIMENT_NAME: "unread", USER: "u" } };
    const { info, data } = await told(dir, options);
    assertEquals([info.experimentId, info.userId], ["0", "unknown"]);
    assertEquals(data.tags, {
      ...NO_GIT,
      "mlflow.source.git.commit": COMMIT,
      "mlflow.source.git.branch": "main",
      "mlflow.source.git.repoURL": "https://example.com/a",
    });
  });

  test(`a program above its permissions is named all the same, ${what}`, { "sub/x": "", ...files }, async (dir) => {
    const { data } = await told(join(dir, "sub"), { flags: [...LEAST, ...flags], main: "../train.ts" });
    assertEquals(data.tags, { ...NO_GIT, "mlflow.source.name": join(dir, "train.ts") });
  });

  test(`a program without permission to write is told what is missing, ${what}`, {}, async (dir) => {
    const { code, stderr } = await run(dir, { flags: ["--allow-read=.", ...flags] });
    assertEquals(code, 1);
    assertStringIncludes(
      stderr,
      `Cannot open tracking store "sqlite:///${dir}/mlflow.db": Deno has not allowed it; SQLite needs --allow-read and ` +
        "--allow-write for the file's folder",
    );
  });
}
