/**
 * Projects: folders with an `MLproject` file that says what can be run in them, and with which parameters.
 * {@linkcode runProject} runs one and tracks it as MLflow does.
 *
 * @module
 */
import { MlflowClient } from "./client.ts";
import { userName, withoutSecrets } from "./tracking/context.ts";
import { readEnv } from "./env.ts";
import { doing, MlflowError } from "./errors.ts";
import { activeRun, experimentOfNewRuns, getOrCreateExperiment } from "./fluent.ts";
import { addOpenRun, removeOpenRun } from "./tracking/open_runs.ts";
import type { Child, ChildEnd } from "./projects/child.ts";
import { pythonTexts } from "./python_text.ts";
import type { EndStatus } from "./run.ts";
import { absoluteUri } from "./stores/open_store.ts";

/** How a project is run. */
export interface RunProjectOptions {
  /** The entry point's name, or a `.py`, `.sh`, `.ts` or `.js` file of the project. @default {"main"} */
  readonly entryPoint?: string;
  /** Values of parameters; those that the entry point does not declare go behind its command as `--name value`. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** The commit, branch or tag of a git repository; a folder is then left as it is and a copy of it run. */
  readonly version?: string;
  /** The experiment of the run; it is made where it is missing. @default {the active experiment} */
  readonly experimentName?: string;
  /** The experiment's id, instead of its name. */
  readonly experimentId?: string;
  /** The run's name. @default {a random one} */
  readonly runName?: string;
  /** The folder into which artifacts are copied that `path` parameters name. @default {a temporary one, removed after it} */
  readonly storageDirectory?: string;
  /** What comes of a project that does not succeed: an error, or a result that says so. @default {"throw"} */
  readonly onFailure?: "throw" | "return";
  /** Called when the run is there, before its command is started. */
  readonly onStart?: (started: StartedProject) => void;
}

/** A project's run whose command is about to be started. */
export interface StartedProject {
  /** The id of the run. */
  readonly runId: string;
  /** The command, as the shell gets it. */
  readonly command: string;
}

/** A project's run that has ended. */
export interface ProjectRun {
  /** The id of the run. */
  readonly runId: string;
  /** How its command ended: with code 0, with another one, or by a signal. */
  readonly status: EndStatus;
  /** The code of that end. */
  readonly exitCode: number;
}

/**
 * Runs a project in the environment of this program and waits for its end.
 *
 * What the project's program logs goes to the project's run, which it finds by the environment: `startRun` and `withRun`
 * take it up, as `mlflow.start_run()` does in Python. A command that begins with `deno run` needs
 * `--allow-env=MLFLOW_RUN_ID,MLFLOW_TRACKING_URI,MLFLOW_EXPERIMENT_ID` for it. The run is ended as the program ends, unless that has ended it
 * itself: `FINISHED`, `FAILED`, or `KILLED` by a signal. Ctrl-C is passed on.
 *
 * ```ts ignore
 * import * as mlflow from "@mlflow-deno/mlflow";
 *
 * const { runId } = await mlflow.runProject("projects/flowers", {
 *   entryPoint: "train",
 *   parameters: { epochs: 10, learning_rate: 0.001 },
 * });
 * ```
 *
 * @param uri the project's folder or git URI; `#folder` behind it names a folder in it
 */
export async function runProject(uri: string, options: RunProjectOptions = {}): Promise<ProjectRun> {
  return await doing(`Cannot run project "${withoutSecrets(uri)}"`, async () => {
    if (Deno.build.os === "windows") {
      throw new MlflowError("NOT_IMPLEMENTED", "commands of projects are for bash, and not run on Windows");
    }
    if (options.experimentName !== undefined && options.experimentId !== undefined) {
      throw new MlflowError("INVALID_PARAMETER_VALUE", "Specify only one of 'experimentName' or 'experimentId'.");
    }
    // Who runs no project does not wait for what runs them.
    const [{ openSource }, { entryPointOf, readProject }, { invoke }, { Child }] = await Promise.all([
      import("./projects/source.ts"),
      import("./projects/mlproject.ts"),
      import("./projects/invocation.ts"),
      import("./projects/child.ts"),
    ]);
    await using source = await openSource(uri, options.version);
    await using storage = new Storage(options.storageDirectory);
    const { entryPoint: name = "main", parameters = {} } = options;
    const entryPoint = await entryPointOf(await readProject(source.folder), name);
    const { command, params } = await invoke(entryPoint, pythonTexts(parameters), () => storage.open());

    const client = new MlflowClient(trackingUri());
    const experimentId = await experimentOf(client, options);
    const parent = activeRun();
    const user = userName();
    const { info: { runId } } = await client.createRun({
      experimentId,
      runName: options.runName,
      tags: {
        ...(user === undefined ? {} : { "mlflow.user": user }),
        ...source.tags,
        "mlflow.source.type": "PROJECT",
        "mlflow.project.entryPoint": name,
        "mlflow.project.backend": "local",
        ...(parent === undefined ? {} : { "mlflow.parentRunId": parent.runId }),
      },
    });
    const end = await tracked(client, runId, async () => {
      await client.logBatch(runId, { params: Object.entries(params).map(([key, value]) => ({ key, value })) });
      const env = await childEnv(client, runId, experimentId);
      options.onStart?.({ runId, command });
      return new Child(command, source.folder, env);
    });
    if (end.status !== "FINISHED" && options.onFailure !== "return") {
      throw new MlflowError(
        "INVALID_STATE",
        `Run (ID '${runId}') ${end.status.toLowerCase()}: its command ended with code ${end.exitCode}`,
      );
    }
    return { runId, ...end };
  });
}

/** Starts a run's program, waits for it, and sees to it that the run ends with it. */
async function tracked(client: MlflowClient, runId: string, start: () => Promise<Child>): Promise<ChildEnd> {
  let child: Child | undefined;
  let wanted: EndStatus | undefined;
  const ended = Promise.withResolvers<void>();
  const open = {
    isEnding: () => wanted !== undefined,
    end: (status: EndStatus) => {
      wanted = status;
      child?.signal("SIGINT");
      return ended.promise;
    },
    flush: () => Promise.resolve(),
    hurry: () => {
      child?.signal("SIGKILL");
      void client.setTerminated(runId, { status: wanted ?? "FAILED" }).catch(() => {});
    },
  };
  addOpenRun(open);
  let end: ChildEnd | undefined;
  try {
    child = await start();
    if (wanted !== undefined) child.signal("SIGINT");
    end = await child.end;
    return wanted === "KILLED" ? { ...end, status: wanted } : end;
  } finally {
    try {
      const { info } = await client.getRun(runId);
      // The program may have ended its run itself, and knows better how it went.
      if (["RUNNING", "SCHEDULED"].includes(info.status)) {
        await client.setTerminated(runId, { status: wanted ?? end?.status ?? "FAILED" });
      }
    } finally {
      removeOpenRun(open);
      ended.resolve();
    }
  }
}

/** The tracking URI as a program in another folder can use it. */
function trackingUri(): string {
  const uri = absoluteUri(new MlflowClient().trackingUri);
  if (!/^(memory:|sqlite:\/\/(\/:memory:)?$)/.test(uri)) return uri;
  throw new MlflowError(
    "INVALID_PARAMETER_VALUE",
    `the tracking store ${uri} is in this program's memory, which the project's program cannot see`,
  );
}

async function experimentOf(client: MlflowClient, options: RunProjectOptions): Promise<string> {
  if (options.experimentId !== undefined) return options.experimentId;
  if (options.experimentName === undefined) return await experimentOfNewRuns(client);
  return (await getOrCreateExperiment(client, options.experimentName)).experimentId;
}

async function childEnv(client: MlflowClient, runId: string, experimentId: string): Promise<Record<string, string>> {
  const name = readEnv("MLFLOW_EXPERIMENT_NAME");
  return {
    MLFLOW_RUN_ID: runId,
    MLFLOW_TRACKING_URI: client.trackingUri,
    MLFLOW_EXPERIMENT_ID: experimentId,
    // MLflow refuses a name and an id that are not of the same experiment.
    ...(name === undefined ? {} : { MLFLOW_EXPERIMENT_NAME: (await client.getExperiment(experimentId)).name }),
  };
}

/** A folder that is made at its first use, and removed at the end where nobody has chosen it. */
class Storage implements AsyncDisposable {
  readonly #chosen: string | undefined;
  #folder: string | undefined;

  constructor(chosen: string | undefined) {
    this.#chosen = chosen;
  }

  async open(): Promise<string> {
    if (this.#chosen !== undefined) await Deno.mkdir(this.#chosen, { recursive: true });
    return this.#folder ??= await Deno.makeTempDir({ dir: this.#chosen, prefix: "mlflow-" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#chosen === undefined && this.#folder !== undefined) await Deno.remove(this.#folder, { recursive: true });
  }
}
