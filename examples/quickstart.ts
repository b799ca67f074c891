/** MLflow's basics without a training: experiment, run name by tag, nested runs, params, metrics, artifacts. */
import * as mlflow from "@mlflow-deno/mlflow";

await mlflow.setExperiment("quickstart");

await mlflow.withRun({ description: "A first look at **MLflow for Deno**." }, async (run) => {
  await run.setTag("mlflow.runName", "hello-mlflow");
  await run.logParams({ epochs: 10, img_height: 64, img_width: 64 });

  for (let epoch = 0; epoch < 10; epoch++) {
    await run.logMetrics({ accuracy: 1 - 0.6 ** (epoch + 1), loss: 0.8 ** epoch }, { step: epoch });
  }
  await run.logText("Everything a run leaves behind is an artifact.\n", "notes.txt");
  await run.logDict({ augment: true, classes: ["daisy", "rose"] }, "config.yaml");

  for (const learningRate of [0.1, 0.01]) {
    await mlflow.withRun({ nested: true, runName: `lr=${learningRate}` }, async (child) => {
      await child.logParam("learning_rate", learningRate);
      await child.logMetric("accuracy", 1 - learningRate);
    });
  }

  const { info, data } = await run.get();
  console.log(`run ${info.runName} in experiment quickstart, accuracy ${data.metrics.accuracy.toFixed(3)}`);
});

console.log('look at it:   pip install "mlflow>=3.1" && mlflow ui      then http://127.0.0.1:5000');
