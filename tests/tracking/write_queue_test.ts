import { assertEquals, assertRejects } from "@std/assert";
import { WriteQueue } from "../../tracking/write_queue.ts";

Deno.test("WriteQueue.add() starts the first write at once and the others in turn", async () => {
  const queue = new WriteQueue();
  const log: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = queue.add(async () => {
    log.push("first begins");
    await gate.promise;
    log.push("first ends");
    return 1;
  });
  const second = queue.add(async () => {
    log.push("second");
    return 2;
  });
  log.push("added");
  gate.resolve();
  assertEquals(await Promise.all([first, second]), [1, 2]);
  assertEquals(log, ["first begins", "added", "first ends", "second"]);
});

Deno.test("WriteQueue.add() goes on after a write that fails, also at once", async () => {
  const queue = new WriteQueue();
  const failing = [
    queue.add(() => Promise.reject(new RangeError("later"))),
    queue.add(() => {
      throw new RangeError("at once");
    }),
  ];
  const good = queue.add(() => Promise.resolve(3));
  for (const [i, message] of ["later", "at once"].entries()) await assertRejects(() => failing[i], RangeError, message);
  assertEquals(await good, 3);
});

Deno.test("WriteQueue.flush() waits for what was added before it, and never rejects", async () => {
  const queue = new WriteQueue();
  await queue.flush();
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const failing = queue.add(() => Promise.reject(new Error("told to the one who added it"))).catch(() => "rejected");
  void queue.add(() => gates[0].promise);
  const flushed = queue.flush();
  // What comes later does not hold it up.
  const later = queue.add(() => gates[1].promise);
  gates[0].resolve();
  await flushed;
  assertEquals(await failing, "rejected");
  gates[1].resolve();
  await later;
});

Deno.test("WriteQueue.hurry() starts all that waits and all that comes", async () => {
  const queue = new WriteQueue();
  const log: number[] = [];
  const never = Promise.withResolvers<void>();
  const first = queue.add(() => never.promise);
  const rest = [1, 2].map((i) => queue.add(async () => void log.push(i)));
  queue.hurry();
  rest.push(queue.add(async () => void log.push(3)));
  assertEquals(log, [1, 2, 3]);
  await Promise.all(rest);
  never.resolve();
  await first;
});
