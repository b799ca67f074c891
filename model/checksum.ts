import { createHash } from "node:crypto";
import { MlflowError } from "../errors.ts";
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

/** Checks that a file is as it was written; another one is `DATA_LOSS`. */
export function checkFile(name: string, bytes: Uint8Array, wanted: Checksum): void {
  const { size, sha256 } = checksum([bytes]);
  if (size !== wanted.size) {
    throw new MlflowError(
      "DATA_LOSS",
      `${name} is damaged: it is ${size} bytes long and was written with ${wanted.size}`,
    );
  }
  if (sha256 !== wanted.sha256) {
    throw new MlflowError("DATA_LOSS", `${name} is damaged: its bytes are not those that were written`);
  }
}
