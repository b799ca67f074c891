/** To be loaded before a program: a runtime that starts no workers. */
import { Worker } from "node:worker_threads";

// nobody can put another class into the module's place
Worker.prototype.unref = () => {
  throw new Error("no workers here");
};
