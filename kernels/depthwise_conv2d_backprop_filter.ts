import type { TensorInfo, WasmBackend, WindowInfo } from "./wasm_backend.ts";

/**
 * The gradient of a depthwise convolution's filter: for each tap, the sum over all positions of what the tap saw times
 * `dy`. A loop over the heap: the sums stay in double precision, and nothing is laid out anew.
 *
 * @param x the forward input, `[batch, height, width, inChannels]`
 * @param dy the gradient of the forward output, `[batch, outHeight, outWidth, inChannels * multiplier]`
 * @returns `[filterHeight, filterWidth, inChannels, multiplier]`
 */
export function depthwiseConv2dBackpropFilter(
  backend: WasmBackend,
  x: TensorInfo,
  dy: TensorInfo,
  info: WindowInfo,
): TensorInfo {
  const { filterHeight, filterWidth, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels } = info;
  const multiplier = outChannels / inChannels;
  const out = backend.makeOutput([filterHeight, filterWidth, inChannels, multiplier], "float32");
  // only now: makeOutput may have grown the heap, and views taken before it would be detached
  const target = backend.typedArrayFromHeap(out);
  const input = backend.typedArrayFromHeap(x);
  const gradient = backend.typedArrayFromHeap(dy);

  const sums = new Float64Array(target.length);
  for (let image = 0; image < info.batchSize; image++) {
    for (let y = 0; y < outHeight; y++) {
      for (let tapY = 0; tapY < filterHeight; tapY++) {
        const row = y * info.strideHeight - info.padInfo.top + tapY * info.dilationHeight;
        if (row < 0 || row >= inHeight) continue;
        for (let x = 0; x < outWidth; x++) {
          const first = ((image * outHeight + y) * outWidth + x) * outChannels;
          for (let tapX = 0; tapX < filterWidth; tapX++) {
            const column = x * info.strideWidth - info.padInfo.left + tapX * info.dilationWidth;
            if (column < 0 || column >= inWidth) continue;
            const seen = ((image * inHeight + row) * inWidth + column) * inChannels;
            const tap = (tapY * filterWidth + tapX) * outChannels;
            if (multiplier === 1) {
              for (let c = 0; c < inChannels; c++) sums[tap + c] += input[seen + c] * gradient[first + c];
            } else {
              for (let c = 0; c < outChannels; c++) {
                sums[tap + c] += input[seen + (c / multiplier | 0)] * gradient[first + c];
              }
            }
          }
        }
      }
    }
  }
  target.set(sums);
  return out;
}
