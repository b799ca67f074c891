/**
 * The cases of `testdata/registry_replay`, told to MLflow's Python client and to ours, over SQLite, a folder and a server
 * of MLflow's. What comes back is compared field by field, sentences of errors among them.
 */
import { assertEquals } from "@std/assert";
import { load } from "@std/yaml";
import { MlflowClient } from "../../client.ts";
import type { ModelVersion, RegisteredModel } from "../../entities.ts";
import { MlflowError } from "../../errors.ts";
import { openStore } from "../../stores/open_store.ts";
import { PROMPT_TAG } from "../../stores/registry_store.ts";
import { withEnv } from "../support/env.ts";
import { mlflowTest } from "../support/mlflow.ts";

const STORES = ["sqlite", "file", "rest"] as const;
type Store = typeof STORES[number];

interface Case {
  readonly name: string;
  /** The stores where we are not as MLflow, and why. */
  readonly differs?: Readonly<Partial<Record<Store, string>>>;
  readonly steps: readonly Readonly<Record<string, Args>>[];
}

// Arguments come from YAML: what of them is wrong is for the store to say.
// deno-lint-ignore no-explicit-any
type Args = any;

/** A step of a case: what is done, with which arguments, and whether MLflow refuses it. */
interface Step {
  readonly op: string;
  readonly args: Args;
  readonly refused: boolean;
}

type Outcome = { readonly result: unknown } | { readonly error: { readonly code: string; readonly message: string } };

const CASES = load(
  Deno.readTextFileSync(new URL("../testdata/registry_replay/cases.yaml", import.meta.url)),
) as Case[];

const OPERATIONS: Readonly<Record<string, (client: MlflowClient, args: Args) => Promise<unknown>>> = {
  createRegisteredModel: (client, { name, ...options }) => client.createRegisteredModel(name, options),
  createPrompt: async (client, { name }) => {
    const { registry } = await openStore(client.registryUri);
    await registry.createRegisteredModel({ name, tags: { [PROMPT_TAG]: "true" } });
  },
  getRegisteredModel: (client, { name }) => client.getRegisteredModel(name),
  // Python's gives nothing.
  renameRegisteredModel: async (client, { name, newName }) => void await client.renameRegisteredModel(name, newName),
  updateRegisteredModel: (client, { name, description }) => client.updateRegisteredModel(name, { description }),
  deleteRegisteredModel: (client, { name }) => client.deleteRegisteredModel(name),
  searchRegisteredModels: async (client, search) =>
    names(await (await openStore(client.registryUri)).registry.searchRegisteredModels(search)),
  getLatestVersions: async (client, { name, stages }) => byNumber(await client.getLatestVersions(name, stages)),
  setRegisteredModelTag: (client, { name, key, value }) => client.setRegisteredModelTag(name, key, value),
  deleteRegisteredModelTag: (client, { name, key }) => client.deleteRegisteredModelTag(name, key),
  setRegisteredModelAlias: (client, { name, alias, version }) => client.setRegisteredModelAlias(name, alias, version),
  deleteRegisteredModelAlias: (client, { name, alias }) => client.deleteRegisteredModelAlias(name, alias),
  getModelVersionByAlias: (client, { name, alias }) => client.getModelVersionByAlias(name, alias),
  createModelVersion: (client, { name, source, ...options }) => client.createModelVersion(name, source, options),
  copyModelVersion: (client, { source, name }) => client.copyModelVersion(source, name),
  getModelVersion: (client, { name, version }) => client.getModelVersion(name, version),
  updateModelVersion: (client, { name, version, description }) =>
    client.updateModelVersion(name, version, { description }),
  transitionModelVersionStage: (client, { name, version, stage, ...options }) =>
    client.transitionModelVersionStage(name, version, stage, options),
  deleteModelVersion: (client, { name, version }) => client.deleteModelVersion(name, version),
  searchModelVersions: async (client, search) =>
    names(await (await openStore(client.registryUri)).registry.searchModelVersions(search)),
  setModelVersionTag: (client, { name, version, stage, key, value }) =>
    client.setModelVersionTag(name, stage === undefined ? version : { stage }, key, value),
  deleteModelVersionTag: (client, { name, version, stage, key }) =>
    client.deleteModelVersionTag(name, stage === undefined ? version : { stage }, key),
  getModelVersionDownloadUri: (client, { name, version }) => client.getModelVersionDownloadUri(name, version),
  getModelVersionStages: (client) => client.getModelVersionStages(),
  nextMillisecond: () => new Promise((resolve) => setTimeout(resolve, 2)),
};

/** The same by MLflow's Python client. */
const PYTHON = String.raw`
import logging, time, mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
logging.disable(logging.WARNING)

def version(v):
    return {"name": v.name, "version": int(v.version), "description": v.description or None, "userId": v.user_id or None,
        "currentStage": v.current_stage, "source": v.source, "runId": v.run_id or None, "runLink": v.run_link or None,
        "status": v.status, "statusMessage": v.status_message or None, "tags": dict(v.tags), "aliases": sorted(v.aliases)}

def model(m):
    return {"name": m.name, "description": m.description or None, "tags": dict(m.tags),
        "aliases": {k: int(v) for k, v in m.aliases.items()},
        "latestVersions": sorted([int(v.version), v.current_stage] for v in m.latest_versions or [])}

def page(found):
    return {"items": [f"{m.name} {m.version}" if hasattr(m, "version") else m.name for m in found],
        "nextPageToken": (found.token.decode() if isinstance(found.token, bytes) else found.token) or None}

def search(a):
    return {"filter_string": a.get("filter"), "max_results": a.get("maxResults", 100), "order_by": a.get("orderBy"),
        "page_token": a.get("pageToken")}

def extras(a):
    return {to: a[name] for name, to in {"tags": "tags", "description": "description", "runId": "run_id",
        "runLink": "run_link", "modelId": "model_id"}.items() if name in a}

def place(a):
    return {"stage": a["stage"]} if "stage" in a else {"version": a["version"]}

OPERATIONS = {
    "createRegisteredModel": lambda c, a: model(c.create_registered_model(a["name"], **extras(a))),
    "createPrompt": lambda c, a: c.create_prompt(a["name"]) and None,
    "getRegisteredModel": lambda c, a: model(c.get_registered_model(a["name"])),
    "renameRegisteredModel": lambda c, a: c.rename_registered_model(a["name"], a["newName"]),
    "updateRegisteredModel": lambda c, a: model(c.update_registered_model(a["name"], a["description"])),
    "deleteRegisteredModel": lambda c, a: c.delete_registered_model(a["name"]),
    "searchRegisteredModels": lambda c, a: page(c.search_registered_models(**search(a))),
    "getLatestVersions": lambda c, a: sorted([version(v) for v in c.get_latest_versions(a["name"], a.get("stages"))],
        key=lambda v: v["version"]),
    "setRegisteredModelTag": lambda c, a: c.set_registered_model_tag(a["name"], a["key"], a["value"]),
    "deleteRegisteredModelTag": lambda c, a: c.delete_registered_model_tag(a["name"], a["key"]),
    "setRegisteredModelAlias": lambda c, a: c.set_registered_model_alias(a["name"], a["alias"], str(a["version"])),
    "deleteRegisteredModelAlias": lambda c, a: c.delete_registered_model_alias(a["name"], a["alias"]),
    "getModelVersionByAlias": lambda c, a: version(c.get_model_version_by_alias(a["name"], a["alias"])),
    "createModelVersion": lambda c, a: version(c.create_model_version(a["name"], a["source"], **extras(a))),
    "copyModelVersion": lambda c, a: version(c.copy_model_version(a["source"], a["name"])),
    "getModelVersion": lambda c, a: version(c.get_model_version(a["name"], str(a["version"]))),
    "updateModelVersion": lambda c, a: version(c.update_model_version(a["name"], str(a["version"]), a["description"])),
    "transitionModelVersionStage": lambda c, a: version(c.transition_model_version_stage(a["name"], str(a["version"]),
        a["stage"], a.get("archiveExistingVersions", False))),
    "deleteModelVersion": lambda c, a: c.delete_model_version(a["name"], str(a["version"])),
    "searchModelVersions": lambda c, a: page(c.search_model_versions(**search(a))),
    "setModelVersionTag": lambda c, a: c.set_model_version_tag(a["name"], key=a["key"], value=a["value"], **place(a)),
    "deleteModelVersionTag": lambda c, a: c.delete_model_version_tag(a["name"], key=a["key"], **place(a)),
    "getModelVersionDownloadUri": lambda c, a: c.get_model_version_download_uri(a["name"], str(a["version"])),
    "getModelVersionStages": lambda c, a: c.get_model_version_stages(a["name"], "1"),
    "nextMillisecond": lambda c, a: time.sleep(0.002),
}

def outcome(client, step):
    try:
        return {"result": OPERATIONS[step["op"]](client, step["args"])}
    except MlflowException as e:
        # What comes from a server has its code before its sentence.
        return {"error": {"code": e.error_code, "message": e.message.removeprefix(f"{e.error_code}: ")}}
    except Exception as e:
        return {"error": {"code": type(e).__name__, "message": str(e)}}
`;

/** The steps of a case with all that it leaves to be filled in. */
function stepsOf(test: Case, index: number, names: Readonly<Record<string, string>>): Step[] {
  const prefix = `registry${String(index).padStart(4, "0")}`;
  const all: Readonly<Record<string, string>> = { ...names, n: prefix, m: `${prefix} m`, o: `${prefix} o` };
  const fill = (value: Args): Args => {
    if (typeof value === "string") {
      return value.replace(/\$\{(.)\*(\d+)\}/gu, (_, letter, times) => letter.repeat(Number(times)))
        .replace(/\$([a-z]+)/g, (whole, name) => all[name] ?? whole);
    }
    if (Array.isArray(value)) return value.map(fill);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [fill(key), fill(item)]));
  };
  const steps = test.steps.map((step): Step => {
    const [[told, args]] = Object.entries(step);
    const [, refused, op] = /^(refused )?(\w+)$/.exec(told)!;
    const search = op.startsWith("search");
    const version = /ModelVersion|Alias$/.test(op) && op !== "copyModelVersion" ? { version: 1 } : {};
    const source = op === "createModelVersion" ? { source: "s3://bucket/model" } : {};
    return {
      op,
      refused: refused !== undefined,
      args: fill({ ...search ? {} : { name: "$m", ...version, ...source }, ...args }),
    };
  });
  const text = JSON.stringify(steps);
  const made = ["o", "m"].filter((name) => text.includes(JSON.stringify(all[name]).slice(1, -1)));
  return [
    ...made.map((name) => ({ op: "createRegisteredModel", args: { name: all[name] }, refused: false })),
    ...steps,
  ];
}

async function outcomeOf(client: MlflowClient, { op, args }: Step): Promise<Outcome> {
  try {
    return { result: plain(await OPERATIONS[op](client, args)) };
  } catch (error) {
    if (!(error instanceof MlflowError)) throw error;
    return { error: { code: error.code, message: error.reason } };
  }
}

/** What is compared of a model or version: times and what MLflow does not tell are left out. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value ?? null;
  if ("latestVersions" in value) {
    const { name, description = null, tags, aliases, latestVersions } = value as RegisteredModel;
    const latest = latestVersions.map(({ version, currentStage }) => [version, currentStage]);
    return { name, description, tags, aliases, latestVersions: latest };
  }
  if (!("currentStage" in value)) return value;
  const { modelId: _, creationTimestamp: _created, lastUpdatedTimestamp: _updated, ...rest } = value as ModelVersion;
  return Object.fromEntries(
    Object.entries({ ...rest, aliases: rest.aliases.toSorted() }).map(([key, item]) => [key, item ?? null]),
  );
}

function names(page: { readonly items: readonly (RegisteredModel | ModelVersion)[]; readonly nextPageToken?: string }) {
  const items = page.items.map((item) => "version" in item ? `${item.name} ${item.version}` : item.name);
  return { items, nextPageToken: page.nextPageToken ?? null };
}

function byNumber(versions: readonly ModelVersion[]): ModelVersion[] {
  return versions.toSorted((a, b) => a.version - b.version);
}

/** Whether two sentences say the same: sets come in any order, and MLflow has parsers and databases that say more. */
function isSame(ours: Outcome, theirs: Outcome, { op }: Step): boolean {
  if (!("error" in ours) || !("error" in theirs)) {
    return JSON.stringify(sorted(ours)) === JSON.stringify(sorted(theirs));
  }
  if (ours.error.code !== theirs.error.code) return false;
  const [a, b] = [ours, theirs].map(({ error }) => error.message.replace(/\s+/g, " "));
  // Python's client tells of its connection where a server answers 500, and codes within sentences.
  if (a === b.replace(/Error: [A-Z_]+: /, "Error: ") || b.includes("too many 500 error responses")) return true;
  return op.startsWith("search") ||
    // The same sentence, with the error of MLflow's database or the list of what it asks for behind it.
    b.startsWith(a.replace(/\.$/, ""));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([key, item]) => [key, sorted(item)]),
  );
}

Deno.test("the registry's replay has at least 100 cases, each with a name of its own", () => {
  const told = CASES.map(({ name }) => name);
  assertEquals(told.filter((name, i) => told.indexOf(name) < i), []);
  if (told.length < 100) throw new Error(`There are ${told.length} cases`);
});

mlflowTest("the registry answers as MLflow's own, over SQLite, a folder and a server", async (mlflow, t) => {
  const env = { MLFLOW_HTTP_REQUEST_MAX_RETRIES: "0", MLFLOW_ALLOW_FILE_STORE: "true" };
  await using python = mlflow.interpreter({ env, timeout: 200_000 });
  const imported = python.run(PYTHON);
  await using server = await mlflow.ui({
    command: "server",
    backendStoreUri: `sqlite:///${mlflow.dir}/server.db`,
    env: { MLFLOW_SERVER_ENABLE_JOB_EXECUTION: "false" },
  });
  await imported;
  const urisOf = (side: string): Record<Store, string> => ({
    sqlite: `sqlite:///${mlflow.dir}/${side}.db`,
    file: `file://${mlflow.dir}/${side}`,
    rest: server.url,
  });
  const begin = async (uri: string, side: string) => {
    const client = new MlflowClient(uri);
    const experimentId = await client.createExperiment(`registry replay ${side}`, {
      artifactLocation: "s3://bucket/runs",
    });
    const { info: { runId } } = await client.createRun({ experimentId });
    const { modelId } = await client.createLoggedModel({ experimentId, sourceRunId: runId });
    return { run: runId, logged: modelId };
  };
  const differences: string[] = [];
  const same: string[] = [];
  const unexpected: string[] = [];
  await withEnv(env, async () => {
    for (const store of STORES) {
      const [ours, theirs] = [urisOf("ours")[store], urisOf("theirs")[store]];
      const [mine, other] = [await begin(ours, `${store} ours`), await begin(theirs, `${store} theirs`)];
      // On one server the cases of both sides have to keep apart.
      const apart = store === "rest" ? 1000 : 0;
      const told = CASES.map((test, i) => stepsOf(test, i + apart, other));
      const answers = await python.run<Outcome[][]>(
        `
        mlflow.set_tracking_uri(args["uri"])
        client = MlflowClient()
        result = [[outcome(client, step) for step in steps] for steps in args["cases"]]
        `,
        { uri: theirs, cases: told },
      );
      const client = new MlflowClient(ours);
      for (const [i, test] of CASES.entries()) {
        const steps = stepsOf(test, i, mine);
        const swap = (outcome: Outcome): Outcome =>
          JSON.parse(
            JSON.stringify(outcome).replaceAll(other.run, mine.run).replaceAll(other.logged, mine.logged)
              .replaceAll(`registry${String(i + apart).padStart(4, "0")}`, `registry${String(i).padStart(4, "0")}`)
              .replaceAll("/theirs", "/ours"),
          );
        let differs = false;
        for (const [index, step] of steps.entries()) {
          const [a, b] = [await outcomeOf(client, step), swap(answers[i][index])];
          if (store === "sqlite" && !test.differs?.sqlite && ("error" in b) !== step.refused) {
            unexpected.push(`${test.name}: step ${index} (${step.op}): ${JSON.stringify(b)}`);
          }
          if (isSame(a, b, step)) continue;
          differs = true;
          if (test.differs?.[store] === undefined) {
            differences.push(
              `${store}, ${test.name}: step ${index} (${step.op}): ours ${JSON.stringify(a).slice(0, 600)}, MLflow's ` +
                JSON.stringify(b).slice(0, 600),
            );
          }
        }
        if (!differs && test.differs?.[store] !== undefined) same.push(`${store}, ${test.name}`);
      }
    }
  });
  await t.step("MLflow takes and refuses what the cases say", () => assertEquals(unexpected, []));
  await t.step("what differs is said to", () => assertEquals(differences, []));
  await t.step("what is said to differ does", () => assertEquals(same, []));
});
