import type { KernelArguments, KernelFunction, TensorInfo } from "./wasm_backend.ts";
import type { WasmOps } from "./wasm_ops.ts";

/**
 * Entries held between two bounds. The backend's own kernel reads any data as float32, which is wrong for the whole
 * numbers that labels often are, and past the end for booleans: those go through float32 and back, cut off towards
 * zero, as on the cpu backend.
 *
 * @param stock the backend's own kernel
 */
export function clipByValue(
  ops: WasmOps,
  stock: KernelFunction,
  { inputs, backend, attrs }: KernelArguments,
): TensorInfo {
  const { x } = inputs as { x: TensorInfo };
  if (x.dtype === "float32") return stock({ inputs, backend, attrs }) as TensorInfo;
  const float = ops.cast(x, "float32");
  const clipped = stock({ inputs: { x: float }, backend, attrs }) as TensorInfo;
  const out = ops.cast(clipped, x.dtype);
  ops.free(float, clipped);
  return out;
}
