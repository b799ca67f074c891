/** Models of each usual layer, and of layers connected at random, with random weights. */
import * as tf from "@tensorflow/tfjs";

const L = tf.layers;
type Layer = tf.layers.Layer;
type Symbol = tf.SymbolicTensor;

/** A model by the name of its case. */
export interface CatalogModel {
  readonly name: string;
  readonly model: tf.LayersModel;
}

const IMAGE = [8, 8, 3];
const SEQUENCE = [6, 3];

/** What a first layer is told besides. */
interface First {
  readonly inputShape: number[];
}

/** Sequential models of one layer each: its input's shape, and how it is made. */
const SINGLE: Readonly<Record<string, readonly [number[], (first: First) => Layer]>> = {
  conv2d: [
    IMAGE,
    (o) =>
      L.conv2d({
        ...o,
        filters: 4,
        kernelSize: 3,
        strides: 2,
        padding: "same",
        activation: "relu",
        kernelRegularizer: "l1l2",
        kernelConstraint: "maxNorm",
        kernelInitializer: "orthogonal",
      }),
  ],
  "conv2d dilated": [IMAGE, (o) => L.conv2d({ ...o, filters: 4, kernelSize: [3, 2], dilationRate: 2, useBias: false })],
  conv1d: [[9, 3], (o) => L.conv1d({ ...o, filters: 4, kernelSize: 3, strides: 2, padding: "same" })],
  "conv1d valid": [[9, 3], (o) => L.conv1d({ ...o, filters: 2, kernelSize: 3, dilationRate: 2 })],
  conv3d: [[5, 5, 5, 2], (o) => L.conv3d({ ...o, filters: 2, kernelSize: 3 })],
  "conv2dTranspose same": [
    IMAGE,
    (o) => L.conv2dTranspose({ ...o, filters: 4, kernelSize: 3, strides: 2, padding: "same" }),
  ],
  "conv2dTranspose valid": [
    IMAGE,
    (o) => L.conv2dTranspose({ ...o, filters: 4, kernelSize: 3, strides: 2, padding: "valid" }),
  ],
  conv3dTranspose: [
    [4, 4, 4, 2],
    (o) => L.conv3dTranspose({ ...o, filters: 2, kernelSize: 3, strides: 2, padding: "same" }),
  ],
  separableConv2d: [IMAGE, (o) => L.separableConv2d({ ...o, filters: 4, kernelSize: 3, depthMultiplier: 2 })],
  depthwiseConv2d: [
    IMAGE,
    (o) => L.depthwiseConv2d({ ...o, kernelSize: 3, depthMultiplier: 2, strides: 2, padding: "same" }),
  ],
  "maxPooling2d same": [IMAGE, (o) => L.maxPooling2d({ ...o, poolSize: 3, strides: 2, padding: "same" })],
  "averagePooling2d same": [IMAGE, (o) => L.averagePooling2d({ ...o, poolSize: 3, strides: 2, padding: "same" })],
  maxPooling1d: [[9, 3], (o) => L.maxPooling1d({ ...o, poolSize: 2 })],
  averagePooling1d: [[9, 3], (o) => L.averagePooling1d({ ...o, poolSize: 2, strides: 1, padding: "same" })],
  maxPooling3d: [[4, 4, 4, 2], (o) => L.maxPooling3d({ ...o, poolSize: [2, 2, 2], strides: [2, 2, 2] })],
  averagePooling3d: [[4, 4, 4, 2], (o) => L.averagePooling3d({ ...o, poolSize: [2, 2, 2], strides: [2, 2, 2] })],
  globalAveragePooling2d: [IMAGE, (o) => L.globalAveragePooling2d(o)],
  globalMaxPooling2d: [IMAGE, (o) => L.globalMaxPooling2d(o)],
  globalAveragePooling1d: [[9, 3], (o) => L.globalAveragePooling1d(o)],
  globalMaxPooling1d: [[9, 3], (o) => L.globalMaxPooling1d(o)],
  flatten: [IMAGE, (o) => L.flatten(o)],
  reshape: [IMAGE, (o) => L.reshape({ ...o, targetShape: [4, 48] })],
  "reshape unknown": [IMAGE, (o) => L.reshape({ ...o, targetShape: [-1, 6] })],
  permute: [[4, 5], (o) => L.permute({ ...o, dims: [2, 1] })],
  repeatVector: [[5], (o) => L.repeatVector({ ...o, n: 3 })],
  "dense of a sequence": [[4, 5], (o) => L.dense({ ...o, units: 3, activation: "tanh" })],
  dropout: [[5], (o) => L.dropout({ ...o, rate: 0.5, seed: 3 })],
  spatialDropout1d: [[4, 5], (o) => L.spatialDropout1d({ ...o, rate: 0.5 })],
  gaussianNoise: [[5], (o) => L.gaussianNoise({ ...o, stddev: 0.5 })],
  gaussianDropout: [[5], (o) => L.gaussianDropout({ ...o, rate: 0.5 })],
  alphaDropout: [[5], (o) => L.alphaDropout({ ...o, rate: 0.5 })],
  batchNormalization: [IMAGE, (o) => L.batchNormalization({ ...o, axis: 3, epsilon: 0.01 })],
  "batchNormalization frozen": [IMAGE, (o) => L.batchNormalization({ ...o, trainable: false })],
  "batchNormalization without center": [[5], (o) => L.batchNormalization({ ...o, center: false })],
  layerNormalization: [[4, 5], (o) => L.layerNormalization(o)],
  "layerNormalization of two axes": [IMAGE, (o) => L.layerNormalization({ ...o, axis: [2, 3] })],
  "layerNormalization of another axis": [[4, 5], (o) => L.layerNormalization({ ...o, axis: 1 })],
  relu: [[6], (o) => L.reLU(o)],
  "relu with a maximum": [[6], (o) => L.reLU({ ...o, maxValue: 1 })],
  leakyReLU: [[6], (o) => L.leakyReLU({ ...o, alpha: 0.17 })],
  prelu: [IMAGE, (o) => L.prelu(o)],
  "prelu with shared axes": [IMAGE, (o) => L.prelu({ ...o, sharedAxes: [1, 2] })],
  elu: [[6], (o) => L.elu(o)],
  softmax: [[6], (o) => L.softmax({ ...o, axis: -1 })],
  zeroPadding2d: [IMAGE, (o) => L.zeroPadding2d({ ...o, padding: [[1, 2], [0, 1]] })],
  cropping2D: [IMAGE, (o) => L.cropping2D({ ...o, cropping: [[1, 2], [0, 1]] })],
  upSampling2d: [IMAGE, (o) => L.upSampling2d({ ...o, size: [2, 3] })],
  masking: [[4, 3], (o) => L.masking({ ...o, maskValue: 0 })],
  lstm: [SEQUENCE, (o) => L.lstm({ ...o, units: 4 })],
  "lstm of sequences": [
    SEQUENCE,
    (o) => L.lstm({ ...o, units: 4, recurrentActivation: "sigmoid", returnSequences: true }),
  ],
  "lstm backwards": [
    SEQUENCE,
    (o) => L.lstm({ ...o, units: 4, goBackwards: true, dropout: 0.2, recurrentDropout: 0.2, useBias: false }),
  ],
  gru: [SEQUENCE, (o) => L.gru({ ...o, units: 4 })],
  "gru of sequences": [
    SEQUENCE,
    (o) => L.gru({ ...o, units: 4, recurrentActivation: "sigmoid", returnSequences: true }),
  ],
  "gru backwards": [
    SEQUENCE,
    (o) => L.gru({ ...o, units: 4, goBackwards: true, dropout: 0.2, recurrentDropout: 0.2, useBias: false }),
  ],
  simpleRNN: [SEQUENCE, (o) => L.simpleRNN({ ...o, units: 4 })],
  "simpleRNN hardSigmoid": [SEQUENCE, (o) => L.simpleRNN({ ...o, units: 4, activation: "hardSigmoid" })],
  "lstm unrolled": [SEQUENCE, (o) => L.lstm({ ...o, units: 4, unroll: true })],
  "bidirectional lstm": [
    SEQUENCE,
    (o) => L.bidirectional({ ...o, layer: L.lstm({ units: 3, returnSequences: true }), mergeMode: "concat" }),
  ],
  "bidirectional gru": [SEQUENCE, (o) => L.bidirectional({ ...o, layer: L.gru({ units: 3 }), mergeMode: "sum" })],
  "bidirectional simpleRNN": [
    SEQUENCE,
    (o) => L.bidirectional({ ...o, layer: L.simpleRNN({ units: 3 }), mergeMode: "ave" }),
  ],
  "timeDistributed dense": [SEQUENCE, (o) => L.timeDistributed({ ...o, layer: L.dense({ units: 3 }) })],
  "timeDistributed conv2d": [
    [3, 8, 8, 2],
    (o) => L.timeDistributed({ ...o, layer: L.conv2d({ filters: 2, kernelSize: 3, activation: "hardSigmoid" }) }),
  ],
  convLstm2d: [[3, 6, 6, 2], (o) => L.convLstm2d({ ...o, filters: 2, kernelSize: 3 }) as Layer],
  "convLstm2d sigmoid": [
    [3, 6, 6, 2],
    (o) =>
      L.convLstm2d({
        ...o,
        filters: 2,
        kernelSize: 3,
        recurrentActivation: "sigmoid",
        returnSequences: true,
      }) as Layer,
  ],
  rescaling: [IMAGE, (o) => L.rescaling({ ...o, scale: 1 / 255, offset: -0.5 })],
  "dense hardSigmoid": [[6], (o) => L.dense({ ...o, units: 4, activation: "hardSigmoid" })],
  "conv2d hardSigmoid": [IMAGE, (o) => L.conv2d({ ...o, filters: 2, kernelSize: 3, activation: "hardSigmoid" })],
  "conv2dTranspose hardSigmoid": [
    IMAGE,
    (o) => L.conv2dTranspose({ ...o, filters: 2, kernelSize: 3, activation: "hardSigmoid" }),
  ],
  "depthwiseConv2d hardSigmoid": [IMAGE, (o) => L.depthwiseConv2d({ ...o, kernelSize: 3, activation: "hardSigmoid" })],
  "separableConv2d hardSigmoid": [
    IMAGE,
    (o) => L.separableConv2d({ ...o, filters: 2, kernelSize: 3, activation: "hardSigmoid" }),
  ],
  "separableConv2d dilated": [
    IMAGE,
    (o) => L.separableConv2d({ ...o, filters: 3, kernelSize: 3, dilationRate: 2 }),
  ],
  "conv2dTranspose dilated": [
    IMAGE,
    (o) => L.conv2dTranspose({ ...o, filters: 3, kernelSize: 3, dilationRate: 2 }),
  ],
  "conv3dTranspose dilated": [
    [4, 4, 4, 2],
    (o) => L.conv3dTranspose({ ...o, filters: 3, kernelSize: 3, dilationRate: 2 }),
  ],
  "conv3d dilated": [[6, 6, 6, 2], (o) => L.conv3d({ ...o, filters: 2, kernelSize: 2, dilationRate: 2 })],
  "convLstm2d strided": [
    [3, 6, 6, 2],
    (o) => L.convLstm2d({ ...o, filters: 2, kernelSize: 3, strides: 2, padding: "same" }) as Layer,
  ],
  "convLstm2d dilated": [
    [3, 6, 6, 2],
    (o) => L.convLstm2d({ ...o, filters: 2, kernelSize: 2, dilationRate: 2 }) as Layer,
  ],
  "convLstm2d backwards": [
    [3, 6, 6, 2],
    (o) => L.convLstm2d({ ...o, filters: 2, kernelSize: 3, goBackwards: true, useBias: false, dropout: 0.1 }) as Layer,
  ],
  "depthwiseConv2d even": [IMAGE, (o) => L.depthwiseConv2d({ ...o, kernelSize: 2, strides: 2, padding: "same" })],
  "conv2d even": [[7, 9, 3], (o) => L.conv2d({ ...o, filters: 2, kernelSize: 4, strides: 3, padding: "same" })],
  "conv2dTranspose odd": [
    [5, 7, 3],
    (o) => L.conv2dTranspose({ ...o, filters: 2, kernelSize: 2, strides: 3, padding: "same" }),
  ],
  "maxPooling1d same": [[9, 3], (o) => L.maxPooling1d({ ...o, poolSize: 4, strides: 3, padding: "same" })],
  "averagePooling3d same": [
    [5, 5, 5, 2],
    (o) => L.averagePooling3d({ ...o, poolSize: [2, 2, 2], strides: [2, 2, 2], padding: "same" }),
  ],
  "gru of hardSigmoid sequences": [SEQUENCE, (o) => L.gru({ ...o, units: 2, returnSequences: true })],
  "simpleRNN backwards": [
    SEQUENCE,
    (o) => L.simpleRNN({ ...o, units: 3, goBackwards: true, returnSequences: true, useBias: false }),
  ],
  "lstm forgetting": [SEQUENCE, (o) => L.lstm({ ...o, units: 3, unitForgetBias: false, activation: "relu" })],
  "bidirectional apart": [
    SEQUENCE,
    (o) => L.bidirectional({ ...o, layer: L.lstm({ units: 3 }), mergeMode: "mul" }),
  ],
  "separableConv2d strided": [
    IMAGE,
    (o) => L.separableConv2d({ ...o, filters: 3, kernelSize: 3, strides: 2, padding: "same" }),
  ],
  "batchNormalization of sequences": [SEQUENCE, (o) => L.batchNormalization(o)],
  "flatten of sequences": [SEQUENCE, (o) => L.flatten(o)],
  "reLU of sequences": [SEQUENCE, (o) => L.reLU(o)],
  "images of any size": [
    [null, null, 3] as unknown as number[],
    (o) => L.conv2d({ ...o, filters: 2, kernelSize: 3, padding: "same" }),
  ],
};

const ACTIVATIONS = (
  "elu relu relu6 selu sigmoid softplus softsign tanh softmax logSoftmax linear swish mish gelu"
).split(" ");

/** Models that Keras computes alike. */
export function catalog(): CatalogModel[] {
  const models: CatalogModel[] = [];
  const add = (name: string, model: tf.LayersModel) => void models.push({ name, model });
  for (const [name, [inputShape, make]] of Object.entries(SINGLE)) {
    add(name, tf.sequential({ layers: [make({ inputShape })] }));
  }
  for (const activation of ACTIVATIONS) {
    add(
      `activation ${activation}`,
      tf.sequential({ layers: [L.activation({ activation: activation as "relu", inputShape: [6] })] }),
    );
  }
  for (const [name, model] of Object.entries(sequentials())) add(name, model);
  for (const [name, model] of Object.entries(functionals())) add(name, model);
  for (let seed = 0; seed < 30; seed++) add(`random graph ${seed}`, randomGraph(seed));
  for (const { model } of models) randomize(model);
  return models;
}

function sequentials(): Record<string, tf.LayersModel> {
  const inner = () =>
    tf.sequential({ layers: [L.dense({ units: 3, inputShape: [4] }), L.dense({ units: 4, activation: "tanh" })] });
  const base = tf.sequential({
    layers: [L.conv2d({ inputShape: IMAGE, filters: 3, kernelSize: 3 }), L.batchNormalization()],
  });
  base.trainable = false;
  const partlyFrozen = tf.sequential({ layers: [L.batchNormalization({ inputShape: [4] }), L.dense({ units: 4 })] });
  for (const layer of partlyFrozen.layers) layer.trainableWeights[0].trainable = false;
  const embedding = (maskZero: boolean) => L.embedding({ inputDim: 11, outputDim: 4, inputLength: 6, maskZero });
  return {
    "words lstm": tf.sequential({ layers: [embedding(false), L.lstm({ units: 3 }), L.dense({ units: 2 })] }),
    "words masked lstm": tf.sequential({ layers: [embedding(true), L.lstm({ units: 3 }), L.dense({ units: 2 })] }),
    "words masked sequences": tf.sequential({
      layers: [
        embedding(true),
        L.dropout({ rate: 0.1 }),
        L.dense({ units: 3, activation: "relu" }),
        L.lstm({ units: 3, returnSequences: true }),
        L.gru({ units: 2 }),
      ],
    }),
    "words masked bidirectional": tf.sequential({
      layers: [embedding(true), L.bidirectional({ layer: L.lstm({ units: 2 }), mergeMode: "concat" })],
    }),
    "words of any length": tf.sequential({
      layers: [L.embedding({ inputDim: 11, outputDim: 4 }), L.globalAveragePooling1d({}), L.dense({ units: 2 })],
    }),
    cnn: tf.sequential({
      layers: [
        L.zeroPadding2d({ inputShape: [12, 12, 3], padding: 1 }),
        L.conv2d({ filters: 4, kernelSize: 3, useBias: false }),
        L.batchNormalization(),
        L.reLU(),
        L.maxPooling2d({ poolSize: 2 }),
        L.conv2d({ filters: 6, kernelSize: 3, activation: "relu" }),
        L.dropout({ rate: 0.3 }),
        L.separableConv2d({ filters: 5, kernelSize: 3, padding: "same" }),
        L.flatten(),
        L.dense({ units: 8, activation: "relu" }),
        L.dense({ units: 3, activation: "softmax" }),
      ],
    }),
    mobile: tf.sequential({
      layers: [
        L.conv2d({ inputShape: [16, 16, 3], filters: 8, kernelSize: 3, strides: 2, padding: "same", useBias: false }),
        L.batchNormalization(),
        L.reLU({ maxValue: 6 }),
        L.depthwiseConv2d({ kernelSize: 3, padding: "same", useBias: false }),
        L.batchNormalization(),
        L.leakyReLU(),
        L.globalAveragePooling2d({}),
        L.dense({ units: 2, activation: "softmax" }),
      ],
    }),
    "with an input layer": tf.sequential({ layers: [L.inputLayer({ inputShape: [4] }), L.dense({ units: 2 })] }),
    "sequential in sequential": tf.sequential({ layers: [inner(), L.dense({ units: 2 })] }),
    "frozen base": tf.sequential({ layers: [base, L.flatten(), L.dense({ units: 2 })] }),
    "some weights frozen": partlyFrozen,
    ...withParts(),
    "zeros masked lstm": tf.sequential({
      layers: [
        L.masking({ inputShape: SEQUENCE, maskValue: 0 }),
        L.timeDistributed({ layer: L.dense({ units: 3 }) }),
        L.lstm({ units: 3, returnSequences: true }),
        L.simpleRNN({ units: 2 }),
      ],
    }),
    "200 layers": tf.sequential({
      layers: Array.from({ length: 200 }, (_, i) => L.dense({ units: 3, ...(i === 0 ? { inputShape: [3] } : {}) })),
    }),
    "odd names": tf.sequential({
      name: "_my model/v1",
      layers: [
        L.dense({ units: 3, inputShape: [3], name: "a/b" }),
        L.dense({ units: 3, name: "a_b" }),
        L.dense({ units: 3, name: "C.d-e" }),
      ],
    }),
  };
}

/** A layer with each initializer, regularizer and constraint. */
function withParts(): Record<string, tf.LayersModel> {
  const { initializers, regularizers, constraints } = tf;
  const kernels = {
    constant: initializers.constant({ value: 0.5 }),
    glorotNormal: initializers.glorotNormal({ seed: 1 }),
    glorotUniform: initializers.glorotUniform({}),
    heNormal: initializers.heNormal({}),
    heUniform: initializers.heUniform({}),
    identity: initializers.identity({ gain: 2 }),
    leCunNormal: initializers.leCunNormal({}),
    leCunUniform: initializers.leCunUniform({}),
    ones: initializers.ones(),
    orthogonal: initializers.orthogonal({ gain: 2, seed: 3 }),
    randomNormal: initializers.randomNormal({ mean: 1, stddev: 2 }),
    randomUniform: initializers.randomUniform({ minval: -1, maxval: 1 }),
    truncatedNormal: initializers.truncatedNormal({ mean: 1, stddev: 2, seed: 3 }),
    varianceScaling: initializers.varianceScaling({ scale: 2, mode: "fanIn", distribution: "truncatedNormal" }),
    zeros: initializers.zeros(),
  };
  const limits = {
    minMaxNorm: constraints.minMaxNorm({ minValue: 0.1, maxValue: 2, rate: 0.5, axis: 0 }),
    nonNeg: constraints.nonNeg(),
    unitNorm: constraints.unitNorm({ axis: 0 }),
  };
  const penalties = {
    l1: regularizers.l1({ l1: 0.1 }),
    l2: regularizers.l2({ l2: 0.1 }),
    l1l2: regularizers.l1l2({ l1: 0.1, l2: 0.2 }),
  };
  const first = (inputShape: number[], options: object) => ({ inputShape, units: 3, ...options });
  return {
    initializers: tf.sequential({
      layers: Object.values(kernels).map((kernelInitializer) => L.dense(first([3], { kernelInitializer }))),
    }),
    constraints: tf.sequential({
      layers: Object.values(limits).map((kernelConstraint) => L.dense(first([3], { kernelConstraint }))),
    }),
    regularizers: tf.sequential({
      layers: Object.values(penalties).map((kernelRegularizer) =>
        L.dense(first([3], { kernelRegularizer, biasRegularizer: kernelRegularizer }))
      ),
    }),
  };
}

function functionals(): Record<string, tf.LayersModel> {
  const input = (...shape: number[]) => tf.input({ shape });
  const dense = (units: number) => L.dense({ units, activation: "tanh" });
  const apply = (layer: Layer, ...inputs: Symbol[]) => layer.apply(inputs.length === 1 ? inputs[0] : inputs) as Symbol;
  const models: Record<string, tf.LayersModel> = {};
  {
    const i = input(4);
    const a = apply(dense(3), i);
    const b = apply(dense(3), i);
    const shared = dense(3);
    const first = apply(shared, a);
    const second = apply(shared, b);
    models["shared layer, merges"] = tf.model({
      inputs: i,
      outputs: apply(
        L.concatenate(),
        apply(L.add(), a, b),
        apply(L.multiply(), first, second),
        apply(L.average(), a, b, first),
        apply(L.maximum(), a, first),
        apply(L.minimum(), b, second),
        apply(L.dot({ axes: -1 }), a, b),
        apply(L.dot({ axes: 1, normalize: true }), a, b),
      ),
    });
  }
  {
    const i = input(4);
    const second = tf.input({ shape: [5], name: "another/input" });
    const both = apply(L.concatenate(), apply(dense(3), i), apply(dense(4), second));
    models["two inputs and outputs"] = tf.model({
      inputs: [i, second],
      outputs: [apply(dense(2), both), apply(dense(1), both)],
    });
  }
  {
    const image = input(...IMAGE);
    let y = apply(L.conv2d({ filters: 4, kernelSize: 3, padding: "same" }), image);
    for (let k = 0; k < 2; k++) {
      const normal = apply(L.activation({ activation: "relu" }), apply(L.batchNormalization(), y));
      y = apply(L.add(), y, apply(L.conv2d({ filters: 4, kernelSize: 3, padding: "same" }), normal));
    }
    models.residual = tf.model({ inputs: image, outputs: apply(dense(2), apply(L.globalAveragePooling2d({}), y)) });
  }
  {
    const i = input(4);
    const end = input(4);
    const inner = tf.model({ inputs: end, outputs: apply(dense(4), apply(dense(5), end)) });
    models["functional in functional"] = tf.model({
      inputs: i,
      outputs: apply(L.add(), apply(inner, i), apply(dense(4), apply(inner, apply(inner, i)))),
    });
    const f = tf.model({ inputs: end, outputs: apply(dense(4), end) });
    models["functional as output"] = tf.model({ inputs: i, outputs: apply(f, apply(f, apply(dense(4), i))) });
    const two = tf.model({ inputs: end, outputs: [apply(dense(4), end), apply(dense(4), end)] });
    const [one, other] = two.apply(i) as Symbol[];
    models["functional with two outputs"] = tf.model({
      inputs: i,
      outputs: apply(L.add(), one, apply(dense(4), other)),
    });
    const deep = tf.model({ inputs: i, outputs: apply(dense(2), apply(inner, apply(dense(4), i))) });
    const again = input(4);
    models["three models deep"] = tf.model({
      inputs: again,
      outputs: apply(dense(3), apply(deep, apply(dense(4), again))),
    });
  }
  {
    const i = input(4);
    const j = input(4);
    const s = tf.sequential({ layers: [L.dense({ units: 4, inputShape: [4] }), L.reLU()] });
    models["sequential in functional"] = tf.model({
      inputs: [i, j],
      outputs: apply(L.add(), apply(s, i), apply(dense(4), apply(s, j))),
    });
    const end = tf.sequential({ layers: [L.dense({ units: 4, inputShape: [4] })] });
    models["sequential as output"] = tf.model({ inputs: i, outputs: apply(end, apply(dense(4), i)) });
  }
  {
    const i = input(...SEQUENCE);
    const [sequence, state] = L.lstm({ units: 3, returnState: true, returnSequences: true }).apply(i) as Symbol[];
    models["states of an lstm"] = tf.model({
      inputs: i,
      outputs: [apply(L.flatten(), sequence), apply(dense(2), state)],
    });
  }
  {
    const words = tf.input({ shape: [6], name: "words", dtype: "int32" });
    const seen = apply(L.embedding({ inputDim: 11, outputDim: 3, maskZero: true }), words);
    models["words masked by a graph"] = tf.model({
      inputs: words,
      outputs: apply(L.gru({ units: 2 }), apply(L.layerNormalization(), apply(dense(3), seen))),
    });
  }
  return models;
}

/** Layers of one shape connected at random, where a weight in another layer's place would fit. */
function randomGraph(seed: number): tf.LayersModel {
  let state = seed * 7919 + 13;
  const random = (count: number) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor(state / 65536) % count;
  };
  const inputs = [tf.input({ shape: [4] }), tf.input({ shape: [4] })];
  const tensors: Symbol[] = [...inputs];
  const pick = () => tensors[random(tensors.length)];
  const dense = (x: Symbol) => L.dense({ units: 4, activation: "tanh" }).apply(x) as Symbol;
  const shared = L.dense({ units: 4, activation: "tanh" });
  const model = tf.sequential({ layers: [L.dense({ units: 4, inputShape: [4] }), L.dense({ units: 4 })] });
  tensors.push(L.add().apply([inputs[0], dense(inputs[1])]) as Symbol);
  for (let k = 0; k < 10; k++) {
    const kind = random(6);
    if (kind < 3) tensors.push(dense(pick()));
    else if (kind < 4) tensors.push(L.add().apply([pick(), dense(pick())]) as Symbol);
    else tensors.push((kind < 5 ? shared : model).apply(pick()) as Symbol);
  }
  const outputs = [
    L.concatenate().apply([tensors[tensors.length - 1], ...tensors.slice(2)]) as Symbol,
    tensors.at(-2)!,
  ];
  return tf.model({ inputs, outputs });
}

/** Gives a model random weights; variances stay positive. */
function randomize(model: tf.LayersModel): void {
  const spread = model.layers.length > 100 ? 0.6 : 0.4;
  for (const [i, weight] of model.weights.entries()) {
    const shape = weight.shape as number[];
    tf.tidy(() => {
      weight.write(
        /variance/.test(weight.originalName)
          ? tf.randomUniform(shape, 0.5, 1.5, "float32", i)
          : tf.randomNormal(shape, 0, spread, "float32", i),
      );
    });
  }
}

/** Inputs for a model: words where it embeds some, numbers elsewhere, some of them zeros; sizes that are open are 4. */
export function randomInputs({ name, model }: CatalogModel): tf.Tensor[] {
  return model.inputs.map(({ shape }, i) => {
    const sizes = [3, ...shape.slice(1).map((size) => size ?? 4)];
    if (name.startsWith("zeros")) {
      const there = tf.greater(tf.randomUniform([...sizes.slice(0, -1), 1], 0, 1, "float32", i), 0.4);
      return tf.mul(tf.randomNormal(sizes, 0, 1, "float32", i + 100), tf.cast(there, "float32"));
    }
    return name.startsWith("words")
      ? tf.floor(tf.randomUniform(sizes, 0, 11, "float32", i))
      : tf.randomNormal(sizes, 0, 1, "float32", i + 100);
  });
}

/** Models that Keras lacks or computes otherwise, and what is said of them. */
export function refused(): (CatalogModel & { readonly reason: string })[] {
  const single = (inputShape: number[], make: (first: First) => Layer) =>
    tf.sequential({ layers: [make({ inputShape })] });
  const activation = (name: string) =>
    single([6], (o) => L.activation({ ...o, activation: name as "relu", name: "last" }));
  const i = tf.input({ shape: SEQUENCE });
  const [out, h, c] = L.lstm({ units: 3, returnState: true }).apply(i) as Symbol[];
  const begun = L.lstm({ units: 3, name: "begun" }).apply([i, h, c]) as Symbol;
  const loose = tf.input({ shape: [4], name: "loose" });
  const used = tf.input({ shape: [4] });
  const masked = tf.sequential({
    layers: [L.masking({ inputShape: SEQUENCE, name: "mask" }), L.lstm({ units: 2, returnSequences: true })],
  });
  class Double extends L.Layer {
    static className = "Double";
    override call(x: tf.Tensor | tf.Tensor[]): tf.Tensor {
      return tf.mul(Array.isArray(x) ? x[0] : x, 2);
    }
  }
  const cases: readonly (readonly [string, tf.LayersModel, string])[] = [
    [
      "hardSigmoid as a layer",
      activation("hardSigmoid"),
      'layer "last" (Activation): Keras 3 computes hardSigmoid with a slope of 1/6, tfjs with one of 0.2',
    ],
    ["gelu_new", activation("gelu_new"), 'layer "last" (Activation): Keras has no activation "gelu_new"'],
    [
      "thresholdedReLU",
      single([6], (o) => L.thresholdedReLU({ ...o, name: "x" })),
      'layer "x" (ThresholdedReLU): Keras 3 has no such layer',
    ],
    [
      "bilinear upSampling2d",
      single(IMAGE, (o) => L.upSampling2d({ ...o, interpolation: "bilinear", name: "x" })),
      'layer "x" (UpSampling2D): Keras puts the centres of the pixels elsewhere when it interpolates',
    ],
    [
      "rnn of cells",
      single(
        SEQUENCE,
        (o) => L.rnn({ ...o, cell: [L.lstmCell({ units: 3 }), L.gruCell({ units: 2 })], name: "x" }) as Layer,
      ),
      'layer "x" (RNN): a list of cells has no name in Keras\'s files',
    ],
    [
      "batchNormalization of the first axis",
      single(IMAGE, (o) => L.batchNormalization({ ...o, axis: 1, name: "x" })),
      'layer "x" (BatchNormalization): tfjs normalizes another axis than the last one wrongly',
    ],
    [
      "depthwiseConv2d dilated",
      single(IMAGE, (o) => L.depthwiseConv2d({ ...o, kernelSize: 2, dilationRate: 2, name: "x" })),
      'layer "x" (DepthwiseConv2D): tfjs computes it without its dilation',
    ],
    [
      "channels first",
      single([3, 8, 8], (o) => L.maxPooling2d({ ...o, poolSize: 2, dataFormat: "channelsFirst", name: "x" })),
      'layer "x" (MaxPooling2D): its channels come first',
    ],
    [
      "lstm with hardSigmoid inside",
      single(SEQUENCE, (o) => L.lstm({ ...o, units: 2, activation: "hardSigmoid", name: "x" })),
      'layer "x" (LSTM): Keras 3 computes hardSigmoid with a slope of 1/6, tfjs with one of 0.2',
    ],
    [
      "stateful lstm",
      tf.sequential({ layers: [L.lstm({ units: 2, stateful: true, batchInputShape: [3, 6, 3], name: "x" })] }),
      'layer "x" (LSTM): it keeps its state from one batch to the next',
    ],
    [
      "lstm with a state to begin with",
      tf.model({ inputs: i, outputs: [out, begun] }),
      'layer "begun" (LSTM): it is given the state that it begins with',
    ],
    [
      "centerCrop",
      single(IMAGE, (o) => L.centerCrop({ ...o, height: 4, width: 4, name: "x" })),
      'layer "x" (CenterCrop): tfjs gives it the shape of its output for that of its input',
    ],
    [
      "categoryEncoding",
      single([3], (o) => L.categoryEncoding({ ...o, numTokens: 4, outputMode: "multiHot", name: "x" })),
      'layer "x" (CategoryEncoding): tfjs gives it the shape of its output for that of its input',
    ],
    [
      "resizing",
      single(IMAGE, (o) => L.resizing({ ...o, height: 4, width: 4, name: "x" })),
      'layer "x" (Resizing): it is not among the layers that Keras is known to have',
    ],
    [
      "a layer of the program's own",
      single([3], (o) => new Double({ ...o, name: "x" })),
      'layer "x" (Double): it is not among the layers that Keras is known to have',
    ],
    [
      "timeDistributed of a recurrent layer's like",
      single([4, 8, 3], (o) => L.timeDistributed({ ...o, layer: L.prelu({ name: "in" }), name: "x" })),
      'layer "in" (PReLU): it is not known how Keras computes it within another layer',
    ],
    [
      "bidirectional backwards",
      single(
        SEQUENCE,
        (o) => L.bidirectional({ ...o, layer: L.gru({ units: 1, goBackwards: true, name: "in" }), mergeMode: "sum" }),
      ),
      'layer "in" (GRU): within another layer it goes backwards',
    ],
    [
      "an input without an output",
      tf.model({ inputs: [used, loose], outputs: L.dense({ units: 1 }).apply(used) as Symbol }),
      'layer "loose" (InputLayer): no output depends on it',
    ],
    [
      "masks through a model",
      tf.sequential({ layers: [masked, L.lstm({ units: 2 })] }),
      'layer "mask" (Masking): masks of a model with models in it reach other layers',
    ],
  ];
  return cases.map(([name, model, reason]) => ({ name, model, reason }));
}
