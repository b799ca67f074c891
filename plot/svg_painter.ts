import type { Ink, Operation, Pixels, Scene } from "./scene.ts";

// Roboto is what the widths were measured in; after it come the nearest that a reader's machine is likely to have.
const FONT_FAMILY = "Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";

/**
 * The scene as the text of an SVG file, numbers rounded to hundredths of a logical pixel.
 *
 * @param encodePng gives the bytes of a PNG file for the pixels of a raster
 */
export function paintSvg(scene: Scene, encodePng: (pixels: Pixels) => Uint8Array): string {
  const size = attributes({ width: scene.width, height: scene.height });
  const viewBox = `viewBox="0 0 ${round(scene.width)} ${round(scene.height)}"`;
  const lines = scene.operations.map((operation) => element(operation, encodePng));
  return `<svg xmlns="http://www.w3.org/2000/svg"${size} ${viewBox} font-family="${FONT_FAMILY}">\n${
    lines.join("\n")
  }\n</svg>\n`;
}

function element(operation: Operation, encodePng: (pixels: Pixels) => Uint8Array): string {
  switch (operation.kind) {
    case "rectangle": {
      const { x, y, width, height } = operation;
      return `<rect${attributes({ x, y, width, height })}${inkAttributes(operation)}/>`;
    }
    case "circle":
      return `<circle${attributes({ cx: operation.x, cy: operation.y, r: operation.radius })}${
        inkAttributes(operation)
      }/>`;
    case "path": {
      const points = operation.points.map(round).join(" ");
      return `<${operation.closed ? "polygon" : "polyline"} points="${points}"${
        inkAttributes(operation)
      } stroke-linejoin="round"/>`;
    }
    case "raster": {
      const { x, y, width, height } = operation;
      const style = operation.sampling === "crisp" ? ' style="image-rendering:pixelated"' : "";
      const href = `href="data:image/png;base64,${encodePng(operation.pixels).toBase64()}"`;
      return `<image${attributes({ x, y, width, height })} preserveAspectRatio="none"${style} ${href}/>`;
    }
    case "text": {
      const { x, y, size, weight, anchor, rotation, width, text } = operation;
      return `<text${
        attributes({
          x,
          y,
          "font-size": size,
          "font-weight": weight === 400 ? undefined : weight,
          fill: operation.fill,
          "text-anchor": anchor === "start" ? undefined : anchor,
          transform: rotation === 0 ? undefined : `rotate(${rotation} ${round(x)} ${round(y)})`,
          // Whatever font the reader's machine has, the text takes the room that the layout gave it.
          textLength: width === 0 ? undefined : width,
          lengthAdjust: width === 0 ? undefined : "spacingAndGlyphs",
        })
      }>${escape(text)}</text>`;
    }
  }
}

function inkAttributes({ fill, stroke, strokeWidth }: Ink): string {
  const line = stroke === undefined ? {} : { stroke, "stroke-width": strokeWidth ?? 1 };
  return attributes({ fill: fill ?? "none", ...line });
}

function attributes(values: Record<string, string | number | undefined>): string {
  return Object.entries(values).map(([name, value]) => {
    if (value === undefined) return "";
    return ` ${name}="${typeof value === "number" ? round(value) : escape(value)}"`;
  }).join("");
}

function round(value: number): string {
  return String(Number(value.toFixed(2)));
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
