import { delimiter, dirname } from "@std/path";
import { readEnv } from "../env.ts";

/** The ends that a program comes to because somebody wanted it to end. */
const KILLING_SIGNALS = ["SIGHUP", "SIGINT", "SIGKILL", "SIGQUIT", "SIGTERM"];
/** What a shell answers where a program of it came to such an end: 128 and the signal's number. */
const KILLED_CODES = [129, 130, 131, 137, 143];

/** How a child came to its end. */
export interface ChildEnd {
  readonly status: "FINISHED" | "FAILED" | "KILLED";
  readonly exitCode: number;
}

/** A shell's command that has this program's terminal, in a process group of its own. */
export class Child {
  /** Resolves when the command has ended. */
  readonly end: Promise<ChildEnd>;
  readonly #process: Deno.ChildProcess;

  /**
   * Starts the command.
   *
   * @param env variables beside those of this program
   */
  constructor(command: string, cwd: string, env: Readonly<Record<string, string>>) {
    this.#process = new Deno.Command("bash", {
      args: ["-c", command],
      cwd,
      env: { ...path(), ...env },
      stdin: "inherit",
      stdout: "inherit",
      stderr: "inherit",
      // The terminal sends Ctrl-C to its whole group: a child in it would be told twice, by the terminal and by us.
      detached: true,
    }).spawn();
    // Only now: a signal that is ignored, as by nohup, is ignored by the child too if nobody listens when it starts.
    const hangUp = () => this.signal("SIGHUP");
    Deno.addSignalListener("SIGHUP", hangUp);
    this.end = this.#process.status.then(({ code, signal }) => {
      Deno.removeSignalListener("SIGHUP", hangUp);
      const killed = signal === null ? KILLED_CODES.includes(code) : KILLING_SIGNALS.includes(signal);
      return { status: killed ? "KILLED" : code === 0 ? "FINISHED" : "FAILED", exitCode: code };
    });
  }

  /** Sends a signal to the command and all that it has started. */
  signal(name: "SIGHUP" | "SIGINT" | "SIGKILL"): void {
    try {
      Deno.kill(-this.#process.pid, name);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** The Deno that runs this program serves the command too where the machine has no other. */
function path(): Record<string, string> {
  const path = readEnv("PATH");
  return path === undefined ? {} : { PATH: `${path}${delimiter}${dirname(Deno.execPath())}` };
}
