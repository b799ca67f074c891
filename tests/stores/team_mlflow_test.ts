/**
 * The set-ups of teams that outgrow one machine: MLflow's server on PostgreSQL, with artifacts in S3 that it passes on,
 * or that clients fetch and bring by themselves.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { MlflowClient } from "../../client.ts";
import { downloadArtifacts } from "../../artifacts.ts";
import { RestStore } from "../../stores/rest_store.ts";
import { randomBytes } from "../artifacts/random_bytes.ts";
import { withEnv } from "../support/env.ts";
import { type Mlflow, mlflowPython, mlflowTest } from "../support/mlflow.ts";
import { missingMoto, MotoServer } from "../support/moto.ts";
import { missingPackage, missingPostgres, Postgres } from "../support/postgres.ts";
import { MLFLOW_3 } from "./mlflow_deviations.ts";
import { checkStoreContract } from "./store_contract.ts";

const AWS = { AWS_ACCESS_KEY_ID: "testing", AWS_SECRET_ACCESS_KEY: "testing", AWS_DEFAULT_REGION: "us-east-1" };
/** What must not be there for who sends everything through the server. */
const NO_AWS = {
  AWS_ACCESS_KEY_ID: undefined,
  AWS_SECRET_ACCESS_KEY: undefined,
  AWS_SESSION_TOKEN: undefined,
  AWS_PROFILE: undefined,
  AWS_EC2_METADATA_DISABLED: "true",
  HOME: undefined,
  MLFLOW_S3_ENDPOINT_URL: undefined,
};
/** Files above 6 MiB go in parts of 5 MiB, which S3 takes none smaller than. */
const IN_PARTS = {
  MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD: "true",
  MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD: "true",
  MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE: `${6 * 1024 ** 2}`,
  MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE: `${5 * 1024 ** 2}`,
  MLFLOW_MULTIPART_DOWNLOAD_MINIMUM_FILE_SIZE: `${6 * 1024 ** 2}`,
  MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE: `${5 * 1024 ** 2}`,
};

mlflowTest(
  "MLflow's server on PostgreSQL with artifacts in S3",
  { missing: missingPostgres(mlflowPython()) ?? missingMoto() ?? missingPackage(mlflowPython(), "boto3") },
  async (mlflow, t) => {
    await using postgres = await Postgres.start();
    await using moto = await MotoServer.start();
    await moto.createBucket("team");
    const s3 = { ...AWS, MLFLOW_S3_ENDPOINT_URL: moto.url };
    const env = { ...s3, MLFLOW_SERVER_ENABLE_JOB_EXECUTION: "false" };
    const server = { command: "server", backendStoreUri: postgres.uri } as const;
    const proxied = ["--artifacts-destination", "s3://team/proxied"];
    const direct = ["--no-serve-artifacts", "--default-artifact-root", "s3://team/direct"];
    {
      await using through = await mlflow.ui({ ...server, env: { ...env, ...IN_PARTS }, args: proxied });
      await t.step("keeps the contract", async (t) => {
        await checkStoreContract(t, () => RestStore.open(through.url), { skip: MLFLOW_3 });
      });
      await t.step("passes artifacts on, for a client that knows nothing of S3", async () => {
        await withEnv(NO_AWS, () => bothWays(mlflow, through.url, /^mlflow-artifacts:\//, {}));
      });
      await t.step("signs addresses for big files, which go in parts to S3 and back", async () => {
        await withEnv(
          { ...NO_AWS, ...IN_PARTS },
          () => bothWays(mlflow, through.url, /^mlflow-artifacts:\//, IN_PARTS),
        );
        // Before, the server itself sent them, in boto3's parts of 8 MiB; one file is ours, two are Python's.
        assertEquals((await partsOf(mlflow, s3, "proxied/")).filter((count) => count > 1).sort(), [2, 2, 2, 3, 3, 3]);
      });
    }
    await using beside = await mlflow.ui({ ...server, env, args: direct });
    await t.step("leaves artifacts to clients that know S3", async () => {
      await withEnv({ ...NO_AWS, ...s3 }, () => bothWays(mlflow, beside.url, /^s3:\/\/team\/direct\//, s3));
      assertEquals((await partsOf(mlflow, s3, "direct/")).length, 9);
    });
  },
);

/** Runs with artifacts and logged models, each written by one side and read by the other. */
async function bothWays(
  mlflow: Mlflow,
  url: string,
  location: RegExp,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: mlflow.dir });
  await using python = mlflow.interpreter({ env: { ...env, MLFLOW_TRACKING_URI: url } });
  await python.run(`
    import hashlib, mlflow, os
    client = mlflow.MlflowClient()
    def digests(folder):
        found = {}
        for root, _, files in os.walk(folder):
            for name in files:
                path = os.path.join(root, name)
                found[os.path.relpath(path, folder)] = hashlib.sha256(open(path, "rb").read()).hexdigest()
        return found
  `);
  const digests: Record<string, string> = {};
  const sizes: Record<string, number> = { "big.bin": 12 * 1024 ** 2, "a b/1+1 é.txt": 5000, "a b/empty.txt": 0 };
  for (const [name, size] of Object.entries(sizes)) {
    const bytes = randomBytes(size, size);
    digests[name] = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    await Deno.mkdir(join(dir, "up", name, ".."), { recursive: true });
    await Deno.writeFile(join(dir, "up", name), bytes);
  }

  const client = new MlflowClient(url);
  const experimentId = await client.createExperiment(`team ${crypto.randomUUID()}`);
  const { info } = await client.createRun({ experimentId, runName: "deno" });
  assertMatch(info.artifactUri, location);
  await client.logArtifacts(info.runId, join(dir, "up"), "ours");
  await client.logMetric(info.runId, "loss", 0.5, { step: 1 });
  await client.setTerminated(info.runId);
  const [files, listed, loss] = await python.run<[unknown, [string, number][], number]>(
    `
    listed = [[f.path, f.file_size or 0] for f in client.list_artifacts(args, "ours/a b")]
    result = [digests(client.download_artifacts(args, "ours")), listed, client.get_run(args).data.metrics["loss"]]
    `,
    info.runId,
  );
  assertEquals([files, loss], [digests, 0.5]);
  assertEquals(
    (await client.listArtifacts(info.runId, "ours/a b")).map(({ path, fileSize }) => [path, fileSize]),
    listed,
  );

  const [runId, modelId] = await python.run<string[]>(
    `
    run = client.create_run(args[0], run_name="python")
    client.log_artifacts(run.info.run_id, args[1], "theirs")
    model = client.create_logged_model(args[0], name="digits", source_run_id=run.info.run_id)
    client.log_model_artifacts(model.model_id, args[1])
    client.finalize_logged_model(model.model_id, "READY")
    result = [run.info.run_id, model.model_id]
    `,
    [experimentId, join(dir, "up")],
  );
  for (const uri of [`runs:/${runId}/theirs`, `models:/${modelId}`]) {
    const local = await downloadArtifacts(uri, { trackingUri: url, localDirectory: await Deno.makeTempDir({ dir }) });
    assertEquals(await python.run(`result = digests(args)`, local), digests);
  }
  assertEquals((await client.getRun(runId)).info.runName, "python");
}

/** Of how many parts S3 has put together each object below a prefix. */
async function partsOf(mlflow: Mlflow, env: Readonly<Record<string, string>>, prefix: string): Promise<number[]> {
  return await mlflow.python<number[]>(
    `
    import boto3, os
    s3 = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="team", Prefix=args)
    etags = [entry["ETag"].strip('"') for page in pages for entry in page["Contents"]]
    result = [int(etag.partition("-")[2] or 1) for etag in etags]
    `,
    prefix,
    { env },
  );
}
