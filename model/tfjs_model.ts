import type { ModelSignature, TensorSpec } from "../signature.ts";

/** A symbolic input or output of a tfjs model. */
export interface SymbolicTensorLike {
  /** The name of the layer's tensor. */
  readonly name: string;
  /** Its element type, such as `"float32"`. */
  readonly dtype: string;
  /** Its shape; null or -1 where any size fits, as for the batch. */
  readonly shape?: readonly (number | null)[];
}

/** What a tfjs model hands over to be saved. */
export interface ModelArtifactsLike {
  /** The layers and how they are connected, or a graph. */
  readonly modelTopology?: unknown;
  /** Optimizer, loss and metrics that the model was compiled with. */
  readonly trainingConfig?: unknown;
  /** Name, shape and element type of each weight, in the order of the data. */
  readonly weightSpecs?: readonly unknown[];
  /** The weights' bytes, one after the other. */
  readonly weightData?: ArrayBuffer | readonly ArrayBuffer[];
  /** The kind of model, `"layers-model"` or `"graph-model"`. */
  readonly format?: string;
  /** The library that made it, with its version. */
  readonly generatedBy?: string;
  /** The converter that made it, if one did. */
  readonly convertedBy?: string | null;
  /** What the user has attached to it. */
  readonly userDefinedMetadata?: unknown;
  /** What a graph model calls its inputs and outputs. */
  readonly signature?: unknown;
}

/** A `tf.LayersModel` or `tf.GraphModel`, as far as it is needed here. */
export interface TfjsModelLike {
  /** What it takes. */
  readonly inputs: readonly SymbolicTensorLike[];
  /** What it gives. */
  readonly outputs: readonly SymbolicTensorLike[];
  /** The names of the inputs' layers; those of the tensors carry a number that differs from program to program. */
  readonly inputNames?: readonly string[];
  /** The names of the outputs' layers. */
  readonly outputNames?: readonly string[];
  /** Hands its artifacts to the `save` of a handler. */
  // deno-lint-ignore no-explicit-any -- tfjs's own types differ in what they call the result of a save
  save(handler: any, config?: any): Promise<unknown>;
}

/**
 * The signature that a model has by itself: the types and shapes of its tensors, named where there are several.
 *
 * @param artifacts what the model has handed over
 * @param inputNames the names of its inputs. @default {those of its layers}
 */
export function signatureOf(
  model: TfjsModelLike,
  artifacts: ModelArtifactsLike,
  inputNames: readonly string[] | undefined = model.inputNames,
): ModelSignature {
  const { inputs, outputs } = (artifacts.signature ?? {}) as Partial<GraphSignature>;
  const given = tensorSpecs(model.outputs, model.outputNames, outputs);
  return {
    inputs: tensorSpecs(model.inputs, inputNames, inputs),
    ...(given.every(({ dtype }) => dtype !== undefined) ? { outputs: given } : {}),
  };
}

/** What TensorFlow says of a graph's ends, of which tfjs's graph models know less. */
interface GraphSignature {
  readonly inputs: Readonly<Record<string, GraphTensor>>;
  readonly outputs: Readonly<Record<string, GraphTensor>>;
}

interface GraphTensor {
  readonly name: string;
  readonly dtype: string;
  readonly tensorShape?: { readonly dim?: readonly { readonly size: string | number }[] };
}

const GRAPH_TYPES: Readonly<Record<string, string>> = {
  DT_FLOAT: "float32",
  DT_INT32: "int32",
  DT_INT64: "int64",
  DT_UINT8: "uint8",
  DT_BOOL: "bool",
  DT_STRING: "str",
};

function tensorSpecs(
  tensors: readonly SymbolicTensorLike[],
  names: readonly string[] = [],
  declared: Readonly<Record<string, GraphTensor>> = {},
): TensorSpec[] {
  const known = new Map(Object.values(declared).map((tensor) => [tensor.name.replace(/:\d+$/, ""), tensor]));
  return tensors.map(({ name, dtype, shape }, i): TensorSpec => {
    const { dtype: graphType = "", tensorShape } = known.get(name.replace(/:\d+$/, "")) ?? {};
    return {
      type: "tensor",
      ...(tensors.length > 1 ? { name: names[i] ?? name } : {}),
      dtype: dtype === "string" ? "str" : dtype ?? GRAPH_TYPES[graphType],
      shape: (shape ?? tensorShape?.dim?.map(({ size }) => Number(size)) ?? [-1]).map((size) => size ?? -1),
    };
  });
}
