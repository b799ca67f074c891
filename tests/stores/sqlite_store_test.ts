import { SqliteStore } from "../../stores/sqlite_store.ts";
import { testStoreContract } from "./store_contract.ts";

testStoreContract("SqliteStore", () => SqliteStore.open("sqlite:///:memory:"));
