import { join } from "@std/path";
import { FileStore } from "../../stores/file_store.ts";
import type { TrackingStore } from "../../stores/store.ts";
import { testStoreContract } from "./store_contract.ts";

testStoreContract("FileStore", openNew);

/** A store in a new folder, which is removed with it. */
async function openNew(): Promise<TrackingStore> {
  const dir = await Deno.makeTempDir({ prefix: "mlflow-deno-" });
  const store = await FileStore.open(join(dir, "mlruns"));
  return Object.assign(store, {
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  });
}
