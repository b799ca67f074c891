/** Git repositories of tests, made by the program `git`. */

/** Runs git in a folder, as a user of its own, and returns what it wrote to stdout. */
export async function git(dir: string, ...args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("git", {
    args: [
      "-c",
      "user.name=Somebody",
      "-c",
      "user.email=somebody@example.org",
      "-c",
      "init.defaultBranch=main",
      ...args,
    ],
    cwd: dir,
    // What the developer has set up for git must not matter.
    env: { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" },
    stdin: "null",
  }).output();
  if (!success) throw new Error(`Cannot run git ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).trim();
}

/** Makes a repository of all that a folder holds, with one commit on the branch `main`, and returns the commit. */
export async function commitAll(dir: string, message = "All of it"): Promise<string> {
  await git(dir, "init", "--quiet");
  await git(dir, "add", "--all");
  await git(dir, "commit", "--quiet", "--message", message);
  return await git(dir, "rev-parse", "HEAD");
}

/** Why git cannot be used here; undefined where it can. */
export function missingGit(): string | undefined {
  try {
    const { success } = new Deno.Command("git", { args: ["--version"], stdout: "null" }).outputSync();
    return success ? undefined : "git does not run";
  } catch {
    return "no git";
  }
}
