/** What a URI opens, and who gets credentials. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { basename, join } from "@std/path";
import { pathToFileURL } from "node:url";
import { openArtifacts, openRepository } from "../../artifacts/open_repository.ts";
import { MlflowError } from "../../errors.ts";
import { withEnv } from "../support/env.ts";

async function withFiles(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow artifacts é%20-" }));
  try {
    await Deno.mkdir(join(dir, "in"));
    await Deno.writeTextFile(join(dir, "in", "a b.txt"), "hello");
    await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function text(uri: string): Promise<string> {
  const { repository, path } = await openArtifacts(uri);
  return new TextDecoder().decode(await repository.read(path));
}

Deno.test("openArtifacts() takes files and folders by path and by file: URI", () =>
  withFiles(async (dir) => {
    for (const folder of [join(dir, "in"), pathToFileURL(join(dir, "in")).href]) {
      const { repository, path } = await openArtifacts(folder);
      assertEquals(path, "");
      assertEquals(await repository.list(), [{ path: "a b.txt", isDir: false, fileSize: 5 }]);
    }
    for (const file of [join(dir, "in", "a b.txt"), pathToFileURL(join(dir, "in", "a b.txt")).href]) {
      const { repository, path } = await openArtifacts(file);
      assertEquals(path, "a b.txt");
      assertEquals(new TextDecoder().decode(await repository.read(path)), "hello");
    }
    await Deno.symlink(join(dir, "in", "a b.txt"), join(dir, "link"));
    assertEquals(await text(join(dir, "link")), "hello");
    const none = await openArtifacts(join(dir, "none"));
    assertEquals(await none.repository.list(none.path), []);
    const error = await assertRejects(() => text(join(dir, "none")), MlflowError);
    assertEquals(error.code, "INVALID_PARAMETER_VALUE");
  }));

Deno.test("openArtifacts() takes a path from the working directory", () =>
  withFiles(async (dir) => {
    const before = Deno.cwd();
    try {
      Deno.chdir(join(dir, ".."));
      assertEquals(await text(`${basename(dir)}/in/a b.txt`), "hello");
    } finally {
      Deno.chdir(before);
    }
  }));

Deno.test("openRepository() refuses a scheme that it does not know, and a bucket without a name", async () => {
  for (const location of ["ftp://user:s3cret@host/x", "s3:///a"]) {
    const error = await assertRejects(() => openRepository(location), MlflowError);
    assertEquals(error.code, "INVALID_PARAMETER_VALUE");
    assert(!error.message.includes("s3cret"), error.message);
  }
});

const CREDENTIALS = {
  HOME: undefined,
  MLFLOW_TRACKING_USERNAME: undefined,
  MLFLOW_TRACKING_PASSWORD: undefined,
  MLFLOW_TRACKING_TOKEN: "t0ken",
};

for (
  const [what, location, expected] of [
    ["the tracking server", "mlflow-artifacts:/1", "Bearer t0ken"],
    ["another port of its host", "mlflow-artifacts://127.0.0.1:PORT/1", "Bearer t0ken"],
    ["another host", "mlflow-artifacts://localhost:PORT/1", null],
    [
      "another host whose URI has its own",
      "mlflow-artifacts://me:secret@localhost:PORT/1",
      `Basic ${btoa("me:secret")}`,
    ],
  ] as const
) {
  Deno.test(`openRepository() ${expected === "Bearer t0ken" ? "gives" : "does not give"} the credentials to ${what}`, () =>
    withEnv(CREDENTIALS, async () => {
      const seen: (string | null)[] = [];
      const refuse = ({ headers }: Request) => {
        seen.push(headers.get("authorization"));
        return new Response("who?", { status: 401 });
      };
      await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, refuse);
      const { port } = server.addr;
      const trackingUri = location === "mlflow-artifacts:/1" ? `http://127.0.0.1:${port}` : "http://127.0.0.1:9";
      const repository = await openRepository(location.replace("PORT", `${port}`), { trackingUri });
      const error = await assertRejects(() => repository.list(), MlflowError);
      assertEquals([seen, error.status], [[expected], 401]);
      const told = error.message.includes(`the credentials of the tracking server are not sent to localhost:${port}`);
      assertEquals(told, expected === null, error.message);
      assert(!error.message.includes("secret"), error.message);
    }));
}
