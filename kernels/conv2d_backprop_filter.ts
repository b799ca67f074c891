import type { TensorInfo, WindowInfo } from "./wasm_backend.ts";
import { type WasmOps, withShape } from "./wasm_ops.ts";

/**
 * The gradient of a convolution's filter, as a convolution: the images' channels become the batch, the batch becomes
 * the channels, and `dy` slides over `x` as a filter would, with the forward stride as its dilation.
 *
 * @param x the forward input, `[batch, height, width, inChannels]`
 * @param dy the gradient of the forward output, `[batch, outHeight, outWidth, outChannels]`
 * @returns `[filterHeight, filterWidth, inChannels, outChannels]`
 */
export function conv2dBackpropFilter(ops: WasmOps, x: TensorInfo, dy: TensorInfo, info: WindowInfo): TensorInfo {
  const { filterHeight, filterWidth, inChannels, outChannels } = info;
  const seen = fitToWindows(ops, x, info);
  const images = ops.transpose(seen, [3, 1, 2, 0]);
  ops.free(seen);
  const filter = ops.transpose(dy, [1, 2, 0, 3]);
  const gradient = ops.conv2d(images, filter, [info.strideHeight, info.strideWidth]);
  ops.free(images, filter);
  // one filter tap per position of dy: [inChannels, filterHeight, filterWidth, outChannels]
  const out = ops.transpose(withShape(gradient, [inChannels, filterHeight * filterWidth, outChannels]), [1, 0, 2]);
  ops.free(gradient);
  return withShape(out, [filterHeight, filterWidth, inChannels, outChannels]);
}

/** `x` padded and cropped to exactly what the windows of the convolution see; owned by the caller. */
function fitToWindows(ops: WasmOps, x: TensorInfo, info: WindowInfo): TensorInfo {
  const { top, left } = info.padInfo;
  const height = (info.outHeight - 1) * info.strideHeight + info.filterHeight;
  const width = (info.outWidth - 1) * info.strideWidth + info.filterWidth;
  const bottom = Math.max(0, height - top - info.inHeight);
  const right = Math.max(0, width - left - info.inWidth);
  const padded = ops.pad(x, [[0, 0], [top, bottom], [left, right], [0, 0]]);
  if (padded.shape[1] === height && padded.shape[2] === width) return padded;
  const fitted = ops.slice(padded, [0, 0, 0, 0], [info.batchSize, height, width, info.inChannels]);
  ops.free(padded);
  return fitted;
}
