/**
 * Reads the cases of the replay.
 *
 * A step is `operation: arguments`; `name = operation` keeps the id or the page token of the result as `$name`, and
 * `refused operation` is one that MLflow must refuse. Every case begins with an experiment `$e` named `$n`; a run `$r`
 * and a logged model `$m` are made where they are spoken of. Ids that are not given are theirs. `${x*250}` is a text of
 * 250 letters, `{$times: 3, of: {key: k#}}` a list whose `#` are 0, 1 and 2; a text that is `#` alone is the number.
 * A case `in` another one of its file goes on where that one ended, and changes nothing of it.
 */
import { load } from "@std/yaml";
import { type Case, OPERATIONS, type Step } from "./replay_ours.ts";

const DATA = new URL("../testdata/replay/", import.meta.url);

/** All cases, by file. */
export function readCases(): Case[] {
  const files = [...Deno.readDirSync(DATA)].map(({ name }) => name).filter((name) => name.endsWith(".yaml")).sort();
  return files.flatMap((file) => {
    const list = load(Deno.readTextFileSync(new URL(file, DATA))) as {
      name: string;
      in?: string;
      steps: Record<string, unknown>[];
    }[];
    return list.map(({ name, in: within, steps }) => {
      const subject = file.replace(".yaml", "");
      try {
        const read = steps.map(readStep);
        if (within === undefined) return { subject, name, within, steps: withBeginning(read) };
        if (!list.some((other) => other.name === within && other.in === undefined)) throw new Error("it is in no case");
        return { subject, name, within, steps: read };
      } catch (cause) {
        throw new Error(`Cannot read case "${name}" of ${file}: ${(cause as Error).message}`, { cause });
      }
    });
  });
}

function readStep(step: Record<string, unknown>): Step {
  const [[told, args], ...more] = Object.entries(step);
  const parts = /^(?:(\w+) = )?(refused )?(\w+)$/.exec(told);
  const [, save, refused, op] = parts ?? [];
  if (parts === null || !OPERATIONS.has(op) || more.length > 0) throw new Error(`there is no step "${told}"`);
  const given = expand(args ?? {}) as Record<string, unknown>;
  return { op, args: { ...DEFAULTS[subjectOf(op)], ...given }, refused: refused !== undefined, ...save && { save } };
}

const DEFAULTS: Readonly<Record<string, Record<string, unknown>>> = {
  experiment: { experimentId: "$e" },
  experiments: { experimentIds: ["$e"] },
  run: { runId: "$r" },
  runs: { runIds: ["$r"] },
  model: { modelId: "$m" },
  none: {},
};

/** What an operation is done to. */
function subjectOf(op: string): string {
  if (/^(createExperiment|searchExperiments|getExperimentByName|nextMillisecond)$/.test(op)) return "none";
  if (/^search/.test(op)) return "experiments";
  if (/Experiment|^create/.test(op)) return "experiment";
  if (op === "getMetricHistoryBulkInterval") return "runs";
  return /LoggedModel/.test(op) ? "model" : "run";
}

/** Puts before the steps what they speak of and do not make. */
function withBeginning(steps: Step[]): Step[] {
  const text = JSON.stringify(steps);
  const speaks = (name: string) => new RegExp(`\\$${name}\\b`).test(text) && !steps.some(({ save }) => save === name);
  const begin = (save: string, op: string, args: Step["args"]): Step[] =>
    speaks(save) ? [{ op, args, save, refused: false }] : [];
  const runs = begin("r", "createRun", { experimentId: "$e", runName: "run", startTime: 1000 });
  const models = begin("m", "createLoggedModel", { experimentId: "$e", name: "model" });
  const experiment: Step = { op: "createExperiment", args: { name: "$n" }, save: "e", refused: false };
  return [experiment, ...runs, ...models, ...steps];
}

function expand(value: unknown): unknown {
  if (typeof value === "string") {
    return value.replace(/\$\{(.+?)\*(\d+)\}/gu, (_, letters: string, times: string) => letters.repeat(Number(times)));
  }
  if (Array.isArray(value)) return value.map(expand);
  if (!isObject(value)) return value;
  if ("$times" in value) return Array.from({ length: Number(value.$times) }, (_, i) => expand(number(value.of, i)));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [expand(key) as string, expand(item)]));
}

/** The value with `#` of its texts replaced by a number. */
function number(value: unknown, i: number): unknown {
  if (value === "#") return i;
  if (typeof value === "string") return value.replaceAll("#", String(i));
  if (Array.isArray(value)) return value.map((item) => number(item, i));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, number(item, i)]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
