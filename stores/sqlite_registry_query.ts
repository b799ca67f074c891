import { readModelVersionSearch, readRegisteredModelSearch, type RegistryQuestion } from "./registry_search.ts";
import { PROMPT_TAG, type RegistrySearch } from "./registry_store.ts";
import { compare, join, joined, type Sql } from "./sqlite_query.ts";

const MODEL_COLUMNS: Readonly<Record<string, string>> = { name: "name", last_updated_timestamp: "last_updated_time" };
const VERSION_COLUMNS: Readonly<Record<string, string>> = {
  name: "name",
  run_id: "run_id",
  source_path: "source",
  version_number: "version",
  creation_timestamp: "creation_time",
  last_updated_timestamp: "last_updated_time",
};

/**
 * The query that gives the names of the registered models that a search finds, in its order.
 *
 * @param workspace the condition on the workspace, ` AND workspace = 'default'`, or nothing
 */
export function registeredModelQuery(search: RegistrySearch, workspace: string): Sql {
  const question = readRegisteredModelSearch(search);
  return join(
    "SELECT v.name FROM registered_models v WHERE ",
    conditions(question, MODEL_COLUMNS, { table: "registered_model_tags", same: "t.name = v.name", workspace }),
    order(question, MODEL_COLUMNS),
  );
}

/** What stands behind the columns, those of `v`, in the query for the versions that a search finds, in its order. */
export function modelVersionQuery(search: RegistrySearch, workspace: string): Sql {
  const question = readModelVersionSearch(search);
  const same = "t.name = v.name AND t.version = v.version";
  return join(
    "FROM model_versions v WHERE v.current_stage != 'Deleted_Internal' AND ",
    conditions(question, VERSION_COLUMNS, { table: "model_version_tags", same, workspace }),
    order(question, VERSION_COLUMNS),
  );
}

function conditions(
  { filter, prompts }: RegistryQuestion,
  columns: Readonly<Record<string, string>>,
  tags: { readonly table: string; readonly same: string; readonly workspace: string },
): Sql {
  const { table, same, workspace } = tags;
  const has = (key: string): Sql => ({
    sql: `EXISTS (SELECT 1 FROM ${table} t WHERE ${same}${workspace.replace("workspace", "t.workspace")} AND t.key = ?`,
    values: [key],
  });
  return joined([
    plain(`1${workspace.replace("workspace", "v.workspace")}`),
    ...filter.map((comparison) =>
      comparison.entity === "tag"
        ? join(has(comparison.key), " AND ", compare("t.value", comparison), ")")
        : compare(`v.${columns[comparison.key]}`, comparison)
    ),
    // One version that is a prompt makes all of its name prompts.
    ...prompts ? [] : [join(
      { ...has(PROMPT_TAG), sql: `NOT ${has(PROMPT_TAG).sql.replace(same, "t.name = v.name")}` },
      " AND t.value = 'true')",
    )],
  ], " AND ");
}

function order({ orders }: RegistryQuestion, columns: Readonly<Record<string, string>>): string {
  return ` ORDER BY ${
    orders.map(({ key, ascending }) => `v.${columns[key]} ${ascending ? "ASC" : "DESC"}`).join(", ")
  }`;
}

function plain(sql: string): Sql {
  return { sql, values: [] };
}
