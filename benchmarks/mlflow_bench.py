"""Python's side of the benchmarks: each a generator whose every `next` is a round, a list of samples.

`benchmarks.ts` holds our side and says what is measured; `peer.ts` loads this file and asks for the rounds.
"""
import time

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric

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
