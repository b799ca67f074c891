import { assert, assertEquals, assertRejects } from "@std/assert";
import { fileURLToPath } from "node:url";
import type { DecodeSettings } from "../../image/decode.ts";
import { DecodePool } from "../../image/decode_pool.ts";

const IMAGES = fileURLToPath(new URL("../testdata/images", import.meta.url));
const NAMES = ["rgb.png", "420.jpg", "lossy.webp", "plain.gif", "24_bit.bmp", "exif_6.jpg", "gray.png", "cmyk.jpg"];
const SETTINGS: DecodeSettings = {
  channels: 3,
  size: [5, 4],
  interpolation: "bilinear",
  aspect: "stretch",
  orientation: "apply",
  maxPixels: 1_000_000,
};

Deno.test("DecodePool decodes the same on workers and on this thread, with leave to read alone", {
  permissions: { read: true },
}, async () => {
  const here = new DecodePool(SETTINGS, { workers: 0, group: 3 });
  const workers = new DecodePool(SETTINGS, { workers: 3, group: 3 });
  for (const round of [1, 2, 3]) {
    workers.helping = round === 2;
    assertEquals(workers.width, workers.helping ? 2 * 2 * 3 + 2 : 3 * 2 * 3);
    const files = await Promise.all(NAMES.map((name) => workers.decode(`${IMAGES}/${name}`)));
    for (const [i, name] of NAMES.entries()) {
      assertEquals(files[i], await here.decode(`${IMAGES}/${name}`), `${name}, round ${round}`);
    }
    workers.close();
  }
  here.close();
});

Deno.test("DecodePool gives a worker's reason for a file that cannot be read, and goes on", async () => {
  const pool = new DecodePool(SETTINGS, { workers: 2, group: 3 });
  await assertRejects(() => pool.decode(`${IMAGES}/expected.json`), Error, "it looks like text");
  await assertRejects(() => pool.decode(`${IMAGES}/none.png`), Error, "no such file or directory");
  assertEquals((await pool.decode(`${IMAGES}/rgb.png`)).width, 37);
  pool.close();
});

Deno.test("DecodePool tells each file of a group for itself", async () => {
  const pool = new DecodePool(SETTINGS, { workers: 1, group: 8 });
  const names = ["rgb.png", "none.png", "420.jpg", "expected.json", "gray.png"];
  const results = await Promise.allSettled(names.map((name) => pool.decode(`${IMAGES}/${name}`)));
  assertEquals(results.map(({ status }) => status === "fulfilled"), [true, false, true, false, true]);
  pool.close();
});

Deno.test("DecodePool.close() leaves nobody waiting", async () => {
  const pool = new DecodePool(SETTINGS, { workers: 2, group: 3 });
  const files = NAMES.map((name) => pool.decode(`${IMAGES}/${name}`));
  pool.close();
  assertEquals((await Promise.all(files)).map(({ data }) => data.length), NAMES.map(() => 60));
});

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program that has `images.ts` and a `tf` whose tensors are their shapes. */
async function run(program: string, permissions: readonly string[]): Promise<Ended> {
  const dir = await Deno.makeTempDir();
  try {
    const images = new URL("../../images.ts", import.meta.url);
    await Deno.writeTextFile(
      `${dir}/program.ts`,
      `import { imageDatasetFromDirectory } from "${images}";
      const tf = {
        tensor: (_: Float32Array, shape: number[]) => shape,
        data: {
          generator: (passes: () => AsyncIterator<{ xs: number[]; ys: number[] }>) => ({ passes }),
        },
      };
      ${program.replaceAll("FLOWERS", JSON.stringify(`${IMAGES}/flowers`))}`,
    );
    const config = fileURLToPath(new URL("../../deno.json", import.meta.url));
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--check", "--config", config, ...permissions, `${dir}/program.ts`],
      signal: AbortSignal.timeout(60_000),
      stdin: "null",
    }).output();
    const text = new TextDecoder();
    return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("a program that leaves a pass unfinished ends, though workers decoded", async () => {
  const { code, stdout } = await run(
    `const { train } = await imageDatasetFromDirectory(tf, FLOWERS, { batchSize: 3, workers: 2, cacheBytes: 0 });
    const { value } = await train.passes().next();
    console.log(value.xs.join());`,
    ["--allow-read"],
  );
  assertEquals([code, stdout], [0, "3,256,256,3\n"]);
});

Deno.test("a program that fails while workers decode ends with its error", async () => {
  const { code, stderr } = await run(
    `const { train } = await imageDatasetFromDirectory(tf, FLOWERS, { batchSize: 3, workers: 2, cacheBytes: 0 });
    await train.passes().next();
    throw new Error("the model is wrong");`,
    ["--allow-read"],
  );
  assertEquals(code, 1);
  assert(stderr.includes("the model is wrong"), stderr);
});

Deno.test("where workers cannot start, images are decoded without them, with one warning", async () => {
  // The worker's own file may not be read.
  const { code, stdout, stderr } = await run(
    `for (let i = 0; i < 2; i++) {
      const { train, files } = await imageDatasetFromDirectory(tf, FLOWERS, { workers: 2, cacheBytes: 0 });
      const { value } = await train.passes().next();
      console.log(files.length, value.xs.join());
    }`,
    [`--allow-read=${IMAGES}`],
  );
  assertEquals([code, stdout], [0, "18 18,256,256,3\n18 18,256,256,3\n"], stderr);
  assertEquals(stderr.match(/warning: images are decoded on one thread/g)?.length, 1, stderr);
});
