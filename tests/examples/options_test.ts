import { assertEquals, assertThrows } from "@std/assert";
import { OptionError, parseOptions } from "../../examples/options.ts";

Deno.test("parseOptions() fills in what was not given", () => {
  assertEquals(parseOptions([]), {
    data: undefined,
    experiment: undefined,
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
  assertEquals(parseOptions([], { epochs: 3 })?.epochs, 3);
});

Deno.test("parseOptions() reads every option", () => {
  const args = "--data photos --experiment e --run-name r --tracking-uri sqlite:///a.db --epochs 1 --image-size 32 " +
    "--batch-size=16 --learning-rate 1e-2 --validation-split .5 --seed 0 --limit 7";
  assertEquals(parseOptions(args.split(" ")), {
    data: "photos",
    experiment: "e",
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
  assertEquals(parseOptions(["--epochs", "x", "--help"]), undefined);
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
    assertThrows(() => parseOptions(args), OptionError, message);
  });
}
