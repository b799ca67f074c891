import type { EndStatus } from "./run.ts";

/** What is known here of a run that has not ended. */
interface OpenRun {
  flush(): Promise<void>;
  end(status: EndStatus): Promise<void>;
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
    if (open.size === 0) return;
    // The event loop goes on until the runs are ended, and comes here once more.
    event.preventDefault();
    void endAll("FINISHED");
  });
  // Deno.exit gives no time to wait: what a store can write at once is written.
  globalThis.addEventListener("unload", () => void endAll(Deno.exitCode === 0 ? "FINISHED" : "FAILED"));
}

/** The run has ended. */
export function removeOpenRun(run: OpenRun): void {
  open.delete(run);
  if (open.size === 0) {
    for (const { signal, handle } of handlers) listen(() => Deno.removeSignalListener(signal, handle));
  }
}

function failAll(event: Event): void {
  if (!event.defaultPrevented) void endAll("FAILED");
}

/** Ends open runs, the last started first, as nested runs end. */
async function endAll(status: EndStatus): Promise<void> {
  const runs = [...open].reverse();
  open.clear();
  await Promise.all(runs.map((run) => run.end(status).catch((error) => console.error(String(error)))));
}

async function endBySignal(exitCode: number): Promise<void> {
  await Promise.race([endAll("KILLED"), new Promise((resolve) => setTimeout(resolve, SIGNAL_PATIENCE))]);
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
