import { type PendingReluGradient, reluOfNormalization } from "./batch_norm.ts";
import {
  activated,
  assertFloats,
  isPoolGradientOf,
  type KernelTools,
  pendingConvolution,
  poolGradientOfRelu,
  withBias,
} from "./image_kernels.ts";
import { asItIs } from "./deferred_data.ts";
import type { KernelArguments, KernelFunction, TensorInfo, WasmBackend } from "./wasm_backend.ts";

/** The kernels of whole arrays that a training runs most: element by element, sums, products of matrices, gathers. */
export function arrayKernels(
  tools: KernelTools,
  stock: (kernelName: string) => KernelFunction,
): Record<string, KernelFunction> {
  const { ops } = tools;
  const elementwise = (layout: Broadcast, operation: number, a: TensorInfo, b: TensorInfo): TensorInfo => {
    const out = ops.output(layout.shape);
    const { rows, columns } = layout;
    ops.binary(operation, { tensor: a, ...layout.a }, { tensor: b, ...layout.b }, [rows, columns], ops.place(out));
    return out;
  };
  const binary = (kernelName: string, operation: number): KernelFunction => {
    const slow = stock(kernelName);
    return (kernelArguments) => {
      const { a, b } = kernelArguments.inputs as { a: TensorInfo; b: TensorInfo };
      if (a.dtype !== "float32" || b.dtype !== "float32") return slow(kernelArguments);
      if (operation === 0) {
        const biased = withBias(tools, a, b) ?? withBias(tools, b, a);
        if (biased !== undefined) return biased;
      }
      const layout = broadcast(a.shape, b.shape);
      return layout === undefined ? slow(kernelArguments) : elementwise(layout, operation, a, b);
    };
  };
  const clip = (x: TensorInfo, least: number, most: number): TensorInfo => {
    const out = ops.output(x.shape);
    ops.clip(x, [least, most], sizeOf(x.shape), ops.place(out));
    return out;
  };
  // tfjs's own kernels count axes from the first alone
  const along = (kernelName: string): KernelFunction => ({ inputs, attrs, backend }) => {
    const axis = attrs.axis < 0 ? attrs.axis + inputs.x.shape.length : attrs.axis;
    return stock(kernelName)({ inputs, attrs: { ...attrs, axis }, backend });
  };
  return {
    Identity: ({ inputs: { x }, backend }) => {
      (backend as WasmBackend).incRef(x.dataId);
      return { dataId: x.dataId, shape: x.shape, dtype: x.dtype };
    },
    Add: binary("Add", 0),
    Sub: binary("Sub", 1),
    Multiply: binary("Multiply", 2),
    RealDiv: binary("RealDiv", 3),
    Maximum: binary("Maximum", 5),
    Minimum: binary("Minimum", 6),
    Prelu: (kernelArguments) => {
      const { x, alpha } = kernelArguments.inputs as { x: TensorInfo; alpha: TensorInfo };
      if (x.dtype !== "float32" || alpha.dtype !== "float32") return stock("Prelu")(kernelArguments);
      const layout = broadcast(x.shape, alpha.shape);
      return layout === undefined ? stock("Prelu")(kernelArguments) : elementwise(layout, 4, x, alpha);
    },
    Relu: (kernelArguments) => {
      const { x } = kernelArguments.inputs as { x: TensorInfo };
      if (x.dtype !== "float32") return stock("Relu")(kernelArguments);
      const pending = pendingConvolution(tools, x);
      const out = ops.output(x.shape);
      if (pending !== undefined) pending.compute(ops.place(out), { relu: true });
      else if (!reluOfNormalization(tools, x, out)) ops.relu(x, sizeOf(x.shape), ops.place(out));
      return out;
    },
    Relu6: (kernelArguments) => {
      const { x } = kernelArguments.inputs as { x: TensorInfo };
      return x.dtype === "float32" ? clip(x, 0, 6) : stock("Relu6")(kernelArguments);
    },
    ClipByValue: (kernelArguments) => {
      const { inputs, attrs: { clipValueMin, clipValueMax } } = kernelArguments;
      const { x } = inputs as { x: TensorInfo };
      return x.dtype === "float32" ? clip(x, clipValueMin, clipValueMax) : stock("ClipByValue")(kernelArguments);
    },
    ReluGradient: ({ inputs }) => {
      const [dy, y] = [inputs.dy, inputs.y].map(asItIs);
      assertFloats("ReluGradient", dy, y);
      if (isPoolGradientOf(tools, dy, y)) {
        const out = ops.output(dy.shape);
        poolGradientOfRelu(tools, dy, ops.place(out));
        return out;
      }
      const pending: PendingReluGradient = {
        kind: "relu gradient",
        sources: [dy, y],
        compute: (out) => ops.reluGradient(dy, y, sizeOf(y.shape), out),
      };
      return tools.deferred.defer(dy.shape, pending);
    },
    BatchMatMul: (kernelArguments) => {
      const { inputs: { a, b }, attrs } = kernelArguments;
      if (a.dtype !== "float32" || b.dtype !== "float32") return stock("BatchMatMul")(kernelArguments);
      return multiply(tools, "BatchMatMul", a, b, attrs);
    },
    _FusedMatMul: ({ inputs: { a, b, bias, preluActivationWeights }, attrs }) => {
      const product = multiply(tools, "_FusedMatMul", a, b, attrs, bias);
      return attrs.activation === "relu" && (bias === undefined || isBias(bias, product))
        ? product
        : activated(tools, product, { ...attrs, preluActivationWeights });
    },
    Sum: (kernelArguments) => {
      const { x } = kernelArguments.inputs as { x: TensorInfo };
      const blocks = summedBlocks(x, kernelArguments.attrs);
      if (blocks === undefined) return stock("Sum")(kernelArguments);
      const out = ops.output(blocks.shape);
      ops.columnSums(x, blocks, ops.place(out));
      return out;
    },
    Mean: (kernelArguments) => {
      const { x } = kernelArguments.inputs as { x: TensorInfo };
      const blocks = summedBlocks(x, kernelArguments.attrs);
      if (blocks === undefined) return stock("Mean")(kernelArguments);
      const out = ops.output(blocks.shape);
      ops.columnSums(x, blocks, ops.place(out));
      const means = ops.floats(out);
      for (let i = 0; i < means.length; i++) means[i] /= blocks.rows;
      return out;
    },
    MeanGradient: ({ inputs: { dy }, attrs: { shape, axis } }) => {
      assertFloats("MeanGradient", dy);
      const { count, rows, columns } = summedBlocks({ ...dy, shape }, { axis })!;
      const window = { filterSize: [rows, 1], strides: [rows, 1], pad: "valid" };
      const dx = ops.output(shape);
      ops.poolGradient(
        "avg_pool_gradient",
        { dy },
        tools.windows.pool([count, rows, 1, columns], window),
        ops.place(dx),
      );
      return dx;
    },
    Cumsum: along("Cumsum"),
    Cumprod: along("Cumprod"),
    GatherV2: (kernelArguments) => {
      const { inputs: { x, indices }, attrs, backend } = kernelArguments;
      const axis = attrs.axis ?? 0;
      if (x.dtype !== "float32" || indices.dtype !== "int32" || axis !== 0 || attrs.batchDims || x.shape.length === 0) {
        return stock("GatherV2")(kernelArguments);
      }
      for (const index of (backend as WasmBackend).typedArrayFromHeap(indices)) {
        if (index < 0 || index >= x.shape[0]) {
          throw new RangeError(`Cannot gather: index ${index} is not in [0, ${x.shape[0]})`);
        }
      }
      const size = sizeOf(x.shape.slice(1));
      const out = ops.output([...indices.shape, ...x.shape.slice(1)]);
      ops.gatherRows(x, indices, sizeOf(indices.shape), size, ops.place(out));
      return out;
    },
  };
}

function multiply(
  tools: KernelTools,
  kernelName: string,
  a: TensorInfo,
  b: TensorInfo,
  attrs: KernelArguments["attrs"],
  bias?: TensorInfo,
): TensorInfo {
  assertFloats(kernelName, a, b, bias);
  const { ops } = tools;
  const { transposeA = false, transposeB = false, activation } = attrs;
  const [rows, depth] = transposeA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!];
  const [inner, columns] = transposeB ? [b.shape.at(-1)!, b.shape.at(-2)!] : [b.shape.at(-2)!, b.shape.at(-1)!];
  const batches = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (depth !== inner || batches === undefined) {
    throw new Error(
      `Cannot multiply matrices: shapes are [${a.shape}] and [${b.shape}], transposed ${transposeA}, ${transposeB}`,
    );
  }
  const batch = sizeOf(batches);
  const single = (tensor: TensorInfo) => sizeOf(tensor.shape.slice(0, -2)) === 1;
  if (sizeOf(a.shape.slice(0, -2)) !== batch && !single(a) || sizeOf(b.shape.slice(0, -2)) !== batch && !single(b)) {
    const spread = [a, b].map((tensor) => {
      const reps = batches.map((length, i) => {
        const own = tensor.shape.slice(0, -2);
        return length / (own[i - batches.length + own.length] ?? 1);
      });
      return tools.run("Tile", { x: withRank(tensor, reps.length + 2) }, { reps: [...reps, 1, 1] });
    });
    const out = multiply(tools, kernelName, spread[0], spread[1], attrs, bias);
    spread.forEach(tools.free);
    return out;
  }
  const out = ops.output([...batches, rows, columns]);
  const fits = bias !== undefined && isBias(bias, out);
  ops.multiply(
    { tensor: a, transposed: transposeA, single: single(a) },
    { tensor: b, transposed: transposeB, single: single(b) },
    [batch, rows, depth, columns],
    ops.place(out),
    { bias: fits ? bias : undefined, relu: activation === "relu" && (bias === undefined || fits) },
  );
  if (bias === undefined || fits) return out;
  const sum = tools.run("Add", { a: out, b: bias });
  tools.free(out);
  return sum;
}

function withRank(tensor: TensorInfo, rank: number): TensorInfo {
  return { dataId: tensor.dataId, shape: wide(tensor.shape, rank), dtype: tensor.dtype };
}

function isBias(bias: TensorInfo, product: TensorInfo): boolean {
  return sizeOf(bias.shape) === product.shape.at(-1) && bias.shape.at(-1) === product.shape.at(-1);
}

/** A tensor seen as `count` blocks of `rows` and `columns`, whose columns are summed to a tensor of `shape`. */
export interface SummedBlocks {
  readonly count: number;
  readonly rows: number;
  readonly columns: number;
  readonly shape: number[];
}

/** The blocks that a sum goes over, where its axes lie side by side, the last is kept and the blocks are no trifles. */
export function summedBlocks(x: TensorInfo, attrs: KernelArguments["attrs"]): SummedBlocks | undefined {
  const rank = x.shape.length;
  const given: number[] = attrs.axis === undefined || attrs.axis === null ? [] : [attrs.axis].flat();
  const axes = new Set(given.map((axis) => axis < 0 ? axis + rank : axis));
  const first = Math.min(...axes);
  const end = first + axes.size;
  if (x.dtype !== "float32" || axes.size === 0 || Math.max(...axes) !== end - 1 || end === rank) return undefined;
  const [before, after] = [x.shape.slice(0, first), x.shape.slice(end)];
  const [count, rows, columns] = [before, x.shape.slice(first, end), after].map(sizeOf);
  // each block is a job of its own, which small ones are not worth
  if (count * rows * columns === 0 || count > 1 && rows * columns < 256) return undefined;
  return {
    count,
    rows,
    columns,
    shape: [...before, ...Array(attrs.keepDims ? axes.size : 0).fill(1), ...after],
  };
}

interface Operand {
  readonly row: number;
  readonly column: number;
}

interface Broadcast {
  readonly shape: number[];
  readonly rows: number;
  readonly columns: number;
  readonly a: Operand;
  readonly b: Operand;
}

/** How two shapes are broadcast, if one of them is whole and the other a scalar, its last or its first dimensions. */
function broadcast(a: number[], b: number[]): Broadcast | undefined {
  const shape = broadcastShape(a, b);
  if (shape === undefined) return undefined;
  const size = sizeOf(shape);
  if (size === 0) return undefined;
  const whole = { row: 0, column: 1 };
  const [sizeA, sizeB] = [sizeOf(a), sizeOf(b)];
  if (sizeA === size && sizeB === size) return { shape, rows: 1, columns: size, a: whole, b: whole };
  if (sizeA !== size && sizeB !== size) return undefined;
  const smallSize = Math.min(sizeA, sizeB);
  const small = wide(sizeA === size ? b : a, shape.length);
  const layout = (rows: number, columns: number, part: Operand): Broadcast => {
    const full = { row: columns, column: 1 };
    return { shape, rows, columns, a: sizeA === size ? full : part, b: sizeA === size ? part : full };
  };
  if (smallSize === 1) return layout(1, size, { row: 0, column: 0 });
  const first = small.findIndex((length) => length !== 1);
  if (small.slice(first).every((length, i) => length === shape[first + i])) {
    return layout(size / smallSize, smallSize, { row: 0, column: 1 });
  }
  const last = small.findLastIndex((length) => length !== 1) + 1;
  if (small.slice(0, last).every((length, i) => length === shape[i])) {
    return layout(smallSize, size / smallSize, { row: 1, column: 0 });
  }
  return undefined;
}

/** The shape that two shapes are broadcast to; undefined if they do not go together. */
function broadcastShape(a: number[], b: number[]): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const [p, q] = [wide(a, rank), wide(b, rank)];
  const shape = p.map((length, i) => length === 1 ? q[i] : length);
  return shape.every((length, i) => q[i] === length || q[i] === 1) ? shape : undefined;
}

function wide(shape: number[], rank: number): number[] {
  return [...Array(rank - shape.length).fill(1), ...shape];
}

/** How many entries a shape has. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}
