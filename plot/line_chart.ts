import { setText, type TextStyle, wrapText } from "./lettering.ts";
import { BLUE, FAINT, MUTED, PAPER, VERMILLION } from "./palette.ts";
import { polylines } from "./polyline.ts";
import type { Measure, Operation, Scene } from "./scene.ts";
import { type Axis, countAxis, linearAxis, logAxis } from "./ticks.ts";

/** What a line chart shows. */
export interface LineChart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly yScale: "linear" | "log";
  /** Logical pixels. */
  readonly width: number;
  /** Logical pixels. */
  readonly height: number;
  /** Drawn in this order. */
  readonly series: readonly Series[];
}

/** A line of the chart: `x` whole and rising, `y` any number. */
export interface Series {
  readonly name: string;
  /** Which colour and form of mark, the same for the same kind of line in every chart. */
  readonly look: 0 | 1;
  readonly x: readonly number[];
  readonly y: readonly number[];
}

/** A value that has no place on the axis. */
type Stray = "NaN" | "above" | "below";

/** Where the lines are drawn: between `top` and `bottom`, in logical pixels. */
interface Field {
  readonly xAxis: Axis;
  readonly yAxis: Axis;
  readonly top: number;
  readonly bottom: number;
}

const MARGIN = 20;
const COLOURS = [BLUE, VERMILLION];
// With more points than this their marks would run into each other.
const MOST_MARKS = 60;
// Strays nearer than this, in logical pixels, share one mark.
const STRAY_GAP = 8;
// Beyond it a difference of two values overflows.
const LARGEST = 1e300;

/** Lays out a line chart; NaN and infinite values break their line and are marked at the edge. */
export function layOutLineChart(chart: LineChart, measure: Measure): Scene {
  const { width, height, series, yScale } = chart;
  const operations: Operation[] = [{ kind: "rectangle", x: 0, y: 0, width, height, fill: PAPER }];
  const write = (x: number, y: number, text: string, style?: TextStyle): void => {
    operations.push(setText(measure, x, y, text, style));
  };

  let top = 14;
  const titleOptions = { maxWidth: width - 2 * MARGIN, maxLines: 2, size: 18, weight: 500 } as const;
  for (const line of wrapText(measure, chart.title, titleOptions)) {
    top += 22;
    write(MARGIN, top, line, { size: 18, weight: 500 });
  }
  top = drawLegend(operations, measure, chart, top + 24) + 18;

  const bottom = height - 54;
  const values = series.flatMap(({ y }) => y.filter((value) => isDrawable(value, yScale)));
  const right = width - MARGIN - 4;
  const yAxis = axisOf(values, yScale, [bottom, top]);
  const left = 42 + Math.max(18, ...yAxis.ticks.map(({ label }) => measure(label, 12)));
  for (const { value, label } of yAxis.ticks) {
    const y = yAxis.place(value);
    operations.push({ kind: "path", points: [left, y, right, y], stroke: FAINT });
    write(left - 8, y + 4, label, { size: 12, anchor: "end", fill: MUTED });
  }

  const epochs = series.flatMap(({ x }) => x.length === 0 ? [] : [x[0], x[x.length - 1]]);
  const xLimits: [number, number] = epochs.length === 0 ? [1, 1] : [Math.min(...epochs), Math.max(...epochs)];
  const xAxis = countAxis(xLimits, [left + 10, right - 10], (label) => measure(label, 12) + 20);
  for (const { value, label } of xAxis.ticks) {
    const x = xAxis.place(value);
    operations.push({ kind: "path", points: [x, top, x, bottom], stroke: FAINT });
    operations.push({ kind: "path", points: [x, bottom, x, bottom + 4], stroke: MUTED });
    write(x, bottom + 19, label, { size: 12, anchor: "middle", fill: MUTED });
  }
  operations.push({ kind: "path", points: [left, top, left, bottom, right, bottom], stroke: MUTED });
  write((left + right) / 2, bottom + 40, chart.xLabel, { anchor: "middle", maxWidth: right - left });
  const yLabel = yScale === "log" ? `${chart.yLabel} (log scale)` : chart.yLabel;
  write(22, (top + bottom) / 2, yLabel, { anchor: "middle", rotation: -90, maxWidth: bottom - top });

  for (const line of series) drawSeries(operations, chart, line, { xAxis, yAxis, top, bottom });
  if (values.length === 0) {
    const wanted = epochs.length === 0 ? "values" : yScale === "log" ? "values above 0" : "finite values";
    write((left + right) / 2, (top + bottom) / 2, `no ${wanted} to plot`, { size: 15, anchor: "middle", fill: MUTED });
  }
  return { width, height, operations };
}

function isDrawable(value: number, yScale: LineChart["yScale"]): boolean {
  return Math.abs(value) <= LARGEST && (yScale === "linear" || value >= 1 / LARGEST);
}

function hasMarks({ series }: LineChart): boolean {
  return series.every(({ x }) => x.length <= MOST_MARKS);
}

function strayOf(value: number): Stray {
  if (Number.isNaN(value)) return "NaN";
  return value > LARGEST ? "above" : "below";
}

function axisOf(values: readonly number[], yScale: LineChart["yScale"], range: [number, number]): Axis {
  if (values.length === 0) return { place: () => NaN, ticks: [] };
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const count = Math.max(2, Math.min(8, Math.floor((range[0] - range[1]) / 50)));
  return (yScale === "log" ? logAxis : linearAxis)([low, high], range, count);
}

/** Draws the names and what the marks mean, from `y` down; gives the baseline of the last row. */
function drawLegend(operations: Operation[], measure: Measure, chart: LineChart, y: number): number {
  let x = MARGIN;
  const entry = (label: string, sampleWidth: number, sample: (x: number, y: number) => void): void => {
    const text = setText(measure, 0, 0, label, { maxWidth: chart.width - 2 * MARGIN - sampleWidth });
    const width = sampleWidth + text.width;
    if (x > MARGIN && x + width > chart.width - MARGIN) {
      x = MARGIN;
      y += 20;
    }
    sample(x, y - 4.5);
    operations.push({ ...text, x: x + sampleWidth, y });
    x += width + 22;
  };
  for (const { name, look } of chart.series) {
    entry(name, 34, (x, y) => {
      operations.push({ kind: "path", points: [x, y, x + 28, y], stroke: COLOURS[look], strokeWidth: 2.25 });
      if (hasMarks(chart)) operations.push(dot(look, x + 14, y));
    });
  }
  const values = chart.series.flatMap(({ y }) => y.filter((value) => !isDrawable(value, chart.yScale)));
  const found = new Set(values.map(strayOf));
  const meanings: [Stray, string][] = [
    ["NaN", "NaN"],
    ["above", "infinite"],
    ["below", chart.yScale === "log" ? "0 or less" : "−infinite"],
  ];
  for (const [stray, meaning] of meanings) {
    if (found.has(stray)) entry(meaning, 14, (x, y) => operations.push(...strayMark(stray, x + 5, y, MUTED)));
  }
  return y;
}

function drawSeries(
  operations: Operation[],
  chart: LineChart,
  { x, y, look }: Series,
  { xAxis, yAxis, top, bottom }: Field,
): void {
  const colour = COLOURS[look];
  const xs = x.map((value) => xAxis.place(value));
  const ys = y.map((value) => isDrawable(value, chart.yScale) ? yAxis.place(value) : NaN);
  const marked = hasMarks(chart);
  for (const points of polylines(xs, ys)) {
    if (points.length > 2) {
      operations.push({ kind: "path", points, stroke: colour, strokeWidth: marked ? 2.25 : 1.5 });
    } else if (!marked) operations.push({ kind: "circle", x: points[0], y: points[1], radius: 2, fill: colour });
  }
  if (marked) ys.forEach((place, k) => Number.isNaN(place) || operations.push(dot(look, xs[k], place)));

  const last: Record<Stray, number> = { NaN: -Infinity, above: -Infinity, below: -Infinity };
  y.forEach((value, k) => {
    if (isDrawable(value, chart.yScale)) return;
    const stray = strayOf(value);
    if (xs[k] - last[stray] < STRAY_GAP) return;
    last[stray] = xs[k];
    // Each line has a row of its own, so that marks at the same epoch are both seen.
    const inset = 7 + look * 11;
    operations.push(...strayMark(stray, xs[k], stray === "above" ? top + inset : bottom - inset, colour));
  });
}

/** A round mark or a square one: told apart without colour. */
function dot(look: Series["look"], x: number, y: number): Operation {
  const ink = { fill: COLOURS[look], stroke: PAPER };
  return look === 0
    ? { kind: "circle", x, y, radius: 3.75, ...ink }
    : { kind: "rectangle", x: x - 3.5, y: y - 3.5, width: 7, height: 7, ...ink };
}

/** A cross for NaN, an arrowhead towards an infinity. */
function strayMark(stray: Stray, x: number, y: number, colour: string): Operation[] {
  if (stray === "NaN") {
    return [1, -1].map((slope) => ({
      kind: "path",
      points: [x - 3.5, y - 3.5 * slope, x + 3.5, y + 3.5 * slope],
      stroke: colour,
      strokeWidth: 1.75,
    }));
  }
  const tip = stray === "above" ? -4 : 4;
  return [{ kind: "path", points: [x - 4, y - tip, x, y + tip, x + 4, y - tip], closed: true, fill: colour }];
}
