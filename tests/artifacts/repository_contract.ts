/**
 * What every artifact repository promises, sentence by sentence. Each case has a repository to itself, whose root is
 * empty.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import type { ArtifactRepository, TransferProgress } from "../../artifacts/repository.ts";
import type { ErrorCode } from "../../errors.ts";
import { MlflowError } from "../../errors.ts";
import { gatedTest } from "../support/gate.ts";
import { randomBytes } from "./random_bytes.ts";

/** A repository for one case, and what it holds on to. */
export interface OpenedRepository extends AsyncDisposable {
  readonly repository: ArtifactRepository;
}

/** How a repository takes the contract. */
export interface ContractOptions {
  /** The promises that this repository does not keep, each with the reason. */
  readonly skip?: Readonly<Record<string, string>>;
  /** Names that it cannot keep, and refuses. */
  readonly refusedNames?: readonly string[];
}

interface Place {
  readonly repository: ArtifactRepository;
  /** A folder of this machine, empty at first. */
  readonly dir: string;
  readonly refusedNames: readonly string[];
}

const CASES = new Map<string, (place: Place) => Promise<void>>();

/** Registers a test for every promise. */
export function testRepositoryContract(
  name: string,
  open: () => Promise<OpenedRepository>,
  options: ContractOptions = {},
): void {
  for (const { promise, reason, run } of casesOf(open, options)) {
    if (reason === undefined) gatedTest({ name: `${name} ${promise}`, missing: undefined, fn: run });
    else Deno.test({ name: `${name} ${promise} (skipped: ${reason})`, ignore: true, fn: run });
  }
}

/** Checks every promise as a step of a running test, which may own what the repositories need. */
export async function checkRepositoryContract(
  t: Deno.TestContext,
  open: () => Promise<OpenedRepository>,
  options: ContractOptions = {},
): Promise<void> {
  for (const { promise, reason, run } of casesOf(open, options)) {
    const name = reason === undefined ? promise : `${promise} (skipped: ${reason})`;
    await t.step({ name, ignore: reason !== undefined, fn: run });
  }
}

function casesOf(open: () => Promise<OpenedRepository>, { skip = {}, refusedNames = [] }: ContractOptions) {
  const unknown = Object.keys(skip).find((promise) => !CASES.has(promise));
  if (unknown !== undefined) throw new Error(`Cannot skip "${unknown}": the contract has no such promise`);
  return [...CASES].map(([promise, check]) => ({
    promise,
    reason: Object.hasOwn(skip, promise) ? skip[promise] : undefined,
    run: async () => {
      const dir = await Deno.makeTempDir({ prefix: "mlflow-artifacts-" });
      try {
        await using opened = await open();
        await check({ repository: opened.repository, dir, refusedNames });
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    },
  }));
}

function test(promise: string, check: (place: Place) => Promise<void>): void {
  CASES.set(promise, check);
}

/** Names that a file system, a URL or XML could take for something else. */
const NAMES = [
  "a b.txt",
  "überm\u00e4\u00dfig-\u6587\u4ef6-\u{1f600}.txt",
  "1+1=2.txt",
  "100%.txt",
  "50%25.txt",
  "a#b.txt",
  "a?b=c.txt",
  "a&b<c>'d'.txt",
  "(a)!*~$,;:@.txt",
  ".hidden",
  '{"a": [1]}.json',
];

const OUTSIDE = ["../x", "a/../../x", "/etc/passwd", "a//b", "a/./b", "a/", "..\\x", "a\0b", "C:/x", "C:\\x", "."];

test("keeps bytes, a stream and a file as they are, of no bytes and of many", async ({ repository, dir }) => {
  for (const size of [0, 1, 4096, 3 * 1024 ** 2 + 1]) {
    const bytes = randomBytes(size, size);
    await repository.write("bytes.bin", bytes);
    await repository.write("in/stream.bin", new Blob([bytes]).stream());
    await Deno.writeFile(join(dir, "file.bin"), bytes);
    await repository.upload(join(dir, "file.bin"), "in/a/file.bin");
    for (const path of ["bytes.bin", "in/stream.bin", "in/a/file.bin"]) {
      assertBytes(await repository.read(path), bytes);
      const { isDir, fileSize } = (await repository.stat(path))!;
      assertEquals({ isDir, fileSize }, { isDir: false, fileSize: size });
      await repository.download(path, join(dir, "to", "here.bin"));
      assertBytes(await Deno.readFile(join(dir, "to", "here.bin")), bytes);
    }
  }
});

test("replaces a file whole", async ({ repository }) => {
  await repository.write("a/file.txt", utf8("a long text"));
  await repository.write("a/file.txt", utf8("short"));
  assertEquals(await text(repository, "a/file.txt"), "short");
});

test("streams a file, or a part of it", async ({ repository }) => {
  const bytes = randomBytes(700_000, 1);
  await repository.write("a.bin", bytes);
  const parts: [number | undefined, number | undefined][] = [
    [undefined, undefined],
    [0, 10],
    [699_990, undefined],
    [300_000, 600_000],
    [5, 5],
    [700_000, undefined],
    [699_999, 800_000],
  ];
  for (const [start, end] of parts) {
    const stream = await repository.stream("a.bin", { start, end });
    assertBytes(new Uint8Array(await new Response(stream).arrayBuffer()), bytes.subarray(start, end));
  }
});

test("keeps names with spaces, signs and letters of all alphabets, or refuses them", async (place) => {
  const { repository, dir, refusedNames } = place;
  const kept = NAMES.filter((name) => !refusedNames.includes(name));
  for (const name of NAMES) {
    const path = `a folder/${name}`;
    if (refusedNames.includes(name)) await assertCode(repository.write(path, utf8(name)), "INVALID_PARAMETER_VALUE");
    else await repository.write(path, utf8(name));
  }
  const listed = await repository.list("a folder");
  assertEquals(listed.map(({ path }) => path), kept.map((name) => `a folder/${name}`).sort());
  await repository.download("a folder", dir);
  for (const name of kept) {
    assertEquals(await text(repository, `a folder/${name}`), name);
    assertEquals(await Deno.readTextFile(join(dir, name)), name);
  }
  await repository.delete("a folder");
  assertEquals(await repository.list(), []);
});

test("lists the files and folders directly in a folder, by name", async ({ repository }) => {
  await repository.write("b.txt", utf8("b"));
  await repository.write("a/deep/c.txt", utf8("cc"));
  await repository.write("a/a.txt", utf8(""));
  await repository.write("ab/x.txt", utf8("x"));
  assertEquals(await repository.list(), [
    { path: "a", isDir: true, fileSize: undefined },
    { path: "ab", isDir: true, fileSize: undefined },
    { path: "b.txt", isDir: false, fileSize: 1 },
  ]);
  assertEquals(await repository.list("a"), [
    { path: "a/a.txt", isDir: false, fileSize: 0 },
    { path: "a/deep", isDir: true, fileSize: undefined },
  ]);
});

test("lists nothing in a file, a missing folder and an empty root", async ({ repository }) => {
  assertEquals(await repository.list(), []);
  assertEquals(await repository.list("none"), []);
  await repository.write("a/a", utf8("a"));
  assertEquals(await repository.list("a/a"), []);
  assertEquals((await repository.list("a")).map(({ path }) => path), ["a/a"]);
});

test("tells a file from a folder, and what is not there", async ({ repository }) => {
  await repository.write("a/b.txt", utf8("b"));
  assertEquals((await repository.stat("a"))?.isDir, true);
  assertEquals((await repository.stat("a/b.txt"))?.fileSize, 1);
  assertEquals((await repository.stat(""))?.isDir, true);
  assertEquals(await repository.stat("a/c.txt"), undefined);
  assertEquals(await repository.stat("a/b"), undefined);
});

test("copies folders up and down with all that is in them", async ({ repository, dir }) => {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (let i = 0; i < 40; i++) files.set(`f${i % 5}/g${i % 3}/file ${i}.bin`, randomBytes(i * 1000, i));
  files.set("top.txt", utf8("top"));
  for (const [path, bytes] of files) {
    await Deno.mkdir(join(dir, "up", path, ".."), { recursive: true });
    await Deno.writeFile(join(dir, "up", path), bytes);
  }
  await repository.upload(join(dir, "up"), "");
  await repository.upload(join(dir, "up"), "in/here");
  for (const [path, target] of [["", "all"], ["in/here", "part"]]) {
    await repository.download(path, join(dir, target));
    for (const [name, bytes] of files) assertBytes(await Deno.readFile(join(dir, target, name)), bytes);
  }
  assertEquals((await filesIn(join(dir, "part"))).length, files.size);
  assertEquals((await filesIn(join(dir, "all"))).length, 2 * files.size);
});

test("gives an empty folder for a root without artifacts", async ({ repository, dir }) => {
  await repository.download("", join(dir, "to"));
  assertEquals(await filesIn(join(dir, "to")), []);
});

test("says how far a transfer has come", async ({ repository, dir }) => {
  await Deno.mkdir(join(dir, "up"));
  for (let i = 0; i < 4; i++) await Deno.writeFile(join(dir, "up", `${i}.bin`), randomBytes(1_500_000, i));
  for (const move of [repository.upload(join(dir, "up"), "in", { onProgress }), undefined]) {
    await (move ?? repository.download("in", join(dir, "down"), { onProgress }));
    const [first, last] = [told[0], told.at(-1)!];
    assertEquals([first.bytes, first.totalBytes, first.files, first.totalFiles], [0, 6_000_000, 0, 4]);
    assertEquals([last.bytes, last.totalBytes, last.files, last.totalFiles], [6_000_000, 6_000_000, 4, 4]);
    assert(told.length >= 9);
    told.length = 0;
  }
  function onProgress(progress: TransferProgress): void {
    told.push(progress);
  }
});
const told: TransferProgress[] = [];

test("ends a transfer that is no longer wanted, and leaves no file", async ({ repository, dir }) => {
  await Deno.writeFile(join(dir, "big.bin"), randomBytes(12_000_000, 1));
  await repository.upload(join(dir, "big.bin"), "big.bin");
  await assertRejects(() => repository.download("big.bin", join(dir, "to", "big.bin"), abortAfter(100_000)));
  assertEquals(await filesIn(join(dir, "to")), []);
  await assertRejects(() => repository.upload(join(dir, "big.bin"), "again.bin", abortAfter(100_000)));
  assertEquals(await repository.stat("again.bin"), undefined);
});

test("removes files and folders, and nothing else", async ({ repository }) => {
  for (const path of ["a/b/c.txt", "a/b/d.txt", "a/bc.txt", "e.txt"]) await repository.write(path, utf8(path));
  await repository.delete("a/b");
  await repository.delete("a/none");
  await repository.delete("none/at all");
  assertEquals(await repository.list("a"), [{ path: "a/bc.txt", isDir: false, fileSize: 8 }]);
  await repository.delete("e.txt");
  assertEquals((await repository.list()).map(({ path }) => path), ["a"]);
  await repository.delete("");
  assertEquals(await repository.list(), []);
});

test("does not find what is not there", async ({ repository, dir }) => {
  await assertCode(repository.read("none.txt"), "RESOURCE_DOES_NOT_EXIST");
  await assertCode(repository.stream("none/none.txt"), "RESOURCE_DOES_NOT_EXIST");
  await assertCode(repository.download("none", join(dir, "none")), "RESOURCE_DOES_NOT_EXIST");
  await assertCode(repository.upload(join(dir, "none"), "none"), "RESOURCE_DOES_NOT_EXIST");
  assertEquals(await filesIn(dir), []);
});

test("refuses to read a folder as a file", async ({ repository }) => {
  await repository.write("a/b.txt", utf8("b"));
  await assertRejects(() => repository.read("a"), MlflowError);
});

test("refuses paths that leave its root, and has nothing to do with them", async ({ repository, dir }) => {
  await Deno.writeTextFile(join(dir, "file.txt"), "x");
  for (const path of OUTSIDE) {
    await assertCode(repository.write(path, utf8("x")), "INVALID_PARAMETER_VALUE");
    await assertCode(repository.write(path, new Blob(["x"]).stream()), "INVALID_PARAMETER_VALUE");
    await assertCode(repository.upload(join(dir, "file.txt"), path), "INVALID_PARAMETER_VALUE");
    await assertCode(repository.upload(dir, path), "INVALID_PARAMETER_VALUE");
    await assertCode(repository.read(path), "INVALID_PARAMETER_VALUE");
    await assertCode(repository.stream(path), "INVALID_PARAMETER_VALUE");
    await assertCode(repository.stat(path), "INVALID_PARAMETER_VALUE");
    await assertCode(repository.list(path), "INVALID_PARAMETER_VALUE");
    await assertCode(repository.download(path, join(dir, "to")), "INVALID_PARAMETER_VALUE");
    await assertCode(repository.delete(path), "INVALID_PARAMETER_VALUE");
  }
  for (const work of [repository.write("", utf8("x")), repository.read(""), repository.stream("")]) {
    await assertCode(work, "INVALID_PARAMETER_VALUE");
  }
  assertEquals(await repository.list(), []);
  assertEquals(await filesIn(dir), ["file.txt"]);
});

test("takes many writers of one file, and keeps what one of them wrote", async ({ repository }) => {
  const texts = Array.from({ length: 8 }, (_, i) => String(i).repeat(50_000));
  await Promise.all(texts.map((one) => repository.write("shared.txt", utf8(one))));
  assert(texts.includes(await text(repository, "shared.txt")));
  assertEquals((await repository.list()).map(({ path }) => path), ["shared.txt"]);
});

function abortAfter(bytes: number): { onProgress: (progress: TransferProgress) => void; signal: AbortSignal } {
  const controller = new AbortController();
  return {
    onProgress: (progress) => {
      if (progress.bytes >= bytes) controller.abort(new Error("no longer wanted"));
    },
    signal: controller.signal,
  };
}

async function text(repository: ArtifactRepository, path: string): Promise<string> {
  return new TextDecoder().decode(await repository.read(path));
}

function utf8(content: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(content);
}

function assertBytes(actual: Uint8Array, expected: Uint8Array): void {
  // A difference of megabytes is nothing to print.
  assertEquals(actual.length, expected.length);
  assert(actual.every((byte, i) => byte === expected[i]), "the bytes differ");
}

async function assertCode(work: Promise<unknown>, code: ErrorCode): Promise<void> {
  assertEquals((await assertRejects(() => work, MlflowError)).code, code);
}

/** The paths of all files in a folder. */
async function filesIn(dir: string, path = ""): Promise<string[]> {
  const files: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(join(dir, path))) {
      const inner = path === "" ? name : `${path}/${name}`;
      files.push(...isDirectory ? await filesIn(dir, inner) : [inner]);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return files.sort();
}
