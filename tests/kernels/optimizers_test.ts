import { assertEquals } from "@std/assert";
import * as tf from "@tensorflow/tfjs";
import { numbers, onCpu, onWasm, relativeDifference } from "./cpu_and_wasm.ts";

const OPTIMIZERS: Readonly<Record<string, () => tf.Optimizer>> = {
  sgd: () => tf.train.sgd(0.1),
  momentum: () => tf.train.momentum(0.1, 0.9),
  adagrad: () => tf.train.adagrad(0.1),
  rmsprop: () => tf.train.rmsprop(0.1, 0.9, 0.5, 1e-7, true),
  adam: () => tf.train.adam(0.1),
};

for (const [name, make] of Object.entries(OPTIMIZERS)) {
  Deno.test(`a step of ${name} leaves alone what shares a variable's data`, async () => {
    await onWasm(() => {
      const initial = tf.tensor4d(numbers(2 * 2 * 3 * 4, 1), [2, 2, 3, 4]);
      const variable = tf.variable(initial);
      const image = tf.tensor4d(numbers(5 * 5 * 3, 2), [1, 5, 5, 3]);
      const optimizer = make();
      const before = variable.dataSync().slice();
      const step = () => void optimizer.minimize(() => variable.square().sum() as tf.Scalar);
      step(); // the first tensor and the variable share their data
      assertEquals(initial.dataSync(), before);

      const [clone, flat, values] = [variable.clone(), variable.flatten(), variable.dataSync().slice()];
      const waiting = tf.conv2d(image, variable as unknown as tf.Tensor4D, 1, "valid");
      const expected = tf.conv2d(image, tf.tensor4d(values, [2, 2, 3, 4]), 1, "valid").dataSync();
      step();
      assertEquals(clone.dataSync(), values);
      assertEquals(flat.dataSync(), values);
      assertEquals(waiting.dataSync(), expected);
      assertEquals(variable.dataSync().some((value, i) => value === values[i]), false);
    });
  });

  Deno.test(`steps of ${name} make no further data`, async () => {
    await onWasm(() => {
      const variable = tf.tidy(() => tf.variable(tf.tensor1d(numbers(100, 1))));
      const optimizer = make();
      const held = () => [tf.memory().numTensors, tf.memory().numBytes, tf.engine().backend.numDataIds()];
      const step = () => void optimizer.minimize(() => variable.square().sum() as tf.Scalar);
      step();
      const before = held();
      for (let i = 0; i < 10; i++) step();
      assertEquals(held(), before);
    });
  });
}

Deno.test("a rectifier whose slopes were changed in their place computes with the new ones", async () => {
  const run = () =>
    tf.tidy(() => {
      const x: tf.Tensor = tf.tensor(numbers(40, 1), [8, 5]);
      const alpha: tf.Tensor = tf.variable(tf.tensor1d([0.1, 0.2, 0.3, 0.4, 0.5]));
      const optimizer = tf.train.sgd(0.5);
      const values: Float32Array[] = [];
      for (let i = 0; i < 3; i++) {
        values.push(tf.prelu(x, alpha).dataSync() as Float32Array);
        optimizer.minimize(() => tf.prelu(x, alpha).sum() as tf.Scalar);
      }
      return values;
    });
  const [actual, expected] = [await onWasm(run), await onCpu(run)];
  assertEquals(actual.map((values, i) => relativeDifference(values, expected[i]) < 1e-5), [true, true, true]);
});
