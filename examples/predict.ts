/**
 * Loads a logged model and classifies image files; without a model's URI the newest one logged to an experiment.
 *
 *     deno run -A examples/predict.ts data/digits/7/0000.png [--model models:/m-…] [--experiment digits]
 */
import * as mlflow from "@mlflow-deno/mlflow";
import * as tf from "@tensorflow/tfjs";
import { parseArgs } from "node:util";

const USAGE = `Classifies image files with a logged model.

  predict.ts FILE …       the images
  --model URI             the model, models:/m-…                            (the experiment's newest)
  --experiment NAME       the experiment whose newest model is taken        (digits)
  --help                  this text`;

const client = new mlflow.MlflowClient();

try {
  await predict();
} catch (error) {
  console.error(`predict.ts: ${(error as Error).message}`);
  Deno.exit(1);
}

async function predict(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: {
      model: { type: "string" },
      experiment: { type: "string", default: "digits" },
      help: { type: "boolean", short: "h" },
    },
    allowPositionals: true,
  });
  if (values.help) return console.log(USAGE);
  if (positionals.length === 0) throw new Error(`which image? Give the paths of image files\n\n${USAGE}`);

  const modelId = values.model?.replace(/^models:\/+/, "") ?? await newestModel(values.experiment);
  const { name, sourceRunId } = await client.getLoggedModel(modelId);
  const classNames: string[] = sourceRunId === undefined
    ? []
    : JSON.parse(new TextDecoder().decode(await client.readArtifact(sourceRunId, "class_names.json")));

  await mlflow.useFastBackend(tf);
  const model = await mlflow.loadModel(tf, `models:/${modelId}`);
  const [, height, width, channels] = model.inputs[0].shape as [null, number, number, number];
  console.log(`model ${name} (models:/${modelId})`);

  for (const path of positionals) {
    const colorMode = channels === 1 ? "grayscale" : "rgb";
    const image = await mlflow.loadImage(path, { imageSize: [height, width], colorMode });
    const scores = tf.tidy(() => {
      const batch = tf.tensor4d(Float32Array.from(image.data), [1, height, width, channels]);
      return (model.predict(batch) as tf.Tensor).dataSync();
    });
    const ranked = [...scores].map((score, i) => ({ score, name: classNames[i] ?? `class ${i}` }))
      .sort((a, b) => b.score - a.score);
    const shown = ranked.slice(0, 3).map(({ score, name }) => `${name} ${(100 * score).toFixed(1)} %`);
    console.log(`${path}: ${shown.join(", ")}`);
  }
}

/** The id of the model that was logged last to the experiment. */
async function newestModel(experimentName: string): Promise<string> {
  const experiment = await client.getExperimentByName(experimentName);
  const models = experiment === undefined
    ? []
    : await client.searchLoggedModels({ experimentIds: [experiment.experimentId], maxResults: 1 }).toArray();
  if (models.length > 0) return models[0].modelId;
  throw new Error(`no model was logged to experiment "${experimentName}" yet; examples/train.ts logs one`);
}
