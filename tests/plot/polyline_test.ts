import { assert, assertEquals } from "@std/assert";
import { polylines } from "../../plot/polyline.ts";

Deno.test("polylines() breaks a line at NaN and keeps a single point", () => {
  assertEquals(polylines([0, 1, 2, 3, 4], [5, NaN, 6, NaN, NaN]), [[0, 5], [2, 6]]);
});

Deno.test("polylines() of nothing, or of NaN alone, is nothing", () => {
  assertEquals(polylines([], []), []);
  assertEquals(polylines([0, 1], [NaN, NaN]), []);
});

Deno.test("polylines() keeps each point where the picture has room for it", () => {
  const xs = Array.from({ length: 1000 }, (_, index) => index * 0.7);
  assertEquals(polylines(xs, xs)[0].length, 2000);
});

Deno.test("polylines() of many points keeps first, lowest, highest and last of each column", () => {
  const xs = Array.from({ length: 100_000 }, (_, index) => index / 200);
  const ys = xs.map((_, index) => index === 50_020 ? 900 : index === 50_050 ? -900 : index % 7);
  const [line, ...others] = polylines(xs, ys);
  assertEquals(others, []);
  assert(line.length <= 2 * 4 * (2 * 500 + 1), `${line.length / 2} points`);
  assert(line.includes(900) && line.includes(-900));
  assertEquals(line.slice(0, 2), [0, 0]);
  assertEquals(line.slice(-2), [xs[99_999], ys[99_999]]);
  for (let index = 2; index < line.length; index += 2) assert(line[index] >= line[index - 2], "x goes back");
});

Deno.test("polylines() of many points breaks where a whole column has no value", () => {
  const xs = Array.from({ length: 10_000 }, (_, index) => index / 100);
  const holes = xs.map((x, index) => (x >= 40 && x < 60) || index % 3 === 0 ? NaN : 1);
  assertEquals(polylines(xs, holes).length, 2);
});
