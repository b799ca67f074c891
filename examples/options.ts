/** The command-line options of the training examples. */
import { parseArgs } from "node:util";

/** What a training is told on the command line. */
export interface Options {
  readonly data: string | undefined;
  readonly experiment: string | undefined;
  readonly experimentId: string | undefined;
  readonly runName: string | undefined;
  readonly trackingUri: string | undefined;
  readonly epochs: number;
  readonly imageSize: number | undefined;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly validationSplit: number;
  readonly seed: number;
  readonly limit: number | undefined;
}

/** In what the examples differ. */
export interface Program {
  /** What it does, in one line. */
  readonly does: string;
  /** Passes over the training images. */
  readonly epochs: number;
  /** Digits of each kind. */
  readonly digits: number;
  /** What the learning rate is, where it is no option. */
  readonly learningRates?: readonly number[];
}

/** What `--help` prints. */
export function usage({ does, epochs, digits, learningRates }: Program): string {
  const learningRate = "  --learning-rate X       step size of the Adam optimizer                   (0.001)\n";
  return `${does}

  --data DIR              a folder with a folder of images for each class   (handwritten digits)
  --experiment NAME       the experiment                                    (${
    learningRates ? "sweep" : "the data folder's name"
  })
  --experiment-id ID      the same by its id, as a project's program is told it
  --run-name NAME         the run's name                                    (${
    learningRates ? "learning rates" : "a random one"
  })
  --tracking-uri URI      where it is tracked                               (sqlite:///mlflow.db)
  --epochs N              passes over the training images                   (${epochs})
  --image-size N          height and width that images are brought to       (28 for digits, else 64)
  --batch-size N          images in a step                                  (32)
${learningRates ? "" : learningRate}\
  --validation-split X    share of the images to validate with              (0.2)
  --seed N                of the split, the order and the first weights     (42)
  --limit N               images of each class at most                      (${digits} for digits, else all)
  --help                  this text`;
}

/**
 * Runs an example with the options of the command line. `--help` is answered; a bad option ends the program with a
 * message and exit code 2, any other error with its message and exit code 1.
 *
 * @param file the program's name, with which messages begin
 */
export async function runProgram(
  file: string,
  program: Program,
  work: (options: Options) => Promise<void>,
): Promise<void> {
  try {
    const options = parseOptions(Deno.args, program);
    if (options === undefined) console.log(usage(program));
    else await work(options);
  } catch (error) {
    const bad = error instanceof OptionError;
    console.error(`${file}: ${(error as Error).message}${bad ? `\n\n${usage(program)}` : ""}`);
    Deno.exit(bad ? 2 : 1);
  }
}

/** How to look at what was tracked. */
export function howToLook(trackingUri: string): string {
  const store = trackingUri === "sqlite:///mlflow.db" ? "" : ` --backend-store-uri ${trackingUri}`;
  return `look at it:   pip install "mlflow>=3.1" && mlflow ui${store}      then http://127.0.0.1:5000`;
}

/** What is wrong with an option. */
export class OptionError extends Error {}

/** Reads the options; undefined where help is asked for. */
export function parseOptions(args: readonly string[], program: Program): Options | undefined {
  const { values } = parsed(args);
  if (values.help) return undefined;
  if (program.learningRates && values["learning-rate"] !== undefined) {
    throw new OptionError(`--learning-rate is no option here: ${program.learningRates.join(", ")} are tried`);
  }
  const number = (
    name: keyof typeof values,
    isGood: (value: number) => boolean,
    wanted: string,
  ): number | undefined => {
    const text = values[name];
    if (typeof text !== "string") return undefined;
    const value = text.trim() === "" ? NaN : Number(text);
    if (!isGood(value)) throw new OptionError(`--${name} must be ${wanted}: received ${JSON.stringify(text)}`);
    return value;
  };
  const count = (name: keyof typeof values) =>
    number(name, (value) => Number.isSafeInteger(value) && value >= 1, "a whole number of at least 1");
  const isShare = (value: number) => value > 0 && value < 1;
  const isSeed = (value: number) => Number.isInteger(value) && value >= 0 && value < 2 ** 32;
  for (const [name, value] of Object.entries(values)) {
    if (value === "") throw new OptionError(`--${name} must not be empty`);
  }
  return {
    data: values.data,
    experiment: values.experiment,
    experimentId: values["experiment-id"],
    runName: values["run-name"],
    trackingUri: values["tracking-uri"],
    epochs: count("epochs") ?? program.epochs,
    imageSize: number("image-size", (value) => Number.isInteger(value) && value >= 8, "a whole number of at least 8"),
    batchSize: count("batch-size") ?? 32,
    learningRate: number("learning-rate", (value) => value > 0 && value < Infinity, "a number above 0") ?? 0.001,
    validationSplit: number("validation-split", isShare, "a number between 0 and 1") ?? 0.2,
    seed: number("seed", isSeed, "a whole number from 0 to 4294967295") ?? 42,
    limit: count("limit"),
  };
}

function parsed(args: readonly string[]) {
  const string = { type: "string" } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        data: string,
        experiment: string,
        "experiment-id": string,
        "run-name": string,
        "tracking-uri": string,
        epochs: string,
        "image-size": string,
        "batch-size": string,
        "learning-rate": string,
        "validation-split": string,
        seed: string,
        limit: string,
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new OptionError((error as Error).message);
  }
}
