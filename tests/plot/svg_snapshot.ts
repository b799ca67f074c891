import { assertEquals } from "@std/assert";

const folder = new URL("../testdata/plots/", import.meta.url);

/**
 * Compares an SVG with the file `tests/testdata/plots/<name>.svg`.
 *
 * After a change that is meant to show, write the files anew, look at each, and commit them with the change:
 * `deno test -A tests/plots_test.ts -- --update`.
 */
export function assertSvgSnapshot(svg: string, name: string): void {
  const file = new URL(`${name}.svg`, folder);
  // Pictures inside are compared by their pixels elsewhere: how PNG packs them is the engine's own affair.
  const text = "<!-- deno-fmt-ignore-file -->\n" + svg.replaceAll(/(data:image\/png;base64,)[^"]*/g, "$1");
  if (Deno.args.includes("--update")) Deno.writeTextFileSync(file, text);
  assertEquals(text, Deno.readTextFileSync(file), `the SVG differs from ${name}.svg`);
}
