import type { LogMetricOptions, MlflowClient } from "../client.ts";
import type { Dataset, DatasetInput, LoggedModelInput, LoggedModelOutput, RunRecord } from "../entities.ts";

/** What a run has used and put out. */
interface Inputs {
  readonly datasets: readonly DatasetInput[];
  readonly models: readonly LoggedModelInput[];
}

/** The datasets and models that a run is known to be linked to, so that a metric links what is new and nothing else. */
export class RunLinks {
  readonly #client: MlflowClient;
  readonly #runId: string;
  readonly #datasets = new Set<string>();
  readonly #models = new Set<string>();
  /** The first model that was put out at each step. */
  readonly #outputs = new Map<number, string>();

  /** Knows what the run was linked to when it was started or resumed. */
  constructor(client: MlflowClient, { info, inputs, outputs }: RunRecord) {
    this.#client = client;
    this.#runId = info.runId;
    for (const { dataset } of inputs.datasetInputs) this.#datasets.add(identity(dataset));
    for (const { modelId } of inputs.modelInputs) this.#models.add(modelId);
    this.addOutputs(outputs.modelOutputs);
  }

  /** The run has put out models. */
  addOutputs(outputs: readonly LoggedModelOutput[]): void {
    for (const { modelId, step } of outputs) {
      this.#models.add(modelId);
      if (!this.#outputs.has(step)) this.#outputs.set(step, modelId);
    }
  }

  /** The model that the run has put out at a step. */
  modelOf(step: number): string | undefined {
    return this.#outputs.get(step);
  }

  /** What a metric was measured with and the run is not linked to yet; undefined if nothing is. */
  missing({ dataset, modelId }: LogMetricOptions): Inputs | undefined {
    // Of a dataset by its name and digest alone, nothing more is known that could be logged.
    const isNew = dataset !== undefined && "source" in dataset && !this.#datasets.has(identity(dataset));
    const models = modelId === undefined || this.#models.has(modelId) ? [] : [{ modelId }];
    if (!isNew && models.length === 0) return undefined;
    return { datasets: isNew ? [{ dataset: dataset as Dataset, tags: {} }] : [], models };
  }

  /** Logs what the run uses. */
  async logInputs(inputs: Inputs): Promise<void> {
    await this.#client.logInputs(this.#runId, inputs);
    for (const { dataset } of inputs.datasets) this.#datasets.add(identity(dataset));
    for (const { modelId } of inputs.models) this.#models.add(modelId);
  }
}

function identity({ name, digest }: { readonly name: string; readonly digest: string }): string {
  return JSON.stringify([name, digest]);
}
