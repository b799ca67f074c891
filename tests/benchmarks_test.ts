/** That the benchmarks run; what they measure is for `deno task bench` to tell. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { deno } from "./support/deno.ts";

const ROOT = Deno.realPathSync(new URL("..", import.meta.url));

Deno.test("deno task bench runs a benchmark without MLflow and prints a line of JSON", async () => {
  const { stdout } = await bench("log_metric", "--json");
  const { ours, ...row } = JSON.parse(stdout);
  assertEquals(typeof ours, "number");
  assertEquals(row, { bench: "log_metric", peer: null, unit: "ms", ratio: null });
});

Deno.test("deno task bench says in its table that there is no MLflow", async () => {
  const { stdout } = await bench("start_end");
  assertStringIncludes(stdout, "Nothing to compare with: no MLflow");
});

Deno.test("deno task bench lists its benchmarks for a name that it does not know", async () => {
  const error = await bench("log_metrics").catch((error: Error) => error);
  assertStringIncludes(String(error), "it ended with code 2");
  assertStringIncludes(
    String(error),
    'bench: there is no benchmark "log_metrics": the names are log_metric, log_batch',
  );
});

/** Runs the benchmarks where no MLflow is found. */
async function bench(...args: string[]): Promise<{ stdout: string }> {
  return await deno(["run", "-A", "benchmarks/bench.ts", ...args], { cwd: ROOT, env: { MLFLOW_PYTHON: "/nowhere" } });
}
