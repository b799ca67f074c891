/** The process of a headless Chromium and the one WebSocket to it. Used through `chromium.ts`. */
import { ProcessGroup } from "./process_group.ts";

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
  readonly #processes: ProcessGroup;
  readonly #profile: string;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #socket: WebSocket | undefined;
  #log = "";
  #nextId = 1;

  private constructor(path: string, profile: string, width: number, height: number) {
    this.#profile = profile;
    this.#processes = new ProcessGroup({
      command: path,
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
      onOutput: (text) => this.#log += text,
    });
  }

  static async launch(width: number, height: number): Promise<Browser> {
    const path = chromiumPath();
    if (path === undefined) throw new Error(`Cannot start Chromium: ${missingChromium()}`);
    const browser = new Browser(path, await Deno.makeTempDir({ prefix: "mlflow-deno-chromium-" }), width, height);
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
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      throw new Error(`Cannot run ${method} in Chromium: it ended. It printed:\n${this.#log}`);
    }
    const id = this.#nextId++;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    try {
      return await waiting.promise as T;
    } catch (error) {
      throw new Error(`Cannot run ${method} in Chromium: ${(error as Error).message}`, { cause: error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes[Symbol.asyncDispose]();
    if (this.#socket && this.#socket.readyState !== WebSocket.CLOSED) {
      const closed = Promise.withResolvers<void>();
      this.#socket.onclose = () => closed.resolve();
      this.#socket.close();
      await closed.promise;
    }
    await Deno.remove(this.#profile, { recursive: true });
  }

  async #connect(): Promise<void> {
    const address = await this.#address();
    const socket = new WebSocket(address);
    this.#socket = socket;
    const opened = Promise.withResolvers<void>();
    socket.onopen = () => opened.resolve();
    socket.onerror = () => opened.reject(new Error(`Cannot start Chromium: no connection to ${address}`));
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = () => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`it ended. It printed:\n${this.#log}`));
      this.#waiting.clear();
    };
    await opened.promise;
  }

  async #address(): Promise<string> {
    const end = Date.now() + 30_000;
    for (;;) {
      const address = this.#log.match(/DevTools listening on (ws:\S+)\s/)?.[1];
      if (address) return address;
      const { exitCode } = this.#processes;
      if (exitCode !== undefined || Date.now() > end) {
        const state = exitCode === undefined ? "no DevTools address within 30 s" : `it ended with code ${exitCode}`;
        throw new Error(`Cannot start Chromium: ${state}. It printed:\n${this.#log}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
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
