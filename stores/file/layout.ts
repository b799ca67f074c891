import { join } from "@std/path";

import { listFolder, statAt } from "./files.ts";

/** The file that describes an experiment, run, model, dataset, input or output in its folder. */
export const META = "meta.yaml";

/** The folder of deleted experiments. */
const TRASH = ".trash";

/** Folders of an experiment that are no runs. */
const RESERVED: ReadonlySet<string> = new Set(["tags", "datasets", "traces", "models"]);

/** Where an experiment, run or model is. */
export interface Place {
  /** Its own id. */
  readonly id: string;
  /** The experiment that it is in, or is. */
  readonly experimentId: string;
  /** Its folder. */
  readonly folder: string;
}

/** Finds experiments, runs and models in a folder laid out as MLflow's. */
export class Layout {
  /** The folder, as an absolute path. */
  readonly root: string;
  /** Where runs and models were last seen, by their ids. */
  readonly #seen = new Map<string, Place>();

  constructor(root: string) {
    this.root = root;
  }

  /** The folder of an experiment that is, or would be, active or deleted. */
  experimentFolder(experimentId: string, stage: "active" | "deleted"): string {
    return stage === "active" ? join(this.root, experimentId) : join(this.root, TRASH, experimentId);
  }

  /** All experiments. Other folders, such as those of another store's artifacts, have no meta.yaml. */
  experiments(): Place[] {
    return [this.root, join(this.root, TRASH)].flatMap((parent) =>
      listFolder(parent)
        .filter(({ name, isFile }) => !isFile && /^\d+$/.test(name) && has(join(parent, name)))
        .map(({ name }) => ({ id: name, experimentId: name, folder: join(parent, name) }))
    );
  }

  /** An experiment; undefined where there is none. */
  experiment(experimentId: string): Place | undefined {
    for (const stage of ["active", "deleted"] as const) {
      const folder = this.experimentFolder(experimentId, stage);
      if (has(folder)) return { id: experimentId, experimentId, folder };
    }
  }

  /** A run; undefined where there is none. */
  run(runId: string): Place | undefined {
    return this.#find(runId, "");
  }

  /** A logged model; undefined where there is none. */
  model(modelId: string): Place | undefined {
    return this.#find(modelId, "models");
  }

  /** The folders of an experiment that may be runs. */
  runs({ experimentId, folder }: Place): Place[] {
    return listFolder(folder)
      .filter(({ name, isFile }) => !isFile && /^[a-zA-Z0-9][\w-]*$/.test(name) && !RESERVED.has(name))
      .map(({ name }) => ({ id: name, experimentId, folder: join(folder, name) }));
  }

  /** The folders of an experiment that may be logged models. */
  models({ experimentId, folder }: Place): Place[] {
    return listFolder(join(folder, "models"))
      .filter(({ name, isFile }) => !isFile && /^[a-zA-Z0-9][\w-]*$/.test(name))
      .map(({ name }) => ({ id: name, experimentId, folder: join(folder, "models", name) }));
  }

  /** Takes note of a run or model that was made here, so that it need not be looked for. */
  remember(place: Place): Place {
    this.#seen.set(place.id, place);
    return place;
  }

  /** Whether the folder of a run or model says what it is. */
  isDescribed({ folder }: Place): boolean {
    return has(folder);
  }

  #find(id: string, below: string): Place | undefined {
    if (!/^[a-zA-Z0-9][\w-]*$/.test(id) || (below === "" && RESERVED.has(id))) return undefined;
    const seen = this.#seen.get(id);
    if (seen !== undefined && has(seen.folder)) return seen;
    for (const { experimentId, folder: experiment } of this.experiments()) {
      const folder = join(experiment, below, id);
      if (!has(folder)) continue;
      return this.remember({ id, experimentId, folder });
    }
  }
}

function has(folder: string): boolean {
  return statAt(join(folder, META)) !== undefined;
}
