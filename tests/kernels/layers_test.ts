import { assertEquals } from "@std/assert";
import * as tf from "@tensorflow/tfjs";
import { numbers, onCpu, onWasm, relativeDifference } from "./cpu_and_wasm.ts";

const { layers } = tf;

/** Of the largest entry of a weight. Adam divides by the root of tiny squares, and so magnifies rounding. */
const TOLERANCE = 1e-4;

type Layer = tf.layers.Layer;

interface Case {
  name: string;
  /** Of one input, without the batch. */
  inputShape: number[];
  /** The layers under test; a flattening and a dense layer of three outputs follow. */
  layers: () => Layer[];
  /** Whether inputs are whole numbers from 0 to 4. @default numbers in [-0.5, 0.5) */
  wholeNumbers?: true;
}

interface Compilation {
  optimizer: () => tf.Optimizer;
  loss: string;
}

const BATCH = 4;
const USUAL: Compilation = { optimizer: () => tf.train.sgd(0.1), loss: "meanSquaredError" };

/** Trains two steps from given weights; gives losses, a prediction and the weights. */
async function train({ inputShape, wholeNumbers, layers: under }: Case, { optimizer, loss }: Compilation) {
  const size = tf.util.sizeFromShape([BATCH, ...inputShape]);
  const values = numbers(size, 3).map((value) => wholeNumbers ? Math.floor((value + 0.5) * 5) : value);
  const x = tf.tensor(values, [BATCH, ...inputShape]);
  const y = loss === "sparseCategoricalCrossentropy"
    ? tf.tensor2d([[0], [2], [1], [2]])
    : tf.oneHot([0, 2, 1, 2], 3).toFloat();

  const input = tf.input({ shape: inputShape });
  let output = under().reduce((previous, layer) => layer.apply(previous) as tf.SymbolicTensor, input);
  if (output.shape.length > 2) output = layers.flatten().apply(output) as tf.SymbolicTensor;
  output = layers.dense({ units: 3, activation: "softmax" }).apply(output) as tf.SymbolicTensor;
  const model = tf.model({ inputs: input, outputs: output });
  model.setWeights(
    model.getWeights().map((weight, i) => {
      // moving variances and scales must stay positive
      const offset = /gamma|variance/.test(model.weights[i].name) ? 1 : 0;
      return tf.tensor(numbers(weight.size, i + 11).map((value) => value + offset), weight.shape);
    }),
  );
  model.compile({ optimizer: optimizer(), loss, metrics: ["accuracy"] });

  const results: Float32Array[] = [];
  for (let step = 0; step < 2; step++) results.push(Float32Array.from(await model.trainOnBatch(x, y) as number[]));
  results.push((model.predict(x) as tf.Tensor).dataSync() as Float32Array);
  results.push(...model.getWeights().map((weight) => weight.dataSync() as Float32Array));
  return results;
}

/** Wants the losses, the prediction and all weights to be the cpu backend's. */
function testTraining(name: string, cases: Case[], compilation: Compilation = USUAL): void {
  Deno.test(`training ${name} is the cpu backend's (${cases.length} models)`, async () => {
    const run = async () => {
      const all: (Float32Array[] | string)[] = [];
      for (const each of cases) all.push(await train(each, compilation).catch((error: Error) => error.message));
      return all;
    };
    const expected = await onCpu(run);
    const actual = await onWasm(run);
    const wrong: string[] = [];
    for (const [i, { name }] of cases.entries()) {
      const [ours, theirs] = [actual[i], expected[i]];
      if (typeof theirs === "string") wrong.push(`${name}: the judge itself fails: ${theirs}`);
      else if (typeof ours === "string") wrong.push(`${name}: ${ours}`);
      else {
        for (const [j, result] of ours.entries()) {
          const difference = relativeDifference(result, theirs[j]);
          const part = j < 2 ? `loss of step ${j}` : j === 2 ? "prediction" : `weight ${j - 3}`;
          if (!(difference <= TOLERANCE)) wrong.push(`${name}: ${part} differs by ${difference.toExponential(1)}`);
        }
      }
    }
    assertEquals(wrong, []);
  });
}

const image = [6, 5, 3];

/** Adds what comes in to what a normalization makes of it, before the relu. */
function residualBlock(inputShape: number[]): Layer {
  const input = tf.input({ shape: inputShape });
  const normalized = layers.batchNormalization().apply(input) as tf.SymbolicTensor;
  const sum = layers.add().apply([input, normalized]) as tf.SymbolicTensor;
  return tf.model({ inputs: input, outputs: layers.reLU().apply(sum) as tf.SymbolicTensor });
}
const sequence = [5, 4];

function on(inputShape: number[], name: string, ...under: (() => Layer)[]): Case {
  return { name, inputShape, layers: () => under.map((make) => make()) };
}

testTraining("of convolutions", [
  ...(["same", "valid"] as const).flatMap((padding) =>
    [1, 2].flatMap((strides) => [
      on(image, `conv2d ${padding} ${strides}`, () => layers.conv2d({ filters: 4, kernelSize: 3, strides, padding })),
      on(
        image,
        `depthwiseConv2d ${padding} ${strides}`,
        () => layers.depthwiseConv2d({ kernelSize: 2, depthMultiplier: 2, strides, padding }),
      ),
      on(
        image,
        `separableConv2d ${padding} ${strides}`,
        () => layers.separableConv2d({ filters: 4, kernelSize: 3, strides, padding }),
      ),
      on(
        image,
        `conv2dTranspose ${padding} ${strides}`,
        () => layers.conv2dTranspose({ filters: 4, kernelSize: 3, strides, padding }),
      ),
      on(
        sequence,
        `conv1d ${padding} ${strides}`,
        () => layers.conv1d({ filters: 4, kernelSize: 3, strides, padding }),
      ),
    ])
  ),
  on(
    [3, 6, 5],
    "conv2d, channels first",
    () => layers.conv2d({ filters: 4, kernelSize: 3, dataFormat: "channelsFirst" }),
  ),
  on([4, 5, 4, 2], "conv3d", () => layers.conv3d({ filters: 3, kernelSize: 2, padding: "same" })),
  ...["relu", "relu6", "elu", "selu", "tanh", "sigmoid"].flatMap((activation) => [
    on(
      image,
      `conv2d ${activation}`,
      () => layers.conv2d({ filters: 4, kernelSize: 3, activation: activation as "relu" }),
    ),
    on(
      image,
      `depthwiseConv2d ${activation}`,
      () => layers.depthwiseConv2d({ kernelSize: 3, activation: activation as "relu" }),
    ),
  ]),
]);

testTraining("of pools and reshapings", [
  ...(["same", "valid"] as const).flatMap((padding) =>
    [1, 2, 3].flatMap((strides) => [
      on(image, `maxPooling2d ${padding} ${strides}`, () =>
        layers.maxPooling2d({ poolSize: 2, strides: [strides, strides], padding })),
      on(image, `averagePooling2d ${padding} ${strides}`, () =>
        layers.averagePooling2d({ poolSize: 2, strides: [strides, strides], padding })),
      on(sequence, `maxPooling1d ${padding} ${strides}`, () =>
        layers.maxPooling1d({ poolSize: 2, strides, padding })),
      on(sequence, `averagePooling1d ${padding} ${strides}`, () =>
        layers.averagePooling1d({ poolSize: 2, strides, padding })),
    ])
  ),
  on(image, "globalMaxPooling2d", () => layers.globalMaxPooling2d({})),
  on(image, "globalAveragePooling2d", () => layers.globalAveragePooling2d({})),
  on(sequence, "globalMaxPooling1d", () => layers.globalMaxPooling1d()),
  on(sequence, "globalAveragePooling1d", () => layers.globalAveragePooling1d()),
  on(
    [4, 5, 4, 2],
    "maxPooling3d",
    () => layers.maxPooling3d({ poolSize: 2 } as Parameters<typeof layers.maxPooling3d>[0]),
  ),
  on(
    [4, 5, 4, 2],
    "averagePooling3d",
    () => layers.averagePooling3d({ poolSize: 2 } as Parameters<typeof layers.maxPooling3d>[0]),
  ),
  on(image, "zeroPadding2d", () => layers.zeroPadding2d({ padding: [[1, 2], [0, 1]] })),
  on(image, "cropping2D", () => layers.cropping2D({ cropping: [[1, 2], [0, 1]] })),
  on([5, 5, 3], "upSampling2d bilinear", () => layers.upSampling2d({ size: [2, 2], interpolation: "bilinear" })),
  on(image, "reshape", () => layers.reshape({ targetShape: [10, 9] })),
  on(image, "permute", () => layers.permute({ dims: [3, 1, 2] })),
  on([7], "repeatVector", () => layers.repeatVector({ n: 3 })),
]);

testTraining("of activations and normalizations", [
  on([7], "dense", () => layers.dense({ units: 5 })),
  ...[
    "relu",
    "relu6",
    "elu",
    "selu",
    "sigmoid",
    "hardSigmoid",
    "tanh",
    "softmax",
    "logSoftmax",
    "softplus",
    "softsign",
    "swish",
    "mish",
    "gelu",
    "gelu_new",
  ]
    .flatMap((activation) => [
      on([7], `dense ${activation}`, () => layers.dense({ units: 5, activation: activation as "relu" })),
      on(image, `activation ${activation}`, () => layers.activation({ activation: activation as "relu" })),
    ]),
  on(image, "leakyReLU", () => layers.leakyReLU({ alpha: 0.2 })),
  on(image, "prelu", () => layers.prelu()),
  on(image, "prelu for each channel", () => layers.prelu({ sharedAxes: [1, 2] })),
  on(image, "prelu for each position", () => layers.prelu({ sharedAxes: [3] })),
  on(image, "elu", () => layers.elu()),
  on(image, "thresholdedReLU", () => layers.thresholdedReLU({ theta: 0.1 })),
  on([7], "softmax", () => layers.softmax()),
  on(image, "batchNormalization", () => layers.batchNormalization()),
  on([7], "batchNormalization of vectors", () => layers.batchNormalization()),
  ...[1, 4, 6, 15, 16, 31, 64].flatMap((channels) => [
    on([8, 9, channels], `batchNormalization of ${channels} channels`, () => layers.batchNormalization()),
    on(
      [8, 9, channels],
      `batchNormalization of ${channels} channels and relu`,
      () => layers.batchNormalization(),
      () => layers.reLU(),
    ),
    on([8, 9, channels], `residual block of ${channels} channels`, () => residualBlock([8, 9, channels])),
  ]),
  on(image, "layerNormalization", () => layers.layerNormalization()),
  on(image, "dropout", () => layers.dropout({ rate: 0.4, seed: 5 })),
  on(image, "masking", () => layers.masking({ maskValue: 0.1 })),
]);

testTraining("of sequences", [
  ...[false, true].flatMap((returnSequences) => [
    on(sequence, `simpleRNN ${returnSequences}`, () => layers.simpleRNN({ units: 3, returnSequences })),
    on(sequence, `lstm ${returnSequences}`, () => layers.lstm({ units: 3, returnSequences })),
    on(sequence, `gru ${returnSequences}`, () => layers.gru({ units: 3, returnSequences })),
  ]),
  on(
    sequence,
    "bidirectional",
    () => layers.bidirectional({ layer: layers.lstm({ units: 3 }) as tf.RNN, mergeMode: "concat" }),
  ),
  {
    ...on(
      [6],
      "bidirectional with a mask",
      () => layers.embedding({ inputDim: 5, outputDim: 3, maskZero: true }),
      () => layers.bidirectional({ layer: layers.gru({ units: 3 }) as tf.RNN, mergeMode: "sum" }),
    ),
    wholeNumbers: true,
  },
  on(sequence, "timeDistributed", () => layers.timeDistributed({ layer: layers.dense({ units: 3 }) })),
  on([3, 5, 5, 2], "convLstm2d", () => layers.convLstm2d({ filters: 2, kernelSize: 3 })),
  { ...on([6], "embedding", () => layers.embedding({ inputDim: 5, outputDim: 3 })), wholeNumbers: true },
  {
    ...on(
      [6],
      "masked embedding",
      () => layers.embedding({ inputDim: 5, outputDim: 3, maskZero: true }),
      () => layers.lstm({ units: 2 }),
    ),
    wholeNumbers: true,
  },
]);

const smallCnn = on(
  [8, 8, 2],
  "cnn",
  () => layers.conv2d({ filters: 4, kernelSize: 3, activation: "relu" }),
  () => layers.maxPooling2d({ poolSize: 2 } as Parameters<typeof layers.maxPooling2d>[0]),
);

const optimizers: Record<string, () => tf.Optimizer> = {
  sgd: () => tf.train.sgd(0.05),
  momentum: () => tf.train.momentum(0.05, 0.9),
  "momentum, Nesterov's": () => tf.train.momentum(0.05, 0.9, true),
  adam: () => tf.train.adam(0.01),
  adamax: () => tf.train.adamax(0.01),
  adagrad: () => tf.train.adagrad(0.05),
  adadelta: () => tf.train.adadelta(0.05),
  rmsprop: () => tf.train.rmsprop(0.01),
  "rmsprop with momentum": () => tf.train.rmsprop(0.01, 0.9, 0.5),
};
for (const [name, optimizer] of Object.entries(optimizers)) {
  testTraining(`with ${name}`, [smallCnn], { optimizer, loss: "categoricalCrossentropy" });
}

for (
  const loss of [
    "meanSquaredError",
    "meanAbsoluteError",
    "meanAbsolutePercentageError",
    "meanSquaredLogarithmicError",
    "squaredHinge",
    "hinge",
    "categoricalHinge",
    "logcosh",
    "categoricalCrossentropy",
    "sparseCategoricalCrossentropy",
    "binaryCrossentropy",
    "kullbackLeiblerDivergence",
    "poisson",
    "cosineProximity",
  ]
) {
  testTraining(`with the loss ${loss}`, [smallCnn], { optimizer: USUAL.optimizer, loss });
}
