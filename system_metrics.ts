import { readBooleanEnv, readEnv, writeEnv } from "./env.ts";
import type { Run } from "./run.ts";
import type { Probe } from "./tracking/system_probes.ts";

const ENABLED = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING";
const INTERVAL = "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL";
const SAMPLES = "MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING";
const NODE = "MLFLOW_SYSTEM_METRICS_NODE_ID";
const PREFIX = "system/";
/** Seconds between two readings where nothing else is said. */
const DEFAULT_INTERVAL = 10;

/** What was set by this program; the environment says the rest, and is written for programs that this one starts. */
const settings = new Map<string, string | undefined>();
/** What stops the timers of the runs whose system is measured. */
const stops = new WeakMap<Run, () => void>();
let told = false;

/** From now on all runs that are started log system metrics, unless `startRun` is told `logSystemMetrics: false`. */
export function enableSystemMetricsLogging(): void {
  set(ENABLED, "true");
}

/** From now on only runs that are started with `logSystemMetrics: true` log system metrics. */
export function disableSystemMetricsLogging(): void {
  set(ENABLED, "false");
}

/**
 * Sets how often the system is measured, for runs that are started from now on.
 *
 * @param seconds seconds between two readings, more than 0; undefined goes back to the default, 10
 */
export function setSystemMetricsSamplingInterval(seconds: number | undefined): void {
  if (seconds !== undefined && !(seconds > 0 && seconds < Infinity)) {
    throw new RangeError(`The interval must be more than 0 seconds: received ${seconds}`);
  }
  set(INTERVAL, seconds?.toString());
}

/**
 * Sets how many readings are put together to their mean before it is logged, for runs that are started from now on.
 *
 * @param samples a whole number of at least 1; undefined goes back to the default, 1
 */
export function setSystemMetricsSamplesBeforeLogging(samples: number | undefined): void {
  if (samples !== undefined && !(Number.isSafeInteger(samples) && samples >= 1)) {
    throw new RangeError(`The samples must be a whole number of at least 1: received ${samples}`);
  }
  set(SAMPLES, samples?.toString());
}

/**
 * Sets the name of this machine among several that log to one run: its metrics are called `system/<node id>/…`.
 *
 * @param nodeId undefined goes back to none
 */
export function setSystemMetricsNodeId(nodeId: string | undefined): void {
  set(NODE, nodeId);
}

function set(name: string, value: string | undefined): void {
  settings.set(name, value);
  writeEnv(name, value);
}

function get(name: string): string | undefined {
  return settings.has(name) ? settings.get(name) : readEnv(name);
}

function getNumber(name: string, missing: number): number {
  const value = Number(get(name));
  return value > 0 && value < Infinity ? value : missing;
}

/** Whether runs log system metrics that are not told so: what the program says, or the environment. */
export function isSystemMetricsLoggingEnabled(): boolean {
  return settings.has(ENABLED) ? settings.get(ENABLED) === "true" : readBooleanEnv(ENABLED, false);
}

/** Measures the system while the run goes on. Nothing of it breaks the run or keeps the program alive. */
export async function startSystemMetrics(run: Run): Promise<void> {
  try {
    const { findProbes } = await import("./tracking/system_probes.ts");
    const { probes, missing } = await findProbes();
    if (missing.length > 0 && !told) {
      told = true;
      console.warn(`warning: system metrics are left out that a permission hides: ${missing.join(", ")}`);
    }
    if (probes.length === 0) return;
    const monitor = new Monitor(run, probes, await nextStep(run));
    stops.set(run, () => monitor.stop());
    monitor.start();
  } catch (error) {
    console.warn(`warning: no system metrics are logged to run "${run.runId}": ${error}`);
  }
}

/** Measures the system no longer; called when the run ends. */
export function stopSystemMetrics(run: Run): void {
  stops.get(run)?.();
  stops.delete(run);
}

/** A resumed run goes on behind the last step that it has. */
async function nextStep({ client, runId }: Run): Promise<number> {
  const { data } = await client.getRun(runId);
  const keys = Object.keys(data.metrics).filter((key) => key.startsWith(PREFIX));
  // Two values of a history, of which one is the last: it may be long.
  const histories = await Promise.all(
    keys.map((key) => client.getMetricHistoryBulkInterval([runId], key, { maxResults: 2 })),
  );
  return histories.flat().reduce((next, { step }) => Math.max(next, step + 1), 0);
}

/** Reads the probes of a run by a timer. */
class Monitor {
  readonly #run: Run;
  readonly #probes: readonly Probe[];
  readonly #samples: number = Math.ceil(getNumber(SAMPLES, 1));
  readonly #interval: number = getNumber(INTERVAL, DEFAULT_INTERVAL) * 1000;
  readonly #prefix: string;
  #sums = new Map<string, { sum: number; count: number }>();
  #taken = 0;
  #step: number;
  #timer: ReturnType<typeof setInterval> | undefined;
  #reading = false;

  constructor(run: Run, probes: readonly Probe[], step: number) {
    this.#run = run;
    this.#probes = probes;
    this.#step = step;
    const node = get(NODE);
    this.#prefix = node === undefined ? PREFIX : `${PREFIX}${node}/`;
  }

  start(): void {
    const timer = setInterval(() => void this.#tick(), this.#interval);
    Deno.unrefTimer(timer);
    this.#timer = timer;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #tick(): Promise<void> {
    // A training that leaves no time makes ticks pile up.
    if (this.#reading) return;
    this.#reading = true;
    try {
      for (const probe of this.#probes) this.#add(await probe());
      if (++this.#taken < this.#samples || this.#timer === undefined) return;
      const step = this.#step++;
      const metrics = [...this.#sums].map(([key, { sum, count }]) => ({
        key: `${this.#prefix}${key}`,
        value: isTotal(key) ? sum : Math.round(sum / count * 10) / 10,
        step,
      }));
      this.#sums = new Map();
      this.#taken = 0;
      await this.#run.logBatch({ metrics });
    } catch (error) {
      this.stop();
      console.warn(`warning: no more system metrics are logged to run "${this.#run.runId}": ${error}`);
    } finally {
      this.#reading = false;
    }
  }

  #add(metrics: Readonly<Record<string, number>>): void {
    for (const [key, value] of Object.entries(metrics)) {
      const before = isTotal(key) ? undefined : this.#sums.get(key);
      this.#sums.set(key, { sum: (before?.sum ?? 0) + value, count: (before?.count ?? 0) + 1 });
    }
  }
}

/** Whether a metric is a total since the start, of which the last one counts, and not a mean. */
function isTotal(key: string): boolean {
  return key.startsWith("network_");
}
