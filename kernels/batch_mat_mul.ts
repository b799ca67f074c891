import type { KernelArguments, KernelFunction, TensorInfo } from "./wasm_backend.ts";
import { type WasmOps, withShape } from "./wasm_ops.ts";

/**
 * A product of matrices that transposes its operands first where asked to: tfjs-wasm multiplies plain matrices with
 * XNNPACK, transposed ones with a loop that is ten to thirty times slower.
 *
 * @param stock the backend's own kernel
 */
export function batchMatMul(
  ops: WasmOps,
  stock: KernelFunction,
  { inputs, backend, attrs }: KernelArguments,
): TensorInfo {
  const { transposeA, transposeB } = attrs;
  const a = transposeA ? transposed(ops, inputs.a) : inputs.a;
  const b = transposeB ? transposed(ops, inputs.b) : inputs.b;
  const product = stock({ inputs: { a, b }, backend, attrs: { transposeA: false, transposeB: false } }) as TensorInfo;
  if (transposeA) ops.free(a);
  if (transposeB) ops.free(b);
  return product;
}

function transposed(ops: WasmOps, x: TensorInfo): TensorInfo {
  const batch = x.shape.slice(0, -2);
  const [rows, columns] = x.shape.slice(-2);
  const count = batch.reduce((product, size) => product * size, 1);
  return withShape(ops.transpose(withShape(x, [count, rows, columns]), [0, 2, 1]), [...batch, columns, rows]);
}
