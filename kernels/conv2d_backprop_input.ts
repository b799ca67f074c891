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
  const { filterHeight, filterWidth, padInfo } = info;
  const reversed = ops.reverse(filter, [0, 1]);
  const turned = ops.transpose(reversed, [0, 1, 3, 2]);
  ops.free(reversed);

  const spread = spreadByStrides(ops, dy, info);
  const top = filterHeight - 1 - padInfo.top;
  const left = filterWidth - 1 - padInfo.left;
  const framed = withFrame(ops, spread, {
    top,
    left,
    bottom: info.inHeight + filterHeight - 1 - top - spread.shape[1],
    right: info.inWidth + filterWidth - 1 - left - spread.shape[2],
  });
  ops.free(spread);
  const dx = ops.conv2d(framed, turned);
  ops.free(framed, turned);
  return dx;
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
