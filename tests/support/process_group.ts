/** A program that starts others, such as a server with its workers, and has to end with all of them. */

/** What is started. */
export interface ProcessGroupOptions {
  /** The program. */
  readonly command: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** The folder that it runs in. @default {this process's} */
  readonly cwd?: string;
  /** Its whole environment. @default {this process's} */
  readonly env?: Readonly<Record<string, string>>;
  /** Called with what it writes to stdout and stderr, as it comes. */
  readonly onOutput: (text: string) => void;
}

// A group of its own is not reached by the terminal's Ctrl-C: it also ends when this process does, however it ends,
// because that closes the pipe on which the shell's other half waits.
const SCRIPT = `
exec 3<&0
(cat; kill -KILL 0) <&3 >/dev/null 2>&1 &
"$@" </dev/null 3<&- &
wait $!
`;

/** A running program and all that it started. Disposing of it kills them. */
export class ProcessGroup implements AsyncDisposable {
  /** The program's exit code, undefined while it runs. */
  exitCode: number | undefined;
  /** Resolves when all output was read. */
  readonly output: Promise<unknown>;
  readonly #process: Deno.ChildProcess;

  /** Starts the program. */
  constructor({ command, args, cwd, env, onOutput }: ProcessGroupOptions) {
    this.#process = new Deno.Command("/bin/sh", {
      args: ["-c", SCRIPT, "sh", command, ...args],
      ...(cwd === undefined ? {} : { cwd }),
      ...(env === undefined ? {} : { env, clearEnv: true }),
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
    const { stdout, stderr, status } = this.#process;
    this.output = Promise.all([stdout, stderr].map(async (stream) => {
      for await (const text of stream.pipeThrough(new TextDecoderStream())) onOutput(text);
    }));
    status.then(({ code }) => this.exitCode = code);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      Deno.kill(-this.#process.pid, "SIGKILL");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    await this.#process.status;
    await this.output;
    await this.#process.stdin.close().catch(() => {});
  }
}
