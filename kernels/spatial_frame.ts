import type { TensorInfo } from "./wasm_backend.ts";
import type { WasmOps } from "./wasm_ops.ts";

/** Rows and columns to add around images; negative numbers crop. */
export interface Frame {
  top: number;
  bottom: number;
  left: number;
  right: number;
}

/** `[batch, height, width, channels]` with zeros added around, or borders cropped; owned by the caller. */
export function withFrame(ops: WasmOps, x: TensorInfo, frame: Frame): TensorInfo {
  const { top, bottom, left, right } = frame;
  const [batch, height, width, channels] = x.shape;
  const padded = ops.pad(x, [
    [0, 0],
    [Math.max(0, top), Math.max(0, bottom)],
    [Math.max(0, left), Math.max(0, right)],
    [0, 0],
  ]);
  if (Math.min(top, bottom, left, right) >= 0) return padded;
  const cropped = ops.slice(
    padded,
    [0, Math.max(0, -top), Math.max(0, -left), 0],
    [batch, height + top + bottom, width + left + right, channels],
  );
  ops.free(padded);
  return cropped;
}
