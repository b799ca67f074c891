/** Benchmarks of searches and of what goes over a tracking server. */
import { join } from "@std/path";
import { MlflowClient } from "../client.ts";
import type { Benchmark, Rounds } from "./benchmarks.ts";
import { withServer } from "./shared_server.ts";

const RUNS = 1000;
const SMALL_FILES = 500;
const SMALL = 4 * 1024;
const LARGE = 200 * 1024 * 1024;

/** Searches in SQLite, metrics over REST, and artifacts through a server's proxy. */
export const STORE_BENCHMARKS: readonly Benchmark[] = [
  {
    name: "search_runs",
    what: "1,000 runs of one SQLite file, all of them",
    unit: "ms",
    rounds: 4,
    ours: (folder) => searchRuns(folder, undefined),
    peer: (peer) => onSeeded(peer.folder, (uri) => peer.rounds("search_runs", [uri, ""])),
  },
  {
    name: "search_filtered",
    what: "the 500 of them above a metric, ordered by it",
    unit: "ms",
    rounds: 4,
    ours: (folder) => searchRuns(folder, "metrics.m1 > 500.5"),
    peer: (peer) => onSeeded(peer.folder, (uri) => peer.rounds("search_runs", [uri, "metrics.m1 > 500.5"])),
  },
  {
    name: "rest_log_metric",
    what: "one value to an MLflow server, awaited",
    unit: "ms",
    rounds: 8,
    ours: (folder) => withServer(folder, restLogMetric),
    peer: (peer) => withServer(peer.folder, (url) => peer.rounds("rest_log_metric", url)),
  },
  {
    name: "artifacts_small_up",
    what: "500 files of 4 KiB through the server's proxy",
    unit: "ms",
    rounds: 2,
    ours: (folder) => withServer(folder, (url) => upload(url, folder, SMALL_FILES, SMALL)),
    peer: (peer) => withServer(peer.folder, (url) => peer.rounds("upload", [url, SMALL_FILES, SMALL])),
  },
  {
    name: "artifacts_small_down",
    what: "500 files of 4 KiB from the server's proxy",
    unit: "ms",
    rounds: 2,
    ours: (folder) => withServer(folder, (url) => download(url, folder, SMALL_FILES, SMALL)),
    peer: (peer) => withServer(peer.folder, (url) => peer.rounds("download", [url, SMALL_FILES, SMALL])),
  },
  {
    name: "artifact_large_up",
    what: "a file of 200 MiB through the server's proxy",
    unit: "ms",
    rounds: 4,
    ours: (folder) => withServer(folder, (url) => upload(url, folder, 1, LARGE)),
    peer: (peer) => withServer(peer.folder, (url) => peer.rounds("upload", [url, 1, LARGE])),
  },
  {
    name: "artifact_large_down",
    what: "a file of 200 MiB from the server's proxy",
    unit: "ms",
    rounds: 4,
    ours: (folder) => withServer(folder, (url) => download(url, folder, 1, LARGE)),
    peer: (peer) => withServer(peer.folder, (url) => peer.rounds("download", [url, 1, LARGE])),
  },
];

async function* searchRuns(folder: string, filter: string | undefined): Rounds {
  yield* onSeeded(folder, async function* (uri) {
    const client = new MlflowClient(uri);
    const experiment = await client.getExperimentByName("search");
    const search = {
      experimentIds: [experiment!.experimentId],
      filter,
      orderBy: filter === undefined ? [] : ["metrics.m1 DESC"],
    };
    while (true) {
      const samples: number[] = [];
      for (let i = 0; i < 5; i++) {
        const start = performance.now();
        const found = await client.searchRuns(search).toArray();
        samples.push(performance.now() - start);
        if (found.length !== (filter === undefined ? RUNS : 500)) throw new Error(`found ${found.length} runs`);
      }
      yield samples;
    }
  });
}

/** Both sides search the same file, which is seeded by whoever comes first: Python needs a minute for it. */
async function* onSeeded<T>(folder: string, work: (uri: string) => AsyncGenerator<T>): AsyncGenerator<T> {
  const uri = `sqlite:///${join(folder, "..", "search.db")}`;
  const client = new MlflowClient(uri);
  if (await client.getExperimentByName("search") === undefined) {
    const experimentId = await client.createExperiment("search");
    for (let i = 0; i < RUNS; i++) {
      const { info } = await client.createRun({ experimentId, runName: `r${i}`, startTime: i });
      await client.logBatch(info.runId, {
        metrics: [0, 1, 2, 3, 4].map((k) => ({ key: `m${k}`, value: i + k })),
        params: [0, 1, 2, 3, 4].map((k) => ({ key: `p${k}`, value: String(i) })),
        tags: [{ key: "t", value: "v" }],
      });
    }
  }
  yield* work(uri);
}

async function* restLogMetric(url: string): Rounds {
  const client = new MlflowClient(url);
  const { info } = await client.createRun({ experimentId: "0" });
  for (let step = 0;;) {
    const samples: number[] = [];
    for (let i = 0; i < 20; i++, step++) {
      const start = performance.now();
      await client.logMetric(info.runId, "loss", 1 / (step + 1), { step });
      samples.push(performance.now() - start);
    }
    yield samples;
  }
}

async function* upload(url: string, folder: string, count: number, size: number): Rounds {
  const client = new MlflowClient(url);
  const local = await filesOf(folder, count, size);
  while (true) {
    const { info } = await client.createRun({ experimentId: "0" });
    const start = performance.now();
    await client.logArtifacts(info.runId, local, "files");
    yield [performance.now() - start];
  }
}

async function* download(url: string, folder: string, count: number, size: number): Rounds {
  const client = new MlflowClient(url);
  const { info } = await client.createRun({ experimentId: "0" });
  await client.logArtifacts(info.runId, await filesOf(folder, count, size), "files");
  while (true) {
    const to = await Deno.makeTempDir({ dir: folder });
    const start = performance.now();
    await client.downloadArtifacts(info.runId, "files", to);
    yield [performance.now() - start];
    await Deno.remove(to, { recursive: true });
  }
}

/** A folder of so many files of random bytes. */
async function filesOf(folder: string, count: number, size: number): Promise<string> {
  const local = join(folder, `files-${count}`);
  await Deno.mkdir(local, { recursive: true });
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  for (let i = 0; i < count; i++) await Deno.writeFile(join(local, `${String(i).padStart(3, "0")}.bin`), bytes);
  return local;
}
