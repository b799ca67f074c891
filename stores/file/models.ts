import { join } from "@std/path";
import type { LoggedModel, Param } from "../../entities.ts";
import { MlflowError } from "../../errors.ts";
import { appendToUri } from "../../artifacts/uri.ts";
import { pythonQuote } from "../../python_text.ts";
import { randomRunName } from "../run_name.ts";
import { LOGGED_MODEL_STATUSES, type NewLoggedModel } from "../store.ts";
import type { FileExperiments } from "./experiments.ts";
import { checkKeys, isKey, removeKey, writeKey } from "./files.ts";
import type { Layout, Place } from "./layout.ts";
import { type Meta, modelMeta, readMeta, writeMeta } from "./meta.ts";
import { readAnyModel, readModel, readSome } from "./read.ts";

/** Logged models as folders. What writes does it before it returns. */
export class FileModels {
  readonly #layout: Layout;
  readonly #experiments: FileExperiments;

  constructor(layout: Layout, experiments: FileExperiments) {
    this.#layout = layout;
    this.#experiments = experiments;
  }

  create(model: NewLoggedModel): string {
    const { place: experiment, meta } = this.#experiments.active(model.experimentId);
    const modelId = `m-${crypto.randomUUID().replaceAll("-", "")}`;
    const folder = join(experiment.folder, "models", modelId);
    const params = Object.entries(model.params ?? {});
    const tags = Object.entries(model.tags ?? {});
    checkKeys(join(folder, "params"), "param", params.map(([key]) => key));
    checkKeys(join(folder, "tags"), "tag", tags.map(([key]) => key));
    for (const name of ["metrics", "params"]) Deno.mkdirSync(join(folder, name), { recursive: true });
    for (const [key, value] of params) writeKey(folder, "params", key, value);
    for (const [key, value] of tags) writeKey(folder, "tags", key, value);
    const now = Date.now();
    writeMeta(
      folder,
      modelMeta({
        modelId,
        experimentId: experiment.id,
        name: model.name ?? randomRunName(),
        artifactLocation: appendToUri(String(meta.artifact_location ?? ""), "models", modelId, "artifacts"),
        creationTimestamp: now,
        lastUpdatedTimestamp: now,
        status: "PENDING",
        modelType: model.modelType,
        sourceRunId: model.sourceRunId,
      }),
    );
    this.#layout.remember({ id: modelId, experimentId: experiment.id, folder });
    return modelId;
  }

  async get(modelId: string): Promise<LoggedModel> {
    const model = await readModel(this.place(modelId));
    if (model === undefined) throw notFound(modelId);
    return model;
  }

  async finalize(modelId: string, status: "READY" | "FAILED"): Promise<LoggedModel> {
    this.#change(modelId, { status: LOGGED_MODEL_STATUSES.indexOf(status) });
    const model = await readAnyModel(this.place(modelId));
    if (model === undefined) throw notFound(modelId);
    return model;
  }

  delete(modelId: string): void {
    this.#change(modelId, { lifecycle_stage: "deleted" });
  }

  logParams(modelId: string, params: readonly Param[]): void {
    this.#put(modelId, "param", params.map(({ key, value }) => [key, value]));
  }

  setTags(modelId: string, tags: Readonly<Record<string, string>>): void {
    this.#put(modelId, "tag", Object.entries(tags));
  }

  deleteTag(modelId: string, key: string): void {
    const { folder } = this.place(modelId);
    if (!isKey(key) || !removeKey(folder, "tags", key)) {
      throw new MlflowError(
        "RESOURCE_DOES_NOT_EXIST",
        `No tag with key ${pythonQuote(key)} found for model with ID ${pythonQuote(modelId)}.`,
      );
    }
  }

  /** The models of the experiments, deleted ones left out. */
  async all(experimentIds: readonly string[]): Promise<LoggedModel[]> {
    const places = this.#experiments.places(experimentIds).flatMap((place) => this.#layout.models(place));
    return await readSome(places, readModel);
  }

  /** The folder of a model, deleted ones too: MLflow lets those be changed. */
  place(modelId: string): Place {
    const place = this.#layout.model(modelId);
    if (place === undefined) throw notFound(modelId);
    return place;
  }

  #put(modelId: string, what: "param" | "tag", entries: readonly (readonly [string, string])[]): void {
    const { folder } = this.place(modelId);
    checkKeys(join(folder, `${what}s`), what, entries.map(([key]) => key));
    for (const [key, value] of entries) writeKey(folder, `${what}s`, key, value);
  }

  #change(modelId: string, change: Meta): void {
    const { folder } = this.place(modelId);
    const meta = readMeta(folder);
    if (meta === undefined) throw notFound(modelId);
    writeMeta(folder, { ...meta, ...change, last_updated_timestamp: Date.now() });
  }
}

function notFound(modelId: string): MlflowError {
  return new MlflowError("RESOURCE_DOES_NOT_EXIST", `Logged model with ID '${modelId}' not found.`);
}
