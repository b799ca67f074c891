/**
 * The package as its users get it: exactly the files that `deno publish` would send, served over local HTTP, and an
 * empty project that imports them. Against JSR one thing differs: `--allow-import` has to name the local server.
 */
import { join, relative } from "@std/path";
import { deno } from "./deno.ts";

/** What a project that uses the package is made of. */
export interface ConsumerOptions {
  /** Its files, text by path. */
  readonly files: Readonly<Record<string, string>>;
  /** Its own packages beside ours. @default {all npm packages of our import map} */
  readonly imports?: Readonly<Record<string, string>>;
}

const TYPES: Readonly<Record<string, string>> = { ".ts": "application/typescript", ".js": "text/javascript" };

/** The package behind a local HTTP server. Disposing of it stops the server and clears Deno's cache of it. */
export class PublishedPackage implements AsyncDisposable {
  /** The paths of the files that would be published. */
  readonly files: readonly string[];
  /** Paths that were asked for though they would not be published. Has to stay empty. */
  readonly missed: string[] = [];
  /** The paths that were asked for. */
  readonly served: Set<string> = new Set();
  readonly #config: Config;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  // Deno keeps what it imports by its address for good, and a port comes round again: each server has its own path.
  readonly #base = `/${crypto.randomUUID()}/`;

  private constructor(root: string, files: readonly string[], config: Config) {
    this.files = files;
    this.#config = config;
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
      const { pathname } = new URL(request.url);
      const path = decodeURIComponent(pathname).replace(this.#base, "");
      if (!files.includes(path)) {
        this.missed.push(path);
        return new Response("not published", { status: 404 });
      }
      this.served.add(path);
      const type = TYPES[path.slice(path.lastIndexOf("."))] ?? "application/octet-stream";
      return new Response(await Deno.readFile(join(root, path)), { headers: { "content-type": type } });
    });
  }

  /** Serves the package whose `deno.json` is in `root`. */
  static async serve(root: string): Promise<PublishedPackage> {
    const config = JSON.parse(await Deno.readTextFile(join(root, "deno.json"))) as Config;
    return new PublishedPackage(root, await publishedFiles(root), config);
  }

  /** The server's host and port, for `--allow-import`. */
  get host(): string {
    return `127.0.0.1:${this.#server.addr.port}`;
  }

  /** Makes a project that uses the package in an empty folder. */
  async writeConsumer(dir: string, { files, imports = this.#npmImports() }: ConsumerOptions): Promise<void> {
    const base = `http://${this.host}${this.#base}`;
    const { name, exports } = this.#config;
    const ours = Object.entries(exports).map(([key, path]) => [join(name, key), new URL(path, base).href]);
    // JSR writes the packages' full names into the published files; here the scope says what they stand for.
    const scopes = { [base]: this.#publishedImports() };
    const config = { nodeModulesDir: "auto", imports: { ...Object.fromEntries(ours), ...imports }, scopes };
    for (const [path, text] of Object.entries({ ...files, "deno.json": JSON.stringify(config, null, 2) })) {
      await Deno.mkdir(join(dir, path, ".."), { recursive: true });
      await Deno.writeTextFile(join(dir, path), text);
    }
  }

  /** Runs a program of such a project, with no prompt and no import from elsewhere than JSR's stand-in. */
  async run(dir: string, flags: readonly string[], program: string, args: readonly string[] = []): Promise<string> {
    // Deno refuses --allow-import beside -A, which allows it anyway.
    const all = flags.some((flag) => ["-A", "--allow-all"].includes(flag));
    const given = ["--no-prompt", ...all ? [] : [`--allow-import=${this.host}`]];
    const { stdout } = await deno(["run", ...flags, ...given, program, ...args], { cwd: dir });
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { hostname, port } = this.#server.addr;
    await this.#server.shutdown();
    const { stdout } = await deno(["info", "--json"], { cwd: Deno.cwd() });
    const { modulesCache } = JSON.parse(stdout) as { modulesCache: string };
    try {
      await Deno.remove(join(modulesCache, "http", `${hostname}_PORT${port}`), { recursive: true });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  #publishedImports(): Record<string, string> {
    const entries = Object.entries(this.#config.imports).filter(([, target]) => !target.startsWith("."));
    return Object.fromEntries(entries);
  }

  #npmImports(): Record<string, string> {
    return Object.fromEntries(
      Object.entries(this.#publishedImports()).filter(([, target]) => target.startsWith("npm:")),
    );
  }
}

interface Config {
  readonly name: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly imports: Readonly<Record<string, string>>;
}

/** The paths of the files that `deno publish` would send. */
export async function publishedFiles(root: string): Promise<string[]> {
  const { stderr, stdout } = await deno(["publish", "--dry-run", "--allow-dirty", "--no-check"], { cwd: root });
  const files = [...(stdout + stderr).matchAll(/^ +(file:\S+) \([\d.]+[kKM]?B\)$/gm)].map(([, url]) =>
    relative(root, decodeURIComponent(new URL(url).pathname))
  );
  if (files.length === 0) throw new Error(`Cannot list the published files: none in\n${stdout}${stderr}`);
  return files;
}
