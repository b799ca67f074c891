/** A Python process that runs snippets, fed and read in JSON that keeps NaN and infinities. Used through `mlflow.ts`. */

/** How the process is started. */
export interface PythonInterpreterOptions {
  /** The folder that it runs in. */
  readonly cwd: string;
  /** Its whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** How long one snippet may take, in milliseconds. */
  readonly timeout: number;
}

// The reply goes to the real stdout; what a snippet prints goes to stderr, so that the two cannot mix.
// Python's json writes NaN as a bare word, which JSON.parse refuses: both sides write {"$number": "NaN"}.
const DRIVER = `
import json, math, os, sys, textwrap, traceback

replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)

def decode(value):
    if set(value) == {"$number"}:
        return float(value["$number"].replace("Infinity", "inf"))
    return value

def encode(value):
    if isinstance(value, float) and not math.isfinite(value):
        return {"$number": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
    if isinstance(value, dict):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [encode(v) for v in value]
    return value

scope = {"__name__": "__main__"}
for line in sys.stdin:
    request = json.loads(line, object_hook=decode)
    scope["args"] = request["args"]
    scope["result"] = None
    try:
        code = textwrap.dedent(request["code"])
        exec(compile(code, "<snippet>", "exec"), scope)
        reply = json.dumps({"result": encode(scope["result"])}, allow_nan=False)
    except BaseException:
        reply = json.dumps({"error": traceback.format_exc()})
    replies.write(reply + "\\n")
    replies.flush()
`;

/** A running Python. Disposing of it ends the process as at the end of a script: `atexit` functions run. */
export class PythonInterpreter implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #requests: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #replies: ReadableStreamDefaultReader<string>;
  readonly #stderr: Promise<void>;
  readonly #timeout: number;
  #log = "";
  #buffer = "";

  /** Starts `executable`. */
  constructor(executable: string, { cwd, env, timeout }: PythonInterpreterOptions) {
    this.#process = new Deno.Command(executable, {
      args: ["-c", DRIVER],
      cwd,
      env,
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#timeout = timeout;
    this.#requests = this.#process.stdin.getWriter();
    this.#replies = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#stderr = this.#readLog();
  }

  /** What Python, and the snippets, printed so far. */
  get log(): string {
    return this.#log;
  }

  /** The process's id. */
  get pid(): number {
    return this.#process.pid;
  }

  /**
   * Runs a snippet and returns what it left in `result`.
   *
   * @param code the snippet, of any indentation; it finds `args` and the globals of the snippets before it
   * @param args any value of JSON, and NaN and infinities
   * @throws {Error} if Python raises, with the traceback; if it ends, or takes longer than the timeout
   */
  async run<T = unknown>(code: string, args: unknown = null): Promise<T> {
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      this.#process.kill("SIGKILL");
    }, this.#timeout);
    try {
      await this.#requests.write(new TextEncoder().encode(`${stringify({ code, args })}\n`));
      const line = await this.#readLine();
      const reply = JSON.parse(line, revive) as { result: T; error?: string };
      if (reply.error !== undefined) throw new Error(`Cannot run Python snippet: ${reply.error}${this.#tail()}`);
      return reply.result;
    } catch (error) {
      if (timedOut) {
        throw new Error(`Cannot run Python snippet: took more than ${this.#timeout} ms${this.#tail()}`, {
          cause: error,
        });
      }
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Kills the process at once, as a crash would. */
  kill(): void {
    this.#process.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#requests.close().catch(() => {});
    await this.#process.status;
    await this.#stderr;
    await this.#replies.cancel();
  }

  async #readLine(): Promise<string> {
    let end: number;
    while ((end = this.#buffer.indexOf("\n")) < 0) {
      const { done, value } = await this.#replies.read();
      if (done) {
        await this.#stderr;
        throw new Error(`Cannot run Python snippet: the process ended${this.#tail()}`);
      }
      this.#buffer += value;
    }
    const line = this.#buffer.slice(0, end);
    this.#buffer = this.#buffer.slice(end + 1);
    return line;
  }

  async #readLog(): Promise<void> {
    for await (const text of this.#process.stderr.pipeThrough(new TextDecoderStream())) this.#log += text;
  }

  #tail(): string {
    const text = this.#log.trim();
    return text && `\nIts stderr ends with:\n${text.slice(-4000)}`;
  }
}

function stringify(value: unknown): string {
  return JSON.stringify(
    value,
    (_key, item) => typeof item === "number" && !Number.isFinite(item) ? { $number: `${item}` } : item,
  );
}

function revive(_key: string, value: unknown): unknown {
  return typeof value === "object" && value !== null && "$number" in value ? Number(value.$number) : value;
}
