/** Text that a browser shows as it is, also where its type has another name. */
const TEXT =
  "txt log err cfg conf cnf cf ini properties prop hocon toml yaml yml xml json js py py3 csv tsv md rst ipynb" +
  " MLmodel MLproject";

const TYPES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(TEXT.split(" ").map((name) => [name, "text/plain"])),
  avi: "video/x-msvideo",
  bmp: "image/bmp",
  css: "text/css",
  gif: "image/gif",
  gz: "application/gzip",
  htm: "text/html",
  html: "text/html",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  mp3: "audio/mpeg",
  mp4: "video/mp4",
  npy: "application/octet-stream",
  pdf: "application/pdf",
  png: "image/png",
  svg: "image/svg+xml",
  tar: "application/x-tar",
  tif: "image/tiff",
  tiff: "image/tiff",
  wav: "audio/x-wav",
  webm: "video/webm",
  webp: "image/webp",
  zip: "application/zip",
};

/** The type that MLflow gives to a file of this name; `application/octet-stream` where it knows none. */
export function mimeType(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const dot = name.lastIndexOf(".");
  const ending = dot > 0 ? name.slice(dot + 1) : name;
  return Object.hasOwn(TYPES, ending) ? TYPES[ending] : "application/octet-stream";
}
