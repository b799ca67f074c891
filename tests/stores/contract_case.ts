/** What the cases of the contract are made of. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type ErrorCode, MlflowError } from "../../errors.ts";
import type { TrackingStore } from "../../stores/store.ts";

/** Looks whether a store keeps a promise. */
export type Check = (store: TrackingStore, experimentId: string) => Promise<void>;

/** A name that nothing on a server in use has. */
export function uniqueName(name: string): string {
  return `${name}-${crypto.randomUUID().slice(0, 8)}`;
}

/** Holds that work is refused with MLflow's code and sentence. */
export async function refused(work: () => Promise<unknown>, code: ErrorCode, sentence: string): Promise<void> {
  const error = await assertRejects(work, MlflowError);
  assertEquals(error.code, code, error.message);
  assertStringIncludes(error.reason, sentence);
}
