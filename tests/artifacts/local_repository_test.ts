import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { pathToFileURL } from "node:url";
import { LocalRepository } from "../../artifacts/local_repository.ts";
import { openRepository } from "../../artifacts/open_repository.ts";
import { appendToUri, hasScheme } from "../../artifacts/uri.ts";
import { MlflowError } from "../../errors.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function test(name: string, check: (repository: LocalRepository, root: string) => Promise<void>): void {
  Deno.test(`LocalRepository ${name}`, async () => {
    const root = await Deno.realPath(await Deno.makeTempDir());
    try {
      await check(new LocalRepository(join(root, "artifacts")), root);
    } finally {
      await Deno.remove(root, { recursive: true });
    }
  });
}

test("writes bytes and streams, making folders, and replaces files whole", async (repository, root) => {
  await repository.write("a/b/c.txt", bytes("long text"));
  await repository.write("a/b/c.txt", bytes("short"));
  await repository.write("s.bin", new Blob(["streamed"]).stream());
  assertEquals([text(await repository.read("a/b/c.txt")), text(await repository.read("s.bin"))], ["short", "streamed"]);
  assertEquals([...Deno.readDirSync(join(root, "artifacts", "a", "b"))].map(({ name }) => name), ["c.txt"]);
});

test("leaves nothing of a stream that breaks, and the file that was there", async (repository, root) => {
  await repository.write("a.txt", bytes("kept"));
  const broken = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes("half"));
    },
    pull(controller) {
      controller.error(new RangeError("broken"));
    },
  });
  await assertRejects(() => repository.write("a.txt", broken), RangeError, "broken");
  assertEquals(text(await repository.read("a.txt")), "kept");
  assertEquals([...Deno.readDirSync(join(root, "artifacts"))].length, 1);
});

test("takes names as long as the file system does", async (repository) => {
  const name = "n".repeat(255);
  await repository.write(name, bytes("1"));
  assertEquals((await repository.list()).map(({ path }) => path), [name]);
});

test("uploads a file that may only be read, and may be replaced", async (repository, root) => {
  const file = join(root, "from.txt");
  await Deno.writeTextFile(file, "1");
  await Deno.chmod(file, 0o444);
  await repository.upload(file, "to/x.txt");
  await repository.upload(file, "to/x.txt");
  assertEquals(text(await repository.read("to/x.txt")), "1");
});

test(
  "lists a folder by name; nothing of a file, of a missing folder, or that is not complete",
  async (repository, root) => {
    assertEquals(await repository.list(), []);
    await repository.write("b/x.txt", bytes("22"));
    await repository.write("a.txt", bytes("1"));
    await repository.write("b/.hidden", bytes("1"));
    const slow = Promise.withResolvers<void>();
    const writing = repository.write(
      "later.txt",
      new ReadableStream({
        async pull(controller) {
          await slow.promise;
          controller.close();
        },
      }),
    );
    await Deno.symlink(join(root, "nowhere"), join(root, "artifacts", "0-dangling"));
    assertEquals(await repository.list(), [
      { path: "a.txt", isDir: false, fileSize: 1 },
      { path: "b", isDir: true, fileSize: undefined },
    ]);
    assertEquals((await repository.list("b")).map(({ path }) => path), ["b/.hidden", "b/x.txt"]);
    assertEquals([await repository.list("a.txt"), await repository.list("none"), await repository.list("a.txt/x")], [
      [],
      [],
      [],
    ]);
    slow.resolve();
    await writing;
  },
);

test("downloads files and folders", async (repository, root) => {
  await repository.write("a/b/c.txt", bytes("c"));
  await repository.write("a/d.txt", bytes("d"));
  await repository.download("a", join(root, "folder"));
  await repository.download("", join(root, "all"));
  await repository.download("a/d.txt", join(root, "deep", "one.txt"));
  for (const [path, content] of [["folder/b/c.txt", "c"], ["all/a/d.txt", "d"], ["deep/one.txt", "d"]]) {
    assertEquals(await Deno.readTextFile(join(root, path)), content);
  }
});

test("removes files and folders", async (repository) => {
  await repository.write("a/b.txt", bytes(""));
  await repository.delete("a");
  assertEquals(await repository.list(), []);
});

test("tells what is not there, or is a folder", async (repository, root) => {
  await repository.write("a/b.txt", bytes("1"));
  const artifacts = join(root, "artifacts");
  for (const path of ["none", "a/b.txt/c"]) {
    for (
      const work of [
        () => repository.read(path),
        () => repository.download(path, join(root, "x")),
        () => repository.delete(path),
      ]
    ) {
      const error = await assertRejects(work, MlflowError);
      assertEquals(error.message, `No such artifact: '${path}' in ${artifacts} (RESOURCE_DOES_NOT_EXIST)`);
    }
  }
  const error = await assertRejects(() => repository.read("a"), MlflowError);
  assertEquals(error.message, `'a' in ${artifacts} is a folder, a file is wanted (INVALID_PARAMETER_VALUE)`);
});

for (const path of ["..", "../a", "a/../../b", "a/..", "/a", "a//b", "./a", "a/", "a\\b", "..\\a", "a\0"]) {
  test(`refuses the path ${JSON.stringify(path)} everywhere`, async (repository, root) => {
    const works = [
      () => repository.write(path, bytes("")),
      () => repository.upload(new URL(import.meta.url).pathname, path),
      () => repository.read(path),
      () => repository.list(path),
      () => repository.download(path, join(root, "x")),
      () => repository.delete(path),
    ];
    for (const work of works) {
      const error = await assertRejects(work, MlflowError, `Invalid artifact path: '${path}'`);
      assertEquals(error.code, "INVALID_PARAMETER_VALUE");
    }
    assertEquals([...Deno.readDirSync(root)], []);
  });
}

test("does not write to its own root", async (repository) => {
  const error = await assertRejects(() => repository.write("", bytes("")), MlflowError);
  assertEquals(error.message, "Invalid artifact path: ''. A file name is wanted (INVALID_PARAMETER_VALUE)");
});

Deno.test("openRepository() takes paths and file: URIs, and says why it takes no others", async () => {
  const root = await Deno.makeTempDir({ prefix: "ä b%20" });
  try {
    await openRepository(pathToFileURL(root).href).write("a.txt", bytes("1"));
    assertEquals(text(await openRepository(root).read("a.txt")), "1");
  } finally {
    await Deno.remove(root, { recursive: true });
  }
  const bucket = assertThrows(() => openRepository("s3://bucket/x"), MlflowError);
  assertEquals(
    bucket.message,
    'Cannot open artifacts "s3://bucket/x": the location must be a path or a file: URI, artifacts elsewhere are not ' +
      "supported yet (INVALID_PARAMETER_VALUE)",
  );
  const served = assertThrows(() => openRepository("mlflow-artifacts:/0/x"), MlflowError);
  assert(served.message.includes("make an experiment of your own"), served.message);
});

const APPENDED: readonly [string, string[], string][] = [
  ["/a/b", ["c", "d"], "/a/b/c/d"],
  ["/a/b/", ["c"], "/a/b/c"],
  ["/odd?name#x", ["c"], "/odd?name#x/c"],
  ["C:\\runs", ["c"], "C:\\runs/c"],
  ["file:///a", ["c"], "file:///a/c"],
  ["s3://b/a?region=x#f", ["c", "d"], "s3://b/a/c/d?region=x#f"],
  ["mlflow-artifacts:/", ["1"], "mlflow-artifacts:/1"],
  ["mlflow-artifacts:", ["1"], "mlflow-artifacts:/1"],
];
for (const [location, segments, wanted] of APPENDED) {
  Deno.test(`appendToUri(${JSON.stringify(location)}, ${segments.join()}) is ${wanted}`, () => {
    assertEquals(appendToUri(location, ...segments), wanted);
    assertEquals(hasScheme(location), /^\w[\w-]+:/.test(location));
  });
}
