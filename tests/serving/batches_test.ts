import { assertEquals, assertRejects } from "@std/assert";
import { MlflowError } from "../../errors.ts";
import { Batches } from "../../serving/batches.ts";
import type { Inputs } from "../../serving/inputs.ts";
import type { TensorValues } from "../../signature.ts";

function inputs(rows: readonly (readonly number[])[]): Inputs {
  const values = Float32Array.from(rows.flat());
  return { tensors: [{ shape: [rows.length, rows[0].length], dtype: "float32", values }], count: rows.length };
}

/** Batches over a model that doubles, with the sizes of the batches that it was given. */
function doubling(options: { readonly maxBatch?: number; readonly maxWaiting?: number } = {}) {
  const sizes: number[] = [];
  const gate = Promise.withResolvers<void>();
  const batches = new Batches(async ([{ shape, values, dtype }]) => {
    sizes.push(shape[0]);
    await gate.promise;
    if (values.some((value) => value === 13)) throw new MlflowError("BAD_REQUEST", "13 is not liked");
    return [{ shape, dtype, values: (values as Float32Array).map((value) => 2 * value) }];
  }, { maxBatch: 4, maxWaiting: 100, ...options });
  return { sizes, batches, release: () => gate.resolve() };
}

const shown = ([{ shape, values }]: readonly TensorValues[]) => [shape, [...values]];

Deno.test("Batches.predict() predicts together what waits, up to a limit", async () => {
  const { sizes, batches, release } = doubling();
  const first = batches.predict(inputs([[1, 2]]));
  await new Promise((resolve) => setTimeout(resolve, 5));
  const rest = [3, 4, 5].map((value) => batches.predict(inputs([[value, 0], [value, 1]])));
  release();
  assertEquals(shown(await first), [[1, 2], [2, 4]]);
  assertEquals((await Promise.all(rest)).map(shown), [3, 4, 5].map((value) => [[2, 2], [2 * value, 0, 2 * value, 2]]));
  assertEquals(sizes, [1, 4, 2]);
});

Deno.test("Batches.predict() keeps apart what is of different shapes, and takes one larger than the limit alone", async () => {
  const { sizes, batches, release } = doubling();
  release();
  const all = [[[1]], [[1, 2]], [[2]], [[1], [2], [3], [4], [5]], [[3]]].map((rows) => batches.predict(inputs(rows)));
  assertEquals((await Promise.all(all)).map((outputs) => outputs[0].shape), [[1, 1], [1, 2], [1, 1], [5, 1], [1, 1]]);
  assertEquals(sizes, [3, 1, 5]);
});

Deno.test("Batches.predict() tells a fault only to the request that brought it up", async () => {
  const { sizes, batches, release } = doubling();
  release();
  const all = [1, 13, 2].map((value) => batches.predict(inputs([[value]])));
  await assertRejects(() => all[1], MlflowError, "13 is not liked");
  assertEquals(shown(await all[0]), [[1, 1], [2]]);
  assertEquals(shown(await all[2]), [[1, 1], [4]]);
  assertEquals(sizes, [3, 1, 1, 1]);
});

Deno.test("Batches.predict() refuses what would wait behind too many", async () => {
  const { batches, release } = doubling({ maxWaiting: 2 });
  const all = [1, 2].map((value) => batches.predict(inputs([[value]])));
  const { code } = await assertRejects(() => batches.predict(inputs([[3]])), MlflowError);
  assertEquals(code, "TEMPORARILY_UNAVAILABLE");
  release();
  await Promise.all(all);
});

Deno.test("Batches.predict() puts nothing together where the limit is 0", async () => {
  const { sizes, batches, release } = doubling({ maxBatch: 0 });
  release();
  await Promise.all([1, 2].map((value) => batches.predict(inputs([[value]]))));
  assertEquals(sizes, [1, 1]);
});

Deno.test("Batches.predict() joins texts and several inputs", async () => {
  const seen: (readonly TensorValues[])[] = [];
  const batches = new Batches(async (tensors) => {
    seen.push(tensors);
    return tensors;
  }, { maxBatch: 8, maxWaiting: 8 });
  const one = (text: string, value: number): Inputs => ({
    count: 1,
    tensors: [
      { shape: [1], dtype: "string", values: [text] },
      { shape: [1, 2], dtype: "int32", values: Int32Array.of(value, value) },
    ],
  });
  const [a, b] = await Promise.all([batches.predict(one("a", 1)), batches.predict(one("b", 2))]);
  assertEquals(seen.length, 1);
  assertEquals(a.map(({ values }) => [...values]), [["a"], [1, 1]]);
  assertEquals(b.map(({ values }) => [...values]), [["b"], [2, 2]]);
});
