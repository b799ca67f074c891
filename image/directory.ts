import { join } from "@std/path";
import { reasonOf } from "./load_file.ts";

/** Extensions of the files that are taken, in lower case. */
const EXTENSIONS = [".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"];

/** A file of a directory of images. */
export interface ListedFile {
  /** Relative to the directory, with `/`. */
  readonly path: string;
  /** Index of the class. */
  readonly label: number;
}

/** A directory's classes and files, in Keras's order: by class, then by folder, then by name. */
export interface Listing {
  readonly classNames: readonly string[];
  readonly files: readonly ListedFile[];
  /** Size of all files, as some of them let expect it. */
  readonly bytes: number;
}

/** How many files are asked for their size: it costs as much as reading a small file. */
const ASKED = 64;

/** What `listImages` is told. */
export interface ListOptions {
  readonly labels: "inferred" | readonly (string | number)[] | null;
  readonly classNames: readonly string[] | undefined;
  readonly followLinks: boolean;
  /** Files taken of each class, the first by name. */
  readonly limit: number;
}

/** Lists the images of a directory that has one folder a class. */
export async function listImages(directory: string, options: ListOptions): Promise<Listing> {
  const read = (reason: string, cause?: unknown): Error =>
    new Error(`Cannot read images from ${JSON.stringify(directory)}: ${reason}`, { cause });
  const top = await entries(directory).catch((cause) => {
    throw read(cause instanceof NotADirectory ? "it is a file, a directory is wanted" : reasonOf(cause), cause);
  });
  if (options.labels !== "inferred") return withLabels(directory, options, read);

  const folders = top.filter(({ name, isDirectory }) => isDirectory && !name.startsWith(".")).map(({ name }) => name);
  if (folders.length === 0) {
    const images = top.filter(({ name }) => isImage(name)).length;
    throw read(
      `it has no folders${images > 0 ? ` but ${images} images` : ""}; expected one folder of images for each class, ` +
        `such as ${JSON.stringify(join(directory, "daisy"))}` +
        (images > 0 ? `, or labels: null or an array of labels` : ""),
    );
  }
  const classNames = options.classNames ?? folders;
  const unknown = classNames.filter((name) => !folders.includes(name));
  if (unknown.length > 0) {
    throw read(`it has no folder for the class ${list(unknown)}; it has ${list(folders)}`);
  }
  const perClass: string[][] = [];
  for (const name of classNames) {
    perClass.push(
      await imagesBelow(directory, name, options.followLinks).catch((cause) => {
        throw read(reasonOf(cause), cause);
      }),
    );
  }
  if (perClass.every((paths) => paths.length === 0)) {
    throw read(`no images in its folders ${list(classNames)}; ${WANTED}`);
  }
  const empty = classNames.filter((_, label) => perClass[label].length === 0);
  if (empty.length > 0) {
    throw read(`no images in the class folder ${list(empty)}; ${WANTED}, or name the classes wanted with classNames`);
  }
  const files = perClass.flatMap((paths, label) => paths.slice(0, options.limit).map((path) => ({ path, label })));
  return { classNames, files, bytes: await sizeOf(directory, files) };
}

const WANTED = `files that end in ${EXTENSIONS.join(", ")} are taken`;

async function withLabels(
  directory: string,
  { labels, followLinks, limit }: ListOptions,
  read: (reason: string, cause?: unknown) => Error,
): Promise<Listing> {
  const paths = await imagesBelow(directory, "", followLinks).catch((cause) => {
    throw read(reasonOf(cause), cause);
  });
  if (paths.length === 0) throw read(`no images in it or below it; ${WANTED}`);
  if (labels === null || labels === "inferred") {
    const files = paths.slice(0, limit).map((path) => ({ path, label: 0 }));
    return { classNames: [], files, bytes: await sizeOf(directory, files) };
  }
  if (labels.length !== paths.length) {
    throw new RangeError(
      `Cannot label the images of ${JSON.stringify(directory)}: ${labels.length} labels for ${paths.length} images`,
    );
  }
  const names = [...new Set(labels)].sort((a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : byCodePoint(String(a), String(b))
  );
  const counts = names.map(() => 0);
  const files: { path: string; label: number }[] = [];
  paths.forEach((path, i) => {
    const label = names.indexOf(labels[i]);
    if (counts[label]++ < limit) files.push({ path, label });
  });
  return { classNames: names.map(String), files, bytes: await sizeOf(directory, files) };
}

async function sizeOf(directory: string, files: readonly ListedFile[]): Promise<number> {
  const step = Math.max(1, files.length / ASKED);
  const asked = Array.from({ length: Math.min(files.length, ASKED) }, (_, i) => files[Math.floor(i * step)]);
  // A file that cannot be looked at is reported when it is read, with its name.
  const sizes = await Promise.all(
    asked.map(({ path }) => Deno.stat(join(directory, path)).then(({ size }) => size, () => 0)),
  );
  return sizes.reduce((sum, size) => sum + size, 0) / asked.length * files.length;
}

/** Paths of the images in a folder and the folders below it: folders sorted by their whole path, as Keras sorts. */
async function imagesBelow(directory: string, folder: string, followLinks: boolean): Promise<string[]> {
  const folders: { path: string; names: string[] }[] = [];
  const visit = async (path: string, above: readonly string[]): Promise<void> => {
    const names: string[] = [];
    const absolute = join(directory, path);
    // A link to a folder above itself would never end.
    const real = followLinks ? await Deno.realPath(absolute) : absolute;
    if (above.includes(real)) return;
    for (const entry of await entries(absolute)) {
      const below = path === "" ? entry.name : `${path}/${entry.name}`;
      if (entry.isDirectory) {
        if (followLinks || !entry.isSymlink) await visit(below, [...above, real]);
      } else if (isImage(entry.name)) names.push(entry.name);
    }
    folders.push({ path, names });
  };
  await visit(folder, []);
  folders.sort((a, b) => byCodePoint(a.path, b.path));
  return folders.flatMap(({ path, names }) => names.map((name) => path === "" ? name : `${path}/${name}`));
}

class NotADirectory extends Error {}

interface Entry {
  readonly name: string;
  /** Of what a link leads to, if it is one. */
  readonly isDirectory: boolean;
  readonly isSymlink: boolean;
}

/** A directory's entries sorted by name as Python sorts. */
async function entries(directory: string): Promise<Entry[]> {
  if (!(await Deno.stat(directory)).isDirectory) throw new NotADirectory();
  const found: Entry[] = [];
  for await (const { name, isDirectory, isSymlink } of Deno.readDir(directory)) {
    const leads = isSymlink && await Deno.stat(join(directory, name)).then((to) => to.isDirectory, () => false);
    found.push({ name, isDirectory: isDirectory || leads, isSymlink });
  }
  return found.sort((a, b) => byCodePoint(a.name, b.name));
}

function isImage(name: string): boolean {
  const lower = name.toLowerCase();
  return EXTENSIONS.some((extension) => lower.endsWith(extension));
}

/** Python's order of strings: by code point, where JavaScript's is by UTF-16 unit. */
export function byCodePoint(a: string, b: string): number {
  const [left, right] = [[...a], [...b]];
  for (let i = 0; i < left.length && i < right.length; i++) {
    const difference = left[i].codePointAt(0)! - right[i].codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

function list(names: readonly string[]): string {
  return names.map((name) => JSON.stringify(name)).join(", ");
}
