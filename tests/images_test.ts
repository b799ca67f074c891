import { assert, assertEquals, assertRejects } from "@std/assert";
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
