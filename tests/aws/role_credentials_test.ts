/** The credentials of roles, from a server that says what AWS's do. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { AwsIdentity, readAwsCredentials } from "../../aws/credentials.ts";
import { MlflowError } from "../../errors.ts";
import { withEnv } from "../support/env.ts";
import { type Line, ScriptedServer } from "../support/scripted_server.ts";

/** What a developer's own shell, or the machine itself, may have. */
const CLEAN = Object.fromEntries(
  [
    ..."ACCESS_KEY_ID SECRET_ACCESS_KEY SESSION_TOKEN PROFILE DEFAULT_PROFILE REGION DEFAULT_REGION".split(" "),
    ..."SHARED_CREDENTIALS_FILE CONFIG_FILE ROLE_ARN ROLE_SESSION_NAME WEB_IDENTITY_TOKEN_FILE".split(" "),
    ..."ENDPOINT_URL ENDPOINT_URL_STS CONTAINER_CREDENTIALS_RELATIVE_URI CONTAINER_CREDENTIALS_FULL_URI".split(" "),
    ..."CONTAINER_AUTHORIZATION_TOKEN CONTAINER_AUTHORIZATION_TOKEN_FILE METADATA_SERVICE_TIMEOUT".split(" "),
    ..."EC2_METADATA_DISABLED EC2_METADATA_SERVICE_ENDPOINT".split(" "),
  ].map((name) => [`AWS_${name}`, undefined]),
);

const END = "2026-11-23T13:00:00Z";
const ROLE: Line = {
  body: JSON.stringify({
    Code: "Success",
    AccessKeyId: "ASIAROLE",
    SecretAccessKey: "s3cret",
    Token: "t0ken",
    Expiration: END,
  }),
};
const CREDENTIALS = {
  accessKeyId: "ASIAROLE",
  secretAccessKey: "s3cret",
  sessionToken: "t0ken",
  expiration: Date.parse(END),
};

function roleTest(
  name: string,
  script: readonly Line[],
  env: (url: string, dir: string) => Readonly<Record<string, string>>,
  check: (server: ScriptedServer) => Promise<void>,
): void {
  Deno.test(name, async () => {
    const dir = await Deno.makeTempDir();
    try {
      await using server = new ScriptedServer(...script);
      await Deno.writeTextFile(join(dir, "token"), "w3b-token\n");
      // Nobody but the server that is written down may be asked.
      const none = { HOME: dir, AWS_EC2_METADATA_DISABLED: "true" };
      await withEnv({ ...CLEAN, ...none, ...env(server.url, dir) }, () => check(server));
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

async function refusal(server: ScriptedServer): Promise<string> {
  const { code, message } = await assertRejects(() => readAwsCredentials(), MlflowError);
  assertEquals(code, "UNAUTHENTICATED");
  for (const secret of ["s3cret", "t0ken", "w3b-token"]) assert(!message.includes(secret), message);
  assert(message.includes(server.url) || message.includes("Unable to locate"), message);
  return message;
}

roleTest(
  "readAwsCredentials() asks an EC2 machine for its role, by a token of its own",
  [{ body: "imds-token" }, { body: "team role\n" }, ROLE],
  (url) => ({ AWS_EC2_METADATA_SERVICE_ENDPOINT: `${url}/`, AWS_EC2_METADATA_DISABLED: "" }),
  async (server) => {
    assertEquals(await readAwsCredentials(), CREDENTIALS);
    const folder = "/latest/meta-data/iam/security-credentials/";
    assertEquals(
      server.seen.map(({ method, path, headers }) => [method, path, headers.get("x-aws-ec2-metadata-token")]),
      [["PUT", "/latest/api/token", null], ["GET", folder, "imds-token"], [
        "GET",
        `${folder}team%20role`,
        "imds-token",
      ]],
    );
    assertEquals(server.seen[0].headers.get("x-aws-ec2-metadata-token-ttl-seconds"), "21600");
  },
);

roleTest(
  "readAwsCredentials() says that a machine has no role",
  [{ body: "imds-token" }, { status: 404, body: "" }],
  (url) => ({ AWS_EC2_METADATA_SERVICE_ENDPOINT: url, AWS_EC2_METADATA_DISABLED: "" }),
  async (server) => assert((await refusal(server)).includes("status 404")),
);

roleTest(
  "readAwsCredentials() waits no longer than it may for a machine that says nothing",
  ["stall"],
  (url) => ({
    AWS_EC2_METADATA_SERVICE_ENDPOINT: url,
    AWS_EC2_METADATA_DISABLED: "",
    AWS_METADATA_SERVICE_TIMEOUT: "0.1",
  }),
  async (server) => assert((await refusal(server)).includes("AWS_EC2_METADATA_SERVICE_ENDPOINT")),
);

roleTest(
  "readAwsCredentials() asks no machine where it must not",
  [ROLE],
  (url) => ({ AWS_EC2_METADATA_SERVICE_ENDPOINT: url, AWS_EC2_METADATA_DISABLED: "TRUE" }),
  async (server) => {
    await refusal(server);
    assertEquals(server.seen, []);
  },
);

roleTest(
  "readAwsCredentials() asks for a container's role, with the token that goes with it",
  [ROLE],
  (url, dir) => ({
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/role?x=1`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: join(dir, "token"),
  }),
  async (server) => {
    assertEquals(await readAwsCredentials(), CREDENTIALS);
    assertEquals([server.seen[0].path, server.seen[0].headers.get("authorization")], ["/role?x=1", "w3b-token"]);
  },
);

roleTest(
  "readAwsCredentials() says what a container is refused",
  [{ status: 403, body: "{}" }],
  (url) => ({ AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/t0ken`, AWS_CONTAINER_AUTHORIZATION_TOKEN: "s3cret" }),
  async (server) => assert((await refusal(server)).includes("status 403")),
);

roleTest(
  "readAwsCredentials() asks no host of the network for a container's role without encryption",
  [],
  () => ({ AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://example.com/role" }),
  async () => {
    const { code, message } = await assertRejects(() => readAwsCredentials(), MlflowError);
    assertEquals(code, "INVALID_PARAMETER_VALUE");
    assert(message.includes("AWS_CONTAINER_CREDENTIALS_FULL_URI"), message);
  },
);

roleTest(
  "readAwsCredentials() changes a token of web identity for a role's credentials",
  [{
    body: "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>" +
      `<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s3cret</SecretAccessKey><SessionToken>t0ken</SessionToken>` +
      `<Expiration>${END}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
  }],
  (url, dir) => ({
    AWS_WEB_IDENTITY_TOKEN_FILE: join(dir, "token"),
    AWS_ROLE_ARN: "arn:aws:iam::1:role/a",
    AWS_ROLE_SESSION_NAME: "training",
    AWS_ENDPOINT_URL_STS: url,
  }),
  async (server) => {
    assertEquals(await readAwsCredentials(), CREDENTIALS);
    assertEquals(Object.fromEntries(new URLSearchParams(server.seen[0].body)), {
      Action: "AssumeRoleWithWebIdentity",
      Version: "2011-06-15",
      RoleArn: "arn:aws:iam::1:role/a",
      RoleSessionName: "training",
      WebIdentityToken: "w3b-token",
    });
  },
);

roleTest(
  "readAwsCredentials() says why a token of web identity is refused",
  [{ status: 400, body: "<ErrorResponse><Error><Message>Token is expired</Message></Error></ErrorResponse>" }],
  (url, dir) => ({
    AWS_WEB_IDENTITY_TOKEN_FILE: join(dir, "token"),
    AWS_ROLE_ARN: "arn:aws:iam::1:role/a",
    AWS_ENDPOINT_URL_STS: url,
  }),
  async (server) => assert((await refusal(server)).includes("Token is expired")),
);

roleTest(
  "readAwsCredentials() takes variables before any role",
  [ROLE],
  (url) => ({
    AWS_ACCESS_KEY_ID: "AKIA",
    AWS_SECRET_ACCESS_KEY: "own",
    AWS_CONTAINER_CREDENTIALS_FULL_URI: url,
    AWS_EC2_METADATA_SERVICE_ENDPOINT: url,
  }),
  async (server) => {
    assertEquals((await readAwsCredentials()).accessKeyId, "AKIA");
    assertEquals(server.seen, []);
  },
);

roleTest(
  "AwsIdentity asks again five minutes before the credentials end, and after a failure",
  [{ status: 500, body: "" }, ROLE, { body: (ROLE as { body: string }).body.replace("13:00", "14:00") }],
  (url) => ({ AWS_CONTAINER_CREDENTIALS_FULL_URI: url }),
  async (server) => {
    let now = Date.parse("2026-11-23T12:00:00Z");
    const identity = new AwsIdentity(() => now);
    await assertRejects(() => identity.get(), MlflowError);
    for (const [minutes, asked] of [[0, 2], [54, 2], [56, 3], [110, 3]]) {
      now = Date.parse("2026-11-23T12:00:00Z") + minutes * 60_000;
      await Promise.all([identity.get(), identity.get()]);
      assertEquals([minutes, server.seen.length], [minutes, asked]);
    }
  },
);

Deno.test({
  name: "readAwsCredentials() asks no machine, and for no permission, where Deno does not allow the network",
  permissions: { env: true, net: false, read: false },
  fn: () =>
    withEnv({ ...CLEAN, HOME: undefined }, async () => {
      const { message } = await assertRejects(() => readAwsCredentials(), MlflowError);
      assert(message.includes("Unable to locate credentials"), message);
    }),
});
