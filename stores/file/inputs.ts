import { createHash } from "node:crypto";
import { join } from "@std/path";
import type { DatasetInput, DatasetSummary, LoggedModelInput, LoggedModelOutput } from "../../entities.ts";
import type { FileExperiments } from "./experiments.ts";
import { statAt } from "./files.ts";
import type { Layout, Place } from "./layout.ts";
import { META } from "./layout.ts";
import { datasetMeta, type Meta, writeMeta } from "./meta.ts";
import { readInputs, readSome } from "./read.ts";

/** The most summaries that MLflow gives. */
const MAX_SUMMARIES = 1000;

/** What runs have used and put out, as folders. */
export class FileInputs {
  readonly #layout: Layout;
  readonly #experiments: FileExperiments;

  constructor(layout: Layout, experiments: FileExperiments) {
    this.#layout = layout;
    this.#experiments = experiments;
  }

  /** Records the use of datasets; each is written once in its experiment, and each use of it once. */
  putDatasets({ id, folder }: Place, inputs: readonly DatasetInput[]): void {
    for (const { dataset, tags } of inputs) {
      const datasetId = md5(dataset.name + dataset.digest);
      putOnce(join(folder, "..", "datasets", datasetId), datasetMeta(dataset));
      putOnce(join(folder, "inputs", md5(datasetId + id)), {
        destination_id: datasetId,
        destination_type: "RUN",
        source_id: datasetId,
        source_type: "DATASET",
        tags,
      });
    }
  }

  /** Records the use of models. */
  putModelInputs({ id, folder }: Place, models: readonly LoggedModelInput[]): void {
    for (const { modelId } of models) {
      putOnce(join(folder, "inputs", md5(modelId + id)), {
        destination_id: modelId,
        destination_type: "RUN",
        source_id: modelId,
        source_type: "MODEL",
        tags: {},
      });
    }
  }

  /** Records the models that a run has put out; one of which that is known is left as it is. */
  putModelOutputs({ folder }: Place, models: readonly LoggedModelOutput[]): void {
    for (const { modelId, step } of models) {
      putOnce(join(folder, "outputs", modelId), {
        // MLflow writes the model for both ends.
        destination_id: modelId,
        destination_type: "MODEL_OUTPUT",
        source_id: modelId,
        source_type: "RUN_OUTPUT",
        step,
        tags: {},
      });
    }
  }

  /** The datasets that runs of the experiments have used, and what for. */
  async summaries(experimentIds: readonly string[]): Promise<DatasetSummary[]> {
    const places = this.#experiments.places(experimentIds).flatMap((place) => this.#layout.runs(place));
    const found = await readSome(places, async (place) => {
      const { datasetInputs } = await readInputs(place);
      return datasetInputs.map(({ dataset: { name, digest }, tags }): DatasetSummary => ({
        experimentId: place.experimentId,
        name,
        digest,
        context: tags["mlflow.data.context"],
      }));
    });
    const distinct = new Map(found.flat().map((summary) => [orderOf(summary), summary]));
    return [...distinct].sort(([a], [b]) => a < b ? -1 : 1).slice(0, MAX_SUMMARIES).map(([, summary]) => summary);
  }
}

function orderOf({ experimentId, name, digest, context = "" }: DatasetSummary): string {
  return [experimentId, name, digest, context].join("\0");
}

/** Describes a new folder; one that is described already is left as it is. */
function putOnce(folder: string, meta: Meta): void {
  if (statAt(join(folder, META)) !== undefined) return;
  Deno.mkdirSync(folder, { recursive: true });
  writeMeta(folder, meta);
}

function md5(text: string): string {
  return createHash("md5").update(text).digest("hex");
}
