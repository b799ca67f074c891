import { MlflowError } from "../errors.ts";
import type { KernelArguments, KernelFunction, TensorInfo, WasmBackend } from "./wasm_backend.ts";

/** The part of tfjs's cpu backend that its kernels are handed data by. Data is forgotten with its id. */
export interface CpuBackend {
  firstUse: boolean;
  makeTensorInfo(shape: number[], dtype: string, values: unknown): TensorInfo;
  readonly data: { get(dataId: object): { values: ArrayLike<number> } };
}

/**
 * Runs a kernel of tfjs's cpu backend on data of the wasm heap, for operations that are too rare to be worth native
 * code. Its inputs and outputs are copied.
 *
 * @param kernel a kernel of the cpu backend
 * @param cpu a backend for it, which keeps nothing
 */
export function onWasmHeap(kernelName: string, kernel: KernelFunction, cpu: () => CpuBackend): KernelFunction {
  return ({ inputs, backend, attrs }: KernelArguments) => {
    const heap: WasmBackend = backend;
    const lent = (tensor: TensorInfo | null | undefined): TensorInfo | null | undefined =>
      tensor?.dataId === undefined ? tensor : cpu().makeTensorInfo(
        tensor.shape,
        tensor.dtype,
        heap.readSync(tensor.dataId),
      );
    const taken = (tensor: TensorInfo): TensorInfo => {
      const { shape, dtype } = tensor;
      if (dtype === "complex64") {
        throw new MlflowError("INVALID_PARAMETER_VALUE", 'complex numbers are computed after tf.setBackend("cpu")', {
          action: `Cannot run ${kernelName} on the wasm backend`,
        });
      }
      const { values } = cpu().data.get(tensor.dataId);
      if (dtype === "string") return heap.makeOutput(shape, dtype, undefined, values);
      const out = heap.makeOutput(shape, dtype);
      heap.typedArrayFromHeap(out).set(values);
      return out;
    };
    const lentInputs = Array.isArray(inputs)
      ? inputs.map(lent)
      : Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, lent(input as TensorInfo)]));
    const result = kernel({ inputs: lentInputs, attrs, backend: cpu() });
    return Array.isArray(result) ? result.map(taken) : taken(result);
  };
}
