/**
 * What MLflow's server refuses before it looks at a request: another site's page that uses the visitor's browser to
 * write here (`Origin`), and a name that was made to point here (`Host`).
 */

const HOSTS = /^(localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0)(:.*)?$/;
const PRIVATE_HOSTS = /^(192\.168\.|10\.|172\.(1[6-9]|2\d|3[01])\.|fc00:|fd00:)/;
const LOCAL_ORIGIN = /^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;
const LOCAL_HOSTNAMES: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);
const WRITING: ReadonlySet<string> = new Set(["POST", "PUT", "DELETE", "PATCH"]);

/** The refusal of a request that must not be answered; undefined for all others. */
export function refuse(request: Request): Response | undefined {
  const { pathname, host: urlHost } = new URL(request.url);
  if (pathname !== "/health" && pathname !== "/version") {
    const host = request.headers.get("host") ?? urlHost;
    if (!HOSTS.test(host) && !PRIVATE_HOSTS.test(host)) {
      return forbidden("Invalid Host header - possible DNS rebinding attack detected");
    }
  }
  const origin = request.headers.get("origin");
  if (origin !== null && WRITING.has(request.method) && /^\/(ajax-)?api\//.test(pathname) && !isLocal(origin)) {
    return forbidden("Cross-origin request blocked");
  }
}

/** Adds the headers that keep an answer from being used by other sites. */
export function secure(request: Request, response: Response): Response {
  const { headers } = response;
  headers.set("x-content-type-options", "nosniff");
  headers.set("x-frame-options", "SAMEORIGIN");
  const origin = request.headers.get("origin");
  if (origin !== null && LOCAL_ORIGIN.test(origin)) {
    headers.set("access-control-allow-origin", origin);
    headers.set("access-control-allow-credentials", "true");
    headers.append("vary", "Origin");
    if (request.method === "OPTIONS") {
      headers.set("access-control-allow-methods", "GET, POST, PUT, DELETE, OPTIONS, PATCH");
      const asked = request.headers.get("access-control-request-headers");
      if (asked !== null) headers.set("access-control-allow-headers", asked);
    }
  }
  return response;
}

function forbidden(text: string): Response {
  return new Response(text, { status: 403, headers: { "content-type": "text/plain; charset=utf-8" } });
}

function isLocal(origin: string): boolean {
  const hostname = URL.parse(origin)?.hostname;
  return hostname !== undefined && LOCAL_HOSTNAMES.has(hostname);
}
