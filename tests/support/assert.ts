/** The few assertions that the tests use, by the names of `@std/assert`, over Node's `assert`. */
import assertModule from "node:assert/strict";

export function assert(value: unknown, message?: string): asserts value {
  assertModule.ok(value, message);
}

/** Compares values of the same type deeply and strictly: NaN equals NaN. */
export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  assertModule.deepStrictEqual(actual, expected, message);
}

export function assertStringIncludes(actual: string, expected: string, message?: string): void {
  assertModule.ok(
    actual.includes(expected),
    message ?? `expected ${JSON.stringify(actual)} to include ${JSON.stringify(expected)}`,
  );
}

export function assertMatch(actual: string, expected: RegExp, message?: string): void {
  assertModule.match(actual, expected, message);
}

// deno-lint-ignore no-explicit-any
type ErrorClass<E extends Error> = new (...args: any[]) => E;

/** Runs `fn`, wants an error of the class whose message includes `includes`, and returns it. */
export function assertThrows<E extends Error = Error>(fn: () => unknown, errorClass?: ErrorClass<E>, includes = ""): E {
  let error: unknown;
  try {
    fn();
  } catch (thrown) {
    error = thrown;
  }
  return checked(error, errorClass, includes);
}

/** As `assertThrows`, for a function that returns a promise. */
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClass?: ErrorClass<E>,
  includes = "",
): Promise<E> {
  let error: unknown;
  try {
    await fn();
  } catch (thrown) {
    error = thrown;
  }
  return checked(error, errorClass, includes);
}

function checked<E extends Error>(error: unknown, errorClass: ErrorClass<E> | undefined, includes: string): E {
  if (error === undefined) {
    assertModule.fail(`expected an error${includes && ` with ${JSON.stringify(includes)}`}, none was thrown`);
  }
  if (!(error instanceof (errorClass ?? Error))) throw error;
  assertStringIncludes((error as Error).message, includes);
  return error as E;
}
