/** S3Repository against moto, and beside boto3, which is what MLflow uses. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { openArtifacts } from "../../artifacts/open_repository.ts";
import { S3Repository } from "../../artifacts/s3_repository.ts";
import { readTransferSettings } from "../../artifacts/transfer_settings.ts";
import { MlflowError } from "../../errors.ts";
import { cleanEnv } from "../support/clean_env.ts";
import { withEnv } from "../support/env.ts";
import { gatedTest } from "../support/gate.ts";
import { missingMoto, motoPython, MotoServer } from "../support/moto.ts";
import { PythonInterpreter } from "../support/python.ts";
import { randomBytes } from "./random_bytes.ts";
import { checkRepositoryContract } from "./repository_contract.ts";

const ACCESS = { AWS_ACCESS_KEY_ID: "testing", AWS_SECRET_ACCESS_KEY: "testing", AWS_DEFAULT_REGION: "us-east-1" };
/** What a developer's own shell may hold. */
const NOTHING_ELSE = {
  AWS_SESSION_TOKEN: undefined,
  AWS_PROFILE: undefined,
  AWS_REGION: undefined,
  AWS_EC2_METADATA_DISABLED: "true",
};
const SETTINGS = {
  ...readTransferSettings(),
  // Of many writers of one object, moto answers some with 500, as S3 itself may.
  retries: { maxRetries: 10, backoffFactor: 0, backoffJitter: 50, respectRetryAfter: true },
};

gatedTest({
  name: "S3Repository and moto",
  missing: missingMoto(),
  fn: async (t) => {
    await using moto = await MotoServer.start();
    await using python = new PythonInterpreter(motoPython(), {
      cwd: Deno.cwd(),
      env: { ...cleanEnv(), ...ACCESS },
      timeout: 60_000,
    });
    await python.run(
      `
      import boto3, hashlib
      s3 = boto3.client("s3", endpoint_url=args)
      def head(key):
          return {k: v for k, v in s3.head_object(Bucket="bucket", Key=key)["ResponseMetadata"]["HTTPHeaders"].items()}
      `,
      moto.url,
    );
    const dir = await Deno.makeTempDir({ prefix: "mlflow-artifacts-" });
    try {
      await withEnv({ ...ACCESS, ...NOTHING_ELSE, MLFLOW_S3_ENDPOINT_URL: moto.url }, async () => {
        await moto.createBucket("bucket");
        let count = 0;
        await checkRepositoryContract(t, async () => {
          return {
            repository: new S3Repository("bucket", `root ${count++}/+é%`, SETTINGS),
            [Symbol.asyncDispose]: () => Promise.resolve(),
          };
        });
        await t.step("keeps what boto3 reads, in parts where it is big", async () => {
          const repository = new S3Repository("bucket", "out", SETTINGS);
          const bytes = randomBytes(30 * 1024 ** 2 + 1, 3);
          await Deno.writeFile(join(dir, "big.bin"), bytes);
          await repository.upload(join(dir, "big.bin"), "a +%25#/big é.bin");
          await repository.write("stream.bin", new Blob([bytes]).stream());
          await repository.write("empty.json", new Uint8Array());
          const read = await python.run<Record<string, unknown>>(`
            result = {}
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket="bucket", Prefix="out/"):
                for entry in page["Contents"]:
                    found = s3.get_object(Bucket="bucket", Key=entry["Key"])
                    digest = hashlib.sha256(found["Body"].read()).hexdigest()
                    result[entry["Key"]] = [digest, found["ContentType"], found["ETag"].strip('"').partition("-")[2]]
          `);
          const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
          const nothing = new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array())).toHex();
          assertEquals(read, {
            "out/a +%25#/big é.bin": [digest, "application/octet-stream", "4"],
            "out/empty.json": [nothing, "text/plain", ""],
            "out/stream.bin": [digest, "application/octet-stream", "4"],
          });
        });
        await t.step("reads what boto3 wrote, in parts where it is big", async () => {
          await python.run(`
            for size in [0, 4096, 30 * 1024 * 1024]:
                s3.put_object(Bucket="bucket", Key=f"in/x y/{size} +%25#é", Body=bytes(range(256)) * (size // 256))
            s3.put_object(Bucket="bucket", Key="in/packed.gz", Body=b"not packed", ContentEncoding="gzip")
            s3.put_object(Bucket="bucket", Key="in/x y/", Body=b"")
            s3.put_object(Bucket="bucket", Key="in//nameless/a", Body=b"")
          `);
          const repository = new S3Repository("bucket", "in", {
            ...SETTINGS,
            downloadMinimum: 5e6,
            downloadChunk: 7e6,
          });
          const list = (await repository.list()).map(({ path }) => path);
          assertEquals(list, ["packed.gz", "x y"]);
          await repository.download("x y", join(dir, "x y"));
          for (const size of [0, 4096, 30 * 1024 ** 2]) {
            const bytes = await Deno.readFile(join(dir, "x y", `${size} +%25#é`));
            assertEquals([bytes.length, bytes.every((byte, i) => byte === i % 256)], [size, true]);
          }
          assertEquals(new TextDecoder().decode(await repository.read("packed.gz")), "not packed");
        });
        await t.step("refuses keys that lead out of a folder", async () => {
          const prefixes = await python.run<string[]>(`
            keys = ["../up", "C:/x", "a\\\\b", "/root", "a//b"]
            for i, key in enumerate(keys):
                s3.put_object(Bucket="bucket", Key=f"evil{i}/{key}", Body=b"x")
            result = [f"evil{i}" for i in range(len(keys))]
          `);
          for (const prefix of prefixes) {
            const repository = new S3Repository("bucket", prefix, SETTINGS);
            const error = await assertRejects(() => repository.download("", join(dir, "deep", "evil")), MlflowError);
            assertEquals(error.code, "INVALID_PARAMETER_VALUE");
          }
          assertEquals([...Deno.readDirSync(dir)].map(({ name }) => name).includes("deep"), false);
        });
        await t.step("sends what MLFLOW_S3_UPLOAD_EXTRA_ARGS asks for", async () => {
          const args = '{"ServerSideEncryption": "AES256", "StorageClass": "STANDARD_IA", "Metadata": {"team": "x"}}';
          await withEnv({ MLFLOW_S3_UPLOAD_EXTRA_ARGS: args }, async () => {
            const repository = new S3Repository("bucket", "extra", SETTINGS);
            await repository.write("small.txt", new Uint8Array(5));
            await repository.write("big.txt", new Blob([new Uint8Array(11 * 1024 ** 2)]).stream());
          });
          for (const name of ["small", "big"]) {
            const head = await python.run<Record<string, string>>(`result = head(args)`, `extra/${name}.txt`);
            assertEquals(head["x-amz-server-side-encryption"], "AES256");
            assertEquals(head["x-amz-storage-class"], "STANDARD_IA");
            assertEquals(head["x-amz-meta-team"], "x");
          }
          await withEnv({ MLFLOW_S3_UPLOAD_EXTRA_ARGS: '{"Nonsense": 1}' }, async () => {
            const repository = new S3Repository("bucket", "extra", SETTINGS);
            await assertRejects(
              () => repository.write("x", new Uint8Array(1)),
              MlflowError,
              '"Nonsense" is not one of',
            );
          });
        });
        await t.step("says what S3 says of a bucket that is not there", async () => {
          const { repository, path } = await openArtifacts("s3://none/a/b.txt");
          const { code, message } = await assertRejects(() => repository.read(path), MlflowError);
          assertEquals(code, "RESOURCE_DOES_NOT_EXIST");
          assert(message.includes("The specified bucket does not exist"), message);
        });
        await t.step("signs as botocore does", async () => {
          const seen: unknown[] = [];
          await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
            seen.push([request.method, request.url, Object.fromEntries(request.headers)]);
            return new Response("<ListBucketResult></ListBucketResult>");
          });
          await withEnv({ MLFLOW_S3_ENDPOINT_URL: `http://127.0.0.1:${server.addr.port}` }, async () => {
            const repository = new S3Repository("bucket", "a b/é", SETTINGS);
            await repository.write("in/1+1 %25#ü(!)*'~$,;:@&=.txt", new Uint8Array(3));
            await repository.stream("in/a?b", { start: 1, end: 3 });
            await repository.list("x y+z/&=é");
          });
          const signatures = await python.run<string[][]>(
            `
            import re
            from botocore.auth import S3SigV4Auth
            from botocore.awsrequest import AWSRequest
            from botocore.credentials import Credentials
            result = []
            for method, url, headers in args:
                signed = re.search("SignedHeaders=([^,]+)", headers["authorization"])[1].split(";")
                request = AWSRequest(method, url, {name: headers[name] for name in signed if name != "host"})
                request.context["timestamp"] = headers["x-amz-date"]
                auth = S3SigV4Auth(Credentials("testing", "testing"), "s3", "us-east-1")
                text = auth.string_to_sign(request, auth.canonical_request(request))
                result.append([headers["authorization"].partition("Signature=")[2], auth.signature(text, request)])
            `,
            seen,
          );
          assertEquals(signatures.length, 3);
          for (const [ours, theirs] of signatures) assertEquals(ours, theirs);
        });
        await t.step("takes credentials of a profile", async () => {
          const file = join(dir, "credentials");
          await Deno.writeTextFile(
            file,
            "[default]\naws_access_key_id = a\n[team]\naws_access_key_id = AKTEAM\naws_secret_access_key = s/+=\n" +
              "aws_session_token = token\n",
          );
          const variables = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
          const seen: Headers[] = [];
          await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ headers }) => {
            seen.push(headers);
            return new Response("x");
          });
          const endpoint = `http://127.0.0.1:${server.addr.port}/base/`;
          await withEnv({
            ...variables,
            AWS_SHARED_CREDENTIALS_FILE: file,
            AWS_CONFIG_FILE: join(dir, "none"),
            AWS_PROFILE: "team",
            AWS_DEFAULT_REGION: "eu-central-1",
            MLFLOW_S3_ENDPOINT_URL: endpoint,
            MLFLOW_S3_EXPECTED_BUCKET_OWNER: "1234",
          }, async () => {
            await new S3Repository("bucket", "", SETTINGS).read("a");
            const [headers] = seen;
            assert(/Credential=AKTEAM\/\d{8}\/eu-central-1\/s3\//.test(headers.get("authorization")!));
            assertEquals(headers.get("x-amz-security-token"), "token");
            assertEquals(headers.get("x-amz-expected-bucket-owner"), "1234");
            await withEnv({ AWS_PROFILE: undefined }, async () => {
              const error = await assertRejects(() => new S3Repository("bucket", "", SETTINGS).read("a"), MlflowError);
              assertEquals(error.code, "UNAUTHENTICATED");
            });
          });
        });
      });
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
