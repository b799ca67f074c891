/**
 * A program that logs 2,000 values of a metric to a run of its own, for tests that let several write at once:
 * `writer.ts <tracking URI> <experiment id> <number> <values>`. It prints the run's id.
 */
import { MlflowClient } from "../../client.ts";

const [uri, experimentId, number, values] = Deno.args;
const client = new MlflowClient(uri);
const { info } = await client.createRun({ experimentId, runName: `writer ${number}` });
for (let step = 0; step < Number(values); step++) await client.logMetric(info.runId, "value", step, { step });
await client.setTerminated(info.runId);
console.log(info.runId);
