import type { DecodeSettings } from "./decode.ts";
import { type LoadedFile, loadFile } from "./load_file.ts";

/** What a worker is asked to do. */
export interface DecodeJob {
  readonly paths: readonly string[];
  readonly settings: DecodeSettings;
}

/** What it answers, job after job: each file, or the reason why there is none. */
export type DecodeAnswer = readonly (LoadedFile | string)[];

/** The part of a worker's global scope that is used here. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<DecodeJob>) => void) | null;
  postMessage(answer: DecodeAnswer, transfer?: Transferable[]): void;
}

const scope = globalThis as unknown as WorkerScope;

let turn: Promise<void> = Promise.resolve();

scope.onmessage = ({ data: job }) => {
  turn = turn.then(() => work(job));
};

async function work({ paths, settings }: DecodeJob): Promise<void> {
  // Together, so that one is read while another is decoded.
  const files: DecodeAnswer = await Promise.all(
    paths.map((path) => loadFile(path, settings).catch((error) => (error as Error).message)),
  );
  scope.postMessage(files, files.flatMap((file) => typeof file === "string" ? [] : [file.data.buffer]));
}
