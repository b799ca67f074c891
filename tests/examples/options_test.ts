import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { howToLook, OptionError, parseOptions, type Program, usage } from "../../examples/options.ts";

const PROGRAM: Program = { does: "Trains.", epochs: 8, digits: 300 };
const SWEEP: Program = { does: "Sweeps.", epochs: 3, digits: 100, learningRates: [0.1, 0.01] };

Deno.test("parseOptions() fills in what was not given", () => {
  assertEquals(parseOptions([], PROGRAM), {
    data: undefined,
    experiment: undefined,
    experimentId: undefined,
    runName: undefined,
    trackingUri: undefined,
    epochs: 8,
    imageSize: undefined,
    batchSize: 32,
    learningRate: 0.001,
    validationSplit: 0.2,
    seed: 42,
    limit: undefined,
  });
  assertEquals(parseOptions([], SWEEP)?.epochs, 3);
});

Deno.test("parseOptions() reads every option", () => {
  const args =
    "--data photos --experiment-id 3 --experiment e --run-name r --tracking-uri sqlite:///a.db --epochs 1 --image-size 32 " +
    "--batch-size=16 --learning-rate 1e-2 --validation-split .5 --seed 0 --limit 7";
  assertEquals(parseOptions(args.split(" "), PROGRAM), {
    data: "photos",
    experiment: "e",
    experimentId: "3",
    runName: "r",
    trackingUri: "sqlite:///a.db",
    epochs: 1,
    imageSize: 32,
    batchSize: 16,
    learningRate: 0.01,
    validationSplit: 0.5,
    seed: 0,
    limit: 7,
  });
  assertEquals(parseOptions(["--epochs", "x", "--help"], PROGRAM), undefined);
});

const BAD: readonly [args: string[], message: string][] = [
  [["--epochs", "ten"], '--epochs must be a whole number of at least 1: received "ten"'],
  [["--epochs", "0"], '--epochs must be a whole number of at least 1: received "0"'],
  [["--epochs", "1.5"], '--epochs must be a whole number of at least 1: received "1.5"'],
  [["--epochs", ""], "--epochs must not be empty"],
  [["--batch-size", "-1"], "--batch-size"],
  [["--image-size", "4"], '--image-size must be a whole number of at least 8: received "4"'],
  [["--learning-rate", "0"], '--learning-rate must be a number above 0: received "0"'],
  [["--learning-rate", "Infinity"], '--learning-rate must be a number above 0: received "Infinity"'],
  [["--validation-split", "1"], '--validation-split must be a number between 0 and 1: received "1"'],
  [["--seed", "1e10"], '--seed must be a whole number from 0 to 4294967295: received "1e10"'],
  [["--limit", "NaN"], '--limit must be a whole number of at least 1: received "NaN"'],
  [["--bogus"], "--bogus"],
  [["photos"], "photos"],
];
for (const [args, message] of BAD) {
  Deno.test(`parseOptions() refuses ${args.join(" ")}`, () => {
    assertThrows(() => parseOptions(args, PROGRAM), OptionError, message);
  });
}

Deno.test("usage() lists the options that a program takes, with its own defaults", () => {
  assertStringIncludes(usage(PROGRAM), "--learning-rate X");
  assertStringIncludes(usage(SWEEP), "(100 for digits, else all)");
  assert(!usage(SWEEP).includes("--learning-rate"));
  assertThrows(() => parseOptions(["--learning-rate", "1"], SWEEP), OptionError, "0.1, 0.01 are tried");
});

Deno.test("howToLook() names the store where it is not mlflow ui's own", () => {
  assert(!howToLook("sqlite:///mlflow.db").includes("--backend-store-uri"));
  assertStringIncludes(howToLook("sqlite:///a.db"), "mlflow ui --backend-store-uri sqlite:///a.db ");
});
