/** Runs the same computation on tfjs's cpu backend, which is the judge, and on the fast backend. */
import * as tf from "@tensorflow/tfjs";
import { useFastBackend } from "../../backend.ts";
import { sharing } from "../../kernels/native_ops.ts";

// the data of tests is small, and is to be shared out all the same
sharing.grain = 16;

/** The numbers of threads that are tested. */
export const THREADS: readonly number[] = [1, 2, 4];

/** Numbers in [-0.5, 0.5), the same in every run. */
export function numbers(count: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32 - 0.5;
  });
}

export async function onCpu<T>(compute: () => T | Promise<T>): Promise<T> {
  await tf.setBackend("cpu");
  return await compute();
}

export async function onWasm<T>(compute: () => T | Promise<T>, threads = 2): Promise<T> {
  await useFastBackend(tf, { threads });
  return await compute();
}

/** The largest difference of two arrays, relative to the largest entry; NaN and infinities must be the same. */
export function relativeDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let largest = 1e-6;
  let difference = 0;
  for (let i = 0; i < expected.length; i++) {
    if (Number.isFinite(expected[i])) largest = Math.max(largest, Math.abs(expected[i]));
    if (Object.is(actual[i], expected[i])) continue;
    if (!Number.isFinite(actual[i]) || !Number.isFinite(expected[i])) return Infinity;
    difference = Math.max(difference, Math.abs(actual[i] - expected[i]));
  }
  return difference / largest;
}

/** The value and the gradient of `compute` for each input, with a different weight on each entry of its output. */
export function valueAndGradients(
  inputs: readonly { data: Float32Array; shape: number[] }[],
  compute: (...tensors: tf.Tensor[]) => tf.Tensor,
): Float32Array[] {
  return tf.tidy(() => {
    const tensors = inputs.map(({ data, shape }) => tf.tensor(data, shape));
    const value = compute(...tensors);
    const weights = tf.tensor(numbers(value.size, 99), value.shape);
    const gradients = tf.grads((...variables) => compute(...variables).mul(weights).sum())(tensors);
    return [value, ...gradients].map((tensor) => tensor.dataSync() as Float32Array);
  });
}
