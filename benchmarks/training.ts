/**
 * Trains one of the jobs that `training_benchmarks.ts` measures, and prints the seconds of each epoch as JSON;
 * `training.py` does the same with Keras.
 *
 *     deno run benchmarks/training.ts reference|digits|separable EPOCHS
 */
import * as tf from "@tensorflow/tfjs";
import { useFastBackend } from "../backend.ts";
import { buildModel } from "../examples/model.ts";

/** What is trained, and on how many images of which shape. */
interface Job {
  readonly images: number;
  readonly shape: [number, number, number];
  readonly build: () => tf.LayersModel;
}

const { layers } = tf;
const CLASSES = 10;
const BATCH = 32;

const JOBS: Readonly<Record<string, Job>> = {
  reference: { images: 1024, shape: [64, 64, 3], build: reference },
  digits: {
    images: 2400,
    shape: [28, 28, 1],
    build: () => buildModel(tf, { size: 28, channels: 1, classes: CLASSES, learningRate: 1e-3, seed: 42 }),
  },
  separable: { images: 512, shape: [96, 96, 3], build: separable },
};

/** Three convolutions and pools, and two dense layers. */
function reference(): tf.LayersModel {
  const model = tf.sequential();
  for (const [i, filters] of [16, 32, 64].entries()) {
    const inputShape = i === 0 ? [64, 64, 3] : undefined;
    model.add(layers.conv2d({ inputShape, filters, kernelSize: 3, padding: "same", activation: "relu" }));
    model.add(layers.maxPooling2d({ poolSize: 2 }));
  }
  model.add(layers.flatten());
  model.add(layers.dense({ units: 128, activation: "relu" }));
  model.add(layers.dense({ units: CLASSES, activation: "softmax" }));
  return compiled(model);
}

/** Depthwise-separable blocks with batch normalization, as in MobileNet. */
function separable(): tf.LayersModel {
  const model = tf.sequential();
  const normalized = (convolution: tf.layers.Layer) => {
    model.add(convolution);
    model.add(layers.batchNormalization());
    model.add(layers.activation({ activation: "relu" }));
  };
  const shared = { padding: "same", useBias: false } as const;
  normalized(layers.conv2d({ ...shared, inputShape: [96, 96, 3], filters: 16, kernelSize: 3, strides: 2 }));
  for (const [filters, strides] of [[32, 1], [64, 2], [64, 1], [128, 2]]) {
    normalized(layers.depthwiseConv2d({ ...shared, kernelSize: 3, strides }));
    normalized(layers.conv2d({ ...shared, filters, kernelSize: 1 }));
  }
  model.add(layers.globalAveragePooling2d({}));
  model.add(layers.dense({ units: CLASSES, activation: "softmax" }));
  return compiled(model);
}

function compiled(model: tf.Sequential): tf.LayersModel {
  model.compile({ optimizer: "adam", loss: "sparseCategoricalCrossentropy", metrics: ["accuracy"] });
  return model;
}

/** Noise, to which the class adds a little brightness in one channel. */
function examples({ images, shape: [height, width, channels] }: Job): { x: tf.Tensor; y: tf.Tensor } {
  const size = height * width * channels;
  const values = new Float32Array(images * size);
  const labels = Float32Array.from({ length: images }, (_, i) => i % CLASSES);
  let state = 1;
  for (let i = 0; i < values.length; i++) {
    state = Math.imul(state, 1664525) + 1013904223;
    values[i] = (state >>> 8) / 2 ** 25;
  }
  for (let i = 0; i < values.length; i += channels) {
    const label = labels[Math.floor(i / size)];
    values[i + label % channels] += label * 0.05;
  }
  return { x: tf.tensor(values, [images, height, width, channels]), y: tf.tensor(labels, [images, 1]) };
}

await useFastBackend(tf);
const [name, epochs] = Deno.args;
const job = JOBS[name];
const model = job.build();
const { x, y } = examples(job);
const seconds: number[] = [];
let begin = 0;
let loss = NaN;
await model.fit(x, y, {
  batchSize: BATCH,
  epochs: Number(epochs),
  verbose: 0,
  yieldEvery: "never",
  callbacks: {
    onEpochBegin: async () => void (begin = performance.now()),
    onEpochEnd: async (_, logs) => {
      seconds.push((performance.now() - begin) / 1000);
      loss = logs!.loss;
    },
  },
});
console.log(JSON.stringify({ seconds, loss }));
