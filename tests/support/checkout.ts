/** A fresh copy of the project, as a clone of it would be. */
import { join } from "@std/path";
import { publishedFiles } from "./published.ts";

/** Copies what a clone of the project holds and the examples need. */
export async function copyCheckout(root: string, dir: string): Promise<void> {
  const files = [
    "deno.lock",
    "MLproject",
    ...await publishedFiles(root),
    ...await exampleFiles(root),
  ];
  for (const file of files) {
    await Deno.mkdir(join(dir, file, ".."), { recursive: true });
    await Deno.copyFile(join(root, file), join(dir, file));
  }
}

/** The paths of the examples and of their parts. */
export async function exampleFiles(root: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(join(root, "examples"))) {
    if (name.endsWith(".ts")) names.push(`examples/${name}`);
  }
  return names.sort();
}
