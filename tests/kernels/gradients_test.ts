import { assertEquals } from "@std/assert";
import * as tf from "@tensorflow/tfjs";
import { numbers, onCpu, onWasm, relativeDifference, THREADS, valueAndGradients } from "./cpu_and_wasm.ts";

/** Of the largest entry. Sums of float32 in another order differ by less. */
const TOLERANCE = 2e-5;

// deno-lint-ignore no-explicit-any -- tfjs wants tensors of fixed rank, the table holds any
type Compute = (...tensors: any[]) => tf.Tensor;

interface Case {
  name: string;
  shapes: number[][];
  compute: Compute;
  /** Makes the inputs from numbers in [-0.5, 0.5). @default the numbers themselves */
  input?: (value: number) => number;
}

/** Wants the value and every gradient to be the cpu backend's, no tensor to be left, and says all that differ. */
function testCases(name: string, cases: Case[]): void {
  Deno.test(`gradients of ${name} are the cpu backend's (${cases.length} cases)`, async () => {
    const inputsOf = ({ shapes, input = (value) => value }: Case) =>
      shapes.map((shape, i) => ({ shape, data: numbers(tf.util.sizeFromShape(shape), i + 1).map(input) }));
    const run = () => cases.map((each) => outcomeOf(() => valueAndGradients(inputsOf(each), each.compute)));
    const expected = await onCpu(run);

    const wrong: string[] = [];
    for (const threads of THREADS) {
      const actual = await onWasm(run, threads);
      for (const [i, { name }] of cases.entries()) {
        const { results, error, left } = actual[i];
        const say = (what: string) => wrong.push(`${threads} threads, ${name}: ${what}`);
        if (expected[i].error !== undefined) say(`the judge itself fails: ${expected[i].error}`);
        else if (error !== undefined) say(error);
        else if (left !== 0) say(`${left} pieces of data left on the heap`);
        for (const [j, result] of results.entries()) {
          const difference = relativeDifference(result, expected[i].results[j]);
          const part = j === 0 ? "value" : `gradient of input ${j}`;
          if (!(difference <= TOLERANCE)) say(`${part} differs by ${difference.toExponential(1)}`);
        }
      }
    }
    assertEquals(wrong, []);
  });
}

interface Outcome {
  results: Float32Array[];
  error?: string;
  /** How many pieces of data the backend holds more than before. */
  left: number;
}

/** Errors are values here: one case that fails must not hide the others. */
function outcomeOf(compute: () => Float32Array[]): Outcome {
  const before = heldData();
  try {
    const results = compute();
    return { results, left: heldData() - before };
  } catch (error) {
    return { results: [], error: (error as Error).message, left: 0 };
  }
}

/** What the backend itself holds: a kernel's forgotten intermediate is not among `tf.memory().numTensors`. */
function heldData(): number {
  return tf.engine().backend.numDataIds();
}

const images = [[8, 8], [7, 11], [13, 6]];

const conv2d: Case[] = [];
for (const [height, width] of images) {
  for (const [batch, inChannels, outChannels] of [[1, 3, 8], [3, 5, 7], [2, 1, 16]]) {
    for (const [filterHeight, filterWidth] of [[3, 3], [1, 1], [5, 3], [2, 2]]) {
      for (const pad of ["same", "valid", 1] as const) {
        for (const strides of [1, 2, [2, 1], 3] as (number | [number, number])[]) {
          // tfjs reckons the output of these as if the filter and the strides were square
          if (pad === 1 && (filterHeight !== filterWidth || typeof strides !== "number")) continue;
          conv2d.push({
            name: `${batch}x${height}x${width}x${inChannels}, filter ${filterHeight}x${filterWidth}x${outChannels}, ` +
              `pad ${pad}, strides ${strides}`,
            shapes: [[batch, height, width, inChannels], [filterHeight, filterWidth, inChannels, outChannels]],
            compute: (x, filter) => tf.conv2d(x, filter, strides, pad),
          });
        }
      }
    }
  }
}
// with as many channels as Winograd's algorithm wants, and images that its tiles do not divide
for (const [height, width] of [...images, [16, 12], [4, 4]]) {
  for (const [batch, inChannels, outChannels] of [[1, 8, 8], [2, 12, 20], [3, 16, 8], [1, 36, 12]]) {
    for (const filterSize of [3, 5]) {
      for (const pad of ["same", "valid", 1, 2] as const) {
        if (pad === "valid" && Math.min(height, width) < filterSize) continue;
        conv2d.push({
          name:
            `${batch}x${height}x${width}x${inChannels}, filter ${filterSize}x${filterSize}x${outChannels}, pad ${pad}`,
          shapes: [[batch, height, width, inChannels], [filterSize, filterSize, inChannels, outChannels]],
          compute: (x, filter) => tf.conv2d(x, filter, 1, pad),
        });
      }
    }
  }
}
// with as many entries in a window as direct convolutions are for
for (const [filterHeight, filterWidth] of [[5, 5], [7, 3], [1, 4], [4, 4]]) {
  for (const [batch, inChannels, outChannels] of [[2, 4, 6], [1, 9, 12]]) {
    for (const pad of ["same", "valid"] as const) {
      for (const strides of [1, 2]) {
        conv2d.push({
          name: `${batch}x9x11x${inChannels}, filter ${filterHeight}x${filterWidth}x${outChannels}, ${pad}, ${strides}`,
          shapes: [[batch, 9, 11, inChannels], [filterHeight, filterWidth, inChannels, outChannels]],
          compute: (x, filter) => tf.conv2d(x, filter, strides, pad),
        });
      }
    }
  }
}
// products of matrices as they lie in memory, with more pixels than are multiplied at once
for (const [inChannels, outChannels] of [[1, 1], [3, 9], [6, 8], [16, 20], [13, 24]]) {
  conv2d.push({
    name: `3x17x19x${inChannels}, filter 1x1x${outChannels}`,
    shapes: [[3, 17, 19, inChannels], [1, 1, inChannels, outChannels]],
    compute: (x, filter) => tf.conv2d(x, filter, 1, "same"),
  });
}
for (
  const pad of [[[0, 0], [2, 1], [0, 3], [0, 0]], [[0, 0], [4, 0], [3, 2], [0, 0]]] as [
    [number, number],
    [number, number],
    [number, number],
    [number, number],
  ][]
) {
  for (const strides of [1, 2]) {
    conv2d.push({
      name: `explicit pads ${JSON.stringify(pad)}, strides ${strides}`,
      shapes: [[2, 9, 7, 3], [3, 3, 3, 4]],
      compute: (x, filter) => tf.conv2d(x, filter, strides, pad),
    });
  }
}
testCases("conv2d", conv2d);

// as a model's layers chain them, so that they are computed in one go where they can be
const chains: Case[] = [];
for (const [height, width] of [[8, 8], [12, 16], [10, 6], [7, 9]]) {
  for (
    const [filterSize, inChannels, outChannels] of [[3, 3, 8], [3, 8, 12], [5, 8, 8], [5, 1, 4], [3, 4, 6], [1, 8, 8]]
  ) {
    for (const activation of ["relu", "linear"]) {
      for (const pool of [2, 3]) {
        chains.push({
          name:
            `${height}x${width}x${inChannels}, filter ${filterSize}x${filterSize}x${outChannels}, ${activation}, ${pool}`,
          shapes: [[2, height, width, inChannels], [filterSize, filterSize, inChannels, outChannels], [outChannels]],
          compute: (x, filter, bias) => {
            const sum = tf.add<tf.Tensor4D>(tf.conv2d(x, filter, 1, "same"), bias);
            return tf.maxPool(activation === "relu" ? tf.relu(sum) : sum, pool, 2, "valid");
          },
        });
      }
    }
  }
}
testCases("conv2d with bias, activation and pool", chains);

const transposed: Case[] = [];
for (const [height, width] of [[4, 5], [1, 3]]) {
  for (const strides of [1, 2, 3]) {
    for (const filterSize of [2, 3, 4]) {
      transposed.push({
        name: `same, ${height}x${width}, strides ${strides}, filter ${filterSize}`,
        shapes: [[2, height, width, 3], [filterSize, filterSize, 5, 3]],
        compute: (x, filter) =>
          tf.conv2dTranspose(x, filter, [2, height * strides, width * strides, 5], strides, "same"),
      });
      transposed.push({
        name: `valid, ${height}x${width}, strides ${strides}, filter ${filterSize}`,
        shapes: [[2, height, width, 3], [filterSize, filterSize, 5, 3]],
        compute: (x, filter) => {
          const size = (length: number) => (length - 1) * strides + filterSize;
          return tf.conv2dTranspose(x, filter, [2, size(height), size(width), 5], strides, "valid");
        },
      });
    }
  }
}
testCases("conv2dTranspose", transposed);

const depthwise: Case[] = [];
for (const [height, width] of images) {
  for (const multiplier of [1, 2, 3]) {
    for (const filterSize of [1, 2, 3]) {
      for (const pad of ["same", "valid"] as const) {
        for (const strides of [1, 2]) {
          depthwise.push({
            name: `${height}x${width}, multiplier ${multiplier}, filter ${filterSize}, ${pad}, strides ${strides}`,
            shapes: [[2, height, width, 4], [filterSize, filterSize, 4, multiplier]],
            compute: (x, filter) => tf.depthwiseConv2d(x, filter, strides, pad),
          });
        }
      }
    }
  }
}
// rows that are walked along, also where they are shorter than the filter
for (const [height, width] of [[8, 9], [5, 2], [1, 1], [2, 5], [12, 4]]) {
  for (const [batch, channels] of [[1, 4], [2, 11], [3, 8], [1, 3]]) {
    for (const filterSize of [[3, 3], [5, 5], [2, 3], [4, 5], [3, 2], [1, 3]]) {
      for (const pad of ["same", "valid", 2] as const) {
        for (const strides of [1, 2, [2, 1], [1, 2], 3] as (number | [number, number])[]) {
          const [filterHeight, filterWidth] = filterSize;
          if (pad === "valid" && (filterHeight > height || filterWidth > width)) continue;
          if (pad === 2 && (filterHeight !== filterWidth || typeof strides !== "number")) continue;
          depthwise.push({
            name: `${batch}x${height}x${width}x${channels}, filter ${filterSize}, ${pad}, strides ${strides}`,
            shapes: [[batch, height, width, channels], [filterHeight, filterWidth, channels, 1]],
            compute: (x, filter) => tf.depthwiseConv2d(x, filter, strides, pad),
          });
        }
      }
    }
  }
}
testCases("depthwiseConv2d", depthwise);

testCases(
  "separableConv2d and conv1d",
  ([1, 2] as const).flatMap((strides) =>
    (["same", "valid"] as const).flatMap((pad): Case[] => [
      {
        name: `separable, strides ${strides}, ${pad}`,
        shapes: [[2, 9, 7, 4], [3, 3, 4, 2], [1, 1, 8, 6]],
        compute: (x, depthwiseFilter, pointwiseFilter) =>
          tf.separableConv2d(x, depthwiseFilter, pointwiseFilter, strides, pad),
      },
      {
        name: `conv1d, strides ${strides}, ${pad}`,
        shapes: [[3, 11, 4], [3, 4, 6]],
        compute: (x, filter) => tf.conv1d(x, filter, strides, pad),
      },
    ])
  ),
);

const pools: Case[] = [];
const poolInputs: [string, ((value: number) => number) | undefined][] = [
  ["mixed signs", undefined],
  ["negative", (value) => value - 1],
  ["ties", (value) => Math.round(value * 3)],
  ["zeros of a relu", (value) => Math.max(0, value)],
  ["infinities", (value) => value < -0.1 ? -Infinity : value > 0.3 ? Infinity : value],
];
for (const [height, width, channels] of [[8, 8, 4], [9, 7, 5], [7, 10, 3]]) {
  for (const size of [2, 3] as (number | [number, number])[]) {
    for (const strides of [1, 2, 3, [2, 1]] as (number | [number, number])[]) {
      for (const pad of ["same", "valid"] as const) {
        for (const [values, input] of poolInputs) {
          pools.push({
            name: `${height}x${width}x${channels}, size ${size}, strides ${strides}, ${pad}, ${values}`,
            shapes: [[2, height, width, channels]],
            compute: (x) => tf.maxPool(x, size, strides, pad),
            input,
          });
        }
      }
    }
  }
}
for (const size of [[1, 2], [3, 2], [8, 8], [1, 1]] as [number, number][]) {
  for (const strides of [1, 2]) {
    pools.push({
      name: `8x8x4, size ${size}, strides ${strides}`,
      shapes: [[2, 8, 8, 4]],
      compute: (x) => tf.maxPool(x, size, strides, "valid"),
    });
  }
}
testCases("maxPool", pools);

testCases(
  "avgPool",
  images.flatMap(([height, width]) =>
    [1, 2, 3].flatMap((size) =>
      [1, 2, 3].flatMap((strides) =>
        (["same", "valid"] as const).map((pad): Case => ({
          name: `${height}x${width}, size ${size}, strides ${strides}, ${pad}`,
          shapes: [[2, height, width, 3]],
          compute: (x) => tf.avgPool(x, size, strides, pad),
        }))
      )
    )
  ),
);

const products: Case[] = [];
for (const transposeA of [false, true]) {
  for (const transposeB of [false, true]) {
    for (const batch of [[], [3], [2, 3]]) {
      for (const [rows, inner, columns] of [[5, 6, 7], [1, 64, 10], [33, 1, 9]]) {
        products.push({
          name: `[${batch}] ${rows}x${inner}x${columns}, transposed ${transposeA} ${transposeB}`,
          shapes: [
            [...batch, ...transposeA ? [inner, rows] : [rows, inner]],
            [...batch, ...transposeB ? [columns, inner] : [inner, columns]],
          ],
          compute: (a, b) => tf.matMul(a, b, transposeA, transposeB),
        });
      }
    }
  }
}
testCases("matMul", products);

testCases("gather", [
  { name: "rows", shapes: [[7, 3]], compute: (x) => tf.gather(x, tf.tensor1d([6, 0, 0, 3, 6, 6], "int32")) },
  { name: "columns", shapes: [[4, 5]], compute: (x) => tf.gather(x, tf.tensor1d([4, 1, 1], "int32"), 1) },
  {
    name: "matrix of rows",
    shapes: [[5, 2]],
    compute: (x) => tf.gather(x, tf.tensor2d([[1, 2], [1, 4]], [2, 2], "int32")),
  },
  { name: "middle of rank 3", shapes: [[2, 4, 3]], compute: (x) => tf.gather(x, tf.tensor1d([3, 3, 0], "int32"), 1) },
  { name: "scalars", shapes: [[6]], compute: (x) => tf.gather(x, tf.tensor1d([5, 5, 2], "int32")) },
  {
    name: "segments",
    shapes: [[4, 3]],
    compute: (x) => tf.unsortedSegmentSum(x, tf.tensor1d([1, 2, 1, 1], "int32"), 4),
  },
]);

const positive = (value: number) => value + 0.6;
const unary: [string, Compute, ((value: number) => number)?][] = [
  ["relu", tf.relu],
  ["relu6", (x) => tf.relu6(tf.mul(x, 20))],
  ["elu", tf.elu],
  ["selu", tf.selu],
  ["sigmoid", tf.sigmoid],
  ["tanh", tf.tanh],
  ["softplus", tf.softplus],
  ["leakyRelu", (x) => tf.leakyRelu(x, 0.3)],
  ["erf", tf.erf],
  ["exp", tf.exp],
  ["expm1", tf.expm1],
  ["log", tf.log, positive],
  ["log1p", tf.log1p],
  ["sqrt", tf.sqrt, positive],
  ["rsqrt", tf.rsqrt, positive],
  ["reciprocal", tf.reciprocal, positive],
  ["square", tf.square],
  ["abs", tf.abs],
  ["neg", tf.neg],
  ["sin", tf.sin],
  ["cos", tf.cos],
  ["tan", tf.tan],
  ["asin", tf.asin],
  ["acos", tf.acos],
  ["atan", tf.atan],
  ["sinh", tf.sinh],
  ["cosh", tf.cosh],
  ["asinh", tf.asinh],
  ["atanh", tf.atanh],
  ["acosh", tf.acosh, (value) => value + 2],
  ["pow", (x) => tf.pow(x, 3)],
  ["clipByValue", (x) => tf.clipByValue(x, -0.2, 0.3)],
  ["softmax", (x) => tf.softmax(x)],
  ["logSoftmax", (x) => tf.logSoftmax(x)],
  ["logSumExp", (x) => tf.logSumExp(x, -1)],
  ["sum", (x) => tf.sum(x, 1)],
  ["mean", (x) => tf.mean(x, [0, 1])],
  ["max", (x) => tf.max(x, 1)],
  ["min", (x) => tf.min(x, -1)],
  ["prod", (x) => tf.prod(x, 2)],
  ["cumsum", (x) => tf.cumsum(x, 2)],
  ["norm", (x) => tf.norm(x)],
  ["moments", (x) => tf.moments(x, [0, 1]).variance],
  ["transpose", (x) => tf.transpose(x, [2, 0, 1])],
  ["reshape", (x) => tf.reshape(x, [12, 5])],
  ["reverse", (x) => tf.reverse(x, [0, 2])],
  ["tile", (x) => tf.tile(x, [2, 1, 3])],
  ["pad", (x) => tf.pad(x, [[1, 0], [0, 2], [3, 1]])],
  ["mirrorPad", (x) => tf.mirrorPad(x, [[1, 0], [0, 2], [1, 1]], "reflect")],
  ["slice", (x) => tf.slice(x, [1, 1, 0], [2, 2, 5])],
  ["split and concat", (x) => tf.concat(tf.split(x, 2, 1).reverse(), 1)],
  ["unstack and stack", (x) => tf.stack(tf.unstack(x, 1).reverse(), 2)],
  ["expandDims and squeeze", (x) => tf.squeeze(tf.expandDims(x, 1))],
  ["broadcastTo", (x) => tf.broadcastTo(tf.slice(x, [0, 0, 0], [3, 1, 5]), [3, 4, 5])],
  ["where", (x) => tf.where(tf.tensor(numbers(60, 5), [3, 4, 5]).greater(0), tf.mul(x, 2), tf.square(x))],
  ["oneHot of argMax", (x) => tf.mul(tf.oneHot(tf.argMax(x, 2).toInt(), 5), x)],
  ["sign and step", (x) => tf.mul(x, tf.add(tf.sign(x), tf.step(x)))],
  ["mod", (x) => tf.mod(x, 0.3)],
];
testCases(
  "one input",
  unary.map(([name, compute, input]): Case => ({ name, compute, input, shapes: [[3, 4, 5]] })),
);

testCases(
  "sums and means",
  [false, true].flatMap((keepDims) =>
    ([0, 1, -2, 3, [0, 1], [1, 2], [2, 1], [2, 3], [0, 2], [0, 1, 2], undefined] as (number | number[] | undefined)[])
      .flatMap((axis) => [
        {
          name: `sum ${axis} ${keepDims}`,
          shapes: [[3, 12, 7, 5]],
          compute: (x: tf.Tensor) => tf.sum(x, axis, keepDims),
        },
        {
          name: `mean ${axis} ${keepDims}`,
          shapes: [[3, 12, 7, 5]],
          compute: (x: tf.Tensor) => tf.mean(x, axis, keepDims),
        },
      ])
  ),
);

const broadcast: [string, Compute][] = [
  ["add", tf.add],
  ["sub", tf.sub],
  ["mul", tf.mul],
  ["div", (a, b) => tf.div(a, tf.add(b, 2))],
  ["pow", (a, b) => tf.pow(tf.add(a, 1), b)],
  ["atan2", tf.atan2],
  ["prelu", tf.prelu],
];
const alike: [string, Compute][] = [
  ["maximum", tf.maximum],
  ["minimum", tf.minimum],
  ["squaredDifference", tf.squaredDifference],
  ["huberLoss", tf.losses.huberLoss],
  ["absoluteDifference", tf.losses.absoluteDifference],
  ["meanSquaredError", tf.losses.meanSquaredError],
  ["cosineDistance", (a, b) => tf.losses.cosineDistance(a, b, 1)],
  ["sigmoidCrossEntropy", (a, b) => tf.losses.sigmoidCrossEntropy(tf.step(a), b)],
  ["logLoss", (a, b) => tf.losses.logLoss(tf.step(a), tf.sigmoid(b))],
];
testCases("two inputs", [
  ...[...broadcast, ...alike].map(([name, compute]): Case => ({ name, compute, shapes: [[4, 5], [4, 5]] })),
  ...broadcast.flatMap(([name, compute]) =>
    [[1, 5], [5], [4, 1], [1], []].map((shape): Case => ({
      name: `${name} [${shape}]`,
      compute,
      shapes: [[4, 5], shape],
    }))
  ),
]);

testCases("layers' other operations", [
  {
    name: "softmaxCrossEntropy",
    shapes: [[16, 10]],
    compute: (x) =>
      tf.losses.softmaxCrossEntropy(
        tf.oneHot(tf.range(0, 16, 1, "int32").mod(tf.scalar(10, "int32")).toInt(), 10),
        x,
      ),
  },
  {
    name: "batchNorm",
    shapes: [[4, 5, 5, 6], [6], [6]],
    compute: (x, scale, offset) => {
      const { mean, variance } = tf.moments(x, [0, 1, 2]);
      return tf.batchNorm(x, mean as tf.Tensor1D, variance as tf.Tensor1D, offset, scale, 1e-3);
    },
  },
  ...[[6], [1, 1, 1, 6], [5, 6], [4, 5, 5, 6]].flatMap((shape): Case[] => {
    const positive = (x: tf.Tensor) => tf.add(x, 1);
    return [
      {
        name: `batchNorm by given [${shape}]`,
        shapes: [[4, 5, 5, 6], shape, shape, shape, shape],
        compute: (x, mean, variance, offset, scale) => tf.batchNorm(x, mean, positive(variance), offset, scale),
      },
    ];
  }),
  {
    name: "resizeBilinear",
    shapes: [[2, 5, 5, 3]],
    compute: (x) => tf.image.resizeBilinear(x, [10, 7]),
  },
  {
    name: "resizeNearestNeighbor",
    shapes: [[1, 5, 4, 3]], // of a batch, the cpu backend's own gradient is wrong
    compute: (x) => tf.image.resizeNearestNeighbor(x, [10, 8]),
  },
  { name: "conv3d", shapes: [[2, 5, 6, 4, 3], [2, 3, 2, 3, 4]], compute: (x, f) => tf.conv3d(x, f, 1, "same") },
  { name: "maxPool3d", shapes: [[2, 4, 6, 4, 3]], compute: (x) => tf.maxPool3d(x, 2, 2, "valid") },
  { name: "avgPool3d", shapes: [[2, 4, 6, 4, 3]], compute: (x) => tf.avgPool3d(x, 2, 2, "valid") },
  {
    name: "maxPool3d, negative",
    shapes: [[2, 4, 6, 4, 3]],
    compute: (x) => tf.maxPool3d(x, 3, 2, "same"),
    input: (value) => value - 1,
  },
  { name: "localResponseNormalization", shapes: [[2, 3, 3, 8]], compute: (x) => tf.localResponseNormalization(x) },
]);
