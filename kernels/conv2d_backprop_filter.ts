import { withFrame } from "./spatial_frame.ts";
import type { TensorInfo, WindowInfo } from "./wasm_backend.ts";
import { type WasmOps, withShape } from "./wasm_ops.ts";

/**
 * The gradient of a convolution's filter, as a convolution: the images' channels become the batch, the batch becomes
 * the channels, and `dy` slides over `x` as a filter would; the forward stride is its dilation, and the other way
 * around.
 *
 * @param x the forward input, `[batch, height, width, inChannels]`
 * @param dy the gradient of the forward output, `[batch, outHeight, outWidth, outChannels]`
 * @returns `[filterHeight, filterWidth, inChannels, outChannels]`
 */
export function conv2dBackpropFilter(ops: WasmOps, x: TensorInfo, dy: TensorInfo, info: WindowInfo): TensorInfo {
  const { filterHeight, filterWidth, inChannels, outChannels, strideHeight, strideWidth } = info;
  const { top, left } = info.padInfo;
  // exactly what the windows see, so that dy fits filterHeight x filterWidth times
  const seen = withFrame(ops, x, {
    top,
    left,
    bottom: (info.outHeight - 1) * strideHeight + info.effectiveFilterHeight - top - info.inHeight,
    right: (info.outWidth - 1) * strideWidth + info.effectiveFilterWidth - left - info.inWidth,
  });
  const images = ops.transpose(seen, [3, 1, 2, 0]);
  const filter = ops.transpose(dy, [1, 2, 0, 3]);
  const gradient = ops.conv2d(images, filter, {
    strides: [info.dilationHeight, info.dilationWidth],
    dilations: [strideHeight, strideWidth],
  });
  const taps = withShape(gradient, [inChannels, filterHeight * filterWidth, outChannels]);
  const out = ops.transpose(taps, [1, 0, 2]);
  ops.free(seen, images, filter, gradient);
  return withShape(out, [filterHeight, filterWidth, inChannels, outChannels]);
}
