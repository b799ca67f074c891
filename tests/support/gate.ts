/**
 * The rule for tests that need a tool which a machine may lack (the real MLflow, Chromium): without it they are
 * ignored, with the reason in their names; where `MLFLOW_TESTS=required` says that the tool has to be there, they fail.
 */

/** A test that needs a tool. */
export interface GatedTest {
  /** The test's name. */
  readonly name: string;
  /** Why the tool cannot be used, as "no MLflow 3.17.2 in /x"; undefined where it can. */
  readonly missing: string | undefined;
  /** The test itself, called only where the tool is there. */
  readonly fn: (t: Deno.TestContext) => Promise<void>;
}

/** Registers the test, or its visible absence. */
export function gatedTest({ name, missing, fn }: GatedTest): void {
  if (missing === undefined) {
    Deno.test(name, fn);
  } else if (Deno.env.get("MLFLOW_TESTS") === "required") {
    Deno.test(name, () => {
      throw new Error(`Cannot run "${name}": ${missing}, and MLFLOW_TESTS=required wants it`);
    });
  } else {
    Deno.test({ name: `${name} (ignored: ${missing})`, ignore: true, fn });
  }
}
