import { assert, assertEquals } from "@std/assert";
import * as tf from "@tensorflow/tfjs";
import { numbers, onCpu, onWasm, relativeDifference } from "./cpu_and_wasm.ts";

Deno.test("clipByValue of whole numbers is the cpu backend's", async () => {
  const clip = () => tf.clipByValue(tf.tensor1d([-3, -1, 0, 1, 2, 7], "int32"), -1, 2.5).dataSync();
  assertEquals(await onWasm(clip), await onCpu(clip));
});

Deno.test("reversed, sliced and accumulated booleans are the cpu backend's", async () => {
  const results = () => {
    const x = tf.tensor2d([1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 1, 1], [3, 4], "bool");
    const all = [
      tf.reverse(x, 1),
      tf.stridedSlice(x, [0, 0], [3, 4], [2, 3]),
      tf.stridedSlice(tf.range(0, 12, 1, "int32"), [1], [11], [3]),
      tf.cumsum(x, 1),
      tf.cumsum(x, 0, true, true),
      tf.cumprod(x, 1),
    ];
    return all.map((tensor) => [tensor.dtype, tensor.shape, Array.from(tensor.dataSync())]);
  };
  assertEquals(await onWasm(results), await onCpu(results));
});

Deno.test("the gradient of a nearest-neighbour upsampling is the sum over its blocks, for a batch too", async () => {
  await onWasm(() => {
    const weights = tf.range(0, 2 * 10 * 8 * 3);
    const gradient = tf.grad((x: tf.Tensor) =>
      tf.image.resizeNearestNeighbor(x as tf.Tensor4D, [10, 8]).mul(weights.reshape([2, 10, 8, 3])).sum()
    )(tf.ones([2, 5, 4, 3]));
    assertEquals(gradient.dataSync(), weights.reshape([2, 5, 2, 4, 2, 3]).sum([2, 4]).dataSync());
  });
});

Deno.test("max pooling's gradient passes NaN over, as on the cpu backend", async () => {
  const gradient = () => {
    const values = [NaN, 1, 2, NaN, NaN, NaN, NaN, NaN, -1, -1, NaN, -2, -Infinity, -Infinity, -Infinity, -Infinity];
    const x = tf.tensor4d(values, [4, 2, 2, 1]);
    return tf.grad((x: tf.Tensor) => tf.maxPool(x as tf.Tensor4D, 2, 2, "valid").flatten().slice(0, 4))(
      x,
      tf.tensor1d([1, 2, 3, 4]),
    ).dataSync();
  };
  assertEquals(await onWasm(gradient), await onCpu(gradient));
});

// tfjs differentiates no dilated convolution, so that no model reaches these; the kernels take dilations all the same
for (const kind of ["Conv2D", "DepthwiseConv2dNative"] as const) {
  Deno.test(`${kind}: gradients with strides and dilations are those of its sums`, async () => {
    await onWasm(() => {
      const attrs = { strides: [2, 1], dilations: [2, 3], pad: "same", dataFormat: "NHWC" };
      const x = tf.tensor4d(numbers(2 * 9 * 8 * 3, 1), [2, 9, 8, 3]);
      const filter = tf.tensor4d(numbers(3 * 2 * 3 * 2, 2), [3, 2, 3, 2]);
      const run = (kernelName: string, inputs: tf.NamedTensorMap, more = {}): tf.Tensor =>
        tf.engine().runKernel(kernelName, inputs, { ...attrs, ...more });
      const dy = tf.tensor(
        numbers(tf.util.sizeFromShape(run(kind, { x, filter }).shape), 3),
        run(kind, { x, filter }).shape,
      );
      /** The convolution is linear in each argument: its gradient is its value for each unit vector, weighted by dy. */
      const slopes = (size: number, value: (unit: Float32Array) => tf.Tensor) =>
        Array.from({ length: size }, (_, i) => {
          const unit = new Float32Array(size);
          unit[i] = 1;
          return tf.tidy(() => value(unit).mul(dy).sum().dataSync()[0]);
        });

      const ofFilter = run(`${kind}BackpropFilter`, { x, dy }, { filterShape: filter.shape });
      const ofInput = run(`${kind}BackpropInput`, { dy, filter }, { inputShape: x.shape });

      const wantedOfFilter = slopes(filter.size, (unit) => run(kind, { x, filter: tf.tensor(unit, filter.shape) }));
      const wantedOfInput = slopes(x.size, (unit) => run(kind, { x: tf.tensor(unit, x.shape), filter }));
      assert(relativeDifference(ofFilter.dataSync() as Float32Array, wantedOfFilter) < 2e-5);
      assert(relativeDifference(ofInput.dataSync() as Float32Array, wantedOfInput) < 2e-5);
    });
  });
}

Deno.test("batch normalization keeps the variance of numbers far from zero", async () => {
  const [rows, columns] = [20_000, 5];
  const values = numbers(rows * columns, 7).map((value, i) => 1000 * (i % columns) + value);
  const column = (c: number) => Array.from({ length: rows }, (_, r) => values[r * columns + c]);
  const mean = (of: number[]) => of.reduce((sum, value) => sum + value, 0) / of.length;
  const means = Array.from({ length: columns }, (_, c) => mean(column(c)));
  const variances = means.map((center, c) => mean(column(c).map((value) => (value - center) ** 2)));
  for (const threads of [1, 2, 4]) {
    const [ours, spread] = await onWasm(() => {
      const [ones, zeros] = [tf.ones([columns]), tf.zeros([columns])];
      const inputs = { x: tf.tensor(values, [rows, columns]), gamma: ones, beta: zeros };
      const outputs = tf.engine().runKernel(
        "BatchNormTraining",
        { ...inputs, movingMean: zeros, movingVariance: ones },
        { epsilon: 1e-3, momentum: 0.9 },
      ) as unknown as tf.Tensor[];
      return outputs.slice(1, 3).map((tensor) => tensor.dataSync());
    }, threads);
    assert(relativeDifference(ours, means) < 1e-6);
    assert(relativeDifference(spread, variances) < 1e-4);
  }
});

Deno.test("depthwise convolutions with a dilation, a bias and an activation are the cpu backend's", async () => {
  const results = () =>
    [[1, 1], [2, 2], [1, 2], [2, 1]].flatMap((dilations) =>
      [4, 11].flatMap((channels) =>
        [3, 5].map((size) => {
          const x = tf.tensor4d(numbers(2 * 9 * 11 * channels, 1), [2, 9, 11, channels]);
          const filter = tf.tensor4d(numbers(size * size * channels, 2), [size, size, channels, 1]);
          const bias = tf.tensor1d(numbers(channels, 3));
          const pad = "same";
          return tf.fused.depthwiseConv2d({
            x,
            filter,
            bias,
            strides: 1,
            pad,
            dilations: dilations as [number, number],
            activation: "relu",
          }).dataSync();
        })
      )
    );
  const expected = await onCpu(results);
  const actual = await onWasm(results);
  for (const [i, result] of actual.entries()) assert(relativeDifference(result, expected[i]) < 1e-5);
});
