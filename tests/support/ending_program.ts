/**
 * A program with two nested runs that ends in the way its argument says, for tests of how runs end. It prints the ids of
 * its runs, and the work that it has logged is the same in every way: param `p`, metric `m` and the text `a.txt`.
 */
import * as mlflow from "../../mod.ts";

const [way] = Deno.args;
const experimentId = await mlflow.createExperiment("ends", { artifactLocation: `${Deno.cwd()}/artifacts` });
await mlflow.setExperiment({ experimentId });
const outer = await mlflow.startRun();
const inner = await mlflow.startRun({ nested: true });
// Nobody waits for these.
void inner.logParam("p", 1);
for (let step = 0; step < 100; step++) void inner.logMetric("m", step, { step });
const written = inner.logText("text", "a.txt");
void inner.logMetric("after the text", 1);

function say(): void {
  console.log(`${outer.runId} ${inner.runId}`);
}

switch (way) {
  case "through":
    say();
    break;
  case "exit code":
    say();
    Deno.exitCode = 4;
    break;
  case "exit 0":
    say();
    Deno.exit(0);
    break;
  case "exit 3":
    say();
    Deno.exit(3);
    break;
  case "throw":
    say();
    throw new RangeError("uncaught");
  case "rejection":
    say();
    void Promise.reject(new RangeError("unhandled"));
    await new Promise((resolve) => setTimeout(resolve, 60_000));
    break;
  case "exit in withRun":
    await mlflow.withRun({ nested: true }, async (run) => {
      await run.logMetric("m", 1);
      console.log(`${outer.runId} ${inner.runId} ${run.runId}`);
      Deno.exit(3);
    });
    break;
  case "wait":
    await written;
    say();
    await new Promise((resolve) => setTimeout(resolve, 60_000));
    break;
  case "compute": {
    say();
    // A long step of a computation, between which the program is waited for.
    const until = Date.now() + 20_000;
    while (Date.now() < until) {
      const step = Date.now() + 300;
      while (Date.now() < step);
      await new Promise((resolve) => setTimeout(resolve));
    }
    break;
  }
  case "withRun":
    await mlflow.withRun({ nested: true }, async (run) => {
      await run.logMetric("m", 1);
      console.log(`${outer.runId} ${inner.runId} ${run.runId}`);
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    });
    break;
  default:
    throw new TypeError(`Unknown way to end: ${way}`);
}
