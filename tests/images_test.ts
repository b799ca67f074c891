import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { loadImage } from "../images.ts";
import expected from "./testdata/images/expected.json" with { type: "json" };

const FOLDER = new URL("./testdata/images/", import.meta.url);

interface Reference {
  readonly size: readonly number[];
  readonly rgb: string;
  readonly rgba: string;
  readonly grayscale: string;
}
const FILES = Object.entries(expected.files as Record<string, { apply: Reference; ignore?: Reference }>);

async function sha256(bytes: ArrayLike<number>): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", Uint8Array.from(bytes));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

for (const [name, reference] of FILES) {
  Deno.test(`loadImage() reads the pixels that Pillow reads: ${name}`, async () => {
    for (const orientation of ["apply", "ignore"] as const) {
      const { size, ...hashes } = reference[orientation] ?? reference.apply;
      for (const colorMode of ["rgb", "rgba", "grayscale"] as const) {
        const image = await loadImage(new URL(name, FOLDER), { colorMode, orientation });
        assertEquals([image.height, image.width], size, `${orientation} ${colorMode}`);
        assertEquals(await sha256(image.data), hashes[colorMode], `${orientation} ${colorMode}`);
      }
    }
  });
}

for (const [name] of FILES) {
  // Of what trails a picture any part may be cut.
  if (name.startsWith("trailing")) continue;
  Deno.test(`loadImage() refuses every cut of ${name}`, async () => {
    const bytes = await Deno.readFile(new URL(name, FOLDER));
    const step = Math.max(1, Math.floor(bytes.length / 150));
    for (let length = 0; length < bytes.length; length = length > bytes.length - 20 ? length + 1 : length + step) {
      const error = await assertRejects(() => loadImage(bytes.subarray(0, length)), Error, "Cannot read an image: ");
      assert(/ends after|is empty/.test(error.message), `${length}: ${error.message}`);
    }
  });
}

Deno.test("loadImage() takes a path, a file: URL or bytes", { permissions: { read: true } }, async () => {
  const url = new URL("444.jpg", FOLDER);
  const images = [
    await loadImage(fileURLToPath(url)),
    await loadImage(url),
    await loadImage(await Deno.readFile(url)),
  ];
  for (const image of images) assertEquals(image, images[0]);
  assertEquals([images[0].height, images[0].width, images[0].channels], [29, 37, 3]);
});

Deno.test("loadImage() resizes to [height, width]", async () => {
  const image = await loadImage(new URL("rgb.png", FOLDER), { imageSize: [8, 6] });
  assertEquals([image.height, image.width, image.data.length], [8, 6, 8 * 6 * 3]);
  assert(image.data instanceof Float32Array);
  const reference = new Float32Array(Uint8Array.fromBase64(expected.resized["bilinear 8x6"]).buffer);
  for (const [i, value] of reference.entries()) assert(Math.abs(image.data[i] - value) <= 1e-3);
});

Deno.test("loadImage() names the file and the reason", async (t) => {
  const dir = await Deno.makeTempDir();
  const png = await Deno.readFile(new URL("rgb.png", FOLDER));
  const jpeg = await Deno.readFile(new URL("420.jpg", FOLDER));
  const changed = (bytes: Uint8Array, at: number, ...values: number[]) => {
    const copy = bytes.slice();
    copy.set(values, at);
    return copy;
  };
  const text = (text: string) => new TextEncoder().encode(text);
  const idat = png.findIndex((_, i) => String.fromCharCode(...png.subarray(i, i + 4)) === "IDAT");
  const frame = jpeg.findIndex((byte, i) => byte === 0xff && jpeg[i + 1] === 0xc0);
  const scan = jpeg.findIndex((byte, i) => byte === 0xff && jpeg[i + 1] === 0xda);
  const cases: [name: string, content: Uint8Array, reason: string][] = [
    ["empty.jpg", new Uint8Array(0), "the file is empty"],
    [
      "page.jpg",
      text("\n <!DOCTYPE html><html><title>404</title>"),
      "not a JPEG, PNG, WebP, GIF or BMP image, it looks like an HTML page",
    ],
    ["drawing.png", text('<?xml version="1.0"?>\n<svg width="1">'), "it looks like an SVG drawing"],
    ["list.png", text("a,b,c\n1,2,3\n"), 'it looks like text ("a,b,c\\n1,2,3\\n")'],
    ["large.png", text("version https://git-lfs.github.com/spec/v1\noid"), "it looks like a Git LFS pointer"],
    ["phone.jpg", text("\0\0\0\x24ftypheic\0\0\0\0"), "it looks like a HEIC photo"],
    ["zeros.jpg", new Uint8Array(4096), "it looks like zeros alone"],
    ["noise.jpg", Uint8Array.of(1, 2, 3, 255, 9, 8, 7, 6, 5, 4, 3, 2), "first bytes 01 02 03 ff 09 08 07 06"],
    ["half.png", png.subarray(0, 900), "the PNG ends after 900 of at least 2,207 bytes"],
    ["half.jpg", jpeg.subarray(0, 900), "the JPEG ends after 900 bytes without its end mark"],
    ["head.png", changed(png, 19, 38), "the PNG is damaged: the checksum of its IHDR chunk is wrong"],
    ["data.png", changed(png, idat + 300, 1, 2, 3), "the PNG is damaged: its picture data does not unpack"],
    [
      "huge.jpg",
      changed(jpeg, frame + 5, 0xff, 0xff, 0xff, 0xff),
      "65,535 x 65,535 pixels, over the limit of 64,000,000",
    ],
    ["none.jpg", changed(jpeg, frame + 5, 0, 0), "the JPEG is damaged: it has 37 x 0 pixels"],
    ["tables.jpg", changed(jpeg, frame + 4, 9), "the JPEG is damaged, or of a kind that cannot be decoded"],
    ["marker.jpg", changed(jpeg, scan + 2, 0, 1), "the JPEG is damaged: a segment of 1 bytes"],
  ];
  try {
    for (const [name, content, reason] of cases) {
      await t.step(name, async () => {
        const path = `${dir}/${name}`;
        await Deno.writeFile(path, content);
        const error = await assertRejects(() => loadImage(path), Error, `Cannot read ${JSON.stringify(path)}: `);
        assertStringIncludes(error.message, reason);
        assert(error.cause instanceof Error);
      });
    }
    await t.step("a file that is not there", async () => {
      await assertRejects(() => loadImage(`${dir}/none.png`), Error, 'none.png": no such file or directory');
    });
    await t.step("a directory", async () => {
      await assertRejects(() => loadImage(dir), Error, "it is a directory");
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("loadImage() says which permission is missing", { permissions: { read: false } }, async () => {
  await assertRejects(() => loadImage("photo.png"), Error, 'Cannot read "photo.png": Requires read access');
});

Deno.test("loadImage() refuses wrong options", async () => {
  const path = new URL("rgb.png", FOLDER);
  // deno-lint-ignore no-explicit-any
  const load = (options: any) => () => loadImage(path, options);
  await assertRejects(load({ colorMode: "hsv" }), TypeError, 'colorMode must be one of "rgb", "rgba", "grayscale"');
  await assertRejects(load({ interpolation: "lanczos" }), TypeError, 'interpolation must be one of "bilinear"');
  await assertRejects(load({ imageSize: [8] }), RangeError, "imageSize must be [height, width] in whole pixels");
  await assertRejects(load({ imageSize: [8, 0.5] }), RangeError, "imageSize must be [height, width] in whole pixels");
  await assertRejects(load({ maxPixels: NaN }), RangeError, "maxPixels must be at least 1, received NaN");
  await assertRejects(load({ cropToAspectRatio: true, padToAspectRatio: true }), TypeError, "exclude each other");
  await assertRejects(load({ maxPixels: 1000 }), Error, "the PNG has 37 x 29 pixels, over the limit of 1,000");
  await assertRejects(() => loadImage(new URL("https://example.org/a.png")), TypeError, "expected a path");
});
