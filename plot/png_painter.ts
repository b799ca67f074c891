import type { Canvas, CanvasKit, Image, Paint } from "canvaskit-wasm";
import type { Ink, Operation, Path, Pixels, Raster, Scene, Text } from "./scene.ts";
import type { Typesetter } from "./typesetter.ts";

/** The scene as the bytes of a PNG file with `scale` pixels for a logical one. */
export function paintPng(
  kit: CanvasKit,
  typesetter: Typesetter,
  scene: Scene,
  scale: number,
): Uint8Array<ArrayBuffer> {
  const surface = kit.MakeSurface(Math.round(scene.width * scale), Math.round(scene.height * scale));
  if (surface === null) {
    throw new Error(
      `Cannot paint a picture of ${scene.width} x ${scene.height} logical pixels at scale ${scale}: no memory for it`,
    );
  }
  const paint = new kit.Paint();
  try {
    paint.setAntiAlias(true);
    paint.setStrokeJoin(kit.StrokeJoin.Round);
    const canvas = surface.getCanvas();
    canvas.scale(scale, scale);
    for (const operation of scene.operations) draw(kit, typesetter, canvas, paint, operation);
    surface.flush();
    const snapshot = surface.makeImageSnapshot();
    const bytes = snapshot.encodeToBytes(kit.ImageFormat.PNG, 100);
    snapshot.delete();
    if (bytes === null) throw new Error("Cannot encode a picture as PNG: the canvas engine gave nothing");
    return new Uint8Array(bytes);
  } finally {
    paint.delete();
    // Not delete(): that leaks the pixels of a surface in memory.
    surface.dispose();
  }
}

/** Pixels alone as the bytes of a PNG file. */
export function encodePng(kit: CanvasKit, pixels: Pixels): Uint8Array {
  const image = makeImage(kit, pixels);
  const bytes = image.encodeToBytes(kit.ImageFormat.PNG, 100);
  image.delete();
  if (bytes === null) throw new Error("Cannot encode an image as PNG: the canvas engine gave nothing");
  return bytes;
}

function draw(kit: CanvasKit, typesetter: Typesetter, canvas: Canvas, paint: Paint, operation: Operation): void {
  switch (operation.kind) {
    case "rectangle": {
      const area = kit.XYWHRect(operation.x, operation.y, operation.width, operation.height);
      return fillAndStroke(kit, paint, operation, () => canvas.drawRect(area, paint));
    }
    case "circle":
      return fillAndStroke(kit, paint, operation, () => {
        canvas.drawCircle(operation.x, operation.y, operation.radius, paint);
      });
    case "path":
      return drawPath(kit, canvas, paint, operation);
    case "raster":
      return drawRaster(kit, canvas, paint, operation);
    case "text":
      return drawText(kit, typesetter, canvas, paint, operation);
  }
}

function fillAndStroke(kit: CanvasKit, paint: Paint, ink: Ink, drawOnce: () => void): void {
  if (ink.fill !== undefined) {
    paint.setStyle(kit.PaintStyle.Fill);
    paint.setColor(kit.parseColorString(ink.fill));
    drawOnce();
  }
  if (ink.stroke !== undefined) {
    paint.setStyle(kit.PaintStyle.Stroke);
    paint.setStrokeWidth(ink.strokeWidth ?? 1);
    paint.setColor(kit.parseColorString(ink.stroke));
    drawOnce();
  }
}

function drawPath(kit: CanvasKit, canvas: Canvas, paint: Paint, { points, closed, ...ink }: Path): void {
  const builder = new kit.PathBuilder();
  builder.moveTo(points[0], points[1]);
  for (let index = 2; index < points.length; index += 2) builder.lineTo(points[index], points[index + 1]);
  if (closed) builder.close();
  const path = builder.detach();
  fillAndStroke(kit, paint, ink, () => canvas.drawPath(path, paint));
  path.delete();
  builder.delete();
}

function drawRaster(kit: CanvasKit, canvas: Canvas, paint: Paint, operation: Raster): void {
  const { pixels, x, y, width, height, sampling } = operation;
  const image = makeImage(kit, pixels);
  const withMipmaps = image.makeCopyWithDefaultMipmaps();
  const filter = sampling === "crisp" ? kit.FilterMode.Nearest : kit.FilterMode.Linear;
  const from = kit.XYWHRect(0, 0, pixels.width, pixels.height);
  const to = kit.XYWHRect(x, y, width, height);
  canvas.drawImageRectOptions(withMipmaps, from, to, filter, kit.MipmapMode.Linear, paint);
  withMipmaps.delete();
  image.delete();
}

function drawText(kit: CanvasKit, typesetter: Typesetter, canvas: Canvas, paint: Paint, operation: Text): void {
  paint.setStyle(kit.PaintStyle.Fill);
  paint.setColor(kit.parseColorString(operation.fill));
  canvas.save();
  canvas.translate(operation.x, operation.y);
  canvas.rotate(operation.rotation, 0, 0);
  let x = { start: 0, middle: -operation.width / 2, end: -operation.width }[operation.anchor];
  for (const run of typesetter.runs(operation.text, operation.size, operation.weight)) {
    canvas.drawText(run.text, x, 0, paint, run.font);
    x += run.width;
  }
  canvas.restore();
}

function makeImage(kit: CanvasKit, { width, height, data }: Pixels): Image {
  const info = {
    width,
    height,
    colorType: kit.ColorType.RGBA_8888,
    alphaType: kit.AlphaType.Unpremul,
    colorSpace: kit.ColorSpace.SRGB,
  };
  const image = kit.MakeImage(info, data, width * 4);
  if (image === null) throw new Error(`Cannot draw an image of ${width} x ${height} pixels: no memory for it`);
  return image;
}
