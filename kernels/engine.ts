/** Parts of tfjs's engine that cost a training of small kernels more than the kernels do. */

/** A tensor of the user's tfjs. */
interface Tensor {
  readonly shape: number[];
  readonly dtype: string;
  readonly dataId: object;
  id: number;
}

/** tfjs's engine, with the members that its types leave out. */
interface Engine {
  readonly backendName: string;
  readonly backend: { incRef(dataId: object): void };
  clone(x: Tensor): Tensor;
  makeTensorFromTensorInfo(info: object): Tensor;
}

/** What the engine's replacements need of TensorFlow.js. */
export interface EngineLibrary {
  engine(): object;
}

/**
 * Makes the engine save a tensor for its gradient as a second handle of the same number, where the wasm backend
 * computes. tfjs's own is a kernel that gives a new tensor, and two entries of the tape that lead from the one to the
 * other; to the tape, which knows tensors by their numbers, both are the same.
 */
export function replaceSaving(tf: EngineLibrary): void {
  const engine = tf.engine() as Engine;
  const stock = engine.clone;
  engine.clone = function (this: Engine, x: Tensor): Tensor {
    if (this.backendName !== "wasm") return stock.call(this, x);
    this.backend.incRef(x.dataId);
    const { dataId, shape, dtype } = x;
    const saved = this.makeTensorFromTensorInfo({ dataId, shape, dtype });
    saved.id = x.id;
    return saved;
  };
}
