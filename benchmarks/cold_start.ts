/** What `cold_start` measures of us: `cold_start.ts DATABASE`. */
import * as mlflow from "../mod.ts";

mlflow.setTrackingUri(`sqlite:///${Deno.args[0]}`);
await mlflow.setExperiment("cold start");
await mlflow.startRun();
await mlflow.logMetric("loss", 0.5, { step: 0 });
console.log("logged");
