import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { LocalRepository } from "../../artifacts/local_repository.ts";
import { MlflowError } from "../../errors.ts";
import { type OpenedRepository, testRepositoryContract } from "./repository_contract.ts";

testRepositoryContract("LocalRepository", async (): Promise<OpenedRepository> => {
  const root = await Deno.makeTempDir({ prefix: "mlflow-artifacts-" });
  return {
    repository: new LocalRepository(join(root, "not", "made yet")),
    [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }),
  };
});

/** A root with a link to each of a file and a folder beside it, and to each of a file and a folder in it. */
async function withLinks(
  work: (repository: LocalRepository, root: string, dir: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "mlflow-artifacts-" });
  const root = join(dir, "root");
  try {
    await Deno.mkdir(join(root, "in"), { recursive: true });
    await Deno.mkdir(join(dir, "outside"));
    await Deno.writeTextFile(join(dir, "outside", "secret.txt"), "secret");
    await Deno.writeTextFile(join(root, "in", "file.txt"), "in");
    await Deno.symlink(join(dir, "outside", "secret.txt"), join(root, "leaf.txt"));
    await Deno.symlink(join(dir, "outside"), join(root, "away"));
    await Deno.symlink(join(root, "in"), join(root, "near"));
    await Deno.symlink("in/file.txt", join(root, "near.txt"));
    await Deno.symlink("nowhere", join(root, "dangling"));
    await work(new LocalRepository(root), root, dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("LocalRepository follows links in its root", async () => {
  await withLinks(async (repository) => {
    assertEquals(new TextDecoder().decode(await repository.read("near/file.txt")), "in");
    assertEquals(new TextDecoder().decode(await repository.read("near.txt")), "in");
    await repository.write("near/new.txt", new Uint8Array(1));
    assertEquals((await repository.stat("in/new.txt"))?.fileSize, 1);
  });
});

Deno.test("LocalRepository refuses links that lead out of its root", async () => {
  await withLinks(async (repository, root, dir) => {
    const bytes = new Uint8Array(1);
    for (
      const work of [
        () => repository.read("leaf.txt"),
        () => repository.read("away/secret.txt"),
        () => repository.stat("away"),
        () => repository.list("away"),
        () => repository.write("away/new.txt", bytes),
        () => repository.write("away/new/new.txt", bytes),
        () => repository.upload(join(root, "in"), "away/new"),
        () => repository.delete("away/secret.txt"),
        () => repository.download("away", join(dir, "to")),
        () => repository.download("", join(dir, "to")),
      ]
    ) {
      assertEquals((await assertRejects(work, MlflowError)).code, "INVALID_PARAMETER_VALUE");
    }
    // The file that a link led to is not touched by what takes the link's place.
    await repository.write("leaf.txt", bytes);
    assertEquals((await repository.read("leaf.txt")).length, 1);
    await repository.delete("away");
    assertEquals([...Deno.readDirSync(join(dir, "outside"))].map(({ name }) => name), ["secret.txt"]);
    assertEquals(Deno.readTextFileSync(join(dir, "outside", "secret.txt")), "secret");
  });
});

Deno.test("LocalRepository leaves links to nowhere and unfinished files out", async () => {
  await withLinks(async (repository, root, dir) => {
    await Deno.writeTextFile(join(root, "in", ".artifact.uploading.x"), "half");
    await Deno.remove(join(root, "leaf.txt"));
    await Deno.remove(join(root, "away"));
    assertEquals((await repository.list()).map(({ path }) => path), ["in", "near", "near.txt"]);
    assertEquals((await repository.list("in")).map(({ path }) => path), ["in/file.txt"]);
    await repository.download("", join(dir, "to"));
    assertEquals([...Deno.readDirSync(join(dir, "to"))].map(({ name }) => name).sort(), ["in", "near", "near.txt"]);
    assertEquals([...Deno.readDirSync(join(dir, "to", "in"))].map(({ name }) => name), ["file.txt"]);
  });
});

Deno.test("LocalRepository.upload() and download() refuse a folder that links to itself", async () => {
  const dir = await Deno.makeTempDir({ prefix: "mlflow-artifacts-" });
  try {
    await Deno.mkdir(join(dir, "root", "a"), { recursive: true });
    await Deno.symlink("..", join(dir, "root", "a", "loop"));
    const other = new LocalRepository(join(dir, "other"));
    await assertRejects(() => other.upload(join(dir, "root"), ""), MlflowError, "the folder that it lies in");
    const self = new LocalRepository(join(dir, "root"));
    await assertRejects(() => self.download("", join(dir, "to")), MlflowError, "the folder that it lies in");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
