import { setText, wrapText } from "./lettering.ts";
import { FAINT, GREEN, INK, MUTED, PAPER, VERMILLION } from "./palette.ts";
import type { Measure, Operation, Pixels, Scene } from "./scene.ts";

/** What a grid of images shows. */
export interface GridChart {
  readonly title: string;
  readonly items: readonly GridItem[];
  readonly columns: number;
  /** Side of the square that each image is fitted into, in logical pixels. */
  readonly cellSize: number;
}

/** One image of the grid. */
export interface GridItem {
  readonly pixels: Pixels;
  readonly caption: string;
  readonly mark: "right" | "wrong" | undefined;
}

const MARGIN = 20;
const GAP = 14;
const LINE = 16;
const CAPTION_SIZE = 12;
// Room for the tick or the cross before a caption.
const MARK_WIDTH = 15;

/** Lays out images in rows, each with its caption below, fitted into a square without changing its form. */
export function layOutGridChart({ title, items, columns, cellSize }: GridChart, measure: Measure): Scene {
  const rows = Math.ceil(items.length / columns);
  const roomForText = title === "" && items.length > 0 ? 0 : 240;
  const width = Math.round(Math.max(roomForText, 2 * MARGIN + columns * (cellSize + GAP) - GAP));
  const operations: Operation[] = [];
  let y = 14;
  const titleOptions = { maxWidth: width - 2 * MARGIN, maxLines: 3, size: 18, weight: 500 } as const;
  for (const line of wrapText(measure, title, titleOptions)) {
    y += 22;
    operations.push(setText(measure, MARGIN, y, line, { size: 18, weight: 500 }));
  }
  y += title === "" ? 6 : 16;
  if (items.length === 0) {
    operations.push(setText(measure, width / 2, y + 30, "no images to show", { anchor: "middle", fill: MUTED }));
    y += 50;
  }
  for (let row = 0; row < rows; row++) {
    const cells = items.slice(row * columns, (row + 1) * columns).map((item) => {
      const indent = item.mark === undefined ? 0 : MARK_WIDTH;
      const options = { maxWidth: cellSize - indent, maxLines: 3, size: CAPTION_SIZE, weight: 400 } as const;
      return { item, indent, lines: wrapText(measure, item.caption, options) };
    });
    cells.forEach(({ item, indent, lines }, column) => {
      const x = MARGIN + column * (cellSize + GAP);
      drawImage(operations, item, x, y, cellSize);
      const widths = lines.map((line) => measure(line, CAPTION_SIZE));
      const start = x + (cellSize - indent - Math.max(0, ...widths)) / 2;
      const baseline = y + cellSize + LINE + 2;
      if (item.mark !== undefined) operations.push(tickOrCross(item.mark, start + 5, baseline - 4.5));
      lines.forEach((line, index) => {
        const anchor = indent === 0 ? "middle" : "start";
        const at = indent === 0 ? x + cellSize / 2 : start + indent;
        operations.push(setText(measure, at, baseline + index * LINE, line, { size: CAPTION_SIZE, fill: INK, anchor }));
      });
    });
    const lineCount = Math.max(...cells.map(({ lines, indent }) => Math.max(lines.length, indent > 0 ? 1 : 0)));
    y += cellSize + lineCount * LINE + (lineCount > 0 ? 8 : 0) + GAP;
  }
  const height = Math.round(y + MARGIN - GAP);
  return { width, height, operations: [{ kind: "rectangle", x: 0, y: 0, width, height, fill: PAPER }, ...operations] };
}

function drawImage(operations: Operation[], { pixels, mark }: GridItem, x: number, y: number, cellSize: number): void {
  const scale = cellSize / Math.max(pixels.width, pixels.height);
  const width = pixels.width * scale;
  const height = pixels.height * scale;
  const place = { x: x + (cellSize - width) / 2, y: y + (cellSize - height) / 2, width, height };
  operations.push({ kind: "raster", ...place, pixels, sampling: scale > 1 ? "crisp" : "smooth" });
  // Without an edge a white image is not seen on white paper.
  operations.push({
    kind: "rectangle",
    ...place,
    stroke: mark === undefined ? FAINT : colourOf(mark),
    strokeWidth: mark === undefined ? 1 : 2.5,
  });
}

function colourOf(mark: "right" | "wrong"): string {
  return mark === "right" ? GREEN : VERMILLION;
}

/** A tick or a cross as lines, since the font has no such characters. */
function tickOrCross(mark: "right" | "wrong", x: number, y: number): Operation {
  const ink = { stroke: colourOf(mark), strokeWidth: 2 };
  return mark === "right" ? { kind: "path", points: [x - 4.5, y + 0.5, x - 1.5, y + 3.5, x + 4.5, y - 3.5], ...ink } : {
    kind: "path",
    points: [x - 3.5, y - 3.5, x, y, x + 3.5, y - 3.5, x - 3.5, y + 3.5, x, y, x + 3.5, y + 3.5],
    ...ink,
  };
}
