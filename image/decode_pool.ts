import type { DecodeSettings } from "./decode.ts";
import type { DecodeAnswer, DecodeJob } from "./decode_worker.ts";
import { type LoadedFile, loadFile } from "./load_file.ts";

/** While one group of files is decoded the next has arrived, and no worker waits while its answer travels. */
const GROUPS_A_WORKER = 2;
/** How many files this thread has in work: while one is decoded the next is read. */
const FILES_HERE = 2;
/** How long idle workers are kept: a running worker keeps the process from ending. */
const IDLE_MILLISECONDS = 1000;

interface Pending {
  readonly path: string;
  readonly resolve: (file: LoadedFile) => void;
  readonly reject: (error: unknown) => void;
}

interface Seat {
  readonly worker: Worker;
  /** What it has in work, in the order in which it answers. */
  readonly groups: (readonly Pending[])[];
}

/** Who decodes, and how much at a time. */
export interface DecodePoolOptions {
  /** The most workers; 0: this thread alone. */
  readonly workers: number;
  /** The most files a message: a message costs about as much as decoding a small file. */
  readonly group: number;
}

let warned = false;

/**
 * Decodes files on several threads. Workers start as there are files for them, and end at `close()` or a second after
 * the last answer where nobody closes.
 *
 * Where workers cannot start, files are decoded on this thread, with one warning.
 */
export class DecodePool {
  /**
   * Whether this thread decodes as well, in the place of one worker: for as long as it has nothing else to do.
   *
   * @default {false}
   */
  helping = false;
  readonly #settings: DecodeSettings;
  readonly #options: DecodePoolOptions;
  readonly #waiting: Pending[] = [];
  #seats: Seat[] = [];
  #usable: boolean;
  #helpers = 0;
  #dispatching = false;
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor(settings: DecodeSettings, options: DecodePoolOptions) {
    this.#settings = settings;
    this.#options = options;
    this.#usable = options.workers > 0;
  }

  /** How many files to ask for at a time, so that every thread has some. */
  get width(): number {
    return this.#mostSeats * GROUPS_A_WORKER * this.#options.group + (this.#decodesHere ? FILES_HERE : 0);
  }

  get #decodesHere(): boolean {
    return this.helping || !this.#usable;
  }

  get #mostSeats(): number {
    return this.#usable ? this.#options.workers - (this.helping ? 1 : 0) : 0;
  }

  /**
   * Reads and decodes a file.
   *
   * @throws Error with the reason alone
   */
  decode(path: string): Promise<LoadedFile> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ path, resolve, reject });
      if (this.#dispatching) return;
      this.#dispatching = true;
      // After all that are asked for in this turn, so that they travel together.
      queueMicrotask(() => this.#dispatch());
    });
  }

  /** Ends the workers; a later `decode()` starts them again. Files that are waited for are decoded on this thread. */
  close(): void {
    clearTimeout(this.#idle);
    const seats = this.#seats;
    this.#seats = [];
    for (const { worker } of seats) worker.terminate();
    this.#decodeHere([...seats.flatMap(({ groups }) => groups.flat()), ...this.#waiting.splice(0)]);
  }

  #dispatch(): void {
    this.#dispatching = false;
    for (let seat; this.#waiting.length > 0 && (seat = this.#freeSeat());) {
      clearTimeout(this.#idle);
      const group = this.#waiting.splice(0, this.#options.group);
      const job: DecodeJob = { paths: group.map(({ path }) => path), settings: this.#settings };
      seat.groups.push(group);
      seat.worker.postMessage(job);
    }
    while (this.#decodesHere && this.#helpers < FILES_HERE && this.#waiting.length > 0) this.#help();
  }

  /** The worker with the least to do that can take a group more; a new one where all have something. */
  #freeSeat(): Seat | undefined {
    const [least] = this.#seats.toSorted((a, b) => a.groups.length - b.groups.length);
    if (least?.groups.length === 0) return least;
    if (this.#seats.length < this.#mostSeats) return this.#newSeat();
    return least && least.groups.length < GROUPS_A_WORKER ? least : undefined;
  }

  #newSeat(): Seat | undefined {
    try {
      const worker = new Worker(new URL("./decode_worker.ts", import.meta.url), { type: "module" });
      const seat: Seat = { worker, groups: [] };
      worker.onmessage = ({ data }: MessageEvent<DecodeAnswer>) => this.#answer(seat, data);
      worker.onerror = (event) => {
        event.preventDefault();
        this.#giveUp(event.message);
      };
      this.#seats.push(seat);
      return seat;
    } catch (error) {
      this.#giveUp(error instanceof Error ? error.message : String(error));
    }
  }

  #answer(seat: Seat, files: DecodeAnswer): void {
    const group = seat.groups.shift() ?? [];
    group.forEach(({ resolve, reject }, i) => {
      const file = files[i];
      if (typeof file === "string") reject(new Error(file));
      else resolve(file);
    });
    this.#dispatch();
    if (this.#seats.every(({ groups }) => groups.length === 0)) {
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

  async #help(): Promise<void> {
    this.#helpers++;
    while (this.#decodesHere && this.#waiting.length > 0) await this.#decodeHere([this.#waiting.shift()!]);
    this.#helpers--;
  }

  async #decodeHere(files: readonly Pending[]): Promise<void> {
    for (const { path, resolve, reject } of files) await loadFile(path, this.#settings).then(resolve, reject);
  }
}
