import { sizeOf } from "./array_kernels.ts";
import type { KernelArguments, KernelFunction, TensorInfo, WasmBackend } from "./wasm_backend.ts";

/** Kernels of tfjs-wasm that copy data whatever its type is, and those that take whole numbers or booleans beside. */
const ANY = [
  "Cast",
  "Concat",
  "ExpandDims",
  "Pack",
  "Reshape",
  "Select",
  "Slice",
  "SplitV",
  "Tile",
  "Transpose",
  "Unpack",
];
const INDICES = [
  "CropAndResize",
  "GatherNd",
  "GatherV2",
  "OneHot",
  "ScatterNd",
  "SparseToDense",
  "TensorScatterUpdate",
];
const NUMBERS = ["Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "NotEqual", "Max", "Min", "Sum"];
const LOGIC = ["All", "Any", "LogicalAnd", "LogicalNot", "LogicalOr"];

/**
 * The types that the kernels of tfjs-wasm are right for besides float32. Given another one most of them read and write
 * past the end of the data, for booleans have one byte, or take the bits of whole numbers for floats.
 */
const TYPES: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ...ANY.map((name) => [name, ["int32", "bool"]] as const),
  ...[...INDICES, ...NUMBERS].map((name) => [name, ["int32"]] as const),
  ...LOGIC.map((name) => [name, ["bool"]] as const),
]);

/** Wrong for every type: for negative numbers, for tiny ones, for NaN, in how they broadcast or in the type of the result. */
const WRONG = new Set([
  "Conv3DBackpropInputV2",
  "Dilation2D",
  "Dilation2DBackpropFilter",
  "Dilation2DBackpropInput",
  "FloorDiv",
  "MaxPool3D",
  "MaxPool3DGrad",
  "MaxPoolWithArgmax",
  "Maximum",
  "Minimum",
  "Prelu",
  "Sign",
]);

/**
 * Wrong for some attributes or inputs: types that are not told apart, so that fractions become false and booleans are
 * copied as floats; strings; a sum along a number alone, which does not end; gathers for each of a batch.
 */
const EXCEPTIONS: Readonly<Record<string, (kernelArguments: KernelArguments) => boolean>> = {
  Cast: ({ attrs: { dtype } }) => dtype === "bool",
  Select: ({ inputs: { t } }) => t.dtype === "bool",
  Fill: ({ attrs: { dtype } }) => dtype === "string",
  Cumsum: ({ inputs: { x } }) => x.shape.length === 0,
  Cumprod: ({ inputs: { x } }) => x.shape.length === 0,
  GatherV2: ({ attrs: { batchDims } }) => batchDims > 0,
};

/** A kernel of tfjs-wasm where it is right for its inputs and attributes, and else the cpu backend's. */
export function whereRight(kernelName: string, stock: KernelFunction, cpu: KernelFunction): KernelFunction {
  if (WRONG.has(kernelName)) return cpu;
  const types = new Set(["float32", ...TYPES.get(kernelName) ?? []]);
  const isException = EXCEPTIONS[kernelName];
  return (kernelArguments) => {
    const { inputs, backend } = kernelArguments;
    for (const name in inputs) {
      const input: TensorInfo | null | undefined = inputs[name];
      if (input?.dtype === undefined) continue;
      // what they give for no entries at all is what the heap happens to hold
      if (!types.has(input.dtype) || sizeOf(input.shape) === 0) return cpu(kernelArguments);
      // what waits is computed now, for it may make the heap grow, of which a kernel already has views
      (backend as WasmBackend).dataIdMap.get(input.dataId);
    }
    return isException?.(kernelArguments) ? cpu(kernelArguments) : stock(kernelArguments);
  };
}
