/** A fresh copy of the project, as a clone of it would be. */
import { join } from "@std/path";
import { libraryFiles } from "./import_graph.ts";

/** Copies what a clone of the project holds and the examples need. */
export async function copyCheckout(root: string, dir: string): Promise<void> {
  const files = [
    "deno.json",
    "deno.lock",
    "README.md",
    "MLproject",
    ...await libraryFiles(root),
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
