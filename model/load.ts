import { inFolder } from "../artifacts/artifact_path.ts";
import { openArtifacts } from "../artifacts/open_repository.ts";
import { MlflowError } from "../errors.ts";
import { checkFile, type Checksum } from "./checksum.ts";
import { MLMODEL, type ModelInfo, readMlmodel } from "./mlmodel.ts";
import { readTfjsFiles } from "./tfjs_files.ts";
import type { ModelArtifactsLike } from "./tfjs_model.ts";

/** A model as its files have it. */
export interface ReadModel {
  readonly artifacts: ModelArtifactsLike;
  readonly info: ModelInfo;
}

/** What the MLmodel file of the model at a URI says. */
export async function readModelInfo(uri: string): Promise<ModelInfo> {
  const { repository, path } = await openArtifacts(uri);
  return await readMlmodel(await repository.read(inFolder(path, MLMODEL)));
}

/** Reads the tfjs model at a URI, each file checked by its size and hash where the MLmodel file tells them. */
export async function readModel(uri: string): Promise<ReadModel> {
  const { repository, path } = await openArtifacts(uri);
  const readFile = (name: string) => repository.read(inFolder(path, name));
  const info = await readMlmodel(await readFile(MLMODEL));
  if (!("tensorflowjs" in info.flavors)) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      `the model has no flavor "tensorflowjs", found ${Object.keys(info.flavors).join(", ") || "none"}`,
    );
  }
  const flavor = info.flavors.tensorflowjs as { readonly files?: Readonly<Record<string, Checksum>> } | null;
  const artifacts = await readTfjsFiles(async (name) => {
    const bytes = await readFile(name);
    const wanted = flavor?.files?.[name];
    if (wanted !== undefined) checkFile(name, bytes, wanted);
    return bytes;
  });
  return { artifacts, info };
}
