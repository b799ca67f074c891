import { join } from "@std/path";
import type {
  DatasetInput,
  Experiment,
  LoggedModel,
  LoggedModelInput,
  LoggedModelMetric,
  LoggedModelOutput,
  RunInfo,
  RunRecord,
} from "../../entities.ts";
import { MlflowError } from "../../errors.ts";
import { listFolder, readKeys, readText, statAt } from "./files.ts";
import { META } from "./layout.ts";
import { type Meta, readMetaAsync, toDataset, toExperiment, toLoggedModel, toRunInfo } from "./meta.ts";
import { distinct, latestOf, readLines } from "./metric_lines.ts";
import type { Place } from "./layout.ts";

/** How many folders are read at a time: on a network each of them waits for answers. */
const AT_A_TIME = 32;

/** A run of which only its own file was read. */
export interface ReadInfo {
  readonly place: Place;
  readonly info: RunInfo;
}

/** Does work on items, some of them at a time, and gives the results in the order of the items. */
export async function mapSome<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i]);
  };
  await Promise.all(Array.from({ length: Math.min(AT_A_TIME, items.length) }, worker));
  return results;
}

/** What can be read of several folders: those without a description, or a broken one, are left out with a warning. */
export async function readSome<T, P extends { readonly folder: string }>(
  places: readonly P[],
  read: (place: P) => Promise<T | undefined>,
): Promise<T[]> {
  const found = await mapSome(places, async (place) => {
    try {
      return await read(place);
    } catch (error) {
      if (!(error instanceof MlflowError)) throw error;
      console.warn(`Cannot read ${JSON.stringify(place.folder)}: ${error.reason}; it is left out`);
    }
  });
  return found.filter((item) => item !== undefined);
}

/** An experiment, or undefined where the folder is none. */
export async function readExperiment({ id, folder }: Place): Promise<Experiment | undefined> {
  const meta = await readMetaAsync(folder);
  return meta && toExperiment(id, meta, Object.fromEntries(await readKeys(join(folder, "tags"))));
}

/** What a run's own file says, or undefined where the folder is no run. */
export async function readInfo(place: Place): Promise<ReadInfo | undefined> {
  const meta = await readMetaAsync(place.folder);
  return meta && { place, info: infoOf(place, meta) };
}

/** The info of a run of which the file has been read. */
export function infoOf({ id, experimentId, folder }: Place, meta: Meta): RunInfo {
  // A folder that was copied somewhere else is no run there; MLflow takes it for none either.
  if (String(meta.run_id ?? meta.run_uuid) !== id || String(meta.experiment_id) !== experimentId) {
    throw new MlflowError("INVALID_STATE", `Run '${id}' metadata is in invalid state.`);
  }
  const info = toRunInfo(experimentId, id, meta);
  // Old runs have their name in the tag alone.
  return info.runName === "" ? { ...info, runName: readText(join(folder, "tags", "mlflow.runName")) ?? "" } : info;
}

/** All of a run. */
export async function readRun({ place, info }: ReadInfo): Promise<RunRecord> {
  const { folder } = place;
  // To ask for folders that are not there costs more than to look which are.
  const has = new Set(listFolder(folder).map(({ name }) => name));
  const [metrics, params, tags, inputs, modelOutputs] = await Promise.all([
    readKeys(join(folder, "metrics")),
    readKeys(join(folder, "params")),
    has.has("tags") ? readKeys(join(folder, "tags")) : [],
    has.has("inputs") ? readInputs(place) : { datasetInputs: [], modelInputs: [] },
    has.has("outputs") ? readOutputs(place) : [],
  ]);
  return {
    info,
    data: {
      metrics: Object.fromEntries(metrics.flatMap(([key, text]) => {
        const latest = latestOf(readLines(text, "run", key));
        return latest === undefined ? [] : [[key, latest.value]];
      })),
      params: Object.fromEntries(params),
      tags: Object.fromEntries(tags),
    },
    inputs,
    outputs: { modelOutputs },
  };
}

/** A logged model, or undefined where the folder is none or the model is deleted. */
export async function readModel(place: Place): Promise<LoggedModel | undefined> {
  const meta = await readMetaAsync(place.folder);
  return meta === undefined || meta.lifecycle_stage === "deleted" ? undefined : await describedModel(place, meta);
}

/** A logged model, deleted ones too, or undefined where the folder is none. */
export async function readAnyModel(place: Place): Promise<LoggedModel | undefined> {
  const meta = await readMetaAsync(place.folder);
  return meta === undefined ? undefined : await describedModel(place, meta);
}

async function describedModel({ id, experimentId, folder }: Place, meta: Meta): Promise<LoggedModel> {
  if (String(meta.model_id) !== id || String(meta.experiment_id) !== experimentId) {
    throw new MlflowError("INVALID_STATE", `Model '${id}' metadata is in invalid state.`);
  }
  const [metrics, params, tags] = await Promise.all([
    readKeys(join(folder, "metrics")),
    readKeys(join(folder, "params")),
    readKeys(join(folder, "tags")),
  ]);
  return toLoggedModel(experimentId, id, meta, {
    params: Object.fromEntries(params),
    tags: Object.fromEntries(tags),
    metrics: metrics.flatMap(([key, text]) =>
      distinct(readLines(text, "model", key)).map((line): LoggedModelMetric => ({
        key,
        value: line.value,
        timestamp: line.timestamp,
        step: line.step,
        runId: line.runId!,
        dataset: line.dataset,
      }))
    ),
  });
}

/** What a run has used. */
export async function readInputs({ folder, experimentId, id }: Place): Promise<RunRecord["inputs"]> {
  const datasetInputs: DatasetInput[] = [];
  const modelInputs: LoggedModelInput[] = [];
  for (const meta of await readEdges(join(folder, "inputs"))) {
    const source = String(meta.source_id);
    if (meta.source_type === "MODEL") modelInputs.push({ modelId: source });
    if (meta.source_type !== "DATASET" || !/^[\w-]+$/.test(source)) continue;
    const dataset = await readMetaAsync(join(folder, "..", "datasets", source));
    if (dataset === undefined) {
      console.warn(`Run ${id} of experiment ${experimentId} has used a dataset that is not there any more: ${source}`);
      continue;
    }
    const tags = Object.entries(meta.tags ?? {}).map(([key, value]) => [key, String(value)]);
    datasetInputs.push({ dataset: toDataset(dataset), tags: Object.fromEntries(tags) });
  }
  return { datasetInputs, modelInputs };
}

async function readOutputs({ folder }: Place): Promise<LoggedModelOutput[]> {
  const metas = await readEdges(join(folder, "outputs"));
  return metas.map((meta) => ({ modelId: String(meta.destination_id), step: Number(meta.step ?? 0) }));
}

/** The descriptions of inputs or outputs, in the order in which they were logged. */
async function readEdges(folder: string): Promise<Meta[]> {
  const edges = await Promise.all(
    listFolder(folder).map(async ({ name }) => {
      const meta = await readMetaAsync(join(folder, name));
      return { meta, time: statAt(join(folder, name, META))?.mtime?.getTime() ?? 0 };
    }),
  );
  return edges.sort((a, b) => a.time - b.time).map(({ meta }) => meta).filter((meta) => meta !== undefined);
}
