import type { DecodeSettings } from "./decode.ts";
import { type LoadedFile, loadFile } from "./load_file.ts";

/** What a worker is asked to do. */
export interface DecodeJob {
  readonly id: number;
  readonly path: string;
  readonly settings: DecodeSettings;
}

/** What it answers. */
export type DecodeAnswer =
  | { readonly id: number; readonly file: LoadedFile }
  | { readonly id: number; readonly reason: string };

/** The part of a worker's global scope that is used here. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<DecodeJob>) => void) | null;
  postMessage(answer: DecodeAnswer, transfer?: Transferable[]): void;
}

const scope = globalThis as unknown as WorkerScope;

scope.onmessage = async ({ data: { id, path, settings } }) => {
  try {
    const file = await loadFile(path, settings);
    scope.postMessage({ id, file }, [file.data.buffer]);
  } catch (error) {
    scope.postMessage({ id, reason: (error as Error).message });
  }
};
