import { MlflowError } from "../errors.ts";
import type { ModelSignature, Schema, TensorValues } from "../signature.ts";

/** A tensor of the user's tfjs. */
export interface ServedTensor {
  /** The sizes of its dimensions. */
  readonly shape: number[];
  /** The type of its values. */
  readonly dtype: string;
  /** Its values, row by row. */
  data(): Promise<ArrayLike<number> | string[]>;
  /** Gives its memory back. */
  dispose(): void;
}

/** The part of the user's own tfjs that computes. */
export interface ComputingTensorFlow {
  /** Makes a tensor. */
  // deno-lint-ignore no-explicit-any -- tfjs's own types of values, shape and type are narrower than what is given
  tensor(values: any, shape: any, dtype: any): any;
}

/** A model of the user's own tfjs: layers, or a graph. */
export interface ServedModel {
  /** What it takes. */
  readonly inputs: readonly {
    readonly name: string;
    readonly dtype: string;
    readonly shape?: readonly (number | null)[];
  }[];
  /** The names of the inputs' layers. */
  readonly inputNames?: readonly string[];
  /** The names of the outputs' layers. */
  readonly outputNames?: readonly string[];
  /** Computes. */
  // deno-lint-ignore no-explicit-any -- the tensors and options are those of the user's tfjs
  predict(inputs: any, options?: any): any;
  /** Computes a graph, also one with control flow. */
  // deno-lint-ignore no-explicit-any -- as above
  executeAsync?(inputs: any): Promise<any>;
}

/** The signature that a model was logged with, or one of what its layers take. */
export function signatureOf(
  model: ServedModel,
  signature: ModelSignature | undefined,
): ModelSignature & { readonly inputs: Schema } {
  if (signature?.inputs !== undefined && signature.inputs.length > 0) return { ...signature, inputs: signature.inputs };
  const inputs = model.inputs.map(({ name, dtype, shape }, i) => ({
    ...(model.inputs.length > 1 ? { name: model.inputNames?.[i] ?? name } : {}),
    type: "tensor" as const,
    dtype: dtype === "string" ? "str" : dtype,
    shape: (shape ?? []).map((size) => size ?? -1),
  }));
  return { ...signature, inputs };
}

/** Computes a model's outputs; tensors that it has made are disposed of. */
export async function predict(
  tf: ComputingTensorFlow,
  model: ServedModel,
  specs: Schema,
  values: readonly TensorValues[],
  batchSize: number,
): Promise<TensorValues[]> {
  const ordered = inOrder(model, specs, values);
  const inputs = ordered.map(({ values, shape, dtype }) => tf.tensor(values, shape, dtype) as ServedTensor);
  let outputs: ServedTensor[] = [];
  try {
    const given = inputs.length === 1 ? inputs[0] : inputs;
    const rows = ordered[0].shape[0] ?? 1;
    const result = model.executeAsync === undefined
      ? model.predict(given, { batchSize: Math.max(1, Math.min(rows, batchSize)) })
      : await model.executeAsync(given);
    outputs = Array.isArray(result) ? result : [result];
    return await Promise.all(outputs.map(async (output) => ({
      shape: output.shape,
      dtype: output.dtype as TensorValues["dtype"],
      values: await output.data() as TensorValues["values"],
    })));
  } catch (cause) {
    throw new MlflowError(
      "BAD_REQUEST",
      "Encountered an unexpected error while evaluating the model. Verify that the input is compatible with the model " +
        `for inference: ${(cause as Error).message}`,
      { cause },
    );
  } finally {
    for (const tensor of [...inputs, ...outputs]) tensor.dispose();
  }
}

/** The values in the order of the model's inputs, whose names the signature may have in another one. */
function inOrder(model: ServedModel, specs: Schema, values: readonly TensorValues[]): readonly TensorValues[] {
  const names = [...specs].map(({ name }) => name);
  const wanted = model.inputNames ?? model.inputs.map(({ name }) => name);
  if (values.length !== wanted.length || !wanted.every((name) => names.includes(name))) return values;
  return wanted.map((name) => values[names.indexOf(name)]);
}
