import { setText, type TextStyle, wrapText } from "./lettering.ts";
import { FAINT, INK, MUTED, PAPER } from "./palette.ts";
import type { Measure, Operation, Pixels, Scene } from "./scene.ts";
import { grouped } from "./ticks.ts";

/** What a matrix of counts shows. */
export interface MatrixChart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly names: readonly string[];
  /** `counts[row * names.length + column]`. */
  readonly counts: Float64Array;
  /** What stands in a cell: the count, or its share of the row. */
  readonly cells: "count" | "percent";
}

/** Where the cells lie, in logical pixels. */
interface Field {
  readonly left: number;
  readonly top: number;
  readonly cell: number;
  readonly classes: number;
}

const MARGIN = 20;
const LONGEST_NAME = 170;
const SMALLEST_LETTER = 8;
// Darkness of a cell goes with the square root of its share, so that few mistakes among many can be seen.
const SHADES = [[247, 251, 255], [107, 174, 214], [8, 48, 107]] as const;
const EMPTY_ROW = [240, 240, 240] as const;

/** Lays out a matrix of counts, shaded by share of the row, with the names of its classes on both sides. */
export function layOutMatrixChart(chart: MatrixChart, measure: Measure): Scene {
  const { names, counts } = chart;
  const classes = names.length;
  const sums = Array.from(names, (_, row) => counts.subarray(row * classes, (row + 1) * classes).reduce(plus, 0));
  const cell = cellSize(classes);
  const side = cell * classes;
  const nameSize = Math.min(12, Math.max(9, cell - 2));
  const stride = Math.ceil((nameSize + 1) / cell);
  const nameWidth = Math.min(LONGEST_NAME, Math.max(...names.map((name) => measure(name, nameSize))));
  const upright = nameWidth <= cell * stride - 4;
  const left = MARGIN + 24 + nameWidth + 8;
  const width = Math.max(320, left + side + 24 + 58 + MARGIN);

  const operations: Operation[] = [];
  const write = (x: number, y: number, text: string, style?: TextStyle): void => {
    operations.push(setText(measure, x, y, text, style));
  };
  let top = 14;
  const titleOptions = { maxWidth: width - 2 * MARGIN, maxLines: 3, size: 18, weight: 500 } as const;
  for (const line of wrapText(measure, chart.title, titleOptions)) {
    top += 22;
    write(MARGIN, top, line, { size: 18, weight: 500 });
  }
  top += 22;
  write(MARGIN, top, summary(counts, classes), { fill: MUTED, maxWidth: width - 2 * MARGIN });
  top += 18;

  const field: Field = { left, top, cell, classes };
  drawCells(operations, measure, chart, sums, field);
  for (let index = 0; index < classes; index += stride) {
    const middle = (index + 0.5) * cell;
    const style = { size: nameSize, maxWidth: nameWidth };
    write(left - 8, top + middle + nameSize * 0.35, names[index], { ...style, anchor: "end" });
    const below = top + side;
    if (upright) write(left + middle, below + nameSize + 5, names[index], { ...style, anchor: "middle" });
    else if (cell * stride >= 20) {
      write(left + middle + 4, below + nameSize + 2, names[index], { ...style, anchor: "end", rotation: -45 });
    } else write(left + middle + nameSize * 0.35, below + 7, names[index], { ...style, anchor: "end", rotation: -90 });
  }
  const slant = upright ? nameSize + 5 : nameWidth * (cell * stride >= 20 ? 0.72 : 1) + nameSize + 4;
  const bottom = top + side + slant + 24;
  write(left + side / 2, bottom, chart.xLabel, { anchor: "middle", maxWidth: side + 2 * nameWidth });
  write(MARGIN + 8, top + side / 2, chart.yLabel, { anchor: "middle", rotation: -90, maxWidth: side + 40 });
  drawShades(operations, measure, left + side + 24, top, Math.max(90, Math.min(side, 320)));
  const height = Math.max(bottom + 16, top + 90 + 44);
  return {
    width: Math.round(width),
    height: Math.round(height),
    operations: [{ kind: "rectangle", x: 0, y: 0, width, height, fill: PAPER }, ...operations],
  };
}

function plus(a: number, b: number): number {
  return a + b;
}

function cellSize(classes: number): number {
  if (classes <= 6) return 84;
  if (classes <= 40) return Math.max(24, 560 / classes);
  return classes <= 120 ? 12 : Math.max(2, 1440 / classes);
}

function summary(counts: Float64Array, classes: number): string {
  const total = counts.reduce(plus, 0);
  if (total === 0) return "no samples";
  let right = 0;
  for (let index = 0; index < classes; index++) right += counts[index * classes + index];
  return `accuracy ${percent(right / total)}: ${grouped(String(right))} of ${grouped(String(total))} samples right`;
}

// Never rounded to 0 % or 100 % unless it is that.
function percent(share: number): string {
  if (share === 0 || share === 1) return `${share * 100}%`;
  const text = (share * 100).toFixed(1);
  if (text === "100.0") return ">99.9%";
  return text === "0.0" ? "<0.1%" : `${text}%`;
}

function drawCells(
  operations: Operation[],
  measure: Measure,
  { counts, cells }: MatrixChart,
  sums: readonly number[],
  { left, top, cell, classes }: Field,
): void {
  const side = cell * classes;
  const shades = new Uint8Array(classes * classes * 4);
  counts.forEach((count, index) => {
    const sum = sums[Math.floor(index / classes)];
    shades.set([...(sum === 0 ? EMPTY_ROW : shade(count / sum)), 255], index * 4);
  });
  const pixels: Pixels = { width: classes, height: classes, data: shades };
  operations.push({ kind: "raster", x: left, y: top, width: side, height: side, pixels, sampling: "crisp" });
  if (cell >= 10) {
    for (let line = 1; line < classes; line++) {
      const at = line * cell;
      const ink = { stroke: PAPER, strokeWidth: cell >= 20 ? 1.5 : 0.75 };
      operations.push({ kind: "path", points: [left + at, top, left + at, top + side], ...ink });
      operations.push({ kind: "path", points: [left, top + at, left + side, top + at], ...ink });
    }
  }
  operations.push({ kind: "rectangle", x: left, y: top, width: side, height: side, stroke: FAINT });

  const textOf = (index: number): string => {
    if (cells === "count") return grouped(String(counts[index]));
    const sum = sums[Math.floor(index / classes)];
    return sum === 0 ? "" : percent(counts[index] / sum);
  };
  const longest = cells === "count" ? grouped(String(counts.reduce((a, b) => Math.max(a, b)))) : ">99.9%";
  const size = Math.min(14, cell * 0.45, (cell - 5) / measure(longest, 1));
  if (size < SMALLEST_LETTER) return;
  counts.forEach((count, index) => {
    const row = Math.floor(index / classes);
    const dark = sums[row] > 0 && count / sums[row] > 0.3;
    const fill = dark ? PAPER : count === 0 ? MUTED : INK;
    const x = left + (index % classes + 0.5) * cell;
    operations.push(
      setText(measure, x, top + (row + 0.5) * cell + size * 0.35, textOf(index), { size, fill, anchor: "middle" }),
    );
  });
}

/** The colours' key: a bar from no share at the bottom to all of the row at the top. */
function drawShades(operations: Operation[], measure: Measure, x: number, y: number, length: number): void {
  const steps = 64;
  const data = new Uint8Array(steps * 4);
  for (let step = 0; step < steps; step++) {
    data.set([...shade(((steps - 1 - step) / (steps - 1)) ** 2), 255], step * 4);
  }
  const pixels: Pixels = { width: 1, height: steps, data };
  operations.push({ kind: "raster", x, y, width: 12, height: length, pixels, sampling: "crisp" });
  operations.push({ kind: "rectangle", x, y, width: 12, height: length, stroke: FAINT });
  for (const share of [0, 0.05, 0.25, 0.5, 1]) {
    const at = y + length * (1 - Math.sqrt(share));
    operations.push({ kind: "path", points: [x + 12, at, x + 15, at], stroke: MUTED });
    operations.push(setText(measure, x + 18, at + 4, `${share * 100}%`, { size: 11, fill: MUTED }));
  }
  operations.push(setText(measure, x, y + length + 20, "of the row", { size: 11, fill: MUTED }));
}

function shade(share: number): [number, number, number] {
  const place = Math.sqrt(share) * (SHADES.length - 1);
  const low = Math.min(Math.floor(place), SHADES.length - 2);
  const mix = (channel: number): number => {
    return Math.round(SHADES[low][channel] + (SHADES[low + 1][channel] - SHADES[low][channel]) * (place - low));
  };
  return [mix(0), mix(1), mix(2)];
}
