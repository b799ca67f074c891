/** To be loaded before a program: a runtime whose workers end before they begin. */
import { Worker } from "node:worker_threads";

const { once } = Worker.prototype;
Worker.prototype.once = function (this: Worker, event: string, listener: (...values: unknown[]) => void) {
  if (event === "exit") queueMicrotask(() => listener(1));
  return event === "message" ? this : once.call(this, event, listener);
} as typeof once;
