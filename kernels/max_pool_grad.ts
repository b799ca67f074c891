import type { TensorInfo, WasmBackend, WindowInfo } from "./wasm_backend.ts";

/**
 * The gradient of max pooling: each `dy` goes to the first largest entry of its window, in reading order, and windows
 * without any entry above negative infinity (all NaN, for one) pass nothing on. This is the rule of tfjs's cpu backend.
 *
 * A loop over the heap, because tfjs-wasm's own kernel is wrong where inputs are negative.
 */
export function maxPoolGrad(backend: WasmBackend, x: TensorInfo, dy: TensorInfo, info: WindowInfo): TensorInfo {
  const dx = backend.makeOutput(x.shape, "float32");
  // only now: makeOutput may have grown the heap, and views taken before it would be detached
  const target = backend.typedArrayFromHeap(dx) as Float32Array;
  const input = backend.typedArrayFromHeap(x) as Float32Array;
  const gradient = backend.typedArrayFromHeap(dy) as Float32Array;
  target.fill(0);
  if (isTwoByTwo(info)) twoByTwo(input, gradient, target, info);
  else anyWindow(input, gradient, target, info);
  return dx;
}

/** Whether windows are 2x2, wholly inside the image, and do not overlap: the usual pool, in less than half the time. */
function isTwoByTwo(info: WindowInfo): boolean {
  const { padInfo: pad, filterHeight, filterWidth, strideHeight, strideWidth } = info;
  return filterHeight === 2 && filterWidth === 2 && strideHeight >= 2 && strideWidth >= 2 &&
    pad.top === 0 && pad.left === 0 &&
    (info.outHeight - 1) * strideHeight + 2 <= info.inHeight && (info.outWidth - 1) * strideWidth + 2 <= info.inWidth;
}

function twoByTwo(input: Float32Array, gradient: Float32Array, target: Float32Array, info: WindowInfo): void {
  const { batchSize, inHeight, inWidth, inChannels: channels, outHeight, outWidth, strideHeight, strideWidth } = info;
  const row = inWidth * channels;
  let out = 0;
  for (let image = 0; image < batchSize; image++) {
    for (let y = 0; y < outHeight; y++) {
      for (let x = 0; x < outWidth; x++) {
        let first = (image * inHeight + y * strideHeight) * row + x * strideWidth * channels;
        for (let c = 0; c < channels; c++, first++, out++) {
          let best = -1;
          let max = -Infinity;
          const topLeft = input[first];
          if (topLeft > max) {
            max = topLeft;
            best = first;
          }
          const topRight = input[first + channels];
          if (topRight > max) {
            max = topRight;
            best = first + channels;
          }
          const bottomLeft = input[first + row];
          if (bottomLeft > max) {
            max = bottomLeft;
            best = first + row;
          }
          if (input[first + row + channels] > max) best = first + row + channels;
          if (best >= 0) target[best] = gradient[out];
        }
      }
    }
  }
}

function anyWindow(input: Float32Array, gradient: Float32Array, target: Float32Array, info: WindowInfo): void {
  const { batchSize, inHeight, inWidth, inChannels: channels, outHeight, outWidth, filterHeight, filterWidth } = info;
  let out = 0;
  for (let image = 0; image < batchSize; image++) {
    for (let y = 0; y < outHeight; y++) {
      const top = y * info.strideHeight - info.padInfo.top;
      const rowEnd = Math.min(inHeight, top + filterHeight);
      for (let x = 0; x < outWidth; x++) {
        const left = x * info.strideWidth - info.padInfo.left;
        const columnEnd = Math.min(inWidth, left + filterWidth);
        for (let c = 0; c < channels; c++, out++) {
          let best = -1;
          let max = -Infinity;
          for (let row = Math.max(0, top); row < rowEnd; row++) {
            const start = (image * inHeight + row) * inWidth;
            for (let column = Math.max(0, left); column < columnEnd; column++) {
              const at = (start + column) * channels + c;
              if (input[at] > max) {
                max = input[at];
                best = at;
              }
            }
          }
          if (best >= 0) target[best] += gradient[out];
        }
      }
    }
  }
}
