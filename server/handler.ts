import { MlflowError } from "../errors.ts";
import type { TrackingStore } from "../stores/store.ts";
import { ERROR_STATUSES, isJson, type Json } from "../stores/wire.ts";
import { ARTIFACT_ROUTES, getArtifact, PROXY_ROUTES } from "./artifact_routes.ts";
import { Fields } from "./fields.ts";
import { getModelVersionArtifact, REGISTRY_ROUTES } from "./registry_routes.ts";
import { Router } from "./route.ts";
import { refuse, secure } from "./security.ts";
import { TRACKING_ROUTES } from "./tracking_routes.ts";

/** What is served. */
export interface HandlerOptions {
  /** The store that is asked. */
  readonly store: TrackingStore;
  /**
   * The folder or URI behind `mlflow-artifacts:`, where new experiments then keep their artifacts, so that clients need
   * not reach it themselves. @default {none is served: artifacts are where the store keeps them}
   */
  readonly artifactRoot?: string;
}

/** The release of MLflow whose answers these are. */
const MLFLOW_VERSION = "3.17.2";
/** Most bytes of a request to log a batch. */
const MAX_BATCH_BYTES = 1_000_000;

const ROUTER: Router = new Router([
  ...["/api/2.0", "/ajax-api/2.0"].flatMap((api) =>
    [
      [`${api}/mlflow/`, TRACKING_ROUTES],
      [`${api}/mlflow/`, REGISTRY_ROUTES],
      [`${api}/mlflow/`, ARTIFACT_ROUTES],
      [`${api}/mlflow-artifacts/`, PROXY_ROUTES],
    ] as const
  ),
  ...["/api/3.0/mlflow/", "/ajax-api/3.0/mlflow/"].map((api) =>
    [api, { "GET server-info": async () => ({ store_type: "SqlStore", workspaces_enabled: false }) }] as const
  ),
  ["/", {
    "GET health": async () => text("OK"),
    "GET version": async () => text(MLFLOW_VERSION),
    "GET get-artifact": getArtifact,
    "GET model-versions/get-artifact": getModelVersionArtifact,
  }],
]);

/** What answers requests as MLflow's tracking server does, over any store; for `Deno.serve`. */
export function createHandler({ store, artifactRoot }: HandlerOptions): (request: Request) => Promise<Response> {
  return async (request) => {
    const refused = refuse(request);
    if (refused !== undefined) return secure(request, refused);
    if (request.method === "OPTIONS") return secure(request, new Response(null, { status: 204 }));
    try {
      return secure(request, await answer(request, store, artifactRoot));
    } catch (error) {
      return secure(request, toResponse(error));
    }
  };
}

async function answer(request: Request, store: TrackingStore, artifactRoot: string | undefined): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  const match = ROUTER.find(request.method, pathname);
  if (match === undefined) return page(404, "Not Found", "The requested URL was not found on the server.");
  if (match === "method") return page(405, "Method Not Allowed", "The method is not allowed for the requested URL.");
  const raw = pathname.includes("/mlflow-artifacts/");
  const fields = request.method === "GET" || raw ? new Fields(searchParams) : await readBody(request, pathname);
  const reply = await match.answer({ store, fields, params: match.params, request, artifactRoot });
  return reply instanceof Response ? reply : Response.json(reply);
}

async function readBody(request: Request, pathname: string): Promise<Fields> {
  const type = request.headers.get("content-type");
  if (request.method === "POST" && type?.split(";")[0] !== "application/json") {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      type === null
        ? "Bad Request. Content-Type header is missing."
        : "Bad Request. Content-Type must be one of ['application/json'].",
    );
  }
  const text = await request.text();
  if (pathname.endsWith("/runs/log-batch") && text.length > MAX_BATCH_BYTES) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `Batched logging API requests must be at most ${MAX_BATCH_BYTES} bytes, got a request of size ${text.length}.`,
    );
  }
  return new Fields(parseBody(text));
}

function parseBody(text: string): Json {
  if (text.trim() === "") return {};
  let body: unknown;
  try {
    body = JSON.parse(text);
    // MLflow takes what old clients have encoded twice.
    if (typeof body === "string") body = JSON.parse(body);
  } catch (cause) {
    throw new MlflowError("BAD_REQUEST", "Bad Request. The body is not valid JSON.", { cause });
  }
  if (isJson(body)) return body;
  throw new MlflowError("BAD_REQUEST", "Bad Request. The body is not a JSON object.");
}

function toResponse(error: unknown): Response {
  if (!(error instanceof MlflowError)) {
    // What is not MLflow's to say is for whoever runs the server, and not for who asked.
    console.error(error);
    return Response.json({ error_code: "INTERNAL_ERROR", message: "Internal Server Error" }, { status: 500 });
  }
  return Response.json({ error_code: error.code, message: error.reason }, { status: ERROR_STATUSES[error.code] });
}

function text(content: string): Response {
  return new Response(content, { headers: { "content-type": "text/plain; charset=utf-8" } });
}

function page(status: number, title: string, sentence: string): Response {
  const html =
    `<!doctype html>\n<html lang=en>\n<title>${status} ${title}</title>\n<h1>${title}</h1>\n<p>${sentence}</p>\n`;
  return new Response(html, { status, headers: { "content-type": "text/html; charset=utf-8" } });
}
