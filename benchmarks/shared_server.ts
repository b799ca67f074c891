/** One tracking server for both sides of a benchmark, started at its first use and ended after the last. */
import { join } from "@std/path";
import { createHandler } from "../server/handler.ts";
import { SqliteStore } from "../stores/sqlite_store.ts";
import { missingMlflow, mlflowPython } from "../tests/support/mlflow.ts";
import { MlflowServer } from "../tests/support/mlflow_server.ts";
import { peerEnv } from "./peer.ts";

interface Server extends AsyncDisposable {
  readonly url: string;
}

let server: Promise<Server> | undefined;
let users = 0;

/** Lets `work` use the server of the folder's benchmark: MLflow's own, or ours where there is no MLflow. */
export async function* withServer<T>(folder: string, work: (url: string) => AsyncGenerator<T>): AsyncGenerator<T> {
  users++;
  try {
    server ??= start(await Deno.makeTempDir({ dir: join(folder, ".."), prefix: "server-" }));
    yield* work((await server).url);
  } finally {
    if (--users === 0) {
      const last = server;
      server = undefined;
      await (await last)?.[Symbol.asyncDispose]();
    }
  }
}

async function start(cwd: string): Promise<Server> {
  if (missingMlflow() === undefined) {
    // As who starts a server without a thought has it, with MLflow's own number of workers.
    const args = ["-m", "mlflow", "server"];
    return await MlflowServer.start(mlflowPython(), { args, cwd, env: peerEnv(), timeout: 120_000 });
  }
  const store = await SqliteStore.open(`sqlite:///${join(cwd, "mlflow.db")}`);
  const handler = createHandler({ store, artifactRoot: join(cwd, "artifacts") });
  const http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, handler);
  return {
    url: `http://127.0.0.1:${http.addr.port}`,
    [Symbol.asyncDispose]: async () => {
      await http.shutdown();
      await store[Symbol.asyncDispose]();
    },
  };
}
