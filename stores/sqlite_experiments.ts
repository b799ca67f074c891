import type { Experiment, Page } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import { appendToUri } from "../artifacts/uri.ts";
import { parseExperimentId } from "../validate.ts";
import { pageOf, pageOffset, resultLimit } from "./page.ts";
import type { Row, SqliteDatabase } from "./sqlite_database.ts";
import { experimentQuery } from "./sqlite_query.ts";
import { toRecord } from "./sqlite_rows.ts";
import type { StoreSearch } from "./store.ts";

const COLUMNS = "CAST(experiment_id AS TEXT) AS experiment_id, name, artifact_location, lifecycle_stage, " +
  "CAST(creation_time AS REAL) AS creation_time, CAST(last_update_time AS REAL) AS last_update_time";

/** Experiments and their tags in MLflow's tables. What writes is called inside a transaction. */
export class SqliteExperiments {
  readonly #db: SqliteDatabase;
  readonly #artifactRoot: string;

  constructor(db: SqliteDatabase, artifactRoot: string) {
    this.#db = db;
    this.#artifactRoot = artifactRoot;
  }

  /** Writes the experiment that every new database has. */
  insertDefault(): void {
    const now = Date.now();
    this.#db.run(
      "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, " +
        "last_update_time) VALUES (0, 'Default', ?, 'active', ?, ?)",
      appendToUri(this.#artifactRoot, "0"),
      now,
      now,
    );
  }

  insert(
    name: string,
    location: string | undefined,
    tags: readonly (readonly [string, string])[],
    artifactRoot: string = this.#artifactRoot,
  ): string {
    this.#checkFree(name);
    const now = Date.now();
    const id = BigInt(String(
      this.#db.get(
        "INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time) " +
          "VALUES (?, ?, 'active', ?, ?) RETURNING CAST(experiment_id AS TEXT) AS experiment_id",
        name,
        location || null,
        now,
        now,
      )!.experiment_id,
    ));
    if (!location) {
      this.#db.run(
        "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?",
        appendToUri(artifactRoot, String(id)),
        id,
      );
    }
    for (const [key, value] of tags) this.#putTag(id, key, value);
    return String(id);
  }

  get(experimentId: string): Experiment {
    return this.#toExperiments([this.#row(experimentId)])[0];
  }

  /** What a run or a model needs of its experiment, which has to be active. */
  getActive(experimentId: string): Pick<Experiment, "experimentId" | "artifactLocation"> {
    const { experiment_id: id, artifact_location: location, lifecycle_stage: stage } = this.#row(experimentId);
    if (stage !== "active") {
      throw new MlflowError(
        "INVALID_PARAMETER_VALUE",
        `The experiment ${id} must be in the 'active' state. Current state is ${stage}.`,
      );
    }
    return { experimentId: String(id), artifactLocation: String(location ?? "") };
  }

  getByName(name: string): Experiment | undefined {
    const id = this.#findByName(name);
    return id === undefined ? undefined : this.get(String(id));
  }

  rename(experimentId: string, name: string): void {
    const experiment = this.get(experimentId);
    if (experiment.lifecycleStage !== "active") {
      throw new MlflowError("INVALID_STATE", "Cannot rename a non-active experiment.");
    }
    this.#checkFree(name, experiment.experimentId);
    this.#db.run(
      "UPDATE experiments SET name = ?, last_update_time = ? WHERE experiment_id = ?",
      name,
      Date.now(),
      BigInt(experimentId),
    );
  }

  move(experimentId: string, from: "active" | "deleted", to: "active" | "deleted"): void {
    const experiment = this.get(experimentId);
    if (experiment.lifecycleStage !== from) throw notFound(experimentId);
    const now = Date.now();
    const id = BigInt(experiment.experimentId);
    this.#db.run(
      "UPDATE experiments SET lifecycle_stage = ?, last_update_time = ? WHERE experiment_id = ?",
      to,
      now,
      id,
    );
    this.#db.run(
      "UPDATE runs SET lifecycle_stage = ?, deleted_time = ? WHERE experiment_id = ?",
      to,
      to === "deleted" ? now : null,
      id,
    );
  }

  setTag(experimentId: string, key: string, value: string): void {
    this.#putTag(BigInt(this.getActive(experimentId).experimentId), key, value);
  }

  deleteTag(experimentId: string, key: string): void {
    const id = BigInt(this.getActive(experimentId).experimentId);
    if (this.#db.run("DELETE FROM experiment_tags WHERE experiment_id = ? AND key = ?", id, key) === 0) {
      throw new MlflowError(
        "RESOURCE_DOES_NOT_EXIST",
        `No tag with name: ${key} in experiment with id ${experimentId}`,
      );
    }
  }

  search(search: StoreSearch): Page<Experiment> {
    const limit = resultLimit(search.maxResults, 1000);
    const offset = pageOffset(search.pageToken);
    const { sql, values } = experimentQuery(search);
    const rows = this.#db.all(
      `SELECT ${COLUMNS} FROM experiments e ${sql} LIMIT ? OFFSET ?`,
      ...values,
      limit + 1,
      offset,
    );
    return pageOf(this.#toExperiments(rows), limit, offset);
  }

  #row(experimentId: string): Row {
    const id = parseExperimentId(experimentId);
    const row = this.#db.get(`SELECT ${COLUMNS} FROM experiments WHERE experiment_id = ?`, id);
    if (row === undefined) throw notFound(experimentId);
    return row;
  }

  #checkFree(name: string, ownId?: string): void {
    const other = this.#findByName(name);
    if (other !== undefined && String(other) !== ownId) {
      throw new MlflowError("RESOURCE_ALREADY_EXISTS", `Experiment(name=${name}) already exists.`);
    }
  }

  #findByName(name: string): bigint | undefined {
    // MLflow 3.10 brought workspaces; a single user's experiments are all in the one named "default". A running MLflow
    // may add the column at any time, so it is looked for each time.
    const column = this.#db.get("SELECT 1 FROM pragma_table_info('experiments') WHERE name = 'workspace'");
    const workspace = column === undefined ? "" : " AND workspace = 'default'";
    const row = this.#db.get(
      `SELECT CAST(experiment_id AS TEXT) AS experiment_id FROM experiments WHERE name = ?${workspace}`,
      name,
    );
    return row === undefined ? undefined : BigInt(String(row.experiment_id));
  }

  #toExperiments(rows: readonly Row[]): Experiment[] {
    const tags = Map.groupBy(
      this.#db.all(
        "SELECT CAST(experiment_id AS TEXT) AS experiment_id, key, value FROM experiment_tags WHERE experiment_id IN " +
          "(SELECT CAST(value AS INTEGER) FROM json_each(?))",
        JSON.stringify(rows.map((row) => String(row.experiment_id))),
      ),
      (row) => row.experiment_id,
    );
    return rows.map((row) => ({
      experimentId: String(row.experiment_id),
      name: String(row.name),
      artifactLocation: String(row.artifact_location ?? ""),
      lifecycleStage: row.lifecycle_stage === "deleted" ? "deleted" : "active",
      creationTime: Number(row.creation_time),
      lastUpdateTime: Number(row.last_update_time),
      tags: toRecord(tags.get(row.experiment_id) ?? []),
    }));
  }

  #putTag(experimentId: bigint, key: string, value: string): void {
    this.#db.run(
      "INSERT INTO experiment_tags (experiment_id, key, value) VALUES (?, ?, ?) " +
        "ON CONFLICT (key, experiment_id) DO UPDATE SET value = excluded.value",
      experimentId,
      key,
      value,
    );
  }
}

function notFound(experimentId: string): MlflowError {
  return new MlflowError("RESOURCE_DOES_NOT_EXIST", `No Experiment with id=${experimentId} exists`);
}
