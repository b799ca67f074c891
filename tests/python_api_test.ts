/** Holds `docs/python_api.md` to Python's names, and to what this library really exports. */
import { assert, assertEquals } from "@std/assert";
import * as mlflow from "../mod.ts";

const read = (path: string) => Deno.readTextFileSync(new URL(path, import.meta.url));
/** The functions of Python's `mlflow` 3.17.2 and the methods of its client. */
const NAMES = read("./testdata/python_api.txt").trim().split("\n");
const SECTIONS = read("../docs/python_api.md").split(/^## /m);

/** The cells of a section's table. */
function table(title: string): string[][] {
  const section = SECTIONS.find((section) => section.startsWith(`${title}\n`));
  assert(section !== undefined, `no section "${title}"`);
  const lines = section.split("\n").filter((line) => line.startsWith("|")).slice(2);
  return lines.map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

const codes = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code);
const OURS = ["mlflow", "mlflow.artifacts and mlflow.data", "MlflowClient"].flatMap(table);

Deno.test("docs/python_api.md has each of Python's functions once", () => {
  const there = [...OURS, ...table("Not here")].flatMap(([python]) => codes(python));
  const ours = there.filter((name) => !/^(artifacts|data|keras|models|pyfunc|tensorflow)\./.test(name));
  assertEquals(ours.sort(), [...NAMES].sort());
});

Deno.test("docs/python_api.md names only what this library exports", () => {
  const exported = (name: string) => {
    const [, owner, member] = /^(client|run)\.(\w+)$/.exec(name) ?? [];
    if (owner === "client") return member in mlflow.MlflowClient.prototype;
    if (owner === "run") return member in mlflow.Run.prototype;
    return typeof mlflow[name as keyof typeof mlflow] === "function";
  };
  for (const [python, ours] of OURS) {
    const names = codes(ours);
    assert(names.length > 0, `nothing is named for ${python}`);
    for (const name of names) assert(exported(name), `${python} is said to be ${name}, which is not exported`);
  }
});

Deno.test("docs/python_api.md names what is not here and not exported", () => {
  const camel = (name: string) => name.replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
  // `searchDatasets` is of the datasets of runs here, in Python of evaluation datasets.
  const others = ["MlflowClient.search_datasets"];
  for (const name of table("Not here").flatMap(([python]) => codes(python))) {
    if (others.includes(name)) continue;
    const method = /^MlflowClient\.(\w+)$/.exec(name)?.[1];
    const found = method === undefined ? camel(name) in mlflow : camel(method) in mlflow.MlflowClient.prototype;
    assert(!found, `${name} is said not to be here, and is exported`);
  }
});
