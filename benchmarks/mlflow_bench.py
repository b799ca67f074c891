"""Python's side of the benchmarks: each a generator whose every `next` is a round, a list of samples.

`benchmarks.ts` holds our side and says what is measured; `peer.ts` loads this file and asks for the rounds.
"""
import itertools
import os
import shutil
import tempfile
import time

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("bench")


def milliseconds(call):
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def log_metric():
    with mlflow.start_run():
        step = 0
        while True:
            samples = []
            for step in range(step, step + 20):
                samples.append(milliseconds(lambda: mlflow.log_metric("loss", 1 / (step + 1), step=step)))
            step += 1
            yield samples


def metrics_from(first_step):
    now = int(time.time() * 1000)
    return [Metric(f"metric_{i % 10}", 1 / (i + 1), now, first_step + i // 10) for i in range(1000)]


def log_batch():
    client = MlflowClient()
    with mlflow.start_run() as run:
        first = 0
        while True:
            samples = []
            for first in range(first, first + 1000, 100):
                metrics = metrics_from(first)
                samples.append(milliseconds(lambda: client.log_batch(run.info.run_id, metrics=metrics)))
            first += 100
            yield samples


def start_end():
    def run():
        mlflow.start_run()
        mlflow.end_run()

    while True:
        yield [milliseconds(run) for _ in range(5)]


def search_runs(uri, filter_string):
    client = MlflowClient(uri)
    ids = [client.get_experiment_by_name("search").experiment_id]
    order = ["metrics.m1 DESC"] if filter_string else []
    while True:
        yield [milliseconds(lambda: client.search_runs(ids, filter_string, max_results=1000, order_by=order)) for _ in range(5)]


def large_search(uri, experiment, filter_string, order):
    client = MlflowClient(uri)
    ids = [client.get_experiment_by_name(experiment).experiment_id]
    orders = [order] if order else []
    while True:
        yield [milliseconds(lambda: client.search_runs(ids, filter_string, max_results=100, order_by=orders))]


def large_write(large, empty, experiment, kind):
    writers = [writer(MlflowClient(uri), experiment, kind) for uri in (large, empty)]
    while True:
        times = [0, 0]
        for i in range(20):
            for side, work in enumerate(writers):
                times[side] += milliseconds(lambda: work(i))
        yield [times[0] / times[1]]


def writer(client, experiment, kind):
    tags = {"mlflow.user": "user1", "mlflow.source.name": "file:///train.py", "mlflow.source.type": "LOCAL"}
    experiment_id = client.get_experiment_by_name(experiment).experiment_id
    run_id = client.create_run(experiment_id, tags=tags).info.run_id
    params = ["seed", "lr", *(f"param_{k}" for k in range(7)), "epochs"]
    steps = itertools.count(1)

    def log_metric(i):
        step = next(steps)
        client.log_batch(run_id, metrics=[Metric("metric_3", 1 / step, int(time.time() * 1000), step)])

    def log_params(i):
        run = client.create_run(experiment_id, tags=tags)
        client.log_batch(run.info.run_id, params=[Param(key, str(i)) for key in params])

    def start_end(i):
        client.set_terminated(client.create_run(experiment_id, tags=tags).info.run_id)

    return {"log_metric": log_metric, "log_params": log_params, "start_end": start_end}[kind]


def rest_log_metric(url):
    client = MlflowClient(url)
    run_id = client.create_run("0").info.run_id
    step = 0
    while True:
        samples = []
        for step in range(step, step + 20):
            samples.append(milliseconds(lambda: client.log_metric(run_id, "loss", 1 / (step + 1), step=step)))
        step += 1
        yield samples


def files_of(count, size):
    folder = f"files-{count}"
    os.makedirs(folder, exist_ok=True)
    for i in range(count):
        with open(f"{folder}/{i:03}.bin", "wb") as file:
            file.write(os.urandom(size))
    return folder


def upload(url, count, size):
    client = MlflowClient(url)
    local = files_of(count, size)
    while True:
        run_id = client.create_run("0").info.run_id
        yield [milliseconds(lambda: client.log_artifacts(run_id, local, "files"))]


def download(url, count, size):
    # Without it each download draws bars.
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    mlflow.set_tracking_uri(url)
    client = MlflowClient(url)
    run_id = client.create_run("0").info.run_id
    client.log_artifacts(run_id, files_of(count, size), "files")
    try:
        while True:
            to = tempfile.mkdtemp(dir=".")
            yield [milliseconds(lambda: client.download_artifacts(run_id, "files", to))]
            shutil.rmtree(to)
    finally:
        mlflow.set_tracking_uri("sqlite:///mlflow.db")


def keras_model():
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras

    return keras.Sequential([keras.Input([5000]), keras.layers.Dense(5000)])


def log_model():
    model = keras_model()
    with mlflow.start_run():
        while True:
            yield [milliseconds(lambda: mlflow.keras.log_model(model, name="model"))]
            shutil.rmtree(mlflow.last_logged_model().artifact_location)


def load_model():
    with mlflow.start_run():
        info = mlflow.keras.log_model(keras_model(), name="model")
    while True:
        yield [milliseconds(lambda: mlflow.keras.load_model(info.model_uri))]


def registered(versions):
    """A client of a database of its own with a registered model of many versions."""
    client = MlflowClient(f"sqlite:///{tempfile.mkdtemp()}/registry.db")
    client.create_registered_model("bench")
    for i in range(versions):
        client.create_model_version("bench", "s3://bucket/model", tags={"even": i % 2 == 0, "by": "bench"})
    client.set_registered_model_alias("bench", "champion", versions // 2)
    return client


def register_version(versions):
    client = registered(versions)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(client.tracking_uri)
    try:
        while True:
            samples = []
            for _ in range(5):
                model = client.create_logged_model("0")
                samples.append(milliseconds(lambda: mlflow.register_model(f"models:/{model.model_id}", "bench")))
            yield samples
    finally:
        mlflow.set_tracking_uri(before)


def search_versions(versions):
    client = registered(versions)
    while True:
        yield [milliseconds(lambda: client.search_model_versions("tags.even = 'True'"))]


def version_by_alias(versions):
    client = registered(versions)
    while True:
        yield [milliseconds(lambda: client.get_model_version_by_alias("bench", "champion")) for _ in range(20)]
