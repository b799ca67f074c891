import { MlflowError } from "../errors.ts";

/** A kernel of native code: does one task of a job. `place` is where its arguments are. */
type Kernel = (place: number, task: number, scratch: number) => void;

/** Where things are in the control block, in words of 32 bits. Those that threads wait on have a cache line each. */
const WORD = {
  /** Generation of the job in the upper half, tasks not yet taken in the lower half. */
  claims: 0,
  /** How many tasks of the job are done. */
  done: 16,
  /** How many workers sleep. */
  sleepers: 32,
  /** Not zero where a worker failed. */
  failed: 33,
  /** Number of the job's kernel. */
  kernel: 48,
  /** The job's arguments. */
  arguments: 64,
  /** Where each thread's scratch is. */
  scratch: 192,
} as const;
/** More threads than this share no job well. */
const MOST_THREADS = 64;
const CONTROL_WORDS = WORD.scratch + MOST_THREADS;

/** Gives room on a heap, and takes it back. */
export interface Heap {
  _malloc(bytes: number): number;
  _free(place: number): void;
}

/** What a pool works with. */
export interface ThreadPoolOptions {
  /** The native code. Its exports are kernels; it imports `env.memory`. */
  readonly code: WebAssembly.Module;
  /** The memory that kernels work on. */
  readonly memory: WebAssembly.Memory;
  /** Gives room in that memory. */
  readonly heap: Heap;
  /** How many threads compute, the calling one among them. */
  readonly threads: number;
  /** How long a worker may take to begin, and a task once all others are done, in milliseconds. @default {30_000} */
  readonly patience?: number;
}

/**
 * Threads that share a memory and do the tasks of one job at a time. The calling thread takes part and waits for the
 * rest: the tasks of a job are done when {@linkcode ThreadPool.run} returns.
 *
 * Workers sleep where nothing is to be done, and do not keep the process from ending.
 */
export class ThreadPool {
  readonly #memory: WebAssembly.Memory;
  readonly #heap: Heap;
  readonly #room: number[] = [];
  readonly #patience: number;
  readonly #names: readonly string[];
  readonly #kernels: readonly Kernel[];
  readonly #workers: { terminate(): void }[] = [];
  #control: Int32Array;
  #floats: Float32Array;
  readonly #place: number;
  #scratch: number[];
  #scratchBytes = 0;
  #generation = 0;
  #closed = false;
  #failure: MlflowError | undefined;

  private constructor({ memory, heap, threads, patience = 30_000 }: ThreadPoolOptions, instance: WebAssembly.Instance) {
    this.#memory = memory;
    this.#heap = heap;
    this.#patience = patience;
    this.#names = kernelNames(instance.exports);
    this.#kernels = this.#names.map((name) => instance.exports[name] as Kernel);
    this.#place = this.#alignedRoom(CONTROL_WORDS * 4);
    this.#control = new Int32Array(memory.buffer, this.#place, CONTROL_WORDS).fill(0);
    this.#floats = new Float32Array(memory.buffer, this.#place, CONTROL_WORDS);
    this.#scratch = Array(Math.min(threads, MOST_THREADS)).fill(0);
  }

  /**
   * Starts the workers.
   *
   * @throws whatever the runtime throws where it refuses workers
   */
  static async start(options: ThreadPoolOptions): Promise<ThreadPool> {
    const { code, memory } = options;
    const pool = new ThreadPool(options, await WebAssembly.instantiate(code, { env: { memory } }));
    if (pool.threads > 1) await pool.#startWorkers(code, pool.threads);
    return pool;
  }

  /** The memory that kernels work on. */
  get memory(): WebAssembly.Memory {
    return this.#memory;
  }

  /** How many threads compute, the calling one among them. */
  get threads(): number {
    return this.#scratch.length;
  }

  /**
   * Runs a kernel once for each task, on all threads, and returns when all are done.
   *
   * @param name the kernel
   * @param tasks how many tasks there are, at most 65535
   * @param integers the first members of the kernel's arguments: numbers and places
   * @param floats the members after them
   * @param scratchBytes what each thread needs to work in
   * @throws {MlflowError} `INTERNAL_ERROR` if a thread failed or does not come back; then and from then on
   */
  run(
    name: string,
    tasks: number,
    integers: readonly number[],
    floats: readonly number[] = [],
    scratchBytes = 0,
  ): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (!Number.isInteger(tasks)) throw new RangeError(`Cannot run ${name}: ${tasks} is no number of tasks`);
    if (scratchBytes > this.#scratchBytes) this.#growScratch(scratchBytes);
    if (this.#control.length === 0) this.#lookAgain();
    const control = this.#control;
    const kernel = this.#names.indexOf(name);
    let at: number = WORD.arguments;
    for (let i = 0; i < integers.length; i++) control[at++] = integers[i];
    for (let i = 0; i < floats.length; i++) this.#floats[at++] = floats[i];
    if (tasks === 1 || this.#workers.length === 0) {
      for (let task = 0; task < tasks; task++) this.#compute(kernel, task);
      return;
    }
    control[WORD.kernel] = kernel;
    control[WORD.done] = 0;
    this.#generation = (this.#generation + 1) & 0x7fff;
    Atomics.store(control, WORD.claims, (this.#generation << 16) | tasks);
    if (Atomics.load(control, WORD.sleepers) > 0) Atomics.notify(control, WORD.claims);
    for (;;) {
      const claims = Atomics.load(control, WORD.claims);
      const left = claims & 0xffff;
      if (left === 0) break;
      if (Atomics.compareExchange(control, WORD.claims, claims, claims - 1) !== claims) continue;
      this.#compute(kernel, left - 1);
      Atomics.add(control, WORD.done, 1);
    }
    if (Atomics.load(control, WORD.done) !== tasks) this.#waitFor(tasks);
    if (Atomics.load(control, WORD.failed) !== 0) this.#fail("a thread failed in the middle of it");
  }

  #compute(kernel: number, task: number): void {
    try {
      this.#kernels[kernel](this.#place + WORD.arguments * 4, task, this.#scratch[0]);
    } catch (error) {
      this.#fail("a kernel failed", error);
    }
  }

  /** Ends the workers. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const worker of this.#workers) worker.terminate();
    // a worker that sleeps looks at the control block when it is woken to end, so that the block stays
    for (const place of this.#room.splice(1)) this.#heap._free(place);
    this.#failure ??= new MlflowError("INVALID_STATE", "its threads were ended", { action: "Cannot compute" });
  }

  async #startWorkers(code: WebAssembly.Module, threads: number): Promise<void> {
    const { Worker } = await import("node:worker_threads");
    const source = new URL(`data:text/javascript,${encodeURIComponent(workerSource())}`);
    try {
      const started = Array.from({ length: threads - 1 }, (_, i) => {
        const workerData = { code, memory: this.#memory, place: this.#place, names: this.#names, thread: i + 1 };
        const worker = new Worker(source, { workerData });
        this.#workers.push(worker);
        worker.unref();
        return new Promise<void>((resolve, reject) => {
          worker.once("message", () => resolve());
          worker.once("error", reject);
          worker.once("exit", () => reject(new Error("a worker ended before it began")));
        });
      });
      // the timer also keeps the process waiting, which an unreferenced worker's message alone would not
      const late = Promise.withResolvers<never>();
      const state = `a worker did not begin within ${this.#patience / 1000} s`;
      const timer = setTimeout(() => late.reject(new Error(state)), this.#patience);
      await Promise.race([Promise.all(started), late.promise]).finally(() => clearTimeout(timer));
      for (const worker of this.#workers as unknown as { on(event: string, listener: () => void): void }[]) {
        worker.on("error", () => this.#control[WORD.failed] = 1);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Room that begins a cache line; the pool's until it is closed. */
  #alignedRoom(bytes: number): number {
    const place = this.#heap._malloc(bytes + 63) >>> 0;
    this.#room.push(place);
    return (place + 63) & ~63;
  }

  #growScratch(bytes: number): void {
    const rounded = Math.ceil(bytes / 65536) * 65536;
    // none is left if room for some of it runs out in the middle
    this.#scratchBytes = 0;
    for (const place of this.#room.splice(1)) this.#heap._free(place);
    this.#scratch = this.#scratch.map(() => this.#alignedRoom(rounded));
    if (this.#control.length === 0) this.#lookAgain();
    this.#control.set(this.#scratch, WORD.scratch);
    this.#scratchBytes = rounded;
  }

  /** A memory that is not shared lies elsewhere once it has grown, and views of it are empty. */
  #lookAgain(): void {
    this.#control = new Int32Array(this.#memory.buffer, this.#place, CONTROL_WORDS);
    this.#floats = new Float32Array(this.#memory.buffer, this.#place, CONTROL_WORDS);
  }

  #waitFor(tasks: number): void {
    const control = this.#control;
    for (let spin = 0; spin < 2000; spin++) {
      if (Atomics.load(control, WORD.done) === tasks) return;
    }
    const since = performance.now();
    for (;;) {
      const done = Atomics.load(control, WORD.done);
      if (done === tasks) return;
      Atomics.wait(control, WORD.done, done, 1);
      if (Atomics.load(control, WORD.failed) !== 0) this.#fail("a thread failed in the middle of it");
      if (performance.now() - since > this.#patience) {
        this.#fail(`a thread does not come back after ${this.#patience / 1000} s`);
      }
    }
  }

  /** A thread that is late may still write: nothing is computed from then on. */
  #fail(state: string, cause?: unknown): never {
    this.#failure = new MlflowError("INTERNAL_ERROR", `${state}; nothing more can be computed in this process`, {
      action: "Cannot compute on the wasm backend",
      cause,
    });
    for (const worker of this.#workers) worker.terminate();
    throw this.#failure;
  }
}

/** The kernels of native code, in an order that is the same in all threads. */
function kernelNames(exports: WebAssembly.Exports): string[] {
  return Object.keys(exports).filter((name) => typeof exports[name] === "function");
}

/** What a worker runs: a loop that takes tasks, and sleeps where there are none for a while. */
function workerSource(): string {
  return `
import { parentPort, workerData } from "node:worker_threads";
const { code, memory, place, names, thread } = workerData;
const { exports } = new WebAssembly.Instance(code, { env: { memory } });
const kernels = names.map((name) => exports[name]);
const control = new Int32Array(memory.buffer, place, ${CONTROL_WORDS});
parentPort.postMessage("ready");
let idle = 0;
for (;;) {
  const claims = Atomics.load(control, ${WORD.claims});
  const left = claims & 0xffff;
  if (left === 0) {
    if (++idle < 100000) continue;
    Atomics.add(control, ${WORD.sleepers}, 1);
    Atomics.wait(control, ${WORD.claims}, claims);
    Atomics.sub(control, ${WORD.sleepers}, 1);
    idle = 0;
    continue;
  }
  if (Atomics.compareExchange(control, ${WORD.claims}, claims, claims - 1) !== claims) continue;
  idle = 0;
  try {
    kernels[control[${WORD.kernel}]](place + ${WORD.arguments * 4}, left - 1, control[${WORD.scratch} + thread]);
  } catch {
    Atomics.store(control, ${WORD.failed}, 1);
  }
  Atomics.add(control, ${WORD.done}, 1);
  Atomics.notify(control, ${WORD.done});
}`;
}
