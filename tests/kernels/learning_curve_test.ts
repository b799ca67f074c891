import { assert, assertEquals } from "@std/assert";
import * as tf from "@tensorflow/tfjs";
import { numbers, onCpu, onWasm, relativeDifference, THREADS } from "./cpu_and_wasm.ts";

const { layers } = tf;
const STEPS = 50;
const BATCH = 8;

interface Model {
  readonly inputShape: number[];
  readonly optimizer: () => tf.Optimizer;
  readonly layers: (seed: () => ReturnType<typeof tf.initializers.glorotUniform>) => tf.layers.Layer[];
}

/** One of each family of models, with weights that are the same in every run. */
const MODELS: Readonly<Record<string, Model>> = {
  "a convolutional network": {
    inputShape: [12, 12, 3],
    optimizer: () => tf.train.adam(1e-3),
    layers: (kernelInitializer) => [
      layers.conv2d({ filters: 8, kernelSize: 3, activation: "relu", kernelInitializer: kernelInitializer() }),
      layers.maxPooling2d({ poolSize: 2 }),
      layers.conv2d({
        filters: 16,
        kernelSize: 3,
        padding: "same",
        activation: "relu",
        kernelInitializer: kernelInitializer(),
        kernelRegularizer: tf.regularizers.l2({ l2: 1e-3 }),
      }),
      layers.maxPooling2d({ poolSize: 2 }),
      layers.flatten(),
      layers.dense({ units: 16, activation: "relu", kernelInitializer: kernelInitializer() }),
    ],
  },
  "a depthwise-separable network with batch normalization": {
    inputShape: [12, 12, 4],
    optimizer: () => tf.train.momentum(0.05, 0.9),
    layers: (kernelInitializer) => [
      layers.depthwiseConv2d({ kernelSize: 3, padding: "same", depthwiseInitializer: kernelInitializer() }),
      layers.batchNormalization(),
      layers.activation({ activation: "relu" }),
      layers.conv2d({ filters: 8, kernelSize: 1, useBias: false, kernelInitializer: kernelInitializer() }),
      layers.batchNormalization(),
      layers.activation({ activation: "relu6" }),
      layers.globalAveragePooling2d({}),
    ],
  },
  "an encoder and a decoder": {
    inputShape: [8, 8, 3],
    optimizer: () => tf.train.rmsprop(1e-3),
    layers: (kernelInitializer) => [
      layers.conv2d({ filters: 8, kernelSize: 3, strides: 2, padding: "same", kernelInitializer: kernelInitializer() }),
      layers.activation({ activation: "elu" }),
      layers.conv2dTranspose({
        filters: 8,
        kernelSize: 3,
        strides: 2,
        padding: "same",
        kernelInitializer: kernelInitializer(),
      }),
      // no upSampling2d: the cpu backend's own gradient of it is wrong for a batch
      layers.zeroPadding2d({ padding: 1 }),
      layers.averagePooling2d({ poolSize: 3, strides: 2, padding: "same" }),
      layers.flatten(),
    ],
  },
  "a recurrent network": {
    inputShape: [4, 5],
    optimizer: () => tf.train.adam(1e-3),
    layers: (kernelInitializer) => [
      layers.lstm({
        units: 6,
        returnSequences: true,
        kernelInitializer: kernelInitializer(),
        recurrentInitializer: kernelInitializer(),
      }),
      layers.gru({ units: 5, kernelInitializer: kernelInitializer(), recurrentInitializer: kernelInitializer() }),
    ],
  },
  "a dense network": {
    inputShape: [20],
    optimizer: () => tf.train.sgd(0.05),
    layers: (kernelInitializer) => [
      layers.dense({ units: 24, activation: "tanh", kernelInitializer: kernelInitializer() }),
      layers.dense({ units: 16, activation: "selu", kernelInitializer: kernelInitializer() }),
    ],
  },
};

function build({ inputShape, optimizer, layers: under }: Model): tf.Sequential {
  let seed = 1;
  const kernelInitializer = () => tf.initializers.glorotUniform({ seed: seed++ });
  const model = tf.sequential({
    layers: [
      layers.inputLayer({ inputShape }),
      ...under(kernelInitializer),
      layers.dense({ units: 10, activation: "softmax", kernelInitializer: kernelInitializer() }),
    ],
  });
  model.compile({ optimizer: optimizer(), loss: "categoricalCrossentropy", metrics: ["accuracy"] });
  return model;
}

function examples({ inputShape }: Model, count: number): { x: tf.Tensor; y: tf.Tensor } {
  const labels = Array.from({ length: count }, (_, i) => i % 10);
  const shape = [count, ...inputShape];
  return { x: tf.tensor(numbers(tf.util.sizeFromShape(shape), 7), shape), y: tf.oneHot(labels, 10).toFloat() };
}

async function lossesOf(description: Model): Promise<number[]> {
  const model = build(description);
  const { x, y } = examples(description, BATCH);
  const losses: number[] = [];
  for (let step = 0; step < STEPS; step++) losses.push((await model.trainOnBatch(x, y) as number[])[0]);
  return losses;
}

for (const [name, description] of Object.entries(MODELS)) {
  Deno.test(`${STEPS} steps of ${name} lose as on the cpu backend, and the same bits each time`, async () => {
    const losses = () => lossesOf(description);
    const expected = await onCpu(losses);
    for (const threads of THREADS) {
      const actual = await onWasm(losses, threads);
      const worst = Math.max(...actual.map((loss, step) => relativeDifference([loss], [expected[step]])));
      assert(worst <= 1e-4, `losses differ by ${worst} on ${threads} threads`);
      assert(actual.at(-1)! < actual[0] * 0.98, `the loss fell from ${actual[0]} to ${actual.at(-1)} only`);
      assertEquals(await onWasm(losses, threads), actual);
    }
  });
}

Deno.test("a training holds no more tensors, data and heap after 30 epochs than after 2", async () => {
  await onWasm(async () => {
    const description = MODELS["a convolutional network"];
    const model = build(description);
    const { x, y } = examples(description, 40);
    const held: number[][] = [];
    await model.fit(x, y, {
      batchSize: 16,
      epochs: 30,
      validationSplit: 0.2,
      yieldEvery: "never",
      verbose: 0,
      callbacks: {
        onEpochEnd: async () => {
          const { numTensors, numBytes } = tf.memory();
          const backend = tf.engine().backend as unknown as { numDataIds(): number; wasm: { HEAPU8: Uint8Array } };
          held.push([numTensors, numBytes, backend.numDataIds(), backend.wasm.HEAPU8.length]);
        },
      },
    });
    assertEquals(held.slice(2), Array(28).fill(held[1])); // the first epoch makes the optimizer's own variables
  });
});
