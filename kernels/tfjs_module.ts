import { MlflowError } from "../errors.ts";

/** The pages of 64 KiB that the heap begins with, and those that it may have. */
const FIRST_PAGES = 256;
const MOST_PAGES = 65536;
/** What is added at a time when the heap has to grow. */
const GROWTH = 1.2;
const MOST_BYTES = (MOST_PAGES - 1) * 65536;

type Wasm = Record<string, (...values: number[]) => number>;

/** The part of an Emscripten module that tfjs's `BackendWasm` uses. */
export interface TfjsModule {
  readonly HEAPU8: Uint8Array;
  readonly tfjs: object;
  _malloc(bytes: number): number;
  _free(place: number): void;
  cwrap(name: string, returns: string | null, takes?: string[]): (...values: unknown[]) => unknown;
}

/** A binary of tfjs, started. */
export interface StartedModule {
  readonly module: TfjsModule;
  readonly memory: WebAssembly.Memory;
  /** Why no worker can share the memory; undefined if one can. */
  readonly unshared: string | undefined;
}

/**
 * Starts the binary of tfjs-backend-wasm on a memory that workers can share. It is the binary that tfjs builds for
 * threads, with one thread for its own operations: `BackendWasm` gets a module that behaves as the one that Emscripten's
 * loader makes, without that loader's eight workers, files to read and listeners on the process.
 *
 * Where the runtime refuses shared memory it is tfjs's binary for one thread, on a memory of its own.
 *
 * @throws {WebAssembly.CompileError} where the runtime has no SIMD
 */
export async function startTfjsModule(): Promise<StartedModule> {
  const shared = sharedMemory();
  let memory = shared.memory;
  let wasm: Wasm = {};
  const binary = memory === undefined
    ? (await import("./tfjs_single_binary.js")).ownMemory
    : (await import("./tfjs_binary.js")).sharedMemory;
  const complaints = new Complaints();
  const { exports } = await WebAssembly.instantiate(binary, imports(() => memory!, () => wasm, memory, complaints));
  wasm = exports as Wasm;
  memory ??= exports.memory as WebAssembly.Memory;
  wasm.__wasm_call_ctors();
  return { module: emulateModule(wasm, memory, complaints), memory, unshared: shared.refusal };
}

/** What the binary prints: why a kernel did not compute, for one that it takes no data of this type. */
class Complaints {
  #text = "";

  /** Takes what WASI's `fd_write` is to write, and says how much that is: at none C's library would try for ever. */
  write(memory: WebAssembly.Memory, parts: number, count: number, written: number): void {
    const words = new DataView(memory.buffer);
    let total = 0;
    for (let part = parts; part < parts + count * 8; part += 8) {
      const [place, bytes] = [words.getUint32(part, true), words.getUint32(part + 4, true)];
      // a decoder takes no shared memory
      this.#text += new TextDecoder().decode(new Uint8Array(memory.buffer, place, bytes).slice());
      total += bytes;
    }
    words.setUint32(written, total, true);
  }

  /** Throws if something was printed since the last time. */
  assertNone(): void {
    if (this.#text === "") return;
    const text = this.#text.trim();
    this.#text = "";
    throw new MlflowError("INVALID_PARAMETER_VALUE", text, { action: "Cannot compute on the wasm backend" });
  }
}

/** A memory that workers can share, or why the runtime gives none. */
function sharedMemory(): { memory?: WebAssembly.Memory; refusal?: string } {
  try {
    const memory = new WebAssembly.Memory({ initial: FIRST_PAGES, maximum: MOST_PAGES, shared: true });
    if (memory.buffer instanceof SharedArrayBuffer) return { memory };
    return { refusal: "the runtime gives memory of one thread alone" };
  } catch (error) {
    return { refusal: (error as Error).message };
  }
}

/**
 * What the binaries import.
 *
 * @param memory the memory once there is one, given or the binary's own
 * @param wasm the binary's exports once it has started
 * @param given the memory that the binary is to import
 * @param complaints takes what the binary prints
 */
function imports(
  memory: () => WebAssembly.Memory,
  wasm: () => Wasm,
  given: WebAssembly.Memory | undefined,
  complaints: Complaints,
): WebAssembly.Imports {
  const nothing = () => 0;
  const refuse = () => 6; // EAGAIN: no further thread
  const abort = () => {
    throw new MlflowError("INTERNAL_ERROR", "tfjs-backend-wasm stopped", { action: "Cannot run a kernel" });
  };
  return {
    env: {
      ...given === undefined ? {} : { memory: given },
      abort,
      exit: abort,
      emscripten_num_logical_cores: () => 1,
      emscripten_get_now: () => performance.now(),
      emscripten_unwind_to_js_event_loop: abort,
      emscripten_memcpy_big: (to: number, from: number, bytes: number) => {
        new Uint8Array(memory().buffer).copyWithin(to >>> 0, from >>> 0, (from >>> 0) + (bytes >>> 0));
      },
      _emscripten_set_offscreencanvas_size: nothing,
      emscripten_receive_on_main_thread_js: nothing,
      __emscripten_init_main_thread_js: (thread: number) => {
        wasm()._emscripten_thread_init(thread, 1, 1, 1);
        wasm()._emscripten_tls_init();
      },
      _emscripten_notify_task_queue: nothing,
      emscripten_check_blocking_allowed: nothing,
      _emscripten_default_pthread_stack_size: () => 65536,
      __pthread_create_js: refuse,
      __emscripten_thread_cleanup: nothing,
      emscripten_get_heap_max: () => MOST_BYTES,
      emscripten_resize_heap: (bytes: number) => Number(grow(memory(), bytes >>> 0)),
    },
    wasi_snapshot_preview1: {
      fd_close: nothing,
      fd_write: (_file: number, parts: number, count: number, written: number) => {
        complaints.write(memory(), parts >>> 0, count, written >>> 0);
        return 0;
      },
      fd_seek: nothing,
    },
  };
}

function grow(memory: WebAssembly.Memory, wanted: number): boolean {
  const size = memory.buffer.byteLength;
  const target = Math.min(MOST_BYTES, Math.max(wanted, Math.floor(size * GROWTH)));
  for (const bytes of [target, wanted]) {
    if (bytes > MOST_BYTES) continue;
    try {
      memory.grow(Math.ceil((bytes - size) / 65536));
      return true;
    } catch {
      // the system has no such amount left: try with what is needed alone
    }
  }
  return false;
}

function emulateModule(wasm: Wasm, memory: WebAssembly.Memory, complaints: Complaints): TfjsModule {
  let heap = new Uint8Array(memory.buffer);
  const heapNow = () => {
    if (heap.buffer !== memory.buffer) heap = new Uint8Array(memory.buffer);
    return heap;
  };
  const cwrap: TfjsModule["cwrap"] = (name, _returns, takes = []) => {
    const call = wasm[name];
    if (!takes.includes("array")) {
      return (...values) => {
        const result = call(...values as number[]);
        complaints.assertNone();
        return result;
      };
    }
    return (...values) => {
      const stack = wasm.stackSave();
      try {
        const result = call(...values.map((value, i) => {
          if (takes[i] !== "array") return value as number;
          const place = wasm.stackAlloc((value as Uint8Array).length);
          heapNow().set(value as Uint8Array, place);
          return place;
        }));
        complaints.assertNone();
        return result;
      } finally {
        wasm.stackRestore(stack);
      }
    };
  };
  return {
    get HEAPU8() {
      return heapNow();
    },
    tfjs: {
      init: cwrap("init", null),
      initWithThreadsCount: cwrap("init_with_threads_count", null),
      getThreadsCount: cwrap("get_threads_count", "number"),
      registerTensor: cwrap("register_tensor", null),
      disposeData: cwrap("dispose_data", null),
      dispose: cwrap("dispose", null),
    },
    _malloc: (bytes) => {
      // a number above 4 GiB would be cut to its last 32 bits
      const place = bytes <= MOST_BYTES ? wasm.malloc(bytes) : 0;
      if (place !== 0 || bytes === 0) return place;
      const mebibytes = (size: number) => `${Math.ceil(size / 2 ** 20).toLocaleString("en")} MiB`;
      throw new MlflowError(
        "RESOURCE_EXHAUSTED",
        `the heap has ${mebibytes(memory.buffer.byteLength)} of at most 4,096 MiB and cannot give as much; ` +
          "a smaller batch or model is wanted",
        { action: `Cannot allocate a tensor of ${mebibytes(bytes)} on the wasm backend` },
      );
    },
    _free: (place) => void wasm.free(place),
    cwrap,
  };
}
