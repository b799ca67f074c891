import { fileURLToPath } from "node:url";
import { basename, dirname } from "@std/path";
import type { LoggedModel, ModelVersion } from "../entities.ts";
import { MlflowError } from "../errors.ts";
import { findModelVersion, splitModelUri } from "../registry/model_uri.ts";
import { registryUriOf } from "../registry/registry_uri.ts";
import type { HttpClient } from "../stores/http.ts";
import { absoluteUri, openStore } from "../stores/open_store.ts";
import { getTrackingUri } from "../tracking/tracking_uri.ts";
import { checkArtifactPath, inFolder } from "./artifact_path.ts";
import type { ArtifactRepository } from "./repository.ts";
import { RunRepository } from "./run_repository.ts";
import { hasScheme } from "./uri.ts";

/** Where artifacts are looked for. */
export interface OpenOptions {
  /**
   * The tracking URI: its server keeps what is at `mlflow-artifacts:`, its store knows the runs and models.
   * @default {the one that `getTrackingUri` gives}
   */
  readonly trackingUri?: string;
  /** Where registered models are kept. @default {the one in force for the tracking URI} */
  readonly registryUri?: string;
}

/** Some files: a repository, and the path in it. */
export interface Artifacts {
  readonly repository: ArtifactRepository;
  /** The path of a file or folder; empty for the root. */
  readonly path: string;
  /** The version of a registered model that the URI names, and whose files these are. */
  readonly version?: ModelVersion;
}

const servers = new Map<string, Promise<HttpClient>>();

/** The repository of an artifact location: a local path, or a URI of `file:`, `mlflow-artifacts:`, `s3:`, `http(s):`. */
export async function openRepository(location: string, options: OpenOptions = {}): Promise<ArtifactRepository> {
  if (!hasScheme(location)) return await openLocal(location);
  const action = `Cannot open artifacts "${withoutPassword(location)}"`;
  const [, scheme, host = "", rest = ""] = /^([^:]+):(?:\/\/([^/?#]*))?([^?#]*)/.exec(location)!;
  const path = rest.replace(/^\/+|\/+$/g, "");
  switch (scheme.toLowerCase()) {
    case "file":
      return await openLocal(fileURLToPath(location));
    case "http":
    case "https":
      return new (await import("./http_repository.ts")).HttpRepository(location);
    case "mlflow-artifacts": {
      const trackingUri = options.trackingUri ?? getTrackingUri();
      const url = serverUrl(host, trackingUri, action);
      const { ProxyRepository } = await import("./proxy_repository.ts");
      return new ProxyRepository(() => openServer(url, trackingUri), decode(path).replace(/\/{2,}/g, "/"));
    }
    case "s3":
      if (host !== "") return new (await import("./s3_repository.ts")).S3Repository(host, path);
      throw new MlflowError("INVALID_PARAMETER_VALUE", "a bucket is wanted: s3://<bucket>/<path>", { action });
  }
  throw new MlflowError(
    "INVALID_PARAMETER_VALUE",
    "the location must be a path, or its scheme one of file, http, https, mlflow-artifacts, s3",
    { action },
  );
}

/**
 * The files that a URI names: `runs:/<run id>/<path>`, `models:/m-…/<path>`, `models:/<name>/<version>/<path>`,
 * `models:/<name>@<alias>/<path>`, or whatever `openRepository` takes.
 *
 * The first part of a run's path may be the name of a model that the run has put out, which is then meant, as in MLflow.
 */
export async function openArtifacts(uri: string, options: OpenOptions = {}): Promise<Artifacts> {
  const scheme = hasScheme(uri) ? uri.slice(0, uri.indexOf(":")).toLowerCase() : "file";
  const [, place = ""] = /^[^:]+:\/+([^?#]*?)\/*$/.exec(uri) ?? [];
  if (scheme === "runs") return await ofRun(uri, place.split("/"), options);
  if (scheme === "models") return await ofModel(uri, options);
  if (scheme === "file") return await ofLocal(hasScheme(uri) ? fileURLToPath(uri) : uri);
  // The last part of the path is looked for in what is above it, which may be the root.
  const [, above, name, query] =
    /^([^:]+:(?:\/\/[^/?#]*\/|\/?(?!\/))(?:[^?#]*\/)?)([^/?#]+)\/*((?:[?#].*)?)$/s.exec(uri) ?? [];
  if (name === undefined) return { repository: await openRepository(uri, options), path: "" };
  return { repository: await openRepository(`${above}${query}`, options), path: scheme === "s3" ? name : decode(name) };
}

async function ofLocal(path: string): Promise<Artifacts> {
  const found = await Deno.stat(path).catch(() => undefined);
  if (found === undefined || found.isDirectory) return { repository: await openLocal(path), path: "" };
  // The folder is that of the file itself, wherever a link to it lies.
  const file = await Deno.realPath(path);
  return { repository: await openLocal(dirname(file)), path: basename(file) };
}

async function openLocal(path: string): Promise<ArtifactRepository> {
  return new (await import("./local_repository.ts")).LocalRepository(path);
}

async function ofRun(uri: string, [runId, ...parts]: readonly string[], options: OpenOptions): Promise<Artifacts> {
  if (!runId) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `Not a proper runs:/ URI: ${uri}. Runs URIs must be of the form 'runs:/<run_id>/run-relative/path/to/artifact'`,
    );
  }
  return { repository: await openRunRepository(runId, options), path: pathOf(parts) };
}

/** The artifacts of a run, with the files of the models that it has put out in folders of their names. */
export async function openRunRepository(runId: string, options: OpenOptions = {}): Promise<ArtifactRepository> {
  const store = await openStore(absoluteUri(options.trackingUri ?? getTrackingUri()));
  const { info, outputs: { modelOutputs } } = await store.getRun(runId);
  const own = await openRepository(info.artifactUri, options);
  if (modelOutputs.length === 0) return own;
  let models: Promise<(LoggedModel | undefined)[]> | undefined;
  return new RunRepository(own, async (name) => {
    models ??= Promise.all(modelOutputs.map(({ modelId }) => existing(store.getLoggedModel(modelId))));
    const named = (await models).filter((model) => model?.name === name).reduce(
      (last, model) => last !== undefined && last.creationTimestamp > model!.creationTimestamp ? last : model,
      undefined,
    );
    return named && openRepository(named.artifactLocation, options);
  });
}

/** A model that may be deleted by now. */
async function existing(model: Promise<LoggedModel>): Promise<LoggedModel | undefined> {
  try {
    return await model;
  } catch (error) {
    if (error instanceof MlflowError && error.code === "RESOURCE_DOES_NOT_EXIST") return undefined;
    throw error;
  }
}

async function ofModel(uri: string, options: OpenOptions): Promise<Artifacts> {
  const { model, path: parts } = splitModelUri(uri);
  const trackingUri = options.trackingUri ?? getTrackingUri();
  if ("modelId" in model) {
    const store = await openStore(absoluteUri(trackingUri));
    const { artifactLocation } = await store.getLoggedModel(model.modelId);
    return { repository: await openRepository(artifactLocation, options), path: pathOf(parts) };
  }
  const { registry } = await openStore(absoluteUri(options.registryUri ?? registryUriOf(trackingUri)));
  const version = await findModelVersion(model, registry);
  const location = await registry.getModelVersionDownloadUri(version.name, version.version);
  // Who registered it may have named a run's folder, or another version.
  if (!/^(?:runs|models):/i.test(location)) {
    return { repository: await openRepository(location, options), path: pathOf(parts), version };
  }
  const { repository, path } = await openArtifacts(location, options);
  return { repository, path: checkArtifactPath(parts.reduce(inFolder, path)), version };
}

function pathOf(parts: readonly string[]): string {
  return checkArtifactPath(parts.reduce(inFolder, ""));
}

/** The URL of the server that keeps what is at `mlflow-artifacts:`. */
function serverUrl(host: string, trackingUri: string, action: string): string {
  const url = URL.parse(trackingUri);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      "When an mlflow-artifacts URI was supplied, the tracking URI must be a valid http or https URI, but it was " +
        `currently set to ${withoutPassword(trackingUri)}. Perhaps you forgot to set the tracking URI to the running ` +
        "MLflow server. An experiment that was made through a server keeps its artifacts there; to log without one, " +
        "make an experiment of your own with createExperiment or setExperiment",
      { action },
    );
  }
  if (host === "") return trackingUri;
  if (/^[\d.]+$/.test(host) && !/^\d+(\.\d+){3}$/.test(host)) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `The mlflow-artifacts uri was supplied with a port number: ${host}, but no host was defined.`,
      { action },
    );
  }
  return `${url.protocol}//${host}${url.pathname.replace(/\/+$/, "")}`;
}

/**
 * What sends requests to a server, kept for the program's life. One that a location names, and that is not on the host
 * of the tracking server, gets none of its credentials: who may make an experiment says where its artifacts are.
 */
function openServer(url: string, trackingUri: string): Promise<HttpClient> {
  const credentials = new URL(url).hostname === new URL(trackingUri).hostname ? "tracking" : "url";
  const key = `${credentials} ${url}`;
  let server = servers.get(key);
  if (server === undefined) {
    server = import("../stores/http.ts").then(({ HttpClient }) => HttpClient.open(url, { credentials }));
    servers.set(key, server);
    // What could not be opened now, as for a missing certificate, may be there later.
    server.catch(() => servers.delete(key));
  }
  return server;
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function withoutPassword(uri: string): string {
  return uri.replace(/\/\/[^/@]*@/, "//").replace(/\?.*$/s, "");
}
