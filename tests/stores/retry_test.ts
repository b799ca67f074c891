import { assertEquals } from "@std/assert";
import { type FailedAttempt, parseRetryAfter, retryDelay, type RetryPolicy } from "../../stores/retry.ts";

const POLICY: RetryPolicy = { maxRetries: 7, backoffFactor: 2000, backoffJitter: 1000, respectRetryAfter: true };
const LOST: FailedAttempt = { status: undefined, retryAfter: null, unsent: false, final: false };
const NOW = Date.parse("2026-11-23T12:00:00Z");

function delay(attempt: Partial<FailedAttempt>, retries = 0, repeatable = true, policy = POLICY): number | undefined {
  return retryDelay({ ...LOST, ...attempt }, retries, repeatable, { policy, now: NOW, random: () => 0.5 });
}

Deno.test("retryDelay() grows as MLflow's: at once, then 4, 8, 16 … seconds, at most 120, and up to one by chance", () => {
  const delays = Array.from({ length: 9 }, (_, retries) => delay({ status: 503 }, retries));
  assertEquals(delays, [500, 4500, 8500, 16_500, 32_500, 64_500, 120_000, undefined, undefined]);
});

Deno.test("retryDelay() gives up on all but MLflow's statuses", () => {
  for (const status of [408, 429, 500, 502, 503, 504]) assertEquals(delay({ status }), 500);
  for (const status of [200, 301, 400, 401, 403, 404, 409, 499, 501]) assertEquals(delay({ status }), undefined);
  assertEquals(delay({ status: 500, final: true }), undefined);
});

Deno.test("retryDelay() follows Retry-After, unless it is too far off or not wanted", () => {
  assertEquals(delay({ status: 429, retryAfter: "7" }), 7000);
  assertEquals(delay({ status: 503, retryAfter: "Mon, 23 Nov 2026 12:00:30 GMT" }), 30_000);
  assertEquals(delay({ status: 503, retryAfter: "601" }), undefined);
  assertEquals(delay({ status: 503, retryAfter: "soon" }), 500);
  assertEquals(delay({ status: 429, retryAfter: "7" }, 0, true, { ...POLICY, respectRetryAfter: false }), 500);
});

Deno.test("retryDelay() repeats what must not be done twice only if it surely did nothing", () => {
  assertEquals(delay({}, 0, false), undefined);
  assertEquals(delay({ status: 503 }, 0, false), undefined);
  assertEquals(delay({ unsent: true }, 0, false), 500);
  assertEquals(delay({ status: 429, unsent: true }, 0, false), 500);
});

Deno.test("parseRetryAfter() reads seconds and dates, and a date gone by as now", () => {
  assertEquals(parseRetryAfter(" 12 ", NOW), 12_000);
  assertEquals(parseRetryAfter("Mon, 23 Nov 2026 11:00:00 GMT", NOW), 0);
  assertEquals(parseRetryAfter("-1 apples", NOW), undefined);
});
