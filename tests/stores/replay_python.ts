/** Python's side of the replay: the same steps for MLflow's own client and for its SqlAlchemyStore. */

/** Defines `replay_rest(url, cases)` and `replay_sql(uri, root, cases)`, which give an outcome for each step. */
export const REPLAY: string = String.raw`
import logging, re, sqlite3, time
from mlflow import MlflowClient
from mlflow.entities import (Dataset, DatasetInput, ExperimentTag, InputTag, LoggedModelInput, LoggedModelOutput,
    LoggedModelParameter, LoggedModelStatus, LoggedModelTag, Metric, Param, RunStatus, RunTag, ViewType)
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.rest_utils import http_request, verify_rest_response
from mlflow.utils.string_utils import is_string_type

logging.disable(logging.WARNING)

def fill(value, names):
    if isinstance(value, str):
        return re.sub(r"\$([a-z]\w*)", lambda m: names.get(m[1]) or m[0], value)
    if isinstance(value, list):
        return [fill(v, names) for v in value]
    if isinstance(value, dict):
        return {fill(k, names): fill(v, names) for k, v in value.items()}
    return value

def none_if_absent(source, **names):
    return {to: source[name] for to, name in names.items() if name in source}

def experiment(e):
    return {"experimentId": e.experiment_id, "name": e.name, "artifactLocation": e.artifact_location,
        "lifecycleStage": e.lifecycle_stage, "creationTime": e.creation_time, "lastUpdateTime": e.last_update_time,
        "tags": dict(e.tags)}

def run_info(i):
    return {"runId": i.run_id, "runName": i.run_name, "experimentId": i.experiment_id, "userId": i.user_id,
        "status": i.status if isinstance(i.status, str) else RunStatus.to_string(i.status), "startTime": i.start_time,
        "endTime": i.end_time, "lifecycleStage": i.lifecycle_stage, "artifactUri": i.artifact_uri}

def dataset_input(d):
    fields = {"name": d.dataset.name, "digest": d.dataset.digest, "sourceType": d.dataset.source_type,
        "source": d.dataset.source, "schema": d.dataset.schema, "profile": d.dataset.profile}
    return {"dataset": fields, "tags": {t.key: t.value for t in d.tags}}

def run(r):
    inputs, outputs = r.inputs, r.outputs
    return {"info": run_info(r.info),
        "data": {"metrics": dict(r.data.metrics), "params": dict(r.data.params), "tags": dict(r.data.tags)},
        "inputs": {"datasetInputs": [dataset_input(d) for d in (inputs.dataset_inputs if inputs else [])],
            "modelInputs": [{"modelId": m.model_id} for m in (inputs.model_inputs if inputs else []) or []]},
        "outputs": {"modelOutputs": [{"modelId": m.model_id, "step": m.step}
            for m in (outputs.model_outputs if outputs else [])]}}

def metric(m):
    return {"key": m.key, "value": m.value, "timestamp": m.timestamp, "step": m.step}

def model(m):
    metrics = [{**metric(x), "runId": x.run_id,
        "dataset": {"name": x.dataset_name, "digest": x.dataset_digest} if x.dataset_name else None}
        for x in m.metrics or []]
    return {"modelId": m.model_id, "experimentId": m.experiment_id, "name": m.name,
        "artifactLocation": m.artifact_location, "creationTimestamp": m.creation_timestamp,
        "lastUpdatedTimestamp": m.last_updated_timestamp,
        "status": str(m.status).removeprefix("UPLOAD_"), "modelType": m.model_type, "sourceRunId": m.source_run_id, "params": dict(m.params), "tags": dict(m.tags), "metrics": metrics}

def page(found, write):
    token = found.token or None
    return {"items": [write(x) for x in found], "nextPageToken": token.decode() if isinstance(token, bytes) else token}

def make_metric(m):
    dataset = m.get("dataset") or {}
    return Metric(m["key"], m["value"], m.get("timestamp", int(time.time() * 1000)), m.get("step", 0),
        model_id=m.get("modelId"), dataset_name=dataset.get("name"), dataset_digest=dataset.get("digest"))

def listed(kind, record):
    return [kind(k, v) for k, v in (record or {}).items()]

def make_inputs(a):
    datasets = [DatasetInput(Dataset(d["dataset"]["name"], d["dataset"]["digest"], d["dataset"]["sourceType"],
        d["dataset"]["source"], d["dataset"].get("schema"), d["dataset"].get("profile")), listed(InputTag, d["tags"]))
        for d in a.get("datasets", [])]
    return datasets, [LoggedModelInput(m["modelId"]) for m in a.get("models", [])]

VIEWS = {"ACTIVE_ONLY": ViewType.ACTIVE_ONLY, "DELETED_ONLY": ViewType.DELETED_ONLY, "ALL": ViewType.ALL}

class Replay:
    """What a store and MLflow's client have in common."""
    def __init__(self, store):
        self.store = store

    def createExperiment(self, a):
        return self.store.create_experiment(a["name"], a.get("artifactLocation"), listed(ExperimentTag, a.get("tags")))
    def getExperiment(self, a):
        return experiment(self.store.get_experiment(a["experimentId"]))
    def getExperimentByName(self, a):
        found = self.store.get_experiment_by_name(a["name"])
        return found and experiment(found)
    def renameExperiment(self, a):
        self.store.rename_experiment(a["experimentId"], a["name"])
    def deleteExperiment(self, a):
        self.store.delete_experiment(a["experimentId"])
    def restoreExperiment(self, a):
        self.store.restore_experiment(a["experimentId"])
    def setExperimentTag(self, a):
        self.store.set_experiment_tag(a["experimentId"], ExperimentTag(a["key"], a["value"]))
    def deleteExperimentTag(self, a):
        self.store.delete_experiment_tag(a["experimentId"], a["key"])
    def searchExperiments(self, a):
        return page(self.store.search_experiments(VIEWS[a.get("viewType", "ACTIVE_ONLY")], a.get("maxResults", 1000),
            a.get("filter"), a.get("orderBy"), a.get("pageToken")), experiment)
    def createRun(self, a):
        user = a.get("userId") or (a.get("tags") or {}).get("mlflow.user") or "unknown"
        return run(self.store.create_run(a["experimentId"], user, a.get("startTime", int(time.time() * 1000)),
            listed(RunTag, a.get("tags")), a.get("runName")))
    def getRun(self, a):
        return run(self.store.get_run(a["runId"]))
    def updateRun(self, a):
        status = RunStatus.from_string(a["status"]) if "status" in a else None
        return run_info(self.store.update_run_info(a["runId"], status, a.get("endTime"), a.get("runName")))
    def deleteRun(self, a):
        self.store.delete_run(a["runId"])
    def restoreRun(self, a):
        self.store.restore_run(a["runId"])
    def logBatch(self, a):
        self.store.log_batch(a["runId"], [make_metric(m) for m in a.get("metrics", [])],
            [Param(p["key"], p["value"]) for p in a.get("params", [])],
            [RunTag(t["key"], t["value"]) for t in a.get("tags", [])])
    def logMetric(self, a):
        self.store.log_metric(a["runId"], make_metric(a))
    def logParam(self, a):
        self.store.log_param(a["runId"], Param(a["key"], a["value"]))
    def setTag(self, a):
        self.store.set_tag(a["runId"], RunTag(a["key"], a["value"]))
    def deleteTag(self, a):
        self.store.delete_tag(a["runId"], a["key"])
    def getMetricHistory(self, a):
        return page(self.store.get_metric_history(a["runId"], a["key"], a.get("maxResults", 25000), a.get("pageToken")),
            metric)
    def getMetricHistoryBulkInterval(self, a):
        found = self.store.get_metric_history_bulk_interval(a["runIds"], a["key"], a.get("maxResults", 2500),
            a.get("startStep"), a.get("endStep"))
        return [{**metric(m), "runId": m.run_id} for m in found]
    def logInputs(self, a):
        self.store.log_inputs(a["runId"], *make_inputs(a))
    def searchDatasets(self, a):
        return [{"experimentId": d.experiment_id, "name": d.name, "digest": d.digest, "context": d.context}
            for d in self.store._search_datasets(a["experimentIds"])]
    def searchRuns(self, a):
        return page(self.store.search_runs(a["experimentIds"], a.get("filter"), VIEWS[a.get("viewType", "ACTIVE_ONLY")],
            a.get("maxResults", 1000), a.get("orderBy"), a.get("pageToken")), run)
    def createLoggedModel(self, a):
        return model(self.store.create_logged_model(a["experimentId"], a.get("name"), a.get("sourceRunId"),
            listed(LoggedModelTag, a.get("tags")), listed(LoggedModelParameter, a.get("params")), a.get("modelType")))
    def getLoggedModel(self, a):
        return model(self.store.get_logged_model(a["modelId"]))
    def finalizeLoggedModel(self, a):
        return model(self.store.finalize_logged_model(a["modelId"], LoggedModelStatus(a["status"])))
    def logLoggedModelParams(self, a):
        self.store.log_logged_model_params(a["modelId"],
            [LoggedModelParameter(p["key"], p["value"]) for p in a["params"]])
    def setLoggedModelTags(self, a):
        self.store.set_logged_model_tags(a["modelId"], listed(LoggedModelTag, a["tags"]))
    def deleteLoggedModelTag(self, a):
        self.store.delete_logged_model_tag(a["modelId"], a["key"])
    def deleteLoggedModel(self, a):
        self.store.delete_logged_model(a["modelId"])
    def searchLoggedModels(self, a):
        order = [{"field_name": o["fieldName"], "ascending": o.get("ascending", True),
            **none_if_absent(o, dataset_name="datasetName", dataset_digest="datasetDigest")} for o in a.get("orderBy", [])]
        datasets = [{"dataset_name": d["name"], **none_if_absent(d, dataset_digest="digest")} for d in a.get("datasets", [])]
        return page(self.store.search_logged_models(a["experimentIds"], filter_string=a.get("filter"),
            datasets=datasets or None, max_results=a.get("maxResults", 100), order_by=order or None,
            page_token=a.get("pageToken")), model)
    def logOutputs(self, a):
        self.store.log_outputs(a["runId"], [LoggedModelOutput(m["modelId"], m["step"]) for m in a["models"]])
    def nextMillisecond(self, a):
        time.sleep(0.002)

class RestReplay(Replay):
    """What MLflow's client checks by itself before it asks a server goes through the client."""
    def __init__(self, url):
        self.client = MlflowClient(url)
        super().__init__(self.client._tracking_client.store)

    def ask(self, method, endpoint, **options):
        response = http_request(self.store.get_host_creds(), endpoint, method, **options)
        return verify_rest_response(response, endpoint).json()
    def createExperiment(self, a):
        return self.client.create_experiment(a["name"], a.get("artifactLocation"), a.get("tags"))
    def setExperimentTag(self, a):
        self.client.set_experiment_tag(a["experimentId"], a["key"], a["value"])
    def renameExperiment(self, a):
        self.client.rename_experiment(a["experimentId"], a["name"])
    def logMetric(self, a):
        if "modelId" in a or "dataset" in a:
            return super().logMetric(a)
        self.client.log_metric(a["runId"], a["key"], a["value"], a.get("timestamp"), a.get("step"))
    def logParam(self, a):
        self.client.log_param(a["runId"], a["key"], a["value"])
    def setTag(self, a):
        self.client.set_tag(a["runId"], a["key"], a["value"])
    def createLoggedModel(self, a):
        return model(self.client.create_logged_model(a["experimentId"], a.get("name"), a.get("sourceRunId"),
            a.get("tags"), a.get("params"), a.get("modelType")))
    def getMetricHistoryBulkInterval(self, a):
        names = {"runIds": "run_ids", "key": "metric_key", "startStep": "start_step", "endStep": "end_step",
            "maxResults": "max_results"}
        params = {names[k]: v for k, v in a.items()}
        found = self.ask("GET", "/api/2.0/mlflow/metrics/get-history-bulk-interval", params=params)
        return [{"key": m["key"], "value": float(m["value"]), "timestamp": m["timestamp"], "step": m.get("step", 0),
            "runId": m["run_id"]} for m in found.get("metrics", [])]
    def searchDatasets(self, a):
        found = self.ask("POST", "/ajax-api/2.0/mlflow/experiments/search-datasets",
            json={"experiment_ids": a["experimentIds"]})
        return [{"experimentId": d["experiment_id"], "name": d["name"], "digest": d["digest"],
            "context": d.get("context")} for d in found.get("dataset_summaries", [])]

def step_of(replay, step, names):
    try:
        result = getattr(replay, step["op"])(fill(step["args"], names))
    except MlflowException as e:
        # What comes from a server has its code before its sentence.
        return {"error": {"code": e.error_code, "message": e.message.removeprefix(f"{e.error_code}: ")}}
    except Exception as e:
        return {"error": {"code": type(e).__name__, "message": str(e)}}
    if "save" in step and result:
        names[step["save"]] = result if isinstance(result, str) else (result.get("info") or {}).get("runId") \
            or result.get("modelId") or result.get("nextPageToken")
    return {"result": result}

def replayed(replay, cases):
    outcomes = []
    for case in cases:
        names = {"n": case["prefix"]} if case["base"] < 0 else dict(outcomes[case["base"]]["names"])
        outcomes.append({"steps": [step_of(replay, step, names) for step in case["steps"]], "names": names})
    return outcomes

def replay_rest(url, cases):
    return replayed(RestReplay(url), cases)

def replay_sql(uri, root, cases):
    store = SqlAlchemyStore(uri, root)
    first_id(uri)
    return replayed(Replay(store), cases)

def first_id(uri):
    """Makes the next experiment's id one that stands out in any sentence."""
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as db:
        db.execute("INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, "
            "last_update_time) VALUES (7000000, 'first', 'first', 'active', 1, 1)")
    db.close()
`;
