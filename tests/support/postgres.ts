/** A PostgreSQL server of a test's own, from Debian's package, in a temporary folder. */
import { join } from "@std/path";
import { ProcessGroup } from "./process_group.ts";

/** Where Debian puts the programs of each release. */
const DEBIAN = "/usr/lib/postgresql";

/** A running server with one empty database. Disposing of it ends the server and removes its files. */
export class Postgres implements AsyncDisposable {
  /** The database's URI, as MLflow takes it. */
  readonly uri: string;
  readonly #dir: string;
  readonly #process: ProcessGroup;

  private constructor(uri: string, dir: string, process: ProcessGroup) {
    this.uri = uri;
    this.#dir = dir;
    this.#process = process;
  }

  /** Makes a database and returns when the server takes connections to it. */
  static async start(): Promise<Postgres> {
    const bin = findPrograms()!;
    const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
    const user = await ownUser();
    // PostgreSQL refuses to run as root: there it runs as the user of Debian's package.
    const as = user === undefined ? [] : ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups"];
    const data = join(dir, "data");
    if (user !== undefined) await run(["chown", user, dir]);
    await run([...as, join(bin, "initdb"), "-D", data, "-U", "mlflow", "-A", "trust", "-E", "UTF8", "--no-sync"]);
    const port = freePort();
    const settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "full_page_writes=off"];
    const [command, ...args] = [...as, join(bin, "postgres"), "-D", data, "-p", `${port}`];
    let log = "";
    const process = new ProcessGroup({
      command,
      args: [...args, ...settings.flatMap((setting) => ["-c", setting])],
      cwd: dir,
      onOutput: (text) => log += text,
    });
    const server = new Postgres(`postgresql+psycopg2://mlflow@127.0.0.1:${port}/postgres`, dir, process);
    for (const end = Date.now() + 60_000; !await answers(bin, port);) {
      if (process.exitCode !== undefined || Date.now() > end) {
        await server[Symbol.asyncDispose]();
        throw new Error(`Cannot start PostgreSQL: it printed\n${log}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
    await Deno.remove(this.#dir, { recursive: true });
  }
}

/** Why no PostgreSQL can be started here for this Python; undefined where one can. */
export function missingPostgres(python: string): string | undefined {
  if (findPrograms() === undefined) return `no PostgreSQL in ${DEBIAN}`;
  return missingPackage(python, "psycopg2");
}

/** Why a Python cannot import a package; undefined where it is there. */
export function missingPackage(python: string, name: string): string | undefined {
  const lib = join(python, "..", "..", "lib");
  const found = entries(lib).map((release) => join(lib, release, "site-packages", name));
  if (!found.some((path) => entries(path).length > 0)) return `no ${name} beside ${python}`;
}

/** The folder of the newest release's programs. */
function findPrograms(): string | undefined {
  const releases = entries(DEBIAN).map(Number).filter(Number.isInteger).sort((a, b) => b - a);
  return releases.map((release) => join(DEBIAN, `${release}`, "bin")).find((bin) => entries(bin).includes("postgres"));
}

function entries(path: string): string[] {
  try {
    return [...Deno.readDirSync(path)].map(({ name }) => name);
  } catch {
    return [];
  }
}

async function ownUser(): Promise<string | undefined> {
  return (await run(["id", "-u"])).trim() === "0" ? "postgres" : undefined;
}

async function answers(bin: string, port: number): Promise<boolean> {
  const args = ["-q", "-h", "127.0.0.1", "-p", `${port}`, "-U", "mlflow"];
  return (await new Deno.Command(join(bin, "pg_isready"), { args }).output()).success;
}

async function run([command, ...args]: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, cwd: "/" }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (!success) throw new Error(`Cannot run ${command} ${args.join(" ")}: ${text(stderr)}`);
  return text(stdout);
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
