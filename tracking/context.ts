import os from "node:os";
import { dirname, join, relative, resolve } from "@std/path";
import { fileURLToPath } from "node:url";
import { readEnv } from "../env.ts";
import { pythonText } from "../python_text.ts";

/**
 * The tags that MLflow gives every run: who started it, from which program, and at which git commit.
 *
 * What Deno does not allow to be found out is left out; nothing is asked for.
 */
export async function defaultTags(): Promise<Record<string, string>> {
  return { ...(await programTags()), ...environmentTags() };
}

let program: Promise<Record<string, string>> | undefined;

/** What does not change while the program runs is found out once. */
function programTags(): Promise<Record<string, string>> {
  return program ??= findProgramTags();
}

async function findProgramTags(): Promise<Record<string, string>> {
  const main = mainFile();
  const user = readEnv("MLFLOW_TRACKING_USERNAME") ?? userName();
  return {
    ...(user === undefined ? {} : { "mlflow.user": user }),
    ...(main === undefined ? {} : { "mlflow.source.name": sourceName(main), "mlflow.source.type": "LOCAL" }),
    ...(main !== undefined && !/^[a-z]+:/.test(main) ? await gitTags(dirname(main)) : {}),
  };
}

/** `MLFLOW_RUN_CONTEXT`: more tags, as a JSON object. */
function environmentTags(): Record<string, string> {
  const context = readEnv("MLFLOW_RUN_CONTEXT");
  if (context === undefined) return {};
  try {
    return Object.fromEntries(Object.entries(JSON.parse(context)).map(([key, value]) => [key, pythonText(value)]));
  } catch (error) {
    // As in Python: a run is not lost for its tags.
    console.warn(`warning: the tags of MLFLOW_RUN_CONTEXT are left out, it must be a JSON object: ${error}`);
    return {};
  }
}

/** The program's own file, or its URL where it was not started from a file. */
function mainFile(): string | undefined {
  const url = Deno.mainModule;
  if (url.startsWith("file:")) return fileURLToPath(url);
  return /^https?:/.test(url) ? url : undefined;
}

/** The name as one would type it: from the working directory where the program is below it. */
function sourceName(main: string): string {
  if (/^https?:/.test(main)) return main;
  const below = relative(Deno.cwd(), main);
  return below.startsWith("..") ? main : below;
}

/** The system's name of the user; undefined where Deno does not allow it to be read. */
export function userName(): string | undefined {
  for (const name of ["LOGNAME", "USER", "LNAME", "USERNAME"]) {
    const value = readEnv(name);
    if (value !== undefined) return value;
  }
  if (Deno.permissions.querySync({ name: "sys" }).state !== "granted") return undefined;
  try {
    return os.userInfo().username;
  } catch {
    // A user without an entry in the system's list has no name.
    return undefined;
  }
}

/**
 * The tags of the commit, branch and remote of the git repository that a folder is in; none where it is in none.
 *
 * They are read from .git's own files: a git process would need a permission of its own.
 */
export async function gitTags(folder: string): Promise<Record<string, string>> {
  try {
    const git = await findGit(folder);
    if (git === undefined) return {};
    const head = (await read(join(git, "HEAD")))?.trim();
    if (head === undefined) return {};
    // A worktree keeps its HEAD to itself and shares refs and configuration.
    const common = resolve(git, (await read(join(git, "commondir")))?.trim() ?? ".");
    const ref = /^ref: (.+)$/.exec(head)?.[1];
    const commit = ref === undefined ? head : await commitOf(ref, git, common);
    if (commit === undefined) return {};
    const url = remoteUrl(await read(join(common, "config")) ?? "");
    return {
      "mlflow.source.git.commit": commit,
      ...(ref?.startsWith("refs/heads/") ? { "mlflow.source.git.branch": ref.slice("refs/heads/".length) } : {}),
      ...(url === undefined ? {} : { "mlflow.source.git.repoURL": url }),
    };
  } catch {
    // Nothing about git may keep a run from starting.
    return {};
  }
}

/** The root of the git work tree that a folder is in, or undefined. */
export async function gitWorkTree(folder: string): Promise<string | undefined> {
  return (await locateGit(folder))?.workTree;
}

async function findGit(folder: string): Promise<string | undefined> {
  return (await locateGit(folder))?.git;
}

async function locateGit(folder: string): Promise<{ readonly workTree: string; readonly git: string } | undefined> {
  for (let workTree = folder;; workTree = dirname(workTree)) {
    const git = join(workTree, ".git");
    if (await read(join(git, "HEAD")) !== undefined) return { workTree, git };
    const link = /^gitdir: (.+)$/m.exec(await read(git) ?? "")?.[1];
    if (link !== undefined) return { workTree, git: resolve(workTree, link.trim()) };
    if (dirname(workTree) === workTree) return undefined;
  }
}

async function commitOf(ref: string, git: string, common: string): Promise<string | undefined> {
  const loose = (await read(join(git, ref)))?.trim() ?? (await read(join(common, ref)))?.trim();
  if (loose !== undefined) return loose;
  const packed = await read(join(common, "packed-refs")) ?? "";
  return packed.split("\n").map((line) => line.split(" ")).find(([, name]) => name === ref)?.[0];
}

/** The URL of the remote named origin, or of the first one, without anything that could be a password or a token. */
function remoteUrl(config: string): string | undefined {
  const remotes = [...config.matchAll(/^\[remote "([^"]+)"\]([^[]*)/gm)].map(([, name, body]) => ({
    name,
    url: /^\s*url\s*=\s*"?([^"\n]+?)"?\s*$/m.exec(body)?.[1],
  }));
  const url = (remotes.find(({ name }) => name === "origin") ?? remotes[0])?.url;
  return url === undefined ? undefined : withoutSecrets(url).replace(/#.*$/, "");
}

/** The URL of a git repository without anything that could be a password or a token. */
export function withoutSecrets(url: string): string {
  return url.replace(/:\/\/[^/]*@/, "://").replace(/^[^/:@]*:[^/]*@/, "").replace(/(:\/\/[^?#]*)\?[^#]*/, "$1");
}

/** A file's text, or undefined where it is missing, no file, or not allowed to be read. */
async function read(path: string): Promise<string | undefined> {
  if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") return undefined;
  try {
    return await Deno.readTextFile(path);
  } catch {
    return undefined;
  }
}
