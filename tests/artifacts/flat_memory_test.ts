/** Files far bigger than what a process may take for them. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { createHandler } from "../../server/handler.ts";
import { openStore } from "../../stores/open_store.ts";
import { deno } from "../support/deno.ts";
import { gatedTest } from "../support/gate.ts";
import { missingMoto, MotoServer } from "../support/moto.ts";

const SIZE = 200 * 1024 ** 2;
const MOST = 60 * 1024 ** 2;
const MAIN = new URL("flat_memory_main.ts", import.meta.url).pathname;
const notLinux = Deno.build.os === "linux" ? undefined : "no /proc/self/status";

async function checkMemory(
  dir: string,
  uri: string,
  trackingUri: string,
  env: Record<string, string> = {},
): Promise<void> {
  const file = join(dir, "big.bin");
  // Random parts on an empty ground: made at once, and the same nowhere.
  using sparse = await Deno.open(file, { write: true, create: true });
  await sparse.truncate(SIZE);
  for (let at = 0; at < SIZE; at += 10_000_000) {
    await sparse.seek(at, Deno.SeekMode.Start);
    await sparse.write(crypto.getRandomValues(new Uint8Array(60_000)));
  }
  const { stdout } = await deno(["run", "-A", "--no-check", "--quiet", MAIN, uri, trackingUri, file], {
    cwd: new URL("../..", import.meta.url).pathname,
    env,
  });
  const { upload, download } = JSON.parse(stdout);
  assert(upload < MOST, `memory grew by ${upload} bytes over the upload`);
  assert(download < MOST, `memory grew by ${download} bytes over the download`);
  assertEquals(await digest(`${file}.back`), await digest(file));
}

async function digest(path: string): Promise<string> {
  const { stdout } = await new Deno.Command("sha256sum", { args: [path] }).output();
  return new TextDecoder().decode(stdout).slice(0, 64);
}

async function inTemporary(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "mlflow-artifacts-" });
  try {
    await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

gatedTest({
  name: "200 MiB go through a tracking server in flat memory",
  missing: notLinux,
  fn: () =>
    inTemporary(async (dir) => {
      const store = await openStore("sqlite:///:memory:");
      const handler = createHandler({ store, artifactRoot: join(dir, "served") });
      await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
      await checkMemory(dir, "mlflow-artifacts:/1/a", `http://127.0.0.1:${server.addr.port}`);
    }),
});

gatedTest({
  name: "200 MiB go to S3 and back in flat memory",
  missing: notLinux ?? missingMoto(),
  fn: () =>
    inTemporary(async (dir) => {
      await using moto = await MotoServer.start();
      await moto.createBucket("bucket");
      await checkMemory(dir, "s3://bucket/a", "sqlite:///:memory:", {
        AWS_ACCESS_KEY_ID: "testing",
        AWS_SECRET_ACCESS_KEY: "testing",
        AWS_DEFAULT_REGION: "us-east-1",
        MLFLOW_S3_ENDPOINT_URL: moto.url,
      });
    }),
});
