import type { RunRecord } from "../entities.ts";
import type { SqliteDatabase } from "./sqlite_database.ts";
import type { SqliteInputs } from "./sqlite_inputs.ts";
import { RUN_COLUMNS, toRunInfo, toValue } from "./sqlite_rows.ts";

const NOTHING_USED = { datasetInputs: [], modelInputs: [] };
/** What is read of each run of a list of ids begins with its place in the list, a number cheaper than the id. */
const OF_LIST = "FROM json_each(?) l CROSS JOIN";

/** The runs of these ids, in their order, each table read once; ids of no run are left out. */
export function readRuns(db: SqliteDatabase, inputs: SqliteInputs, runIds: readonly string[]): RunRecord[] {
  const list = JSON.stringify(runIds);
  const metrics: Record<string, number>[] = runIds.map(() => ({}));
  const ofMetrics = db.cells(
    `SELECT l.key, m.key, m.value, m.is_nan ${OF_LIST} latest_metrics m ON m.run_uuid = l.value`,
    list,
  );
  for (const [place, key, value, isNan] of ofMetrics) {
    put(metrics[Number(place)], String(key), toValue(Number(value), Number(isNan)));
  }
  const params = readTexts(db, "params", list, runIds.length);
  const tags = readTexts(db, "tags", list, runIds.length);
  const used = inputs.inputsOf(list);
  const outputs = inputs.outputsOf(list);
  return db.cells(`SELECT l.key, ${RUN_COLUMNS} ${OF_LIST} runs ON run_uuid = l.value`, list).map((cells) => {
    const place = Number(cells[0]);
    const id = runIds[place];
    return {
      info: toRunInfo(cells, 1),
      data: { metrics: metrics[place], params: params[place], tags: tags[place] },
      inputs: used.get(id) ?? NOTHING_USED,
      outputs: { modelOutputs: outputs.get(id) ?? [] },
    };
  });
}

function readTexts(db: SqliteDatabase, table: string, list: string, count: number): Record<string, string>[] {
  const records: Record<string, string>[] = Array.from({ length: count }, () => ({}));
  const rows = db.cells(`SELECT l.key, t.key, t.value ${OF_LIST} ${table} t ON t.run_uuid = l.value`, list);
  for (const [place, key, value] of rows) put(records[Number(place)], String(key), String(value ?? ""));
  return records;
}

function put<T>(record: Record<string, T>, key: string, value: T): void {
  // A plain assignment to this name would set no property.
  if (key === "__proto__") {
    Object.defineProperty(record, key, { value, configurable: true, enumerable: true, writable: true });
  } else record[key] = value;
}
