import { SqliteStore } from "../../stores/sqlite_store.ts";
import { testStoreContract } from "./store_contract.ts";

testStoreContract("SqliteStore", () => SqliteStore.open("sqlite:///:memory:"), {
  skip: {
    "searches experiments by name, time, id, tag and stage, in any order": "the grammar of experiments comes next",
    "searches logged models by attributes, params, tags and metrics on datasets, in any order":
      "the grammar of logged models comes next",
  },
});
