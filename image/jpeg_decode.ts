import type { ImageHeader } from "./header.ts";
import { JPEG_DECODER } from "./jpeg_code.ts";
import type { Raster } from "./raster.ts";

/** What `native/jpeg.c` exports. */
interface Decoder {
  readonly memory: WebAssembly.Memory;
  readonly __heap_base: WebAssembly.Global;
  decode(
    file: number,
    length: number,
    width: number,
    height: number,
    planes: number,
    to: number,
    blocks: number,
  ): number;
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
 * of another kind (CMYK, 4:4:0, …) or damaged, so that another decoder has to say what it is.
 */
export function decodeJpeg(bytes: Uint8Array, { width, height }: ImageHeader): Raster | undefined {
  decoder ??= start();
  if (!decoder) return undefined;
  const { memory, __heap_base: { value: file } } = decoder;
  const plane = padded(width) * padded(height);
  const planes = padded(file + bytes.length + 8);
  const to = planes + 3 * plane + 64;
  const blocks = padded(to + 3 * width * height + 48);
  if (!grow(memory, blocks)) return undefined;
  new Uint8Array(memory.buffer).set(bytes, file);
  let channels = decoder.decode(file, bytes.length, width, height, planes, to, 0);
  if (channels < 0 && grow(memory, blocks + 6 * plane)) {
    channels = decoder.decode(file, bytes.length, width, height, planes, to, blocks);
  }
  if (memory.buffer.byteLength > KEPT_BYTES) decoder = undefined;
  if (channels !== 1 && channels !== 3) return undefined;
  return { width, height, channels, data: new Uint8Array(memory.buffer, to, width * height * channels) };
}

/** Whether the memory has so many bytes in the end. */
function grow(memory: WebAssembly.Memory, bytes: number): boolean {
  const missing = bytes - memory.buffer.byteLength;
  try {
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
    return true;
  } catch {
    return false;
  }
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
