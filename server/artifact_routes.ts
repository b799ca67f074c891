import { posix } from "@std/path";
import { openRepository } from "../artifacts/open_repository.ts";
import type { ArtifactRepository } from "../artifacts/repository.ts";
import { appendToUri } from "../artifacts/uri.ts";
import type { FileInfo } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import type { Json } from "../stores/wire.ts";
import { checkArtifactPath } from "../validate.ts";
import type { Answer, Call, Routes } from "./route.ts";
import { sendArtifact } from "./send_artifact.ts";

/** The proxy of artifacts, below `/api/2.0/mlflow-artifacts/`. */
export const PROXY_ROUTES: Routes = {
  "PUT artifacts/*": async (call) => {
    const { request, params } = call;
    await (await served(call)).write(safePath(params.rest), request.body ?? new Uint8Array());
    return {};
  },
  "GET artifacts/*": async (call) => await sendArtifact(call.request, await served(call), safePath(call.params.rest)),
  "DELETE artifacts/*": async (call) => {
    await (await served(call)).delete(safePath(call.params.rest));
    return {};
  },
  "GET artifacts": async (call) => {
    const files = await (await served(call)).list(safePath(call.fields.text("path") ?? ""));
    return writeFiles(files.map((file) => ({ ...file, path: posix.basename(file.path) })));
  },
  "POST mpu/create/*": async () => refuseMultipart(),
  "POST mpu/complete/*": async () => refuseMultipart(),
  "POST mpu/abort/*": async () => refuseMultipart(),
};

/** The routes of artifacts by run and model, below `/api/2.0/mlflow/`. */
export const ARTIFACT_ROUTES: Routes = {
  "GET artifacts/list": async (call) => {
    const { info } = await call.store.getRun(call.fields.runId());
    return await listOf(call, info.artifactUri, call.fields.text("path"));
  },
  "GET logged-models/:id/artifacts/directories": async (call) => {
    const { artifactLocation } = await call.store.getLoggedModel(call.params.id);
    return await listOf(call, artifactLocation, call.fields.text("artifact_directory_path"));
  },
  "GET logged-models/:id/artifacts/files": async (call) => {
    const { artifactLocation } = await call.store.getLoggedModel(call.params.id);
    return await sendArtifact(
      call.request,
      await repositoryOf(call, artifactLocation),
      safePath(call.fields.requiredText("artifact_file_path")),
    );
  },
};

/** `/get-artifact`, where the pages of a server look for a run's files. */
export const getArtifact: Answer = async (call) => {
  const { info } = await call.store.getRun(call.fields.runId());
  return await sendArtifact(
    call.request,
    await repositoryOf(call, info.artifactUri),
    safePath(call.fields.requiredText("path")),
  );
};

async function listOf(call: Call, location: string, path = ""): Promise<Json> {
  return { ...writeFiles(await (await repositoryOf(call, location)).list(safePath(path))), root_uri: location };
}

/** The repository of a location; one of `mlflow-artifacts:` is what this server itself serves. */
export async function repositoryOf(call: Call, location: string): Promise<ArtifactRepository> {
  const path = /^mlflow-artifacts:(?:\/\/[^/]*)?\/?([^?#]*)/.exec(location)?.[1];
  if (path === undefined) return await openRepository(location);
  if (call.artifactRoot === undefined) throw notServed();
  return await openRepository(appendToUri(call.artifactRoot, safePath(decodeURIComponent(path))));
}

async function served({ artifactRoot }: Call): Promise<ArtifactRepository> {
  if (artifactRoot === undefined) throw notServed();
  return await openRepository(artifactRoot);
}

function notServed(): MlflowError {
  return new MlflowError(
    "TEMPORARILY_UNAVAILABLE",
    "Artifact serving is disabled. Run `mlflow server` with `--serve-artifacts` to enable.",
  );
}

function refuseMultipart(): never {
  throw new MlflowError("NOT_IMPLEMENTED", "Multipart upload is not supported for the current artifact repository");
}

function safePath(path: string): string {
  try {
    return checkArtifactPath(path);
  } catch (cause) {
    throw new MlflowError("INVALID_PARAMETER_VALUE", "Invalid path", { cause });
  }
}

function writeFiles(files: readonly FileInfo[]): Json {
  return files.length === 0 ? {} : {
    files: files.map(({ path, isDir, fileSize }) => ({
      path,
      is_dir: isDir,
      ...fileSize === undefined ? {} : { file_size: fileSize },
    })),
  };
}
