import type { DecodeSettings } from "./decode.ts";
import type { DecodeAnswer, DecodeJob } from "./decode_worker.ts";
import { type LoadedFile, loadFile } from "./load_file.ts";

/** While one file is decoded the next is read, and no worker waits while its answer travels. */
const JOBS_A_WORKER = 2;
/** How long idle workers are kept: a running worker keeps the process from ending. */
const IDLE_MILLISECONDS = 1000;

interface Pending {
  readonly job: DecodeJob;
  readonly resolve: (file: LoadedFile) => void;
  readonly reject: (error: unknown) => void;
}

interface Seat {
  readonly worker: Worker;
  readonly pending: Map<number, Pending>;
}

let warned = false;

/**
 * Decodes files on several threads. Workers start with the first file and end at `close()`, or a second after the last
 * answer where nobody closes.
 *
 * Where workers cannot start, files are decoded on this thread, with one warning.
 */
export class DecodePool {
  /** How many files are decoded at a time; more may be asked for. */
  readonly width: number;
  readonly #settings: DecodeSettings;
  readonly #workers: number;
  readonly #waiting: Pending[] = [];
  #seats: Seat[] = [];
  #usable = true;
  #nextId = 0;
  #idle: ReturnType<typeof setTimeout> | undefined;

  /** @param workers threads to decode on; 0: this one */
  constructor(settings: DecodeSettings, workers: number) {
    this.#settings = settings;
    this.#workers = workers;
    this.width = Math.max(1, workers) * JOBS_A_WORKER;
  }

  /**
   * Reads and decodes a file.
   *
   * @throws Error with the reason alone
   */
  decode(path: string): Promise<LoadedFile> {
    if (this.#workers === 0 || !this.#usable) return loadFile(path, this.#settings);
    clearTimeout(this.#idle);
    this.#start();
    const job = { id: this.#nextId++, path, settings: this.#settings };
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, resolve, reject });
      this.#dispatch();
    });
  }

  /** Ends the workers; a later `decode()` starts them again. Files that are waited for are decoded on this thread. */
  close(): void {
    clearTimeout(this.#idle);
    const seats = this.#seats;
    this.#seats = [];
    for (const { worker } of seats) worker.terminate();
    this.#decodeHere([...seats.flatMap(({ pending }) => [...pending.values()]), ...this.#waiting.splice(0)]);
  }

  #start(): void {
    if (this.#seats.length > 0) return;
    try {
      for (let i = 0; i < this.#workers; i++) this.#seats.push(this.#seat());
    } catch (error) {
      this.#giveUp(error instanceof Error ? error.message : String(error));
    }
  }

  #seat(): Seat {
    const worker = new Worker(new URL("./decode_worker.ts", import.meta.url), { type: "module" });
    const seat: Seat = { worker, pending: new Map() };
    worker.onmessage = ({ data }: MessageEvent<DecodeAnswer>) => this.#answer(seat, data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#giveUp(event.message);
    };
    return seat;
  }

  #dispatch(): void {
    for (let room = true; room && this.#waiting.length > 0;) {
      room = false;
      for (const { worker, pending } of this.#seats) {
        if (pending.size >= JOBS_A_WORKER) continue;
        const next = this.#waiting.shift();
        if (!next) return;
        pending.set(next.job.id, next);
        worker.postMessage(next.job);
        room = true;
      }
    }
  }

  #answer(seat: Seat, answer: DecodeAnswer): void {
    const pending = seat.pending.get(answer.id);
    seat.pending.delete(answer.id);
    if ("file" in answer) pending?.resolve(answer.file);
    else pending?.reject(new Error(answer.reason));
    this.#dispatch();
    if (this.#seats.every(({ pending }) => pending.size === 0)) {
      clearTimeout(this.#idle);
      this.#idle = setTimeout(() => this.close(), IDLE_MILLISECONDS);
    }
  }

  #giveUp(reason: string): void {
    this.#usable = false;
    if (!warned) {
      warned = true;
      console.warn(`warning: images are decoded on one thread, since workers cannot be used: ${reason}`);
    }
    this.close();
  }

  async #decodeHere(left: readonly Pending[]): Promise<void> {
    for (const { job, resolve, reject } of left) {
      await loadFile(job.path, job.settings).then(resolve, reject);
    }
  }
}
