import { join } from "@std/path";
import type { LifecycleStage, Metric, Param, RunInfo, RunRecord, Tag } from "../../entities.ts";
import { MlflowError } from "../../errors.ts";
import { appendToUri } from "../../artifacts/uri.ts";
import {
  type ChangedParam,
  type CheckedBatch,
  type CheckedMetric,
  checkRunId,
  checkUnchanged,
  givenRunName,
  RUN_NAME_TAG,
  secondModelValue,
} from "../../validate.ts";
import { isInView, runQuery } from "../in_memory_search.ts";
import { randomRunName } from "../run_name.ts";
import type { NewRun, RunUpdate, StoreSearch } from "../store.ts";
import { type FileExperiments, moved } from "./experiments.ts";
import { checkKeys, isKey, locked, readText, removeKey, writeKey } from "./files.ts";
import type { Layout, Place } from "./layout.ts";
import { type Meta, readMeta, runMeta, runStatusNumber, stageOf, writeMeta } from "./meta.ts";
import { MetricFiles } from "./metric_files.ts";
import {
  compareBy,
  distinct,
  identityOf,
  type MetricLine,
  readLines,
  writeModelLine,
  writeRunLine,
} from "./metric_lines.ts";
import type { FileModels } from "./models.ts";
import { infoOf, mapSome, readInfo, readRun, readSome } from "./read.ts";

const USER_TAG = "mlflow.user";

/** Runs as folders. What writes does it before it returns, so that it can be called while the program ends. */
export class FileRuns {
  readonly #layout: Layout;
  readonly #experiments: FileExperiments;
  readonly #models: FileModels;
  readonly #metricFiles = new MetricFiles();

  constructor(layout: Layout, experiments: FileExperiments, models: FileModels) {
    this.#layout = layout;
    this.#experiments = experiments;
    this.#models = models;
  }

  async create(run: NewRun, tags: readonly Tag[]): Promise<RunRecord> {
    const { place: experiment, meta } = this.#experiments.active(run.experimentId);
    const tagName = tags.find(({ key }) => key === RUN_NAME_TAG)?.value;
    const runName = givenRunName(run.runName, tagName) ?? randomRunName();
    const runId = crypto.randomUUID().replaceAll("-", "");
    const folder = join(experiment.folder, runId);
    checkKeys(join(folder, "tags"), "tag", tags.map(({ key }) => key));
    // MLflow takes a folder for a run only if it has these three.
    for (const name of ["metrics", "params", "artifacts"]) Deno.mkdirSync(join(folder, name), { recursive: true });
    for (const { key, value } of tags) writeKey(folder, "tags", key, value);
    writeKey(folder, "tags", RUN_NAME_TAG, runName);
    writeMeta(
      folder,
      runMeta({
        runId,
        runName,
        experimentId: experiment.id,
        userId: run.userId ?? tags.find(({ key }) => key === USER_TAG)?.value ?? "unknown",
        status: "RUNNING",
        startTime: run.startTime ?? Date.now(),
        endTime: undefined,
        lifecycleStage: "active",
        artifactUri: appendToUri(String(meta.artifact_location ?? ""), runId, "artifacts"),
      }),
    );
    this.#layout.remember({ id: runId, experimentId: experiment.id, folder });
    return await this.get(runId);
  }

  async get(runId: string): Promise<RunRecord> {
    const read = await readInfo(this.#place(runId));
    if (read === undefined) throw notFound(runId);
    return await readRun(read);
  }

  update(runId: string, update: RunUpdate): RunInfo {
    const place = this.#place(runId);
    return locked(place.folder, () => {
      const meta: Meta = {
        ...this.#active(place),
        ...(update.status === undefined ? {} : { status: runStatusNumber(update.status) }),
        ...(update.endTime === undefined ? {} : { end_time: update.endTime }),
        ...(update.runName ? { run_name: update.runName } : {}),
      };
      if (update.runName) writeKey(place.folder, "tags", RUN_NAME_TAG, update.runName);
      writeMeta(place.folder, meta);
      return infoOf(place, meta);
    });
  }

  move(runId: string, to: LifecycleStage): void {
    const { folder } = this.#place(runId);
    locked(folder, () => {
      const meta = readMeta(folder);
      if (meta === undefined) throw notFound(runId);
      writeMeta(folder, moved(meta, to, Date.now()));
    });
  }

  /** All is checked before anything is written; only a full disk or a crash can leave a part of the batch. */
  logBatch(runId: string, { metrics, params, tags }: CheckedBatch): void {
    const place = this.#place(runId);
    const { folder } = place;
    locked(folder, () => {
      const meta = this.#active(place);
      checkKeys(join(folder, "params"), "param", params.map(({ key }) => key));
      const newParams = findNewParams(runId, folder, params);
      const modelMetrics = metrics.filter(({ modelId }) => modelId !== undefined);
      const models = new Map(modelMetrics.map(({ modelId }) => [modelId!, this.#models.place(modelId!)]));
      checkKeys(join(folder, "metrics"), "metric", metrics.map(({ key }) => key));
      checkKeys(join(folder, "tags"), "tag", tags.map(({ key }) => key));
      for (const [modelId, model] of models) {
        const own = modelMetrics.filter((metric) => metric.modelId === modelId);
        checkKeys(join(model.folder, "metrics"), "metric", own.map(({ key }) => key));
        for (const { dataset } of own) checkDatasetWords(dataset);
      }
      for (const [path, own] of Map.groupBy(modelMetrics, modelPath)) checkOneValue(path, own, runId);
      for (const { key, value } of newParams) writeKey(folder, "params", key, value);
      for (const [key, own] of Map.groupBy(metrics, ({ key }) => key)) {
        this.#metricFiles.append(join(folder, "metrics", key), "run", own.map((metric) => toLine(metric)));
      }
      for (const [path, own] of Map.groupBy(modelMetrics, modelPath)) {
        this.#metricFiles.append(path, "model", own.map((metric) => toLine(metric, runId)));
      }
      for (const { key, value } of tags) writeKey(folder, "tags", key, value);
      const name = tags.findLast(({ key }) => key === RUN_NAME_TAG)?.value;
      if (name !== undefined) writeMeta(folder, { ...meta, run_name: name });

      function modelPath({ modelId, key }: CheckedMetric): string {
        return join(models.get(modelId!)!.folder, "metrics", key);
      }
    });
  }

  deleteTag(runId: string, key: string): void {
    const place = this.#place(runId);
    this.#active(place);
    if (!isKey(key) || !removeKey(place.folder, "tags", key)) {
      throw new MlflowError("RESOURCE_DOES_NOT_EXIST", `No tag with name: ${key} in run with id ${runId}`);
    }
  }

  /** All values of a metric, equal ones once, by their times. */
  history(runId: string, key: string): Metric[] {
    return this.#values(runId, key).sort((a, b) => compareBy(a, b, "timestamp", "step"));
  }

  /** A metric's values between two steps, thinned out as MLflow does: the first of each of `count` equal parts, and the last. */
  sample(runId: string, key: string, count: number, startStep: number, endStep: number): Metric[] {
    const values = this.#values(runId, key)
      .filter(({ step }) => step >= startStep && step <= endStep)
      .sort((a, b) => compareBy(a, b, "step", "timestamp"));
    if (values.length <= count) return values;
    const size = Math.floor(values.length / count);
    const larger = values.length % count;
    const sampled = Array.from({ length: count }, (_, part) => values[part * size + Math.min(part, larger)]);
    return [...sampled.slice(0, -1), values.at(-1)!];
  }

  /** Runs of the experiments from an offset on, one more than the page may hold. */
  async search(
    experimentIds: readonly string[],
    search: StoreSearch,
    offset: number,
    limit: number,
  ): Promise<RunRecord[]> {
    const query = runQuery(search);
    const places = this.#experiments.places(experimentIds).flatMap((place) => this.#layout.runs(place));
    const infos = (await readSome(places, readInfo)).filter(({ info }) =>
      isInView(info.lifecycleStage, search.viewType)
    );
    const page = <T>(found: readonly T[]) => found.slice(offset, offset + limit + 1);
    if (!query.needsOnlyInfo) return page(query.find(await mapSome(infos, readRun)));
    const byId = new Map(infos.map((read) => [read.info.runId, read]));
    const found = query.find(infos.map(({ info }) => ({ info, ...NOTHING_READ })));
    return await mapSome(page(found).map(({ info }) => byId.get(info.runId)!), readRun);
  }

  /** A run that has to be active, for what is written into its folder. */
  activePlace(runId: string): Place {
    const place = this.#place(runId);
    this.#active(place);
    return place;
  }

  #values(runId: string, key: string): Metric[] {
    const { folder } = this.#place(runId);
    const text = isKey(key) ? readText(join(folder, "metrics", key)) ?? "" : "";
    return distinct(readLines(text, "run", key)).map(({ value, timestamp, step }) => ({ key, value, timestamp, step }));
  }

  #place(runId: string): Place {
    checkRunId(runId);
    const place = this.#layout.run(runId);
    if (place === undefined) throw notFound(runId);
    return place;
  }

  #active(place: Place): Meta {
    const meta = readMeta(place.folder);
    if (meta === undefined) throw notFound(place.id);
    infoOf(place, meta);
    const stage = stageOf(meta);
    if (stage === "active") return meta;
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `The run ${place.id} must be in the 'active' state. Current state is ${stage}.`,
    );
  }
}

const NOTHING_READ: Omit<RunRecord, "info"> = {
  data: { metrics: {}, params: {}, tags: {} },
  inputs: { datasetInputs: [], modelInputs: [] },
  outputs: { modelOutputs: [] },
};

function toLine(metric: CheckedMetric, runId?: string): { readonly metric: MetricLine; readonly text: string } {
  const { value, timestamp, step, dataset } = metric;
  return {
    metric: { value, timestamp, step, runId, dataset },
    text: runId === undefined ? writeRunLine(metric) : writeModelLine(metric, runId, dataset),
  };
}

/** The params that are not there yet; those that are have to have their values. */
function findNewParams(runId: string, folder: string, params: readonly Param[]): Param[] {
  const changed: ChangedParam[] = [];
  const added = params.filter(({ key, value }) => {
    const old = readText(join(folder, "params", key));
    if (old !== undefined && old !== value) changed.push({ key, old, value });
    return old === undefined;
  });
  checkUnchanged(runId, changed, params.length);
  return added;
}

/** Refuses another value of a model's metric where the run has logged one of the same time and step. */
function checkOneValue(path: string, metrics: readonly CheckedMetric[], runId: string): void {
  const known = new Map(readLines(readText(path) ?? "", "model", path).map((line) => [identityOf(line), line]));
  for (const metric of metrics) {
    const line = { ...metric, runId };
    const other = known.get(identityOf(line));
    const isSame = other === undefined || (Object.is(other.value, line.value) &&
      other.dataset?.name === line.dataset?.name && other.dataset?.digest === line.dataset?.digest);
    if (!isSame) throw secondModelValue(metric.modelId!, metric);
    known.set(identityOf(line), line);
  }
}

/** Spaces part the words of a line: with one in a name, neither MLflow nor we could read the model any more. */
function checkDatasetWords(dataset: CheckedMetric["dataset"]): void {
  if (dataset === undefined || [dataset.name, dataset.digest].every((word) => /^\S+$/.test(word))) return;
  throw new MlflowError(
    "INVALID_PARAMETER_VALUE",
    `the file store cannot keep a model's metric of the dataset "${dataset.name}" (${dataset.digest}): neither may be ` +
      "empty or have spaces",
  );
}

function notFound(runId: string): MlflowError {
  return new MlflowError("RESOURCE_DOES_NOT_EXIST", `Run with id=${runId} not found`);
}
