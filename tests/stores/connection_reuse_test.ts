/** When connections are kept, and that they are not on a server that is slow on them. */
import { assertEquals } from "@std/assert";
import { ConnectionReuse } from "../../stores/connection_reuse.ts";
import { HttpClient } from "../../stores/http.ts";
import { withEnv } from "../support/env.ts";

const CASES: readonly [string, readonly number[], boolean][] = [
  ["http://a", [], false],
  ["http://a", [40], false],
  ["http://a", [40, 44], true],
  ["http://a", [40, 0.2, 41], false],
  ["http://a", [0.2, 1, 0.1, 3], false],
  ["http://a", [40, 41, 0.2, 0.1], true],
  ["http://a", [2000, 1000], false],
  ["https://a", [40, 40, 40], false],
];

for (const [url, waits, isSlow] of CASES) {
  Deno.test(`ConnectionReuse takes ${url} for ${isSlow ? "slow" : "good"} after waits of [${waits}] ms`, () => {
    const reuse = new ConnectionReuse(url);
    for (const wait of waits) reuse.answered(wait);
    assertEquals(reuse.isSlow, isSlow);
  });
}

Deno.test("HttpClient takes a new connection for each request where a server holds its bodies back", () =>
  withEnv({ HOME: undefined }, async () => {
    const seen: (string | null)[] = [];
    const answer = ({ headers }: Request) => {
      seen.push(headers.get("connection"));
      const body = new ReadableStream({
        async start(controller) {
          await new Promise((resolve) => setTimeout(resolve, 45));
          controller.enqueue(new TextEncoder().encode("{}"));
          controller.close();
        },
      });
      return new Response(body, { headers: { "content-length": "2" } });
    };
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
    using http = await HttpClient.open(`http://127.0.0.1:${server.addr.port}`);
    await http.json({ method: "GET", path: "/a" });
    assertEquals(await (await http.send({ method: "GET", path: "/b" })).text(), "{}");
    await http.json({ method: "POST", path: "/c", json: {} });
    await http.send({ method: "GET", path: "/d" });
    assertEquals(seen, [null, null, "close", "close"]);
  }));
