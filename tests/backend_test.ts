import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import * as tf from "@tensorflow/tfjs";
import { useFastBackend } from "../backend.ts";
import { MlflowError } from "../errors.ts";

const cores = navigator.hardwareConcurrency;
const threads = `${cores} ${cores === 1 ? "thread" : "threads"}`;

Deno.test("useFastBackend() starts the wasm backend on all cores and describes it, with no permission", {
  permissions: "none",
}, async () => {
  assertEquals(await useFastBackend(tf), {
    name: "wasm",
    threads: cores,
    simd: "relaxed",
    reason: undefined,
    description: `${threads} (wasm, relaxed SIMD)`,
  });
  assertEquals(tf.getBackend(), "wasm");
});

Deno.test("useFastBackend() does nothing the second time, and may be called twice at once", async () => {
  const [first, second] = await Promise.all([useFastBackend(tf), useFastBackend(tf)]);
  assertEquals(first, second);
  const kernel = tf.getKernel("MaxPoolGrad", "wasm");
  assertEquals(await useFastBackend(tf), first);
  assert(tf.getKernel("MaxPoolGrad", "wasm") === kernel, "the kernels were registered again");
});

Deno.test("useFastBackend() changes the number of threads, and refuses one that is none", async () => {
  assertEquals((await useFastBackend(tf, { threads: 3 })).description, "3 threads (wasm, relaxed SIMD)");
  assertEquals((await useFastBackend(tf)).threads, 3);
  assertEquals(tf.ones([64, 64]).matMul(tf.ones([64, 64])).sum().dataSync(), Float32Array.of(64 ** 3));
  assertEquals((await useFastBackend(tf, { threads: 1 })).description, "1 thread (wasm, relaxed SIMD)");
  const both = await Promise.all([useFastBackend(tf, { threads: 2 }), useFastBackend(tf, { threads: 3 })]);
  assertEquals(both.map(({ threads }) => threads), [2, 3]);
  for (const threads of [0, 1.5, NaN, -2]) await assertRejects(() => useFastBackend(tf, { threads }), RangeError);
});

Deno.test("useFastBackend() starts as many threads as share a job and says so where more are wanted", async () => {
  const { threads, reason } = await useFastBackend(tf, { threads: 1000 });
  assertEquals({ threads, reason }, { threads: 64, reason: "no more than 64 threads share a job" });
  assertEquals(tf.ones([300, 300]).matMul(tf.ones([300, 300])).sum().dataSync(), Float32Array.of(300 ** 3));
});

Deno.test("useFastBackend() computes on other threads what began on those of before", async () => {
  await useFastBackend(tf, { threads: 2 });
  const model = tf.sequential({ layers: [tf.layers.conv2d({ inputShape: [9, 9, 8], filters: 8, kernelSize: 3 })] });
  const x = tf.ones([2, 9, 9, 8]);
  const kernel = model.getWeights()[0] as tf.Tensor4D;
  const waiting = tf.conv2d(x as tf.Tensor4D, kernel, 1, "valid");
  await useFastBackend(tf, { threads: 3 });
  assertEquals(waiting.dataSync(), (model.predict(x) as tf.Tensor).dataSync());
});

Deno.test("useFastBackend() comes back from another backend, and tensors move over", async () => {
  await tf.setBackend("cpu");
  const x = tf.tensor1d([1, 2, 3]);
  await useFastBackend(tf);
  assertEquals(tf.getBackend(), "wasm");
  assertEquals(x.square().dataSync(), Float32Array.of(1, 4, 9));
});

Deno.test("useFastBackend() warns of another release of TensorFlow.js and keeps its backend", async () => {
  const { stdout, stderr } = await run(
    `
    import * as tf from "@tensorflow/tfjs";
    import { useFastBackend } from "./backend.ts";
    const { name, simd, reason } = await useFastBackend({ ...tf, version_core: "4.21.0" });
    console.log(name, simd, reason, tf.ones([2]).sum().dataSync()[0]);
    `,
    [],
  );
  assertStringIncludes(
    stdout,
    'cpu none TensorFlow.js is release 4.21.0; import it from "npm:@tensorflow/tfjs@4.22.0" 2',
  );
  assertStringIncludes(stderr, "Cannot start the wasm backend: TensorFlow.js is release 4.21.0;");
});

Deno.test("useFastBackend() refuses to take the place of a wasm backend that has started", async () => {
  const { stdout } = await run(
    `
    import * as tf from "@tensorflow/tfjs";
    import "@tensorflow/tfjs-backend-wasm";
    import { useFastBackend } from "./backend.ts";
    await tf.setBackend("wasm");
    const x = tf.tensor1d([1, 2]);
    await useFastBackend(tf).catch((error) => console.log(error.message));
    await tf.setBackend("cpu");
    await useFastBackend(tf).catch((error) => console.log(error.message));
    console.log(x.dataSync().join());
    `,
    ["--allow-read"],
  );
  const message =
    'Cannot start the wasm backend: TensorFlow.js runs its own already; call useFastBackend() before tf.setBackend("wasm") (INVALID_STATE)\n';
  assertEquals(stdout, `${message}${message}1,2\n`);
});

/** Runs a module that sits beside this one, with these permissions alone. */
async function run(code: string, permissions: string[]): Promise<{ stdout: string; stderr: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-check", "--ext=ts", ...permissions, "-"],
    cwd: new URL("..", import.meta.url),
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(code));
  await writer.close();
  const { stdout, stderr } = await child.output();
  return { stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

Deno.test("tensors and models that were made before the backend started move over", async () => {
  const { stdout, stderr } = await run(
    `
    import * as tf from "@tensorflow/tfjs";
    import { useFastBackend } from "./backend.ts";
    const x = tf.tensor4d(Array.from({ length: 16 }, (_, i) => i), [1, 4, 4, 1]);
    const filter = tf.variable(tf.ones([2, 2, 1, 1]));
    const before = tf.conv2d(x, filter, 2, "valid").dataSync().join();
    await useFastBackend(tf);
    console.log(before, tf.conv2d(x, filter, 2, "valid").dataSync().join());
    `,
    [],
  );
  assertEquals(stdout, "10,18,42,50 10,18,42,50\n", stderr);
});

Deno.test("a program that trained ends by itself, with no permission and without tfjs's greeting", async () => {
  const { stdout, stderr } = await run(
    `
    import * as tf from "@tensorflow/tfjs";
    import { useFastBackend } from "./backend.ts";
    console.log((await useFastBackend(tf, { threads: 4 })).description);
    const model = tf.sequential();
    model.add(tf.layers.conv2d({ inputShape: [32, 32, 8], filters: 16, kernelSize: 3 }));
    model.add(tf.layers.flatten());
    model.add(tf.layers.dense({ units: 1 }));
    model.compile({ optimizer: "adam", loss: "meanSquaredError" });
    await model.fit(tf.ones([8, 32, 32, 8]), tf.ones([8, 1]), { epochs: 1, verbose: 0 });
    console.log("trained");
    `,
    [],
  );
  assertEquals({ stdout, stderr }, { stdout: "4 threads (wasm, relaxed SIMD)\ntrained\n", stderr: "" });
});

Deno.test("a tensor that the heap has no room for is a clear error, and what is there goes on", async () => {
  await useFastBackend(tf);
  const error = assertThrows(() => tf.zeros([1 << 16, 1 << 15]).square(), MlflowError);
  assertEquals(error.code, "RESOURCE_EXHAUSTED");
  assertStringIncludes(error.message, "Cannot allocate a tensor of 8,192 MiB on the wasm backend: the heap has ");
  assertEquals(tf.ones([4]).sum().dataSync()[0], 4);
});

Deno.test("data of a type that a kernel cannot read is a clear error", async () => {
  await useFastBackend(tf);
  const whole = tf.ones([1, 4, 4, 1], "int32") as tf.Tensor4D;
  assertThrows(
    () =>
      tf.engine().runKernel(
        "Conv2D",
        { x: whole, filter: tf.ones([2, 2, 1, 1]) },
        { strides: 1, pad: "same" } as never,
      ),
    TypeError,
    "Cannot run Conv2D on the wasm backend: data is int32, float32 is wanted",
  );
});

Deno.test("importing backend.ts loads no TensorFlow.js", async () => {
  const { stdout, stderr } = await run(
    `import "./backend.ts"; console.log("_tfengine" in globalThis ? "loaded" : "not loaded");`,
    [],
  );
  assertEquals({ stdout, stderr }, { stdout: "not loaded\n", stderr: "" });
});
