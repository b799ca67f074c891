/** Batch normalization in training as one operation, in place of twenty passes over the data forwards and backwards. */
import { assertFloats, type KernelTools } from "./image_kernels.ts";
import { sizeOf } from "./array_kernels.ts";
import type { NativeOps } from "./native_ops.ts";
import type { KernelFunction, TensorInfo } from "./wasm_backend.ts";

/** A normalization whose statistics are computed and whose result waits for its activation. */
interface PendingNormalization {
  readonly kind: "batch normalization";
  readonly sources: readonly TensorInfo[];
  readonly mean: TensorInfo;
  compute(place: number, relu?: boolean): void;
}

/** The relus of normalizations: the mean's data, of which each normalization has its own, by the result's. */
const meansOfRelus = new WeakMap<object, object>();

/** A gradient of a relu that waits for the gradient of the normalization before the relu. */
export interface PendingReluGradient {
  readonly kind: "relu gradient";
  readonly sources: readonly [dy: TensorInfo, y: TensorInfo];
  compute(place: number): void;
}

/** The kernels of the operation and of its gradient. */
export function batchNormKernels(tools: KernelTools): Record<string, KernelFunction> {
  const { ops, deferred, free } = tools;
  return {
    BatchNormTraining: ({ inputs: { x, gamma, beta }, attrs: { epsilon } }) => {
      assertFloats("BatchNormTraining", x, gamma, beta);
      const columns = x.shape.at(-1)!;
      const rows = sizeOf(x.shape) / columns;
      const [mean, variance, slope] = [0, 1, 2].map(() => ops.output([columns]));
      ops.moments(x, rows, columns, ops.place(mean), ops.place(variance));
      setSlopes(ops, slope, gamma, variance, epsilon);
      const pending: PendingNormalization = {
        kind: "batch normalization",
        sources: [x, mean, slope, beta],
        mean,
        compute: (out, relu = false) => ops.normalize({ x, mean, slope, offset: beta }, [rows, columns], relu, out),
      };
      const y = deferred.defer(x.shape, pending);
      free(slope);
      return [y, mean, variance];
    },
    BatchNormTrainingGradient: ({ inputs: { dy, x, mean, variance, gamma, beta }, attrs: { epsilon } }) => {
      assertFloats("BatchNormTrainingGradient", dy, x, gamma, beta);
      const columns = x.shape.at(-1)!;
      const rows = sizeOf(x.shape) / columns;
      const before = beforeRelu(tools, dy, mean);
      const relu = before !== undefined;
      const gradient = before ?? dy;
      const dx = ops.output(x.shape);
      const [dgamma, dbeta, slope, shift, tilt] = [0, 1, 2, 3, 4].map(() => ops.output([columns]));
      const sums = ops.output([2, columns]);
      setSlopes(ops, slope, gamma, variance, epsilon);
      const by = { x, mean, slope, offset: beta };
      ops.normalizeSums(gradient, by, [rows, columns], relu, ops.place(sums));
      const [s, variances] = [sums, variance].map((tensor) => ops.floats(tensor));
      const [dgammas, dbetas, shifts, tilts] = [dgamma, dbeta, shift, tilt].map((tensor) => ops.floats(tensor));
      for (let c = 0; c < columns; c++) {
        const scale = 1 / Math.sqrt(variances[c] + epsilon);
        dbetas[c] = s[c];
        dgammas[c] = s[columns + c] * scale;
        shifts[c] = s[c] / rows;
        tilts[c] = s[columns + c] * scale * scale / rows;
      }
      ops.normalizeGradient(gradient, { ...by, shift, tilt }, [rows, columns], relu, ops.place(dx));
      for (const tensor of [slope, shift, tilt, sums]) free(tensor);
      return [dx, dgamma, dbeta];
    },
  };
}

/** Forwards and backwards by the same formula: the gradient finds out once more where a relu let values through. */
function setSlopes(ops: NativeOps, slope: TensorInfo, gamma: TensorInfo, variance: TensorInfo, epsilon: number): void {
  const [gammas, variances] = [gamma, variance].map((tensor) => ops.floats(tensor));
  const slopes = ops.floats(slope);
  for (let c = 0; c < slopes.length; c++) slopes[c] = gammas[c] / Math.sqrt(variances[c] + epsilon);
}

/** Computes the relu of a pending normalization, in one go, to `out`; false if `x` is none. */
export function reluOfNormalization({ deferred, ops }: KernelTools, x: TensorInfo, out: TensorInfo): boolean {
  const deferral = deferred.of(x);
  if (deferral?.kind !== "batch normalization") return false;
  const { mean, compute } = deferral as PendingNormalization;
  compute(ops.place(out), true);
  meansOfRelus.set(out.dataId, mean.dataId);
  return true;
}

/** What a pending gradient of a relu comes from, if the relu is that of the normalization with this mean. */
function beforeRelu({ deferred }: KernelTools, dy: TensorInfo, mean: TensorInfo): TensorInfo | undefined {
  const deferral = deferred.of(dy);
  if (deferral?.kind !== "relu gradient") return undefined;
  const [gradient, y] = (deferral as PendingReluGradient).sources;
  return meansOfRelus.get(y.dataId) === mean.dataId ? gradient : undefined;
}

/** A tensor of the user's tfjs. */
interface Tensor extends TensorInfo {
  dataSync(): ArrayLike<number>;
}

interface LayerVariable {
  read(): Tensor;
  write(value: Tensor): void;
}

/** tfjs's layer, as far as its training goes. */
interface BatchNormLayer {
  call(inputs: Tensor | Tensor[], kwargs: { training?: boolean }): Tensor;
  readonly axis: number;
  readonly momentum: number;
  readonly epsilon: number;
  readonly gamma?: LayerVariable | null;
  readonly beta?: LayerVariable | null;
  readonly movingMean: LayerVariable;
  readonly movingVariance: LayerVariable;
}

interface Gradient {
  kernelName: string;
  inputsToSave: string[];
  outputsToSave: boolean[];
  gradFunc(dys: Tensor[], saved: Tensor[], attrs: object): Record<string, () => Tensor>;
}

/** What the layer needs of TensorFlow.js. */
export interface BatchNormLibrary {
  readonly serialization: {
    readonly SerializationMap: { getMap(): { classNameMap: Record<string, [{ prototype: object }, unknown]> } };
  };
  tidy(work: () => Tensor): Tensor;
  registerGradient(config: Gradient): void;
  tensor(values: ArrayLike<number>, shape: number[]): Tensor;
  sub(a: Tensor, b: Tensor): Tensor;
  mul(a: Tensor, b: number): Tensor;
}

/** The parts of the library whose types differ from place to place. */
interface Engine {
  getBackend(): string;
  engine(): { runKernel(kernelName: string, inputs: object, attrs: object): unknown };
}

/** Makes tfjs's layer use the operation, wherever it trains on the wasm backend and normalizes the last dimension. */
export function replaceBatchNormalization(tf: BatchNormLibrary & Engine): void {
  const run = (kernelName: string, inputs: object, attrs: object) =>
    tf.engine().runKernel(kernelName, inputs, attrs) as Tensor[];
  tf.registerGradient({
    kernelName: "BatchNormTraining",
    inputsToSave: ["x", "gamma", "beta"],
    outputsToSave: [false, true, true],
    gradFunc: ([dy], [x, gamma, beta, mean, variance], attrs) => {
      // tfjs asks for each gradient in a scope of its own, at whose end all other tensors are gone: those of the few
      // columns are kept as plain numbers
      let columns: ArrayLike<number>[] | undefined;
      const compute = () => {
        const [dx, ...others] = run("BatchNormTrainingGradient", { dy, x, mean, variance, gamma, beta }, attrs);
        columns = others.map((gradient) => gradient.dataSync());
        return dx;
      };
      const column = (i: number) => () => {
        if (columns === undefined) compute();
        return tf.tensor(columns![i], gamma.shape);
      };
      return { x: compute, gamma: column(0), beta: column(1) };
    },
  });
  const layer = tf.serialization.SerializationMap.getMap().classNameMap.BatchNormalization[0]
    .prototype as BatchNormLayer;
  const stock = layer.call;
  layer.call = function (this: BatchNormLayer, inputs, kwargs): Tensor {
    const x = Array.isArray(inputs) ? inputs[0] : inputs;
    const { axis, gamma, beta } = this;
    const last = axis === -1 || axis === x.shape.length - 1;
    if (!kwargs.training || tf.getBackend() !== "wasm" || !last || !gamma || !beta || x.dtype !== "float32") {
      return stock.call(this, inputs, kwargs);
    }
    return tf.tidy(() => {
      const outputs = run("BatchNormTraining", { x, gamma: gamma.read(), beta: beta.read() }, {
        epsilon: this.epsilon,
      });
      const follow = (moving: LayerVariable, value: Tensor) => {
        const old = moving.read();
        moving.write(tf.sub(old, tf.mul(tf.sub(old, value), 1 - this.momentum)));
      };
      follow(this.movingMean, outputs[1]);
      follow(this.movingVariance, outputs[2]);
      return outputs[0];
    });
  };
}
