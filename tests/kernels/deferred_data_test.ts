import { assert, assertEquals } from "@std/assert";
import * as tf from "@tensorflow/tfjs";
import { useFastBackend } from "../../backend.ts";
import { numbers, onCpu, onWasm, relativeDifference } from "./cpu_and_wasm.ts";

/** A convolution that waits to be computed, and what it gives. */
function waiting(shape: [number, number, number, number], channels = 8) {
  const x = tf.tensor4d(numbers(tf.util.sizeFromShape(shape), 1), shape);
  const values = numbers(9 * shape[3] * channels, 2);
  const filter = tf.tidy(() => tf.variable(tf.tensor4d(values, [3, 3, shape[3], channels])));
  const expected = tf.tidy(() => tf.conv2d(x, filter as tf.Tensor4D, 1, "same").dataSync());
  return { x, filter, result: tf.conv2d(x, filter as tf.Tensor4D, 1, "same"), expected };
}

Deno.test("a result that waits keeps the data it was asked for, whatever becomes of its inputs", async () => {
  await onWasm(async () => {
    const changes: Record<string, (inputs: { x: tf.Tensor; filter: tf.Variable }) => void | Promise<void>> = {
      "inputs are disposed": ({ x, filter }) => tf.dispose([x, filter]),
      "a variable is assigned to": ({ filter }) => filter.assign(tf.zerosLike(filter)),
      "an optimizer changes it": ({ filter }) => {
        const gradients = { [filter.name]: tf.onesLike(filter) };
        tf.train.sgd(0.1).applyGradients(gradients);
        tf.train.adam(0.1).applyGradients(gradients);
      },
      "other threads compute": async () => void await useFastBackend(tf, { threads: 3 }),
      "another backend computes": async () => void await tf.setBackend("cpu"),
      "inputs move to another backend": async ({ x, filter }) => {
        await tf.setBackend("cpu");
        tf.add(x, 1).dataSync();
        filter.assign(tf.add(filter, 1));
      },
    };
    for (const [name, change] of Object.entries(changes)) {
      await useFastBackend(tf);
      const { x, filter, result, expected } = waiting([1, 6, 5, 8]);
      await change({ x, filter });
      assertEquals(result.dataSync(), expected, name);
    }
  });
});

Deno.test("what moves to another backend while a result of it waits is given back there as well", async () => {
  await onWasm(async () => {
    await tf.setBackend("cpu");
    const held = tf.engine().backend.numDataIds();
    await useFastBackend(tf);
    const { x, filter, result, expected } = waiting([1, 6, 5, 8]);
    await tf.setBackend("cpu");
    const sum = tf.tidy(() => x.sum().add(filter.sum()));
    assertEquals(result.dataSync(), expected);
    tf.dispose([x, filter, result, sum]);
    assertEquals(tf.engine().backend.numDataIds(), held);
  });
});

Deno.test("results that make the heap grow when they are computed are read where they lie then", async () => {
  await onWasm(() => {
    const filter = tf.ones([1, 1, 1, 64]) as tf.Tensor4D;
    for (const size of [300, 400, 500, 600]) {
      tf.tidy(() => {
        // each larger than what is added to the heap at a time
        const [first, second] = [1, 2].map((value) =>
          tf.conv2d(tf.fill([1, size, size, 1], value) as tf.Tensor4D, filter, 1, "valid")
        );
        const whole = tf.concat([tf.cast(first, "int32"), tf.cast(second, "int32")], 3);
        assertEquals(whole.sum([0, 1]).min().dataSync()[0], size);
        const [third, fourth] = [3, 4].map((value) =>
          tf.conv2d(tf.fill([1, size, size, 1], value) as tf.Tensor4D, filter, 1, "valid")
        );
        assertEquals(tf.concat([third, fourth], 3).max().dataSync()[0], 4);
      });
    }
  });
});

/** Two models of shared layers, trained in turn and asked in between, on one backend after the other. */
async function trainInTurn(onto: (step: number) => Promise<unknown>): Promise<Float32Array> {
  await onto(0);
  const shared = tf.layers.conv2d({ filters: 8, kernelSize: 3, activation: "relu", padding: "same" });
  const model = (units: number) => {
    const input = tf.input({ shape: [6, 6, 8] });
    const twice = shared.apply(shared.apply(input)) as tf.SymbolicTensor;
    const pooled = tf.layers.maxPooling2d({ poolSize: 2, strides: 2 }).apply(twice);
    const normal = tf.layers.batchNormalization().apply(pooled);
    const output = tf.layers.dense({ units }).apply(tf.layers.flatten().apply(normal)) as tf.SymbolicTensor;
    return tf.model({ inputs: input, outputs: output });
  };
  const models = [model(2), model(3)];
  for (const each of models) {
    each.setWeights(
      each.getWeights().map((weight, i) =>
        tf.tidy(() =>
          tf.tensor(numbers(weight.size, i + 1), weight.shape).add(
            /gamma|variance/.test(each.weights[i].name) ? 1 : 0,
          )
        )
      ),
    );
  }
  models[0].compile({ optimizer: tf.train.momentum(0.01, 0.9), loss: "meanSquaredError" });
  models[1].compile({ optimizer: tf.train.rmsprop(0.001), loss: "meanSquaredError" });
  const x = tf.tensor(numbers(4 * 6 * 6 * 8, 7), [4, 6, 6, 8]);
  for (let step = 0; step < 4; step++) {
    await onto(step);
    for (const [i, each] of models.entries()) {
      const y = tf.tensor(numbers(4 * (i + 2), 9), [4, i + 2]);
      const asked: tf.Tensor[] = [];
      await each.fit(x, y, {
        batchSize: 2,
        epochs: 1,
        shuffle: false,
        verbose: 0,
        callbacks: { onBatchEnd: () => void asked.push(models[1 - i].predict(x) as tf.Tensor) },
      });
    }
  }
  const all = [...models.flatMap((each) => each.getWeights()), ...models.map((each) => each.predict(x) as tf.Tensor)];
  return Float32Array.from(all.flatMap((tensor) => [...tensor.dataSync()]));
}

Deno.test("models of shared layers, trained in turn and asked in callbacks, are the cpu backend's, also where backends change", async () => {
  const expected = await onCpu(() => trainInTurn(async () => {}));
  const actual = await onWasm(() => trainInTurn(async () => {}));
  const changing = await trainInTurn(async (step) => {
    if (step % 2 === 0) await tf.setBackend("cpu");
    else await useFastBackend(tf);
  });
  assert(relativeDifference(actual, expected) < 1e-4, `${relativeDifference(actual, expected)}`);
  assert(relativeDifference(changing, expected) < 1e-4, `${relativeDifference(changing, expected)}`);
});

Deno.test("training leaves no data on the heap", async () => {
  await onWasm(async () => {
    const left: number[][] = [];
    for (let round = 0; round < 3; round++) {
      const before = tf.engine().backend.numDataIds();
      const tensors = tf.memory().numTensors;
      const model = tf.sequential({
        layers: [
          tf.layers.conv2d({ inputShape: [6, 6, 8], filters: 8, kernelSize: 3, activation: "relu" }),
          tf.layers.batchNormalization(),
          tf.layers.dropout({ rate: 0.3, seed: 1 }),
          tf.layers.maxPooling2d({ poolSize: 2, strides: 2 }),
          tf.layers.flatten(),
          tf.layers.dense({ units: 2 }),
        ],
      });
      const optimizer = tf.train.adam();
      model.compile({ optimizer, loss: "meanSquaredError" });
      const [x, y] = [tf.ones([4, 6, 6, 8]), tf.ones([4, 2])];
      await model.fit(x, y, { epochs: 2, verbose: 0 });
      tf.tidy(() => void (model.predict(x) as tf.Tensor).dataSync());
      model.dispose();
      optimizer.dispose();
      tf.dispose([x, y]);
      left.push([tf.engine().backend.numDataIds() - before, tf.memory().numTensors - tensors]);
    }
    // tfjs keeps a number that its optimizers and layers share
    assertEquals(left.slice(1), [[0, 0], [0, 0]]);
  });
});
