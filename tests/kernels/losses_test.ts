import { assert, assertEquals } from "@std/assert";
import * as tf from "@tensorflow/tfjs";
import { numbers, onCpu, onWasm, relativeDifference } from "./cpu_and_wasm.ts";

type Loss = (target: tf.Tensor, output: tf.Tensor) => tf.Tensor;

/** The loss function that a model has once it is compiled with a loss of this name. */
function lossOf(loss: string | string[] | Record<string, string>, output = 0): Loss {
  const input = tf.input({ shape: [2] });
  const outputs = ["first", "second"].map((name) => tf.layers.dense({ units: 3, name }).apply(input));
  const model = tf.model({ inputs: input, outputs: outputs as tf.SymbolicTensor[] });
  model.compile({ optimizer: "sgd", loss });
  return (model as unknown as { lossFunctions: Loss[] }).lossFunctions[output];
}

const SPARSE = "sparseCategoricalCrossentropy";
const DENSE = "categoricalCrossentropy";
const positive = (count: number) => numbers(count, 4).map((value) => value + 0.6);
const EDGES = [0, 1, 0, 0.5, 0.5, 0, 1e-9, 1, 1e-9, 0.9999999, 1e-7, 0, 2, 3, 5, 0.2, 0.3, 0.5];

interface Case {
  readonly loss: string;
  readonly target: () => tf.Tensor;
  readonly output: () => tf.Tensor;
}

const CASES: Readonly<Record<string, Case>> = {
  "of classes": {
    loss: SPARSE,
    target: () => tf.tensor2d([[0], [2], [1], [3]]),
    output: () => tf.softmax(tf.tensor2d(numbers(20, 1), [4, 5])),
  },
  "of classes with fractions and beyond those that there are": {
    loss: SPARSE,
    target: () => tf.tensor2d([[0.9], [5], [-1], [-0.5]]),
    output: () => tf.tensor2d(positive(20), [4, 5]),
  },
  "of classes in sequences": {
    loss: SPARSE,
    target: () => tf.tensor3d([0, 2, 1, 3, 4, 4], [2, 3, 1]),
    output: () => tf.softmax(tf.tensor3d(numbers(30, 1), [2, 3, 5])),
  },
  "of classes, at the bounds": {
    loss: SPARSE,
    target: () => tf.tensor2d([[0], [2], [1], [0], [0], [1]]),
    output: () => tf.tensor2d(EDGES, [6, 3]),
  },
  "of shares": {
    loss: DENSE,
    target: () => tf.tensor2d(numbers(20, 8), [4, 5]),
    output: () => tf.tensor2d(positive(20), [4, 5]),
  },
  "of one class each, at the bounds": {
    loss: DENSE,
    target: () => tf.oneHot([0, 2, 1, 0, 0, 1], 3).toFloat(),
    output: () => tf.tensor2d(EDGES, [6, 3]),
  },
  "of one class each, in images": {
    loss: DENSE,
    target: () => tf.oneHot(tf.range(0, 24, 1, "int32").reshape([2, 3, 4]).mod(tf.scalar(5, "int32")).toInt(), 5),
    output: () => tf.softmax(tf.tensor4d(numbers(120, 1), [2, 3, 4, 5])),
  },
};

for (const [name, { loss, target, output }] of Object.entries(CASES)) {
  Deno.test(`the cross-entropy ${name}, and its gradient, are the cpu backend's`, async () => {
    const run = () =>
      tf.tidy(() => {
        const [y, p, compute] = [target(), output(), lossOf(loss)];
        const weights = tf.range(1, compute(y, p).size + 1).reshape(compute(y, p).shape);
        const { value, grad } = tf.valueAndGrad((p) => compute(y, p))(p, weights);
        return [value, grad].map((tensor) => ({ shape: tensor.shape, data: tensor.dataSync() }));
      });
    const [actual, expected] = [await onWasm(run), await onCpu(run)];
    assertEquals(actual.map(({ shape }) => shape), expected.map(({ shape }) => shape));
    const differences = actual.map(({ data }, i) => relativeDifference(data, expected[i].data));
    assert(
      Math.max(...differences) <= 2e-5,
      `differ by ${differences}: ${actual.map(({ data }) => data)}, not ${expected.map(({ data }) => data)}`,
    );
  });
}

Deno.test("the cross-entropy is one kernel for each output that has it by its name", async () => {
  await onWasm(async () => {
    const [y, p] = [tf.tensor2d([[1]]), tf.tensor2d([[0.2, 0.7, 0.1]])];
    const kernelsOf = async (loss: Loss) =>
      (await tf.profile(() => void tf.tidy(() => void loss(y, p)))).kernels.map(({ name }) => name);
    for (const loss of [SPARSE, ["meanSquaredError", SPARSE], { first: "meanSquaredError", second: SPARSE }]) {
      assertEquals(await kernelsOf(lossOf(loss, 1)), ["Crossentropy"]);
    }
    assert((await kernelsOf(lossOf(["meanSquaredError", SPARSE], 0))).length > 1);
  });
});

Deno.test("a target of another shape is refused as ever", async () => {
  await onWasm(() => {
    let message = "";
    try {
      lossOf(DENSE)(tf.ones([4, 3]), tf.ones([4, 5]));
    } catch (error) {
      message = (error as Error).message;
    }
    assert(message !== "");
  });
});
