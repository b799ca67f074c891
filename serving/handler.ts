import { parseJson } from "../artifacts.ts";
import { MlflowError } from "../errors.ts";
import { isTensorSchema, type ModelSignature, type Schema, type TensorValues } from "../signature.ts";
import { ERROR_STATUSES } from "../stores/wire.ts";
import { Batches } from "./batches.ts";
import { classify, readImage } from "./image_body.ts";
import { fromTable, type Inputs, readInputs } from "./inputs.ts";
import { readCsv } from "./table.ts";

/** What is served. */
export interface HandlerOptions {
  /** What the model takes. */
  readonly signature: ModelSignature & { readonly inputs: Schema };
  /** Computes the model's outputs. */
  readonly predict: (inputs: readonly TensorValues[]) => Promise<readonly TensorValues[]>;
  /** The names of the outputs, where there are several. */
  readonly outputNames: readonly string[];
  /** The names of the classes that the model tells apart. */
  readonly classNames: readonly string[];
  /** Most bytes of a request. */
  readonly maxBodyBytes: number;
  /** Most examples that are predicted at once. */
  readonly maxBatch: number;
  /** Most requests that may wait. */
  readonly maxWaiting: number;
}

/** The release of MLflow whose answers these are. */
const MLFLOW_VERSION = "3.17.2";

/** What answers requests as MLflow's scoring server does; for `Deno.serve`. */
export function createModelHandler(options: HandlerOptions): (request: Request) => Promise<Response> {
  const { signature: { inputs }, maxWaiting } = options;
  // Where the number of examples is fixed, requests cannot be put together.
  const open = !isTensorSchema(inputs) || inputs.every(({ shape }) => shape[0] === -1);
  const batches = new Batches(options.predict, { maxBatch: open ? options.maxBatch : 0, maxWaiting });
  const routes: Readonly<Record<string, Readonly<Record<string, (request: Request) => Promise<Response> | Response>>>> =
    {
      "/ping": { GET: () => json("\n") },
      "/health": { GET: () => json("\n") },
      "/version": { GET: () => json(MLFLOW_VERSION) },
      "/invocations": { POST: (request) => invoke(request, options, batches) },
    };
  return async (request) => {
    const methods = routes[new URL(request.url).pathname];
    if (methods === undefined) return json(`{"detail":"Not Found"}`, 404);
    const answer = methods[request.method];
    if (answer === undefined) {
      return json(`{"detail":"Method Not Allowed"}`, 405, { allow: Object.keys(methods).join(", ") });
    }
    try {
      return await answer(request);
    } catch (error) {
      return toResponse(error);
    }
  };
}

async function invoke(request: Request, options: HandlerOptions, batches: Batches): Promise<Response> {
  const type = request.headers.get("content-type");
  const [mime, ...parameters] = (type ?? "").split(";").map((part) => part.trim());
  for (const parameter of parameters) {
    const [name, value] = parameter.split("=", 2);
    if (name !== "charset") return refused(`Unrecognized content type parameters: ${name}.`);
    if (value?.toLowerCase() !== "utf-8") return refused("The scoring server only supports UTF-8");
  }
  const isImage = mime.startsWith("image/");
  if (!isImage && !["application/json", "text/csv"].includes(mime)) {
    const types = "['text/csv', 'application/json', 'image/*']";
    return refused(
      `This predictor only supports the following content types: Types: ${types}. Got '${type ?? "none"}'.`,
    );
  }
  const bytes = await readBody(request, options.maxBodyBytes);
  const inputs = await readRequest(mime, bytes, options.signature);
  const outputs = await batches.predict(inputs);
  const classes = isImage ? classify(outputs, options.classNames) : undefined;
  const predictions = isTensorSchema(options.signature.inputs) ? asLists(outputs, options) : asRecords(outputs);
  // JSON knows no NaN and no infinity: they are null.
  return json(JSON.stringify({ predictions, ...(classes === undefined ? {} : { classes }) }));
}

async function readRequest(mime: string, bytes: Uint8Array, signature: HandlerOptions["signature"]): Promise<Inputs> {
  if (mime.startsWith("image/")) return await readImage(bytes, signature.inputs);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new MlflowError("BAD_REQUEST", "Invalid input. Ensure that input is a valid UTF-8 encoded string.", {
      cause,
    });
  }
  if (mime === "text/csv") return fromTable(readCsv(text), signature.inputs);
  let body: unknown;
  try {
    body = parseJson(text);
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new MlflowError(
      "BAD_REQUEST",
      `Invalid input. Ensure that input is a valid JSON formatted string. Error: '${reason}'`,
      { cause },
    );
  }
  try {
    return readInputs(body, signature);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new MlflowError("BAD_REQUEST", "Invalid input. Its lists are nested too deep", { cause });
  }
}

/** The bytes of a body; one that is too long is not read to its end. */
async function readBody(request: Request, limit: number): Promise<Uint8Array> {
  if (Number(request.headers.get("content-length")) > limit) throw new TooLong(limit);
  if (request.headers.has("content-length")) return await request.bytes();
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of request.body ?? []) {
    size += part.length;
    if (size > limit) throw new TooLong(limit);
    parts.push(part);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

class TooLong extends MlflowError {
  constructor(limit: number) {
    super("BAD_REQUEST", `the body must have at most ${limit} bytes`, { status: 413 });
  }
}

function asLists(outputs: readonly TensorValues[], { outputNames }: HandlerOptions): unknown {
  const lists = outputs.map(({ shape, values, dtype }) => nested(values, shape, dtype === "bool"));
  if (lists.length === 1) return lists[0];
  return Object.fromEntries(lists.map((list, i) => [outputNames[i] ?? String(i), list]));
}

/** As a DataFrame that has no names: a record for each row, its columns numbered. */
function asRecords(outputs: readonly TensorValues[]): unknown {
  const [{ shape, values }] = outputs;
  const width = shape.slice(1).reduce((product, size) => product * size, 1);
  return Array.from(
    { length: shape[0] },
    (_, row) => Object.fromEntries(Array.from({ length: width }, (_, i) => [String(i), values[row * width + i]])),
  );
}

function nested(values: TensorValues["values"], shape: readonly number[], isBoolean: boolean): unknown {
  if (shape.length === 0) return isBoolean ? values[0] === 1 : values[0];
  if (shape.length === 1) {
    return Array.from(
      values as ArrayLike<number>,
      isBoolean ? (value) => value === 1 : undefined!,
    );
  }
  const [count, ...rest] = shape;
  const size = rest.reduce((product, one) => product * one, 1);
  return Array.from({ length: count }, (_, i) => nested(values.slice(i * size, (i + 1) * size), rest, isBoolean));
}

function json(text: string, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(text, { status, headers: { "content-type": "application/json", ...headers } });
}

function refused(reason: string): Response {
  return new Response(reason, { status: 415, headers: { "content-type": "text/plain; charset=utf-8" } });
}

function toResponse(error: unknown): Response {
  if (!(error instanceof MlflowError)) {
    // What is not MLflow's to say is for whoever runs the server, and not for who asked.
    console.error(error);
    return json(JSON.stringify({ error_code: "INTERNAL_ERROR", message: "Internal Server Error" }), 500);
  }
  const status = error.status ?? ERROR_STATUSES[error.code];
  return json(JSON.stringify({ error_code: error.code, message: error.reason }), status);
}
