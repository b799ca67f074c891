import * as tf from "@tensorflow/tfjs";
import { assertEquals, assertThrows } from "@std/assert";
import { MlflowError } from "../errors.ts";
import {
  castColumns,
  castTensors,
  type ColSpec,
  inferSignature,
  readSignature,
  type TensorSpec,
  writeSignature,
} from "../signature.ts";
import { mlflowTest } from "./support/mlflow.ts";

const ROWS = [
  { city: "Oslo", rooms: 3, area: 70, sold: true, tags: ["a"], place: { lat: 59.9, zone: null }, note: null },
  { city: "Bergen", rooms: 4, area: 82.5, sold: false, tags: [], place: { lat: 60.3, zone: 3 }, note: null },
];

function tensor(shape: number[], dtype = "float32", name?: string): TensorSpec {
  return { ...(name === undefined ? {} : { name }), type: "tensor", dtype, shape };
}

Deno.test("inferSignature() makes tensors of tensors, typed arrays and lists", () => {
  assertEquals(inferSignature(tf.zeros([4, 28, 28, 1]), tf.zeros([4], "int32")), {
    inputs: [tensor([-1, 28, 28, 1])],
    outputs: [tensor([-1], "int32")],
  });
  assertEquals(inferSignature([[1, 2], [3, 4]], new Float64Array(3)), {
    inputs: [tensor([-1, 2])],
    outputs: [tensor([-1], "float64")],
  });
  assertEquals(inferSignature({ words: tf.tensor([["a"]]), seen: [[true]] }), {
    inputs: [tensor([-1, 1], "str", "words"), tensor([-1, 1], "bool", "seen")],
  });
  assertEquals(inferSignature(), {});
});

Deno.test("inferSignature() refuses values of several types", () => {
  assertThrows(() => inferSignature([{ a: 1 }, { a: "b" }]), TypeError, 'the values of "a" are not of one type');
  assertThrows(() => inferSignature([[1]], undefined, { a: { b: 1 } }), TypeError, 'param "a" must be a single value');
});

Deno.test("castTensors() converts values to the types of the specs", () => {
  const [values] = castTensors([tensor([-1, 2])], [[1, true], [null, -0.5]]);
  assertEquals(values, { shape: [2, 2], dtype: "float32", values: new Float32Array([1, 1, NaN, -0.5]) });
  const specs = [tensor([-1], "int64", "a"), tensor([-1, 1], "str", "b"), tensor([-1], "bool", "c")];
  assertEquals(castTensors(specs, { c: [true, 0], b: [["x"], ["y"]], a: [1, 2], extra: 1 }), [
    { shape: [2], dtype: "int32", values: new Int32Array([1, 2]) },
    { shape: [2, 1], dtype: "string", values: ["x", "y"] },
    { shape: [2], dtype: "bool", values: new Uint8Array([1, 0]) },
  ]);
  assertEquals(castTensors([tensor([-1, 2])], { anything: [[1, 2]] })[0].shape, [1, 2]);
  assertEquals(castTensors([tensor([-1, 0])], [[], []])[0].shape, [2, 0]);
});

const REFUSED: readonly (readonly [string, readonly TensorSpec[], unknown, string])[] = [
  ["a shape", [tensor([-1, 4])], [[1, 2, 3]], "Shape of input (1, 3) does not match expected shape (-1, 4)."],
  ["a rank", [tensor([-1, 4])], [1, 2], "Shape of input (2,) does not match expected shape (-1, 4)."],
  ["a scalar", [tensor([-1])], 3, "Shape of input () does not match expected shape (-1,)."],
  [
    "a named shape",
    [tensor([-1, 2], "float32", "a"), tensor([-1], "float32", "b")],
    { a: [[1]], b: [1] },
    "Shape of input 'a' (1, 1) does not match expected shape (-1, 2).",
  ],
  ["a text", [tensor([-1, 2])], [[1, 2], [3, "x"]], 'inputs[1][1] must be a number: found "x"'],
  ["an object", [tensor([-1, 2])], [[1, { a: 2 }]], 'inputs[0][1] must be a number: found {"a":2}'],
  ["a fraction", [tensor([-1], "int32", "a")], { a: [1, 1.5] }, "a[1] must be a whole number: found 1.5"],
  ["2 ** 31", [tensor([-1], "int32")], [2 ** 31], "inputs[0] must be a whole number: found 2147483648"],
  ["a number for a text", [tensor([-1], "str")], [1], "inputs[0] must be a text: found 1"],
  ["a ragged list", [tensor([-1, 2])], [[1, 2], [3]], "inputs[1] must be a list of 2 values, as the first is: found 1"],
  [
    "a number among lists",
    [tensor([-1, 2, 1])],
    [[[1], [2]], [3, [4]]],
    "inputs[1][0] must be a list of 1 values, as the first is: found none",
  ],
  [
    "a missing input",
    [tensor([-1], "float32", "a"), tensor([-1], "float32", "b")],
    { b: [1], c: [1] },
    "Model is missing inputs ['a']. Note that there were extra inputs: ['c'].",
  ],
  [
    "no names",
    [tensor([-1], "float32", "a"), tensor([-1], "float32", "b")],
    [1],
    "Model is missing inputs ['a', 'b'].",
  ],
  ["complex numbers", [tensor([-1], "complex64")], [1], "inputs is of type complex64, which no tensor of tfjs has"],
];

Deno.test("castTensors() names what is wrong", async (t) => {
  for (const [what, specs, data, reason] of REFUSED) {
    await t.step(what, () => {
      const error = assertThrows(() => castTensors(specs, data), MlflowError);
      assertEquals([error.code, error.reason], ["INVALID_PARAMETER_VALUE", reason]);
    });
  }
});

Deno.test("castColumns() gives the columns that the signature names, checked", () => {
  const specs: readonly ColSpec[] = [
    { type: "long", name: "n", required: true },
    { type: "binary", name: "bytes", required: false },
    { type: "array", items: { type: "double" }, name: "list", required: true },
    {
      type: "object",
      properties: { lat: { type: "double" }, zone: { type: "long", required: false } },
      name: "o",
      required: true,
    },
  ];
  const columns = { o: [{ lat: 1.5 }], list: [[1, 2.5]], n: [3], bytes: ["AQI="], other: [1] };
  assertEquals(castColumns(specs, columns), {
    n: [3],
    bytes: [new Uint8Array([1, 2])],
    list: [[1, 2.5]],
    o: [{ lat: 1.5 }],
  });
  const wrong = (change: Record<string, unknown[]>) =>
    assertThrows(() => castColumns(specs, { ...columns, ...change }), MlflowError).reason;
  assertEquals(wrong({ n: [1.5] }), "n[0] must be a whole number: found 1.5");
  assertEquals(wrong({ n: [null] }), "n[0] is missing");
  assertEquals(wrong({ bytes: ["?"] }), 'bytes[0] must be bytes in base64: found "?"');
  assertEquals(wrong({ list: [[1, "x"]] }), 'list[0][1] must be a number: found "x"');
  assertEquals(wrong({ o: [{ zone: 1 }] }), "o[0].lat is missing");
  assertEquals(wrong({ o: [{ lat: 1, x: 1 }] }), "o[0].x is not in the signature");
  const { o: _, ...rest } = columns;
  const error = assertThrows(() => castColumns(specs, rest), MlflowError);
  assertEquals(error.reason, "Model is missing inputs ['o']. Note that there were extra inputs: ['other'].");
  const unnamed: ColSpec[] = [{ type: "string", required: true }, { type: "string", required: true }];
  assertThrows(
    () => castColumns(unnamed, { 0: ["a"] }),
    MlflowError,
    "only has 1 inputs. Note: the inputs were not named",
  );
});

mlflowTest("MLflow reads a signature as its own of the same data", async (mlflow) => {
  const ours = [
    inferSignature(ROWS, [[0.5], [1]], { temperature: 0.5, stops: ["a", "b"], n: 3, deep: true }),
    inferSignature({ a: tf.zeros([2, 3]), b: tf.zeros([2], "int32") }, tf.tensor(["x"])),
  ];
  assertEquals(ours.map((signature) => readSignature(writeSignature(signature))), ours);
  const same = await mlflow.python<boolean[][]>(
    `
    import numpy as np
    from mlflow.models import infer_signature
    from mlflow.models.signature import ModelSignature
    rows, signatures = args
    theirs = [
        infer_signature(rows, np.zeros((2, 1), "float32"), {"temperature": 0.5, "stops": ["a", "b"], "n": 3, "deep": True}),
        infer_signature({"a": np.zeros((2, 3), "float32"), "b": np.zeros(2, "int32")}, np.array(["x"])),
    ]
    result = []
    for wanted, texts in zip(theirs, signatures):
        found = ModelSignature.from_dict(texts)
        result.append([found.inputs == wanted.inputs, found.outputs == wanted.outputs, found.params == wanted.params])
        if not all(result[-1]): print(found, wanted)
    `,
    // In Python 70 is no double among doubles.
    [ROWS.map((row) => ({ ...row, area: row.area + 0.25 })), ours.map(writeSignature)],
  );
  assertEquals(same, [[true, true, true], [true, true, true]]);
});
