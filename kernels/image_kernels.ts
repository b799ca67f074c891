import { asItIs, type DeferredData } from "./deferred_data.ts";
import type { Epilogue, NativeOps } from "./native_ops.ts";
import type { KernelArguments, KernelFunction, TensorInfo, WindowInfo } from "./wasm_backend.ts";

/** What the kernels of this folder work with. */
export interface KernelTools {
  readonly ops: NativeOps;
  readonly deferred: DeferredData;
  /** Places windows from shapes and attributes. */
  readonly windows: Windows;
  /** Runs another kernel of the backend. */
  run(kernelName: string, inputs: Record<string, TensorInfo>, attrs?: object): TensorInfo;
  /** Gives a tensor back. */
  free(tensor: TensorInfo): void;
}

/** Places the windows of convolutions and pools. */
export interface Windows {
  full(inputShape: number[], filterShape: number[], attrs: KernelArguments["attrs"]): WindowInfo;
  depthwise(inputShape: number[], filterShape: number[], attrs: KernelArguments["attrs"]): WindowInfo;
  pool(inputShape: number[], attrs: KernelArguments["attrs"]): WindowInfo;
}

/** A convolution that waits for its bias and its activation. */
interface PendingConvolution {
  readonly kind: "convolution";
  readonly sources: readonly TensorInfo[];
  readonly shape: number[];
  readonly bias: TensorInfo | undefined;
  compute(place: number, epilogue?: Epilogue): void;
}

/** A gradient of a max pool that waits for the gradient of the relu before the pool. */
interface PendingPoolGradient {
  readonly kind: "max pool gradient";
  readonly sources: readonly TensorInfo[];
  readonly input: TensorInfo;
  compute(place: number, relu?: boolean): void;
}

/** Refuses data that the kernel would read as what it is not. */
export function assertFloats(kernelName: string, ...tensors: (TensorInfo | undefined)[]): void {
  for (const tensor of tensors) {
    if (tensor === undefined || tensor.dtype === "float32") continue;
    throw new TypeError(`Cannot run ${kernelName} on the wasm backend: data is ${tensor.dtype}, float32 is wanted`);
  }
}

type Compute = (ops: NativeOps, x: TensorInfo, filter: TensorInfo, w: WindowInfo, out: number, end: Epilogue) => void;

const convolve: Compute = (ops, x, filter, w, out, end) => ops.convolve(x, filter, w, out, end);
const depthwise: Compute = (ops, x, filter, w, out, end) => ops.depthwise(x, filter, w, out, end);

/** The kernels of convolutions, forwards and of their gradients. */
export function convolutionKernels(tools: KernelTools): Record<string, KernelFunction> {
  const { ops, deferred, windows } = tools;
  const forward = (name: string, compute: Compute, place: Windows["full"]): KernelFunction => ({ inputs, attrs }) => {
    const [x, filter] = [inputs.x, inputs.filter].map(asItIs);
    assertFloats(name, x, filter);
    const w = place(x.shape, filter.shape, attrs);
    const pending: PendingConvolution = {
      kind: "convolution",
      sources: [x, filter],
      shape: outShape(w),
      bias: undefined,
      compute: (out, end = {}) => compute(ops, x, filter, w, out, end),
    };
    return deferred.defer(outShape(w), pending);
  };
  const fused = (name: string, compute: Compute, place: Windows["full"]): KernelFunction => ({ inputs, attrs }) => {
    const { x, filter, bias, preluActivationWeights } = inputs;
    assertFloats(name, x, filter, bias);
    const w = place(x.shape, filter.shape, attrs);
    const out = ops.output(outShape(w));
    const plainBias = bias === undefined || isRow(bias, w.outChannels);
    const relu = plainBias && attrs.activation === "relu";
    compute(ops, x, filter, w, ops.place(out), { bias: plainBias ? bias : undefined, relu });
    const biased = plainBias ? out : replaced(tools, out, tools.run("Add", { a: out, b: bias }));
    return relu ? biased : activated(tools, biased, { ...attrs, preluActivationWeights });
  };
  type Gradient<Name> = (name: string, compute: Name, place: Windows["full"]) => KernelFunction;
  const ofInput: Gradient<"convolveInput" | "depthwiseInput"> = (name, compute, place) => ({ inputs, attrs }) => {
    const [dy, filter] = [inputs.dy, inputs.filter].map(asItIs);
    assertFloats(name, dy, filter);
    const w = place(attrs.inputShape, filter.shape, attrs);
    // tfjs asks for it for a model's first layer too, where nothing reads it
    return deferred.defer(attrs.inputShape, {
      kind: "input gradient",
      sources: [dy, filter],
      compute: (out) => ops[compute](dy, filter, w, out),
    });
  };
  const ofFilter: Gradient<"convolveFilter" | "depthwiseFilter"> = (name, compute, place) => ({ inputs, attrs }) => {
    const { x, dy } = inputs;
    assertFloats(name, x, dy);
    const out = ops.output(attrs.filterShape);
    ops[compute](x, dy, place(x.shape, attrs.filterShape, attrs), ops.place(out));
    return out;
  };
  return {
    Conv2D: forward("Conv2D", convolve, windows.full),
    DepthwiseConv2dNative: forward("DepthwiseConv2dNative", depthwise, windows.depthwise),
    FusedConv2D: fused("FusedConv2D", convolve, windows.full),
    FusedDepthwiseConv2D: fused("FusedDepthwiseConv2D", depthwise, windows.depthwise),
    Conv2DBackpropInput: ofInput("Conv2DBackpropInput", "convolveInput", windows.full),
    Conv2DBackpropFilter: ofFilter("Conv2DBackpropFilter", "convolveFilter", windows.full),
    DepthwiseConv2dNativeBackpropInput: ofInput(
      "DepthwiseConv2dNativeBackpropInput",
      "depthwiseInput",
      windows.depthwise,
    ),
    DepthwiseConv2dNativeBackpropFilter: ofFilter(
      "DepthwiseConv2dNativeBackpropFilter",
      "depthwiseFilter",
      windows.depthwise,
    ),
  };
}

/** The kernels of pools, forwards and of their gradients. */
export function poolKernels({ ops, deferred, windows }: KernelTools): Record<string, KernelFunction> {
  const forward = (name: string, kernel: "max_pool" | "avg_pool"): KernelFunction => ({ inputs: { x }, attrs }) => {
    assertFloats(name, x);
    const w = windows.pool(x.shape, attrs);
    const out = ops.output(outShape(w));
    ops.pool(kernel, x, w, ops.place(out));
    return out;
  };
  return {
    MaxPool: forward("MaxPool", "max_pool"),
    AvgPool: forward("AvgPool", "avg_pool"),
    MaxPoolGrad: ({ inputs, attrs }) => {
      const [dy, input] = [inputs.dy, inputs.input].map(asItIs);
      assertFloats("MaxPoolGrad", dy, input);
      const w = windows.pool(input.shape, attrs);
      const pending: PendingPoolGradient = {
        kind: "max pool gradient",
        sources: [dy, input],
        input,
        compute: (out, relu = false) => ops.poolGradient("max_pool_gradient", { x: input, dy, relu }, w, out),
      };
      return deferred.defer(input.shape, pending);
    },
    AvgPoolGrad: ({ inputs: { dy, input }, attrs }) => {
      assertFloats("AvgPoolGrad", dy);
      const w = windows.pool(input.shape, attrs);
      const dx = ops.output(input.shape);
      ops.poolGradient("avg_pool_gradient", { dy }, w, ops.place(dx));
      return dx;
    },
  };
}

/** A convolution whose result is `x` and not yet computed. */
export function pendingConvolution({ deferred }: KernelTools, x: TensorInfo): PendingConvolution | undefined {
  const deferral = deferred.of(x);
  return deferral?.kind === "convolution" ? deferral as PendingConvolution : undefined;
}

/** The pending sum of a pending convolution and its bias; undefined if `b` is no bias of it. */
export function withBias(tools: KernelTools, x: TensorInfo, b: TensorInfo): TensorInfo | undefined {
  const pending = pendingConvolution(tools, x);
  if (pending === undefined || pending.bias !== undefined || b.dtype !== "float32") return undefined;
  if (!isRow(b, pending.shape[3]) || x.shape.length !== 4) return undefined;
  const bias = asItIs(b);
  const biased: PendingConvolution = {
    ...pending,
    sources: [...pending.sources, bias],
    bias,
    compute: (out, end = {}) => pending.compute(out, { ...end, bias }),
  };
  return tools.deferred.defer(x.shape, biased);
}

/** Whether `dy` is a pending gradient of a max pool of `y`. */
export function isPoolGradientOf({ deferred }: KernelTools, dy: TensorInfo, y: TensorInfo): boolean {
  const deferral = deferred.of(dy);
  return deferral?.kind === "max pool gradient" && (deferral as PendingPoolGradient).input.dataId === y.dataId;
}

/** A pending gradient of a max pool, in one go with that of the relu whose result was pooled. */
export function poolGradientOfRelu({ deferred }: KernelTools, dy: TensorInfo, out: number): void {
  (deferred.of(dy) as PendingPoolGradient).compute(out, true);
}

/** Whether a tensor is one entry for each of the last dimension's `columns`. */
function isRow(tensor: TensorInfo, columns: number): boolean {
  return tensor.shape.at(-1) === columns && tensor.shape.slice(0, -1).every((length) => length === 1);
}

function outShape(w: WindowInfo): number[] {
  return [w.batchSize, w.outHeight, w.outWidth, w.outChannels];
}

const ACTIVATIONS: Readonly<Record<string, string>> = {
  relu: "Relu",
  relu6: "Relu6",
  elu: "Elu",
  sigmoid: "Sigmoid",
  prelu: "Prelu",
  leakyrelu: "LeakyRelu",
};

/** Applies a fused operation's activation, in the place of its result. */
export function activated(tools: KernelTools, x: TensorInfo, attrs: KernelArguments["attrs"]): TensorInfo {
  const { activation, preluActivationWeights, leakyreluAlpha } = attrs;
  if (activation === undefined || activation === null || activation === "linear") return x;
  const kernelName = ACTIVATIONS[activation];
  if (kernelName === undefined) {
    throw new Error(`Cannot fuse an activation on the wasm backend: "${activation}" is not known`);
  }
  const inputs = { x, ...activation === "prelu" ? { alpha: preluActivationWeights } : {} };
  return replaced(tools, x, tools.run(kernelName, inputs, { alpha: leakyreluAlpha }));
}

function replaced(tools: KernelTools, old: TensorInfo, result: TensorInfo): TensorInfo {
  tools.free(old);
  return result;
}
