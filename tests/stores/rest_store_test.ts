/** The contract on RestStore, asked over HTTP of our own handler and of real MLflow servers. */
import { createHandler } from "../../server/handler.ts";
import { RestStore } from "../../stores/rest_store.ts";
import { SqliteStore } from "../../stores/sqlite_store.ts";
import { testStoreContract } from "./store_contract.ts";

testStoreContract("RestStore over our handler", async () => {
  const store = await SqliteStore.open("sqlite:///:memory:");
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, createHandler({ store }));
  const rest = await RestStore.open(`http://127.0.0.1:${server.addr.port}`);
  const dispose = rest[Symbol.asyncDispose].bind(rest);
  return Object.assign(rest, {
    async [Symbol.asyncDispose](): Promise<void> {
      await dispose();
      await server.shutdown();
      await store[Symbol.asyncDispose]();
    },
  });
}, {});
