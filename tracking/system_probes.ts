import os from "node:os";

/** Reads some system metrics, by MLflow's names without `system/`. */
export type Probe = () => Readonly<Record<string, number>> | Promise<Readonly<Record<string, number>>>;

/** What can be read here, and what cannot for want of a permission. */
export interface Probes {
  readonly probes: readonly Probe[];
  /** What is left out, each with the permission that it needs: `"cpu (--allow-sys=cpus)"`. */
  readonly missing: readonly string[];
}

/** Bytes in one of MLflow's megabytes. */
const MEGABYTE = 1e6;
/** Bytes in one of nvidia-smi's MiB. */
const MEBIBYTE = 2 ** 20;

/** Finds what can be read here. It asks for nothing: what is not allowed is as if it were not there. */
export async function findProbes(): Promise<Probes> {
  const probes: Probe[] = [];
  const missing: string[] = [];
  const add = async (name: string, needs: string, allowed: boolean, make: () => Probe | Promise<Probe>) => {
    if (!allowed) return void missing.push(`${name} (${needs})`);
    try {
      const probe = await make();
      await probe();
      probes.push(probe);
    } catch {
      // A system that does not tell it: there is nothing to allow.
    }
  };
  await add("cpu", "--allow-sys=cpus", granted({ name: "sys", kind: "cpus" }), cpuProbe);
  await add(
    "memory",
    "--allow-sys=systemMemoryInfo",
    granted({ name: "sys", kind: "systemMemoryInfo" }),
    () => memoryMetrics,
  );
  const root = Deno.build.os === "windows" ? "C:\\" : "/";
  const readsDisk = granted({ name: "sys", kind: "statfs" as "cpus" }) && granted({ name: "read", path: root });
  await add("disk", `--allow-sys=statfs --allow-read=${root}`, readsDisk, () => diskProbe(root));
  // Deno lets nothing of /proc be read but with all permissions; other systems keep these counters elsewhere.
  if (Deno.build.os === "linux") await add("network", "--allow-all", allGranted(), networkProbe);
  const runs = granted({ name: "run", command: "nvidia-smi" });
  if (runs || hasNvidia()) await add("gpu", "--allow-run=nvidia-smi", runs, () => gpuMetrics);
  return { probes, missing };
}

function granted(descriptor: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(descriptor).state === "granted";
}

function allGranted(): boolean {
  return (["read", "write", "net", "env", "sys", "run", "ffi"] as const).every((name) => granted({ name }));
}

function hasNvidia(): boolean {
  const path = "/usr/bin/nvidia-smi";
  if (!granted({ name: "read", path })) return false;
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** The part of the time since the last reading in which the processors were busy. */
function cpuProbe(): Probe {
  let before = cpuTimes();
  return () => {
    const now = cpuTimes();
    const all = now.all - before.all;
    const idle = now.idle - before.idle;
    before = now;
    const metrics: Record<string, number> = {};
    if (all > 0) metrics.cpu_utilization_percentage = 100 * (1 - idle / all);
    return metrics;
  };
}

function cpuTimes(): { readonly all: number; readonly idle: number } {
  let all = 0;
  let idle = 0;
  for (const { times } of os.cpus()) {
    all += Object.values(times).reduce((sum, time) => sum + time, 0);
    idle += times.idle;
  }
  return { all, idle };
}

function memoryMetrics(): Record<string, number> {
  const { total, available } = Deno.systemMemoryInfo();
  const used = total - available;
  return {
    system_memory_usage_megabytes: used / MEGABYTE,
    system_memory_usage_percentage: 100 * used / total,
  };
}

async function diskProbe(root: string): Promise<Probe> {
  const { statfsSync } = await import("node:fs");
  return () => {
    const { bsize, blocks, bfree, bavail } = statfsSync(root);
    const used = (blocks - bfree) * bsize;
    const available = bavail * bsize;
    return {
      disk_usage_percentage: 100 * used / (used + available),
      disk_usage_megabytes: used / MEGABYTE,
      disk_available_megabytes: available / MEGABYTE,
    };
  };
}

/** What has gone over the network since the probe was made. */
function networkProbe(): Probe {
  const read = () => parseNetDev(Deno.readTextFileSync("/proc/net/dev"));
  const start = read();
  return () => {
    const now = read();
    return {
      network_receive_megabytes: (now.received - start.received) / MEGABYTE,
      network_transmit_megabytes: (now.sent - start.sent) / MEGABYTE,
    };
  };
}

/** The bytes received and sent over all interfaces, from the text of `/proc/net/dev`. */
export function parseNetDev(text: string): { readonly received: number; readonly sent: number } {
  let received = 0;
  let sent = 0;
  for (const line of text.split("\n")) {
    const [, counters] = /^\s*\S+:\s*(.*)$/.exec(line) ?? [];
    if (counters === undefined) continue;
    const numbers = counters.trim().split(/\s+/).map(Number);
    received += numbers[0];
    sent += numbers[8];
  }
  return { received, sent };
}

const GPU_FIELDS = ["memory.used", "memory.total", "utilization.gpu", "power.draw", "enforced.power.limit"];

async function gpuMetrics(): Promise<Record<string, number>> {
  const { stdout, success } = await new Deno.Command("nvidia-smi", {
    args: [`--query-gpu=${GPU_FIELDS.join(",")}`, "--format=csv,noheader,nounits"],
    stdin: "null",
    stderr: "null",
  }).output();
  if (!success) throw new Error("nvidia-smi finds no GPU");
  return parseGpus(new TextDecoder().decode(stdout));
}

/** The metrics of each GPU, from nvidia-smi's lines; what a GPU does not tell (`[N/A]`) is left out. */
export function parseGpus(text: string): Record<string, number> {
  const metrics: Record<string, number> = {};
  for (const [i, line] of text.trim().split("\n").filter((line) => line.trim() !== "").entries()) {
    const [used, total, busy, watts, limit] = line.split(",").map(Number);
    const found: Readonly<Record<string, number>> = {
      memory_usage_percentage: 100 * used / total,
      memory_usage_megabytes: used * MEBIBYTE / MEGABYTE,
      utilization_percentage: busy,
      power_usage_watts: watts,
      power_usage_percentage: 100 * watts / limit,
    };
    for (const [name, value] of Object.entries(found)) {
      if (Number.isFinite(value)) metrics[`gpu_${i}_${name}`] = value;
    }
  }
  return metrics;
}
