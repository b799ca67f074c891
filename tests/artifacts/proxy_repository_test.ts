/** ProxyRepository over our own server, and against servers that misbehave. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { openRepository } from "../../artifacts/open_repository.ts";
import { ProxyRepository } from "../../artifacts/proxy_repository.ts";
import { readTransferSettings, type TransferSettings } from "../../artifacts/transfer_settings.ts";
import { MlflowError } from "../../errors.ts";
import { createHandler } from "../../server/handler.ts";
import { HttpClient } from "../../stores/http.ts";
import { openStore } from "../../stores/open_store.ts";
import { withEnv } from "../support/env.ts";
import { randomBytes } from "./random_bytes.ts";
import { type OpenedRepository, testRepositoryContract } from "./repository_contract.ts";

/** Names that MLflow's server would keep under other names, or refuse. */
const REFUSED_NAMES: readonly string[] = ["50%25.txt", "a#b.txt"];

testRepositoryContract("ProxyRepository over our server", async (): Promise<OpenedRepository> => {
  const artifactRoot = await Deno.makeTempDir({ prefix: "mlflow-artifacts-" });
  const store = await openStore("sqlite:///:memory:");
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    createHandler({ store, artifactRoot }),
  );
  return {
    repository: await openRepository("mlflow-artifacts:/2/run%20x/artifacts", {
      trackingUri: `http://127.0.0.1:${server.addr.port}`,
    }),
    async [Symbol.asyncDispose](): Promise<void> {
      await server.shutdown();
      await Deno.remove(artifactRoot, { recursive: true });
    },
  };
}, { refusedNames: REFUSED_NAMES });

const SETTINGS: TransferSettings = {
  ...readTransferSettings(),
  retries: { maxRetries: 2, backoffFactor: 0, backoffJitter: 0, respectRetryAfter: true },
};

/** A server with answers written down for it, and a repository on it. */
async function withServer(
  answer: (request: Request, count: number) => Response | Promise<Response>,
  work: (repository: ProxyRepository, dir: string, seen: Request[], url: string) => Promise<void>,
  settings: Partial<TransferSettings> = {},
): Promise<void> {
  const seen: Request[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {}, onError: () => new Response(null, { status: 500 }) },
    (request) => answer(request, seen.push(request)),
  );
  const url = `http://127.0.0.1:${server.addr.port}`;
  const http = await HttpClient.open(url, { maxRetries: 0 });
  const dir = await Deno.makeTempDir({ prefix: "mlflow-artifacts-" });
  try {
    await work(new ProxyRepository(async () => http, "1/r", { ...SETTINGS, ...settings }), dir, seen, url);
  } finally {
    await Deno.remove(dir, { recursive: true });
    await server.shutdown();
  }
}

function listing(...files: readonly Record<string, unknown>[]): Response {
  return Response.json({ files });
}

/** A body of which only the first bytes come. */
function broken(bytes: Uint8Array<ArrayBuffer>, after: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  let sent = false;
  return new ReadableStream({
    async pull(controller) {
      if (!sent) controller.enqueue(bytes.subarray(0, after));
      else {
        await new Promise((resolve) => setTimeout(resolve, 20));
        controller.error(new Error("cut"));
      }
      sent = true;
    },
  });
}

for (
  const name of [
    "../../etc/passwd",
    "..",
    "/etc/passwd",
    "a/../../b",
    "a\\b",
    "..\\b",
    "C:\\b",
    "C:/b",
    "a\0b",
    "",
    "a/b",
  ]
) {
  Deno.test(`ProxyRepository refuses a server that lists ${JSON.stringify(name)}`, async () => {
    const answer = (request: Request) => {
      const { pathname, searchParams } = new URL(request.url);
      if (!pathname.endsWith("/artifacts")) return new Response("evil");
      if (searchParams.get("path") === "1/r/a") return listing({ path: name, is_dir: false, file_size: 4 });
      return listing({ path: "a", is_dir: true });
    };
    await withServer(answer, async (repository, dir) => {
      const target = join(dir, "deep", "er", "target");
      for (const work of [() => repository.list("a"), () => repository.download("a", target)]) {
        const { code, message } = await assertRejects(work, MlflowError);
        assertEquals(code, "INVALID_PARAMETER_VALUE");
        assert(message.includes(JSON.stringify(name)), message);
      }
      assertEquals([...Deno.readDirSync(dir)], []);
    });
  });
}

Deno.test("ProxyRepository.download() takes a broken download up where it broke off", async () => {
  const bytes = randomBytes(3_000_000, 1);
  const answer = (request: Request) => {
    if (new URL(request.url).pathname.endsWith("/artifacts")) {
      return listing({ path: "a.bin", is_dir: false, file_size: bytes.length });
    }
    const start = Number(/bytes=(\d+)-/.exec(request.headers.get("range") ?? "")?.[1] ?? 0);
    const headers = {
      etag: '"v1"',
      "content-length": String(bytes.length - start),
      ...start === 0 ? {} : { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` },
    };
    const rest = bytes.slice(start);
    const body = start < 2_000_000 ? broken(rest, 1_000_000) : rest;
    return new Response(body, { status: start === 0 ? 200 : 206, headers });
  };
  await withServer(answer, async (repository, dir, seen) => {
    await repository.download("a.bin", join(dir, "a.bin"));
    assertEquals((await Deno.readFile(join(dir, "a.bin"))).every((byte, i) => byte === bytes[i]), true);
    const ranges = seen.slice(1).map(({ headers }) => [headers.get("range"), headers.get("if-range")]);
    assertEquals(ranges[0], [null, null]);
    assert(ranges.length >= 3);
    assert(ranges.slice(1).every(([range, version]) => /^bytes=[1-9]\d*-$/.test(range!) && version === '"v1"'));
  });
});

Deno.test("ProxyRepository.download() begins anew where another version of the file has come", async () => {
  const [old, young] = [randomBytes(2_000_000, 1), randomBytes(2_000_000, 2)];
  let gets = 0;
  const answer = (request: Request) => {
    if (new URL(request.url).pathname.endsWith("/artifacts")) {
      return listing({ path: "a.bin", is_dir: false, file_size: 2_000_000 });
    }
    const headers = { etag: `"v${++gets}"`, "content-length": "2000000" };
    return new Response(gets === 1 ? broken(old, 1_500_000) : young, { headers });
  };
  await withServer(answer, async (repository, dir) => {
    const told: number[] = [];
    await repository.download("a.bin", join(dir, "a.bin"), { onProgress: ({ bytes }) => told.push(bytes) });
    assertEquals((await Deno.readFile(join(dir, "a.bin"))).every((byte, i) => byte === young[i]), true);
    assertEquals(told.at(-1), 2_000_000);
  });
});

Deno.test("ProxyRepository.download() leaves no file where a server says less than it promised", async () => {
  for (const size of [1000, 2_000_000]) {
    const answer = (request: Request) =>
      new URL(request.url).pathname.endsWith("/artifacts")
        ? listing({ path: "a.bin", is_dir: false, file_size: size })
        // Without a length of its own, as MLflow passes on what lies in a bucket.
        : new Response(new Blob([randomBytes(size - 1, 1)]).stream());
    await withServer(answer, async (repository, dir, seen) => {
      const { code } = await assertRejects(() => repository.download("a.bin", join(dir, "a.bin")), MlflowError);
      assertEquals(code, "DATA_LOSS");
      assertEquals([...Deno.readDirSync(dir)], []);
      assertEquals(seen.length, 1 + 3);
    });
  }
});

Deno.test("ProxyRepository.download() gives up on a server that says nothing more", async () => {
  const answer = (request: Request) =>
    new URL(request.url).pathname.endsWith("/artifacts")
      ? listing({ path: "a.bin", is_dir: false, file_size: 2_000_000 })
      : new Response(
        new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1000)) }),
        { headers: { etag: '"v"' } },
      );
  await withServer(answer, async (repository, dir) => {
    await assertRejects(() => repository.download("a.bin", join(dir, "a.bin")), MlflowError, "did not come whole");
    assertEquals([...Deno.readDirSync(dir)], []);
  }, { timeout: 100, retries: { ...SETTINGS.retries, maxRetries: 0 } });
});

Deno.test("ProxyRepository.upload() tells that less is there than was sent", async () => {
  const answer = async (request: Request) => {
    if (request.method === "GET") return listing({ path: "a.bin", is_dir: false, file_size: 5 });
    await request.bytes();
    return new Response();
  };
  await withServer(answer, async (repository, dir) => {
    await Deno.writeFile(join(dir, "a.bin"), randomBytes(2_000_000, 1));
    const { code, message } = await assertRejects(() => repository.upload(join(dir, "a.bin"), "a.bin"), MlflowError);
    assertEquals(code, "DATA_LOSS");
    assert(message.includes("5 of 2000000 bytes are there"), message);
  });
});

Deno.test("ProxyRepository moves big files in parts where the server signs addresses", async () => {
  const bytes = randomBytes(1_000_001, 1);
  const parts = new Map<string, Uint8Array>();
  const calls: unknown[] = [];
  const answer = async (request: Request) => {
    const { pathname, origin } = new URL(request.url);
    const name = pathname.replace(/^.*\/mlflow-artifacts/, "");
    if (pathname.endsWith("/server-info")) {
      return Response.json({ multipart_uploads_enabled: true, multipart_downloads_enabled: true });
    }
    if (name === "/mpu/create/1/r/in") {
      calls.push(await request.json());
      const credentials = [1, 2, 3, 4].map((part_number) => ({
        part_number,
        url: `${origin}/bucket/${part_number}?sig=x`,
      }));
      return Response.json({ upload_id: "u1", credentials });
    }
    if (pathname.startsWith("/bucket/") && request.method === "PUT") {
      assertEquals(request.headers.get("authorization"), null);
      parts.set(pathname.slice(8), await request.bytes());
      return new Response(null, { headers: { etag: `"e${pathname.slice(8)}"` } });
    }
    if (name === "/mpu/complete/1/r/in") {
      calls.push(await request.json());
      return Response.json({});
    }
    if (name === "/artifacts") return listing({ path: "a.bin", is_dir: false, file_size: bytes.length });
    if (name === "/presigned/1/r/in/a.bin") return Response.json({ url: `${origin}/bucket/all?sig=x`, file_size: 1 });
    const [, start, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range")!)!.map(Number);
    calls.push([start, last]);
    return new Response(bytes.slice(start, last + 1), {
      status: 206,
      headers: { "content-range": `bytes ${start}-${last}/${bytes.length}` },
    });
  };
  await withServer(answer, async (repository, dir, _seen, url) => {
    await Deno.writeFile(join(dir, "local.bin"), bytes);
    await repository.upload(join(dir, "local.bin"), "in/a.bin");
    const etags = [1, 2, 3, 4].map((n) => ({ part_number: n, etag: `"e${n}"`, url: `${url}/bucket/${n}?sig=x` }));
    assertEquals(calls.splice(0), [
      { path: "a.bin", num_parts: 4 },
      { path: "a.bin", upload_id: "u1", parts: etags },
    ]);
    const sent = ["1", "2", "3", "4"].flatMap((n) => [...parts.get(n)!]);
    assertEquals(sent.length === bytes.length && sent.every((byte, i) => byte === bytes[i]), true);
    await repository.download("in/a.bin", join(dir, "back.bin"));
    assertEquals((await Deno.readFile(join(dir, "back.bin"))).every((byte, i) => byte === bytes[i]), true);
    assertEquals(calls, [[0, 399_999], [400_000, 799_999], [800_000, 1_000_000]]);
  }, { uploadMinimum: 1_000_000, uploadChunk: 300_000, downloadMinimum: 1_000_000, downloadChunk: 400_000 });
});

Deno.test("ProxyRepository.upload() takes back an upload in parts that failed", async () => {
  const seenPaths: string[] = [];
  const answer = async (request: Request) => {
    const { pathname, origin } = new URL(request.url);
    seenPaths.push(pathname);
    await request.bytes();
    if (pathname.includes("/mpu/create/")) {
      return Response.json({ upload_id: "u", credentials: [{ part_number: 1, url: `${origin}/bucket/1?secret` }] });
    }
    return pathname.startsWith("/bucket") ? new Response("no", { status: 403 }) : Response.json({});
  };
  await withServer(answer, async (repository, dir) => {
    await Deno.writeFile(join(dir, "a.bin"), randomBytes(2_000_000, 1));
    const error = await assertRejects(() => repository.upload(join(dir, "a.bin"), "a.bin"), MlflowError);
    assertEquals(error.code, "PERMISSION_DENIED");
    assert(!error.message.includes("secret"), error.message);
    assertEquals(seenPaths.at(-1), "/api/2.0/mlflow-artifacts/mpu/abort/1/r");
  }, { uploadMinimum: 0, uploadChunk: 5_000_000, proxyMultipartUpload: true });
});

for (const size of [0, 1_000, 1_048_576, 3_000_000]) {
  Deno.test(`ProxyRepository.write() says the length of a stream of ${size} bytes, and sends it again`, async () => {
    const bytes = randomBytes(size, size);
    const lengths: (string | null)[] = [];
    let kept = new Uint8Array();
    const answer = async (request: Request, count: number) => {
      if (request.method === "GET") return listing({ path: "s.bin", is_dir: false, file_size: kept.length });
      lengths.push(request.headers.get("content-length"));
      kept = await request.bytes();
      return new Response(null, { status: count === 1 ? 503 : 200 });
    };
    const temporary = await Deno.makeTempDir();
    try {
      await withServer(answer, async (_repository, _dir, _seen, url) => {
        await withEnv({ TMPDIR: temporary }, async () => {
          const http = await HttpClient.open(url, { maxRetries: 1, delay: async () => {} });
          await new ProxyRepository(async () => http, "1/r", SETTINGS).write("s.bin", new Blob([bytes]).stream());
        });
        assertEquals(lengths, [String(size), String(size)]);
        assertEquals(kept.length === size && kept.every((byte, i) => byte === bytes[i]), true);
        assertEquals([...Deno.readDirSync(temporary)], []);
      });
    } finally {
      await Deno.remove(temporary, { recursive: true });
    }
  });
}

Deno.test("ProxyRepository.write() sends nothing of a stream that breaks, and leaves no file behind", async () => {
  const temporary = await Deno.makeTempDir();
  try {
    await withServer(() => new Response(), async (repository, _dir, seen) => {
      await withEnv({ TMPDIR: temporary }, async () => {
        await assertRejects(
          () => repository.write("s.bin", broken(randomBytes(2_000_000, 1), 1_500_000)),
          Error,
          "cut",
        );
      });
      assertEquals([seen.length, [...Deno.readDirSync(temporary)]], [0, []]);
    });
  } finally {
    await Deno.remove(temporary, { recursive: true });
  }
});

Deno.test("ProxyRepository.write() sends a stream as it comes where there is no place to keep it", async () => {
  const bytes = randomBytes(3_000_000, 1);
  let kept = new Uint8Array();
  const answer = async (request: Request) => {
    assertEquals(request.headers.get("content-length"), null);
    kept = await request.bytes();
    return new Response();
  };
  await withServer(answer, async (repository) => {
    await withEnv({ TMPDIR: "/nonexistent" }, () => repository.write("s.bin", new Blob([bytes]).stream()));
    assertEquals(kept.length === bytes.length && kept.every((byte, i) => byte === bytes[i]), true);
  });
});
