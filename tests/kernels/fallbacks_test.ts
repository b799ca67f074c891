import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import type { Backend } from "../../backend.ts";
import { cleanEnv } from "../support/clean_env.ts";
import { deno } from "../support/deno.ts";
import { relativeDifference } from "./cpu_and_wasm.ts";

const ROOT = join(import.meta.dirname!, "..", "..");

type Refusal = "shared_memory" | "relaxed_simd" | "workers" | "beginning_workers";

interface Runtime {
  /** What the runtime refuses. */
  readonly refusals?: readonly Refusal[];
  readonly v8Flags?: readonly string[];
}

function flags({ refusals = [], v8Flags = [] }: Runtime): string[] {
  return [
    "--no-prompt",
    "--no-check",
    ...refusals.map((name) => `--preload=tests/kernels/refusals/${name}.ts`),
    ...v8Flags.length === 0 ? [] : [`--v8-flags=${v8Flags}`],
  ];
}

interface Training {
  readonly backend: Backend;
  readonly losses: number[];
  /** All weights, one after the other. */
  readonly weights: Float32Array;
  readonly stderr: string;
}

/** Trains a small network in a program of its own, which is given no permission and has to end by itself. */
async function train(threads: number, runtime: Runtime = {}, imageSize = 40): Promise<Training> {
  const program = `
    import * as tf from "@tensorflow/tfjs";
    import { useFastBackend } from "./backend.ts";
    const waves = (shape, pace) => tf.tidy(() => {
      const size = tf.util.sizeFromShape(shape);
      return tf.tensor(Float32Array.from({ length: size }, (_, i) => Math.sin(i * pace + pace) / 3), shape);
    });
    const backend = await useFastBackend(tf, { threads: ${threads} });
    const model = tf.sequential({ layers: [
      tf.layers.conv2d({ inputShape: [${imageSize}, ${imageSize}, 8], filters: 12, kernelSize: 3, activation: "relu" }),
      tf.layers.batchNormalization(),
      tf.layers.depthwiseConv2d({ kernelSize: 3 }),
      tf.layers.maxPooling2d({ poolSize: 2 }),
      tf.layers.conv2d({ filters: 8, kernelSize: 5, strides: 2, activation: "relu" }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 10, activation: "softmax" }),
    ] });
    model.setWeights(model.getWeights().map((weight, i) => tf.tidy(() =>
      waves(weight.shape, i + 1.3).add(/gamma|variance/.test(model.weights[i].name) ? 1 : 0))));
    model.compile({ optimizer: tf.train.momentum(0.0003, 0.9), loss: "categoricalCrossentropy" });
    const x = waves([32, ${imageSize}, ${imageSize}, 8], 7.7);
    const y = tf.oneHot(Array.from({ length: 32 }, (_, i) => i % 10), 10).toFloat();
    const losses = [];
    for (let step = 0; step < 3; step++) losses.push(await model.trainOnBatch(x, y));
    const weights = tf.concat(model.getWeights().map((weight) => weight.flatten())).dataSync();
    console.log(JSON.stringify({ backend, losses, weights: new Uint8Array(weights.buffer).toBase64() }));
  `;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", ...flags(runtime), "--ext=js", "-"],
    cwd: ROOT,
    env: { ...cleanEnv(), NO_COLOR: "1" },
    clearEnv: true,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(120_000),
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(program));
  await writer.close();
  const output = await child.output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert(output.success, stdout + stderr);
  const result = JSON.parse(stdout.trim().split("\n").at(-1)!);
  return { ...result, weights: new Float32Array(Uint8Array.fromBase64(result.weights).buffer), stderr };
}

/** A training of one thread, which others are compared to. */
let reference: Promise<Training> | undefined;
const ofOneThread = () => reference ??= train(1);

Deno.test("where shared memory is refused one thread computes the same numbers, also where the heap moves as it grows", async () => {
  const training = await train(3, { refusals: ["shared_memory"], v8Flags: ["--stress-wasm-memory-moving"] });
  assertEquals(training.backend, {
    name: "wasm",
    threads: 1,
    simd: "relaxed",
    reason: "shared memory is refused: no shared memory here",
    description: "1 thread (wasm, relaxed SIMD)",
  });
  const { losses, weights } = await ofOneThread();
  assertEquals(training.losses, losses);
  assertEquals(training.weights, weights);
  assertEquals(training.stderr, "");
});

for (
  const [refusal, state] of [
    ["workers", "no workers here"],
    ["beginning_workers", "a worker ended before it began"],
  ] as const
) {
  Deno.test(`where workers are refused one thread computes the same numbers: ${state}`, async () => {
    const training = await train(3, { refusals: [refusal] });
    assertEquals(training.backend, {
      name: "wasm",
      threads: 1,
      simd: "relaxed",
      reason: `workers are refused: ${state}`,
      description: "1 thread (wasm, relaxed SIMD)",
    });
    const { losses, weights } = await ofOneThread();
    assertEquals(training.losses, losses);
    assertEquals(training.weights, weights);
    assertEquals(training.stderr, "");
  });
}

Deno.test("where relaxed SIMD is missing the same is computed in plain SIMD, but for rounding", async () => {
  const training = await train(2, { refusals: ["relaxed_simd"] });
  assertEquals(training.backend, {
    name: "wasm",
    threads: 2,
    simd: "plain",
    description: "2 threads (wasm, SIMD)",
  } as Backend);
  const { weights } = await ofOneThread();
  const difference = relativeDifference(training.weights, weights);
  assert(difference < 1e-3 && difference > 0, `weights differ by ${difference}`);
});

Deno.test({
  name: "where there is no SIMD a warning says so, and tfjs's own backend in JavaScript trains",
  ignore: Deno.build.arch !== "x86_64", // other processors have no such flag
  fn: async () => {
    const training = await train(2, { v8Flags: ["--no-enable-sse4-1"] }, 14);
    const state = "the runtime or the processor has no SIMD for WebAssembly";
    assertEquals(training.backend, {
      name: "cpu",
      threads: 1,
      simd: "none",
      reason: state,
      description: "1 thread (cpu)",
    });
    assertStringIncludes(
      training.stderr,
      `Cannot start the wasm backend: ${state}; computing on the slower backend "cpu"\n`,
    );
    const { weights } = await train(2, {}, 14);
    assert(relativeDifference(training.weights, weights) < 1e-3);
  },
});

for (
  const [name, runtime] of Object.entries<Runtime>({
    "in plain SIMD": { refusals: ["relaxed_simd"] },
    "on a memory that is not shared and moves": {
      refusals: ["shared_memory"],
      v8Flags: ["--stress-wasm-memory-moving"],
    },
  })
) {
  Deno.test(`gradients, layers and single operations ${name} are the cpu backend's`, async () => {
    const names = ["gradients", "layers", "training_kernels", "stock_kernels", "deferred_data"];
    const files = names.map((name) => `tests/kernels/${name}_test.ts`);
    await deno(["test", "-A", "--quiet", ...flags(runtime), ...files], { cwd: ROOT });
  });
}
