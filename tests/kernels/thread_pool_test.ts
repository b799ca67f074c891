import { Worker } from "node:worker_threads";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MlflowError } from "../../errors.ts";
import { ThreadPool } from "../../kernels/thread_pool.ts";

/** The sections of a small module of WebAssembly. */
function wasm(...parts: (number | number[] | string)[]): Uint8Array<ArrayBuffer> {
  const bytes = (part: number | number[] | string): number[] =>
    typeof part === "string" ? [part.length, ...new TextEncoder().encode(part)] : [part].flat();
  return Uint8Array.from(parts.flatMap(bytes));
}

function section(id: number, content: Uint8Array): number[] {
  return [id, content.length, ...content];
}

/** The calling thread's scratch is the first argument; of others, word 1 says that they came. */
const IS_CALLER = [0x20, 2, 0x20, 0, 0x28, 2, 0, 0x46]; // scratch == arguments[0]
const WAIT_FOR_OTHER = [0x03, 0x40, 0x20, 0, 0xfe, 0x10, 2, 4, 0x45, 0x0d, 0, 0x0b]; // while (!atomic arguments[1]);
const SAY_HERE = [0x20, 0, 0x41, 1, 0xfe, 0x17, 2, 4]; // atomic arguments[1] = 1
const FOREVER = [0x03, 0x40, 0x0c, 0, 0x0b];
const UNREACHABLE = [0x00];

/** Kernels that do as they are called, but for the calling thread, which waits until another has begun. */
function kernels(): WebAssembly.Module {
  const body = (other: number[]) => {
    const code = [0, ...IS_CALLER, 0x04, 0x40, ...WAIT_FOR_OTHER, 0x05, ...SAY_HERE, ...other, 0x0b, 0x0b];
    return [code.length, ...code];
  };
  const nothing = [2, 0, 0x0b];
  return new WebAssembly.Module(wasm(
    [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    section(1, wasm([1, 0x60, 3, 0x7f, 0x7f, 0x7f, 0])),
    section(2, wasm(1, "env", "memory", [2, 3, 1, 16])),
    section(3, wasm([4, 0, 0, 0, 0])),
    section(7, wasm(4, "nothing", [0, 0], "meet", [0, 1], "hang", [0, 2], "trap", [0, 3])),
    section(10, wasm(4, nothing, body([]), body(FOREVER), body(UNREACHABLE))),
  ));
}

/** A pool of two threads, and where the calling one's scratch is. */
async function startPool(patience?: number): Promise<{ pool: ThreadPool; scratch: number }> {
  const memory = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true });
  const given: number[] = [];
  let next = 1024;
  const heap = {
    _malloc: (bytes: number) => {
      given.push(next);
      next += bytes;
      return given.at(-1)!;
    },
    _free: () => {},
  };
  const pool = await ThreadPool.start({ code: kernels(), memory, heap, threads: 2, patience });
  pool.run("nothing", 1, [], [], 64); // takes room for scratch: the control block came first
  return { pool, scratch: (given[1] + 63) & ~63 };
}

Deno.test("ThreadPool.run() shares tasks with a worker and returns when all are done", async () => {
  const { pool, scratch } = await startPool();
  for (let round = 0; round < 200; round++) pool.run("meet", 2, [scratch, 0]);
  pool.run("nothing", 65_535, []);
  pool.close();
});

for (
  const [kernel, state] of [
    ["trap", "a thread failed in the middle of it"],
    ["hang", "a thread does not come back after 0.2 s"],
  ]
) {
  Deno.test(`ThreadPool.run() throws where a worker's task does ${kernel}, then and from then on`, async () => {
    const { pool, scratch } = await startPool(200);
    const error = assertThrows(() => pool.run(kernel, 2, [scratch, 0]), MlflowError);
    assertEquals(error.code, "INTERNAL_ERROR");
    assert(error.message.startsWith(`Cannot compute on the wasm backend: ${state}`), error.message);
    assertThrows(() => pool.run("nothing", 1, []), MlflowError, state);
    pool.close();
  });
}

Deno.test("ThreadPool.start() waits for a worker no longer than its patience, and leaves none", async () => {
  const { once } = Worker.prototype;
  Worker.prototype.once = function (this: Worker) {
    return this;
  } as typeof once;
  try {
    await assertRejects(() => startPool(200), Error, "a worker did not begin within 0.2 s");
  } finally {
    Worker.prototype.once = once;
  }
});

Deno.test("ThreadPool.run() asks for scratch again where there was no room for more", async () => {
  const memory = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true });
  let asked: number[] = [];
  const heap = {
    _malloc: (bytes: number) => {
      asked.push(bytes);
      if (bytes > 500_000) throw new Error("no room");
      return 1024 * asked.length;
    },
    _free: () => {},
  };
  const pool = await ThreadPool.start({ code: kernels(), memory, heap, threads: 1 });
  pool.run("nothing", 1, [], [], 60_000);
  assertThrows(() => pool.run("nothing", 1, [], [], 600_000), Error, "no room");
  asked = [];
  pool.run("nothing", 1, [], [], 60_000);
  assertEquals(asked.length, 1);
});

Deno.test("a pool that was closed says so", async () => {
  const { pool } = await startPool();
  pool.close();
  assertThrows(() => pool.run("nothing", 1, []), MlflowError, "its threads were ended");
});
