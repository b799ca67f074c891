/**
 * One line, and every training is tracked; then a second one goes on from the first one's best checkpoint.
 *
 *     deno run -A examples/autolog.ts [epochs] [digits of each kind]
 */
import * as mlflow from "@mlflow-deno/mlflow";
import * as tf from "@tensorflow/tfjs";
import { prepareDigits } from "./digits.ts";
import { buildModel } from "./model.ts";
import { howToLook } from "./options.ts";

const [epochs = 4, limit = 100] = Deno.args.map(Number);
await prepareDigits("data/digits", limit);
await mlflow.setExperiment("autolog");
await mlflow.useFastBackend(tf);
const { train, validation, classNames } = await mlflow.imageDatasetFromDirectory(tf, "data/digits", {
  imageSize: [28, 28],
  colorMode: "grayscale",
  batchSize: 32,
  validationSplit: 0.2,
  seed: 42,
  limit,
});

mlflow.autolog(tf);

const model = buildModel(tf, { size: 28, channels: 1, classes: classNames.length, learningRate: 0.001, seed: 42 });
await model.fitDataset(train, {
  epochs,
  validationData: validation,
  callbacks: tf.callbacks.earlyStopping({ monitor: "val_loss", patience: 2 }),
});
const first = (await mlflow.lastActiveRun())!;
const best = await mlflow.loadCheckpoint(tf, { runId: first.info.runId });
console.log(`run ${first.info.runName}: best after epoch ${best.epoch + 1}, ${accuracy(best.metrics)}`);

await mlflow.withRun({ runName: `goes on from ${first.info.runName}` }, async (run) => {
  await best.model.fitDataset(train, {
    initialEpoch: best.epoch + 1,
    epochs: best.epoch + 2,
    validationData: validation,
  });
  console.log(`run ${run.info.runName}: one epoch more, ${accuracy((await run.get()).data.metrics)}`);
});
console.log(howToLook(mlflow.getTrackingUri()));

function accuracy({ val_accuracy }: Readonly<Record<string, number>>): string {
  return `validation accuracy ${val_accuracy.toFixed(3)}`;
}
