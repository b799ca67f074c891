import type { Heap, ThreadPool } from "./thread_pool.ts";
import type { TensorInfo, WasmBackend, WindowInfo } from "./wasm_backend.ts";

/** How work is shared out. `grain`: entries below which a task is not worth waking another thread; tests lower it. */
export const sharing = { grain: 16384 };
/** Bytes of windows or tiles that a thread has at once: they are to stay in its second cache. */
const WINDOW_BYTES = 128 * 1024;
const ROW_BYTES = 32 * 1024;
const TILE_BYTES = 384 * 1024;
/** Rows of a tile of a product. */
const ROWS = 6;
/** Rows of a product that a thread has at once. */
const ROW_BLOCK = 64;
/** Rows of two matrices that a thread has at once where they are much higher than wide. */
const DEEP_BLOCK = 128;
/** Entries of Winograd's tiles, in a row and in all. */
const TILE = 6;
const PLACES = 36;

/** What is added to the result of a product, and whether negative entries become zero. */
export interface Epilogue {
  readonly bias?: TensorInfo;
  readonly relu?: boolean;
}

/** What is normalized, and by what: one entry for each column. */
export interface Normalization {
  readonly x: TensorInfo;
  readonly mean: TensorInfo;
  readonly slope: TensorInfo;
  readonly offset: TensorInfo;
}

/** How a matrix lies in memory: the steps from row to row, column to column and matrix to matrix. */
interface Layout {
  readonly place: number;
  readonly row: number;
  readonly column: number;
  readonly batch: number;
}

/**
 * The operations of the native code over tensors: shares the work out in tasks, and finds room for what is in between.
 * Results are written to a place on the heap. What is read is looked up before room is taken: to look a tensor up may
 * compute it, which takes room as well.
 */
export class NativeOps {
  #pool: ThreadPool;
  readonly #backend: WasmBackend;
  readonly #heap: Heap;
  #workspace = 0;
  #workspaceBytes = 0;

  constructor(pool: ThreadPool, backend: WasmBackend, heap: Heap) {
    this.#pool = pool;
    this.#backend = backend;
    this.#heap = heap;
  }

  /** Computes on other threads from now on; ends those of before. */
  usePool(pool: ThreadPool): void {
    this.#pool.close();
    this.#pool = pool;
  }

  /** How many threads compute. */
  get threads(): number {
    return this.#pool.threads;
  }

  /** Where a tensor's data is. */
  place(tensor: TensorInfo): number {
    return this.#backend.dataIdMap.get(tensor.dataId)!.memoryOffset!;
  }

  output(shape: number[]): TensorInfo {
    return this.#backend.makeOutput(shape, "float32");
  }

  /** `out = x * filter`, of the window's output shape, written to `out`. */
  convolve(x: TensorInfo, filter: TensorInfo, w: WindowInfo, out: number, { bias, relu }: Epilogue = {}): void {
    const input = this.place(x);
    const shape = { ...steps(w), filter: this.place(filter), turned: false };
    const end = [bias === undefined ? 0 : this.place(bias), Number(relu ?? false)];
    if (suitsWinograd(w)) return this.#winograd(input, shape, out, end);
    const depth = w.filterHeight * w.filterWidth * w.inChannels;
    const packed = this.#room(depth * roundUp(w.outChannels, 8));
    this.#pack({ place: shape.filter, row: w.outChannels, column: 1, batch: 0 }, packed, depth, w.outChannels, 1);
    this.#convolvePacked(input, packed, w, out, end);
  }

  /** The gradient of a convolution's input, written to `out`. */
  convolveInput(dy: TensorInfo, filter: TensorInfo, w: WindowInfo, out: number): void {
    const gradient = this.place(dy);
    const layout = { place: this.place(filter), row: 1, column: w.outChannels, batch: 0 };
    const turned = turnedSteps(w);
    if (turned !== undefined && suitsWinograd(turned)) {
      return this.#winograd(gradient, { ...steps(turned), filter: layout.place, turned: true }, out, [0, 0]);
    }
    if (turned !== undefined && w.filterHeight * w.filterWidth > 1) {
      const taps = w.filterHeight * w.filterWidth;
      const packed = this.#room(taps * w.outChannels * roundUp(w.inChannels, 8));
      const tasks = Math.min(Math.ceil(w.inChannels / 8), this.#tasks(taps * w.inChannels * w.outChannels));
      this.#pool.run("pack_turned", tasks, [layout.place, taps, w.inChannels, w.outChannels, packed, tasks]);
      return this.#convolvePacked(gradient, packed, turned, out, [0, 0]);
    }
    const columns = w.filterHeight * w.filterWidth * w.inChannels;
    const packed = this.#room(w.outChannels * roundUp(columns, 8));
    this.#pack(layout, packed, w.outChannels, columns, 1);
    const { block, scratch } = windowBlock(w);
    const work = w.batchSize * w.outHeight * w.outWidth * w.outChannels * columns / 64;
    const tasks = Math.min(w.batchSize, this.#tasks(work, 4));
    const words = [...windowWords(w), gradient, packed, out, block, tasks];
    this.#pool.run("convolve_input", tasks, words, [], scratch);
  }

  /** The gradient of a convolution's filter, written to `out`. */
  convolveFilter(x: TensorInfo, dy: TensorInfo, w: WindowInfo, out: number): void {
    const inputs = [this.place(x), this.place(dy)];
    const depth = w.filterHeight * w.filterWidth * w.inChannels;
    const tasks = this.#tasks(w.batchSize * w.outHeight * w.outWidth * w.outChannels * depth / 64);
    if (suitsWinograd(w)) {
      const count = w.inChannels * w.outChannels;
      const partial = this.#room(tasks * PLACES * count);
      const { block, scratch } = tileBlock(w.inChannels, w.outChannels, 60);
      const words = [...winogradWords(steps(w)), ...inputs, partial, block, tasks];
      this.#pool.run("winograd_gradient", tasks, words, [], scratch);
      const sums = this.#tasks(count * PLACES);
      this.#pool.run("winograd_gradient_sum", sums, [partial, tasks, w.filterHeight, out, count, sums]);
      return;
    }
    if (isPointwise(w)) {
      const partial = this.#room(tasks * depth * w.outChannels);
      const pixels = w.batchSize * w.outHeight * w.outWidth;
      const words = [...inputs, pixels, depth, w.outChannels, partial, tasks];
      this.#pool.run("multiply_transposed", tasks, words, [], 8 * DEEP_BLOCK * 4);
      return this.#addPartials(partial, tasks, depth * w.outChannels, out, depth * w.outChannels);
    }
    const partialSize = depth * w.outChannels;
    const partial = this.#room(tasks * partialSize);
    const { block, scratch } = rowBlock(w);
    const words = [...windowWords(w), ...inputs, partial, block, tasks];
    this.#pool.run("convolve_filter", tasks, words, [], scratch);
    this.#addPartials(partial, tasks, partialSize, out, depth * w.outChannels);
  }

  /** `out = a x b` for `batch` matrices, [rows, depth] x [depth, columns]; either may be kept transposed. */
  multiply(
    a: { tensor: TensorInfo; transposed: boolean; single: boolean },
    b: { tensor: TensorInfo; transposed: boolean; single: boolean },
    [batch, rows, depth, columns]: [number, number, number, number],
    out: number,
    { bias, relu }: Epilogue = {},
  ): void {
    const packedSize = depth * roundUp(columns, 8);
    const matrices = b.single ? 1 : batch;
    const left = this.place(a.tensor);
    const place = this.place(b.tensor);
    const end = [bias === undefined ? 0 : this.place(bias), Number(relu ?? false)];
    const packed = this.#room(matrices * packedSize);
    const size = depth * columns;
    this.#pack(
      b.transposed ? { place, row: 1, column: depth, batch: size } : { place, row: columns, column: 1, batch: size },
      packed,
      depth,
      columns,
      matrices,
    );
    const tasks = this.#tasks(batch * rows * columns * depth / 64, 4);
    const parts = batch >= tasks ? 1 : Math.min(Math.ceil(rows / 4), tasks);
    const words = [
      left,
      a.transposed ? 1 : depth,
      a.transposed ? rows : 1,
      a.single ? 0 : rows * depth,
      packed,
      b.single ? 0 : packedSize,
      out,
      rows,
      columns,
      depth,
      batch,
      parts,
      tasks,
      ...end,
    ];
    this.#pool.run("multiply", tasks, words, [], a.transposed ? ROW_BLOCK * depth * 4 : 0);
  }

  depthwise(x: TensorInfo, filter: TensorInfo, w: WindowInfo, out: number, { bias, relu }: Epilogue = {}): void {
    const tasks = this.#rowTasks(w.batchSize * w.outHeight, w.outWidth * w.outChannels * w.filterHeight);
    const end = [bias === undefined ? 0 : this.place(bias), Number(relu ?? false), tasks];
    this.#pool.run("depthwise", tasks, [...depthwiseWords(w), this.place(x), this.place(filter), out, ...end]);
  }

  depthwiseInput(dy: TensorInfo, filter: TensorInfo, w: WindowInfo, out: number): void {
    const tasks = this.#rowTasks(w.batchSize * w.inHeight, w.inWidth * w.outChannels * w.filterHeight);
    const words = [...depthwiseWords(w), this.place(dy), this.place(filter), out, tasks];
    this.#pool.run("depthwise_input", tasks, words);
  }

  depthwiseFilter(x: TensorInfo, dy: TensorInfo, w: WindowInfo, out: number): void {
    const count = w.filterHeight * w.filterWidth * w.outChannels;
    const tasks = this.#tasks(w.batchSize * w.outHeight * w.outWidth * w.outChannels * w.filterHeight);
    const inputs = [this.place(x), this.place(dy)];
    const partial = this.#room(tasks * count);
    this.#pool.run("depthwise_filter", tasks, [...depthwiseWords(w), ...inputs, partial, tasks]);
    this.#addPartials(partial, tasks, count, out, count);
  }

  pool(kernel: "max_pool" | "avg_pool", x: TensorInfo, w: WindowInfo, out: number): void {
    const tasks = this.#rowTasks(w.batchSize * w.outHeight, w.outWidth * w.inChannels * w.filterHeight);
    this.#pool.run(kernel, tasks, [...poolWords(w), this.place(x), out, tasks]);
  }

  /**
   * The gradient of a pool's input.
   *
   * @param relu for the largest entries: whether `x` is the result of a relu, whose gradient is taken as well
   */
  poolGradient(
    kernel: "max_pool_gradient" | "avg_pool_gradient",
    { x, dy, relu = false }: { x?: TensorInfo; dy: TensorInfo; relu?: boolean },
    w: WindowInfo,
    out: number,
  ): void {
    const tasks = Math.min(w.batchSize, this.#tasks(w.batchSize * w.inHeight * w.inWidth * w.inChannels, 4));
    const input = x === undefined ? 0 : this.place(x);
    this.#pool.run(kernel, tasks, [...poolWords(w), input, this.place(dy), out, tasks, Number(relu)]);
  }

  /** `out[rows, columns] = a (operation) b`; an operand's step is zero where it is broadcast. */
  binary(
    operation: number,
    a: { tensor: TensorInfo; row: number; column: number },
    b: { tensor: TensorInfo; row: number; column: number },
    [rows, columns]: [number, number],
    out: number,
  ): void {
    const tasks = this.#tasks(rows * columns);
    this.#pool.run("binary", tasks, [
      this.place(a.tensor),
      a.row,
      a.column,
      this.place(b.tensor),
      b.row,
      b.column,
      out,
      rows,
      columns,
      operation,
      tasks,
    ]);
  }

  relu(x: TensorInfo, count: number, out: number): void {
    const tasks = this.#tasks(count);
    this.#pool.run("relu", tasks, [this.place(x), out, count, tasks]);
  }

  /** `out = min(max(x, least), most)`; NaN stays. */
  clip(x: TensorInfo, [least, most]: [number, number], count: number, out: number): void {
    const tasks = this.#tasks(count);
    this.#pool.run("clip", tasks, [this.place(x), out, count, tasks], [least, most]);
  }

  reluGradient(dy: TensorInfo, y: TensorInfo, count: number, out: number): void {
    const tasks = this.#tasks(count);
    this.#pool.run("relu_gradient", tasks, [this.place(dy), this.place(y), out, count, tasks]);
  }

  /** `out[count, columns]` = the sums of the columns of each block of `x[count, rows, columns]`. */
  columnSums(
    x: TensorInfo,
    { count = 1, rows, columns }: { count?: number; rows: number; columns: number },
    out: number,
  ): void {
    const tasks = this.#tasks(rows * columns);
    const input = this.place(x);
    const partial = tasks === 1 ? 0 : this.#room(tasks * columns);
    for (let i = 0; i < count; i++) {
      const [from, to] = [input + i * rows * columns * 4, out + i * columns * 4];
      this.#pool.run("column_sums", tasks, [from, rows, columns, partial || to, tasks]);
      if (tasks > 1) this.#addPartials(partial, tasks, columns, to, columns);
    }
  }

  /** A tensor's data, until the next tensor is made. */
  floats(tensor: TensorInfo): Float32Array {
    this.place(tensor);
    return this.#backend.typedArrayFromHeap(tensor) as Float32Array;
  }

  /** The data of several tensors, until the next tensor is made. Those that wait are computed before any is viewed. */
  floatsOf(...tensors: TensorInfo[]): Float32Array[] {
    for (const tensor of tensors) this.place(tensor);
    return tensors.map((tensor) => this.floats(tensor));
  }

  /** The mean and the variance of each column of `x[rows, columns]`. */
  moments(x: TensorInfo, rows: number, columns: number, mean: number, variance: number): void {
    const tasks = this.#tasks(rows * columns);
    const input = this.place(x);
    const partial = this.#room(tasks * 2 * columns);
    this.#pool.run("moments", tasks, [input, rows, columns, partial, tasks], [], 2 * columns * 4);
    const floats = (place: number, count: number) => new Float32Array(this.#pool.memory.buffer, place, count);
    const partials = floats(partial, tasks * 2 * columns);
    const [means, variances] = [floats(mean, columns), floats(variance, columns)];
    const start = (task: number) => Math.floor(rows * task / tasks);
    for (let c = 0; c < columns; c++) {
      let [m, squares] = [0, 0];
      for (let task = 0; task < tasks; task++) {
        const [before, after] = [start(task), start(task + 1)];
        if (after === before) continue;
        const distance = partials[task * 2 * columns + c] - m;
        m += distance * (after - before) / after;
        squares += partials[(task * 2 + 1) * columns + c] + distance ** 2 * before * (after - before) / after;
      }
      means[c] = m;
      variances[c] = squares / rows;
    }
  }

  /** `out = (x - mean) * slope + offset`, of which each column of `x[rows, columns]` has its own. */
  normalize(by: Normalization, [rows, columns]: [number, number], relu: boolean, out: number): void {
    const tasks = this.#rowTasks(rows, columns);
    this.#pool.run("normalize", tasks, [...this.#normalization(by), out, rows, columns, Number(relu), tasks]);
  }

  /**
   * The sums of each column of `dy`, and of `dy * (x - mean)`, to `out[2, columns]`.
   *
   * @param relu whether `dy` is the gradient of a relu of the normalized values, and comes through it first
   */
  normalizeSums(
    dy: TensorInfo,
    by: Normalization,
    [rows, columns]: [number, number],
    relu: boolean,
    out: number,
  ): void {
    const tasks = this.#tasks(rows * columns);
    const places = [this.place(dy), ...this.#normalization(by)];
    const partial = this.#room(tasks * 2 * columns);
    const words = [...places, Number(relu), rows, columns, partial, tasks];
    this.#pool.run("normalize_sums", tasks, words, [], 2 * columns * 4);
    this.#addPartials(partial, tasks, 2 * columns, out, 2 * columns);
  }

  /** `out = slope * (dy - shift - (x - mean) * tilt)`; `relu` as for {@linkcode NativeOps.normalizeSums}. */
  normalizeGradient(
    dy: TensorInfo,
    by: Normalization & { shift: TensorInfo; tilt: TensorInfo },
    [rows, columns]: [number, number],
    relu: boolean,
    out: number,
  ): void {
    const tasks = this.#rowTasks(rows, columns);
    const places = [this.place(dy), ...this.#normalization(by), this.place(by.shift), this.place(by.tilt)];
    this.#pool.run("normalize_gradient", tasks, [...places, out, Number(relu), rows, columns, tasks]);
  }

  #normalization({ x, mean, slope, offset }: Normalization): number[] {
    return [x, mean, slope, offset].map((tensor) => this.place(tensor));
  }

  /** Copies the rows of `size` floats that `indices`, which must lie in range, names. */
  gatherRows(x: TensorInfo, indices: TensorInfo, count: number, size: number, out: number): void {
    const tasks = this.#tasks(count * size);
    this.#pool.run("gather_rows", tasks, [this.place(x), this.place(indices), out, count, size, tasks]);
  }

  /** Entries dropped at random, and the others scaled; `state` is Alea's. */
  dropout(x: TensorInfo, count: number, state: readonly number[], keep: number, out: number): void {
    this.#pool.run("dropout", 1, [this.place(x), out, count, ...state], [keep]);
  }

  /** A step of an optimizer over a variable of `count` entries. */
  optimize(
    kernel: string,
    places: readonly number[],
    count: number,
    options: readonly number[],
    floats: readonly number[],
  ): void {
    const tasks = this.#tasks(count);
    this.#pool.run(kernel, tasks, [...places, count, tasks, ...options], floats);
  }

  #convolvePacked(x: number, packed: number, w: WindowInfo, out: number, end: number[]): void {
    const depth = w.filterHeight * w.filterWidth * w.inChannels;
    const rows = w.batchSize * w.outHeight;
    const tasks = Math.min(rows, this.#tasks(rows * w.outWidth * w.outChannels * depth / 64, 4)) || 1;
    const words = [...windowWords(w), x, packed, out, ...end, tasks];
    this.#pool.run("convolve", tasks, words, [], w.filterHeight * framedRow(w) * 4);
  }

  #winograd(x: number, shape: WinogradShape, out: number, end: number[]): void {
    const { channels, outChannels } = shape;
    const packed = this.#room(PLACES * channels * roundUp(outChannels, 8));
    const rows = this.#tasks(PLACES * channels * outChannels);
    const ends = shape.turned ? [outChannels, channels] : [channels, outChannels];
    this.#pool.run("winograd_filter", rows, [
      shape.filter,
      shape.taps,
      ...ends,
      Number(shape.turned),
      packed,
      rows,
    ]);
    const { block, scratch } = tileBlock(channels, 8, 24);
    const { batch, outHeight, outWidth } = shape;
    const tasks = this.#tasks(batch * outHeight * outWidth * channels * outChannels / 16, 4);
    this.#pool.run("winograd", tasks, [...winogradWords(shape), x, packed, out, ...end, block, tasks], [], scratch);
  }

  #pack({ place, row, column, batch }: Layout, to: number, depth: number, columns: number, matrices: number): void {
    const panels = Math.ceil(columns / 8);
    const tasks = this.#tasks(matrices * depth * columns);
    const parts = matrices >= tasks ? 1 : Math.min(panels, tasks);
    const words = [place, row, column, batch, to, depth * panels * 8, depth, columns, matrices, parts, tasks];
    this.#pool.run("pack", tasks, words);
  }

  #addPartials(partial: number, partials: number, partialSize: number, out: number, count: number): void {
    const tasks = this.#tasks(count * partials);
    this.#pool.run("add_partials", tasks, [partial, partials, partialSize, out, count, tasks]);
  }

  /** How many tasks a job of so much work is shared out in. */
  #tasks(work: number, perThread = 1): number {
    return this.threads === 1 ? 1 : Math.max(1, Math.min(this.threads * perThread, Math.floor(work / sharing.grain)));
  }

  #rowTasks(rows: number, rowWork: number): number {
    return Math.min(rows, this.#tasks(rows * rowWork, 4));
  }

  /** Room for floats between two jobs; what was there before is lost. */
  #room(floats: number): number {
    const bytes = floats * 4;
    if (bytes > this.#workspaceBytes) {
      if (this.#workspace !== 0) this.#heap._free(this.#workspace);
      // none is left if there is no room for more
      this.#workspace = this.#workspaceBytes = 0;
      this.#workspace = this.#heap._malloc(bytes) >>> 0;
      this.#workspaceBytes = bytes;
    }
    return this.#workspace;
  }
}

/** A convolution of `taps` x `taps` filters with a step of one, as Winograd's algorithm wants it. */
interface WinogradSteps {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly top: number;
  readonly left: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly outChannels: number;
  readonly taps: number;
}

interface WinogradShape extends WinogradSteps {
  readonly filter: number;
  readonly turned: boolean;
}

function steps(w: WindowInfo): WinogradSteps {
  const { outHeight, outWidth, outChannels, filterHeight: taps, padInfo: { top, left } } = w;
  const input = { batch: w.batchSize, height: w.inHeight, width: w.inWidth, channels: w.inChannels };
  return { ...input, top, left, outHeight, outWidth, outChannels, taps };
}

/** The gradient of the input of a convolution with a step of one, as a convolution of `dy`; undefined for others. */
function turnedSteps(w: WindowInfo): WindowInfo | undefined {
  if (w.strideHeight !== 1 || w.strideWidth !== 1) return undefined;
  return {
    ...w,
    inHeight: w.outHeight,
    inWidth: w.outWidth,
    inChannels: w.outChannels,
    outHeight: w.inHeight,
    outWidth: w.inWidth,
    outChannels: w.inChannels,
    padInfo: {
      ...w.padInfo,
      top: w.effectiveFilterHeight - 1 - w.padInfo.top,
      left: w.effectiveFilterWidth - 1 - w.padInfo.left,
    },
  };
}

/** Whether a convolution is a product of matrices as they lie in memory. */
function isPointwise(w: WindowInfo): boolean {
  return w.filterHeight === 1 && w.filterWidth === 1 && w.strideHeight === 1 && w.strideWidth === 1 &&
    w.outHeight === w.inHeight && w.outWidth === w.inWidth && w.padInfo.top === 0 && w.padInfo.left === 0;
}

function suitsWinograd(w: WindowInfo): boolean {
  const taps = w.filterHeight;
  const results = TILE + 1 - taps;
  const computed = roundUp(w.outHeight, results) * roundUp(w.outWidth, results);
  return (taps === 3 || taps === 5) && w.filterWidth === taps && w.strideHeight === 1 && w.strideWidth === 1 &&
    w.dilationHeight === 1 && w.dilationWidth === 1 && w.inChannels % 4 === 0 && w.outChannels % 4 === 0 &&
    w.inChannels >= 8 && w.outChannels >= 8 && w.outHeight * w.outWidth * 2 > computed;
}

function winogradWords(w: WinogradSteps): number[] {
  const { batch, height, width, channels, top, left, outHeight, outWidth, outChannels, taps } = w;
  return [batch, height, width, channels, top, left, outHeight, outWidth, outChannels, taps];
}

function windowSteps(w: WindowInfo): number[] {
  return [...windowStart(w), w.dilationHeight, w.dilationWidth, ...windowEnd(w)];
}

function poolWords(w: WindowInfo): number[] {
  return [...windowStart(w), ...windowEnd(w)];
}

function windowStart(w: WindowInfo): number[] {
  return [
    w.batchSize,
    w.inHeight,
    w.inWidth,
    w.inChannels,
    w.filterHeight,
    w.filterWidth,
    w.strideHeight,
    w.strideWidth,
  ];
}

function windowEnd(w: WindowInfo): number[] {
  return [w.padInfo.top, w.padInfo.left, w.outHeight, w.outWidth];
}

function windowWords(w: WindowInfo): number[] {
  return [...windowSteps(w), w.outChannels];
}

function depthwiseWords(w: WindowInfo): number[] {
  return [...windowSteps(w), w.outChannels / w.inChannels];
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** How many windows a thread has at once, and the bytes that they take. */
function windowBlock(w: WindowInfo): { block: number; scratch: number } {
  const size = w.filterHeight * w.filterWidth * w.inChannels;
  const block = Math.max(4, Math.min(512, Math.floor(WINDOW_BYTES / 4 / size)) & ~3);
  return { block, scratch: block * size * 4 };
}

/** Floats of an image's row as far as windows see it. */
function framedRow(w: WindowInfo): number {
  return ((w.outWidth - 1) * w.strideWidth + w.effectiveFilterWidth) * w.inChannels;
}

/** How many output rows a thread has at once, and the bytes that they take. */
function rowBlock(w: WindowInfo): { block: number; scratch: number } {
  const block = Math.max(1, Math.min(w.outHeight, Math.floor(ROW_BYTES / 4 / (w.outWidth * w.outChannels))));
  const seen = (block - 1) * w.strideHeight + w.effectiveFilterHeight;
  return { block, scratch: (seen * framedRow(w) + 8 * block * w.outWidth) * 4 };
}

/** How many tiles a thread has at once, a multiple of the rows of a product's tile, and the bytes that they take. */
function tileBlock(channels: number, columns: number, most: number): { block: number; scratch: number } {
  const fitting = Math.floor(TILE_BYTES / (PLACES * (channels + columns) * 4 * ROWS)) * ROWS;
  const block = Math.max(ROWS, Math.min(most, fitting));
  const step = (columns: number) => roundUp(block * columns, 16) + 16; // place_step() of winograd.c
  return { block, scratch: (PLACES * (step(channels) + step(columns)) + TILE * channels) * 4 };
}
