/** Holds who may import whom, so that the parts of the library stay apart. */
import { assertEquals } from "@std/assert";
import { type Import, type ImportGraph, readImportGraph } from "./support/import_graph.ts";

/** What some files must not import. */
interface Rule {
  readonly name: string;
  /** The files it binds. */
  readonly subject: (file: string) => boolean;
  /** What they must not import. */
  readonly forbidden: (target: string) => boolean;
  /** The kinds of import it looks at. @default {all} */
  readonly kinds?: readonly Import["kind"][];
  /** Whether it also binds whatever the files import in their turn. @default {false} */
  readonly reach?: "transitive";
}

const RUN_TIME = ["static", "dynamic"] as const;
const ours = (target: string) => !/^[a-z]+:/.test(target);
const oneOf = (...names: string[]) => (file: string) =>
  names.some((name) => name.endsWith("/") ? file.startsWith(name) : file === name);
// `registry_store.ts` is an interface, as `store.ts` is.
const store = (target: string) => /^stores\/(?!open_store|registry_store).+_store\.ts$/.test(target);
const repository = (target: string) => /^artifacts\/(?!open_repository).+_repository\.ts$/.test(target);
const tfjs = (target: string) => target.startsWith("npm:@tensorflow/");
const runs = oneOf(
  "mod.ts",
  "fluent.ts",
  "client.ts",
  "callback.ts",
  "models.ts",
  "projects.ts",
  "projects/",
  "registry/",
  "stores/",
  "tracking/",
  "artifacts/",
);

const RULES: readonly Rule[] = [
  {
    name: "entities.ts and errors.ts import nothing of ours",
    subject: oneOf("entities.ts", "errors.ts"),
    forbidden: ours,
  },
  {
    name: "only stores/open_store.ts knows the stores",
    subject: (file) => file !== "stores/open_store.ts",
    forbidden: store,
  },
  {
    name: "only artifacts/open_repository.ts knows the repositories",
    subject: (file) => file !== "artifacts/open_repository.ts",
    forbidden: repository,
  },
  {
    name: "plots.ts and images.ts know nothing of runs",
    subject: oneOf("plots.ts", "images.ts", "plot/", "image/"),
    forbidden: runs,
    reach: "transitive",
  },
  {
    name: "callback.ts loads no tfjs",
    subject: oneOf("callback.ts"),
    forbidden: tfjs,
    kinds: RUN_TIME,
    reach: "transitive",
  },
  {
    name: "callback.ts knows of the client only its types",
    subject: oneOf("callback.ts"),
    forbidden: oneOf("mod.ts", "client.ts", "stores/", "artifacts/"),
    kinds: RUN_TIME,
  },
  {
    name: "callback.ts knows no store and no repository",
    subject: oneOf("callback.ts"),
    forbidden: oneOf("stores/", "artifacts/"),
  },
  {
    name: "mod.ts loads neither tfjs nor canvaskit until they are used",
    subject: oneOf("mod.ts"),
    forbidden: (target) => tfjs(target) || target === "npm:canvaskit-wasm",
    kinds: ["static"],
    reach: "transitive",
  },
  {
    // Each takes longer to load than a run to start.
    name: "mod.ts loads no heavy module of Node until it is used",
    subject: oneOf("mod.ts"),
    forbidden: (target) =>
      [
        "node:crypto",
        "node:fs",
        "node:https",
        "node:process",
        "node:stream",
        "node:zlib",
        "npm:hyparquet",
        "npm:hyparquet-writer",
        "npm:js-yaml",
      ].includes(target),
    kinds: ["static"],
    reach: "transitive",
  },
  {
    name: "mod.ts loads no artifact repository and nothing for servers until it is used",
    subject: oneOf("mod.ts"),
    // What a run's own files and its models' are together is what opens the others.
    forbidden: (target) =>
      target === "stores/http.ts" || (repository(target) && target !== "artifacts/run_repository.ts"),
    kinds: ["static"],
    reach: "transitive",
  },
  {
    name: "nothing imports cli.ts or server/ but the command line",
    subject: (file) => !oneOf("cli.ts", "cli/", "server/")(file),
    forbidden: oneOf("cli.ts", "cli/", "server/"),
  },
  {
    name: "the library imports nothing of tests, examples or benchmarks",
    subject: () => true,
    forbidden: oneOf("tests/", "examples/", "benchmarks/"),
  },
  {
    // What is published from JSR cannot import by http, and a machine without JSR has to run the same code.
    name: "the library imports nothing by jsr: or http",
    subject: () => true,
    forbidden: (target) => /^(jsr|https?):/.test(target),
  },
];

/** The imports that break a rule, each as the way to it: "a.ts -> b.ts -> npm:c". */
function violations({ files, imports }: ImportGraph, { subject, forbidden, kinds, reach }: Rule): string[] {
  const followed = imports.filter(({ kind }) => kinds?.includes(kind) ?? true);
  const found: string[] = [];
  const seen = new Set<string>();
  const ways = files.filter(subject).map((file) => [file]);
  for (let way = ways.shift(); way !== undefined; way = ways.shift()) {
    const file = way.at(-1)!;
    if (seen.has(file)) continue;
    seen.add(file);
    for (const { from, to } of followed) {
      if (from !== file) continue;
      if (forbidden(to)) found.push([...way, to].join(" -> "));
      else if (reach === "transitive" && ours(to)) ways.push([...way, to]);
    }
  }
  return found.sort();
}

Deno.test("the library keeps its import rules", async (t) => {
  const root = Deno.realPathSync(new URL("..", import.meta.url));
  const graph = await readImportGraph(root);
  for (const rule of RULES) {
    const bound = graph.files.filter(rule.subject);
    await t.step({
      name: bound.length > 0 ? rule.name : `${rule.name} (ignored: it binds no file that is there yet)`,
      ignore: bound.length === 0,
      fn: () => assertEquals(violations(graph, rule), []),
    });
  }
});

/** What each rule says of one import, or of a chain of them, that it is there to forbid. */
const BROKEN: Readonly<Record<string, readonly Import[]>> = {
  "entities.ts and errors.ts import nothing of ours": [{ from: "entities.ts", to: "errors.ts", kind: "type" }],
  "only stores/open_store.ts knows the stores": [{ from: "client.ts", to: "stores/sqlite_store.ts", kind: "dynamic" }],
  "only artifacts/open_repository.ts knows the repositories": [
    { from: "models.ts", to: "artifacts/local_repository.ts", kind: "static" },
  ],
  "plots.ts and images.ts know nothing of runs": [
    { from: "plots.ts", to: "validate.ts", kind: "dynamic" },
    { from: "validate.ts", to: "fluent.ts", kind: "type" },
  ],
  "callback.ts loads no tfjs": [
    { from: "callback.ts", to: "progress.ts", kind: "static" },
    { from: "progress.ts", to: "npm:@tensorflow/tfjs", kind: "dynamic" },
  ],
  "callback.ts knows of the client only its types": [{ from: "callback.ts", to: "client.ts", kind: "static" }],
  "callback.ts knows no store and no repository": [{ from: "callback.ts", to: "stores/store.ts", kind: "type" }],
  "mod.ts loads neither tfjs nor canvaskit until they are used": [
    { from: "mod.ts", to: "plots.ts", kind: "static" },
    { from: "plots.ts", to: "npm:canvaskit-wasm", kind: "static" },
  ],
  "mod.ts loads no heavy module of Node until it is used": [
    { from: "mod.ts", to: "images.ts", kind: "static" },
    { from: "images.ts", to: "node:zlib", kind: "static" },
  ],
  "mod.ts loads no artifact repository and nothing for servers until it is used": [
    { from: "mod.ts", to: "artifacts/open_repository.ts", kind: "static" },
    { from: "artifacts/open_repository.ts", to: "artifacts/local_repository.ts", kind: "static" },
  ],
  "nothing imports cli.ts or server/ but the command line": [{
    from: "mod.ts",
    to: "server/handler.ts",
    kind: "static",
  }],
  "the library imports nothing of tests, examples or benchmarks": [
    { from: "yaml.ts", to: "tests/support/assert.ts", kind: "static" },
  ],
  "the library imports nothing by jsr: or http": [{ from: "yaml.ts", to: "jsr:@std/yaml@1", kind: "static" }],
};

/** Imports that no rule forbids. */
const ALLOWED: readonly Import[] = [
  { from: "stores/open_store.ts", to: "stores/sqlite_store.ts", kind: "static" },
  { from: "stores/sqlite_store.ts", to: "stores/store.ts", kind: "static" },
  { from: "artifacts/open_repository.ts", to: "artifacts/local_repository.ts", kind: "static" },
  { from: "client.ts", to: "stores/open_store.ts", kind: "static" },
  { from: "callback.ts", to: "client.ts", kind: "type" },
  { from: "callback.ts", to: "npm:@tensorflow/tfjs", kind: "type" },
  { from: "mod.ts", to: "plots.ts", kind: "static" },
  { from: "plots.ts", to: "plot/canvaskit.ts", kind: "dynamic" },
  { from: "plot/canvaskit.ts", to: "npm:canvaskit-wasm", kind: "static" },
  { from: "cli.ts", to: "cli/run.ts", kind: "static" },
  { from: "cli/ui.ts", to: "server/handler.ts", kind: "static" },
];

Deno.test("violations() finds what each rule forbids, with the way to it", async (t) => {
  for (const rule of RULES) {
    await t.step(rule.name, () => {
      const imports = BROKEN[rule.name];
      const chain = [imports[0].from, ...imports.map(({ to }) => to)].join(" -> ");
      assertEquals(violations(graphOf(imports), rule), [chain]);
      assertEquals(violations(graphOf(ALLOWED), rule), []);
    });
  }
});

function graphOf(imports: readonly Import[]): ImportGraph {
  return { files: [...new Set(imports.flatMap(({ from, to }) => [from, to]).filter(ours))], imports };
}
