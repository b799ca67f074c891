import { assertEquals, assertThrows } from "@std/assert";
import { resolve } from "@std/path";
import { MlflowError } from "../../../errors.ts";
import { absoluteFolderUri, folderOf, isFolderUri } from "../../../stores/file/location.ts";

const here = resolve(".");

Deno.test("tracking URIs of folders become absolute", () => {
  const cases: readonly [uri: string, absolute: string, folder: string][] = [
    ["./mlruns", `${here}/mlruns`, `${here}/mlruns`],
    ["mlruns", `${here}/mlruns`, `${here}/mlruns`],
    ["/data/my runs", "/data/my runs", "/data/my runs"],
    ["/data/50%", "/data/50%", "/data/50%"],
    ["file:./mlruns", `file://${here}/mlruns`, `${here}/mlruns`],
    ["file:mlruns", `file://${here}/mlruns`, `${here}/mlruns`],
    ["file:/data/mlruns", "file:///data/mlruns", "/data/mlruns"],
    ["file:///data/my%20runs", "file:///data/my%20runs", "/data/my runs"],
    ["file://localhost/data", "file:///data", "/data"],
  ];
  for (const [uri, absolute, folder] of cases) {
    assertEquals([uri, isFolderUri(uri), absoluteFolderUri(uri), folderOf(uri)], [uri, true, absolute, folder]);
    assertEquals(absoluteFolderUri(absolute), absolute);
  }
});

Deno.test("other tracking URIs are no folders", () => {
  for (const uri of ["sqlite:///a.db", "http://a", "https://a/b", "ftp://x", "databricks", "databricks://a", ""]) {
    assertEquals([uri, isFolderUri(uri)], [uri, false]);
  }
});

Deno.test("a file: URI of another machine is refused", () => {
  assertThrows(
    () => folderOf("file://elsewhere/data"),
    MlflowError,
    'Cannot open tracking store "file://elsewhere/data": a folder\'s URI reads ./relative/path',
  );
});
