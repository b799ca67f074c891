/** Benchmarks of the model registry in SQLite. */
import { join } from "@std/path";
import { MlflowClient } from "../client.ts";
import { registerModel } from "../model_registry.ts";
import type { Benchmark, Rounds } from "./benchmarks.ts";

/** Versions that are there before what is measured. */
const VERSIONS = 1000;
const NAME = "bench";

/** Versions registered, found by search and by an alias. */
export const REGISTRY_BENCHMARKS: readonly Benchmark[] = [
  {
    name: "register_version",
    what: "a version of a logged model, the 1,001st of its name",
    unit: "ms",
    rounds: 4,
    ours: (folder) => withVersions(folder, register),
    peer: (peer) => peer.rounds("register_version", VERSIONS),
  },
  {
    name: "search_versions",
    what: "the 500 of 1,000 versions with a tag",
    unit: "ms",
    rounds: 4,
    ours: (folder) => withVersions(folder, search),
    peer: (peer) => peer.rounds("search_versions", VERSIONS),
  },
  {
    name: "version_by_alias",
    what: "one of 1,000 versions by its alias",
    unit: "ms",
    rounds: 4,
    ours: (folder) => withVersions(folder, byAlias),
    peer: (peer) => peer.rounds("version_by_alias", VERSIONS),
  },
];

/** Rounds on a database of its own with a registered model of many versions. */
async function* withVersions(folder: string, rounds: (client: MlflowClient) => Rounds): Rounds {
  await Deno.mkdir(folder, { recursive: true });
  const path = join(folder, `registry-${crypto.randomUUID()}.db`);
  const client = new MlflowClient(`sqlite:///${path}`);
  await client.createRegisteredModel(NAME);
  for (let i = 0; i < VERSIONS; i++) {
    await client.createModelVersion(NAME, "s3://bucket/model", { tags: { even: i % 2 === 0, by: "bench" } });
  }
  await client.setRegisteredModelAlias(NAME, "champion", VERSIONS / 2);
  yield* rounds(client);
}

async function* register(client: MlflowClient): Rounds {
  while (true) {
    const samples: number[] = [];
    for (let i = 0; i < 5; i++) {
      const { modelId } = await client.createLoggedModel({ experimentId: "0" });
      samples.push(await milliseconds(() => registerModel(`models:/${modelId}`, NAME, { client })));
    }
    yield samples;
  }
}

async function* search(client: MlflowClient): Rounds {
  while (true) {
    yield [await milliseconds(() => client.searchModelVersions({ filter: "tags.even = 'True'" }).toArray())];
  }
}

async function* byAlias(client: MlflowClient): Rounds {
  while (true) {
    const samples: number[] = [];
    for (let i = 0; i < 20; i++) {
      samples.push(await milliseconds(() => client.getModelVersionByAlias(NAME, "champion")));
    }
    yield samples;
  }
}

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
