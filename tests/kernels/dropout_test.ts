import { assert, assertEquals } from "@std/assert";
import * as tf from "@tensorflow/tfjs";
import { aleaState } from "../../kernels/dropout.ts";
import { numbers, onCpu, onWasm } from "./cpu_and_wasm.ts";

type Config = Parameters<typeof tf.layers.dropout>[0];

const SHAPE = [3, 5, 7];

/** What a layer makes of numbers while it trains, and the gradient of its sum with weights. */
function dropped(config: Config, shape = SHAPE, training = true): Float32Array[] {
  return tf.tidy(() => {
    const size = tf.util.sizeFromShape(shape);
    const x = tf.tensor(numbers(size, 1), shape);
    const layer = tf.layers.dropout(config);
    const weights = tf.tensor(numbers(size, 2), shape);
    const apply = (x: tf.Tensor) => layer.apply(x, { training }) as tf.Tensor;
    const gradient = tf.grad((x) => apply(x).mul(weights).sum())(x);
    return [apply(x), gradient].map((tensor) => tensor.dataSync() as Float32Array);
  });
}

Deno.test("aleaState() begins where tfjs's random tensors begin, and goes on as they do", async () => {
  await onCpu(() => {
    for (const seed of [0, 1, 42, 3.25, -7, 1e-9, 123456789012, "", "seed", "0.7351298", "\u20ac"]) {
      let [s0, s1, s2, carry] = aleaState(String(seed));
      const expected = tf.randomUniform([1000], 0, 1, "float32", seed).dataSync();
      const actual = Float32Array.from({ length: 1000 }, () => {
        const next = 2091639 * s0 + carry;
        carry = Math.floor(next / 2 ** 32);
        [s0, s1, s2] = [s1, s2, next % 2 ** 32];
        return s2 / 2 ** 32;
      });
      assertEquals(actual, expected, `seed ${seed}`);
    }
  });
});

for (
  const [name, config] of Object.entries<Config>({
    "rate 0.5": { rate: 0.5, seed: 5 },
    "rate 0.3": { rate: 0.3, seed: 77 },
    "rate 0.999": { rate: 0.999, seed: 1.5 },
    "rate 1e-9, where the share that stays rounds to 1": { rate: 1e-9, seed: 3 },
    "seed 0": { rate: 0.4, seed: 0 },
    "rate 0": { rate: 0, seed: 1 },
    "rate 1": { rate: 1, seed: 1 },
    "a noise shape": { rate: 0.4, noiseShape: [3, 1, 7], seed: 9 },
    "a noise shape with the input's own lengths": { rate: 0.4, noiseShape: [null, null, 7] as number[], seed: 9 },
    "a noise shape of fewer dimensions": { rate: 0.4, noiseShape: [7], seed: 9 },
  })
) {
  Deno.test(`dropout with ${name} drops what it drops on the cpu backend, bit for bit`, async () => {
    const expected = await onCpu(() => dropped(config));
    assertEquals(await onWasm(() => dropped(config)), expected);
    assertEquals(await onWasm(() => dropped(config, SHAPE, false)), await onCpu(() => dropped(config, SHAPE, false)));
  });
}

Deno.test("dropout without a seed drops other entries each time, as many as its rate, and their gradients", async () => {
  await onWasm(() => {
    const layer = tf.layers.dropout({ rate: 0.3 });
    const x = tf.ones([100, 100]);
    const draw = () => tf.valueAndGrad((x) => layer.apply(x, { training: true }) as tf.Tensor)(x, tf.onesLike(x));
    const [first, second] = [draw(), draw()];
    assertEquals(first.grad.dataSync(), first.value.dataSync());
    assert(second.value.notEqual(first.value).any().dataSync()[0] === 1);
    const kept = first.value.dataSync().filter((value) => value !== 0);
    assert(Math.abs(kept.length - 7000) < 300, `${kept.length} of 10,000 stay`);
    assert(kept.every((value) => value === Math.fround(1 / Math.fround(0.7))));
  });
});

Deno.test("a call hook of a dropout layer is called", async () => {
  await onWasm(() => {
    const layer = tf.layers.dropout({ rate: 0.5 });
    let calls = 0;
    layer.setCallHook(() => calls++);
    layer.apply(tf.ones([2, 2]), { training: true });
    layer.apply(tf.ones([2, 2]));
    assertEquals(calls, 2);
  });
});
