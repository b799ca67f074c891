import { MlflowError } from "../errors.ts";
import type { TensorValues } from "../signature.ts";
import type { Inputs } from "./inputs.ts";

/** How predictions are put together. */
export interface BatchOptions {
  /** Most examples that are predicted at once, unless a single request has more. */
  readonly maxBatch: number;
  /** Most requests that may wait. */
  readonly maxWaiting: number;
}

interface Waiting {
  readonly inputs: Inputs;
  readonly resolve: (outputs: readonly TensorValues[]) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Predicts for many requests: those that wait while the model computes are predicted together, as one batch, if they
 * are of the same shape.
 */
export class Batches {
  readonly #predict: (inputs: readonly TensorValues[]) => Promise<readonly TensorValues[]>;
  readonly #options: BatchOptions;
  #waiting: Waiting[] = [];
  #running = false;

  /** @param predict gives the model's outputs, whose first dimension is the examples' as it is for the inputs */
  constructor(
    predict: (inputs: readonly TensorValues[]) => Promise<readonly TensorValues[]>,
    options: BatchOptions,
  ) {
    this.#predict = predict;
    this.#options = options;
  }

  /** The outputs for one request. */
  async predict(inputs: Inputs): Promise<readonly TensorValues[]> {
    if (this.#waiting.length >= this.#options.maxWaiting) {
      throw new MlflowError(
        "TEMPORARILY_UNAVAILABLE",
        `${this.#waiting.length} requests wait already: try again later`,
      );
    }
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ inputs, resolve, reject });
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      // Requests that have come while the model computed are read before the next batch is put together.
      await new Promise((resolve) => setImmediate(resolve));
      await this.#answer(this.#take());
    }
    this.#running = false;
  }

  /** Takes the first request that waits, and those behind it that fit to it. */
  #take(): Waiting[] {
    const shape = shapeOf(this.#waiting[0].inputs);
    let count = 0;
    const batch = this.#waiting.filter(({ inputs }) => {
      const fits = count === 0 || (count + inputs.count <= this.#options.maxBatch && shapeOf(inputs) === shape);
      if (fits) count += inputs.count;
      return fits;
    });
    const taken = new Set(batch);
    this.#waiting = this.#waiting.filter((one) => !taken.has(one));
    return batch;
  }

  async #answer(batch: readonly Waiting[]): Promise<void> {
    try {
      const outputs = await this.#predict(joined(batch.map(({ inputs }) => inputs)));
      let from = 0;
      for (const { inputs: { count }, resolve } of batch) {
        resolve(batch.length === 1 ? outputs : outputs.map((output) => part(output, from, from + count)));
        from += count;
      }
    } catch (error) {
      // What one request has brought up must not be the answer to the others.
      if (batch.length === 1) batch[0].reject(error);
      else for (const one of batch) await this.#answer([one]);
    }
  }
}

function shapeOf({ tensors }: Inputs): string {
  return tensors.map(({ shape }) => shape.slice(1).join()).join(";");
}

function joined(all: readonly Inputs[]): readonly TensorValues[] {
  if (all.length === 1) return all[0].tensors;
  const count = all.reduce((sum, inputs) => sum + inputs.count, 0);
  return all[0].tensors.map(({ dtype, shape }, i) => ({
    dtype,
    shape: [count, ...shape.slice(1)],
    values: concat(all.map(({ tensors }) => tensors[i].values)),
  }));
}

function concat(parts: readonly TensorValues["values"][]): TensorValues["values"] {
  const [first] = parts;
  if (Array.isArray(first)) return (parts as string[][]).flat();
  const whole = new (first.constructor as Float32ArrayConstructor)(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part as Float32Array, at);
    at += part.length;
  }
  return whole;
}

function part({ dtype, shape, values }: TensorValues, from: number, to: number): TensorValues {
  const size = shape.slice(1).reduce((product, one) => product * one, 1);
  return { dtype, shape: [to - from, ...shape.slice(1)], values: values.slice(from * size, to * size) };
}
