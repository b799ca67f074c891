/**
 * `deno task bench [name…] [--json]`: this library and Python's mlflow doing the same, one round of the one after one
 * round of the other, so that what else the machine does hits both.
 */
import { missingMlflow, mlflowPython, NEWEST } from "../tests/support/mlflow.ts";
import { join } from "@std/path";
import { parseArgs } from "node:util";
import { type Benchmark, BENCHMARKS, type Rounds } from "./benchmarks.ts";
import { Peer } from "./peer.ts";

/** What was measured of one side, in the benchmark's unit. */
interface Measured {
  readonly median: number;
  /** A tenth of the samples is below it. */
  readonly low: number;
  /** A tenth of the samples is above it. */
  readonly high: number;
}

const NAME_WIDTH = Math.max(...BENCHMARKS.map(({ name }) => name.length)) + 2;
const VALUE_WIDTH = 34;

const USAGE = `Measures this library beside Python's mlflow ${NEWEST}.

  deno task bench [name…] [--json]

  name…     the benchmarks to run, or the first word of their names (all but those that take minutes: "large")
  --json    one line a benchmark: {"bench", "ours", "peer", "unit", "ratio"}; ratio is how many times faster we are
  --help    this text

Benchmarks:
${BENCHMARKS.map(({ name, what }) => `  ${name.padEnd(NAME_WIDTH)}${what}`).join("\n")}`;

class UsageError extends Error {}

async function main(args: readonly string[]): Promise<void> {
  const { names, json, help } = readArguments(args);
  if (help) return console.log(USAGE);
  const benchmarks = names.flatMap(find);
  const executable = mlflowPython(NEWEST);
  const missing = missingMlflow(NEWEST);
  // A variable of the developer's own shell would send our runs elsewhere.
  for (const name of Object.keys(Deno.env.toObject())) if (/^_?MLFLOW_/.test(name)) Deno.env.delete(name);
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-bench-" }));
  try {
    await using peer = missing === undefined ? await Peer.start(executable, folder) : undefined;
    if (!json) printHead(missing);
    for (const benchmark of benchmarks) await run(benchmark, folder, peer, json);
  } finally {
    // Windows keeps a file that is open, and our database is until the process ends.
    await Deno.remove(folder, { recursive: true }).catch(() => {});
  }
}

function readArguments(args: readonly string[]): { names: readonly string[]; json: boolean; help: boolean } {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { json: { type: "boolean" }, help: { type: "boolean", short: "h" } },
    });
    const names = positionals.length > 0 ? positionals : BENCHMARKS.flatMap(({ name, isSlow }) => isSlow ? [] : name);
    return { names, json: values.json ?? false, help: values.help ?? false };
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

/** The benchmark of a name, or all of a group: `training` is `training_reference` and the rest. */
function find(name: string): readonly Benchmark[] {
  const found = BENCHMARKS.filter((benchmark) => benchmark.name === name);
  if (found.length > 0) return found;
  const group = BENCHMARKS.filter((benchmark) => benchmark.name.startsWith(`${name}_`));
  if (group.length > 0) return group;
  const names = BENCHMARKS.map(({ name }) => name).join(", ");
  throw new UsageError(`there is no benchmark "${name}": the names are ${names}`);
}

async function run(benchmark: Benchmark, folder: string, peer: Peer | undefined, json: boolean): Promise<void> {
  const { name, unit } = benchmark;
  const sides = [benchmark.ours(join(folder, "ours"))];
  if (peer !== undefined && benchmark.missing === undefined) sides.push(benchmark.peer(peer));
  const [ours, theirs] = await measure(sides, benchmark.rounds);
  const ratio = theirs && (isRate(unit) ? ours.median / theirs.median : theirs.median / ours.median);
  if (json) {
    const row = { bench: name, ours: rounded(ours.median), peer: rounded(theirs?.median), unit, ratio: rounded(ratio) };
    console.log(JSON.stringify(row));
  } else {
    printRow(
      name,
      shown(ours, unit),
      shown(theirs, unit, benchmark.missing),
      ratio === undefined ? "–" : `${ratio.toFixed(1)} ×`,
    );
  }
}

/** Runs a first round of each side, which only warms it up, and then the rounds that count. */
async function measure(sides: readonly Rounds[], rounds: number): Promise<Measured[]> {
  const samples: number[][] = sides.map(() => []);
  try {
    for (let round = 0; round <= rounds; round++) {
      for (const [side, next] of sides.entries()) {
        const { value } = await next.next();
        if (round > 0) samples[side].push(...value!);
      }
    }
  } finally {
    for (const side of sides) await side.return();
  }
  return samples.map(summary);
}

function summary(samples: readonly number[]): Measured {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, low: at(0.1), high: at(0.9) };
}

/** Whether more is better, as in images a second. */
function isRate(unit: string): boolean {
  return unit.endsWith("/s");
}

function rounded(value: number | undefined): number | null {
  return value === undefined ? null : Number(value.toPrecision(4));
}

function printHead(missing: string | undefined): void {
  const load = Deno.loadavg().map((value) => value.toFixed(1)).join(", ");
  const cores = navigator.hardwareConcurrency;
  console.log(
    `Deno ${Deno.version.deno}, ${Deno.build.os} ${Deno.build.arch}, ${cores} cores, load ${load} at the start`,
  );
  if (missing !== undefined) console.log(`Nothing to compare with: ${missing}`);
  console.log("Median (from the lowest to the highest tenth)\n");
  printRow("", "ours", `mlflow ${NEWEST}`, "faster");
}

function printRow(name: string, ours: string, peer: string, ratio: string): void {
  console.log(
    `${name.padEnd(NAME_WIDTH)}${ours.padStart(VALUE_WIDTH)}${peer.padStart(VALUE_WIDTH)}${ratio.padStart(12)}`,
  );
}

function shown(measured: Measured | undefined, unit: string, missing = "no MLflow"): string {
  if (measured === undefined) return missing;
  const text = (value: number) => `${Number(value.toPrecision(3))}`;
  return `${text(measured.median)} ${unit} (${text(measured.low)} to ${text(measured.high)})`;
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`bench: ${error.message}\n\n${USAGE}`);
    Deno.exit(2);
  }
}
