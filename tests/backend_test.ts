import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import * as tf from "@tensorflow/tfjs";
import { useFastBackend } from "../backend.ts";
import { MlflowError } from "../errors.ts";

Deno.test("useFastBackend() starts tfjs's wasm backend and describes it, with leave to read alone", {
  permissions: { read: true },
}, async () => {
  await tf.ready();
  assertEquals(await useFastBackend(tf), {
    name: "wasm",
    threads: 1,
    simd: true,
    description: "1 thread (wasm, SIMD)",
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

Deno.test("useFastBackend() comes back from another backend, and tensors move over", async () => {
  await tf.setBackend("cpu");
  const x = tf.tensor1d([1, 2, 3]);
  await useFastBackend(tf);
  assertEquals(tf.getBackend(), "wasm");
  assertEquals(x.square().dataSync(), Float32Array.of(1, 4, 9));
});

Deno.test("useFastBackend() refuses another release of TensorFlow.js and says what to import", async () => {
  const error = await assertRejects(
    () => useFastBackend({ ...tf, version_core: "4.21.0" }),
    MlflowError,
    'Cannot start the wasm backend: TensorFlow.js is release 4.21.0; import it from "npm:@tensorflow/tfjs@4.22.0"',
  );
  assertEquals(error.code, "NOT_IMPLEMENTED");
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

Deno.test("useFastBackend() trains with leave to read node_modules alone, and without tfjs's greeting", async () => {
  const { stdout, stderr } = await run(
    `
    import * as tf from "@tensorflow/tfjs";
    import { useFastBackend } from "./backend.ts";
    console.log((await useFastBackend(tf)).description);
    const model = tf.sequential();
    model.add(tf.layers.conv2d({ inputShape: [8, 8, 1], filters: 2, kernelSize: 3 }));
    model.add(tf.layers.flatten());
    model.add(tf.layers.dense({ units: 1 }));
    model.compile({ optimizer: "adam", loss: "meanSquaredError" });
    await model.fit(tf.ones([4, 8, 8, 1]), tf.ones([4, 1]), { epochs: 1, verbose: 0 });
    console.log("trained");
    `,
    ["--allow-read=node_modules"],
  );
  assertEquals({ stdout, stderr }, { stdout: "1 thread (wasm, SIMD)\ntrained\n", stderr: "" });
});

Deno.test("useFastBackend() says which permission it wants, and leaves the other backends usable", async () => {
  const { stdout, stderr } = await run(
    `
    import * as tf from "@tensorflow/tfjs";
    import { useFastBackend } from "./backend.ts";
    await useFastBackend(tf).catch((error) => console.log(error.code, error.message));
    await tf.ready();
    console.log(tf.getBackend(), tf.ones([2]).sum().dataSync()[0]);
    `,
    [],
  );
  assertStringIncludes(
    stdout,
    "PERMISSION_DENIED Cannot start the wasm backend: its binary may not be read; " +
      "run Deno with --allow-read=node_modules",
  );
  assertStringIncludes(stdout, "cpu 2");
  assert(!stderr.includes("Aborted"), stderr);
});

Deno.test("importing backend.ts loads no TensorFlow.js", async () => {
  const { stdout, stderr } = await run(
    `import "./backend.ts"; console.log("_tfengine" in globalThis ? "loaded" : "not loaded");`,
    [],
  );
  assertEquals({ stdout, stderr }, { stdout: "not loaded\n", stderr: "" });
});
