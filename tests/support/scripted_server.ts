/** A server that says what a test has written down for it, faults included. */

/** A request as the server got it. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

/**
 * What the server does with a request: an answer, or `"close"`: ends the connection without one, `"half"`: ends it
 * within the body, `"stall"`: says nothing more, `"stall in body"`: says nothing more within the body.
 */
export type Line =
  | { readonly status?: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  | "close"
  | "half"
  | "stall"
  | "stall in body";

/** A server on a free port of 127.0.0.1 that has one line for each request; the last line is said ever again. */
export class ScriptedServer implements AsyncDisposable {
  /** The requests so far. */
  readonly seen: SeenRequest[] = [];
  readonly #listener: Deno.TcpListener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #connections = new Set<Deno.Conn>();
  readonly #work: Promise<unknown>[] = [];
  readonly #script: readonly Line[];

  constructor(...script: readonly Line[]) {
    this.#script = script;
    this.#work.push(this.#accept());
  }

  /** Where it listens, without a slash at the end. */
  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) connection.close();
    await Promise.allSettled(this.#work);
  }

  async #accept(): Promise<void> {
    try {
      for await (const connection of this.#listener) {
        this.#connections.add(connection);
        this.#work.push(this.#talk(connection));
      }
    } catch {
      // The listener was closed.
    }
  }

  /** One connection has one request: keeping it open is not what is tested here. */
  async #talk(connection: Deno.Conn): Promise<void> {
    this.seen.push(await readRequest(connection));
    const line = this.#script[Math.min(this.seen.length, this.#script.length) - 1];
    if (line === "stall") return;
    if (line === "half" || line === "stall in body") {
      await write(connection, `HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"experiment": {"na`);
      if (line === "stall in body") return;
    } else if (line !== "close") {
      const { status = 200, headers = {}, body = "{}" } = line;
      const all = { "content-type": "application/json", connection: "close", ...headers };
      const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("");
      const length = new TextEncoder().encode(body).length;
      await write(connection, `HTTP/1.1 ${status} Scripted\r\n${head}content-length: ${length}\r\n\r\n${body}`);
    }
    this.#connections.delete(connection);
    connection.close();
  }
}

async function write(connection: Deno.Conn, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

async function readRequest(connection: Deno.Conn): Promise<SeenRequest> {
  const decoder = new TextDecoder("latin1");
  const chunk = new Uint8Array(65_536);
  let text = "";
  while (true) {
    const end = text.indexOf("\r\n\r\n");
    if (end >= 0) {
      const [first, ...lines] = text.slice(0, end).split("\r\n");
      const headers = new Headers(lines.map((line) => line.split(/: ?(.*)/s).slice(0, 2) as [string, string]));
      const body = text.slice(end + 4);
      if (body.length >= Number(headers.get("content-length") ?? 0)) {
        const [method, path] = first.split(" ");
        const bytes = Uint8Array.from(body, (c) => c.charCodeAt(0));
        return { method, path, headers, body: new TextDecoder().decode(bytes) };
      }
    }
    const read = await connection.read(chunk);
    if (read === null) throw new Error(`Cannot read request: it ends within ${JSON.stringify(text.slice(0, 100))}`);
    text += decoder.decode(chunk.subarray(0, read));
  }
}
