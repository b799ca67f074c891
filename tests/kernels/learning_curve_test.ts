import { assert, assertEquals } from "@std/assert";
import * as tf from "@tensorflow/tfjs";
import { numbers, onCpu, onWasm, relativeDifference } from "./cpu_and_wasm.ts";

/** A small convolutional network with weights that are the same in every run. */
function smallCnn(): tf.Sequential {
  const initializer = (seed: number) => ({ kernelInitializer: tf.initializers.glorotUniform({ seed }) });
  const model = tf.sequential({
    layers: [
      tf.layers.conv2d({ inputShape: [12, 12, 3], filters: 8, kernelSize: 3, activation: "relu", ...initializer(1) }),
      tf.layers.maxPooling2d({ poolSize: [2, 2] }),
      tf.layers.conv2d({ filters: 16, kernelSize: 3, padding: "same", activation: "relu", ...initializer(2) }),
      tf.layers.maxPooling2d({ poolSize: [2, 2] }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 32, activation: "relu", ...initializer(3) }),
      tf.layers.dense({ units: 10, activation: "softmax", ...initializer(4) }),
    ],
  });
  model.compile({ optimizer: tf.train.adam(1e-3), loss: "categoricalCrossentropy", metrics: ["accuracy"] });
  return model;
}

function examples(count: number): { x: tf.Tensor; y: tf.Tensor } {
  const labels = Array.from({ length: count }, (_, i) => i % 10);
  return {
    x: tf.tensor4d(numbers(count * 12 * 12 * 3, 7), [count, 12, 12, 3]),
    y: tf.oneHot(labels, 10).toFloat(),
  };
}

Deno.test("30 steps of Adam lose as on the cpu backend", async () => {
  const losses = async () => {
    const model = smallCnn();
    const { x, y } = examples(16);
    const all: number[] = [];
    for (let step = 0; step < 30; step++) all.push((await model.trainOnBatch(x, y) as number[])[0]);
    return all;
  };
  const expected = await onCpu(losses);
  const actual = await onWasm(losses);
  const worst = Math.max(...actual.map((loss, step) => relativeDifference([loss], [expected[step]])));
  assert(worst <= 1e-5, `losses differ by ${worst}`);
  assert(actual[29] < actual[0] * 0.9, `the loss fell from ${actual[0]} to ${actual[29]} only`);
});

Deno.test("fit leaves no tensor and no data behind", async () => {
  await onWasm(async () => {
    const model = smallCnn();
    const { x, y } = examples(40);
    const held: number[][] = [];
    await model.fit(x, y, {
      batchSize: 16,
      epochs: 4,
      validationSplit: 0.2,
      yieldEvery: "never",
      verbose: 0,
      callbacks: {
        onEpochEnd: async () => void held.push([tf.memory().numTensors, tf.engine().backend.numDataIds()]),
      },
    });
    assertEquals(held.slice(2), [held[1], held[1]]); // the first epoch makes the optimizer's own variables
  });
});
