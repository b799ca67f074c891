import type { TensorInfo, WasmBackend } from "./wasm_backend.ts";

/**
 * Adds up the slices of `x` that have the same segment id; ids outside `[0, numSegments)` are left out. It is the
 * gradient of a gather, and so of an embedding.
 *
 * A loop over the heap: tfjs's cpu backend composes it of one masked pass over `x` for each segment.
 *
 * @param x `[count, ...]`
 * @param segmentIds `[count]`, int32
 * @returns `[numSegments, ...]`, float32 as on the cpu backend
 */
export function unsortedSegmentSum(
  backend: WasmBackend,
  x: TensorInfo,
  segmentIds: TensorInfo,
  numSegments: number,
): TensorInfo {
  for (const { dataId } of [x, segmentIds]) backend.dataIdMap.get(dataId);
  const out = backend.makeOutput([numSegments, ...x.shape.slice(1)], "float32");
  // only now: room for the result, and the sources if they waited, may have made the heap grow, which detaches views
  const [input, ids, target] = [x, segmentIds, out].map((tensor) => backend.typedArrayFromHeap(tensor));
  target.fill(0);
  const size = x.shape.slice(1).reduce((product, length) => product * length, 1);
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i];
    if (id < 0 || id >= numSegments) continue;
    const from = i * size;
    const to = id * size;
    for (let j = 0; j < size; j++) target[to + j] += input[from + j];
  }
  return out;
}
