/** Batch normalization in training as one operation, in place of twenty passes over the data forwards and backwards. */
import { assertFloats, type KernelTools } from "./image_kernels.ts";
import { asItIs } from "./deferred_data.ts";
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
    BatchNormTraining: ({ inputs, attrs: { epsilon, momentum } }) => {
      const { gamma, movingMean, movingVariance } = inputs;
      const [x, beta] = [inputs.x, inputs.beta].map(asItIs);
      assertFloats("BatchNormTraining", x, gamma, beta, movingMean, movingVariance);
      const columns = x.shape.at(-1)!;
      const rows = sizeOf(x.shape) / columns;
      const [mean, variance, slope, nextMean, nextVariance] = [0, 1, 2, 3, 4].map(() => ops.output([columns]));
      ops.moments(x, rows, columns, ops.place(mean), ops.place(variance));
      setSlopes(ops, slope, gamma, variance, epsilon);
      // rounded as the three operations that tfjs composes it of
      const share = Math.fround(1 - momentum);
      const follow = (moving: TensorInfo, value: TensorInfo, next: TensorInfo) => {
        const [old, now, out] = ops.floatsOf(moving, value, next);
        for (let c = 0; c < columns; c++) out[c] = old[c] - Math.fround(Math.fround(old[c] - now[c]) * share);
      };
      follow(movingMean, mean, nextMean);
      follow(movingVariance, variance, nextVariance);
      const pending: PendingNormalization = {
        kind: "batch normalization",
        sources: [x, mean, slope, beta],
        mean,
        compute: (out, relu = false) => ops.normalize({ x, mean, slope, offset: beta }, [rows, columns], relu, out),
      };
      const y = deferred.defer(x.shape, pending);
      free(slope);
      return [y, mean, variance, nextMean, nextVariance];
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
      const [s, variances] = ops.floatsOf(sums, variance);
      const [dgammas, dbetas, shifts, tilts] = ops.floatsOf(dgamma, dbeta, shift, tilt);
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
  const [slopes, gammas, variances] = ops.floatsOf(slope, gamma, variance);
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

interface LayerVariable {
  read(): TensorInfo;
  write(value: TensorInfo): void;
}

/** tfjs's layer, as far as its training goes. */
interface BatchNormLayer {
  call(inputs: TensorInfo | TensorInfo[], kwargs: { training?: boolean }): TensorInfo;
  readonly axis: number;
  readonly momentum: number;
  readonly epsilon: number;
  readonly gamma?: LayerVariable | null;
  readonly beta?: LayerVariable | null;
  readonly movingMean: LayerVariable;
  readonly movingVariance: LayerVariable;
}

type Gradient = (dy: TensorInfo, saved: TensorInfo[]) => TensorInfo[];

/** What the layer needs of TensorFlow.js. */
export interface BatchNormLibrary {
  readonly serialization: {
    readonly SerializationMap: { getMap(): { classNameMap: Record<string, [{ prototype: object }, unknown]> } };
  };
  customGrad(
    // deno-lint-ignore no-explicit-any -- as many tensors as the function has gradients for, and `save`
    compute: (...args: any[]) => { value: TensorInfo; gradFunc: Gradient },
  ): (...args: TensorInfo[]) => TensorInfo;
}

/** The parts of the library whose types differ from place to place. */
interface Engine {
  getBackend(): string;
  engine(): { runKernel(kernelName: string, inputs: object, attrs: object): unknown };
}

/** Makes tfjs's layer use the operation, wherever it trains on the wasm backend and normalizes the last dimension. */
export function replaceBatchNormalization(tf: BatchNormLibrary & Engine): void {
  const run = (kernelName: string, inputs: object, attrs: object) =>
    tf.engine().runKernel(kernelName, inputs, attrs) as TensorInfo[];
  const layer = tf.serialization.SerializationMap.getMap().classNameMap.BatchNormalization[0]
    .prototype as BatchNormLayer;
  const stock = layer.call;
  layer.call = function (this: BatchNormLayer, inputs, kwargs): TensorInfo {
    const x = Array.isArray(inputs) ? inputs[0] : inputs;
    const { axis, gamma, beta, movingMean, movingVariance, epsilon, momentum } = this;
    const last = axis === -1 || axis === x.shape.length - 1;
    if (!kwargs.training || tf.getBackend() !== "wasm" || !last || !gamma || !beta || x.dtype !== "float32") {
      return stock.call(this, inputs, kwargs);
    }
    const normalize = tf.customGrad(
      (x: TensorInfo, gamma: TensorInfo, beta: TensorInfo, save: (tensors: TensorInfo[]) => void) => {
        const moving = { movingMean: movingMean.read(), movingVariance: movingVariance.read() };
        const [value, mean, variance, nextMean, nextVariance] = run(
          "BatchNormTraining",
          { x, gamma, beta, ...moving },
          { epsilon, momentum },
        );
        movingMean.write(nextMean);
        movingVariance.write(nextVariance);
        save([x, mean, variance, gamma, beta]);
        return {
          value,
          gradFunc: (dy, [x, mean, variance, gamma, beta]) =>
            run("BatchNormTrainingGradient", { dy, x, mean, variance, gamma, beta }, { epsilon }),
        };
      },
    );
    return normalize(x, gamma.read(), beta.read());
  };
}
