/**
 * Trains an image classifier on a folder of class folders, and tracks it: parameters, metrics of each epoch, curves,
 * confusion matrix, predictions, files, source and model. Without `--data` it first makes a folder of handwritten digits.
 *
 *     deno run -A examples/train.ts --help
 */
import * as mlflow from "@mlflow-deno/mlflow";
import { basename } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { prepareDigits } from "./digits.ts";
import { buildModel } from "./model.ts";
import { howToLook, type Options, type Program, runProgram } from "./options.ts";
import { progress } from "./progress.ts";

const PROGRAM: Program = { does: "Trains an image classifier and tracks it with MLflow.", epochs: 8, digits: 300 };
/** Pictures in the grid of predictions. */
const GRID = 24;

if (import.meta.main) await runProgram("train.ts", PROGRAM, train);

/** Trains and tracks one model, and says what was reached. */
export async function train(options: Options): Promise<void> {
  if (options.trackingUri !== undefined) mlflow.setTrackingUri(options.trackingUri);
  const name = options.data === undefined
    ? "digits"
    : basename(await Deno.realPath(options.data).catch(() => options.data!));
  const directory = options.data ?? "data/digits";
  // First what can be wrong at once, then what takes long.
  const { experimentId } = options;
  const experiment = await mlflow.setExperiment(experimentId ? { experimentId } : options.experiment ?? name);
  if (options.data === undefined) await prepareDigits(directory, options.limit ?? PROGRAM.digits);

  const backend = await mlflow.useFastBackend(tf);
  const { epochs, batchSize, learningRate, validationSplit, seed } = options;
  const size = options.imageSize ?? (options.data === undefined ? 28 : 64);
  const colorMode = options.data === undefined ? "grayscale" : "rgb";
  const { train, validation, classNames, files } = await mlflow.imageDatasetFromDirectory(tf, directory, {
    imageSize: [size, size],
    colorMode,
    batchSize,
    validationSplit,
    seed,
    limit: options.limit ?? (options.data === undefined ? PROGRAM.digits : undefined),
  });
  if (classNames.length < 2) {
    throw new Error(`Cannot train on "${directory}": it has one class folder, "${classNames[0]}", and two are wanted`);
  }
  const trained = files.filter(({ split }) => split === "train").length;
  const count = (value: number) => value.toLocaleString("en");
  console.log(
    `${name}: ${count(files.length)} images of ${classNames.length} classes, ${count(trained)} to train on, ` +
      `${count(files.length - trained)} to validate`,
  );
  console.log(`training on ${backend.description}`);

  const start = performance.now();
  await mlflow.withRun({ runName: options.runName }, async (run) => {
    const params = {
      epochs,
      img_height: size,
      img_width: size,
      batch_size: batchSize,
      learning_rate: learningRate,
      optimizer: "adam",
      seed,
      validation_split: validationSplit,
      num_images: files.length,
      num_classes: classNames.length,
    };
    await run.logParams(params);
    await run.logDict({ ...params, data: directory, color_mode: colorMode }, "config.yaml");
    await run.logDict(classNames, "class_names.json");
    await run.logText(filesAsCsv(files), "data/files.csv");
    if (import.meta.filename !== undefined) await run.logArtifact(import.meta.filename, "code");

    const channels = colorMode === "grayscale" ? 1 : 3;
    const model = buildModel(tf, { size, channels, classes: classNames.length, learningRate, seed });
    const history = await model.fitDataset(train, {
      epochs,
      validationData: validation,
      callbacks: [
        new tf.CustomCallback(mlflow.mlflowCallback({ run, model })),
        new tf.CustomCallback(progress(epochs, Math.ceil(trained / batchSize))),
      ],
    });

    await run.logFigure(await mlflow.trainingCurves(history, "accuracy"), "plots/accuracy.png");
    await run.logFigure(await mlflow.trainingCurves(history, "loss"), "plots/loss.png");
    const { labels, predictions, pictures } = await predict(model, validation);
    await run.logFigure(
      await mlflow.confusionMatrix(labels, predictions, {
        classNames,
        title: "Confusion matrix of the validation set",
      }),
      "plots/confusion_matrix.png",
    );
    const items = pictures.map((image, i) => ({
      image,
      caption: labels[i] === predictions[i]
        ? classNames[labels[i]]
        : `${classNames[predictions[i]]}, is ${classNames[labels[i]]}`,
      mark: labels[i] === predictions[i] ? "right" as const : "wrong" as const,
    }));
    await run.logFigure(await mlflow.imageGrid(items, { title: "Sample predictions" }), "plots/predictions.png");
    const logged = await run.logModel(model, {
      name: "classifier",
      modelType: "classifier",
      inputExample: tf.tensor(Float32Array.from(pictures[0].data), [1, size, size, channels]),
      metadata: { class_names: classNames },
    });

    const { info, data } = await run.get();
    const seconds = Math.round((performance.now() - start) / 1000);
    console.log(
      `run ${info.runName} finished in ${seconds} s, validation accuracy ${data.metrics.val_accuracy.toFixed(3)}`,
    );
    console.log(`  experiment  ${experiment.name} in ${mlflow.getTrackingUri()}`);
    console.log("  plots       plots/accuracy.png  plots/loss.png  plots/confusion_matrix.png  plots/predictions.png");
    console.log(`  model       models:/${logged.modelId}`);
    console.log(howToLook(mlflow.getTrackingUri()));
  });
}

type Model = ReturnType<typeof buildModel>;

/** The validation set's labels and what the model takes them for, and its first pictures. */
async function predict(
  model: Model,
  validation: tf.data.Dataset<tf.TensorContainer>,
): Promise<{ labels: number[]; predictions: number[]; pictures: mlflow.Image[] }> {
  const labels: number[] = [];
  const predictions: number[] = [];
  const pictures: mlflow.Image[] = [];
  await validation.forEachAsync((batch) => {
    const { xs, ys } = batch as { xs: tf.Tensor4D; ys: tf.Tensor1D };
    labels.push(...ys.dataSync());
    predictions.push(...tf.tidy(() => (model.predict(xs) as tf.Tensor2D).argMax(1).dataSync()));
    const [count, height, width, channels] = xs.shape;
    const values = xs.dataSync() as Float32Array;
    for (let i = 0; i < count && pictures.length < GRID; i++) {
      const length = height * width * channels;
      pictures.push({ width, height, channels: channels as 1 | 3, data: values.slice(i * length, (i + 1) * length) });
    }
    tf.dispose(batch);
  });
  return { labels, predictions, pictures };
}

function filesAsCsv(files: readonly mlflow.ImageFile[]): string {
  const quoted = (value: string | number) =>
    /[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : value;
  const rows = files.map(({ path, className, split, bytes, width, height, sha256 }) =>
    [path, className, split, bytes, width, height, sha256].map(quoted).join(",")
  );
  return ["path,class,split,bytes,width,height,sha256", ...rows].join("\n") + "\n";
}
