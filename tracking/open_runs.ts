import type { EndStatus } from "../run.ts";

/** What is known here of a run whose end is not written yet. */
interface OpenRun {
  /** Whether its end has been asked for. */
  isEnding(): boolean;
  end(status: EndStatus): Promise<void>;
  /** Waits for all that is still to be written. */
  flush(): Promise<void>;
  /** Starts all that is still to be written, without waiting for one after the other. */
  hurry(): void;
}

/** How long Ctrl-C waits for open runs to be ended, in milliseconds. */
const SIGNAL_PATIENCE = 5_000;

const open = new Set<OpenRun>();
const SIGNALS = [["SIGINT", 130], ["SIGTERM", 143]] as const;
const handlers = SIGNALS.map(([signal, exitCode]) => ({ signal, handle: () => void endBySignal(exitCode) }));
let listening = false;

/** Sees to it that the run ends when the program does. */
export function addOpenRun(run: OpenRun): void {
  open.add(run);
  if (open.size === 1) {
    for (const { signal, handle } of handlers) listen(() => Deno.addSignalListener(signal, handle));
  }
  if (listening) return;
  listening = true;
  globalThis.addEventListener("error", failAll);
  globalThis.addEventListener("unhandledrejection", failAll);
  globalThis.addEventListener("beforeunload", (event) => {
    if ([...open].every((run) => run.isEnding())) return;
    // The event loop goes on until the runs are ended, and comes here once more.
    event.preventDefault();
    void endAll(statusOfExit());
  });
  globalThis.addEventListener("unload", () => endAllNow(statusOfExit()));
}

/** The run has ended. */
export function removeOpenRun(run: OpenRun): void {
  open.delete(run);
  if (open.size === 0) {
    for (const { signal, handle } of handlers) listen(() => Deno.removeSignalListener(signal, handle));
  }
}

/** Waits until everything that was logged to any run has been written or has failed. */
export async function flushOpenRuns(): Promise<void> {
  await Promise.all([...open].map((run) => run.flush()));
}

function statusOfExit(): EndStatus {
  return Deno.exitCode === 0 ? "FINISHED" : "FAILED";
}

function failAll(event: Event): void {
  if (!event.defaultPrevented) endAllNow("FAILED");
}

/** Ends open runs, the last started first, as nested runs end. */
async function endAll(status: EndStatus): Promise<void> {
  const runs = [...open].reverse();
  await Promise.all(runs.map((run) => run.end(status).catch((error) => console.error(String(error)))));
}

/** Deno.exit and an uncaught error give no time to wait: what a store can write at once is written. */
function endAllNow(status: EndStatus): void {
  for (const run of open) run.hurry();
  void endAll(status);
}

let ending = false;

/** Ends the program after its runs; a second signal while that goes on ends it at once. */
async function endBySignal(exitCode: number): Promise<void> {
  if (ending) Deno.exit(exitCode);
  ending = true;
  await Promise.race([endAll("KILLED"), new Promise((resolve) => setTimeout(resolve, SIGNAL_PATIENCE))]);
  endAllNow("KILLED");
  Deno.exit(exitCode);
}

/** Windows has no SIGTERM to listen to. */
function listen(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}
