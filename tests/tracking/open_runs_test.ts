/** How runs end with their program: another process, which prints its runs' ids and then ends in some way. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient } from "../../client.ts";
import type { RunStatus } from "../../entities.ts";
import { cleanEnv } from "../support/clean_env.ts";

const PROGRAM = new URL("../support/ending_program.ts", import.meta.url);
const CONFIG = new URL("../../deno.json", import.meta.url);

interface Ended {
  readonly code: number;
  readonly stderr: string;
  readonly client: MlflowClient;
  readonly runIds: readonly string[];
}

/** Runs the program to its end; `signal` is sent once it has printed its line. */
async function ended(way: string, signal: Deno.Signal | undefined, check: (ended: Ended) => Promise<void>) {
  const dir = await Deno.realPath(await Deno.makeTempDir());
  try {
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--config", CONFIG.pathname, PROGRAM.pathname, way],
      cwd: dir,
      env: cleanEnv(),
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const stderr = new Response(process.stderr).text();
    let stdout = "";
    for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
      stdout += text;
      if (signal !== undefined && stdout.includes("\n")) process.kill(signal);
    }
    const { code } = await process.status;
    const client = new MlflowClient(`sqlite:///${join(dir, "mlflow.db")}`);
    await check({ code, stderr: await stderr, client, runIds: stdout.trim().split(" ") });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const WAYS: readonly (readonly [string, Deno.Signal | undefined, number, RunStatus])[] = [
  ["through", undefined, 0, "FINISHED"],
  ["exit code", undefined, 4, "FAILED"],
  ["exit 0", undefined, 0, "FINISHED"],
  ["exit 3", undefined, 3, "FAILED"],
  ["exit in withRun", undefined, 3, "FAILED"],
  ["throw", undefined, 1, "FAILED"],
  ["rejection", undefined, 1, "FAILED"],
  ["wait", "SIGINT", 130, "KILLED"],
  ["wait", "SIGTERM", 143, "KILLED"],
  ["compute", "SIGINT", 130, "KILLED"],
  ["compute", "SIGTERM", 143, "KILLED"],
  ["withRun", "SIGINT", 130, "KILLED"],
];

for (const [way, signal, wanted, status] of WAYS) {
  Deno.test(`a program's runs end ${status} at "${way}"${signal ? ` and ${signal}` : ""}, code ${wanted}`, async () => {
    await ended(way, signal, async ({ code, stderr, client, runIds }) => {
      assertEquals(code, wanted, stderr);
      const [outer, inner, ...more] = await Promise.all(runIds.map((id) => client.getRun(id)));
      for (const { info } of [outer, inner, ...more]) {
        assertEquals(info.status, status);
        assert(info.endTime! >= info.startTime, `ended at ${info.endTime}`);
      }
      assertEquals(inner.data.tags["mlflow.parentRunId"], outer.info.runId);
      assertEquals(inner.data.params, { p: "1" });
      assertEquals(inner.data.metrics, { m: 99, "after the text": 1 });
      assertEquals((await client.getMetricHistory(inner.info.runId, "m")).length, 100);
      for (const { data } of more) assertEquals(data.metrics, { m: 1 });
      // Only what takes time is lost where there is none.
      if (wanted === 0 && way === "through" || signal !== undefined) {
        assertEquals(new TextDecoder().decode(await client.readArtifact(inner.info.runId, "a.txt")), "text");
      }
      if (way === "throw") assert(stderr.includes("RangeError: uncaught"), stderr);
      else if (way === "rejection") assert(stderr.includes("RangeError: unhandled"), stderr);
      else assertEquals(stderr, "");
    });
  });
}
