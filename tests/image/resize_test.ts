import { assert, assertEquals } from "@std/assert";
import { decodePng } from "../../image/png.ts";
import { fit } from "../../image/fit.ts";
import type { Raster } from "../../image/raster.ts";
import { type Interpolation, INTERPOLATIONS, resize } from "../../image/resize.ts";
import expected from "../testdata/images/expected.json" with { type: "json" };

/** Float32 values that TensorFlow computed. */
const REFERENCE = (name: string): Float32Array =>
  new Float32Array(Uint8Array.fromBase64((expected.resized as Record<string, string>)[name]).buffer);
const picture = async () => decodePng(await Deno.readFile(new URL("../testdata/images/rgb.png", import.meta.url)));

function assertClose(actual: ArrayLike<number>, reference: Float32Array, step: number): void {
  assertEquals(Math.ceil(actual.length / step), reference.length);
  let worst = 0;
  for (let i = 0; i < reference.length; i++) worst = Math.max(worst, Math.abs(actual[i * step] - reference[i]));
  assert(worst <= 1e-3, `off by ${worst}`);
}

for (const interpolation of INTERPOLATIONS) {
  for (const [height, width] of [[8, 6], [41, 50], [29, 10], [1, 1]]) {
    Deno.test(`resize() is tf.image.resize: ${interpolation} to ${height} x ${width}`, async () => {
      const { data } = resize(await picture(), height, width, interpolation as Interpolation);
      assertClose(data, REFERENCE(`${interpolation} ${height}x${width}`), height < 29 ? 1 : 23);
    });
  }
}

for (const [height, width] of [[16, 16], [20, 9], [50, 31]]) {
  for (const aspect of ["crop", "pad"] as const) {
    Deno.test(`fit() is Keras's ${aspect}_to_aspect_ratio: ${height} x ${width}`, async () => {
      const { data } = fit(await picture(), [height, width], { interpolation: "bilinear", aspect });
      assertClose(data, REFERENCE(`${aspect} ${height}x${width}`), height < 20 ? 1 : 7);
    });
  }
}

Deno.test("resize() finds TensorFlow's float32 places in a wide picture", async () => {
  const { width, channels, data } = decodePng(
    await Deno.readFile(new URL("../testdata/images/strip.png", import.meta.url)),
  );
  const wide: Raster = { width: width * 40, height: 3, channels, data: new Uint8Array(data.length * 40) };
  const row = width * channels;
  for (let y = 0; y < 3; y++) {
    for (let n = 0; n < 40; n++) wide.data.set(data.subarray(y * row, (y + 1) * row), (y * 40 + n) * row);
  }
  assertClose(resize(wide, 2, 333, "bilinear").data, REFERENCE("big"), 1);
});
