import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { mlflowTest } from "./mlflow.ts";

mlflowTest("Mlflow.python() carries NaN and infinities both ways and tells of errors", async (mlflow) => {
  await using python = mlflow.interpreter();
  const values = { nan: NaN, list: [Infinity, -Infinity, 1.5, null], text: "é\n", nested: { at: 1_700_000_000_000 } };
  assertEquals(await python.run(`print("noise"); result = args`, values), values);
  const isNan = await python.run(
    `
    import math
    result = math.isnan(args["nan"])
    `,
    values,
  );
  assertEquals(isNan, true);

  const error = await assertRejects(() => python.run(`raise ValueError("told")`), Error, "ValueError: told");
  assertStringIncludes(error.message, `File "<snippet>", line 1`);
  assertEquals(await python.run(`import os; result = [k for k in os.environ if k.startswith("MLFLOW_")]`), [
    "MLFLOW_DISABLE_TELEMETRY",
  ]);
  await assertRejects(() => python.run(`import os; os._exit(3)`), Error, "the process ended");
});

mlflowTest("Mlflow.ui() serves the database of its folder and leaves no process behind", async (mlflow) => {
  await mlflow.python(`
    import mlflow
    mlflow.set_experiment("shown")
  `);
  let url: string;
  {
    await using ui = await mlflow.ui();
    url = ui.url;
    const response = await fetch(`${url}/api/2.0/mlflow/experiments/get-by-name?experiment_name=shown`);
    assertEquals((await response.json()).experiment.lifecycle_stage, "active");
  }
  await assertRejects(() => fetch(`${url}/health`), TypeError);
});
