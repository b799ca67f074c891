/** The process of a headless Chromium and the one WebSocket to it. Used through `chromium.ts`. */

/** Why Chromium cannot be used here; undefined where it can. */
export function missingChromium(): string | undefined {
  const path = chromiumPath();
  if (path === undefined) return "no Chromium in /usr/bin";
  try {
    Deno.statSync(path);
  } catch {
    return `no Chromium at ${path}`;
  }
}

function chromiumPath(): string | undefined {
  const given = Deno.env.get("CHROMIUM");
  if (given) return given;
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
  return names.map((name) => `/usr/bin/${name}`).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

/** The process. Disposing of it kills it, with its helpers, and removes its profile. */
export class Browser implements AsyncDisposable {
  /** Called with every event of every session. */
  onEvent: (method: string, params: unknown) => void = () => {};
  readonly #process: Deno.ChildProcess;
  readonly #profile: string;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #socket: WebSocket | undefined;
  #log = "";
  #output: Promise<void> | undefined;
  #nextId = 1;

  private constructor(process: Deno.ChildProcess, profile: string) {
    this.#process = process;
    this.#profile = profile;
  }

  static async launch(width: number, height: number): Promise<Browser> {
    const path = chromiumPath();
    if (path === undefined) throw new Error(`Cannot start Chromium: ${missingChromium()}`);
    const profile = await Deno.makeTempDir({ prefix: "mlflow-deno-chromium-" });
    const process = new Deno.Command(path, {
      args: [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--hide-scrollbars",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--remote-debugging-port=0",
        `--user-data-dir=${profile}`,
        `--window-size=${width},${height}`,
        "about:blank",
      ],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
      detached: true,
    }).spawn();
    const browser = new Browser(process, profile);
    try {
      await browser.#connect();
    } catch (error) {
      await browser[Symbol.asyncDispose]();
      throw error;
    }
    return browser;
  }

  /** Sends one command and returns its result. */
  async send<T>(method: string, params: Record<string, unknown> = {}, sessionId?: string): Promise<T> {
    const id = this.#nextId++;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    this.#socket!.send(JSON.stringify({ id, method, params, sessionId }));
    try {
      return await waiting.promise as T;
    } catch (error) {
      throw new Error(`Cannot run ${method} in Chromium: ${(error as Error).message}`, { cause: error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      Deno.kill(-this.#process.pid, "SIGKILL");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    await this.#process.status;
    await this.#output;
    if (this.#socket && this.#socket.readyState !== WebSocket.CLOSED) {
      const closed = Promise.withResolvers<void>();
      this.#socket.onclose = () => closed.resolve();
      this.#socket.close();
      await closed.promise;
    }
    await Deno.remove(this.#profile, { recursive: true });
  }

  async #connect(): Promise<void> {
    const address = Promise.withResolvers<string>();
    this.#output = this.#readLog(address);
    const timer = setTimeout(() => address.reject(new Error("no DevTools address within 30 s")), 30_000);
    try {
      const socket = new WebSocket(await address.promise);
      this.#socket = socket;
      const opened = Promise.withResolvers<void>();
      socket.onopen = () => opened.resolve();
      socket.onerror = (event) => opened.reject(new Error(event instanceof ErrorEvent ? event.message : "closed"));
      socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
      socket.onclose = () => {
        for (const { reject } of this.#waiting.values()) reject(new Error(`it ended. It printed:\n${this.#log}`));
      };
      await opened.promise;
    } catch (error) {
      throw new Error(`Cannot start Chromium: ${(error as Error).message}. It printed:\n${this.#log}`, {
        cause: error,
      });
    } finally {
      clearTimeout(timer);
    }
  }

  async #readLog({ resolve, reject }: PromiseWithResolvers<string>): Promise<void> {
    for await (const text of this.#process.stderr.pipeThrough(new TextDecoderStream())) {
      this.#log += text;
      const address = this.#log.match(/DevTools listening on (ws:\S+)\s/)?.[1];
      if (address) resolve(address);
    }
    reject(new Error("it ended"));
  }

  #receive({ id, method, params, result, error }: Reply): void {
    if (id === undefined) {
      this.onEvent(method!, params);
      return;
    }
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) waiting?.reject(new Error(error.message));
    else waiting?.resolve(result);
  }
}
