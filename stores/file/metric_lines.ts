import type { Metric } from "../../entities.ts";
import { MlflowError } from "../../errors.ts";
import { pythonText } from "../../python_text.ts";

/** One line of the file of a metric. */
export interface MetricLine extends Omit<Metric, "key"> {
  /** In the files of logged models: the run that measured it. */
  readonly runId: string | undefined;
  /** The dataset that it was measured on. */
  readonly dataset: { readonly name: string; readonly digest: string } | undefined;
}

/** Whose metrics a file holds: the lines of models also name a run. */
export type MetricOwner = "run" | "model";

/** Values of a metric of a run: `time value step`. */
export function writeRunLine({ timestamp, value, step }: Omit<Metric, "key">): string {
  // MLflow also writes a dataset's name and digest here, but reads such a line back with step 0; its databases keep no
  // dataset for the metrics of runs either.
  return `${timestamp} ${pythonFloat(value)} ${step}`;
}

/** A value of a metric of a logged model: `time value step run[ dataset digest]`. */
export function writeModelLine(metric: Omit<Metric, "key">, runId: string, dataset: MetricLine["dataset"]): string {
  return `${writeRunLine(metric)} ${runId}${dataset === undefined ? "" : ` ${dataset.name} ${dataset.digest}`}`;
}

/**
 * Reads the file of a metric. Old files of runs have lines of two words, without a step; where MLflow writes five, the
 * last two are a dataset's name and digest.
 *
 * @param what the metric, for the error that a broken line gives
 */
export function readLines(text: string, owner: MetricOwner, what: string): MetricLine[] {
  // What follows the last end of a line is being written at this moment, or never was to the end.
  return text.split("\n").slice(0, -1).filter((line) => line.trim() !== "").map((line) => readLine(line, owner, what));
}

/** What tells a value from others of its file: MLflow's tables hold no two rows that agree in this. */
export function identityOf({ timestamp, value, step, runId }: MetricLine): string {
  return runId === undefined ? `${timestamp} ${value} ${step}` : `${timestamp} ${step} ${runId}`;
}

/** The values of a file, equal ones once. */
export function distinct(lines: readonly MetricLine[]): MetricLine[] {
  return [...new Map(lines.map((line) => [identityOf(line), line])).values()];
}

/** The latest value: that of the highest step, then time, then value. */
export function latestOf(lines: readonly MetricLine[]): MetricLine | undefined {
  let latest: MetricLine | undefined;
  for (const line of lines) {
    if (latest === undefined || compareBy(line, latest, "step", "timestamp") > 0) latest = line;
  }
  return latest;
}

/** The order of two values by two of their numbers, then by value, in which NaN counts as 0 as in MLflow's tables. */
export function compareBy(
  a: Omit<Metric, "key">,
  b: Omit<Metric, "key">,
  first: "step" | "timestamp",
  second: "step" | "timestamp",
): number {
  return a[first] - b[first] || a[second] - b[second] || compareValues(a.value, b.value);
}

function compareValues(a: number, b: number): number {
  const [x, y] = [a || 0, b || 0];
  return x < y ? -1 : x > y ? 1 : 0;
}

function readLine(line: string, owner: MetricOwner, what: string): MetricLine {
  const read = parseLine(line, owner);
  if (read !== undefined) return read;
  const expected = owner === "run" ? "2, 3, or 5" : "4 or 6";
  throw new MlflowError(
    "INTERNAL_ERROR",
    `Metric '${what}' is malformed; persisted metric data contained ${JSON.stringify(line.slice(0, 100))}. Expected ` +
      `${expected} fields.`,
  );
}

function parseLine(line: string, owner: MetricOwner): MetricLine | undefined {
  const fields = line.trim().split(" ");
  const count = fields.length;
  if (owner === "run" ? count !== 2 && count !== 3 && count !== 5 : count !== 4 && count !== 6) return undefined;
  const [timestamp, value, step] = [Number(fields[0]), readFloat(fields[1]), Number(fields[2] ?? 0)];
  if (!Number.isInteger(timestamp) || value === undefined || !Number.isInteger(step)) return undefined;
  const [name, digest] = fields.slice(owner === "run" ? 3 : 4);
  return {
    timestamp,
    value,
    step,
    runId: owner === "run" ? undefined : fields[3],
    dataset: name === undefined ? undefined : { name, digest },
  };
}

function pythonFloat(value: number): string {
  if (!Number.isInteger(value) || Object.is(value, -0)) return pythonText(value);
  return Math.abs(value) < 1e16 ? value.toFixed(1) : value.toExponential();
}

function readFloat(text: string): number | undefined {
  const special = /^([+-]?)(nan|inf(?:inity)?)$/i.exec(text);
  if (special !== null) return /^n/i.test(special[2]) ? NaN : special[1] === "-" ? -Infinity : Infinity;
  const value = Number(text);
  return text === "" || Number.isNaN(value) ? undefined : value;
}
