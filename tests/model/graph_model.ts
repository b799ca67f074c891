import type { io } from "@tensorflow/tfjs";

/** A small TensorFlow graph, as `tensorflowjs_converter` writes one: `scores = softmax(x · kernel + bias)`. */
const KERNEL = [1, -2, 0.5, 3, -1, 2];
const BIAS = [0.25, -0.5];

function node(name: string, op: string, input: string[] = [], attr: Record<string, unknown> = {}): object {
  return { name, op, input, attr: { T: { type: "DT_FLOAT" }, ...attr } };
}

function shape(...sizes: number[]): object {
  return { shape: { dim: sizes.map((size) => ({ size: `${size}` })) } };
}

const float = { dtype: { type: "DT_FLOAT" } };

/** What `tf.loadGraphModel` loads. */
export const GRAPH_ARTIFACTS: io.ModelArtifacts = {
  format: "graph-model",
  generatedBy: "2.21.0",
  convertedBy: "TensorFlow.js Converter v4.22.0",
  signature: {
    inputs: { x: { name: "x:0", dtype: "DT_FLOAT", tensorShape: { dim: [{ size: "-1" }, { size: "3" }] } } },
    outputs: { scores: { name: "scores:0", dtype: "DT_FLOAT", tensorShape: { dim: [{ size: "-1" }, { size: "2" }] } } },
  },
  modelTopology: {
    node: [
      node("x", "Placeholder", [], { ...float, shape: shape(-1, 3) }),
      node("kernel", "Const", [], { ...float, value: { tensor: { dtype: "DT_FLOAT" } } }),
      node("bias", "Const", [], { ...float, value: { tensor: { dtype: "DT_FLOAT" } } }),
      node("product", "MatMul", ["x", "kernel"]),
      node("sum", "BiasAdd", ["product", "bias"]),
      node("scores", "Softmax", ["sum"]),
    ],
    versions: { producer: 1987 },
  },
  weightSpecs: [
    { name: "kernel", shape: [3, 2], dtype: "float32" },
    { name: "bias", shape: [2], dtype: "float32" },
  ],
  weightData: new Float32Array([...KERNEL, ...BIAS]).buffer,
};
