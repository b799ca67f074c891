import https from "node:https";
import { Readable } from "node:stream";
import type { Sender } from "./tls_fetch.ts";

/** Deno's `fetch` always looks at certificates: what must not be looked at goes through Node's client. */
export function insecureSender(clientCert: string | undefined): Sender {
  const agent = new https.Agent({ keepAlive: true, rejectUnauthorized: false, cert: clientCert, key: clientCert });
  return {
    fetch: (url, init) => url.startsWith("https:") ? nodeFetch(url, init, agent) : fetch(url, init),
    [Symbol.dispose]: () => agent.destroy(),
  };
}

function nodeFetch(url: string, init: RequestInit, agent: https.Agent): Promise<Response> {
  return new Promise((resolve, reject) => {
    const headers = Object.fromEntries(new Headers(init.headers));
    const method = init.method ?? "GET";
    // An agent's own setting is not enough: Deno's node:https reads that of the request.
    const options = { agent, headers, method, rejectUnauthorized: false, signal: init.signal ?? undefined };
    const request = https.request(url, options, (message) => {
      const status = message.statusCode ?? 500;
      const empty = status === 204 || status === 304 || method === "HEAD";
      if (empty) message.resume();
      const body = empty ? null : Readable.toWeb(message) as ReadableStream<Uint8Array<ArrayBuffer>>;
      resolve(new Response(body, { status, headers: toHeaders(message.headers) }));
    });
    request.on("error", reject);
    sendBody(request, init.body).catch((error) => request.destroy(error));
  });
}

async function sendBody(request: NodeJS.WritableStream, body: BodyInit | null | undefined): Promise<void> {
  if (body !== undefined && body !== null) {
    if (typeof body === "string" || body instanceof Uint8Array) return void request.end(body);
    for await (const chunk of new Response(body).body!) {
      if (!request.write(chunk)) await new Promise((resolve) => request.once("drain", () => resolve(undefined)));
    }
  }
  request.end();
}

function toHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Headers {
  const all = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    for (const one of [value ?? []].flat()) all.append(name, one);
  }
  return all;
}
