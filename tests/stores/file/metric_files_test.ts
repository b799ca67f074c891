import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { MetricFiles } from "../../../stores/file/metric_files.ts";
import { writeModelLine, writeRunLine } from "../../../stores/file/metric_lines.ts";

function line(timestamp: number, value: number, step: number = 0) {
  const metric = { timestamp, value, step, runId: undefined, dataset: undefined };
  return { metric, text: writeRunLine(metric) };
}

async function inFolder(check: (path: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "mlflow-deno-" });
  try {
    await check(join(dir, "a", "b"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("MetricFiles.append() leaves out what is there, whatever its time", async () => {
  await inFolder(async (path) => {
    const files = new MetricFiles();
    files.append(path, "run", [line(5, 1), line(5, NaN), line(5, 1), line(6, 1)]);
    files.append(path, "run", [line(6, 1), line(6, 2)]);
    files.append(path, "run", [line(5, NaN), line(5, 3), line(1, 1)]);
    new MetricFiles().append(path, "run", [line(1, 1), line(6, 2), line(7, 0)]);
    files.append(path, "run", [line(7, 0), line(8, 0)]);
    assertEquals(
      await Deno.readTextFile(path),
      "5 1.0 0\n5 nan 0\n6 1.0 0\n6 2.0 0\n5 3.0 0\n1 1.0 0\n7 0.0 0\n8 0.0 0\n",
    );
  });
});

Deno.test("MetricFiles.append() sees what others write, and a file that begins anew", async () => {
  await inFolder(async (path) => {
    const files = new MetricFiles();
    files.append(path, "run", [line(1, 1)]);
    await Deno.writeTextFile(path, "2 5 3\n", { append: true });
    files.append(path, "run", [line(2, 5, 3), line(2, 6)]);
    assertEquals(await Deno.readTextFile(path), "1 1.0 0\n2 5 3\n2 6.0 0\n");
    await Deno.writeTextFile(path, "1 1.0 0\n");
    files.append(path, "run", [line(2, 6), line(1, 1)]);
    assertEquals(await Deno.readTextFile(path), "1 1.0 0\n2 6.0 0\n");
  });
});

Deno.test("MetricFiles.append() begins a line of its own behind a broken one", async () => {
  await inFolder(async (path) => {
    const files = new MetricFiles();
    files.append(path, "run", [line(1, 1)]);
    await Deno.writeTextFile(path, "2 0.", { append: true });
    files.append(path, "run", [line(3, 1)]);
    assertEquals(await Deno.readTextFile(path), "1 1.0 0\n2 0.\n3 1.0 0\n");
  });
});

Deno.test("MetricFiles.append() keeps one value of a model's metric for a run, step and time", async () => {
  await inFolder(async (path) => {
    const model = (value: number, runId: string) => {
      const metric = { timestamp: 1, value, step: 2, runId, dataset: { name: "é", digest: "d" } };
      return { metric, text: writeModelLine(metric, runId, metric.dataset) };
    };
    const files = new MetricFiles();
    files.append(path, "model", [model(1, "r1"), model(2, "r1"), model(1, "r2")]);
    files.append(path, "model", [model(3, "r2"), model(1, "r3")]);
    assertEquals(await Deno.readTextFile(path), "1 1.0 2 r1 é d\n1 1.0 2 r2 é d\n1 1.0 2 r3 é d\n");
  });
});
