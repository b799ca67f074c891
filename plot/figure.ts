import type { Figure } from "../entities.ts";
import { canvasKit } from "./canvaskit.ts";
import { encodePng, paintPng } from "./png_painter.ts";
import type { Measure, Scene } from "./scene.ts";
import { paintSvg } from "./svg_painter.ts";
import { Typesetter } from "./typesetter.ts";

const MAX_SIDE = 16_384;
// 256 MiB of pixels, and as much again while they are encoded.
const MAX_PIXELS = 2 ** 26;

/**
 * Lays a scene out and gives it as a figure.
 *
 * @param fonts font files for the characters that the built-in font lacks
 * @param layout makes the scene, with a way to measure text
 */
export async function makeFigure(
  fonts: readonly Uint8Array[],
  layout: (measure: Measure) => Scene,
): Promise<Figure> {
  const kit = await canvasKit();
  using typesetter = new Typesetter(kit, fonts);
  const scene = layout((text, size, weight) => typesetter.measure(text, size, weight));
  typesetter.warnOfMissing();
  checkSize(scene, 1);
  return {
    width: scene.width,
    height: scene.height,
    async toPng({ scale = 2 } = {}): Promise<Uint8Array<ArrayBuffer>> {
      checkSize(scene, scale);
      using typesetter = new Typesetter(kit, fonts);
      return paintPng(kit, typesetter, scene, scale);
    },
    async toSvg(): Promise<string> {
      return paintSvg(scene, (pixels) => encodePng(kit, pixels));
    },
  };
}

function checkSize(scene: Scene, scale: number): void {
  if (!(scale > 0 && scale <= 16)) {
    throw new RangeError(`Cannot paint a picture: scale must be above 0 and at most 16: received ${scale}`);
  }
  const width = Math.round(scene.width * scale);
  const height = Math.round(scene.height * scale);
  if (!(width >= 1 && height >= 1 && width <= MAX_SIDE && height <= MAX_SIDE && width * height <= MAX_PIXELS)) {
    throw new RangeError(
      `Cannot paint a picture of ${width} x ${height} pixels: at most ${MAX_SIDE} a side and ${MAX_PIXELS} in all are possible`,
    );
  }
}
