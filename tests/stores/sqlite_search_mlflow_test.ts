/** The same questions to MLflow's SqlAlchemyStore and to SqliteStore, on one database that Python has filled. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import type { ViewType } from "../../entities.ts";
import { MlflowError } from "../../errors.ts";
import { filter } from "../../filter.ts";
import { SqliteStore } from "../../stores/sqlite_store.ts";
import type { LoggedModelSearch, StoreSearch } from "../../stores/store.ts";
import { mlflowTest } from "../support/mlflow.ts";

/** What is in the database: odd values, missing keys, equal values, letters of all kinds. */
const SEED = `
import itertools
from mlflow.entities import (Dataset, DatasetInput, ExperimentTag, InputTag, LoggedModelInput, LoggedModelOutput,
    LoggedModelParameter, LoggedModelStatus, LoggedModelTag, Metric, Param, RunStatus, RunTag, ViewType)
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

store = SqlAlchemyStore(args["uri"], args["root"])
nan, inf = float("nan"), float("inf")
values = [0.5, nan, inf, -inf, 0.0, -0.0, -1.5, 0.5, 1e-300, 1e300, 5e-324, None]
texts = ["relu", "ReLU", "RELU", "100%", "a_b", "a-b", "[ab]", "*", "?", "a\\\\b", "é", "É", "損失 🌷", "", "it's", 'say "hi"', None]
experiments = [store.create_experiment("main"), store.create_experiment("second")]
for i, name in enumerate(["Flowers", "flowers", "FLOWERS%", "flow_rs", "fl[o]wers", "fl*wers", "é", "É", "with 'quotes'"]):
    tags = [ExperimentTag("team", texts[i])] + ([ExperimentTag("a b", "x")] if i % 3 == 0 else [])
    experiments.append(store.create_experiment(name, tags=tags))
store.delete_experiment(experiments[-1])
store.rename_experiment(experiments[3], "flowers renamed")

datasets = [Dataset(name, digest, "local", "{}", schema, None)
            for name, digest, schema in [("train", "d1", "s"), ("Train", "d2", None), ("te%st", "d1", None), ("é", "d3", "s")]]
runs = []
for i in range(60):
    experiment = experiments[i % 10 == 9]
    tags = [RunTag("mlflow.user", "ann" if i % 4 else "Bob")]
    text = texts[i % len(texts)]
    if text is not None:
        tags.append(RunTag("act", text))
    run = store.create_run(experiment, "ann" if i % 4 else "Bob", 1000 + (i * 7) % 20, tags, f"Run_{i % 13}%")
    run_id = run.info.run_id
    runs.append(run_id)
    metrics = []
    for key, shift in [("acc", 0), ("val loss", 3), ("system/cpu", 5)]:
        value = values[(i + shift) % len(values)]
        if value is not None:
            metrics += [Metric(key, value, 10 + s, s) for s in range(i % 3 + 1)]
    if i % 7 == 0:
        metrics.append(Metric("rare", i / 7, 5, 0))
    params = [Param("lr", str(0.1 * (i % 5)))]
    if text:
        params.append(Param("activation", text))
    if i % 2:
        params.append(Param("a/b-c", "X" if i % 3 else "x"))
    store.log_batch(run_id, metrics, params, [RunTag("ünï", f"v{i % 6}")] if i % 2 else [])
    if i % 3 == 0:
        store.log_inputs(run_id, [DatasetInput(datasets[i % 4], [InputTag("mlflow.data.context", ["train", "Eval"][i % 2])])])
    if i % 6 == 0:
        store.log_inputs(run_id, [DatasetInput(datasets[(i + 1) % 4], [InputTag("note", "x")])])
    if i % 5 == 0:
        store.update_run_info(run_id, RunStatus.FINISHED if i % 2 else RunStatus.FAILED, 5000 + i, None)
    if i % 11 == 0:
        store.delete_run(run_id)

sampled = store.create_run(experiments[1], "ann", 1, [], "sampled").info.run_id
store.restore_run(runs[1])
for chunk in range(3):
    store.log_batch(sampled, [Metric("m", nan if s % 50 == 0 else s * 0.5, 1000 - s // 3, s // 2) for s in range(chunk * 900, chunk * 900 + 900)], [], [])
store.log_batch(sampled, [Metric("same step", float(s), s, 0) for s in range(300)], [], [])

models = []
for i in range(26):
    model = store.create_logged_model(
        experiments[i % 8 == 7], f"Model {i % 9}", source_run_id=runs[i] if i % 2 else None,
        tags=[LoggedModelTag("act", texts[i % 17])] if texts[i % 17] is not None else [],
        params=[LoggedModelParameter("lr", str(0.1 * (i % 4)))] + ([LoggedModelParameter("a b", "é")] if i % 3 else []),
        model_type=["classifier", "Classifier", None, ""][i % 4])
    models.append(model.model_id)
    target = runs[1]
    for d in range(i % 4):
        store.log_batch(target, [Metric("acc", [0.5, 0.25, inf, -1.5][(i + d) % 4], 100 + d + i, d, model_id=model.model_id,
            dataset_name=[None, "train", "te%st", "é"][d], dataset_digest=[None, "d1", "d1", None][d], run_id=target)], [], [])
    if i % 3 == 0:
        store.finalize_logged_model(model.model_id, LoggedModelStatus.READY if i % 2 else LoggedModelStatus.FAILED)
    if i % 12 == 5:
        store.delete_logged_model(model.model_id)
# Equal times, so that ids decide.
import sqlalchemy
with store.engine.begin() as connection:
    connection.execute(sqlalchemy.text("UPDATE logged_models SET creation_timestamp_ms = 1000 + rowid / 3, last_updated_timestamp_ms = 2000 - rowid / 5"))
    connection.execute(sqlalchemy.text("UPDATE experiments SET creation_time = 1000 + experiment_id / 3, last_update_time = 3000 - experiment_id / 4"))
result = {"experiments": experiments, "runs": runs, "models": models, "sampled": sampled}
`;

const ANSWER = `
def view(name):
    return {"ACTIVE_ONLY": ViewType.ACTIVE_ONLY, "DELETED_ONLY": ViewType.DELETED_ONLY, "ALL": ViewType.ALL}[name]

def pages(search):
    found, token = [], None
    while True:
        page = search(token)
        found.append([
            getattr(e, "model_id", None) or getattr(e, "experiment_id", None) or e.info.run_id for e in page])
        token = page.token
        if not token or len(found) >= 4:
            return found

def answer(kind, q):
    if kind == "runs":
        return pages(lambda token: store.search_runs(q["ids"], q["filter"], view(q["viewType"]), q["maxResults"], q["orderBy"], token))
    if kind == "experiments":
        return pages(lambda token: store.search_experiments(view(q["viewType"]), q["maxResults"], q["filter"], q["orderBy"], token))
    if kind == "models":
        datasets = [dict(dataset_name=d["name"], **({"dataset_digest": d["digest"]} if "digest" in d else {})) for d in q["datasets"]]
        names = {"fieldName": "field_name", "datasetName": "dataset_name", "datasetDigest": "dataset_digest"}
        order = [{names.get(k, k): v for k, v in o.items()} for o in q["orderBy"]]
        # MLflow takes an empty text for another filter than the none in its own page token.
        return pages(lambda token: store.search_logged_models(q["ids"], q["filter"] or None, datasets, q["maxResults"], order or None, token))
    if kind == "interval":
        found = store.get_metric_history_bulk_interval(q["ids"], q["key"], q["maxResults"], q["startStep"], q["endStep"])
        return [[m.run_id, m.value, m.timestamp, m.step] for m in found]
    if kind == "datasets":
        return sorted([[d.experiment_id, d.name, d.digest, d.context or ""] for d in store._search_datasets(q["ids"])])
    if kind == "run":
        run = store.get_run(q["id"])
        return [dict(run.data.metrics), run.data.params, run.data.tags,
                sorted([[d.dataset.name, d.dataset.digest, d.dataset.schema or "", {t.key: t.value for t in d.tags}]
                 for d in run.inputs.dataset_inputs], key=str)]
    if kind == "model":
        model = store.get_logged_model(q["id"])
        return [model.name, model.params, model.tags, model.model_type if model.model_type is not None else "none",
                str(model.status), sorted([[m.key, m.value, m.step, m.dataset_name or "", m.dataset_digest or ""]
                for m in model.metrics or []])]

result = []
for kind, question in args:
    try:
        result.append(answer(kind, question))
    except MlflowException as e:
        result.append("error " + e.error_code)
    except Exception as e:
        result.append("crash " + type(e).__name__)
`;

interface Seeded {
  readonly experiments: readonly string[];
  readonly runs: readonly string[];
  readonly models: readonly string[];
  readonly sampled: string;
}

/** One question: what is asked, as Python reads it, and how SqliteStore answers it. */
interface Question {
  readonly kind: string;
  readonly ask: Readonly<Record<string, unknown>>;
  readonly answer: (store: SqliteStore) => Promise<unknown>;
}

const TEXT_KEYS = ["params.activation", "tags.act", "tags.`act`", "params.`a/b-c`", 'tags."ünï"'];
const PATTERNS = [
  "relu",
  "%",
  "re%",
  "R%U",
  "100\\%",
  "100%",
  "_",
  "a_b",
  "a__",
  "[ab]",
  "*",
  "?",
  "a\\b",
  "é",
  "É%",
  "損失%",
];

/** Filters of runs, and the orders that each is asked in. */
function runSearches(): StoreSearch[] {
  const searches: StoreSearch[] = [];
  for (const key of ["metrics.acc", "metrics.`val loss`", "metric.`system/cpu`", "metrics.none"]) {
    for (const comparator of [">", ">=", "=", "!=", "<", "<="]) {
      for (const value of ["0.5", "0", "-1.5", "1e300"]) searches.push({ filter: `${key} ${comparator} ${value}` });
    }
  }
  for (const [i, key] of TEXT_KEYS.entries()) {
    for (const pattern of PATTERNS) {
      for (const comparator of i % 2 ? ["LIKE", "="] : ["ILIKE", "!="]) {
        searches.push({ filter: `${key} ${comparator} '${pattern}'` });
      }
    }
    searches.push({ filter: `${key} IS NULL` }, { filter: `${key} IS NOT NULL` });
  }
  searches.push(
    ...[
      "",
      "status = 'FINISHED'",
      "status != 'RUNNING' AND end_time > 5010",
      "attributes.end_time != 5005",
      "start_time >= 1005 AND start_time < 1010",
      "created = 1007.5",
      "user_id LIKE 'B%'",
      "user_id ILIKE 'b__'",
      "artifact_uri LIKE '%artifacts'",
      "run_name LIKE 'Run\\_1%'",
      "attributes.`Run name` ILIKE 'run__%'",
      "run_name = 'Run_3%'",
      "tags.mlflow.runName != 'Run_3%'",
      "run_id NOT IN ('x')",
      "dataset.name = 'train'",
      "dataset.name ILIKE 'TRAIN'",
      "dataset.name LIKE '%\\%%'",
      "dataset.name != 'train' AND dataset.digest = 'd1'",
      "dataset.context = 'Eval'",
      "dataset.context != 'Eval'",
      "datasets.digest IN ('d1', 'd3') AND dataset.name NOT IN ('é')",
      "metrics.acc > 0 AND metrics.acc < 1 AND params.lr != '0.1'",
      "metrics.acc > 0 AND params.activation ILIKE 'relu' AND tags.act IS NOT NULL",
      filter`params.activation = ${"it's"}`,
      filter`params.activation = ${'say "hi"'}`,
      filter`tags.act LIKE ${"損失 🌷"}`,
      // Refused.
      "metrics.acc > 'a'",
      "params.lr > '1'",
      "metrics.acc LIKE '1'",
      "metrics.acc > 1 OR metrics.acc < 1",
      "bogus = 'x'",
      "dataset.bogus = 'x'",
      "foo.bar = 1",
      "params.lr IN ('a')",
      "status IN ('a')",
      "metrics.acc IS NULL",
      "run_id IN ()",
      "metrics.val-loss > 1",
      "params.a == 'b'",
    ].map((filter) => ({ filter })),
  );
  for (
    const orderBy of [
      ["metrics.acc"],
      ["metrics.acc DESC"],
      ["metrics.`val loss` ASC", "metrics.acc DESC"],
      ["metrics.rare DESC"],
      ["metrics.none"],
      ["params.lr DESC", "start_time ASC"],
      ["params.activation"],
      ["tags.act DESC", "run_id DESC"],
      ["attributes.end_time"],
      ["end_time DESC"],
      ["Created ASC"],
      ["run_name DESC"],
      ["status", "user_id DESC", "artifact_uri"],
      ["metrics.acc", "metrics.acc DESC"],
      ["created", "start_time"],
      ["dataset.name"],
      ["bogus"],
      ["metrics.acc FOO"],
      ["metrics.acc, metrics.b"],
    ]
  ) {
    for (const filter of ["", "metrics.acc > -2", "tags.act IS NOT NULL"]) searches.push({ filter, orderBy });
  }
  for (const maxResults of [0, 1, 7, 50_001]) {
    searches.push({ maxResults }, { filter: "metrics.acc != 0.5", orderBy: ["metrics.acc DESC"], maxResults });
  }
  return searches;
}

const EXPERIMENT_SEARCHES: readonly StoreSearch[] = [
  ...[
    "",
    "name = 'flowers'",
    "name != 'flowers'",
    "name LIKE 'fl%'",
    "name ILIKE 'FL%'",
    "name ILIKE 'flow_rs'",
    "name LIKE '%[o]%'",
    "name LIKE '%*%'",
    "name ILIKE 'É'",
    "creation_time >= 1001",
    "last_update_time < 2999 AND creation_time != 1002",
    "experiment_id = '3'",
    "experiment_id != '3'",
    "experiment_id IN ('1', '3', '77')",
    "experiment_id NOT IN ('1')",
    "tags.team = 'relu'",
    "tags.team != 'relu'",
    "tags.team ILIKE 'relu'",
    "tags.team LIKE '%\\%'",
    "tags.`a b` IS NULL",
    "tags.\"a b\" IS NOT NULL AND tag.team != 'x'",
    // Refused.
    "name > 'a'",
    "name like 'a'",
    "experiment_id > '1'",
    "experiment_id = 'x'",
    "experiment_id = 1",
    "creation_time = 1.5",
    "creation_time = 'x'",
    "lifecycle_stage = 'active'",
    "name IN ('a')",
    "tags.a > 'x'",
    "name IS NULL",
    "params.a = 'x'",
    "attributes.name = 'x'",
  ].map((filter) => ({ filter })),
  ...[
    ["name"],
    ["name DESC"],
    ["creation_time"],
    ["creation_time DESC"],
    ["last_update_time", "name DESC"],
    ["experiment_id"],
    ["tags.team"],
    ["bogus"],
  ].map((orderBy) => ({ orderBy })),
  { maxResults: 3 },
  { maxResults: 4, orderBy: ["creation_time"] },
  { maxResults: 0 },
];

const MODEL_SEARCHES: readonly LoggedModelSearch[] = [
  ...[
    "",
    "name = 'Model 1'",
    "name LIKE 'model%'",
    "name ILIKE 'model%'",
    "name != 'Model 1' AND params.lr = '0.1'",
    "params.lr = 0.1",
    "params.lr IN ('0.1', '0.2')",
    "params.`a b` = 'é'",
    "params.`a b` NOT IN ('x')",
    "tags.act ILIKE 'relu'",
    "tags.act LIKE '%\\%%'",
    "tags.act != 'relu'",
    'tags.act = "it\'s"',
    "model_type = 'classifier'",
    "model_type != 'classifier'",
    "model_type ILIKE 'classifier'",
    "status = 'READY'",
    "status = 2",
    "status = '3'",
    "status LIKE '2'",
    "status IN ('2', '3')",
    "experiment_id = '1'",
    "lifecycle_stage = 'active'",
    "source_run_id != 'x'",
    "status_message = 'x'",
    "creation_timestamp >= 1003",
    "creation_time < 1005 AND last_updated_timestamp > 1996",
    "creation_timestamp_ms = 1002",
    "metrics.acc > 0.3",
    "metrics.acc >= 0.25 AND metrics.acc <= 0.5",
    "metrics.acc < inf",
    "metrics.acc != 0.5",
    "metrics.none > 0",
    "artifact_location LIKE '%artifacts'",
    // Refused.
    "metrics.acc LIKE 'x'",
    "params.lr > '0'",
    "metric.acc > 1",
    "tags.x IS NULL",
    "name <> 'x'",
    "name = 'x' OR name = 'y'",
  ].flatMap((filter) => [{ filter }, { filter, datasets: [{ name: "train" }, { name: "te%st", digest: "d1" }] }]),
  { datasets: [{ name: "é" }] },
  { datasets: [{ name: "train", digest: "d2" }] },
  { datasets: [{ name: "" }] },
  ...[
    [{ fieldName: "name" }, { fieldName: "model_id", ascending: false }],
    [{ fieldName: "model_type" }],
    [{ fieldName: "model_type", ascending: false }],
    [{ fieldName: "creation_timestamp" }],
    [{ fieldName: "last_updated_timestamp", ascending: false }],
    [{ fieldName: "status" }],
    [{ fieldName: "source_run_id" }],
    [{ fieldName: "metrics.acc" }],
    [{ fieldName: "metrics.acc", ascending: false }],
    [{ fieldName: "metrics.acc", datasetName: "train" }],
    [{ fieldName: "metrics.acc", ascending: false, datasetName: "te%st", datasetDigest: "d1" }],
    [{ fieldName: "metrics.none" }, { fieldName: "name", ascending: false }],
    [{ fieldName: "params.lr" }],
    [{ fieldName: "bogus" }],
  ].flatMap((orderBy) => [{ orderBy }, { orderBy, maxResults: 7 }]),
];

/** Filters at the edge of the grammar, asked of runs and experiments. */
const ODD_FILTERS: readonly string[] = [
  "AND metrics.a > 1",
  "metrics.a > 1 AND AND metrics.b > 2",
  "metrics.a > 1 metrics.b > 2",
  " metrics.a > 1 ",
  "metrics.1a > 1",
  "metrics.2 > 1",
  "metrics.a.b.c > 1",
  "params . a = 'x'",
  "params.a='x'AND params.b='y'",
  "params.a = `x`",
  "params.a = x",
  "metrics.a > -1",
  "metrics.a > - 1",
  "metrics.a > 1e+5",
  "metrics.a > 1e21",
  "metrics.a > 1.5e+300",
  "metrics.a > -.5",
  "metrics.a > 1e-7",
  "metrics.a > 0x10",
  "params.a = 'it\\'s'",
  "params.a = 'x\\'",
  "params.a = 'x\\' AND params.b = 'y'",
  "run_id IN ('it\\'s')",
  "run_id IN ('a' 'b')",
  "run_id IN ('a',)",
  "run_id IN ('a\\\\b')",
  'run_id IN ("a\'b")',
  "run_id IN('a')",
  "run_id NOT  IN ('a')",
  "run_id not in ('a')",
  "dataset.name IN ('a', \"b\")",
  "dataset.name NOT IN ('a')",
  "tags.a IN ('x')",
  "params.a IN ('x')",
  "metrics.a IN (1)",
  "\"status\" = 'x'",
  "`status` = 'x'",
  "'status' = 'x'",
  "`metrics`.a > 1",
  'metrics."a b" > 1',
  "metrics.`a.b` > 1",
  "tags.`a b`.c = 'x'",
  "tags.a.`b c` = 'x'",
  "params.a LIKE 'x' AND params.a NOT LIKE 'y'",
  "params.a RLIKE 'x'",
  "params.a is null",
  "params.a IS NOT NULL AND metrics.a > 1",
  "metrics.a > 1 AND params.a IS NULL",
  "tags.a IS NULL AND tags.b IS NULL AND run_id IN ('a')",
  "status = 'x' AND run_id IN ('a') AND metrics.b > 1",
  "params.a = 'a\nb'",
  "params.a = 'x' -- c",
  "params.a = 'x' /* c */",
  "params.name LIKE '%_[]*?\\'",
  "metrics.a > 1 AND",
  "metrics.a >= 1 and metrics.b <= 2 And metrics.c != 3",
  'params.a = "x" AND params.b = "y"',
  "params.损失 = 'x'",
  "params.é_1 = 'x'",
  "params._a = 'x'",
  "params.a-b = 'x'",
  "params.a/b = 'x'",
  "params.`a/b` = 'x'",
  "params.a:b = 'x'",
  "params.a b = 'x'",
  "params.select = 'x'",
  "params.from = 'x'",
  "params.table = 'x'",
  "params.group = 'x'",
  "params.end = 'x'",
  "params.case = 'x'",
  "params.in = 'x'",
  "params.and = 'x'",
  "params.not = 'x'",
  "params.like = 'x'",
  "params.null = 'x'",
  "params.is = 'x'",
  "params.key = 'x'",
  "params.value = 'x'",
  "params.type = 'x'",
  "params.date = 'x'",
  "params.timestamp = 'x'",
  "params.user = 'x'",
  "params.id = 'x'",
  "params.int = 'x'",
  "params.float = 'x'",
  "params.max = 'x'",
  "params.count = 'x'",
  "params.top = 'x'",
  "params.limit = 'x'",
  "params.seed = 'x'",
  "params.batch_size = 'x'",
  "params.learning_rate = 'x'",
  "metrics.f1 > 1",
  "metrics.top5_acc > 1",
  "metrics.a>=1",
  "metrics.a>-1",
  "metrics.a>1AND metrics.b>1",
  "metrics.a = 1 AND\nmetrics.b = 2",
  "metrics.a = 1\tAND\tmetrics.b = 2",
  "Metrics.a > 1",
  "METRICS.a > 1",
  "attributes.status='x'",
  "status='x'",
  "end_time > 1",
  "start_time = 1.0",
  "start_time > -1",
  "user_id = 'x'",
  "user = 'x'",
  "run.status = 'x'",
  "created = 3",
  "Created >= 3",
  "`Run Name` = 'x'",
  "'run name' = 'x'",
  "\"run name\" = 'x'",
  "run name = 'x'",
  "tags.mlflow.source.name = 'x'",
  "tags.\"mlflow.source.name\" LIKE 'x'",
  "metrics.a == 1",
  "metrics.a <> 1",
  "metrics.a !< 1",
  "metrics.a > 1;",
  "metrics.a > 1;  ",
  "   ",
  "metrics.",
  ".a > 1",
  "a.b.c",
  "= 1",
  "metrics.a = = 1",
  "metrics.a > 1.2.3",
  "metrics.a > 1_000",
  "metrics.a > 1 OR 1=1",
  "(metrics.a > 1) AND metrics.b > 1",
  "metrics.a > (1)",
  "params.a = ('x')",
  "run_id = ('x')",
  "run_id IN 'x'",
  "run_id IN ('x'",
  "run_id IN (x)",
  "run_id IN (NULL)",
  "run_id IN ('a';'b')",
  "params.a = 'x",
  "params.a = x'",
  'params.a = "x',
  "params.a = $x$",
  "params.a = ?",
  "params.a = :x",
  "params.a = @x",
  "params.a = N'x'",
  "params.a = 'x'::text",
  "params.a || 'x' = 'y'",
  "metrics.a + 1 > 2",
  "metrics.a > 1 + 1",
  "abs(metrics.a) > 1",
  "metrics.a > 1 LIMIT 1",
  "params.a = 'x' ORDER BY b",
  "params.a = 'AND'",
  "params.a = '' AND params.b = ''",
  "params.a = ''''",
  "params.a = '''x'''",
  "params.a = 'a''b'",
  'params.a = "a""b"',
  "params.a = 'é🌷'",
  "metrics.`é 🌷` > 1",
  "metrics.`a``b` > 1",
];

/** Orders at the edge of the grammar, asked of runs and experiments. */
const ODD_ORDERS: readonly string[] = [
  " metrics.a",
  "metrics.a ",
  "metrics.a\tDESC",
  "metrics.a  desc ",
  "start_time desc",
  "metrics.`a b`",
  "metrics.`a b` desc",
  'metrics."a b" desc',
  'metrics."a b"',
  "metrics.'a b' DESC",
  "metrics.a b",
  "metrics.a-b DESC",
  "`metrics`.a",
  "status",
  "user_id DESC",
  "artifact_uri",
  "run_id",
  "Created DESC",
  "created",
  "",
  "DESC",
  "metrics.a DESC NULLS LAST",
  "metrics.a ASC DESC",
  "1",
  "'a'",
  "tags.mlflow.runName",
  "params.order DESC",
  "params.desc",
  "attributes.end_time",
  "run.start_time",
  "attr.status DESC",
  "metrics.é desc",
  "metrics.a;",
  "metrics.1a",
  "run_name DESC",
  "Run Name",
  "`Run Name`",
  "metrics.max DESC",
  "metrics.`system/cpu` DESC",
  "dataset.digest",
  "foo.bar",
  "metrics.a.b DESC",
  "tags.`a.b` ASC",
  "metrics.loss /* x */",
];

/** Filters at the edge of the grammar of logged models. */
const ODD_MODEL_FILTERS: readonly string[] = [
  'name = "x"',
  "name = 'it''s'",
  "name = x",
  "params.lr = 0.01",
  "params.`a b` = 'x'",
  "params.\"a b\" = 'x'",
  "metrics.`a b` > 1",
  "metrics.a > 'x'",
  "metrics.a > inf",
  "metrics.a < -inf",
  "metrics.a > nan",
  "metrics.a LIKE 'x'",
  "metric.a > 1",
  "param.a = 'x'",
  "attribute.name = 'x'",
  "attributes.name = 'x'",
  "creation_time > 3",
  "creation_timestamp_ms > 3",
  "last_updated_timestamp <= 3",
  "creation_timestamp LIKE '3'",
  "creation_timestamp = '3'",
  "model_id in ('a')",
  "model_id NOT IN ('a','b')",
  "model_id IN ('a',)",
  "model_id IN ('a','it\\'s')",
  "tags.x IS NULL",
  "name like 'a' and name ILIKE 'B'",
  "AND name = 'x'",
  "name = 'x' OR name = 'y'",
  "name = 'x'; name = 'y'",
  "status = 2",
  "status = '2'",
  "experiment_id = '1'",
  "lifecycle_stage = 'active'",
  "tags.a.b = 'x'",
  "name <> 'x'",
  "name == 'x'",
  "(name = 'x')",
  "name = 'x",
  "model_id IN ()",
  "model_id IN (1)",
  "name = ''",
  "name = ''''",
  "params.a = '''x'''",
  "params.a IN ('x', 'y')",
  "tags.`a` NOT IN ('x')",
  "Metrics.a > 1",
  "metrics.a > 1.5 ",
  "name = 'x' name = 'y'",
  " name = 'x'",
  "`name` = 'x'",
  "\"name\" = 'x'",
  "source_run_id != 'x'",
  "model_type = 'x'",
  "status_message = 'x'",
  "artifact_location LIKE '%'",
];

function questions({ experiments, runs, models, sampled }: Seeded): Question[] {
  const all = [
    ...runSearches(),
    ...ODD_FILTERS.map((filter) => ({ filter })),
    ...ODD_ORDERS.map((term) => ({ orderBy: [term] })),
  ];
  const views: readonly ViewType[] = ["ACTIVE_ONLY", "ALL", "DELETED_ONLY"];
  const runQuestions = all.map((search, i) => {
    const ids = i % 3 === 0 ? experiments.slice(0, 2) : [experiments[0]];
    const full = {
      filter: "",
      orderBy: [],
      maxResults: 1000,
      viewType: views[i % 5 === 4 ? 1 : i % 7 === 6 ? 2 : 0],
      ...search,
    };
    return {
      kind: "runs",
      ask: { ids, ...full },
      answer: (store: SqliteStore) =>
        pages((pageToken) => store.searchRuns(ids, { ...full, pageToken }), ({ info }) => info.runId),
    };
  });
  const experimentQuestions = [
    ...EXPERIMENT_SEARCHES,
    ...ODD_FILTERS.map((filter) => ({ filter })),
    ...ODD_ORDERS.map((term) => ({ orderBy: [term] })),
  ].flatMap((search, i) =>
    views.slice(0, i < EXPERIMENT_SEARCHES.length ? 3 : 1).map((viewType) => {
      const full = { filter: "", orderBy: [], maxResults: 1000, viewType, ...search };
      return {
        kind: "experiments",
        ask: full,
        answer: (store: SqliteStore) =>
          pages((pageToken) => store.searchExperiments({ ...full, pageToken }), ({ experimentId }) => experimentId),
      };
    })
  );
  const modelQuestions = [
    ...MODEL_SEARCHES,
    ...ODD_MODEL_FILTERS.map((filter) => ({ filter })),
  ].map((search, i) => {
    const ids = i % 2 === 0 ? experiments.slice(0, 2) : [experiments[0]];
    const full = { filter: "", orderBy: [], datasets: [], maxResults: 100, ...search };
    return {
      kind: "models",
      ask: { ids, ...full },
      answer: (store: SqliteStore) =>
        pages((pageToken) => store.searchLoggedModels(ids, { ...full, pageToken }), ({ modelId }) => modelId),
    };
  });
  const intervals = [1, 2, 3, 7, 100, 320, 2500].flatMap((maxResults) =>
    [
      { ids: [sampled], key: "m", startStep: null, endStep: null },
      { ids: [sampled], key: "m", startStep: 10, endStep: 200 },
      { ids: [sampled], key: "same step", startStep: null, endStep: null },
      { ids: [...runs.slice(0, 20), sampled, "f".repeat(32)], key: "acc", startStep: null, endStep: null },
    ].map((ask) => ({ ...ask, maxResults }))
  ).map(({ ids, key, startStep, endStep, maxResults }) => ({
    kind: "interval",
    ask: { ids, key, startStep, endStep, maxResults },
    answer: async (store: SqliteStore) =>
      (await store.getMetricHistoryBulkInterval(ids, key, {
        maxResults,
        startStep: startStep ?? undefined,
        endStep: endStep ?? undefined,
      })).map(({ runId, value, timestamp, step }) => [runId, finite(value), timestamp, step]),
  }));
  return [
    ...runQuestions,
    ...experimentQuestions,
    ...modelQuestions,
    ...intervals,
    ...[experiments, experiments.slice(1), ["77"]].map((ids) => ({
      kind: "datasets",
      ask: { ids },
      answer: async (store: SqliteStore) =>
        (await store.searchDatasets(ids))
          .map(({ experimentId, name, digest, context }) => [experimentId, name, digest, context ?? ""])
          .sort(),
    })),
    ...[...runs, "f".repeat(32)].map((id) => ({
      kind: "run",
      ask: { id },
      answer: async (store: SqliteStore) => {
        const { data, inputs } = await store.getRun(id);
        return [
          Object.fromEntries(Object.entries(data.metrics).map(([key, value]) => [key, finite(value)])),
          data.params,
          data.tags,
          inputs.datasetInputs.map(({ dataset, tags }) => [dataset.name, dataset.digest, dataset.schema ?? "", tags])
            .sort((a, b) => String(a) < String(b) ? -1 : 1),
        ];
      },
    })),
    ...[...models, "m-none"].map((id) => ({
      kind: "model",
      ask: { id },
      answer: async (store: SqliteStore) => {
        const { name, params, tags, modelType, status, metrics } = await store.getLoggedModel(id);
        return [
          name,
          params,
          tags,
          modelType ?? "none",
          status,
          metrics.map(({ key, value, step, dataset }) => [
            key,
            finite(value),
            step,
            dataset?.name ?? "",
            dataset?.digest ?? "",
          ]).sort((a, b) => Number(a[1]) - Number(b[1]) || Number(a[2]) - Number(b[2])),
        ];
      },
    })),
  ];
}

async function pages<T>(
  get: (token: string | undefined) => Promise<{ items: readonly T[]; nextPageToken: string | undefined }>,
  id: (item: T) => string,
): Promise<string[][]> {
  const found: string[][] = [];
  let token: string | undefined;
  do {
    const page = await get(token);
    found.push(page.items.map(id));
    token = page.nextPageToken;
  } while (token !== undefined && found.length < 4);
  return found;
}

/** Infinity as MLflow gives it: what its tables hold for it. */
function finite(value: number): number {
  return Math.abs(value) === Infinity ? Math.sign(value) * Number.MAX_VALUE : value;
}

mlflowTest("SqliteStore answers searches as MLflow's SqlAlchemyStore does", async (mlflow) => {
  const uri = `sqlite:///${join(mlflow.dir, "mlflow.db")}`;
  await using python = mlflow.interpreter();
  const seeded = await python.run<Seeded>(SEED, { uri, root: join(mlflow.dir, "mlruns") });
  const asked = questions(seeded);
  const answers = await python.run<unknown[]>(ANSWER, asked.map(({ kind, ask }) => [kind, ask]));
  await using store = await SqliteStore.open(uri);
  const different: string[] = [];
  for (const [i, { kind, ask, answer }] of asked.entries()) {
    let ours: unknown;
    try {
      ours = await answer(store);
    } catch (error) {
      if (!(error instanceof MlflowError)) throw error;
      ours = `error ${error.code}`;
    }
    // Where MLflow falls over an error of Python or SQL, a refusal is what is meant.
    const crashed = /^crash|^error (INTERNAL_ERROR|BAD_REQUEST)$/.test(String(answers[i])) &&
      ours === "error INVALID_PARAMETER_VALUE";
    const name = `${kind} ${JSON.stringify(ask)}`;
    if (!crashed && Deno.inspect(ours, INSPECT) !== Deno.inspect(answers[i], INSPECT)) {
      different.push(
        `${name}\n  MLflow: ${Deno.inspect(answers[i], INSPECT)}\n  ours:   ${Deno.inspect(ours, INSPECT)}`,
      );
    }
  }
  assertEquals(different.join("\n"), "");
  const refused = answers.filter((answer) => String(answer).startsWith("error")).length;
  const empty = answers.filter((answer) => Deno.inspect(answer) === "[ [] ]").length;
  assert(refused > 100 && answers.length - refused - empty > 300, `${answers.length}, ${refused}, ${empty}`);
});

const INSPECT: Deno.InspectOptions = {
  depth: 10,
  iterableLimit: Infinity,
  strAbbreviateSize: 100_000,
  sorted: true,
  compact: true,
  breakLength: Infinity,
};
