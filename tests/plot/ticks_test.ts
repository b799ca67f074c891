import { assert, assertEquals } from "@std/assert";
import { countAxis, linearAxis, logAxis } from "../../plot/ticks.ts";

const labels = (axis: { ticks: readonly { label: string }[] }): string[] => axis.ticks.map(({ label }) => label);

const linearCases: [low: number, high: number, ticks: string[]][] = [
  [0, 1, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]],
  [0.72, 0.98, ["0.70", "0.75", "0.80", "0.85", "0.90", "0.95", "1.00"]],
  [-1, 1, ["−1.5", "−1.0", "−0.5", "0", "0.5", "1.0", "1.5"]],
  [0, 12_000, ["0", "2,000", "4,000", "6,000", "8,000", "10,000", "12,000", "14,000"]],
  [1e-9, 2e-9, ["0.8e−9", "1.0e−9", "1.2e−9", "1.4e−9", "1.6e−9", "1.8e−9", "2.0e−9", "2.2e−9"]],
  [0, 1e12, ["0", "0.2e12", "0.4e12", "0.6e12", "0.8e12", "1.0e12", "1.2e12"]],
  [5, 5, ["4.4", "4.6", "4.8", "5.0", "5.2", "5.4", "5.6"]],
  [0, 0, ["−0.6", "−0.4", "−0.2", "0", "0.2", "0.4", "0.6"]],
];
for (const [low, high, ticks] of linearCases) {
  Deno.test(`linearAxis() from ${low} to ${high}`, () => {
    assertEquals(labels(linearAxis([low, high], [300, 0], 6)), ticks);
  });
}

Deno.test("linearAxis() has distinct labels and places in range for any two numbers", () => {
  const numbers = [-1e300, -1e12, -1, -1e-9, 0, 5e-324, 1e-300, 1e-9, 0.1, 1, 1 + 1e-12, 3, 1e6, 1e12, 1e300];
  for (const low of numbers) {
    for (const high of numbers.filter((number) => number >= low)) {
      const axis = linearAxis([low, high], [300, 0], 6);
      assert(axis.ticks.length >= 2, `${low} ${high} has ${axis.ticks.length} ticks`);
      assertEquals(new Set(labels(axis)).size, axis.ticks.length, `${low} ${high}: ${labels(axis)}`);
      for (const value of [low, high]) {
        const place = axis.place(value);
        assert(place >= -1e-6 && place <= 300 + 1e-6, `${value} stands at ${place} between ${low} and ${high}`);
      }
    }
  }
});

const logCases: [low: number, high: number, ticks: string[]][] = [
  [0.3, 20, ["0.1", "1", "10", "100"]],
  [0.3, 6, ["0.1", "0.2", "0.5", "1", "2", "5", "10"]],
  [1e-9, 1e12, ["1e−8", "1e−4", "1e0", "1e4", "1e8", "1e12"]],
  [0.45, 0.5, ["0.45", "0.46", "0.47", "0.48", "0.49", "0.50"]],
  [7, 7, ["4", "6", "8", "10", "12", "14"]],
];
for (const [low, high, ticks] of logCases) {
  Deno.test(`logAxis() from ${low} to ${high}`, () => {
    assertEquals(labels(logAxis([low, high], [300, 0], 6)), ticks);
  });
}

const countCases: [first: number, last: number, ticks: string[]][] = [
  [1, 1, ["1"]],
  [1, 2, ["1", "2"]],
  [1, 8, ["1", "2", "3", "4", "5", "6", "7", "8"]],
  [1, 30, ["1", "5", "10", "15", "20", "25", "30"]],
  [1, 100_000, [
    "1",
    "10,000",
    "20,000",
    "30,000",
    "40,000",
    "50,000",
    "60,000",
    "70,000",
    "80,000",
    "90,000",
    "100,000",
  ]],
  [6, 9, ["6", "7", "8", "9"]],
];
for (const [first, last, ticks] of countCases) {
  Deno.test(`countAxis() from ${first} to ${last}`, () => {
    assertEquals(labels(countAxis([first, last], [0, 700], (label) => 20 + 6 * label.length)), ticks);
  });
}
