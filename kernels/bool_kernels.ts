import type { KernelArguments, KernelFunction, TensorInfo, WasmBackend } from "./wasm_backend.ts";
import type { WasmOps } from "./wasm_ops.ts";

/**
 * Kernels of tfjs-wasm that read booleans, of one byte each, as numbers of four bytes, past the end of the data, or that
 * refuse them. Booleans go through int32; the result is what the cpu backend gives.
 */
const RESULTS: Readonly<Record<string, "bool" | "int32">> = {
  Reverse: "bool",
  StridedSlice: "bool",
  Cumsum: "int32",
  Cumprod: "int32",
};

/** The kernels of {@linkcode RESULTS}, for booleans too. */
export function boolKernels(
  ops: WasmOps,
  stock: (kernelName: string) => KernelFunction,
): Record<string, KernelFunction> {
  const kernels: Record<string, KernelFunction> = {};
  for (const [kernelName, dtype] of Object.entries(RESULTS)) {
    kernels[kernelName] = (kernelArguments: KernelArguments) => {
      const { x } = kernelArguments.inputs as { x: TensorInfo };
      if (x.dtype !== "bool") return relabelled(kernelArguments, stock(kernelName)(kernelArguments) as TensorInfo);
      const whole = ops.cast(x, "int32");
      const result = stock(kernelName)({ ...kernelArguments, inputs: { x: whole } }) as TensorInfo;
      // some of them label what they give as float32, whatever they were given
      const labelled = { ...result, dtype: "int32" };
      const out = dtype === "int32" ? labelled : ops.cast(labelled, dtype);
      ops.free(whole);
      if (dtype !== "int32") ops.free(result);
      return out;
    };
  }
  return kernels;
}

/** A result that is whole as its input is, though the backend calls it float32. */
function relabelled({ inputs, backend }: KernelArguments, result: TensorInfo): TensorInfo {
  const { dtype } = inputs.x as TensorInfo;
  if (result.dtype === dtype || dtype !== "int32") return result;
  const heap = backend as WasmBackend;
  const out = heap.makeOutput(result.shape, dtype);
  heap.typedArrayFromHeap(out).set(heap.typedArrayFromHeap({ ...result, dtype }));
  heap.disposeData(result.dataId);
  return out;
}
