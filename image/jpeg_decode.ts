import type { ImageHeader } from "./header.ts";
import { JPEG_DECODER } from "./jpeg_code.ts";
import type { Raster } from "./raster.ts";

/** What `native/jpeg.c` exports. */
interface Decoder {
  readonly memory: WebAssembly.Memory;
  readonly __heap_base: WebAssembly.Global;
  decode(file: number, length: number, width: number, height: number, planes: number, to: number): number;
}

const PAGE_BYTES = 65_536;
/** Memory beyond it is given back, which WebAssembly does only with the whole of it. */
const KEPT_BYTES = 64 * 2 ** 20;

/** `undefined`: not made yet; `null`: this processor has no SIMD. */
let code: WebAssembly.Module | null | undefined;
let decoder: Decoder | undefined;

/**
 * Decodes a JPEG of the common kind, as it lies in the file (not turned by EXIF): to 1 value a pixel where the file is
 * gray, else to 3.
 *
 * The pixels are those of libjpeg-turbo, and lie in memory that the next call overwrites. `undefined` where the file is
 * of another kind (progressive, CMYK, …) or damaged, so that another decoder has to say what it is.
 */
export function decodeJpeg(bytes: Uint8Array, { width, height }: ImageHeader): Raster | undefined {
  decoder ??= start();
  if (!decoder) return undefined;
  const { memory, __heap_base: { value: file } } = decoder;
  const planes = padded(file + bytes.length + 8);
  const to = padded(planes + 3 * padded(width) * padded(height) + 64);
  const missing = to + 3 * width * height + 48 - memory.buffer.byteLength;
  try {
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
  } catch {
    return undefined;
  }
  const all = new Uint8Array(memory.buffer);
  all.set(bytes, file);
  const channels = decoder.decode(file, bytes.length, width, height, planes, to);
  if (all.length > KEPT_BYTES) decoder = undefined;
  if (channels !== 1 && channels !== 3) return undefined;
  return { width, height, channels, data: all.subarray(to, to + width * height * channels) };
}

function start(): Decoder | undefined {
  if (code === undefined) {
    const bytes = Uint8Array.fromBase64(JPEG_DECODER);
    code = WebAssembly.validate(bytes) ? new WebAssembly.Module(bytes) : null;
  }
  return code === null ? undefined : new WebAssembly.Instance(code).exports as unknown as Decoder;
}

function padded(size: number): number {
  return Math.ceil(size / 16) * 16;
}
