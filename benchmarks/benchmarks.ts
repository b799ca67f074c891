/** The benchmarks, each an entry of one table, and our side of them; `mlflow_bench.py` is the other side. */
import { join } from "@std/path";
import { fileURLToPath } from "node:url";
import * as mlflow from "../mod.ts";
import { cleanEnv } from "../tests/support/clean_env.ts";
import { MODEL_BENCHMARKS } from "./model_benchmarks.ts";
import { type Peer, peerEnv } from "./peer.ts";
import { REGISTRY_BENCHMARKS } from "./registry_benchmarks.ts";
import { SERVING_BENCHMARKS } from "./serving_benchmarks.ts";
import { LARGE_BENCHMARKS } from "./large_benchmarks.ts";
import { STORE_BENCHMARKS } from "./store_benchmarks.ts";
import { TRAINING_BENCHMARKS } from "./training_benchmarks.ts";

/** Rounds without end, each a list of samples in the benchmark's unit; `return()` undoes what was set up for them. */
export type Rounds = AsyncGenerator<readonly number[], void, void>;

/** What is measured, on both sides. */
export interface Benchmark {
  /** The name on the command line. */
  readonly name: string;
  /** Whether it takes minutes, and runs only where its name or the first word of it is given. */
  readonly isSlow?: true;
  /** What one sample is. */
  readonly what: string;
  /** The unit of the samples; less is better, or more where it ends in `/s`. */
  readonly unit: string;
  /** The rounds that count; one more goes before them. */
  readonly rounds: number;
  /** Our side, in the folder given, which may not be there yet. */
  readonly ours: (folder: string) => Rounds;
  /** Python's side. */
  readonly peer: (peer: Peer) => Rounds;
  /** Why Python's side cannot run though MLflow is there; undefined if it can. */
  readonly missing?: string | undefined;
}

/** All benchmarks, in the order they run in. */
export const BENCHMARKS: readonly Benchmark[] = [
  {
    name: "log_metric",
    what: "one value by the fluent API, awaited",
    unit: "ms",
    rounds: 20,
    ours: logMetric,
    peer: (peer) => peer.rounds("log_metric"),
  },
  {
    name: "log_batch",
    what: "1,000 metrics: 10 names, 100 steps",
    unit: "ms",
    rounds: 6,
    ours: logBatch,
    peer: (peer) => peer.rounds("log_batch"),
  },
  {
    name: "start_end",
    what: "a run started and ended by the fluent API",
    unit: "ms",
    rounds: 20,
    ours: startEnd,
    peer: (peer) => peer.rounds("start_end"),
  },
  {
    name: "cold_start",
    what: "from the start of the process to its first logged metric, on an existing database",
    unit: "ms",
    rounds: 7,
    ours: (folder) => coldStart(ourProgram, folder),
    peer: (peer) => coldStart(pythonProgram(peer), peer.folder),
  },
  {
    name: "cold_start_new",
    what: "the same, and the database is made on the way",
    unit: "ms",
    rounds: 3,
    ours: (folder) => coldStartNew(ourProgram, folder),
    peer: (peer) => coldStartNew(pythonProgram(peer), peer.folder),
  },
  ...STORE_BENCHMARKS,
  ...REGISTRY_BENCHMARKS,
  ...TRAINING_BENCHMARKS,
  ...LARGE_BENCHMARKS,
  ...SERVING_BENCHMARKS,
  ...MODEL_BENCHMARKS,
];

async function* logMetric(folder: string): Rounds {
  await useStore(folder);
  await mlflow.startRun();
  try {
    for (let step = 0;;) {
      const samples: number[] = [];
      for (let i = 0; i < 20; i++, step++) {
        samples.push(await milliseconds(() => mlflow.logMetric("loss", 1 / (step + 1), { step })));
      }
      yield samples;
    }
  } finally {
    await mlflow.endRun();
  }
}

async function* logBatch(folder: string): Rounds {
  await useStore(folder);
  const client = new mlflow.MlflowClient();
  const { runId } = await mlflow.startRun();
  try {
    for (let first = 0;;) {
      const samples: number[] = [];
      for (let i = 0; i < 10; i++, first += 100) {
        const metrics = metricsFrom(first);
        samples.push(await milliseconds(() => client.logBatch(runId, { metrics })));
      }
      yield samples;
    }
  } finally {
    await mlflow.endRun();
  }
}

/** 1,000 values: 10 metrics at 100 steps. */
function metricsFrom(firstStep: number): mlflow.MetricInput[] {
  const timestamp = Date.now();
  return Array.from({ length: 1000 }, (_, i) => ({
    key: `metric_${i % 10}`,
    value: 1 / (i + 1),
    timestamp,
    step: firstStep + Math.floor(i / 10),
  }));
}

async function* startEnd(folder: string): Rounds {
  await useStore(folder);
  while (true) {
    const samples: number[] = [];
    for (let i = 0; i < 5; i++) {
      samples.push(
        await milliseconds(async () => {
          await mlflow.startRun();
          await mlflow.endRun();
        }),
      );
    }
    yield samples;
  }
}

async function useStore(folder: string): Promise<void> {
  mlflow.setTrackingUri(`sqlite:///${join(folder, "mlflow.db")}`);
  await mlflow.setExperiment("bench");
}

async function milliseconds(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** A program that logs a metric to the database at its argument's path, then prints a line. */
type Program = (database: string) => Deno.Command;

function ourProgram(database: string): Deno.Command {
  return program(
    Deno.execPath(),
    ["run", "--cached-only", "-A", fileURLToPath(here("cold_start.ts")), database],
    cleanEnv(),
  );
}

function pythonProgram(peer: Peer): Program {
  return (database) => program(peer.executable, [fileURLToPath(here("cold_start.py")), database], peerEnv());
}

function program(executable: string, args: readonly string[], env: Record<string, string>): Deno.Command {
  return new Deno.Command(executable, { args: [...args], env, clearEnv: true, stdout: "piped", stderr: "null" });
}

function here(name: string): URL {
  return new URL(name, import.meta.url);
}

async function* coldStart(program: Program, folder: string): Rounds {
  // The round that does not count makes the database.
  while (true) yield [await untilFirstLine(program(join(folder, "cold_start.db")))];
}

async function* coldStartNew(program: Program, folder: string): Rounds {
  for (let i = 0;; i++) yield [await untilFirstLine(program(join(folder, `cold_start_new_${i}.db`)))];
}

/** The time from the process's start to its first line, in milliseconds. */
async function untilFirstLine(program: Deno.Command): Promise<number> {
  const start = performance.now();
  await using process = program.spawn();
  const output = process.stdout.getReader();
  const { done } = await output.read();
  const time = performance.now() - start;
  while (!(await output.read()).done);
  const { code } = await process.status;
  if (done || code !== 0) throw new Error(`Cannot measure a cold start: the program ended with code ${code}`);
  return time;
}
