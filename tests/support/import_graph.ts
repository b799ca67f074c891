/** Who imports whom in the library, as `deno info --json` sees it. */
import { join, relative } from "@std/path";

/** One import. Files of the library are paths from its root, `stores/store.ts`; packages are `npm:@scope/name`. */
export interface Import {
  /** The importing file. */
  readonly from: string;
  /** The imported file or package. */
  readonly to: string;
  /** When the import happens: with the importing file, later by `import()`, or never because only types are used. */
  readonly kind: "static" | "dynamic" | "type";
}

/** All files of the library and all imports in them. */
export interface ImportGraph {
  readonly files: readonly string[];
  readonly imports: readonly Import[];
}

const NOT_LIBRARY = new Set([
  "tests",
  "examples",
  "benchmarks",
  "node_modules",
  "mlruns",
  "data",
  "docs",
  "coverage",
  "data",
]);

/** The library's own TypeScript files under `root`, sorted. */
export async function libraryFiles(root: string): Promise<string[]> {
  const files: string[] = [];
  async function visit(folder: string): Promise<void> {
    for await (const { name, isDirectory } of Deno.readDir(join(root, folder))) {
      if (name.startsWith(".") || (folder === "" && NOT_LIBRARY.has(name))) continue;
      if (isDirectory) await visit(join(folder, name));
      else if (/\.[jt]s$/.test(name)) files.push(join(folder, name));
    }
  }
  await visit("");
  return files.sort();
}

/** Reads the graph of all files of the library, whether an entry point reaches them or not. */
export async function readImportGraph(root: string): Promise<ImportGraph> {
  const files = await libraryFiles(root);
  const dir = await Deno.makeTempDir({ prefix: "mlflow-deno-" });
  try {
    const entry = join(dir, "all.ts");
    const urls = files.map((file) => new URL(file, toFolderUrl(root)).href);
    await Deno.writeTextFile(entry, urls.map((url) => `import ${JSON.stringify(url)};\n`).join(""));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--config", join(root, "deno.json"), entry],
    }).output();
    if (!success) throw new Error(`Cannot read the import graph: ${new TextDecoder().decode(stderr)}`);
    const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: readonly Module[] };
    const seen = new Set(modules.map(({ specifier }) => specifier));
    const missed = urls.filter((url) => !seen.has(url));
    if (missed.length > 0) throw new Error(`Cannot read the import graph: it lacks ${missed}`);
    return { files, imports: modules.flatMap((module) => importsOf(module, root)) };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

interface Module {
  readonly specifier: string;
  readonly error?: string;
  readonly dependencies?: readonly Dependency[];
}

interface Dependency {
  readonly specifier: string;
  readonly code?: Resolved;
  readonly type?: Resolved;
  readonly isDynamic?: boolean;
}

interface Resolved {
  readonly specifier?: string;
  readonly error?: string;
}

function importsOf({ specifier, error, dependencies = [] }: Module, root: string): Import[] {
  if (!specifier.startsWith(toFolderUrl(root))) return [];
  const from = nameOf(specifier, root);
  if (error) throw new Error(`Cannot read the import graph: ${from}: ${error}`);
  return dependencies.flatMap(({ specifier, code, type, isDynamic }) => {
    const failed = code?.error ?? type?.error;
    if (failed) throw new Error(`Cannot read the import graph: ${from} imports ${specifier}: ${failed}`);
    const imports: Import[] = [];
    if (code?.specifier) {
      imports.push({ from, to: nameOf(code.specifier, root), kind: isDynamic ? "dynamic" : "static" });
    } else if (type?.specifier) {
      imports.push({ from, to: nameOf(type.specifier, root), kind: "type" });
    }
    return imports;
  });
}

function nameOf(specifier: string, root: string): string {
  if (specifier.startsWith("file:")) return relative(root, decodeURIComponent(new URL(specifier).pathname));
  return specifier.replace(/^npm:\/?((?:@[^/]+\/)?[^@/]+).*$/, "npm:$1");
}

function toFolderUrl(root: string): string {
  return new URL(`file://${root}/`).href;
}
