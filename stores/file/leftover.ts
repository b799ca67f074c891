import { join } from "@std/path";
import { Layout } from "./layout.ts";

/**
 * What is in a folder that MLflow's file store has left behind, such as `12 runs`; undefined where there is none, or
 * where Deno does not allow it to be read. Artifacts of other stores lie in folders of the same names, but have no
 * meta.yaml.
 */
export function describeLeftover(folder: string): string | undefined {
  if (Deno.permissions.querySync({ name: "read", path: folder }).state !== "granted") return undefined;
  try {
    const layout = new Layout(folder);
    const experiments = layout.experiments();
    // Those in the trash alone do not count: MLflow looks for active ones too.
    if (!experiments.some(({ id, folder: found }) => found === join(folder, id))) return undefined;
    const runs = experiments.flatMap((experiment) => layout.runs(experiment)).filter((run) => layout.isDescribed(run));
    return runs.length > 0 ? count(runs.length, "run") : count(experiments.length, "experiment");
  } catch (error) {
    // As in MLflow, what cannot be looked into is as if it were not there.
    if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) return undefined;
    throw error;
  }
}

function count(number: number, what: string): string {
  return `${number.toLocaleString("en-US")} ${what}${number === 1 ? "" : "s"}`;
}
