import { extname, join } from "@std/path";
import { readEnv } from "../env.ts";
import { MlflowError } from "../errors.ts";
import { pythonText } from "../python_text.ts";
import { shellQuote } from "./shell_quote.ts";

/** A parameter that an entry point declares. */
export interface Parameter {
  readonly name: string;
  /** `string`, `float`, `path` or `uri`; any other word counts as `string`, as in MLflow. */
  readonly type: string;
  /** Its value where none is given, as Python's `str()` writes it; a value is wanted where it is undefined. */
  readonly default: string | undefined;
}

/** Something that a project can be asked to run. */
export interface EntryPoint {
  readonly name: string;
  /** In the order of the file. */
  readonly parameters: readonly Parameter[];
  /** A command for the shell, in which `{name}` stands for a parameter. */
  readonly command: string;
}

/** A folder that can be run, and what its `MLproject` says. */
export interface Project {
  readonly folder: string;
  /** The entry points by their names; none where there is no `MLproject`. */
  readonly entryPoints: ReadonlyMap<string, EntryPoint>;
}

type Mapping = Readonly<Record<string, unknown>>;

/** The keys of which a project may have one, each naming where it is to run. */
const ENVIRONMENTS = ["python_env", "conda_env", "docker_env"];

/** Reads and checks a folder's `MLproject`, whose name may be written in any case; a folder without one has no entry points. */
export async function readProject(folder: string): Promise<Project> {
  const file = await findFile(folder);
  if (file === undefined) return { folder, entryPoints: new Map() };
  const { readYaml } = await import("../yaml.ts");
  let content: unknown;
  try {
    content = readYaml(await Deno.readTextFile(join(folder, file)), { floats: "text" });
  } catch (cause) {
    throw invalid(`${file} is not readable: ${(cause as Error).message}`, cause);
  }
  const project = mapping(content ?? {}, file);
  await checkEnvironment(project, folder, file);
  const entries = Object.entries(mapping(project.entry_points ?? {}, `${file}: entry_points`));
  const entryPoints = entries.map(([name, entry]) => readEntryPoint(name, entry, `${file}: entry_points.${name}`));
  return { folder, entryPoints: new Map(entryPoints.map((entryPoint) => [entryPoint.name, entryPoint])) };
}

/** The entry point of this name, or else the script of this name in the project's folder: Python, shell or Deno. */
export async function entryPointOf({ folder, entryPoints }: Project, name: string): Promise<EntryPoint> {
  const declared = entryPoints.get(name);
  if (declared !== undefined) return declared;
  const interpreters: Readonly<Record<string, string>> = {
    ".py": "python",
    ".sh": readEnv("SHELL") ?? "bash",
    ".ts": "deno run -A",
    ".js": "deno run -A",
  };
  const interpreter = interpreters[extname(name)];
  if (interpreter === undefined) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `Could not find ${name} among entry points ${pythonText([...entryPoints.keys()])} or interpret ${name} as a ` +
        `runnable script. Supported script file extensions: ${pythonText(Object.keys(interpreters))}`,
    );
  }
  const found = await Deno.stat(join(folder, name)).catch(() => undefined);
  if (!found?.isFile) {
    throw new MlflowError("INVALID_PARAMETER_VALUE", `there is no file ${name} and no entry point of that name`);
  }
  // What the command holds is a template, in which a brace that is meant stands twice.
  const command = `${interpreter} ${shellQuote(name)}`.replace(/[{}]/g, "$&$&");
  return { name, parameters: [], command };
}

async function findFile(folder: string): Promise<string | undefined> {
  for await (const { name } of Deno.readDir(folder)) if (name.toLowerCase() === "mlproject") return name;
}

async function checkEnvironment(project: Mapping, folder: string, file: string): Promise<void> {
  const given = ENVIRONMENTS.filter((key) => key in project);
  if (given.length > 1) {
    throw invalid(`${file}: Project cannot contain multiple environment fields: ${given.join(", ")}`);
  }
  for (const key of ["docker_env", "databricks_spark_job"]) {
    if (project[key] === undefined) continue;
    throw new MlflowError(
      "NOT_IMPLEMENTED",
      `${file} asks for ${key}, and projects run in the local environment only: use \`mlflow run\` for it`,
    );
  }
  for (const key of given) {
    const path = text(project[key], `${file}: ${key}`);
    const found = await Deno.stat(join(folder, path)).catch(() => undefined);
    if (found === undefined) throw invalid(`${file}: ${key} names the file ${path}, and there is none`);
  }
}

function readEntryPoint(name: string, entry: unknown, place: string): EntryPoint {
  const { parameters, command } = mapping(entry, place);
  return {
    name,
    command: text(command, `${place}.command`),
    parameters: Object.entries(mapping(parameters ?? {}, `${place}.parameters`)).map(([key, value]) =>
      readParameter(key, value, `${place}.parameters.${key}`)
    ),
  };
}

function readParameter(name: string, value: unknown, place: string): Parameter {
  if (typeof value === "string") return { name, type: value, default: undefined };
  const { type, default: missing } = mapping(value, place);
  if (typeof missing === "object" && missing !== null) {
    throw invalid(`${place}.default must be one value, in quotes where it is a list: found ${JSON.stringify(missing)}`);
  }
  return {
    name,
    type: type === undefined ? "string" : text(type, `${place}.type`),
    default: missing === undefined || missing === null ? undefined : pythonText(missing),
  };
}

function mapping(value: unknown, place: string): Mapping {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Mapping;
  throw invalid(`${place} must be a mapping: found ${JSON.stringify(value)}`);
}

function text(value: unknown, place: string): string {
  if (typeof value === "string" && value.trim() !== "") return value;
  throw invalid(`${place} must be a text: found ${JSON.stringify(value)}`);
}

function invalid(reason: string, cause?: unknown): MlflowError {
  return new MlflowError("INVALID_PARAMETER_VALUE", reason, { cause });
}
