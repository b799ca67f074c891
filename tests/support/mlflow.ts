/**
 * The real MLflow, for tests: its Python client and its server.
 *
 * `mlflowTest()` registers a test that gets one. It looks in
 * `${MLFLOW_DENO_CACHE:-$HOME/.cache/mlflow-deno}/mlflow-<version>`, where `.ci/run` makes a venv for each version;
 * `MLFLOW_PYTHON` names another interpreter for the newest one. Without it the test is ignored (see `gate.ts`).
 *
 * Python needs 2 to 3 seconds to import MLflow: do many checks in one snippet, or many snippets in one interpreter.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { mlflowTest } from "./mlflow.ts";
 *
 * mlflowTest("MLflow reads back NaN", async (mlflow) => {
 *   const back = await mlflow.python(
 *     `
 *     import mlflow
 *     with mlflow.start_run() as run:
 *         mlflow.log_metric("loss", args["loss"])
 *     result = mlflow.get_run(run.info.run_id).data.metrics
 *     `,
 *     { loss: NaN },
 *   );
 *   assertEquals(back, { loss: NaN });
 * });
 *
 * mlflowTest("MLflow 3.10 opens its database again", { version: "3.10.0" }, async (mlflow) => {
 *   await using python = mlflow.interpreter();
 *   await python.run(`import mlflow; mlflow.set_experiment("a")`);
 *   assertEquals(await python.run(`result = len(mlflow.search_experiments())`), 2);
 *   await using ui = await mlflow.ui();
 *   assertEquals(await (await fetch(`${ui.url}/health`)).text(), "OK");
 * });
 * ```
 */
import { join } from "@std/path";
import { cleanEnv } from "./clean_env.ts";
import { gatedTest } from "./gate.ts";
import { PythonInterpreter } from "./python.ts";
import { MlflowServer } from "./mlflow_server.ts";

/**
 * The releases that the tests run against: the newest, one from the middle, the first whose schema we write, and the
 * last of MLflow 2, as a server.
 */
export type MlflowVersion = "3.17.2" | "3.10.0" | "3.1.0" | "2.22.5";

/** The release that a test gets where it asks for none. */
export const NEWEST: MlflowVersion = "3.17.2";

/** What `mlflowTest()` may be told. */
export interface MlflowTestOptions {
  /** The release that the test needs. @default {"3.17.2"} */
  readonly version?: MlflowVersion;
  /** Why something else that the test needs cannot be used here, as `missingChromium()` says it; undefined if it can. */
  readonly missing?: string | undefined;
}

/** How a Python process is started. */
export interface PythonOptions {
  /** The folder that Python runs in. @default {the test's own folder} */
  readonly cwd?: string;
  /** Environment variables beside those of this process, of which all `MLFLOW_*` are left out. */
  readonly env?: Readonly<Record<string, string>>;
  /** How long one snippet may take, in milliseconds. @default {120_000} */
  readonly timeout?: number;
}

/** How an MLflow server is started. */
export interface ServerOptions {
  /** The folder that the server runs in: `mlflow.db` and `mlruns` of it are what it shows. @default {the test's own} */
  readonly cwd?: string;
  /** Environment variables beside those of this process, of which all `MLFLOW_*` are left out. */
  readonly env?: Readonly<Record<string, string>>;
  /** `--backend-store-uri`. @default {MLflow's own: sqlite:///mlflow.db in `cwd`} */
  readonly backendStoreUri?: string;
  /** More arguments for the command line, as `["--no-serve-artifacts"]`. */
  readonly args?: readonly string[];
  /** `mlflow ui` or `mlflow server`. @default {"ui"} */
  readonly command?: "ui" | "server";
  /** Worker processes. More than one makes each request about 40 ms slower. @default {1} */
  readonly workers?: number;
  /** How long the start may take, migrations included, in milliseconds. @default {120_000} */
  readonly timeout?: number;
}

/** One release of MLflow and a folder to use it in, for one test. */
export class Mlflow {
  /** The release. */
  readonly version: MlflowVersion;
  /** The path of the Python that has it. */
  readonly executable: string;
  /** The test's own temporary folder, removed after it. */
  readonly dir: string;

  constructor(version: MlflowVersion, executable: string, dir: string) {
    this.version = version;
    this.executable = executable;
    this.dir = dir;
  }

  /**
   * Runs a snippet of Python in a process of its own and returns what it left in `result`.
   *
   * @param code the snippet, of any indentation; it finds `args`, and what it prints goes to its stderr
   * @param args any value of JSON, and NaN and infinities
   * @throws {Error} if Python raises, with the traceback
   */
  async python<T = unknown>(code: string, args: unknown = null, options: PythonOptions = {}): Promise<T> {
    await using interpreter = this.interpreter(options);
    return await interpreter.run<T>(code, args);
  }

  /** Starts a Python that runs many snippets, which share its globals. */
  interpreter(options: PythonOptions = {}): PythonInterpreter {
    const { cwd = this.dir, env = {}, timeout = 120_000 } = options;
    return new PythonInterpreter(this.executable, { cwd, env: { ...cleanEnv(), ...env }, timeout });
  }

  /** Starts MLflow's own server on a free port of 127.0.0.1 and returns when it answers. */
  async ui(options: ServerOptions = {}): Promise<MlflowServer> {
    const { cwd = this.dir, env = {}, backendStoreUri, command = "ui", workers = 1, timeout = 120_000 } = options;
    const store = backendStoreUri === undefined ? [] : ["--backend-store-uri", backendStoreUri];
    return await MlflowServer.start(this.executable, {
      args: ["-m", "mlflow", command, "--workers", `${workers}`, ...store, ...options.args ?? []],
      cwd,
      env: { ...cleanEnv(), ...env },
      timeout,
    });
  }
}

/** What a test does with the MLflow it gets. */
export type MlflowTestFunction = (mlflow: Mlflow, t: Deno.TestContext) => Promise<void> | void;

/** Registers a test that needs the real MLflow, in a temporary folder of its own. */
export function mlflowTest(name: string, fn: MlflowTestFunction): void;
export function mlflowTest(name: string, options: MlflowTestOptions, fn: MlflowTestFunction): void;
export function mlflowTest(
  name: string,
  optionsOrFn: MlflowTestOptions | MlflowTestFunction,
  maybeFn?: MlflowTestFunction,
): void {
  const [options, fn] = typeof optionsOrFn === "function" ? [{}, optionsOrFn] : [optionsOrFn, maybeFn!];
  const { version = NEWEST } = options;
  gatedTest({
    name,
    missing: missingMlflow(version) ?? options.missing,
    fn: async (t) => {
      const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
      try {
        await fn(new Mlflow(version, mlflowPython(version), dir), t);
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    },
  });
}

/** Why a release of MLflow cannot be used here; undefined where it can. */
export function missingMlflow(version: MlflowVersion = NEWEST): string | undefined {
  const python = mlflowPython(version);
  try {
    Deno.statSync(python);
  } catch {
    return `no MLflow ${version} at ${python}`;
  }
}

/** Where the Python with that release of MLflow should be. */
export function mlflowPython(version: MlflowVersion = NEWEST): string {
  const given = Deno.env.get("MLFLOW_PYTHON");
  if (given && version === NEWEST) return given;
  const cache = Deno.env.get("MLFLOW_DENO_CACHE") ?? join(Deno.env.get("HOME") ?? "/", ".cache", "mlflow-deno");
  return join(cache, `mlflow-${version}`, "bin", "python");
}
