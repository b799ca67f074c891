import { assert, assertEquals } from "@std/assert";
import * as tf from "@tensorflow/tfjs";
import { numbers, onCpu, onWasm, relativeDifference } from "./cpu_and_wasm.ts";

type Function = (x: tf.Tensor) => tf.Tensor;

/** Functions of a vector of positive numbers, whose gradients read the inputs, as they were saved. */
const FUNCTIONS: Readonly<Record<string, Function>> = {
  square: (x) => x.square(),
  "a product with itself": (x) => x.mul(x),
  "a quotient": (x) => x.div(x.add(1)),
  "a product of matrices": (x) => x.reshape([2, 3]).matMul(x.reshape([3, 2])).flatten(),
  abs: (x) => x.sub(1).abs().square(),
  "a mean of rows": (x) => x.square().reshape([2, 1, 3]).tile([1, 200, 1]).mul(x.mean()).mean(1).square().flatten(),
  "a gradient inside": (x) => tf.grad((y: tf.Tensor) => y.mul(x).sum().square())(x),
  "a function of what was computed before": (x) => {
    const squares = x.square();
    return tf.grad((y: tf.Tensor) => squares.mul(y).sum())(x).mul(x);
  },
  "a gradient of its own": tf.customGrad((x, save) => {
    (save as (tensors: tf.Tensor[]) => void)([x as tf.Tensor]);
    return { value: (x as tf.Tensor).square(), gradFunc: (dy, saved) => dy.mul(saved[0]).mul(3) };
  }) as Function,
};

/** The first three gradients of a weighted sum of what `compute` gives. */
function gradients(compute: Function): ArrayLike<number>[] {
  return tf.tidy(() => {
    const x = tf.tensor1d(numbers(6, 3).map((value) => value + 0.8));
    const weighted: Function = (x) => compute(x).mul(tf.range(1, compute(x).size + 1)).sum();
    const first = tf.grad(weighted);
    const second = tf.grad((x) => first(x).square().sum());
    const third = tf.grad((x) => second(x).square().sum());
    return [first, second, third].map((gradient) => gradient(x).dataSync());
  });
}

function assertClose(actual: ArrayLike<number>[], expected: ArrayLike<number>[]): void {
  const differences = actual.map((gradient, i) => relativeDifference(gradient, expected[i]));
  assert(Math.max(...differences) < 1e-5, `differ by ${differences}`);
}

for (const [name, compute] of Object.entries(FUNCTIONS)) {
  Deno.test(`first, second and third gradients of ${name} are the cpu backend's`, async () => {
    assertClose(await onWasm(() => gradients(compute)), await onCpu(() => gradients(compute)));
  });
}

// tfjs's own cpu backend gets these wrong: it writes a saved result to the tape before what it is the result of
Deno.test("second and third gradients of operations that save their results are right", async () => {
  await onWasm(() => {
    const terms = numbers(6, 3).map((value, i) => (i + 1) * Math.exp(value + 0.8));
    assertClose(gradients(tf.exp), [terms, terms.map((term) => 2 * term ** 2), terms.map((term) => 16 * term ** 4)]);
    assertClose(gradients(tf.softmax), gradients((x) => x.exp().div(x.exp().sum())));
    assertClose(gradients(tf.sigmoid), gradients((x) => tf.scalar(1).div(x.neg().exp().add(1))));
  });
});

Deno.test("what was saved for a gradient outlives what it was saved of, and is given back", async () => {
  await onWasm(() => {
    const v = tf.variable(tf.tensor1d([1, 2, 3]));
    const before = [tf.memory().numTensors, tf.engine().backend.numDataIds()];
    const { value, grads } = tf.variableGrads(() => {
      const square = v.square();
      const cube = square.mul(v);
      square.dispose();
      return cube.sum() as tf.Scalar;
    }, [v]);
    assertEquals(grads[v.name].dataSync(), Float32Array.of(3, 12, 27));
    tf.dispose([value, grads[v.name]]);
    assertEquals([tf.memory().numTensors, tf.engine().backend.numDataIds()], before);
    v.dispose();
  });
});
