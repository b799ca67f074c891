import { join } from "@std/path";
import type { Experiment, LifecycleStage } from "../../entities.ts";
import { MlflowError } from "../../errors.ts";
import { appendToUri } from "../../artifacts/uri.ts";
import { checkKeys, isKey, locked, removeKey, statAt, writeKey } from "./files.ts";
import type { Layout, Place } from "./layout.ts";
import { experimentMeta, type Meta, readMeta, stageOf, writeMeta } from "./meta.ts";
import { readExperiment, readSome } from "./read.ts";

/** The experiment that every new folder has. */
const DEFAULT_ID = "0";

/** Experiments as folders. */
export class FileExperiments {
  readonly #layout: Layout;
  readonly #artifactRoot: string;

  constructor(layout: Layout, artifactRoot: string) {
    this.#layout = layout;
    this.#artifactRoot = artifactRoot;
  }

  /** Makes the default experiment where there is none. */
  makeDefault(): void {
    if (this.#layout.experiment(DEFAULT_ID) !== undefined) return;
    locked(this.#layout.root, () => {
      if (this.#layout.experiment(DEFAULT_ID) === undefined) {
        this.#write(DEFAULT_ID, "Default", appendToUri(this.#artifactRoot, DEFAULT_ID), []);
      }
    });
  }

  create(
    name: string,
    location: string | undefined,
    tags: readonly (readonly [string, string])[],
    artifactRoot: string = this.#artifactRoot,
  ): string {
    return locked(this.#layout.root, () => {
      this.#checkFree(name);
      const id = newExperimentId();
      this.#write(id, name, location || appendToUri(artifactRoot, id), tags);
      return id;
    });
  }

  async get(experimentId: string): Promise<Experiment> {
    const experiment = await readExperiment(this.#place(experimentId));
    if (experiment === undefined) throw notFound(experimentId);
    return experiment;
  }

  async getByName(name: string): Promise<Experiment | undefined> {
    return (await this.all()).find((experiment) => experiment.name === name);
  }

  /** All experiments, deleted ones too. */
  async all(): Promise<Experiment[]> {
    return await readSome(this.#layout.experiments(), readExperiment);
  }

  /** The folder of an experiment, which has to be active, and its description. */
  active(experimentId: string): { readonly place: Place; readonly meta: Meta } {
    const place = this.#place(experimentId);
    const meta = readMeta(place.folder);
    if (meta === undefined) throw notFound(experimentId);
    const stage = stageOf(meta);
    if (stage === "active") return { place, meta };
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `The experiment ${experimentId} must be in the 'active' state. Current state is ${stage}.`,
    );
  }

  rename(experimentId: string, name: string): void {
    locked(this.#layout.root, () => {
      const { folder } = this.#place(experimentId);
      const meta = readMeta(folder);
      if (meta === undefined) throw notFound(experimentId);
      if (stageOf(meta) !== "active") throw new MlflowError("INVALID_STATE", "Cannot rename a non-active experiment.");
      this.#checkFree(name, experimentId);
      writeMeta(folder, { ...meta, name, last_update_time: Date.now() });
    });
  }

  move(experimentId: string, to: LifecycleStage): void {
    locked(this.#layout.root, () => {
      const place = this.#place(experimentId);
      const meta = readMeta(place.folder);
      if (meta === undefined || stageOf(meta) === to) throw notFound(experimentId);
      const target = this.#layout.experimentFolder(experimentId, to);
      if (statAt(target) !== undefined) {
        throw new MlflowError("RESOURCE_ALREADY_EXISTS", `There is a folder ${JSON.stringify(target)} already.`);
      }
      const now = Date.now();
      for (const run of this.#layout.runs(place)) {
        const info = readMeta(run.folder);
        if (info !== undefined) writeMeta(run.folder, moved(info, to, now));
      }
      writeMeta(place.folder, { ...meta, lifecycle_stage: to, last_update_time: now });
      Deno.mkdirSync(join(target, ".."), { recursive: true });
      Deno.renameSync(place.folder, target);
    });
  }

  setTag(experimentId: string, key: string, value: string): void {
    const { place } = this.active(experimentId);
    checkKeys(join(place.folder, "tags"), "tag", [key]);
    writeKey(place.folder, "tags", key, value);
  }

  deleteTag(experimentId: string, key: string): void {
    const { place } = this.active(experimentId);
    if (!isKey(key) || !removeKey(place.folder, "tags", key)) {
      throw new MlflowError(
        "RESOURCE_DOES_NOT_EXIST",
        `No tag with name: ${key} in experiment with id ${experimentId}`,
      );
    }
  }

  /** The experiments of these ids that are there. */
  places(experimentIds: readonly string[]): Place[] {
    return [...new Set(experimentIds)].map(checkId).flatMap((id) => this.#layout.experiment(id) ?? []);
  }

  #place(experimentId: string): Place {
    const place = this.#layout.experiment(checkId(experimentId));
    if (place === undefined) throw notFound(experimentId);
    return place;
  }

  #write(id: string, name: string, location: string, tags: readonly (readonly [string, string])[]): void {
    const folder = this.#layout.experimentFolder(id, "active");
    checkKeys(join(folder, "tags"), "tag", tags.map(([key]) => key));
    Deno.mkdirSync(folder, { recursive: true });
    for (const [key, value] of tags) writeKey(folder, "tags", key, value);
    const now = this.#newTime();
    writeMeta(
      folder,
      experimentMeta({
        experimentId: id,
        name,
        artifactLocation: location,
        lifecycleStage: "active",
        creationTime: now,
        lastUpdateTime: now,
      }),
    );
  }

  /** Now, or the next millisecond that no other experiment was made in: random ids cannot say which is the later one. */
  #newTime(): number {
    const taken = new Set(this.#layout.experiments().map(({ folder }) => readMeta(folder)?.creation_time));
    let time = Date.now();
    while (taken.has(time)) time++;
    return time;
  }

  #checkFree(name: string, ownId?: string): void {
    for (const { id, folder } of this.#layout.experiments()) {
      if (id !== ownId && readMeta(folder)?.name === name) {
        throw new MlflowError("RESOURCE_ALREADY_EXISTS", `Experiment(name=${name}) already exists.`);
      }
    }
  }
}

/** The description of a run that goes to the trash or comes back. */
export function moved(meta: Meta, to: LifecycleStage, now: number): Meta {
  return { ...meta, lifecycle_stage: to, deleted_time: to === "deleted" ? now : null };
}

/** Checks the shape of an experiment's id: those of folders are too long for numbers. */
function checkId(experimentId: string): string {
  if (/^\d+$/.test(experimentId)) return experimentId;
  throw new MlflowError(
    "INVALID_PARAMETER_VALUE",
    `Invalid experiment ID '${experimentId}'. Experiment ID must be a valid integer.`,
  );
}

/** 18 random digits, as MLflow's folders have them. */
function newExperimentId(): string {
  const digits = crypto.getRandomValues(new Uint32Array(18));
  return [...digits].map((digit, i) => i === 0 ? 1 + digit % 9 : digit % 10).join("");
}

function notFound(experimentId: string): MlflowError {
  return new MlflowError("RESOURCE_DOES_NOT_EXIST", `No Experiment with id=${experimentId} exists`);
}
