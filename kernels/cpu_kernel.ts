import type { KernelFunction, TensorInfo, WasmBackend } from "./wasm_backend.ts";

/** Numbers with the shape that a kernel of the cpu backend reads them in. */
interface CpuBuffer {
  values: ArrayLike<number>;
}

/**
 * Runs a kernel of tfjs's cpu backend on the wasm heap, for operations that are too rare to be worth a composition.
 * Its inputs are copied: a result may make the heap grow while the kernel still reads.
 *
 * @param kernel a kernel of the cpu backend
 * @param buffer tfjs's `buffer`
 */
export function onWasmHeap(
  kernel: KernelFunction,
  buffer: (shape: number[], dtype: string, values: ArrayLike<number>) => CpuBuffer,
): KernelFunction {
  return ({ inputs, backend, attrs }) => {
    const heap: WasmBackend = backend;
    const shapes = new Map<object, TensorInfo>(
      Object.values(inputs as Record<string, TensorInfo>).map((input) => [input.dataId, input]),
    );
    // the few members of the cpu backend that such kernels use
    const cpu = {
      data: { get: (dataId: object) => ({ values: heap.typedArrayFromHeap(shapes.get(dataId)!).slice() }) },
      bufferSync: (tensor: TensorInfo) => buffer(tensor.shape, tensor.dtype, heap.typedArrayFromHeap(tensor).slice()),
      makeTensorInfo: (shape: number[], dtype: string, values: ArrayLike<number>) => {
        const out = heap.makeOutput(shape, dtype);
        heap.typedArrayFromHeap(out).set(values);
        return out;
      },
    };
    return kernel({ inputs, attrs, backend: cpu });
  };
}
