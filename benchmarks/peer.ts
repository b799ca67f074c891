/** Python's mlflow, which does what we do. */
import { join } from "@std/path";
import { cleanEnv } from "../tests/support/clean_env.ts";
import { PythonInterpreter } from "../tests/support/python.ts";
import type { Rounds } from "./benchmarks.ts";

/** How long one round may take, in milliseconds. */
const PATIENCE = 120_000;

/** A Python that has loaded `mlflow_bench.py`, and the folder that it works in. */
export class Peer implements AsyncDisposable {
  /** The path of the Python that has MLflow. */
  readonly executable: string;
  /** The folder that Python's side writes to. */
  readonly folder: string;
  readonly #interpreter: PythonInterpreter;

  private constructor(executable: string, folder: string) {
    this.executable = executable;
    this.folder = folder;
    this.#interpreter = new PythonInterpreter(executable, { cwd: folder, env: peerEnv(), timeout: PATIENCE });
  }

  /**
   * Starts Python and makes its database.
   *
   * @param executable the path of a Python that has MLflow
   * @param parent the folder that Python's own is made in
   */
  static async start(executable: string, parent: string): Promise<Peer> {
    const folder = join(parent, "peer");
    await Deno.mkdir(folder);
    const peer = new Peer(executable, folder);
    try {
      await peer.#interpreter.run(await Deno.readTextFile(new URL("./mlflow_bench.py", import.meta.url)));
      return peer;
    } catch (error) {
      await peer[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The rounds of a generator in `mlflow_bench.py`. */
  async *rounds(name: string, args: unknown = []): Rounds {
    const call = "rounds = globals()[args[0]](*(args[1] if isinstance(args[1], list) else [args[1]]))";
    await this.#interpreter.run(call, [name, args]);
    try {
      while (true) yield await this.#interpreter.run<number[]>("result = next(rounds)");
    } finally {
      await this.#interpreter.run("rounds.close()");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#interpreter[Symbol.asyncDispose]();
  }
}

/** The environment of a user: Python keeps what it has compiled, without which each start would compile MLflow anew. */
export function peerEnv(): Record<string, string> {
  const { PYTHONDONTWRITEBYTECODE: _, ...env } = cleanEnv();
  return env;
}
