import { withFrame } from "./spatial_frame.ts";
import type { TensorInfo, WindowInfo } from "./wasm_backend.ts";
import { type WasmOps, withShape } from "./wasm_ops.ts";

/**
 * The gradient of a convolution's input, as a convolution of `dy` with the filter turned by 180 degrees; with a
 * stride, zeros are put between the entries of `dy` first. It is also the forward pass of a transposed convolution.
 *
 * @param dy the gradient of the forward output, `[batch, outHeight, outWidth, outChannels]`
 * @param filter `[filterHeight, filterWidth, inChannels, outChannels]`
 * @returns `[batch, inHeight, inWidth, inChannels]`
 */
export function conv2dBackpropInput(ops: WasmOps, dy: TensorInfo, filter: TensorInfo, info: WindowInfo): TensorInfo {
  const reversed = ops.reverse(filter, [0, 1]);
  const turned = ops.transpose(reversed, [0, 1, 3, 2]);
  const framed = frameForInput(ops, dy, info);
  const dx = ops.conv2d(framed, turned, { dilations: [info.dilationHeight, info.dilationWidth] });
  ops.free(reversed, turned, framed);
  return dx;
}

/**
 * The gradient of a depthwise convolution's input, in the same way. Each output channel becomes a channel of its own;
 * those that stem from one input channel are added up.
 *
 * @param dy the gradient of the forward output, `[batch, outHeight, outWidth, inChannels * multiplier]`
 * @param filter `[filterHeight, filterWidth, inChannels, multiplier]`
 * @returns `[batch, inHeight, inWidth, inChannels]`
 */
export function depthwiseConv2dBackpropInput(
  ops: WasmOps,
  dy: TensorInfo,
  filter: TensorInfo,
  info: WindowInfo,
): TensorInfo {
  const { batchSize, inHeight, inWidth, inChannels, outChannels, filterHeight, filterWidth } = info;
  const turned = ops.reverse(withShape(filter, [filterHeight, filterWidth, outChannels, 1]), [0, 1]);
  const framed = frameForInput(ops, dy, info);
  const spread = ops.depthwiseConv2d(framed, turned, { dilations: [info.dilationHeight, info.dilationWidth] });
  ops.free(turned, framed);
  if (outChannels === inChannels) return spread;
  const dx = ops.sum(withShape(spread, [batchSize, inHeight, inWidth, inChannels, outChannels / inChannels]), 4);
  ops.free(spread);
  return dx;
}

/** `dy` with zeros between its entries for the stride and around them, so that a plain convolution gives `dx`. */
function frameForInput(ops: WasmOps, dy: TensorInfo, info: WindowInfo): TensorInfo {
  const { effectiveFilterHeight, effectiveFilterWidth, padInfo } = info;
  const spread = spreadByStrides(ops, dy, info);
  const top = effectiveFilterHeight - 1 - padInfo.top;
  const left = effectiveFilterWidth - 1 - padInfo.left;
  const framed = withFrame(ops, spread, {
    top,
    left,
    bottom: info.inHeight + effectiveFilterHeight - 1 - top - spread.shape[1],
    right: info.inWidth + effectiveFilterWidth - 1 - left - spread.shape[2],
  });
  ops.free(spread);
  return framed;
}

/** `dy` with `stride - 1` zeros after every row and column; owned by the caller. */
function spreadByStrides(ops: WasmOps, dy: TensorInfo, info: WindowInfo): TensorInfo {
  const { batchSize, outHeight, outWidth, outChannels, strideHeight, strideWidth } = info;
  // as rows of [entry, zeros ...]: a padding of rank 4, which tfjs-wasm does fast
  const spread = ops.pad(withShape(dy, [batchSize * outHeight, 1, outWidth, outChannels]), [
    [0, 0],
    [0, strideHeight - 1],
    [0, 0],
    [0, (strideWidth - 1) * outChannels],
  ]);
  return withShape(spread, [batchSize, outHeight * strideHeight, outWidth * strideWidth, outChannels]);
}
