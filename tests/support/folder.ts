/** Folders for the time of a test. */
import { dirname, join } from "@std/path";

/** Makes a folder with the given files, runs the work in it and removes it. */
export async function withFolder<T>(
  files: Readonly<Record<string, string>>,
  work: (dir: string) => T | Promise<T>,
): Promise<T> {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
  try {
    await writeFiles(dir, files);
    return await work(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Writes texts to files below a folder, and makes the folders on the way. */
export async function writeFiles(dir: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await Deno.mkdir(dirname(join(dir, path)), { recursive: true });
    await Deno.writeTextFile(join(dir, path), text);
  }
}
