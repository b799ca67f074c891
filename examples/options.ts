/** The command-line options of the training examples. */
import { parseArgs } from "node:util";

/** What a training is told on the command line. */
export interface Options {
  readonly data: string | undefined;
  readonly experiment: string | undefined;
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

/** What `--help` prints. */
export const USAGE = `Trains an image classifier and tracks it with MLflow.

  --data DIR              a folder with a folder of images for each class   (handwritten digits)
  --experiment NAME       the experiment                                    (the data folder's name)
  --run-name NAME         the run's name                                    (a random one)
  --tracking-uri URI      where it is tracked                               (sqlite:///mlflow.db)
  --epochs N              passes over the training images                   (8)
  --image-size N          height and width that images are brought to       (28 for digits, else 64)
  --batch-size N          images in a step                                  (32)
  --learning-rate X       step size of the Adam optimizer                   (0.001)
  --validation-split X    share of the images to validate with              (0.2)
  --seed N                of the split, the order and the first weights     (42)
  --limit N               images of each class at most                      (300 for digits, else all)
  --help                  this text`;

/** In what the examples differ. */
export interface Defaults {
  /** @default {8} */
  readonly epochs?: number;
}

/**
 * Reads the options; undefined where help is asked for. A bad option ends the program with a message and exit code 2.
 *
 * @param program the name that the message begins with
 */
export function readOptions(program: string, args: readonly string[], defaults: Defaults = {}): Options | undefined {
  try {
    return parseOptions(args, defaults);
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    console.error(`${program}: ${error.message}\n\n${USAGE}`);
    Deno.exit(2);
  }
}

/** What is wrong with an option. */
export class OptionError extends Error {}

/** As {@linkcode readOptions}, but throws. */
export function parseOptions(args: readonly string[], defaults: Defaults = {}): Options | undefined {
  const { values } = parsed(args);
  if (values.help) return undefined;
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
    runName: values["run-name"],
    trackingUri: values["tracking-uri"],
    epochs: count("epochs") ?? defaults.epochs ?? 8,
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
