import type { KernelArguments, KernelFunction, TensorInfo } from "./wasm_backend.ts";
import type { WasmOps } from "./wasm_ops.ts";

/**
 * A rectifier whose slope below zero is learned. The backend's own kernel takes `alpha` for a list of channels
 * whatever its shape is, which is right only if `alpha` has the last dimensions of `x`; else it is composed.
 *
 * @param stock the backend's own kernel
 */
export function prelu(ops: WasmOps, stock: KernelFunction, kernelArguments: KernelArguments): TensorInfo {
  const { x, alpha } = kernelArguments.inputs as { x: TensorInfo; alpha: TensorInfo };
  if (hasLastDimensionsOf(x.shape, alpha.shape)) return stock(kernelArguments) as TensorInfo;
  const positive = ops.relu(x);
  const negative = ops.subtract(x, positive);
  const scaled = ops.multiply(negative, alpha);
  const out = ops.add(positive, scaled);
  ops.free(positive, negative, scaled);
  return out;
}

function hasLastDimensionsOf(shape: number[], alpha: number[]): boolean {
  const trimmed = alpha.slice(alpha.findIndex((length) => length !== 1));
  return trimmed.length <= shape.length && trimmed.every((length, i) => length === shape.at(i - trimmed.length));
}
