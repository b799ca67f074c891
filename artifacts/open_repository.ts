import { fileURLToPath } from "node:url";
import { MlflowError } from "../errors.ts";
import { LocalRepository } from "./local_repository.ts";
import type { ArtifactRepository } from "./repository.ts";
import { hasScheme } from "./uri.ts";

/** The repository of an artifact location: a local path or a `file:` URI. */
export function openRepository(location: string): ArtifactRepository {
  if (!hasScheme(location)) return new LocalRepository(location);
  if (location.startsWith("file:")) return new LocalRepository(fileURLToPath(location));
  const served = location.startsWith("mlflow-artifacts:")
    ? "; the experiment was made through a tracking server, which keeps its artifacts: make an experiment of your own " +
      "with createExperiment or setExperiment"
    : "";
  throw new MlflowError(
    "INVALID_PARAMETER_VALUE",
    `the location must be a path or a file: URI, artifacts elsewhere are not supported yet${served}`,
    { action: `Cannot open artifacts "${location}"` },
  );
}
