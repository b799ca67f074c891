import { assertEquals } from "@std/assert";
import * as tf from "@tensorflow/tfjs";
import { onCpu, onWasm, relativeDifference } from "./cpu_and_wasm.ts";

/** Of the largest entry. */
const TOLERANCE = 1e-5;

// deno-lint-ignore no-explicit-any -- operations are called by their names, with tensors of any rank
type Any = any;
type Compute = () => tf.Tensor | tf.Tensor[] | object | Promise<tf.Tensor | tf.Tensor[]>;
type Shape = readonly number[];

/** What tensors are filled with: `large` has whole numbers that float32 cannot hold, `special` NaN and infinities. */
const VALUES = {
  float32: [-2.5, -1, -0.5, -0, 0, 0.5, 1, 1.5, 2.5, 3, -3, 0.25, 7.75, -0.125],
  special: [NaN, 1, -Infinity, Infinity, -0, 0, 2.5, 1e-8, 1e8, -1e8, -2.5, 0.5, 1.5, -1.5],
  int32: [-3, -1, 0, 1, 2, 7, 5, -8, 4, 3, 3, 6],
  large: [-3, 16777217, -16777219, 0, 1, 2147483647, -2147483648, 100, 3],
  bool: [1, 0, 0, 1, 1, 1, 0],
} as const;
type Kind = keyof typeof VALUES;
const KINDS = Object.keys(VALUES) as Kind[];
const TYPES = ["float32", "int32", "bool"] as const;

/** A tensor of the kind's values, in another order for each seed. */
function of(kind: Kind, shape: Shape, seed = 0): Any {
  const values = VALUES[kind];
  const data = Array.from(
    { length: tf.util.sizeFromShape(shape as number[]) },
    (_, i) => values[(i * 5 + seed * 3 + ((i * 7) >> 3)) % values.length],
  );
  const dtype = kind === "special" ? "float32" : kind === "large" ? "int32" : kind;
  return tf.tensor(data, shape as number[], dtype);
}

function whole(values: number[] | number[][]): Any {
  return tf.tensor(values, undefined, "int32");
}

async function outcomeOf(compute: Compute): Promise<{ results: unknown[]; error?: string }> {
  try {
    const result = await compute();
    const list = result instanceof tf.Tensor ? [result] : Object.values(result).flat();
    return {
      results: list.map((each) =>
        each instanceof tf.Tensor ? { dtype: each.dtype, shape: each.shape, data: each.dataSync() } : each
      ),
    };
  } catch (error) {
    return { results: [], error: (error as Error).message };
  }
}

/** Whether two results are the same, type and shape as well. */
function isSame(actual: Any, expected: Any): boolean {
  if (expected?.data === undefined) return JSON.stringify(actual) === JSON.stringify(expected);
  if (actual.dtype !== expected.dtype || actual.shape.join() !== expected.shape.join()) return false;
  return expected.dtype === "float32"
    ? relativeDifference(actual.data, expected.data) <= TOLERANCE
    : actual.data.length === expected.data.length &&
      expected.data.every((value: unknown, i: number) => value === actual.data[i]);
}

/** Wants each result to be the cpu backend's, type and shape as well, or an error that says which kernel refuses what. */
function testCases(name: string, cases: [string, Compute][]): void {
  Deno.test(`${name}: results are the cpu backend's for all types and shapes (${cases.length} cases)`, async () => {
    const run = async () => {
      const all = [];
      for (const [, compute] of cases) all.push(await outcomeOf(compute));
      return all;
    };
    const expected = await onCpu(run);
    const actual = await onWasm(run);
    const wrong: string[] = [];
    for (const [i, [name]] of cases.entries()) {
      const { results, error } = actual[i];
      const judge = expected[i];
      if (judge.error !== undefined || error !== undefined && /^Cannot .* on the wasm backend: /.test(error)) continue;
      const same = error === undefined && results.length === judge.results.length &&
        judge.results.every((result, j) => isSame(results[j], result));
      if (!same) wrong.push(`${name}: ${error ?? Deno.inspect(results)} is not ${Deno.inspect(judge.results)}`);
    }
    assertEquals(wrong, []);
  });
}

const SHAPES: Shape[] = [[], [0], [5], [3, 4], [2, 0, 3], [2, 1, 3, 2, 2], [2, 1, 2, 1, 3, 2]];

function eachKind(cases: (kind: Kind) => [string, Compute][]): [string, Compute][] {
  return KINDS.flatMap((kind) => cases(kind).map(([name, compute]): [string, Compute] => [`${name} ${kind}`, compute]));
}

const operations = tf as Any;

const ELEMENTWISE = "abs acos acosh asin asinh atan atanh ceil cos cosh elu erf exp expm1 floor isFinite isInf isNaN " +
  "leakyRelu log log1p logSigmoid logicalNot neg reciprocal relu relu6 round rsqrt selu sigmoid sign sin sinh softplus " +
  "sqrt square step tan tanh clone zerosLike onesLike softmax logSoftmax";
testCases(
  "one input",
  eachKind((kind) =>
    SHAPES.flatMap((shape) => [
      ...ELEMENTWISE.split(" ").map((name): [string, Compute] => [
        `${name} [${shape}]`,
        () => operations[name](of(kind, shape)),
      ]),
      ...TYPES.map((type): [string, Compute] => [`cast ${type} [${shape}]`, () => tf.cast(of(kind, shape), type)]),
      [`clipByValue [${shape}]`, () => tf.clipByValue(of(kind, shape), -1, 2.5)],
    ])
  ),
);

const AXES: [Shape, number | number[] | undefined][] = [
  ...SHAPES.map((shape): [Shape, undefined] => [shape, undefined]),
  [[3, 4], 0],
  [[3, 4], 1],
  [[3, 4], [0, 1]],
  [[2, 3, 2], 1],
  [[2, 3, 2], [0, 2]],
  [[2, 3, 2], -1],
  [[2, 0, 3], 1],
  [[2, 0, 3], 0],
  [[2, 1, 3, 2, 2], [1, 3]],
];
testCases(
  "reductions",
  eachKind((kind) =>
    AXES.flatMap(([shape, axis]) => [
      ..."all any sum mean max min prod logSumExp argMax argMin".split(" ").map((name): [string, Compute] => [
        `${name} [${shape}] along ${axis}`,
        () => operations[name](of(kind, shape), axis),
      ]),
      ..."sum mean max prod".split(" ").map((name): [string, Compute] => [
        `${name} [${shape}] along ${axis}, dimensions kept`,
        () => operations[name](of(kind, shape), axis, true),
      ]),
      ...Array.isArray(axis) || axis! < 0
        ? []
        : ["cumsum", "cumprod"].flatMap((name) =>
          [[false, false], [true, false], [false, true], [true, true]].map((ways): [string, Compute] => [
            `${name} [${shape}] along ${axis} ${ways}`,
            () => operations[name](of(kind, shape), axis, ...ways),
          ])
        ),
    ])
  ),
);

const PAIRS: [Shape, Shape][] = [
  [[], []],
  [[], [3]],
  [[5], [5]],
  [[3, 4], [4]],
  [[3, 4], [3, 1]],
  [[1, 4], [3, 1]],
  [[0], [0]],
  [[0], [1]],
  [[2, 0], [2, 1]],
  [[2, 1, 3, 2, 2], [2, 1, 2]],
  [[2, 1, 3, 2, 2], [2, 2, 1, 2, 1]],
  [[2, 1, 2, 1, 3, 2], [2, 2, 1, 1, 2]],
];
const BINARY =
  "add sub mul div divNoNan floorDiv mod pow maximum minimum squaredDifference atan2 equal notEqual less " +
  "lessEqual greater greaterEqual logicalAnd logicalOr logicalXor bitwiseAnd prelu";
/** Kinds that go together: where they differ, numbers that both types hold. */
const KIND_PAIRS: [Kind, Kind][] = [
  ...KINDS.map((kind): [Kind, Kind] => [kind, kind]),
  ["float32", "int32"],
  ["int32", "float32"],
  ["bool", "float32"],
  ["int32", "bool"],
];
testCases(
  "two inputs",
  KIND_PAIRS.flatMap(([kind, other]) =>
    PAIRS.flatMap(([a, b]) =>
      BINARY.split(" ")
        // C and JavaScript differ in powers of one, and remainders of infinities and of tiny numbers
        .filter((name) => !(["prelu", "pow", "mod"].includes(name) && kind === "special"))
        .map((name): [string, Compute] => [
          `${name} ${kind} [${a}], ${other} [${b}]`,
          () => operations[name](of(kind, a), of(other, b, 1)),
        ])
    )
  ),
);

const ARRAYS: Shape[] = [[5], [3, 4], [2, 3, 2], [2, 1, 3, 2], [2, 1, 3, 2, 2], [0, 2], [2, 1, 2, 1, 3, 2]];
testCases(
  "arrays",
  eachKind((kind) =>
    ARRAYS.flatMap((shape) => {
      const x = (seed = 0) => of(kind, shape, seed);
      const last = shape.length - 1;
      const all = (value: (length: number, axis: number) => Any): Any => shape.map(value);
      const cases: [string, Compute][] = [
        ["reverse", () => tf.reverse(x())],
        ["reverse of the last", () => tf.reverse(x(), last)],
        ["transpose", () => tf.transpose(x())],
        ["transpose of two", () => tf.transpose(x(), last > 0 ? [1, 0, ...shape.map((_, i) => i).slice(2)] : [0])],
        ["slice", () => tf.slice(x(), all((length) => length > 1 ? 1 : 0))],
        ["stridedSlice", () => tf.stridedSlice(x(), all(() => 0), all((length) => length), all(() => 2))],
        ["stridedSlice backwards", () => tf.stridedSlice(x(), all(() => -1), all((n) => -n - 1), all(() => -1))],
        ["stridedSlice, masked", () => tf.stridedSlice(x(), all(() => 0), all((n) => n), all(() => 1), 1, 1, 0, 0, 1)],
        ["tile", () => tf.tile(x(), all((_, i) => i % 2 + 1))],
        ["pad", () => tf.pad(x(), all((_, i) => [i % 2, 1]), 1)],
        ["mirrorPad", () => tf.mirrorPad(x(), all((length) => length > 1 ? [1, 1] : [0, 0]), "reflect")],
        ["concat of the last", () => tf.concat([x(), x(1)], last)],
        ["concat of the first", () => tf.concat([x(), x(1), x(2)], 0)],
        ["stack", () => tf.stack([x(), x(1)], 1)],
        ["unstack", () => tf.unstack(x(), last)],
        ["split", () => tf.split(x(), [1, shape[last] - 1], last)],
        ["gather of the last", () => tf.gather(x(), whole([0, shape[last] - 1, 0]), last)],
        ["gather of the first", () => tf.gather(x(), whole([[0, shape[0] - 1], [0, 0]]), 0)],
        ["gather of each", () => tf.gather(x(), tf.ones([shape[0], 2], "int32"), 1, 1)],
        ["gatherND", () => tf.gatherND(x(), whole([[0], [shape[0] - 1]]))],
        ["where", () => tf.where(of("bool", shape), x(), x(2))],
        ["where of rows", () => tf.where(of("bool", [shape[0]]), x(), x(2))],
        ["where of one", () => tf.where(of("bool", []), x(), of(kind, [], 2))],
        ["topk", () => tf.topk(x(), shape[last])],
        ["unique", () => tf.unique(x(), 0)],
        ["broadcastTo", () => tf.broadcastTo(x(), [2, ...shape])],
        ["expandDims", () => tf.expandDims(x(), 1)],
        ["addN", () => tf.addN([x(), x(1), x(2)])],
        ["oneHot", () => tf.oneHot(of("int32", shape), 8, 5, -1)],
        ["einsum", () => tf.einsum("i...->...i", x())],
        ["booleanMask", () => tf.booleanMaskAsync(x(), of("bool", [shape[0]]))],
        ["whereAsync", () => tf.whereAsync(x().cast("bool"))],
        ["norm", () => kind === "special" ? tf.scalar(0) : tf.norm(x())],
      ];
      // the cpu backend carries NaN of one segment over to others
      const ids = Array.from({ length: shape[0] }, (_, i) => i % 2);
      if (kind !== "special") cases.push(["unsortedSegmentSum", () => tf.unsortedSegmentSum(x(), whole(ids), 3)]);
      return cases.map(([name, compute]): [string, Compute] => [`${name} [${shape}]`, compute]);
    })
  ),
);

testCases(
  "indices, images and products",
  KINDS.filter((kind) => kind !== "special" && kind !== "large").flatMap((kind) => {
    const sorted = (shape: Shape) => tf.topk(of(kind, shape), shape.at(-1)!).values.reverse(-1);
    const sparse = whole([[0, 0], [2, 1]]);
    const cases: [string, Compute][] = [
      ["scatterND", () => tf.scatterND(whole([[4], [1], [4]]), of(kind, [3]), [8])],
      ["scatterND of rows", () => tf.scatterND(whole([[0], [2], [0]]), of(kind, [3, 4]), [4, 4])],
      ["tensorScatterUpdate", () => tf.tensorScatterUpdate(of(kind, [8]), whole([[4], [1], [3]]), of(kind, [3], 2))],
      ["diag", () => tf.diag(of(kind, [2, 3]))],
      ["depthToSpace", () => tf.depthToSpace(of(kind, [1, 2, 2, 8]), 2)],
      ["spaceToBatchND", () => tf.spaceToBatchND(of(kind, [1, 4, 4, 1]), [2, 2], [[0, 0], [0, 0]])],
      ["batchToSpaceND", () => tf.batchToSpaceND(of(kind, [4, 2, 2, 1]), [2, 2], [[0, 0], [1, 0]])],
      ["searchSorted", () => tf.searchSorted(sorted([2, 5]), of(kind, [2, 3], 1))],
      ["upperBound", () => tf.upperBound(sorted([5]), of(kind, [3], 1))],
      ["bincount", () => tf.bincount(whole([1, 1, 5, 2, 9]), of(kind, [5]), 6)],
      ["denseBincount", () => tf.denseBincount(whole([[1, 1, 5], [2, 9, 0]]), of(kind, [2, 3]), 6)],
      ["sparseToDense", () => tf.sparseToDense(sparse, of(kind, [2]), [3, 4], of(kind, [], 3))],
      [
        "sparseFillEmptyRows",
        () => tf.sparse.sparseFillEmptyRows(sparse, of(kind, [2]), whole([4, 3]), of(kind, [], 3)),
      ],
      ["sparseSegmentSum", () => tf.sparse.sparseSegmentSum(of(kind, [4, 3]), whole([0, 3, 1]), whole([0, 0, 2]))],
      ["sparseSegmentMean", () => tf.sparse.sparseSegmentMean(of(kind, [4, 3]), whole([0, 3, 1]), whole([0, 0, 2]))],
      ["setdiff1d", () => tf.setdiff1dAsync(of(kind, [8]), of(kind, [3], 1))],
      ["raggedGather", () => tf.raggedGather([whole([0, 2, 3, 3])], of(kind, [3, 2]), whole([1, 0]), 1)],
      ["matMul", () => tf.matMul(of(kind, [3, 4]), of(kind, [4, 2], 1))],
      ["matMul of a batch", () => tf.matMul(of(kind, [2, 3, 4]), of(kind, [1, 4, 2], 1))],
      ["matMul over nothing", () => tf.matMul(of(kind, [3, 0]), of(kind, [0, 2], 1))],
      ["matMul of no rows", () => tf.matMul(of(kind, [0, 3]), of(kind, [3, 2], 1))],
      ["matMul transposed, of no rows", () => tf.matMul(of(kind, [3, 0]), of(kind, [3, 2], 1), true)],
      ["matMul of no columns", () => tf.matMul(of(kind, [2, 0, 3]), of(kind, [2, 3, 0], 1))],
      ["dot", () => tf.dot(of(kind, [4]), of(kind, [4], 2))],
      ["meshgrid", () => tf.meshgrid(of(kind, [2]), of(kind, [3], 1))],
      ["confusionMatrix", () => tf.math.confusionMatrix(whole([0, 1, 2, 1]), whole([0, 2, 2, 1]), 3)],
      ["bandPart", () => tf.linalg.bandPart(of(kind, [3, 4]), 1, 0)],
      ["conv3d", () => tf.conv3d(of(kind, [1, 3, 4, 3, 2]), of(kind, [2, 2, 2, 2, 3], 1), 1, "same")],
      ["maxPool3d", () => tf.maxPool3d(of(kind, [1, 3, 4, 3, 2]), 2, 1, "same")],
      ["avgPool3d", () => tf.avgPool3d(of(kind, [1, 3, 4, 3, 2]), 2, 1, "same")],
      ["grayscaleToRGB", () => tf.image.grayscaleToRGB(of(kind, [2, 2, 2, 1]))],
      [
        "nonMaxSuppression",
        () => tf.image.nonMaxSuppression(tf.tensor2d([[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, 2, 1, 3]]), of(kind, [3]), 3),
      ],
      ["rfft", () => tf.real(tf.spectral.rfft(of(kind, [4])))],
    ];
    for (const shape of [[1, 4, 5, 2], [0, 4, 5, 2], [2, 4, 5, 0]]) {
      const x = () => of(kind, shape);
      const column = (seed: number) => of(kind, [shape[3]], seed);
      const images: [string, Compute][] = [
        ["conv2d", () => tf.conv2d(x(), of(kind, [2, 2, shape[3], 3], 1), 1, "same")],
        ["dilated conv2d", () => tf.conv2d(x(), of(kind, [2, 2, shape[3], 3], 1), 1, "valid", "NHWC", 2)],
        ["conv2d of a larger filter", () => tf.conv2d(x(), of(kind, [5, 5, shape[3], 3], 1), 2, "valid")],
        ["depthwiseConv2d", () => tf.depthwiseConv2d(x(), of(kind, [2, 2, shape[3], 2], 1), 1, "same")],
        ["maxPool", () => tf.maxPool(x(), 2, 1, "same")],
        ["maxPool of a larger window", () => tf.maxPool(x(), 5, 5, "valid")],
        ["avgPool", () => tf.avgPool(x(), 2, 1, "same")],
        ["dilated pool", () => tf.pool(x(), 2, "max", "valid", 2)],
        ["maxPoolWithArgmax", () => tf.maxPoolWithArgmax(x(), 2, 2, "valid")],
        ["dilation2d", () => tf.dilation2d(x(), of(kind, [2, 2, shape[3]], 1), 1, "same")],
        ["localResponseNormalization", () => tf.localResponseNormalization(x())],
        ["resizeBilinear", () => tf.image.resizeBilinear(x(), [3, 7])],
        ["resizeBilinear, corners aligned", () => tf.image.resizeBilinear(x(), [3, 7], true)],
        ["resizeNearestNeighbor", () => tf.image.resizeNearestNeighbor(x(), [3, 7])],
        ["resizeNearestNeighbor, corners aligned", () => tf.image.resizeNearestNeighbor(x(), [3, 7], true)],
        ["flipLeftRight", () => tf.image.flipLeftRight(x())],
        ["rotateWithOffset", () => tf.image.rotateWithOffset(x(), 0.3, 0, 0.5)],
        ["transform", () => tf.image.transform(x(), tf.tensor2d([[1, 0.1, 1, 0, 1, 0.2, 0, 0]]))],
        [
          "cropAndResize",
          () =>
            tf.image.cropAndResize(x(), tf.tensor2d([[0, 0, 1, 1], [0.2, 0.2, 0.8, 0.9]]), whole([0, 0]) as Any, [
              3,
              3,
            ]),
        ],
      ];
      // whole numbers have no square root
      if (kind === "float32") {
        images.push(["batchNorm", () => tf.batchNorm(x(), column(1), column(2).abs(), column(3), column(4))]);
      }
      cases.push(...images.map(([name, compute]): [string, Compute] => [`${name} [${shape}]`, compute]));
    }
    return cases.map(([name, compute]): [string, Compute] => [`${name} ${kind}`, compute]);
  }),
);

const text = (...values: string[]): Any => tf.tensor(values, undefined, "string");
testCases("strings", [
  ["slice", () => tf.slice(text("a", "b", "c"), [1])],
  ["concat", () => tf.concat([text("a"), text("b")])],
  ["equal", () => tf.equal(text("a", "b"), text("a", "c"))],
  ["notEqual", () => tf.notEqual(text("a", "b"), text("a", "c"))],
  ["gather", () => tf.gather(text("a", "b"), whole([1, 0]))],
  ["reverse", () => tf.reverse(text("a", "b"))],
  ["tile", () => tf.tile(text("a", "b"), [2])],
  ["transpose", () => tf.transpose(text("a", "b", "c", "d").reshape([2, 2]))],
  ["stack", () => tf.stack([text("a"), text("b")])],
  ["unstack", () => tf.unstack(text("a", "b"))],
  ["where", () => tf.where(of("bool", [2]), text("a", "b"), text("c", "d"))],
  ["unique", () => tf.unique(text("a", "b", "a"))],
  ["fill", () => tf.fill([2], "x" as Any, "string")],
  ["split", () => tf.split(text("a", "b"), 2)],
  ["clone", () => tf.clone(text("a", "b"))],
  ["stridedSlice", () => tf.stridedSlice(text("a", "b", "c"), [0], [3], [2])],
  ["gatherND", () => tf.gatherND(text("a", "b", "c"), whole([[2]]))],
  ["scatterND", () => tf.scatterND(whole([[2]]), text("a"), [3])],
  ["sparseToDense", () => tf.sparseToDense(whole([0, 2]), text("a", "b"), [4], tf.scalar("z") as Any)],
  ["stringNGrams", () => tf.string.stringNGrams(text("a", "b", "c"), whole([0, 3]), "|", [2], "l", "r", -1, false)],
  ["stringSplit", () => tf.string.stringSplit(text("a b", "c"), tf.scalar(" ") as Any)],
  ["stringToHashBucketFast", () => tf.string.stringToHashBucketFast(text("a", "b"), 10)],
  ["staticRegexReplace", () => tf.string.staticRegexReplace(text("ab", "b"), "b", "x")],
  ["broadcastTo", () => tf.broadcastTo(text("a"), [3])],
  ["booleanMask", () => tf.booleanMaskAsync(text("a", "b"), of("bool", [2]))],
  ["mirrorPad", () => tf.mirrorPad(text("a", "b", "c"), [[1, 1]], "reflect")],
]);

Deno.test("a cumulative sum counts axes from the last as well", async () => {
  await onWasm(() => {
    const x = of("float32", [2, 3, 2]);
    assertEquals(tf.cumsum(x, -1).dataSync(), tf.cumsum(x, 2).dataSync());
    assertEquals(tf.cumprod(x, -2).dataSync(), tf.cumprod(x, 1).dataSync());
  });
});
