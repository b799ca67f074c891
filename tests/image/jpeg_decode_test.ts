import { assert, assertEquals } from "@std/assert";
import { canvasDecode } from "../../image/canvas_decode.ts";
import { imageHeader } from "../../image/header.ts";
import { decodeJpeg } from "../../image/jpeg_decode.ts";
import { encodeImage, loadImage } from "../../images.ts";

const FOLDER = new URL("../testdata/images/", import.meta.url);
const read = (name: string) => Deno.readFileSync(new URL(name, FOLDER));
const decode = (bytes: Uint8Array) => decodeJpeg(bytes, imageHeader(bytes, 1e6));

Deno.test("decodeJpeg() decodes the common kinds and leaves the others alone", () => {
  const channels = (name: string) => decode(read(name))?.channels;
  for (
    const name of [
      "444.jpg",
      "422.jpg",
      "420.jpg",
      "restart.jpg",
      "restart_422.jpg",
      "narrow_422.jpg",
      "loud_444.jpg",
      "loud_420.jpg",
      "coarse_420.jpg",
      "exif_6.jpg",
      "profile.jpg",
      "thumbnail.jpg",
      "trailing.jpg",
      "progressive.jpg",
      "progressive_420.jpg",
      "progressive_422.jpg",
    ]
  ) assertEquals(channels(name), 3, name);
  for (const name of ["gray.jpg", "profile_gray.jpg"]) assertEquals(channels(name), 1, name);
  for (const name of ["cmyk.jpg", "profile_cmyk.jpg", "rgb_encoded.jpg", "narrowest_420.jpg"]) {
    assertEquals(channels(name), undefined, name);
  }
});

Deno.test("decodeJpeg() gives the other decoder's pixels at every size", async () => {
  for (let width = 5; width <= 36; width++) {
    for (const height of [1, 2, 15, 16, 17, 33]) {
      const data = Float32Array.from(
        { length: width * height * 3 },
        (_, i) => 128 + 90 * Math.sin(i / 7) + (i * 7919) % 61 - 30,
      );
      const bytes = await encodeImage({ width, height, channels: 3, data }, "jpeg", { quality: 60 + height });
      const raster = decode(bytes);
      assert(raster !== undefined, `${width} x ${height}`);
      const other = await canvasDecode(bytes, imageHeader(bytes, 1e6), false);
      assertEquals({ ...raster, data: raster.data.slice() }, other, `${width} x ${height}`);
    }
  }
});

Deno.test("decodeJpeg() decodes a picture of many pixels, and smaller ones after it", async () => {
  const small = decode(read("420.jpg"))!.data.slice();
  const [width, height] = [4001, 3001];
  const data = Uint8Array.from({ length: width * height }, (_, i) => i % width >> 4);
  const bytes = await encodeImage({ width, height, channels: 1, data }, "jpeg", { quality: 100 });
  const large = decodeJpeg(bytes, imageHeader(bytes, 2e7));
  assert(large !== undefined);
  for (const [x, y] of [[0, 0], [4000, 0], [2000, 1500], [4000, 3000]]) {
    const value = large.data[(y * width + x) * large.channels];
    assert(Math.abs(value - (x >> 4)) <= 2, `${x}, ${y}: ${value}`);
  }
  assertEquals(decode(read("420.jpg"))!.data.slice(), small);
});

Deno.test("decodeJpeg() comes to an end with damaged files", () => {
  for (const name of ["420.jpg", "restart_422.jpg", "gray.jpg", "progressive_420.jpg", "progressive_422.jpg"]) {
    const whole = read(name);
    const header = imageHeader(whole, 1e6);
    let refused = 0;
    for (let at = 2; at < whole.length; at++) {
      for (const value of [0, 255, whole[at] ^ 1 << at % 8]) {
        const bytes = whole.slice();
        bytes[at] = value;
        const raster = decodeJpeg(bytes, header);
        if (raster === undefined) refused++;
        else assertEquals(raster.data.length, header.width * header.height * raster.channels);
      }
    }
    assert(refused > 300, `${name}: ${refused}`);
  }
});

Deno.test("loadImage() of JPEG files gives arrays that the next one leaves as they are", async () => {
  const first = await loadImage(new URL("444.jpg", FOLDER));
  const copy = first.data.slice();
  assertEquals(first.data.buffer.byteLength, first.data.length);
  await loadImage(new URL("loud_420.jpg", FOLDER));
  assertEquals(first.data, copy);
});
