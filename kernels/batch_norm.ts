/** Batch normalization in training as one operation, in place of twenty passes over the data forwards and backwards. */
import { assertFloats, type KernelTools } from "./image_kernels.ts";
import { sizeOf } from "./array_kernels.ts";
import type { KernelFunction, TensorInfo } from "./wasm_backend.ts";

/** A normalization whose statistics are computed and whose result waits for its activation. */
interface PendingNormalization {
  readonly kind: "batch normalization";
  readonly sources: readonly TensorInfo[];
  compute(place: number, relu?: boolean): void;
}

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
      const slopes = ops.floats(slope);
      const [variances, gammas] = [ops.floats(variance), ops.floats(gamma)];
      for (let c = 0; c < columns; c++) slopes[c] = gammas[c] / Math.sqrt(variances[c] + epsilon);
      const pending: PendingNormalization = {
        kind: "batch normalization",
        sources: [x, mean, slope, beta],
        compute: (out, relu = false) => ops.normalize(x, { mean, slope, offset: beta }, [rows, columns], relu, out),
      };
      const y = deferred.defer(x.shape, pending);
      free(slope);
      return [y, mean, variance];
    },
    BatchNormTrainingGradient: ({ inputs: { dy, x, mean, variance, gamma }, attrs: { epsilon } }) => {
      assertFloats("BatchNormTrainingGradient", dy, x, gamma);
      const columns = x.shape.at(-1)!;
      const rows = sizeOf(x.shape) / columns;
      const relu = deferred.of(dy)?.kind === "relu gradient" ? deferred.of(dy) as PendingReluGradient : undefined;
      const [gradient, y] = relu === undefined ? [dy, undefined] : relu.sources;
      const dx = ops.output(x.shape);
      const [dgamma, dbeta, slope, shift, tilt] = [0, 1, 2, 3, 4].map(() => ops.output([columns]));
      const sums = ops.output([2, columns]);
      ops.normalizeSums({ dy: gradient, y, x, mean }, [rows, columns], ops.place(sums));
      const [s, gammas, variances] = [sums, gamma, variance].map((tensor) => ops.floats(tensor));
      const [dgammas, dbetas, slopes, shifts, tilts] = [dgamma, dbeta, slope, shift, tilt].map((tensor) =>
        ops.floats(tensor)
      );
      for (let c = 0; c < columns; c++) {
        const scale = 1 / Math.sqrt(variances[c] + epsilon);
        dbetas[c] = s[c];
        dgammas[c] = s[columns + c] * scale;
        slopes[c] = gammas[c] * scale;
        shifts[c] = s[c] / rows;
        tilts[c] = s[columns + c] * scale * scale / rows;
      }
      ops.normalizeGradient({ dy: gradient, y, x, mean, slope, shift, tilt }, [rows, columns], ops.place(dx));
      for (const tensor of [slope, shift, tilt, sums]) free(tensor);
      return [dx, dgamma, dbeta];
    },
  };
}

/** The relu of a pending normalization, in one go; false if `x` is none. */
export function reluOfNormalization({ deferred }: KernelTools, x: TensorInfo, out: () => number): boolean {
  const deferral = deferred.of(x);
  if (deferral?.kind !== "batch normalization") return false;
  (deferral as PendingNormalization).compute(out(), true);
  return true;
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
    inputsToSave: ["x", "gamma"],
    outputsToSave: [false, true, true],
    gradFunc: ([dy], [x, gamma, mean, variance], attrs) => {
      // tfjs asks for each gradient in a scope of its own, at whose end all other tensors are gone: those of the few
      // columns are kept as plain numbers
      let columns: ArrayLike<number>[] | undefined;
      const compute = () => {
        const [dx, ...others] = run("BatchNormTrainingGradient", { dy, x, mean, variance, gamma }, attrs);
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
