import { dirname } from "@std/path";
import { isAbsence, statAt } from "./files.ts";
import { identityOf, type MetricLine, type MetricOwner, readLines } from "./metric_lines.ts";

/** What is known of a file: all up to `size` has been read. */
interface FileEnd {
  size: number;
  /** The latest time in it. */
  timestamp: number;
  /** The values of that time. */
  identities: Set<string>;
}

/** The most files whose ends are remembered. */
const REMEMBERED = 1000;

/**
 * Appends values to the files of metrics, leaving out those that are there already: MLflow's migration of such a folder
 * to a database breaks off at the second of two equal lines.
 *
 * Of a file only its end is remembered, and what others append is read when it is next written to, so that an append
 * costs the same however long the file is; only times before the latest one need the whole file.
 */
export class MetricFiles {
  readonly #ends = new Map<string, FileEnd>();

  /** Appends lines to a file, which is made with its folders where it is missing, in one write. */
  append(
    path: string,
    owner: MetricOwner,
    lines: readonly { readonly metric: MetricLine; readonly text: string }[],
  ): void {
    const { end, isBroken } = this.#readEnd(path, owner);
    let all: Set<string> | undefined;
    const added = new Set<string>();
    let text = isBroken ? "\n" : "";
    for (const { metric, text: line } of lines) {
      const identity = identityOf(metric);
      if (added.has(identity)) continue;
      if (metric.timestamp === end.timestamp && end.identities.has(identity)) continue;
      if (metric.timestamp < end.timestamp) {
        all ??= new Set(readLines(Deno.readTextFileSync(path), owner, path).map(identityOf));
        if (all.has(identity)) continue;
      }
      added.add(identity);
      text += `${line}\n`;
    }
    if (added.size === 0) return;
    try {
      Deno.writeTextFileSync(path, text, { append: true });
    } catch (error) {
      if (!isAbsence(error)) throw error;
      Deno.mkdirSync(dirname(path), { recursive: true });
      Deno.writeTextFileSync(path, text, { append: true });
    }
  }

  /** Reads what the file has got since it was last looked at. `isBroken`: its last line has no end. */
  #readEnd(path: string, owner: MetricOwner): { readonly end: FileEnd; readonly isBroken: boolean } {
    const size = statAt(path)?.size ?? 0;
    let end = this.#ends.get(path);
    if (end === undefined || size < end.size) {
      end = { size: 0, timestamp: -1, identities: new Set() };
      if (this.#ends.size >= REMEMBERED) this.#ends.delete(this.#ends.keys().next().value!);
      this.#ends.set(path, end);
    }
    const text = size > end.size ? readFrom(path, end.size, size) : "";
    const complete = text.lastIndexOf("\n") + 1;
    for (const line of readLines(text.slice(0, complete), owner, path)) {
      if (line.timestamp < end.timestamp) continue;
      if (line.timestamp > end.timestamp) {
        end.timestamp = line.timestamp;
        end.identities.clear();
      }
      end.identities.add(identityOf(line));
    }
    // All of a line is ASCII but the name of a dataset.
    end.size += new TextEncoder().encode(text.slice(0, complete)).length;
    return { end, isBroken: complete < text.length };
  }
}

function readFrom(path: string, start: number, end: number): string {
  using file = Deno.openSync(path);
  file.seekSync(start, Deno.SeekMode.Start);
  const bytes = new Uint8Array(end - start);
  let filled = 0;
  for (let read = file.readSync(bytes); read !== null && read > 0; read = file.readSync(bytes.subarray(filled))) {
    filled += read;
    if (filled === bytes.length) break;
  }
  return new TextDecoder().decode(bytes.subarray(0, filled));
}
