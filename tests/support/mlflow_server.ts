/** A running `mlflow ui` or `mlflow server`. Used through `mlflow.ts`. */
import { ProcessGroup } from "./process_group.ts";

/** How the server is started. */
export interface MlflowServerOptions {
  /** The arguments of Python, without host and port. */
  readonly args: readonly string[];
  /** The folder that it runs in. */
  readonly cwd: string;
  /** Its whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** How long the start may take, in milliseconds. */
  readonly timeout: number;
}

/** MLflow's own server on 127.0.0.1. Disposing of it kills all of its processes. */
export class MlflowServer implements AsyncDisposable {
  /** Where it answers, without a slash at the end: `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly #processes: ProcessGroup;
  #log = "";

  private constructor(executable: string, { args, cwd, env }: MlflowServerOptions) {
    const port = freePort();
    this.url = `http://127.0.0.1:${port}`;
    this.#processes = new ProcessGroup({
      command: executable,
      args: [...args, "--host", "127.0.0.1", "--port", `${port}`],
      cwd,
      env,
      onOutput: (text) => this.#log += text,
    });
  }

  /**
   * Starts a server and returns when it answers.
   *
   * @throws {Error} if it ends, or does not answer within the timeout, with what it printed
   */
  static async start(executable: string, options: MlflowServerOptions): Promise<MlflowServer> {
    const server = new MlflowServer(executable, options);
    const end = Date.now() + options.timeout;
    while (!await server.#answers()) {
      const { exitCode } = server.#processes;
      const ended = exitCode !== undefined;
      if (ended || Date.now() > end) {
        await server[Symbol.asyncDispose]();
        const state = ended ? `it ended with code ${exitCode}` : `no answer within ${options.timeout} ms`;
        throw new Error(`Cannot start MLflow server: ${state}. It printed:\n${server.log}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return server;
  }

  /** What it printed so far. */
  get log(): string {
    return this.#log;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes[Symbol.asyncDispose]();
  }

  async #answers(): Promise<boolean> {
    try {
      const response = await fetch(`${this.url}/health`, { signal: AbortSignal.timeout(5_000) });
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false;
    }
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
