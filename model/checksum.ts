import { createHash } from "node:crypto";
import { type Pieces, sizeOf } from "./pieces.ts";

/** What a file is known by again. */
export interface Checksum {
  /** Its bytes. */
  readonly size: number;
  /** Their SHA-256, as hexadecimal digits. */
  readonly sha256: string;
}

/** The checksum of a file in pieces. */
export function checksum(pieces: Pieces): Checksum {
  const hash = createHash("sha256");
  for (const piece of pieces) hash.update(piece);
  return { size: sizeOf(pieces), sha256: hash.digest("hex") };
}
