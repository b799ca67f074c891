import { join } from "@std/path";
import { FileStore } from "../../stores/file_store.ts";
import type { TrackingStore } from "../../stores/store.ts";
import { testStoreContract } from "./store_contract.ts";

testStoreContract("FileStore", openNew, {
  skip: {
    "searches experiments by name, time, id, tag and stage, in any order": "the grammar of experiments comes next",
    "searches logged models by attributes, params, tags and metrics on datasets, in any order":
      "the grammar of logged models comes next",
  },
});

/** A store in a new folder, which is removed with it. */
async function openNew(): Promise<TrackingStore> {
  const dir = await Deno.makeTempDir({ prefix: "mlflow-deno-" });
  const store = await FileStore.open(join(dir, "mlruns"));
  return Object.assign(store, {
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  });
}
