/** What every store promises of its model registry, sentence by sentence: part of `store_contract.ts`. */
import { assert, assertEquals } from "@std/assert";
import type { RegistrySearch, RegistryStore, VersionNumber } from "../../stores/registry_store.ts";
import type { TrackingStore } from "../../stores/store.ts";
import { type Check, refused, uniqueName } from "./contract_case.ts";

const SOURCE = "s3://bucket/model";

/** A new registered model with some versions. */
async function newModel(store: TrackingStore, versions = 0): Promise<{ registry: RegistryStore; name: string }> {
  const { registry } = store;
  const name = uniqueName("model");
  await registry.createRegisteredModel({ name });
  for (let i = 0; i < versions; i++) await registry.createModelVersion({ name, source: SOURCE }, store);
  return { registry, name };
}

const invalid = (work: () => Promise<unknown>, sentence: string) => refused(work, "INVALID_PARAMETER_VALUE", sentence);
const missing = (work: () => Promise<unknown>, sentence: string) => refused(work, "RESOURCE_DOES_NOT_EXIST", sentence);
const taken = (work: () => Promise<unknown>, sentence: string) => refused(work, "RESOURCE_ALREADY_EXISTS", sentence);

/** The promises by their sentences. */
export const REGISTRY_CASES: Readonly<Record<string, Check>> = {
  "makes registered models": async ({ registry }) => {
    const name = uniqueName("flowers é");
    const before = Date.now();
    const made = await registry.createRegisteredModel({ name, tags: { team: "a", "x/y": "ü" }, description: "roses" });
    const found = await registry.getRegisteredModel(name);
    for (const model of [made, found]) {
      assertEquals(model.name, name);
      assertEquals(model.tags, { team: "a", "x/y": "ü" });
      assertEquals(model.description, "roses");
      assertEquals(model.latestVersions, []);
      assertEquals(model.aliases, {});
      assert(model.creationTimestamp >= before - 5000 && model.lastUpdatedTimestamp === model.creationTimestamp);
    }
  },

  "refuses a second registered model of a name": async (store) => {
    const { registry, name } = await newModel(store);
    await taken(() => registry.createRegisteredModel({ name }), `Registered Model (name=${name}) already exists.`);
  },

  "refuses bad names and tags of registered models": async (store) => {
    const { registry, name } = await newModel(store);
    const make = (name: string, tags = {}) => () => registry.createRegisteredModel({ name, tags });
    await invalid(make(""), "Missing value for required parameter 'name'");
    await invalid(make("  "), "Missing value for required parameter 'name'");
    await invalid(make("a/b"), "Invalid model name 'a/b'. Names cannot contain '/' or ':'.");
    await invalid(make("a:b"), "Invalid model name 'a:b'. Names cannot contain '/' or ':'.");
    await invalid(make(".."), "Names may be treated as files in certain cases");
    await invalid(make(uniqueName("x"), { "a*": "b" }), "Invalid value \"a*\" for parameter 'key' supplied");
    await invalid(
      make(uniqueName("x"), { ["k".repeat(251)]: "" }),
      "'key' exceeds the maximum length of 250 characters",
    );
    await invalid(
      () => registry.setRegisteredModelTag(name, "long", "v".repeat(100_001)),
      "'value' exceeds the maximum length of 100000 characters",
    );
    await registry.setRegisteredModelTag(name, "long", "v".repeat(5000));
    assertEquals((await registry.getRegisteredModel(name)).tags.long.length, 5000);
  },

  "says that a registered model is not there": async ({ registry }) => {
    const name = uniqueName("none");
    const sentence = `Registered Model with name=${name} not found`;
    for (
      const work of [
        () => registry.getRegisteredModel(name),
        () => registry.renameRegisteredModel(name, `${name}2`),
        () => registry.updateRegisteredModel(name, "x"),
        () => registry.deleteRegisteredModel(name),
        () => registry.getLatestVersions(name),
        () => registry.setRegisteredModelTag(name, "a", "b"),
        () => registry.deleteRegisteredModelTag(name, "a"),
        () => registry.deleteRegisteredModelAlias(name, "a"),
        () => registry.getModelVersionByAlias(name, "a"),
      ]
    ) await missing(work, sentence);
  },

  "replaces the description of a registered model": async (store) => {
    const { registry, name } = await newModel(store);
    assertEquals((await registry.updateRegisteredModel(name, "roses")).description, "roses");
    assertEquals((await registry.updateRegisteredModel(name, "tulips")).description, "tulips");
    assertEquals((await registry.getRegisteredModel(name)).description, "tulips");
    assertEquals((await registry.updateRegisteredModel(name, "")).description, undefined);
  },

  "renames a registered model with its versions, tags and aliases": async (store) => {
    const { registry, name } = await newModel(store, 2);
    await registry.setRegisteredModelTag(name, "team", "a");
    await registry.setModelVersionTag(name, 1, "checked", "yes");
    await registry.setRegisteredModelAlias(name, "champion", 1);
    const newName = uniqueName("renamed");
    assertEquals((await registry.renameRegisteredModel(name, newName)).name, newName);
    const model = await registry.getRegisteredModel(newName);
    assertEquals(model.tags, { team: "a" });
    assertEquals(model.aliases, { champion: 1 });
    const { version, tags, aliases } = await registry.getModelVersionByAlias(newName, "champion");
    assertEquals({ version, tags, aliases }, { version: 1, tags: { checked: "yes" }, aliases: ["champion"] });
    assertEquals((await registry.getModelVersion(newName, 2)).name, newName);
    await missing(() => registry.getRegisteredModel(name), `Registered Model with name=${name} not found`);
    await missing(() => registry.getModelVersion(name, 1), " not found");
  },

  "refuses to rename a registered model to a bad name, or one in use": async (store) => {
    const { registry, name } = await newModel(store, 1);
    const other = await newModel(store);
    await taken(
      () => registry.renameRegisteredModel(name, other.name),
      `Registered Model (name=${other.name}) already exists.`,
    );
    await invalid(() => registry.renameRegisteredModel(name, " "), "Missing value for required parameter 'new_name'");
    await invalid(() => registry.renameRegisteredModel(name, "a/b"), "Names cannot contain '/' or ':'.");
    assertEquals((await registry.getModelVersion(name, 1)).version, 1);
  },

  "deletes a registered model with all that it has": async (store) => {
    const { registry, name } = await newModel(store, 2);
    await registry.setRegisteredModelTag(name, "team", "a");
    await registry.setModelVersionTag(name, 1, "checked", "yes");
    await registry.setRegisteredModelAlias(name, "champion", 1);
    await registry.deleteRegisteredModel(name);
    await missing(() => registry.getRegisteredModel(name), "not found");
    await missing(() => registry.getModelVersion(name, 1), "not found");
    const fresh = await registry.createRegisteredModel({ name });
    assertEquals([fresh.tags, fresh.aliases, fresh.latestVersions], [{}, {}, []]);
    assertEquals((await registry.createModelVersion({ name, source: SOURCE }, store)).version, 1);
  },

  "sets, replaces and removes tags of a registered model": async (store) => {
    const { registry, name } = await newModel(store);
    await registry.setRegisteredModelTag(name, "a/b", "1");
    await registry.setRegisteredModelTag(name, "a/b", "2");
    await registry.setRegisteredModelTag(name, "empty", "");
    assertEquals((await registry.getRegisteredModel(name)).tags, { "a/b": "2", empty: "" });
    await registry.deleteRegisteredModelTag(name, "a/b");
    await registry.deleteRegisteredModelTag(name, "never there");
    assertEquals((await registry.getRegisteredModel(name)).tags, { empty: "" });
  },

  "numbers versions from 1 on and keeps what they are": async (store, experimentId) => {
    const { registry, name } = await newModel(store);
    const { info } = await store.createRun({ experimentId });
    const made = await registry.createModelVersion({
      name,
      source: SOURCE,
      runId: info.runId,
      runLink: "https://elsewhere/run",
      description: "first",
      tags: { checked: "yes" },
    }, store);
    const found = await registry.getModelVersion(name, 1);
    for (const version of [made, found]) {
      assertEquals(version.name, name);
      assertEquals(version.version, 1);
      assertEquals(version.source, SOURCE);
      assertEquals(version.runId, info.runId);
      assertEquals(version.runLink, "https://elsewhere/run");
      assertEquals(version.description, "first");
      assertEquals(version.tags, { checked: "yes" });
      assertEquals(version.aliases, []);
      assertEquals(version.status, "READY");
      assertEquals(version.currentStage, "None");
      assertEquals(version.creationTimestamp, version.lastUpdatedTimestamp);
    }
    assertEquals((await registry.createModelVersion({ name, source: SOURCE }, store)).version, 2);
    assertEquals((await registry.getModelVersion(name, "2")).version, 2);
    assertEquals(await registry.getModelVersionDownloadUri(name, 1), SOURCE);
  },

  "gives versions that are made at once numbers of their own": async (store) => {
    const { registry, name } = await newModel(store);
    const make = () => registry.createModelVersion({ name, source: SOURCE }, store);
    const made = await Promise.all(Array.from({ length: 4 }, make));
    assertEquals(made.map(({ version }) => version).sort(), [1, 2, 3, 4]);
  },

  "takes files and run of a version from its logged model": async (store, experimentId) => {
    const { registry, name } = await newModel(store);
    const { info } = await store.createRun({ experimentId });
    const { modelId, artifactLocation } = await store.createLoggedModel({ experimentId, sourceRunId: info.runId });
    const source = `models:/${modelId}`;
    const version = await registry.createModelVersion({ name, source, modelId }, store);
    assertEquals([version.source, version.modelId, version.runId], [source, modelId, info.runId]);
    assertEquals(await registry.getModelVersionDownloadUri(name, 1), artifactLocation);
    const none = `m-${"0".repeat(32)}`;
    const error = await registry.createModelVersion({ name, source: `models:/${none}`, modelId: none }, store)
      .catch((error) => error);
    assert(error instanceof Error && error.message.includes(none), String(error));
  },

  "takes files of a version from another version": async (store) => {
    const { registry, name } = await newModel(store, 1);
    const other = await newModel(store);
    const source = `models:/${name}/1`;
    const copy = await registry.createModelVersion({ name: other.name, source }, store);
    assertEquals([copy.name, copy.version, copy.source], [other.name, 1, source]);
    assertEquals(await registry.getModelVersionDownloadUri(other.name, 1), SOURCE);
  },

  "refuses versions of nothing": async (store) => {
    const { registry, name } = await newModel(store);
    const none = uniqueName("none");
    await missing(
      () => registry.createModelVersion({ name: none, source: SOURCE }, store),
      `Registered Model with name=${none} not found`,
    );
    await invalid(
      () => registry.createModelVersion({ name: "a/b", source: SOURCE }, store),
      "Invalid model name 'a/b'",
    );
    await invalid(
      () => registry.createModelVersion({ name, source: SOURCE, tags: { "a*": "" } }, store),
      "Invalid value \"a*\" for parameter 'key' supplied",
    );
    assertEquals(await registry.getLatestVersions(name), []);
  },

  "says that a version is not there": async (store) => {
    const { registry, name } = await newModel(store, 1);
    const gone = (version: VersionNumber) => [
      () => registry.getModelVersion(name, version),
      () => registry.updateModelVersion(name, version, "x"),
      () => registry.transitionModelVersionStage(name, version, "Staging"),
      () => registry.deleteModelVersion(name, version),
      () => registry.setModelVersionTag(name, version, "a", "b"),
      () => registry.deleteModelVersionTag(name, version, "a"),
      () => registry.getModelVersionDownloadUri(name, version),
      () => registry.setRegisteredModelAlias(name, "champion", version),
    ];
    for (const work of gone(7)) await missing(work, `Model Version (name=${name}, version=7) not found`);
    await invalid(() => registry.getModelVersion(name, "one"), "Parameter 'version' must be an integer, got 'one'.");
  },

  "replaces the description of a version": async (store) => {
    const { registry, name } = await newModel(store, 1);
    assertEquals((await registry.updateModelVersion(name, 1, "roses")).description, "roses");
    assertEquals((await registry.updateModelVersion(name, 1, "tulips")).description, "tulips");
    assertEquals((await registry.getModelVersion(name, 1)).description, "tulips");
  },

  "sets, replaces and removes tags of a version": async (store) => {
    const { registry, name } = await newModel(store, 2);
    await registry.setModelVersionTag(name, 1, "a/b", "1");
    await registry.setModelVersionTag(name, "1", "a/b", "2");
    await registry.setModelVersionTag(name, 1, "empty", "");
    assertEquals((await registry.getModelVersion(name, 1)).tags, { "a/b": "2", empty: "" });
    assertEquals((await registry.getModelVersion(name, 2)).tags, {});
    await registry.deleteModelVersionTag(name, 1, "a/b");
    await registry.deleteModelVersionTag(name, 1, "never there");
    assertEquals((await registry.getModelVersion(name, 1)).tags, { empty: "" });
    await invalid(() => registry.setModelVersionTag(name, 1, "a*", ""), 'Invalid value "a*" for parameter');
    await invalid(
      () => registry.setModelVersionTag(name, 1, "long", "v".repeat(100_001)),
      "'value' exceeds the maximum length of 100000 characters",
    );
  },

  "deletes a version and its aliases, and uses its number no more": async (store) => {
    const { registry, name } = await newModel(store, 2);
    await registry.setRegisteredModelAlias(name, "champion", 2);
    await registry.setRegisteredModelAlias(name, "old", 1);
    await registry.deleteModelVersion(name, 2);
    await missing(() => registry.getModelVersion(name, 2), `Model Version (name=${name}, version=2) not found`);
    await missing(() => registry.deleteModelVersion(name, 2), "not found");
    const { aliases, latestVersions } = await registry.getRegisteredModel(name);
    assertEquals(aliases, { old: 1 });
    assertEquals(latestVersions.map(({ version }) => version), [1]);
    const { items } = await registry.searchModelVersions({ filter: `name = '${name}'` });
    assertEquals(items.map(({ version }) => version), [1]);
    assertEquals((await registry.createModelVersion({ name, source: SOURCE }, store)).version, 3);
  },

  "lets an alias mean one version": async (store) => {
    const { registry, name } = await newModel(store, 2);
    await registry.setRegisteredModelAlias(name, "champion", 1);
    await registry.setRegisteredModelAlias(name, "Best_1-é", 1);
    assertEquals((await registry.getModelVersion(name, 1)).aliases.toSorted(), ["Best_1-é", "champion"]);
    await registry.setRegisteredModelAlias(name, "champion", "2");
    assertEquals((await registry.getRegisteredModel(name)).aliases, { champion: 2, "Best_1-é": 1 });
    assertEquals((await registry.getModelVersionByAlias(name, "champion")).version, 2);
    assertEquals((await registry.getModelVersionByAlias(name, "champion")).aliases, ["champion"]);
    await registry.deleteRegisteredModelAlias(name, "champion");
    await registry.deleteRegisteredModelAlias(name, "champion");
    await invalid(
      () => registry.getModelVersionByAlias(name, "champion"),
      "Registered model alias champion not found.",
    );
    assertEquals((await registry.getModelVersion(name, 2)).aliases, []);
  },

  "refuses bad and reserved aliases": async (store) => {
    const { registry, name } = await newModel(store, 1);
    const set = (alias: string) => () => registry.setRegisteredModelAlias(name, alias, 1);
    await invalid(set("a b"), "Invalid alias name: 'a b'. Names may only contain alphanumerics");
    await invalid(set("a".repeat(256)), "'Registered model alias name' exceeds the maximum length of 255 characters");
    await invalid(set("Latest"), "'latest' alias name (case insensitive) is reserved.");
    await invalid(set("v12"), "Version alias name 'v12' is reserved.");
    await invalid(set("V1"), "Version alias name 'V1' is reserved.");
    await registry.setRegisteredModelAlias(name, "v1a", 1);
    assertEquals((await registry.getRegisteredModel(name)).aliases, { v1a: 1 });
  },

  "takes the alias latest for the version of the highest number": async (store) => {
    const { registry, name } = await newModel(store);
    await missing(() => registry.getModelVersionByAlias(name, "latest"), `Latest version not found for model ${name}.`);
    for (let i = 0; i < 3; i++) await registry.createModelVersion({ name, source: SOURCE }, store);
    await registry.transitionModelVersionStage(name, 3, "Production");
    assertEquals((await registry.getModelVersionByAlias(name, "latest")).version, 3);
  },

  "moves versions through the stages": async (store) => {
    const { registry, name } = await newModel(store, 3);
    assertEquals((await registry.transitionModelVersionStage(name, 1, "staging")).currentStage, "Staging");
    await registry.transitionModelVersionStage(name, 2, "Production");
    await registry.transitionModelVersionStage(name, 1, "PRODUCTION", { archiveExistingVersions: true });
    const stages = await Promise.all([1, 2, 3].map((version) => registry.getModelVersion(name, version)));
    assertEquals(stages.map(({ currentStage }) => currentStage), ["Production", "Archived", "None"]);
    await invalid(
      () => registry.transitionModelVersionStage(name, 1, "Best"),
      "Invalid Model Version stage: Best. Value must be one of None, Staging, Production, Archived.",
    );
    await refused(
      () => registry.transitionModelVersionStage(name, 1, "None", { archiveExistingVersions: true }),
      "INTERNAL_ERROR",
      "Model version transition cannot archive existing model versions because 'None' is not an Active stage. Valid " +
        "stages are ['Staging', 'Production']",
    );
  },

  "gives the latest version of each stage": async (store) => {
    const { registry, name } = await newModel(store, 5);
    for (const version of [1, 2]) await registry.transitionModelVersionStage(name, version, "Staging");
    await registry.transitionModelVersionStage(name, 3, "Archived");
    await registry.setRegisteredModelAlias(name, "champion", 2);
    const latest = async (stages?: string[]) =>
      (await registry.getLatestVersions(name, stages)).map(({ version, currentStage }) => `${version} ${currentStage}`)
        .sort();
    assertEquals(await latest(), ["2 Staging", "3 Archived", "5 None"]);
    assertEquals(await latest(["staging", "Production"]), ["2 Staging"]);
    assertEquals(await latest(["Production"]), []);
    await invalid(() => latest(["Best"]), "Invalid Model Version stage: Best.");
    const { latestVersions } = await registry.getRegisteredModel(name);
    assertEquals(latestVersions.map(({ version }) => version).sort(), [2, 3, 5]);
    const [staging] = await registry.getLatestVersions(name, ["Staging"]);
    assertEquals(staging.aliases, ["champion"]);
  },

  "searches registered models by name and tags, in any order": async ({ registry }) => {
    const prefix = uniqueName("Search");
    const names = ["b", "A", "c"].map((letter) => `${prefix}${letter}`);
    for (const [i, name] of names.entries()) {
      await registry.createRegisteredModel({ name, tags: { team: i === 0 ? "x" : "y", [`k${i}`]: "Ab" } });
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const found = async (filter: string, orderBy?: string[]) =>
      (await registry.searchRegisteredModels({ filter, orderBy })).items.map(({ name }) => name.slice(prefix.length));
    const all = `name LIKE '${prefix}%'`;
    assertEquals(await found(all), ["A", "b", "c"]);
    assertEquals(await found(all, ["name DESC"]), ["c", "b", "A"]);
    assertEquals(await found(all, ["timestamp"]), ["b", "A", "c"]);
    assertEquals(await found(all, ["last_updated_timestamp DESC"]), ["c", "A", "b"]);
    assertEquals(await found(`name = '${names[0]}'`), ["b"]);
    assertEquals(await found(`${all} AND name != '${names[0]}'`), ["A", "c"]);
    assertEquals(await found(`name LIKE '${prefix.toLowerCase()}%'`), []);
    assertEquals(await found(`name ILIKE '${prefix.toLowerCase()}%'`), ["A", "b", "c"]);
    assertEquals(await found(`${all} AND tags.team = 'y'`), ["A", "c"]);
    assertEquals(await found(`${all} AND tag.team != 'y'`), ["b"]);
    assertEquals(await found(`${all} AND tags.k1 ILIKE 'a%' AND tags.team LIKE 'y'`), ["A"]);
    assertEquals(await found(`${all} AND tags.k1 LIKE 'a%'`), []);
  },

  "gives registered models page by page": async ({ registry }) => {
    const prefix = uniqueName("page");
    for (let i = 0; i < 5; i++) await registry.createRegisteredModel({ name: `${prefix}${i}` });
    const filter = `name LIKE '${prefix}%'`;
    const names: string[] = [];
    let pageToken: string | undefined;
    do {
      const page = await registry.searchRegisteredModels({ filter, maxResults: 2, pageToken });
      assert(page.items.length <= 2);
      names.push(...page.items.map(({ name }) => name.slice(prefix.length)));
      pageToken = page.nextPageToken;
    } while (pageToken !== undefined);
    assertEquals(names, ["0", "1", "2", "3", "4"]);
  },

  "searches versions by name, number, run, source and tags, in any order": async (store, experimentId) => {
    const { registry, name } = await newModel(store);
    const { info } = await store.createRun({ experimentId });
    for (const i of [1, 2, 3]) {
      await registry.createModelVersion({
        name,
        source: `s3://bucket/Model${i}`,
        ...i === 2 ? { runId: info.runId } : {},
        tags: { odd: String(i % 2 === 1) },
      }, store);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const found = async (filter: string, search: RegistrySearch = {}) =>
      (await registry.searchModelVersions({ ...search, filter })).items.map(({ version }) => version);
    const all = `name = '${name}'`;
    assertEquals(await found(all), [3, 2, 1]);
    assertEquals(await found(all, { orderBy: ["version_number"] }), [1, 2, 3]);
    assertEquals(await found(all, { orderBy: ["creation_timestamp DESC"] }), [3, 2, 1]);
    assertEquals(await found(`${all} AND version_number > 1`), [3, 2]);
    assertEquals(await found(`${all} AND version_number != '2'`), [3, 1]);
    assertEquals(await found(`run_id = '${info.runId}'`), [2]);
    assertEquals(await found(`${all} AND run_id IN ('${info.runId}')`), [2]);
    assertEquals(await found(`${all} AND source_path LIKE '%Model1'`), [1]);
    assertEquals(await found(`${all} AND source_path ILIKE '%model_'`), [3, 2, 1]);
    assertEquals(await found(`${all} AND tags.odd = 'true'`), [3, 1]);
    assertEquals(await found(`${all} AND tags.even != 'true'`), []);
    await registry.updateModelVersion(name, 1, "changed last");
    assertEquals(await found(all), [1, 3, 2]);
  },

  "searches the registry for one of several names": async (store) => {
    const { registry, name } = await newModel(store, 1);
    const other = await newModel(store, 1);
    const filter = `name IN ('${name}', "${other.name}")`;
    const names = [name, other.name].sort();
    assertEquals((await registry.searchRegisteredModels({ filter })).items.map(({ name }) => name), names);
    const { items } = await registry.searchModelVersions({ filter, orderBy: ["name"] });
    assertEquals(items.map(({ name }) => name), names);
    const { items: others } = await registry.searchModelVersions({ filter: `${filter} AND name NOT IN ('${name}')` });
    assertEquals(others.map(({ name }) => name), [other.name]);
  },

  "refuses a search for the half of a version": async ({ registry }) => {
    await invalid(() => registry.searchModelVersions({ filter: "version_number = 1.5" }), "version_number");
  },

  "gives versions page by page": async (store) => {
    const { registry, name } = await newModel(store, 5);
    const search = { filter: `name = '${name}'`, orderBy: ["version_number"], maxResults: 2 };
    const numbers: number[] = [];
    let pageToken: string | undefined;
    do {
      const page = await registry.searchModelVersions({ ...search, pageToken });
      assert(page.items.length <= 2);
      numbers.push(...page.items.map(({ version }) => version));
      pageToken = page.nextPageToken;
    } while (pageToken !== undefined);
    assertEquals(numbers, [1, 2, 3, 4, 5]);
  },

  "refuses searches of the registry that it cannot read": async ({ registry }) => {
    const bad: readonly [search: RegistrySearch, sentence: string][] = [
      [{ filter: "aliases = 'x'" }, "Invalid attribute key 'aliases' specified."],
      [{ filter: "metrics.a > 1" }, "Invalid entity type 'metrics'."],
      [{ filter: "name > 'a'" }, "Invalid comparator"],
      [{ filter: "name = 3" }, ""],
      [{ filter: "name = 'a' OR name = 'b'" }, "Invalid clause(s) in filter string"],
      [{ orderBy: ["bogus"] }, "Invalid"],
      [{ maxResults: 0 }, "Invalid value for max_results. It must be a positive integer, but got 0"],
      [{ maxResults: 200_001 }, "It must be at most"],
    ];
    for (const [search, sentence] of bad) {
      await invalid(() => registry.searchRegisteredModels(search), sentence);
      await invalid(() => registry.searchModelVersions(search), sentence);
    }
  },

  "shows prompts only to who looks for them": async (store) => {
    const { registry } = store;
    const name = uniqueName("prompt");
    const tags = { "mlflow.prompt.is_prompt": "true" };
    await registry.createRegisteredModel({ name, tags });
    await taken(
      () => registry.createRegisteredModel({ name }),
      `Tried to create a registered model with name '${name}', but the name is already taken by a prompt.`,
    );
    const found = async (filter: string) => (await registry.searchRegisteredModels({ filter })).items.length;
    assertEquals(await found(`name = '${name}'`), 0);
    assertEquals(await found(`name = '${name}' AND tags.\`mlflow.prompt.is_prompt\` = 'true'`), 1);
  },
};
