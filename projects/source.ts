import { join, resolve } from "@std/path";
import { fileURLToPath } from "node:url";
import { gitTags, gitWorkTree, withoutSecrets } from "../tracking/context.ts";
import { MlflowError } from "../errors.ts";

/** A project's folder on this machine, and the tags that say where it is from. A copy is removed when it is disposed of. */
export interface ProjectSource extends AsyncDisposable {
  readonly folder: string;
  readonly tags: Readonly<Record<string, string>>;
}

const COMMIT_TAG = "mlflow.source.git.commit";
const REPOSITORY_TAG = "mlflow.source.git.repoURL";
const GIT_URI = /^((https?|ssh|git|git\+ssh|file):\/\/|[\w.-]+@[\w.-]+:)/;

/**
 * Finds a project, or fetches it by git.
 *
 * @param uri a folder's path or `file:` URI, or a git repository's URI; `#folder` behind it names a folder in it
 * @param version a commit, branch or tag of the git repository
 */
export async function openSource(uri: string, version?: string): Promise<ProjectSource> {
  const [place, subfolder = ""] = uri.split(/#(.*)/s, 2);
  if (subfolder.includes(".")) throw invalid("'.' is not allowed in project subdirectory paths.");
  const local = /^file:\/\/./.test(place) ? pathOf(place) : place;
  const found = await Deno.stat(local).catch(() => undefined);
  if (/\.zip$/.test(place)) {
    throw new MlflowError("NOT_IMPLEMENTED", "a zipped project must be unpacked first: a folder or git URI is wanted");
  }
  if (found === undefined) {
    if (!GIT_URI.test(place)) throw invalid(`there is no folder ${place}`);
    const copy = await clone(place, version);
    const name = withoutSecrets(uri);
    return source(copy, subfolder, { "mlflow.source.name": name, ...copy.branch, ...await revision(copy.folder) });
  }
  if (!found.isDirectory) throw invalid(`${place} is a file: the project's folder is wanted`);
  const root = resolve(local);
  if (version === undefined) {
    const folder = await existing(root, subfolder);
    return { folder, tags: { ...await sourceName(uri, root), ...await revision(folder) }, ...IN_PLACE };
  }
  if (!await isRepository(root)) throw invalid("Setting a version is only supported for Git project URIs");
  const copy = await clone(root, version);
  const { [COMMIT_TAG]: commit } = await revision(copy.folder);
  const { [REPOSITORY_TAG]: repository } = await gitTags(root);
  return source(copy, subfolder, {
    ...await sourceName(uri, root),
    ...copy.branch,
    ...defined({ [COMMIT_TAG]: commit, [REPOSITORY_TAG]: repository }),
  });
}

function pathOf(uri: string): string {
  try {
    return fileURLToPath(uri);
  } catch {
    // The cause would show a password in it.
    throw invalid(`${withoutSecrets(uri)} is not the URI of a folder of this machine`);
  }
}

const IN_PLACE: AsyncDisposable = { [Symbol.asyncDispose]: async () => {} };

interface Clone {
  readonly folder: string;
  /** The tag of the branch, where the version is one. */
  readonly branch: Readonly<Record<string, string>>;
}

async function source(copy: Clone, subfolder: string, tags: Readonly<Record<string, string>>): Promise<ProjectSource> {
  const remove = () => Deno.remove(copy.folder, { recursive: true });
  try {
    return { folder: await existing(copy.folder, subfolder), tags, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function existing(root: string, subfolder: string): Promise<string> {
  const folder = join(root, subfolder);
  const found = await Deno.stat(folder).catch(() => undefined);
  if (found?.isDirectory) return folder;
  throw invalid(`Could not find subdirectory ${subfolder} of ${root}`);
}

/** MLflow names a folder in a git work tree by the tree's root. */
async function sourceName(uri: string, root: string): Promise<Record<string, string>> {
  if (uri.includes("#")) return { "mlflow.source.name": uri };
  const tree = await gitWorkTree(root);
  if (tree === undefined) return { "mlflow.source.name": root };
  const below = root.slice(tree.length).replace(/^[/\\]/, "");
  return { "mlflow.source.name": `file://${tree}${below === "" ? "" : `#${below}`}` };
}

/** Commit and remote of a folder; a folder that git ignores is not part of the commit. */
async function revision(folder: string): Promise<Record<string, string>> {
  const { [COMMIT_TAG]: commit, [REPOSITORY_TAG]: repository } = await gitTags(folder);
  if (commit === undefined) return defined({ [REPOSITORY_TAG]: repository });
  const ignored = (await tryGit(["check-ignore", "--quiet", folder], folder))?.success ?? false;
  return defined({ [COMMIT_TAG]: ignored ? undefined : commit, [REPOSITORY_TAG]: repository });
}

async function isRepository(folder: string): Promise<boolean> {
  if (await gitWorkTree(folder) === folder) return true;
  const bare = await tryGit(["rev-parse", "--is-bare-repository"], folder);
  return bare?.text === "true";
}

async function clone(uri: string, version: string | undefined): Promise<Clone> {
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-project-" }));
  try {
    await git(["clone", "--quiet", "--no-checkout", "--", uri, folder], folder);
    const branch = version === undefined ? undefined : await commitOf(`refs/remotes/origin/${version}`, folder);
    const commit = branch ?? await commitOf(version ?? "HEAD", folder);
    if (commit === undefined) {
      const [wanted, repository] = [version ?? "HEAD", withoutSecrets(uri)];
      throw invalid(
        `Unable to checkout version '${wanted}' of git repo ${repository} - please ensure that the version exists in ` +
          "the repo.",
      );
    }
    await git(["checkout", "--quiet", "--detach", commit], folder);
    await git(["submodule", "--quiet", "update", "--init", "--recursive"], folder);
    return { folder, branch: branch === undefined ? {} : { "mlflow.source.git.branch": version! } };
  } catch (error) {
    await Deno.remove(folder, { recursive: true });
    throw error;
  }
}

async function commitOf(revision: string, folder: string): Promise<string | undefined> {
  const found = await tryGit(["rev-parse", "--verify", "--quiet", "--end-of-options", `${revision}^{commit}`], folder);
  return found?.success ? found.text : undefined;
}

interface GitResult {
  readonly success: boolean;
  readonly text: string;
  readonly errors: string;
}

async function git(args: readonly string[], folder: string): Promise<void> {
  const result = await tryGit(args, folder);
  if (result === undefined) throw invalid("the program git is wanted, and cannot be started");
  const errors = result.errors.replace(/[a-z+]+:\/\/[^\s']+/gi, withoutSecrets);
  if (!result.success) throw invalid(`git ${args[0]} did not succeed: ${errors}`);
}

/** Runs git; undefined where it is missing or not allowed. */
async function tryGit(args: readonly string[], cwd: string): Promise<GitResult | undefined> {
  if (Deno.permissions.querySync({ name: "run", command: "git" }).state !== "granted") return undefined;
  try {
    const { success, stdout, stderr } = await new Deno.Command("git", { args: [...args], cwd, stdin: "null" }).output();
    const [text, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
    return { success, text, errors };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function defined(tags: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(tags).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function invalid(reason: string): MlflowError {
  return new MlflowError("INVALID_PARAMETER_VALUE", reason);
}
