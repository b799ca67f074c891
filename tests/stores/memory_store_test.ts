import { assertEquals } from "@std/assert";
import { MlflowClient } from "../../client.ts";
import { SqliteStore } from "../../stores/sqlite_store.ts";
import { testStoreContract } from "./store_contract.ts";

testStoreContract("memory:", () => SqliteStore.open("memory:"));

Deno.test(
  "memory:name is one store wherever it is used, and touches no file",
  { permissions: { env: true } },
  async () => {
    const id = await new MlflowClient("memory:one").createExperiment("flowers");
    assertEquals((await new MlflowClient("memory:one").getExperimentByName("flowers"))?.experimentId, id);
    assertEquals(await new MlflowClient("memory:two").getExperimentByName("flowers"), undefined);
    assertEquals(await new MlflowClient("memory:").getExperimentByName("flowers"), undefined);
  },
);
