import type { CanvasKit } from "canvaskit-wasm";
import type { ImageHeader } from "./header.ts";
import { toChannels } from "./raster.ts";
import type { Raster } from "./raster.ts";
import { webpWithoutAlpha } from "./webp.ts";

/** Decodes a JPEG or WebP whose header was read, as it lies in the file (not turned by EXIF). */
export async function canvasDecode(bytes: Uint8Array, header: ImageHeader, wantsAlpha: boolean): Promise<Raster> {
  const { canvasKit } = await import("../plot/canvaskit.ts");
  const engine = await canvasKit();
  let file = bytes;
  if (header.orientationAt !== undefined && header.orientation !== 1) {
    // The engine turns by EXIF unasked; the value here is in the byte order of the block, so keep whichever is not 0.
    file = bytes.slice();
    const at = header.orientationAt;
    file[file[at] === 0 ? at + 1 : at] = 1;
  }
  if (header.format !== "WebP") return toChannels(opaque(engine, file, header), wantsAlpha ? 4 : 3);
  // The engine premultiplies, which loses the colours of pixels that are nearly transparent: they are read from a
  // copy without alpha.
  const plain = webpWithoutAlpha(file);
  if (!plain) return toChannels(opaque(engine, file, header), wantsAlpha ? 4 : 3);
  if (plain.keepsValues) return pixels(engine, plain.bytes, header);
  const raster = opaque(engine, plain.bytes, header);
  if (!wantsAlpha) return toChannels(raster, 3);
  const alpha = pixels(engine, file, header).data;
  for (let i = 3; i < alpha.length; i += 4) raster.data[i] = alpha[i];
  return raster;
}

function opaque(engine: CanvasKit, bytes: Uint8Array, header: ImageHeader): Raster {
  const raster = pixels(engine, bytes, header);
  // Where the data breaks off inside the file, the engine says nothing and leaves the rest transparent.
  for (let i = 3; i < raster.data.length; i += 4) {
    if (raster.data[i] !== 255) throw new Error(`the ${header.format} is damaged: its picture data breaks off`);
  }
  return raster;
}

function pixels(engine: CanvasKit, bytes: Uint8Array, { format, width, height }: ImageHeader): Raster {
  const image = engine.MakeImageFromEncoded(bytes);
  if (!image) throw new Error(`the ${format} is damaged, or of a kind that cannot be decoded`);
  const colorSpace = image.getColorSpace();
  try {
    if (image.width() !== width || image.height() !== height) {
      throw new Error(`the ${format} is damaged: it says ${width} x ${height} pixels and holds others`);
    }
    // The file's own colour space: no conversion, the numbers that Pillow and Keras read.
    const data = image.readPixels(0, 0, {
      width,
      height,
      colorType: engine.ColorType.RGBA_8888,
      alphaType: engine.AlphaType.Unpremul,
      colorSpace,
    });
    if (!(data instanceof Uint8Array)) throw new Error(`the ${format} cannot be decoded: no memory for its pixels`);
    return { width, height, channels: 4, data };
  } finally {
    colorSpace.delete();
    image.delete();
  }
}
