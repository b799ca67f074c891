/**
 * Compiles the kernels to WebAssembly and writes them, as text, to `../native_code.ts`; so too the decoder of
 * `image/native` to `image/jpeg_code.ts`.
 *
 *     deno run -A kernels/native/build.ts [--check]
 *
 * The compiler is `ziglang` of PyPI, of one release, so that the same source gives the same bytes everywhere; it is
 * installed into `$MLFLOW_DENO_CACHE` (`~/.cache/mlflow-deno`) once. With `--check` nothing is written: the program
 * fails where a file differs from what the source gives.
 */
import { join } from "@std/path";

/** The release of the compiler. */
export const ZIGLANG = "0.17.1";

const HERE = import.meta.dirname!;
const ROOT = join(HERE, "..", "..");

/** A virtual environment with the compiler. */
const VENV = join(
  Deno.env.get("MLFLOW_DENO_CACHE") ?? join(Deno.env.get("HOME") ?? ".", ".cache", "mlflow-deno"),
  `ziglang-${ZIGLANG}`,
);
/** Is there when the installation came to its end. */
const STAMP = join(VENV, ".complete");

/** Why the compiler cannot be used without installing it; undefined if it can. */
export async function missingCompiler(): Promise<string | undefined> {
  return await Deno.stat(STAMP).then(() => undefined, () => `no ziglang ${ZIGLANG} in ${VENV}`);
}

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr, stdout } = await new Deno.Command(command, { args, cwd: HERE }).output();
  if (success) return;
  const said = new TextDecoder().decode(stderr) + new TextDecoder().decode(stdout);
  throw new Error(`Cannot build the kernels: ${[command, ...args].join(" ")}\n${said}`);
}

/** Python of the virtual environment, which is made where it is missing. */
async function compiler(): Promise<string> {
  const python = join(VENV, "bin", "python");
  if (await missingCompiler() === undefined) return python;
  await run("python3", "-m", "venv", VENV);
  await run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", `ziglang==${ZIGLANG}`);
  await Deno.writeTextFile(STAMP, "");
  return python;
}

async function compile(python: string, features: string, ...defines: string[]): Promise<Uint8Array> {
  const folder = await Deno.makeTempDir();
  try {
    const zig = (args: string) => run(python, ...`-m ziglang cc -target wasm32-freestanding ${args}`.split(" "));
    const assembly = join(folder, "kernels.s");
    const linked = join(folder, "kernels.wasm");
    await zig(
      `-std=c11 -O3 -g0 -fno-math-errno -ffp-contract=off -Wall -Werror -Wno-unused-command-line-argument ` +
        `-mcpu=generic+simd128+bulk_memory+atomics${features} ${defines.join(" ")} -S kernels.c -o ${assembly}`,
    );
    // a stack, which is kept in a global, would lie in the middle of tfjs's memory
    if (/\tglobal\.[gs]et/.test(await Deno.readTextFile(assembly))) {
      throw new Error("Cannot build the kernels: a kernel uses the stack");
    }
    await zig(
      `-mcpu=generic+simd128+bulk_memory+atomics${features} -g0 -nostdlib -Wl,--no-entry -Wl,--import-memory ` +
        `-Wl,--shared-memory -Wl,--max-memory=2147483648 -Wl,-s ${assembly} -o ${linked}`,
    );
    return finished(await Deno.readFile(linked));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Widens the memory that the module imports to the 4 GiB of tfjs's: the linker goes to 2 GiB only. */
function finished(bytes: Uint8Array<ArrayBuffer>): Uint8Array {
  if (sections(bytes).has(11)) throw new Error("Cannot build the kernels: a kernel uses static data");
  const at = indexOf(bytes, [0x80, 0x80, 0x02], sections(bytes).get(2)!); // 32768 pages
  bytes.set([0x80, 0x80, 0x04], at); // 65536 pages
  return bytes;
}

/** Where the content of each section begins. */
function sections(bytes: Uint8Array): Map<number, number> {
  const found = new Map<number, number>();
  for (let at = 8; at < bytes.length;) {
    const id = bytes[at++];
    let size = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      size |= (bytes[at] & 127) << shift;
      more = bytes[at++] >= 128;
    }
    found.set(id, at);
    at += size;
  }
  return found;
}

function indexOf(bytes: Uint8Array, wanted: number[], from: number): number {
  for (let at = from; at < bytes.length; at++) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  throw new Error("Cannot build the kernels: the module imports no memory of 2 GiB");
}

/** The text of `native_code.ts`. */
export async function nativeCode(): Promise<string> {
  const python = await compiler();
  const plain = await compile(python, "", "-DPLAIN");
  const relaxed = await compile(python, "+relaxed_simd", "-DRELAXED");
  return `// Generated from kernels/native by \`deno run -A kernels/native/build.ts\`.
// deno-fmt-ignore-file

/** The kernels for processors and runtimes with relaxed SIMD (fused multiply-add), base64. */
export const RELAXED_SIMD: string =
  "${relaxed.toBase64()}";

/** The same kernels in plain SIMD, base64. */
export const PLAIN_SIMD: string =
  "${plain.toBase64()}";
`;
}

async function compileDecoder(python: string): Promise<Uint8Array> {
  const folder = await Deno.makeTempDir();
  try {
    const linked = join(folder, "jpeg.wasm");
    await run(
      python,
      ..."-m ziglang cc -target wasm32-freestanding -std=c11 -O3 -g0 -ffreestanding -nostdlib -Wall -Wextra".split(" "),
      ..."-Werror -mcpu=generic+simd128+bulk_memory+sign_ext -Wl,--no-entry -Wl,-z,stack-size=8192 -Wl,-s".split(" "),
      ...["-Wl,--export=__heap_base", join(ROOT, "image", "native", "jpeg.c"), "-o", linked],
    );
    return await Deno.readFile(linked);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The text of `image/jpeg_code.ts`. */
export async function jpegCode(): Promise<string> {
  const decoder = await compileDecoder(await compiler());
  return `// Generated from image/native by \`deno run -A kernels/native/build.ts\`.
// deno-fmt-ignore-file

/** The decoder of JPEG files, base64. */
export const JPEG_DECODER: string =
  "${decoder.toBase64()}";
`;
}

if (import.meta.main) {
  for (
    const [file, text] of [["kernels/native_code.ts", await nativeCode()], ["image/jpeg_code.ts", await jpegCode()]]
  ) {
    const output = join(ROOT, file);
    if (!Deno.args.includes("--check")) await Deno.writeTextFile(output, text);
    else if (text !== await Deno.readTextFile(output)) {
      console.error(`${file} is not what its source gives: run deno run -A kernels/native/build.ts`);
      Deno.exit(1);
    }
  }
}
