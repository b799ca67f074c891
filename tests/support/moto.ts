/**
 * A server that speaks as S3 does: moto, in `${MLFLOW_DENO_CACHE:-$HOME/.cache/mlflow-deno}/moto`, where `.ci/run` makes
 * a venv for it.
 */
import { join } from "@std/path";
import { cleanEnv } from "./clean_env.ts";
import { ProcessGroup } from "./process_group.ts";

/** A running moto. Disposing of it ends it, with all its buckets. */
export class MotoServer implements AsyncDisposable {
  /** Where it answers, without a slash at the end. */
  readonly url: string;
  readonly #processes: ProcessGroup;
  #log = "";

  private constructor() {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    this.url = `http://127.0.0.1:${port}`;
    this.#processes = new ProcessGroup({
      command: motoPython(),
      args: ["-m", "moto.server", "-H", "127.0.0.1", "-p", `${port}`],
      // It checks signatures' form, and with this also what they were made of.
      env: { ...cleanEnv(), MOTO_S3_CUSTOM_ENDPOINTS: this.url },
      onOutput: (text) => this.#log += text,
    });
  }

  /** Starts a server and returns when it answers. */
  static async start(): Promise<MotoServer> {
    const server = new MotoServer();
    for (let tries = 0;; tries++) {
      try {
        await (await fetch(`${server.url}/moto-api/`)).body?.cancel();
        return server;
      } catch (cause) {
        if (tries < 300 && server.#processes.exitCode === undefined) {
          await new Promise((resolve) => setTimeout(resolve, 100));
          continue;
        }
        await server[Symbol.asyncDispose]();
        throw new Error(`Cannot start moto. It printed:\n${server.#log}`, { cause });
      }
    }
  }

  /** Makes a bucket. */
  async createBucket(name: string): Promise<void> {
    const response = await fetch(`${this.url}/${name}`, { method: "PUT" });
    if (!response.ok) throw new Error(`Cannot create bucket "${name}": ${await response.text()}`);
    await response.body?.cancel();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes[Symbol.asyncDispose]();
  }
}

/** Why moto cannot be used here; undefined where it can. */
export function missingMoto(): string | undefined {
  const python = motoPython();
  try {
    Deno.statSync(python);
  } catch {
    return `no moto at ${python}`;
  }
}

/** The Python that has moto and boto3. */
export function motoPython(): string {
  const cache = Deno.env.get("MLFLOW_DENO_CACHE") ?? join(Deno.env.get("HOME") ?? "/", ".cache", "mlflow-deno");
  return join(cache, "moto", "bin", "python");
}
