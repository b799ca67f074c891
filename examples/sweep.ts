/**
 * One training for each of some learning rates: a parent run with a nested run each, and the best one named in it.
 *
 *     deno run -A examples/sweep.ts --epochs 3
 */
import * as mlflow from "@mlflow-deno/mlflow";
import * as tf from "@tensorflow/tfjs";
import { prepareDigits } from "./digits.ts";
import { buildModel } from "./model.ts";
import { howToLook, type Options, type Program, runProgram } from "./options.ts";

const LEARNING_RATES = [0.01, 0.003, 0.001, 0.0003];
const PROGRAM: Program = {
  does: "Trains an image classifier once for each of some learning rates, as nested runs.",
  epochs: 3,
  digits: 100,
  learningRates: LEARNING_RATES,
};

await runProgram("sweep.ts", PROGRAM, sweep);

async function sweep(options: Options): Promise<void> {
  const { epochs, batchSize, validationSplit, seed, data, limit, trackingUri, experimentId } = options;
  if (trackingUri !== undefined) mlflow.setTrackingUri(trackingUri);
  await mlflow.setExperiment(experimentId ? { experimentId } : options.experiment ?? "sweep");
  const directory = data ?? "data/digits";
  if (data === undefined) await prepareDigits(directory, limit ?? PROGRAM.digits);
  const size = options.imageSize ?? (data === undefined ? 28 : 64);
  const channels = data === undefined ? 1 : 3;

  await mlflow.useFastBackend(tf);
  const { train, validation, classNames } = await mlflow.imageDatasetFromDirectory(tf, directory, {
    imageSize: [size, size],
    colorMode: channels === 1 ? "grayscale" : "rgb",
    batchSize,
    validationSplit,
    seed,
    limit: limit ?? (data === undefined ? PROGRAM.digits : undefined),
  });

  // The run of a project has its name.
  const runName = options.runName ?? (experimentId ? undefined : "learning rates");
  await mlflow.withRun({ runName }, async (parent) => {
    await parent.logParams({ epochs, batch_size: batchSize, img_height: size, img_width: size, seed });
    let best = { learningRate: NaN, accuracy: -Infinity, runId: "" };
    for (const learningRate of LEARNING_RATES) {
      await mlflow.withRun({ nested: true, runName: `lr=${learningRate}` }, async (run) => {
        await run.logParam("learning_rate", learningRate);
        const model = buildModel(tf, { size, channels, classes: classNames.length, learningRate, seed });
        await model.fitDataset(train, {
          epochs,
          validationData: validation,
          callbacks: mlflow.mlflowCallback({ run, model }),
        });
        const accuracy = (await run.get()).data.metrics.val_accuracy;
        console.log(`lr=${learningRate}: validation accuracy ${accuracy.toFixed(3)}`);
        if (accuracy > best.accuracy) best = { learningRate, accuracy, runId: run.runId };
        model.dispose();
      });
    }
    await parent.logParam("best_learning_rate", best.learningRate);
    await parent.setTag("best_run_id", best.runId);
    await parent.logMetric("val_accuracy", best.accuracy);
    console.log(`best: lr=${best.learningRate}, validation accuracy ${best.accuracy.toFixed(3)}, run ${best.runId}`);
    console.log(howToLook(mlflow.getTrackingUri()));
  });
}
