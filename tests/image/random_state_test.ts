import { assertEquals } from "@std/assert";
import { RandomState } from "../../image/random_state.ts";
import expected from "../testdata/images/expected.json" with { type: "json" };

for (const [name, order] of Object.entries(expected.shuffles as Record<string, number[] | string>)) {
  const [seed, length] = name.split(" ").map(Number);
  Deno.test(`RandomState.shuffle() is NumPy's: ${length} items, seed ${seed}`, async () => {
    const items = Array.from({ length }, (_, i) => i);
    new RandomState(seed).shuffle(items);
    if (typeof order !== "string") return assertEquals(items, order);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", Uint32Array.from(items)));
    assertEquals(Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join(""), order);
  });
}
