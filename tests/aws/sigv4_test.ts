/** Requests to a tracking server behind AWS's gateway, signed as botocore signs them. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { ProxyRepository } from "../../artifacts/proxy_repository.ts";
import { MlflowError } from "../../errors.ts";
import { HttpClient } from "../../stores/http.ts";
import { cleanEnv } from "../support/clean_env.ts";
import { withEnv } from "../support/env.ts";
import { gatedTest } from "../support/gate.ts";
import { missingMoto, motoPython } from "../support/moto.ts";
import { PythonInterpreter } from "../support/python.ts";

const ENV = {
  HOME: undefined,
  MLFLOW_TRACKING_AWS_SIGV4: "true",
  MLFLOW_TRACKING_TOKEN: "t0ken",
  AWS_ACCESS_KEY_ID: "AKIA",
  AWS_SECRET_ACCESS_KEY: "s3cret",
  AWS_SESSION_TOKEN: "session",
  AWS_DEFAULT_REGION: "eu-central-1",
  AWS_PROFILE: undefined,
};

/** A request as it came. */
interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

async function withServer(
  answer: (url: string) => Response,
  work: (url: string, seen: Seen[]) => Promise<void>,
): Promise<void> {
  const seen: Seen[] = [];
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { method, url } = request;
    seen.push({ method, url, headers: Object.fromEntries(request.headers), body: (await request.bytes()).toBase64() });
    return answer(url);
  });
  await withEnv(ENV, () => work(`http://127.0.0.1:${server.addr.port}`, seen));
}

gatedTest({
  name: "HttpClient signs as botocore does with MLFLOW_TRACKING_AWS_SIGV4",
  missing: missingMoto(),
  fn: async () => {
    const dir = await Deno.makeTempDir();
    await using python = new PythonInterpreter(motoPython(), { cwd: dir, env: cleanEnv(), timeout: 60_000 });
    const answer = (url: string) =>
      Response.json(
        url.includes("?path=") ? { files: [{ path: "big.bin", is_dir: false, file_size: 2_000_000 }] } : {},
      );
    try {
      await withServer(answer, async (url, seen) => {
        using http = await HttpClient.open(`${url}/prod/`, { maxRetries: 0 });
        await http.json({
          method: "POST",
          path: "/api/2.0/mlflow/runs/search",
          json: { filter: "params.é = '1 + 1'" },
        });
        const query = { experiment_name: "a b+c/é&=*~(1)", run_ids: ["r2", "r1"] };
        await http.json({ method: "GET", path: "/api/2.0/mlflow/experiments/get-by-name", query });
        const repository = new ProxyRepository(async () => http, "1/r");
        await repository.write("in/1+1 ü(!)*'~$,;:@&=.txt", new TextEncoder().encode("hello"));
        await Deno.writeFile(join(dir, "big.bin"), new Uint8Array(2_000_000).fill(7));
        await repository.upload(join(dir, "big.bin"), "big.bin");
        const signatures = await python.run<string[][]>(
          `
          import base64, re
          from botocore.auth import SigV4Auth
          from botocore.awsrequest import AWSRequest
          from botocore.credentials import Credentials
          result = []
          for seen in args:
              headers = seen["headers"]
              names = re.search("SignedHeaders=([^,]+)", headers["authorization"])[1]
              signed = {name: headers[name] for name in names.split(";") if name != "host"}
              request = AWSRequest(seen["method"], seen["url"], signed, base64.b64decode(seen["body"]))
              request.context["timestamp"] = headers["x-amz-date"]
              auth = SigV4Auth(Credentials("AKIA", "s3cret", "session"), "execute-api", "eu-central-1")
              # What the header says of the body is to be true of it.
              del request.headers["x-amz-content-sha256"]
              assert auth.payload(request) == headers["x-amz-content-sha256"], seen["url"]
              request.headers["x-amz-content-sha256"] = headers["x-amz-content-sha256"]
              text = auth.string_to_sign(request, auth.canonical_request(request))
              result.append([headers["authorization"].partition("Signature=")[2], auth.signature(text, request), names])
          `,
          seen,
        );
        const names = "host;x-amz-content-sha256;x-amz-date;x-amz-security-token";
        assertEquals(signatures.length, 5);
        for (const [ours, theirs, signed] of signatures) assertEquals([ours, signed], [theirs, names]);
      });
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});

Deno.test("HttpClient signs for the region in the server's name where no other is given", () =>
  withEnv({ ...ENV, AWS_DEFAULT_REGION: undefined, AWS_REGION: undefined, AWS_CONFIG_FILE: undefined }, async () => {
    let authorization: string | null = null;
    const fetch = async (_url: string, { headers }: RequestInit) => {
      authorization = (headers as Headers).get("authorization");
      return Response.json({});
    };
    const http = await HttpClient.open("https://x1.execute-api.us-west-2.amazonaws.com/prod", { fetch });
    await http.json({ method: "GET", path: "/a" });
    assert(/^AWS4-HMAC-SHA256 Credential=AKIA\/\d{8}\/us-west-2\/execute-api\//.test(authorization!), authorization!);
    const error = await assertRejects(() => HttpClient.open("https://mlflow.example"), MlflowError);
    assertEquals(error.code, "INVALID_PARAMETER_VALUE");
  }));

Deno.test("HttpClient sends no signature on to another server", () =>
  withServer(() => Response.json({}), async (other, seenThere) => {
    const sendOn = () => new Response(null, { status: 307, headers: { location: `${other}/there` } });
    await withServer(sendOn, async (url, seen) => {
      using http = await HttpClient.open(url);
      await http.json({ method: "POST", path: "/here", json: {} });
      assert(seen[0].headers.authorization.startsWith("AWS4-HMAC-SHA256"));
      const headers = Object.keys(seenThere[0].headers);
      assertEquals(headers.filter((name) => name === "authorization" || name.startsWith("x-amz-")), []);
    });
  }));

Deno.test("HttpClient says that there is nothing to sign with, and sends nothing", () =>
  withServer(() => Response.json({}), async (url, seen) => {
    const none = { AWS_ACCESS_KEY_ID: undefined, AWS_EC2_METADATA_DISABLED: "true" };
    await withEnv(none, async () => {
      using http = await HttpClient.open(url);
      const error = await assertRejects(() => http.json({ method: "GET", path: "/a" }), MlflowError);
      assertEquals([error.code, seen.length], ["UNAUTHENTICATED", 0]);
    });
  }));
