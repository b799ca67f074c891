import type { DatasetInput, DatasetSummary, LoggedModelInput, LoggedModelOutput, RunInputs } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import type { Row, SqliteDatabase } from "./sqlite_database.ts";
import { newId, toRecord } from "./sqlite_rows.ts";

/** The most summaries that MLflow gives. */
const MAX_SUMMARIES = 1000;

/** What runs have used and put out, in MLflow's tables. What writes is called inside a transaction. */
export class SqliteInputs {
  readonly #db: SqliteDatabase;

  constructor(db: SqliteDatabase) {
    this.#db = db;
  }

  /** Records the use of datasets; each is written once in its experiment, and each use of it once. */
  putDatasets(runId: string, inputs: readonly DatasetInput[]): void {
    for (const { dataset, tags } of inputs) {
      const datasetId = newId();
      this.#db.run(
        "INSERT INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source, " +
          "dataset_schema, dataset_profile) SELECT ?, experiment_id, ?, ?, ?, ?, ?, ? FROM runs WHERE run_uuid = ? " +
          "ON CONFLICT (experiment_id, name, digest) DO NOTHING",
        datasetId,
        dataset.name,
        dataset.digest,
        dataset.sourceType,
        dataset.source,
        dataset.schema ?? null,
        dataset.profile ?? null,
        runId,
      );
      const inputId = newId();
      const added = this.#db.run(
        "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step) " +
          "SELECT ?, 'DATASET', dataset_uuid, 'RUN', run_uuid, 0 FROM datasets JOIN runs USING (experiment_id) " +
          "WHERE run_uuid = ? AND datasets.name = ? AND datasets.digest = ? ON CONFLICT DO NOTHING",
        inputId,
        runId,
        dataset.name,
        dataset.digest,
      );
      // As in MLflow, a use that is known keeps the tags it was first logged with.
      if (added === 0) continue;
      for (const [key, value] of Object.entries(tags)) {
        this.#db.run("INSERT INTO input_tags (input_uuid, name, value) VALUES (?, ?, ?)", inputId, key, value);
      }
    }
  }

  /** Records the use of models. */
  putModelInputs(runId: string, models: readonly LoggedModelInput[]): void {
    for (const { modelId } of models) {
      this.#db.run(
        "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step) " +
          "VALUES (?, 'RUN_INPUT', ?, 'MODEL_INPUT', ?, 0) ON CONFLICT DO NOTHING",
        newId(),
        runId,
        modelId,
      );
    }
  }

  /** Records the models that a run has put out. */
  putModelOutputs(runId: string, models: readonly LoggedModelOutput[]): void {
    for (const { modelId, step } of models) {
      const added = this.#db.run(
        "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step) " +
          "VALUES (?, 'RUN_OUTPUT', ?, 'MODEL_OUTPUT', ?, ?) ON CONFLICT DO NOTHING",
        newId(),
        runId,
        modelId,
        step,
      );
      if (added === 0) {
        throw new MlflowError("BAD_REQUEST", `Model ${modelId} is an output of run ${runId} already.`);
      }
    }
  }

  /** The datasets that runs of the experiments have used, and what for. */
  summaries(experimentIds: readonly bigint[]): DatasetSummary[] {
    return this.#db.all(
      "SELECT DISTINCT CAST(d.experiment_id AS TEXT) AS experiment_id, d.name, d.digest, t.value FROM datasets d " +
        "JOIN inputs i ON i.source_id = d.dataset_uuid AND i.source_type = 'DATASET' LEFT JOIN input_tags t ON t.input_uuid = i.input_uuid AND " +
        "t.name = 'mlflow.data.context' WHERE d.experiment_id IN (SELECT CAST(value AS INTEGER) FROM json_each(?)) " +
        "ORDER BY d.experiment_id, d.name, d.digest, t.value LIMIT ?",
      JSON.stringify(experimentIds.map(String)),
      MAX_SUMMARIES,
    ).map((row) => ({
      experimentId: String(row.experiment_id),
      name: String(row.name),
      digest: String(row.digest),
      context: row.value === null ? undefined : String(row.value),
    }));
  }

  /** What runs have used, by their ids, a JSON array. */
  inputsOf(runIds: string): Map<unknown, RunInputs> {
    const datasets = this.#db.all(
      "SELECT i.destination_id AS run_uuid, i.input_uuid, d.name, d.digest, d.dataset_source_type, d.dataset_source, " +
        "d.dataset_schema, d.dataset_profile FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id " +
        "WHERE i.destination_type = 'RUN' AND i.source_type = 'DATASET' AND i.destination_id IN " +
        "(SELECT value FROM json_each(?)) ORDER BY i.rowid",
      runIds,
    );
    const tags = Map.groupBy(
      datasets.length === 0 ? [] : this.#db.all(
        "SELECT input_uuid, name AS key, value FROM input_tags WHERE input_uuid IN (SELECT value FROM json_each(?))",
        JSON.stringify(datasets.map((row) => row.input_uuid)),
      ),
      (row) => row.input_uuid,
    );
    const models = this.#edges("RUN_INPUT", "MODEL_INPUT", runIds);
    const datasetsOf: Map<unknown, Row[]> = Map.groupBy(datasets, (row) => row.run_uuid);
    return new Map(
      [...new Set([...datasetsOf.keys(), ...models.keys()])].map((runId) => [runId, {
        datasetInputs: (datasetsOf.get(runId) ?? []).map((row) => ({
          dataset: {
            name: String(row.name),
            digest: String(row.digest),
            sourceType: String(row.dataset_source_type),
            source: String(row.dataset_source),
            ...(row.dataset_schema === null ? {} : { schema: String(row.dataset_schema) }),
            ...(row.dataset_profile === null ? {} : { profile: String(row.dataset_profile) }),
          },
          tags: toRecord(tags.get(row.input_uuid) ?? []),
        })),
        modelInputs: (models.get(runId) ?? []).map((row) => ({ modelId: String(row.destination_id) })),
      }]),
    );
  }

  /** What runs have put out, by their ids, a JSON array. */
  outputsOf(runIds: string): Map<unknown, LoggedModelOutput[]> {
    return new Map(
      [...this.#edges("RUN_OUTPUT", "MODEL_OUTPUT", runIds)].map(([runId, rows]) => [
        runId,
        rows.map((row) => ({ modelId: String(row.destination_id), step: Number(row.step) })),
      ]),
    );
  }

  #edges(source: string, destination: string, runIds: string): Map<unknown, Row[]> {
    return Map.groupBy(
      this.#db.all(
        "SELECT source_id, destination_id, CAST(step AS REAL) AS step FROM inputs WHERE source_type = ? AND " +
          "destination_type = ? AND source_id IN (SELECT value FROM json_each(?)) ORDER BY rowid",
        source,
        destination,
        runIds,
      ),
      (row) => row.source_id,
    );
  }
}
