/**
 * A program that writes to a run of a folder, for tests that let several do so at once:
 * `file_writer.ts <tracking URI> <run id> <number> <values>`. Half of the values are the same whatever its number. It
 * prints whether it was the one that made the experiment, and set the param, that all of them want to make and set.
 */
import { MlflowClient } from "../../client.ts";

const [uri, runId, number, values] = Deno.args;
const client = new MlflowClient(uri);
await race("made", () => client.createExperiment("raced"));
for (let step = 0; step < Number(values); step++) {
  const value = step < Number(values) / 2 ? step : step + Number(number) / 10;
  await client.logBatch(runId, {
    metrics: [{ key: "shared", value, step, timestamp: 1000 + step }],
    params: [{ key: `${number}/${step}`, value: "x" }],
    tags: [{ key: "last", value: `${number} ${step}` }],
  });
}
await race("set", () => client.logBatch(runId, { params: [{ key: "winner", value: number }] }));

async function race(won: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
    console.log(won);
  } catch (error) {
    console.log(String(error));
  }
}
