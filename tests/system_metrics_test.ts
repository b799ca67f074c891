import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "@std/path";
import * as mlflow from "../fluent.ts";
import type { Run } from "../run.ts";
import * as system from "../system_metrics.ts";
import { parseGpus, parseNetDev } from "../tracking/system_probes.ts";
import { setTrackingUri } from "../tracking/tracking_uri.ts";
import { deno } from "./support/deno.ts";
import { mlflowTest } from "./support/mlflow.ts";

const ROOT = Deno.realPathSync(new URL("..", import.meta.url));
const NAMES = [
  "system/cpu_utilization_percentage",
  "system/disk_available_megabytes",
  "system/disk_usage_megabytes",
  "system/disk_usage_percentage",
  "system/network_receive_megabytes",
  "system/network_transmit_megabytes",
  "system/system_memory_usage_megabytes",
  "system/system_memory_usage_percentage",
];

/** The timer of the system metrics, as the test winds it. */
interface Clock {
  /** Milliseconds between its ticks; undefined where none runs. */
  readonly interval: () => number | undefined;
  /** Lets it tick once, and waits until what it logged is there. */
  tick(run: Run): Promise<void>;
}

/** Tracks in a store of its own, with a timer that goes by hand. */
async function withClock(uri: string, check: (clock: Clock) => Promise<void>): Promise<void> {
  const { setInterval, clearInterval } = globalThis;
  let timer: { readonly tick: () => void; readonly interval: number } | undefined;
  const clock: Clock = {
    interval: () => timer?.interval,
    tick: async (run) => {
      timer!.tick();
      // Reading is over when the program comes to its next turn.
      for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
      await run.flush();
    },
  };
  Object.assign(globalThis, {
    setInterval: (tick: () => void, interval: number) => {
      timer = { tick, interval };
      return 1e9;
    },
    clearInterval: () => timer = undefined,
  });
  try {
    setTrackingUri(uri);
    await mlflow.setExperiment({ experimentId: "0" });
    await check(clock);
  } finally {
    while (mlflow.activeRun() !== undefined) await mlflow.endRun("KILLED");
    Object.assign(globalThis, { setInterval, clearInterval });
    system.setSystemMetricsSamplingInterval(undefined);
    system.setSystemMetricsSamplesBeforeLogging(undefined);
    system.setSystemMetricsNodeId(undefined);
    system.disableSystemMetricsLogging();
    setTrackingUri("");
    Deno.env.delete("MLFLOW_EXPERIMENT_ID");
  }
}

const keys = async (run: Run) =>
  Object.keys((await run.get()).data.metrics).filter((key) => !key.includes("gpu_")).sort();

Deno.test("startRun() logs system metrics by MLflow's names every 10 seconds, until the run ends", () =>
  withClock("memory:system", async (clock) => {
    const run = await mlflow.startRun({ logSystemMetrics: true });
    assertEquals(clock.interval(), 10_000);
    assertEquals(await keys(run), []);
    for (let i = 0; i < 2; i++) await clock.tick(run);
    if (Deno.build.os === "linux") assertEquals(await keys(run), NAMES);
    const { metrics } = (await run.get()).data;
    for (const [key, value] of Object.entries(metrics)) {
      assert(value >= 0 && (!key.endsWith("percentage") || value <= 100), `${key} is ${value}`);
    }
    const history = await run.client.getMetricHistory(run.runId, "system/system_memory_usage_percentage");
    assertEquals(history.map(({ step }) => step), [0, 1]);
    await mlflow.endRun();
    assertEquals(clock.interval(), undefined);
    await mlflow.withRun({ runId: run.runId, logSystemMetrics: true }, async (resumed) => {
      await clock.tick(resumed);
      const history = await run.client.getMetricHistory(run.runId, "system/system_memory_usage_percentage");
      assertEquals(history.map(({ step }) => step), [0, 1, 2]);
    });
  }));

Deno.test("enableSystemMetricsLogging() and the other settings are for the runs started later", () =>
  withClock("memory:settings", async (clock) => {
    await mlflow.withRun({}, () => assertEquals(clock.interval(), undefined));
    system.enableSystemMetricsLogging();
    assertEquals(Deno.env.get("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"), "true");
    system.setSystemMetricsSamplingInterval(0.5);
    system.setSystemMetricsSamplesBeforeLogging(2);
    system.setSystemMetricsNodeId("node_0");
    await mlflow.withRun({}, async (run) => {
      assertEquals(clock.interval(), 500);
      await clock.tick(run);
      assertEquals(await keys(run), []);
      await clock.tick(run);
      assert((await keys(run)).includes("system/node_0/system_memory_usage_megabytes"));
    });
    await mlflow.withRun({ logSystemMetrics: false }, () => assertEquals(clock.interval(), undefined));
    assertThrows(() => system.setSystemMetricsSamplingInterval(0), RangeError, "received 0");
    assertThrows(() => system.setSystemMetricsSamplesBeforeLogging(1.5), RangeError, "received 1.5");
  }));

Deno.test("System metrics that cannot be logged end themselves, and not the run", () =>
  withClock("memory:broken", async (clock) => {
    const { warn } = console;
    const said: string[] = [];
    console.warn = (text) => said.push(text);
    try {
      await mlflow.withRun({ logSystemMetrics: true }, async (run) => {
        await run.client.deleteRun(run.runId);
        await clock.tick(run);
        assertEquals(clock.interval(), undefined);
        await run.client.restoreRun(run.runId);
        await run.logMetric("m", 1);
      });
    } finally {
      console.warn = warn;
    }
    assertEquals(said.filter((text) => text.startsWith("warning: no more system metrics are logged to run")).length, 1);
  }));

Deno.test("A program ends in spite of its system metrics, and hears once of what a permission hides", async () => {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
  try {
    const program = join(dir, "program.ts");
    await Deno.writeTextFile(
      program,
      `import * as mlflow from ${JSON.stringify(join(ROOT, "mod.ts"))};
       mlflow.setTrackingUri("memory:");
       mlflow.enableSystemMetricsLogging();
       mlflow.setSystemMetricsSamplingInterval(0.001);
       for (const _ of [1, 2]) {
         const run = await mlflow.startRun();
         while (Object.keys((await run.get()).data.metrics).length === 0) await new Promise((go) => setTimeout(go, 1));
         console.log(Object.keys((await run.get()).data.metrics).join(" "));
         await mlflow.endRun();
       }
       await mlflow.startRun();`,
    );
    const config = join(ROOT, "deno.json");
    const flags = ["--no-prompt", "--config", config, `--allow-read=${dir},${ROOT}`, "--allow-sys=systemMemoryInfo"];
    const { stdout, stderr } = await deno(["run", ...flags, program], { cwd: dir });
    const line = "system/system_memory_usage_megabytes system/system_memory_usage_percentage\n";
    assertEquals(stdout, line + line);
    assertEquals(
      stderr.split("warning: system metrics are left out that a permission hides: cpu (--allow-sys=cpus), disk").length,
      2,
    );
    if (Deno.build.os === "linux") assertStringIncludes(stderr, "network (--allow-all)");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("parseNetDev() and parseGpus() read what the system writes", () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 1000 8 0 0 0 0 0 0 1000 8 0 0 0 0 0 0
  eth0:500 8 0 0 0 0 0 0 20 8 0 0 0 0 0 0
`;
  assertEquals(parseNetDev(text), { received: 1500, sent: 1020 });
  assertEquals(parseGpus("1024, 4096, 37, 60.50, 242.00\n0, 8192, 0, [N/A], [N/A]\n"), {
    gpu_0_memory_usage_percentage: 25,
    gpu_0_memory_usage_megabytes: 1073.741824,
    gpu_0_utilization_percentage: 37,
    gpu_0_power_usage_watts: 60.5,
    gpu_0_power_usage_percentage: 25,
    gpu_1_memory_usage_percentage: 0,
    gpu_1_memory_usage_megabytes: 0,
    gpu_1_utilization_percentage: 0,
  });
  assertEquals(parseGpus("\n"), {});
});

mlflowTest("System metrics have the names that MLflow gives them", async (python) => {
  const names = await python.python<string[]>(
    `
    import importlib.util, os, re
    folder = os.path.join(os.path.dirname(importlib.util.find_spec("mlflow").origin), "system_metrics", "metrics")
    result = set()
    for name in ["cpu", "disk", "network", "gpu"]:
        source = open(os.path.join(folder, f"{name}_monitor.py")).read()
        result |= set(re.findall(r'_metrics\\[f?"([^"]+)"\\]', source))
    result = sorted(result)
    `,
  );
  const gpu = Object.keys(parseGpus("1, 2, 3, 4, 5")).map((name) => name.replace("gpu_0", "gpu_{i}"));
  assertEquals(names, [...NAMES.map((name) => name.replace("system/", "")), ...gpu].sort());
});
