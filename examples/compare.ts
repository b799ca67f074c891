/**
 * Searches runs and compares them in the terminal: the best ones first, with the params in which they differ.
 *
 *     deno run -A examples/compare.ts [metric] [experiment …]
 */
import * as mlflow from "@mlflow-deno/mlflow";

const [metric = "val_accuracy", ...experiments] = Deno.args;
if (metric.startsWith("-")) {
  console.log("Compares runs: deno run -A examples/compare.ts [metric] [experiment …]");
  Deno.exit(metric === "--help" ? 0 : 2);
}
const TOP = 10;

const all = await mlflow.searchExperiments().toArray();
const chosen = all.filter(({ name }) => experiments.length === 0 || experiments.includes(name));
const unknown = experiments.filter((name) => !all.some((experiment) => experiment.name === name));
if (unknown.length > 0) {
  console.error(`compare.ts: no experiment is named ${unknown.map((name) => `"${name}"`).join(" or ")}`);
  Deno.exit(2);
}

const runs = await mlflow.searchRuns({
  experimentIds: chosen.map(({ experimentId }) => experimentId),
  filter: `metrics.\`${metric}\` > -1e300`,
  orderBy: [`metrics.\`${metric}\` DESC`],
  maxResults: TOP,
}).toArray();

if (runs.length === 0) {
  console.log(`no run has a metric "${metric}" in ${mlflow.getTrackingUri()}; examples/train.ts makes one`);
} else {
  const names = [...new Set(runs.flatMap(({ data }) => Object.keys(data.params)))].sort();
  // A param that only some of the runs have tells less than one in which those that have it differ.
  const values = (name: string) =>
    new Set(runs.map(({ data }) => data.params[name]).filter((value) => value !== undefined));
  const differing = names.filter((name) => values(name).size > 1);
  console.table(runs.map(({ info, data }) => ({
    run: info.runName,
    [metric]: Number(data.metrics[metric].toFixed(4)),
    status: info.status,
    seconds: info.endTime === undefined ? "" : (info.endTime - info.startTime) / 1000,
    ...Object.fromEntries(differing.slice(0, 5).map((name) => [name, data.params[name] ?? ""])),
  })));
  const [best] = runs;
  const [model] = best.outputs.modelOutputs;
  console.log(`best: ${best.info.runName} with ${metric} ${best.data.metrics[metric].toFixed(4)}`);
  if (model !== undefined) console.log(`its model: models:/${model.modelId}`);
}
