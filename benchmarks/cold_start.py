"""What `cold_start` measures of Python's mlflow: `cold_start.py DATABASE`."""
import sys

import mlflow

mlflow.set_tracking_uri(f"sqlite:///{sys.argv[1]}")
mlflow.set_experiment("cold start")
mlflow.start_run()
mlflow.log_metric("loss", 0.5, step=0)
print("logged", flush=True)
