/** Benchmarks on a file of 100,000 runs: pages of searches of every kind, and what writes cost beside an empty file. */
import { join } from "@std/path";
import { SqliteStore } from "../stores/sqlite_store.ts";
import { missingMlflow, mlflowPython } from "../tests/support/mlflow.ts";
import type { Benchmark, Rounds } from "./benchmarks.ts";
import { fillLarge } from "./large_file.ts";
import { peerEnv } from "./peer.ts";

const EXPERIMENT = "large";

/** The searches: a name, a filter and an order. Each asks for the first 100 runs. */
const SEARCHES: readonly (readonly [name: string, filter: string, order?: string])[] = [
  ["latest", ""],
  ["metric", "metrics.metric_1 > 0.5"],
  ["metric_rare", "metrics.metric_1 > 1.88"],
  ["param", "params.lr = '0.1'"],
  ["param_rare", "params.seed LIKE '%777%'"],
  ["param_missing", "params.lr IS NULL"],
  ["tag", "tags.team = 'team 3'"],
  ["tag_rare", "tags.candidate = 'yes'"],
  ["tag_none", "tags.team = 'nobody'"],
  ["run_name", "attributes.run_name = 'run-777'"],
  ["run_name_like", "attributes.run_name LIKE '%777%'"],
  ["status_none", "attributes.status = 'KILLED'"],
  ["dataset", "dataset.name = 'digits 3'"],
  ["several", "metrics.metric_1 > 0.5 AND params.lr = '0.1' AND tags.team = 'team 3'"],
  ["by_metric", "", "metrics.metric_1 DESC"],
  ["by_metric_tag", "tags.candidate = 'yes'", "metrics.metric_1 DESC"],
  ["by_param", "", "params.lr ASC"],
  ["by_param_metric", "metrics.metric_1 > 0.5", "params.seed DESC"],
  ["by_tag", "", "tags.team DESC"],
  ["by_end", "", "attributes.end_time DESC"],
  ["by_user", "", "attributes.user_id ASC"],
  ["by_user_metric", "metrics.metric_1 > 0.5", "attributes.user_id ASC"],
];

/** What is written, each to the large and to the empty file in turn. */
const WRITES = {
  log_metric: "a value of a metric",
  log_params: "10 params of a new run",
  start_end: "a run with 4 tags made and ended",
} as const;

/** The files, made when they are first needed. */
const files = new Map<string, Promise<{ readonly large: string; readonly empty: string }>>();

/** They take some minutes, of which the file takes two: `deno task bench large`. */
export const LARGE_BENCHMARKS: readonly Benchmark[] = [
  ...SEARCHES.map(([name, filter, order]): Benchmark => ({
    name: `large_${name}`,
    isSlow: true,
    what: `the first 100 of 100,000 runs${filter && ` with ${filter}`}${order ? ` by ${order}` : ""}`,
    unit: "ms",
    rounds: 3,
    ours: (folder) => search(folder, filter, order),
    peer: (peer) =>
      onFiles(peer.folder, ({ large }) => peer.rounds("large_search", [large, EXPERIMENT, filter, order ?? null])),
  })),
  ...Object.entries(WRITES).map(([name, what]): Benchmark => ({
    name: `large_${name}`,
    isSlow: true,
    what: `${what}: how many times what it takes in an empty file`,
    unit: "×",
    rounds: 4,
    ours: (folder) => write(folder, name as keyof typeof WRITES),
    peer: (peer) =>
      onFiles(peer.folder, ({ large, empty }) => peer.rounds("large_write", [large, empty, EXPERIMENT, name])),
  })),
];

async function* onFiles<T>(
  folder: string,
  work: (uris: { readonly large: string; readonly empty: string }) => AsyncGenerator<T>,
): AsyncGenerator<T> {
  const parent = join(folder, "..");
  if (!files.has(parent)) files.set(parent, make(parent));
  yield* work(await files.get(parent)!);
}

async function make(folder: string): Promise<{ readonly large: string; readonly empty: string }> {
  const [large, empty] = ["large.db", "empty.db"].map((name) => join(folder, name));
  const uri = `sqlite:///${large}`;
  let experimentId: string;
  {
    await using store = await SqliteStore.open(uri);
    experimentId = await store.createExperiment(EXPERIMENT);
  }
  if (missingMlflow() === undefined) {
    // Python would bring the full file to its own revision, which takes long; both sides use what comes out.
    const args = ["-m", "mlflow", "db", "upgrade", uri];
    const { success } = await new Deno.Command(mlflowPython(), { args, env: peerEnv(), stdout: "null", stderr: "null" })
      .output();
    if (!success) throw new Error(`Cannot upgrade "${large}": mlflow db upgrade failed`);
  }
  await Deno.copyFile(large, empty);
  fillLarge(large, Number(experimentId));
  return { large: uri, empty: `sqlite:///${empty}` };
}

async function* search(folder: string, filter: string, order: string | undefined): Rounds {
  yield* onFiles(folder, async function* ({ large }) {
    await using store = await SqliteStore.open(large);
    const { experimentId } = (await store.getExperimentByName(EXPERIMENT))!;
    const question = { filter, orderBy: order === undefined ? [] : [order], maxResults: 100 };
    while (true) {
      const samples: number[] = [];
      for (let i = 0; i < 5; i++) samples.push(await milliseconds(() => store.searchRuns([experimentId], question)));
      yield samples;
    }
  });
}

async function* write(folder: string, kind: keyof typeof WRITES): Rounds {
  yield* onFiles(folder, async function* (uris) {
    await using large = await SqliteStore.open(uris.large);
    await using empty = await SqliteStore.open(uris.empty);
    const writers = [await writer(large, kind), await writer(empty, kind)];
    while (true) {
      const times = [0, 0];
      for (let i = 0; i < 100; i++) {
        for (const [side, work] of writers.entries()) times[side] += await milliseconds(() => work(i));
      }
      yield [times[0] / times[1]];
    }
  });
}

/** A function that writes once to the store. */
async function writer(store: SqliteStore, kind: keyof typeof WRITES): Promise<(i: number) => Promise<unknown>> {
  const { experimentId } = (await store.getExperimentByName(EXPERIMENT))!;
  const tags = { "mlflow.user": "user1", "mlflow.source.name": "file:///train.ts", "mlflow.source.type": "LOCAL" };
  const create = async () => (await store.createRun({ experimentId, tags })).info.runId;
  const runId = await create();
  let step = 0;
  switch (kind) {
    case "log_metric":
      return async () => {
        step++;
        await store.logBatch(runId, { metrics: [{ key: "metric_3", value: 1 / step, timestamp: Date.now(), step }] });
      };
    case "log_params":
      return async (i) => {
        const keys = ["seed", "lr", ...[0, 1, 2, 3, 4, 5, 6].map((k) => `param_${k}`), "epochs"];
        await store.logBatch(await create(), { params: keys.map((key) => ({ key, value: String(i) })) });
      };
    case "start_end":
      return async () => await store.updateRun(await create(), { status: "FINISHED", endTime: Date.now() });
  }
}

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
