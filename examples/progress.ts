/** A progress line like Keras's: a bar that redraws on a terminal, one line an epoch in a pipe. */

const BAR = 20;
/** Milliseconds between two drawings of the bar. */
const REDRAW = 100;

/** Where the lines go, and when. */
export interface ProgressOptions {
  /** Whether lines may be drawn over. @default {whether standard output is a terminal} */
  readonly redraw?: boolean;
  /** Characters in a line. @default {the terminal's, or 80} */
  readonly columns?: number;
  /** Writes text as it is. @default {to standard output} */
  readonly write?: (text: string) => void;
  /** The time in milliseconds. @default {performance.now} */
  readonly now?: () => number;
}

type Logs = Readonly<Record<string, number>>;

/** What tfjs calls while it trains. */
export interface Progress {
  onEpochBegin(epoch: number): void;
  onBatchEnd(batch: number, logs?: Logs): void;
  onEpochEnd(epoch: number, logs?: Logs): void;
}

/** Shows a training of `epochs` epochs of `steps` batches each: `new tf.CustomCallback(progress(8, 75))`. */
export function progress(epochs: number, steps: number, options: ProgressOptions = {}): Progress {
  const { redraw = Deno.stdout.isTerminal(), columns = terminalColumns(), now = () => performance.now() } = options;
  const write = options.write ?? ((text) => void Deno.stdout.writeSync(new TextEncoder().encode(text)));
  let begin = 0;
  let drawn = 0;
  const mean = new RunningMean();
  return {
    onEpochBegin(epoch) {
      begin = now();
      mean.clear();
      write(`Epoch ${epoch + 1}/${epochs}\n`);
    },
    onBatchEnd(batch, logs = {}) {
      const means = mean.add(logs);
      if (!redraw || now() - drawn < REDRAW) return;
      drawn = now();
      write(`\r\x1b[2K${cut(line(batch + 1, steps, drawn - begin, means, false), columns)}`);
    },
    onEpochEnd(_epoch, logs = {}) {
      write(`${redraw ? "\r\x1b[2K" : ""}${line(steps, steps, now() - begin, logs, true)}\n`);
    },
  };
}

/** One line: batches done, the bar, the time left or taken, and the metrics by name. */
export function line(step: number, steps: number, elapsed: number, logs: Logs, done: boolean): string {
  const filled = Math.round(BAR * Math.min(1, step / steps));
  const perStep = elapsed / Math.max(1, step);
  const bar = "━".repeat(filled) + "─".repeat(BAR - filled);
  const time = duration(done ? elapsed : perStep * (steps - step));
  const metrics = Object.entries(logs)
    .filter(([name]) => name !== "batch" && name !== "size")
    .map(([name, value]) => [name.replace(/(^|_)acc$/, "$1accuracy"), value] as const)
    .sort(([a], [b]) => Number(a.startsWith("val_")) - Number(b.startsWith("val_")) || (a < b ? -1 : 1))
    .map(([name, value]) => ` - ${name}: ${number(value)}`);
  return `${String(step).padStart(String(steps).length)}/${steps} ${bar} ${time} ${stepTime(perStep)}${
    metrics.join("")
  }`;
}

/** The means of metrics over the batches of an epoch so far, as Keras shows them; tfjs gives each batch's own values. */
class RunningMean {
  readonly #sums = new Map<string, number>();
  #samples = 0;

  clear(): void {
    this.#sums.clear();
    this.#samples = 0;
  }

  add({ size = 1, batch: _, ...values }: Logs): Logs {
    this.#samples += size;
    for (const [name, value] of Object.entries(values)) {
      this.#sums.set(name, (this.#sums.get(name) ?? 0) + value * size);
    }
    return Object.fromEntries([...this.#sums].map(([name, sum]) => [name, sum / this.#samples]));
  }
}

function cut(text: string, columns: number): string {
  return text.length < columns ? text : `${text.slice(0, columns - 2)}…`;
}

function terminalColumns(): number {
  try {
    // A terminal that does not know its size says 0.
    return Deno.consoleSize().columns || 80;
  } catch {
    return 80;
  }
}

function number(value: number): string {
  const small = value !== 0 && Math.abs(value) < 1e-3;
  return Number.isFinite(value) && (small || Math.abs(value) >= 1e5) ? value.toExponential(4) : value.toFixed(4);
}

function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${seconds}s`;
  const two = (value: number) => String(value).padStart(2, "0");
  if (seconds < 3600) return `${Math.floor(seconds / 60)}:${two(seconds % 60)}`;
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

function stepTime(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(0)}s/step`;
  return milliseconds >= 1 ? `${milliseconds.toFixed(0)}ms/step` : `${(milliseconds * 1000).toFixed(0)}us/step`;
}
