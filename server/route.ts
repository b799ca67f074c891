import { MlflowError } from "../errors.ts";
import type { TrackingStore } from "../stores/store.ts";
import type { Json } from "../stores/wire.ts";
import type { Fields } from "./fields.ts";

/** What a route is given. */
export interface Call {
  /** The store that is asked. */
  readonly store: TrackingStore;
  /** The fields of the request's body, or of its query where there is no body. */
  readonly fields: Fields;
  /** What stands for the `:names` of the route's path. */
  readonly params: Readonly<Record<string, string>>;
  /** The request; its body is read already unless the route takes it raw. */
  readonly request: Request;
  /** The folder or URI behind `mlflow-artifacts:`; undefined where none is served. */
  readonly artifactRoot: string | undefined;
}

/** Answers a request: an object is sent as JSON. */
export type Answer = (call: Call) => Promise<Json | Response>;

/** Routes by method and path, such as `"GET logged-models/:id"`; `*` at the end takes the rest of the path. */
export type Routes = Readonly<Record<string, Answer>>;

/** The answer to a request and what its path holds. */
export interface Match {
  readonly answer: Answer;
  readonly params: Readonly<Record<string, string>>;
}

/** Finds routes: undefined where no route has the path, "method" where only its method is not there. */
export class Router {
  readonly #routes: readonly { readonly method: string; readonly pattern: RegExp; readonly answer: Answer }[];

  /** @param tables routes by the beginnings of their paths */
  constructor(tables: readonly (readonly [prefix: string, routes: Routes])[]) {
    this.#routes = tables.flatMap(([prefix, routes]) =>
      Object.entries(routes).map(([route, answer]) => {
        const [method, path] = route.split(" ");
        return { method, pattern: toPattern(prefix + path), answer };
      })
    );
  }

  /** @param path as the URL has it, still encoded */
  find(method: string, path: string): Match | "method" | undefined {
    let seen = false;
    for (const route of this.#routes) {
      const match = route.pattern.exec(path);
      if (match === null) continue;
      seen = true;
      if (route.method === method) return { answer: route.answer, params: decodeAll(match.groups ?? {}) };
    }
    return seen ? "method" : undefined;
  }
}

function toPattern(path: string): RegExp {
  const source = path.replace(/[.]/g, "\\$&").replace(/:(\w+)/g, "(?<$1>[^/]+)").replace(/\*$/, "(?<rest>.+)");
  return new RegExp(`^${source}$`);
}

function decodeAll(groups: Readonly<Record<string, string>>): Record<string, string> {
  try {
    return Object.fromEntries(Object.entries(groups).map(([name, value]) => [name, decodeURIComponent(value)]));
  } catch (cause) {
    throw new MlflowError("INVALID_PARAMETER_VALUE", "Invalid path", { cause });
  }
}
