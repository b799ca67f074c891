import { readEnv } from "../env.ts";
import { runProject } from "../projects.ts";
import { setTrackingUri } from "../tracking/tracking_uri.ts";
import { type Command, onlyArgument, readArguments, UsageError } from "./command.ts";

const string = { type: "string" } as const;
const OPTIONS = {
  "entry-point": { ...string, short: "e" },
  "param-list": { ...string, short: "P", multiple: true },
  version: { ...string, short: "v" },
  "experiment-name": string,
  "experiment-id": string,
  "run-name": string,
  "tracking-uri": string,
  "storage-dir": string,
  "env-manager": string,
  backend: { ...string, short: "b" },
} as const;

/** `run`: runs a project. */
export const run: Command = {
  name: "run",
  takes: "URI [options]",
  does: "runs a project: a folder with an MLproject file, or a git repository",
  options: `  URI                      the project's folder or git URI; #folder behind it names a folder in it
  -e, --entry-point NAME   what to run: an entry point, or a .py, .sh, .ts or .js file     (main)
  -P NAME=VALUE            a parameter; one that is not declared is passed on as --NAME VALUE
  -v, --version VERSION    the commit, branch or tag of a git repository
  --experiment-name NAME   the run's experiment                                            (Default)
  --experiment-id ID       the same by its id
  --run-name NAME          the run's name                                                  (a random one)
  --tracking-uri URI       where it is tracked                                             (sqlite:///mlflow.db)
  --storage-dir DIR        where artifacts go that path parameters name                    (a temporary folder)
  --env-manager local      the only one there is: the command runs in the environment of this program
  -b, --backend local      the only one there is: the command runs on this machine

The environment variables MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME and MLFLOW_EXPERIMENT_ID are looked at too.`,
  main: async (args) => {
    const { values, positionals } = readArguments(args, OPTIONS);
    const uri = onlyArgument(positionals, "project URI");
    for (const option of ["env-manager", "backend"] as const) {
      const value = values[option];
      if (value !== undefined && value !== "local") {
        throw new UsageError(`--${option} must be local, the others need Python's mlflow: received "${value}"`);
      }
    }
    if (values["experiment-name"] !== undefined && values["experiment-id"] !== undefined) {
      throw new UsageError("one of --experiment-name and --experiment-id is wanted: received both");
    }
    if (values["tracking-uri"] !== undefined) setTrackingUri(values["tracking-uri"]);
    const { status, exitCode, runId } = await runProject(uri, {
      entryPoint: values["entry-point"],
      version: values.version,
      parameters: readParameters(values["param-list"] ?? []),
      experimentName: values["experiment-name"],
      experimentId: values["experiment-id"],
      runName: values["run-name"],
      storageDirectory: values["storage-dir"] ?? readEnv("MLFLOW_TMP_DIR"),
      onFailure: "return",
      // The program's own output is the output of this command.
      onStart: ({ runId, command }) => console.error(`run ${runId}: ${command}`),
    });
    console.error(`run ${runId}: ${status}${status === "FINISHED" ? "" : `, the command ended with code ${exitCode}`}`);
    return status === "FINISHED" ? 0 : 1;
  },
};

function readParameters(list: readonly string[]): Record<string, string> {
  const parameters = new Map<string, string>();
  for (const one of list) {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(one) ?? [];
    if (name === undefined) throw new UsageError(`-P must be of the form NAME=VALUE: received "${one}"`);
    if (parameters.has(name)) throw new UsageError(`-P ${name} is given twice`);
    parameters.set(name, value);
  }
  return Object.fromEntries(parameters);
}
