/** What a training of Python's leaves behind in a run that autolog tracks, and the same of ours. */

/** One run. */
export interface TrackedTraining {
  readonly status: string;
  readonly params: Readonly<Record<string, string>>;
  /** The steps of each metric. */
  readonly metrics: Readonly<Record<string, readonly number[]>>;
  readonly tags: Readonly<Record<string, string>>;
  readonly artifacts: readonly string[];
  readonly inputs: readonly { readonly context: string; readonly schema: unknown; readonly profile: unknown }[];
  readonly outputs: readonly { readonly name: string; readonly step: number; readonly metrics: readonly string[] }[];
}

/** The trainings that are compared: early stopping ends the first, the second takes a dataset, the third throws. */
export type TrackedTrainings = Readonly<Record<"fit" | "dataset" | "failed", TrackedTraining>>;

/**
 * Tracks trainings by `mlflow.<flavor>.autolog()`; `args` are the flavors.
 *
 * Its files for TensorBoard are left out: that is another package.
 */
export const PYTHON_AUTOLOG = `
import json, os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, mlflow, numpy as np, tensorflow as tf
import mlflow.keras.save, mlflow.tensorflow.autologging

class NoTensorBoard(keras.callbacks.Callback):
    def __init__(self, log_dir):
        super().__init__()

mlflow.tensorflow.autologging._TensorBoard = NoTensorBoard
# What a model's environment has to hold is found out by loading it in another process, for many seconds.
mlflow.models.infer_pip_requirements = lambda uri, flavor, fallback=None, **_: fallback
mlflow.keras.save.infer_pip_requirements = mlflow.models.infer_pip_requirements
def compiled():
    model = keras.Sequential([
        keras.Input((2,)),
        keras.layers.Dense(4, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ])
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mean_squared_error", metrics=["accuracy"])
    return model

class Broken(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise ValueError("broken")

keras.utils.set_random_seed(1)
x = np.random.rand(20, 2).astype("float32")
y = (x.sum(1, keepdims=True) > 1).astype("float32")

def train():
    stopping = keras.callbacks.EarlyStopping(monitor="val_loss", min_delta=10, patience=1)
    given = {"verbose": 0, "validation_data": (x[:10], y[:10])}
    compiled().fit(x, y, epochs=6, batch_size=5, callbacks=[stopping], **given)
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    compiled().fit(batches, epochs=2, validation_data=batches.take(2), verbose=0, callbacks=[])
    try:
        compiled().fit(x, y, epochs=2, verbose=0, callbacks=[Broken()])
    except ValueError:
        pass

mlflow.set_tracking_uri("sqlite:///autolog.db")
client = mlflow.MlflowClient()

def paths(run_id, path=None):
    for file in client.list_artifacts(run_id, path):
        yield from paths(run_id, file.path) if file.is_dir else [file.path]

def tracked(run):
    run_id = run.info.run_id
    models = [(output, mlflow.get_logged_model(output.model_id)) for output in run.outputs.model_outputs]
    return {
        "status": run.info.status,
        "params": run.data.params,
        "metrics": {key: sorted(m.step for m in client.get_metric_history(run_id, key)) for key in run.data.metrics},
        "tags": {key: value for key, value in run.data.tags.items() if "source" not in key and key != "mlflow.user"},
        "artifacts": sorted(paths(run_id)),
        "inputs": [
            {
                "context": next(tag.value for tag in used.tags if tag.key == "mlflow.data.context"),
                "schema": json.loads(used.dataset.schema),
                "profile": json.loads(used.dataset.profile),
            }
            for used in run.inputs.dataset_inputs
        ],
        "outputs": [
            {
                "name": model.name,
                "step": output.step,
                "metrics": sorted(f"{metric.key} {metric.step}" for metric in model.metrics),
            }
            for output, model in models
        ],
    }

def named(run):
    run["tags"].pop("mlflow.runName")
    run["artifacts"] = [path for path in run["artifacts"] if path.split("/")[0] != "model"]
    return run

result = {}
for flavor in args:
    experiment = mlflow.set_experiment(flavor)
    # Keras counts the optimizers of a program in their names.
    keras.backend.clear_session()
    getattr(mlflow, flavor).autolog()
    train()
    mlflow.flush_async_logging()
    getattr(mlflow, flavor).autolog(disable=True)
    runs = client.search_runs([experiment.experiment_id], order_by=["start_time ASC"])
    result[flavor] = dict(zip(["fit", "dataset", "failed"], (named(tracked(run)) for run in runs)))
`;
