import { inFolder } from "../artifacts/artifact_path.ts";
import { openArtifacts } from "../artifacts/open_repository.ts";
import { doing } from "../errors.ts";
import { type ModelSignature, readSignature } from "../signature.ts";

/** What an MLmodel file says of a model. */
export interface ModelInfo {
  readonly signature: ModelSignature | undefined;
  readonly runId: string | undefined;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export async function getModelInfo(uri: string): Promise<ModelInfo> {
  return await doing(`Cannot read model "${uri}"`, async () => {
    const { repository, path } = await openArtifacts(uri);
    const { readYaml } = await import("../yaml.ts");
    const file = readYaml(new TextDecoder().decode(await repository.read(inFolder(path, "MLmodel")))) as Record<
      string,
      unknown
    >;
    return {
      signature: file.signature ? readSignature(file.signature) : undefined,
      runId: (file.run_id ?? undefined) as string | undefined,
      metadata: (file.metadata ?? {}) as Record<string, unknown>,
    };
  });
}
