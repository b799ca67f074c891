import type { KernelFunction, WindowInfo } from "./wasm_backend.ts";

/**
 * A convolution of the wasm backend, forward, with its padding spelled out where `"same"` would go wrong: where the
 * stride is longer than the filter and skips the last rows or columns, XNNPACK reckons the padding as a negative
 * number without a sign, and every window falls on it.
 *
 * @param stock the backend's own kernel
 * @param windows places the windows of the convolution
 */
export function withSafeSamePadding(
  stock: KernelFunction,
  windows: (inputShape: number[], filterShape: number[], attrs: Record<string, unknown>) => WindowInfo,
): KernelFunction {
  return (kernelArguments) => {
    const { inputs, attrs } = kernelArguments;
    if (attrs.pad !== "same") return stock(kernelArguments);
    const info = windows(inputs.x.shape, inputs.filter.shape, attrs);
    const height = (info.outHeight - 1) * info.strideHeight + info.effectiveFilterHeight;
    const width = (info.outWidth - 1) * info.strideWidth + info.effectiveFilterWidth;
    if (height >= info.inHeight && width >= info.inWidth) return stock(kernelArguments);
    const { top, bottom, left, right } = info.padInfo;
    const pad = [[0, 0], [top, bottom], [left, right], [0, 0]];
    return stock({ ...kernelArguments, attrs: { ...attrs, pad } });
  };
}
