/**
 * Keras beside MLflow, in `${MLFLOW_DENO_CACHE:-$HOME/.cache/mlflow-deno}/keras`, where `.ci/run` makes a venv for both.
 *
 * It takes 6 seconds to import TensorFlow: do many checks in one snippet.
 */
import { join } from "@std/path";
import { gatedTest } from "./gate.ts";
import { Mlflow, type MlflowTestFunction, NEWEST } from "./mlflow.ts";

/** Registers a test that needs the real Keras and MLflow, in a temporary folder of its own. */
export function kerasTest(name: string, fn: MlflowTestFunction): void {
  gatedTest({
    name,
    missing: missingKeras(),
    fn: async (t) => {
      const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
      try {
        await fn(new Mlflow(NEWEST, kerasPython(), dir), t);
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    },
  });
}

/** Why Keras cannot be used here; undefined where it can. */
export function missingKeras(): string | undefined {
  const python = kerasPython();
  try {
    Deno.statSync(python);
  } catch {
    return `no Keras at ${python}`;
  }
}

/** Where the Python with Keras and MLflow should be. */
export function kerasPython(): string {
  const cache = Deno.env.get("MLFLOW_DENO_CACHE") ?? join(Deno.env.get("HOME") ?? "/", ".cache", "mlflow-deno");
  return join(cache, "keras", "bin", "python");
}
