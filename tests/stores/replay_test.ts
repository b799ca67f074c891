/**
 * The cases of `testdata/replay`, told to MLflow's Python and to us: through either's client to one real server, and to
 * either's SQLite store on a file of its own. What comes back is compared field by field; where we differ from MLflow
 * stands in `ALLOWED`, each with its reason.
 */
import { assertEquals } from "@std/assert";
import { RestStore } from "../../stores/rest_store.ts";
import { SqliteStore } from "../../stores/sqlite_store.ts";
import { mlflowTest } from "../support/mlflow.ts";
import { readCases } from "./replay_cases.ts";
import { type Case, type Outcome, replay } from "./replay_ours.ts";
import { REPLAY } from "./replay_python.ts";

/** A kind of difference that stays. A difference is of the kind if all that is given here fits it. */
interface Allowed {
  readonly name: string;
  readonly reason: string;
  readonly store?: "rest" | "sqlite";
  /** The operations. */
  readonly op?: RegExp;
  /** The path of the field in the outcome, as `error.message` or `result.info.endTime`. */
  readonly at: RegExp;
  /** Our value, as JSON. */
  readonly ours?: RegExp;
  /** MLflow's value, as JSON. */
  readonly theirs?: RegExp;
}

interface Difference {
  readonly store: "rest" | "sqlite";
  readonly test: Case;
  readonly index: number;
  readonly op: string;
  readonly at: string;
  readonly ours: string;
  readonly theirs: string;
}

const ALLOWED: readonly Allowed[] = [
  {
    name: "infinities come back as infinities",
    reason: "MLflow keeps them as the largest double and gives that back; ours are what was logged",
    at: /value$|data\.metrics/,
    ours: /^"-?Infinity"$/,
    theirs: /^-?1\.7976931348623157e\+308$/,
  },
  {
    name: "a rename to a name in use says so",
    reason: "MLflow gives its database's error, BAD_REQUEST",
    store: "sqlite",
    op: /^renameExperiment$/,
    at: /^error/,
    ours: /already exists|RESOURCE_ALREADY_EXISTS/,
    theirs: /IntegrityError|BAD_REQUEST/,
  },
  {
    name: "what the server asks for by name is refused before it is sent",
    reason: "we check as MLflow's store does; the server's check of the request comes before that of its store",
    store: "rest",
    at: /^error\.message$/,
    ours: /Invalid experiment name|Invalid value|Missing value/,
    theirs: /^"Missing value for required parameter/,
  },
  {
    name: "an answer 500 is told with its code",
    reason: "Python's client asks again and then tells of the connection, not of the answer",
    store: "rest",
    at: /^error/,
    theirs: /INTERNAL_ERROR|Max retries exceeded/,
  },
  {
    name: "no lesson on params",
    reason: "Python's client adds a text with examples in Python",
    store: "rest",
    at: /^error\.message$/,
    theirs: /The cause of this error is typically due to repeated calls/,
  },
  {
    name: "whole numbers are told without a point",
    reason: "JavaScript has one kind of number: 1.0 is 1",
    at: /^error\.message$/,
    ours: /\(value=-?\d+\)/,
    theirs: /\(value=-?\d+\.0\)/,
  },
  {
    name: "fractions of times and steps are refused everywhere",
    reason: "Python's client cannot write them, MLflow's store takes them: a TypeError there and a wrong row here",
    op: /^logMetric$/,
    at: /^(error|outcome)/,
    ours: /^"INVALID_PARAMETER_VALUE"$|valid long|nonnegative long/,
    theirs: /TypeError|cannot be interpreted as an integer|\{"result":null\}/,
  },
  {
    name: "values that are no numbers are refused by MLflow's sentence",
    reason: "Python's client writes true as 1, and fails on others as it writes the request",
    store: "rest",
    op: /^logMetric$/,
    at: /^(error|outcome)/,
    ours: /^"INVALID_PARAMETER_VALUE"$|valid double/,
    theirs: /TypeError|must be real number|\{"result":null\}/,
  },
  {
    name: "sets are told in an order",
    reason: "Python's sets come in another order with each process",
    op: /^search/,
    at: /^error\.message$/,
    ours: /not one of '\{|Valid keys are '\{/,
    theirs: /not one of '\{|Valid keys are '\{/,
  },
  {
    name: "a filter that cannot be read is told by one parser",
    reason: "MLflow has a parser for each kind of search, with sentences of their own; the code is the same",
    store: "sqlite",
    op: /^search/,
    at: /^error\.message$/,
    ours: /Invalid clause|Invalid compar|Expected a quoted|IS NULL|multiple expression|quoted string values/,
  },
  {
    name: "a limit of a page is told with both its ends",
    reason: "MLflow's client, server and store each have a sentence of their own",
    op: /^(search|getMetricHistory$)/,
    at: /^error\.message$/,
    ours: /positive integer of at most/,
    theirs: /'max_results' supplied/,
  },
  {
    name: "a broken page token is told with the token",
    reason: "MLflow's store lets some errors of Python through",
    store: "sqlite",
    op: /^(search|getMetricHistory$)/,
    at: /^error/,
    ours: /INVALID_PARAMETER_VALUE|Invalid page token/,
    theirs: /Invalid page token|INTERNAL_ERROR|"Error"|ASCII characters|Incorrect padding/,
  },
  {
    name: "the page token of another search is told in JSON",
    reason: "MLflow prints Python's objects",
    store: "sqlite",
    op: /^searchLoggedModels$/,
    at: /^error\.message$/,
    ours: /in the page token does not match/,
    theirs: /in the page token does not match/,
  },
  {
    name: "bad attributes and numbers in searches for models are the caller's mistakes",
    reason: "MLflow's store fails by errors of Python, INTERNAL_ERROR",
    store: "sqlite",
    op: /^searchLoggedModels$/,
    at: /^error/,
    theirs: /INTERNAL_ERROR|has no attribute|could not convert/,
  },
  {
    name: "no experiments have no logged models",
    reason: "Python's client leaves the empty list out, and the server misses it",
    store: "rest",
    op: /^searchLoggedModels$/,
    at: /^outcome$/,
    theirs: /Missing value for required parameter 'experiment_ids'/,
  },
  {
    name: "a key is not empty",
    reason: "MLflow's store looks for a metric of no name",
    store: "sqlite",
    op: /^searchRuns$/,
    at: /^outcome$/,
    ours: /Invalid clause\(s\) in filter string: 'metrics', '\.'/,
  },
  {
    name: "what a database refuses is told without SQL",
    reason: "MLflow gives its database's error, with the statement and its values",
    store: "sqlite",
    at: /^error\.message$/,
    theirs: /\(sqlite3\.IntegrityError\)/,
  },
  {
    name: "the store holds the limits of MLflow's server",
    reason: "the same from every store: MLflow's store leaves them to its server",
    store: "sqlite",
    op: /^(searchDatasets|getMetricHistoryBulkInterval)$/,
    at: /^(outcome|error\.message)$/,
    ours: /must specify at|cannot specify more|max_results must be|end_step must be|both must be specified/,
  },
  {
    name: "a page has at least one entry",
    reason: "MLflow gives an empty page and a token that leads backwards",
    op: /^(searchLoggedModels|getMetricHistory)$/,
    at: /^outcome$/,
    ours: /positive integer of at most/,
  },
  {
    name: "no outputs are nothing to log",
    reason: "Python's client leaves the empty list out, and the server misses it",
    store: "rest",
    op: /^logOutputs$/,
    at: /^outcome$/,
    theirs: /Missing value for required parameter 'models'/,
  },
  {
    name: "a store takes texts alone",
    reason:
      "MlflowClient writes values as texts, as Python's client does; MLflow's store fails on others as Python does",
    op: /^(logBatch|logParam|setTag|setExperimentTag|createExperiment|renameExperiment)$/,
    at: /^(error|outcome)/,
    ours: /It must be a text|Expects a string|^"INVALID_PARAMETER_VALUE"$/,
    theirs: /\{"result":null\}|TypeError|no len\(\)|INTERNAL_ERROR|BAD_REQUEST|bad argument type/,
  },
  {
    name: "an experiment's id is written in digits",
    reason:
      "Python reads spaces, underscores and other scripts' digits too, and MLflow's store takes no id for the default one",
    store: "sqlite",
    op: /Experiment$|ExperimentTag$|^createRun$|^createLoggedModel$/,
    at: /^(error|outcome)/,
    ours: /Invalid experiment ID|^"INVALID_PARAMETER_VALUE"$/,
    theirs: /"result"|No Experiment with id|RESOURCE_DOES_NOT_EXIST|BAD_REQUEST|too large to convert|INTERNAL_ERROR/,
  },
  {
    name: "an experiment's id comes back as it is kept",
    reason: "MLflow's store gives back what it was asked with",
    store: "sqlite",
    op: /^createRun$/,
    at: /^result\.info\.experimentId$/,
    theirs: /^"0\$e"$/,
  },
  {
    name: "an empty name of a model is refused everywhere",
    reason: "on the way to MLflow's server it is lost, and a random name taken",
    store: "rest",
    op: /^createLoggedModel$/,
    at: /^outcome$/,
    ours: /Invalid model name \(''\)/,
  },
  {
    name: "a model's tag is found whatever its key",
    reason: "Python's client puts the key into the URL as it is, which ends at a question mark",
    store: "rest",
    op: /^deleteLoggedModelTag$/,
    at: /^outcome$/,
    theirs: /No tag with key 'e' found/,
  },
  {
    name: "the tags of a new run are tags",
    reason: "MLflow's SQL store takes them unchecked, and cannot set them again; its file store refuses them",
    op: /^createRun$/,
    at: /^(outcome|result\.data\.tags\.a)$/,
    ours: /for parameter 'key' supplied|'key' exceeds the maximum length|^"x{8000}"$/,
  },
  {
    name: "an empty name in a tag leaves the run its name",
    reason: "MLflow writes the tag twice, and its database refuses that",
    op: /^createRun$/,
    at: /^outcome$/,
    theirs: /IntegrityError.*mlflow\.runName/,
  },
  {
    name: "a batch of one is told as that one",
    reason: "our stores write a param by the one way that writes batches",
    op: /^logBatch$/,
    at: /^error\.message$/,
    ours: /Param with key='a' was already logged/,
    theirs: /Params were already logged/,
  },
  {
    name: "a name ends where it ends",
    reason: "the end of Python's pattern also fits before a last line break",
    op: /^(logMetric|logParam|setTag|setExperimentTag|logBatch)$/,
    at: /^outcome$/,
    ours: /Invalid value \\"a\\\\n\\" for parameter/,
  },
  {
    name: "a text is read up to a zero character",
    reason: "so node:sqlite gives it; the file holds it whole",
    store: "sqlite",
    at: /^result\.data\.(params|tags)/,
    ours: /^"x"$/,
    theirs: /^"x\\u0000y"$/,
  },
];

const CASES = readCases();
/** For each case the index of the one that it is in, or -1. */
const BASES = CASES.map(({ subject, within }) =>
  CASES.findIndex((base) => base.subject === subject && base.name === within)
);

Deno.test("the replay has at least 250 searches and 400 other cases, each with a name of its own", () => {
  const names = CASES.map(({ subject, name }) => `${subject}: ${name}`);
  assertEquals(names.filter((name, i) => names.indexOf(name) < i), []);
  const searches = CASES.filter(({ subject }) => subject.startsWith("search_")).length;
  if (searches < 250 || CASES.length - searches < 400) {
    throw new Error(`There are ${searches} searches and ${CASES.length - searches} other cases`);
  }
});

mlflowTest("RestStore and SqliteStore answer as MLflow's own", async (mlflow, t) => {
  const file = (name: string) => `sqlite:///${mlflow.dir}/${name}.db`;
  // Either client asks seven times, for minutes, where a server says that something broke in it.
  await using python = mlflow.interpreter({ env: { MLFLOW_HTTP_REQUEST_MAX_RETRIES: "0" }, timeout: 300_000 });
  const imported = python.run(REPLAY);
  await using server = await mlflow.ui({
    command: "server",
    backendStoreUri: file("server"),
    env: { MLFLOW_SERVER_ENABLE_JOB_EXECUTION: "false" },
  });
  await imported;
  await using rest = await RestStore.open(server.url, { maxRetries: 0 });
  await using sqlite = await SqliteStore.open(file("ours"));
  await python.run(`for uri in args: first_id(uri)`, [file("server"), file("ours")]);
  const began = Date.now();

  const theirs = python.run<{ rest: Outcome[]; sqlite: Outcome[] }>(
    `
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor() as pool:
        rest = pool.submit(replay_rest, args["url"], args["cases"])
        sql = pool.submit(replay_sql, args["uri"], args["root"], args["cases"])
        result = {"rest": rest.result(), "sqlite": sql.result()}
    `,
    {
      url: server.url,
      uri: file("theirs"),
      root: `${mlflow.dir}/mlruns`,
      cases: CASES.map(({ steps }, i) => ({ steps, base: BASES[i], prefix: prefixOf(i, "p") })),
    },
  );
  const ours: Record<"rest" | "sqlite", Outcome[]> = { rest: [], sqlite: [] };
  const warn = console.warn;
  // Values that are cut are many here.
  console.warn = () => {};
  try {
    const tell = async (name: "rest" | "sqlite", store: RestStore | SqliteStore) => {
      for (const [i, { steps }] of CASES.entries()) {
        const begin = ours[name][BASES[i]]?.names ?? { n: prefixOf(i, "d") };
        ours[name].push(await replay(store, steps, begin));
      }
    };
    await Promise.all([tell("rest", rest), tell("sqlite", sqlite), theirs]);
  } finally {
    console.warn = warn;
  }
  const { rest: pythonRest, sqlite: pythonSqlite } = await theirs;
  const all = { rest: pythonRest, sqlite: pythonSqlite };

  const differences: Difference[] = [];
  const unexpected: string[] = [];
  for (const [i, test] of CASES.entries()) {
    for (const store of ["rest", "sqlite"] as const) {
      const [a, b] = [ours[store][i], all[store][i]].map((outcome) => plain(outcome, began, mlflow.dir));
      for (const [index, { op }] of test.steps.entries()) {
        for (const [at, left, right] of compareOutcomes(a[index], b[index])) {
          differences.push({ store, test, index, op, at, ours: left, theirs: right });
        }
      }
    }
    for (const [index, { op, refused }] of test.steps.entries()) {
      const refusals = [all.rest, all.sqlite].filter((outcomes) => "error" in outcomes[i].steps[index]);
      if (refused ? refusals.length > 0 : refusals.length < 2) continue;
      const { error } = all.rest[i].steps[index] as { error?: unknown };
      const told = refused ? "is not refused" : `is refused: ${JSON.stringify(error)}`;
      unexpected.push(`${test.subject}, ${test.name}: step ${index} (${op}) ${told}`);
    }
  }
  await t.step("MLflow takes and refuses what the cases say", () => assertEquals(unexpected, []));
  await t.step("what differs is allowed", () => {
    const rest = differences.filter((difference) => !ALLOWED.some((allowed) => fits(difference, allowed)));
    assertEquals(rest.map(describe), []);
  });
  await t.step("what is allowed differs", () => {
    const unused = ALLOWED.filter((allowed) => !differences.some((difference) => fits(difference, allowed)));
    assertEquals(unused.map(({ name }) => name), []);
  });
});

function fits({ store, op, at, ours, theirs }: Difference, allowed: Allowed): boolean {
  return (allowed.store ?? store) === store && (allowed.op?.test(op) ?? true) && allowed.at.test(at) &&
    (allowed.ours?.test(ours) ?? true) && (allowed.theirs?.test(theirs) ?? true);
}

function describe({ store, test, index, op, at, ours, theirs }: Difference): string {
  const [left, right] = [ours, theirs].map((text) => text.length > 1000 ? `${text.slice(0, 1000)}…` : text);
  return `${store}: ${test.subject}, ${test.name}: step ${index} (${op}) ${at}: ours ${left}, MLflow's ${right}`;
}

/** A text no case has but the one told by one side, of the same length for all. */
function prefixOf(index: number, side: "d" | "p"): string {
  return `replay${String(index).padStart(4, "0")}${side}`;
}

/** As `compare`; where only one of them refuses, that is the difference. */
function compareOutcomes(ours: unknown, theirs: unknown): ReturnType<typeof compare> {
  const differs = isObject(ours) && isObject(theirs) && ("error" in ours) !== ("error" in theirs);
  return differs ? [["outcome", show(ours), show(theirs)]] : compare(ours, theirs);
}

/** The fields in which two outcomes differ, with both values. */
function compare(ours: unknown, theirs: unknown, at = ""): [at: string, ours: string, theirs: string][] {
  if (Object.is(ours, theirs) || (ours ?? null) === (theirs ?? null)) return [];
  if (Array.isArray(ours) && Array.isArray(theirs) && ours.length === theirs.length) {
    return ours.flatMap((item, i) => compare(item, theirs[i], `${at}[${i}]`));
  }
  if (isObject(ours) && isObject(theirs)) {
    const keys = new Set([...Object.keys(ours), ...Object.keys(theirs)]);
    return [...keys].flatMap((key) => compare(ours[key], theirs[key], at === "" ? key : `${at}.${key}`));
  }
  return [[at, show(ours), show(theirs)]];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, item) => typeof item === "number" && !Number.isFinite(item) ? String(item) : item) ??
    "undefined";
}

/** An outcome without what is another one each time: ids, times and random names. */
function plain({ steps, names }: Outcome, began: number, dir: string): unknown[] {
  const known = Object.entries(names).filter(([, value]) => value);
  const text = (value: string, key: string): unknown => {
    if (key === "nextPageToken") return walk(readToken(value), "");
    // A server gives what a model has not as an empty text.
    if (value === "" && (key === "modelType" || key === "sourceRunId")) return undefined;
    for (const [name, id] of known) value = value.replaceAll(id, `$${name}`);
    value = value.replaceAll(dir, "$dir").replaceAll(Deno.cwd(), "$dir")
      .replace(/(\bm-)?\b[0-9a-f]{32}\b/g, (_, model) => `<${model ?? ""}id>`)
      .replace(/\b\d{13}\b/g, (digits) => String(walk(Number(digits), "")));
    return /^(runName|name|mlflow\.runName)$/.test(key) ? value.replace(/^[a-z]+-[a-z]+-\d+$/, "<name>") : value;
  };
  const walk = (value: unknown, key: string): unknown => {
    if (typeof value === "string") return text(value, key);
    if (typeof value === "number") return value >= began - 1000 && value <= Date.now() + 1000 ? "<now>" : value;
    if (Array.isArray(value)) {
      const items = value.map((item) => walk(item, key));
      return UNORDERED.has(key) ? items.toSorted((a, b) => show(a) < show(b) ? -1 : 1) : items;
    }
    if (!isObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [text(name, ""), walk(item, name)]));
  };
  return steps.map((outcome) => {
    // Lists of datasets come in the order of random ids.
    const datasets = "result" in outcome && Array.isArray(outcome.result) && outcome.result[0]?.digest !== undefined;
    return datasets ? { result: walk(outcome.result, "datasetInputs") } : walk(outcome, "");
  });
}

/** Lists that MLflow gives in the order of random ids, or in none. */
const UNORDERED = new Set(["datasetInputs", "modelInputs", "modelOutputs", "metrics"]);

function readToken(token: string): unknown {
  try {
    const bytes = Uint8Array.from(atob(token), (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return token;
  }
}
