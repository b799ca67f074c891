import { useFastBackend } from "../backend.ts";
import { serveModel } from "../serving.ts";
import { setTrackingUri } from "../tracking/tracking_uri.ts";
import { type Command, readArguments, UsageError } from "./command.ts";

const string = { type: "string" } as const;
const OPTIONS = {
  "model-uri": { ...string, short: "m" },
  port: { ...string, short: "p" },
  host: { ...string, short: "h" },
  "max-batch": string,
  "max-body-bytes": string,
  "class-names": string,
  "tracking-uri": string,
  "env-manager": string,
} as const;

/** `models serve`: answers requests for a model's predictions. */
export const modelsServe: Command = {
  name: "models serve",
  takes: "-m URI [options]",
  does: "answers requests for a logged model's predictions over HTTP",
  options: `  -m, --model-uri URI      the model: models:/m-…, models:/name@alias, runs:/<run id>/<name>, or its folder
  -p, --port PORT          the port                                                        (5000)
  -h, --host HOST          the address; 0.0.0.0 lets other machines in                     (127.0.0.1)
  --max-batch N            most examples that are predicted at once                        (64)
  --max-body-bytes N       most bytes of a request                                         (33554432)
  --class-names A,B,…      the names of the classes, in the order of the model's outputs   (those logged with it)
  --tracking-uri URI       where the model is tracked                                      (sqlite:///mlflow.db)
  --env-manager local      the only one there is: the model is served by this program

GET  /ping /health /version
POST /invocations          {"instances": …}, {"inputs": …}, {"dataframe_split": …}, {"dataframe_records": …}, CSV, or
                           a picture: curl -H "content-type: image/png" --data-binary @7.png HOST:PORT/invocations`,
  main: async (args) => {
    const { values, positionals } = readArguments(args, OPTIONS);
    if (positionals.length > 0) throw new UsageError(`options alone are wanted: received "${positionals[0]}"`);
    const uri = values["model-uri"];
    if (uri === undefined) throw new UsageError("--model-uri is wanted");
    if (![undefined, "local"].includes(values["env-manager"])) {
      throw new UsageError(`--env-manager must be local: received "${values["env-manager"]}"`);
    }
    const port = wholeNumber("port", values.port, 0, 65535);
    const maxBatch = wholeNumber("max-batch", values["max-batch"], 1);
    const maxBodyBytes = wholeNumber("max-body-bytes", values["max-body-bytes"], 1);
    if (values["tracking-uri"] !== undefined) setTrackingUri(values["tracking-uri"]);
    const tf = await import("@tensorflow/tfjs");
    const backend = await useFastBackend(tf);
    const server = await serveModel(tf, uri, {
      port,
      hostname: values.host,
      maxBatch,
      maxBodyBytes,
      classNames: values["class-names"]?.split(","),
    });
    console.error(`${uri} is served at ${server.url}, on ${backend.description}`);
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      Deno.addSignalListener(signal, () => {
        // A second signal does not wait for the requests that are there.
        if (ending) Deno.exit(130);
        ending = true;
        void server.shutdown();
      });
    }
    await server.finished;
    return 0;
  },
};

let ending = false;

function wholeNumber(
  name: string,
  text: string | undefined,
  least: number,
  most: number = Number.MAX_SAFE_INTEGER,
): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new UsageError(`--${name} must be a whole number ${range}: received "${text}"`);
}
