/** HttpRepository over a plain web server, through the URIs that open it. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { openArtifacts } from "../../artifacts/open_repository.ts";
import { MlflowError } from "../../errors.ts";
import { withEnv } from "../support/env.ts";
import { randomBytes } from "./random_bytes.ts";

const BYTES = randomBytes(2_000_000, 1);
const NO_RETRIES = { MLFLOW_HTTP_REQUEST_MAX_RETRIES: "0", MLFLOW_TRACKING_TOKEN: "t0ken" };

async function withWeb(work: (url: string, seen: Request[], dir: string) => Promise<void>): Promise<void> {
  const seen: Request[] = [];
  const answer = (request: Request) => {
    seen.push(request);
    const { pathname, search } = new URL(request.url);
    if (pathname !== "/data/b%20%C3%A9.bin" || search !== "?v=1") return new Response("no", { status: 404 });
    const [, start, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get("range") ?? "") ?? [];
    if (start === undefined) return new Response(BYTES);
    const end = last === "" ? BYTES.length : Number(last) + 1;
    const headers = { "content-range": `bytes ${start}-${end - 1}/${BYTES.length}` };
    return new Response(BYTES.slice(Number(start), end), { status: 206, headers });
  };
  const dir = await Deno.makeTempDir({ prefix: "mlflow-artifacts-" });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
  try {
    const url = `http://127.0.0.1:${server.addr.port}`;
    await withEnv(NO_RETRIES, () => work(url, seen, dir));
  } finally {
    await server.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("HttpRepository reads a file, a part of it, and copies it", () =>
  withWeb(async (url, seen, dir) => {
    const { repository, path } = await openArtifacts(`${url}/data/b%20%C3%A9.bin?v=1`);
    assertEquals(path, "b é.bin");
    assertEquals((await repository.stat(path))?.fileSize, BYTES.length);
    assertSame(await repository.read(path), BYTES);
    const part = await repository.stream(path, { start: 1_999_990 });
    assertSame(new Uint8Array(await new Response(part).arrayBuffer()), BYTES.subarray(1_999_990));
    await repository.download(path, join(dir, "to", "b.bin"));
    assertSame(await Deno.readFile(join(dir, "to", "b.bin")), BYTES);
    assert(seen.every(({ headers }) => headers.get("authorization") === null));
  }));

Deno.test("HttpRepository authorizes by the URL alone", () =>
  withWeb(async (url, seen) => {
    const { repository, path } = await openArtifacts(`${url.replace("//", "//me:p%C3%BC@")}/data/b%20%C3%A9.bin?v=1`);
    await repository.stat(path);
    assertEquals(seen[0].headers.get("authorization"), `Basic ${new TextEncoder().encode("me:pü").toBase64()}`);
  }));

Deno.test("HttpRepository does not find what is not there, and leaves no file", () =>
  withWeb(async (url, _seen, dir) => {
    const { repository, path } = await openArtifacts(`${url}/data/none.bin`);
    assertEquals(await repository.stat(path), undefined);
    for (const work of [() => repository.read(path), () => repository.download(path, join(dir, "none.bin"))]) {
      assertEquals((await assertRejects(work, MlflowError)).code, "RESOURCE_DOES_NOT_EXIST");
    }
    assertEquals([...Deno.readDirSync(dir)], []);
  }));

Deno.test("HttpRepository can only be read", () =>
  withWeb(async (url, seen, dir) => {
    const { repository, path } = await openArtifacts(`${url}/data/b%20%C3%A9.bin?v=1`);
    const works = [
      () => repository.write(path, new Uint8Array()),
      () => repository.upload(dir, ""),
      () => repository.list(),
      () => repository.delete(path),
    ];
    for (const work of works) assertEquals((await assertRejects(work, MlflowError)).code, "NOT_IMPLEMENTED");
    assertEquals(seen, []);
  }));

function assertSame(actual: Uint8Array, expected: Uint8Array): void {
  assertEquals(actual.length, expected.length);
  assert(actual.every((byte, i) => byte === expected[i]), "the bytes differ");
}
