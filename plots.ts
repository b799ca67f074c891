/**
 * Pictures of a training: curves of a metric, a confusion matrix, a grid of images. Each is a {@linkcode Figure} that
 * gives PNG or SVG.
 *
 * ```ts
 * import { trainingCurves } from "@mlflow-deno/mlflow/plots";
 *
 * const figure = await trainingCurves({ loss: [0.9, 0.5, 0.3], val_loss: [1, 0.6, 0.5] }, "loss");
 * const png: Uint8Array = await figure.toPng();
 * ```
 *
 * Drawing needs `--allow-read`, for the canvas engine reads its WebAssembly file; it is loaded at the first figure.
 *
 * @module
 */
import type { Figure, Image } from "./entities.ts";

export type { Figure, Image } from "./entities.ts";

const MOST_CLASSES = 1000;
// Up to this scale a large image in a grid is as sharp as it can be.
const LARGEST_SCALE = 4;

/** What every figure can be told. */
export interface FigureOptions {
  /** Text above the figure; a long one is broken into lines and then cut. */
  readonly title?: string;
  /**
   * Font files (TTF, OTF, WOFF or WOFF2) for what the built-in font lacks: it has Latin, Greek, Cyrillic and
   * mathematical characters. Others are drawn as boxes in PNG, with one warning on the console. A font stays in memory
   * once it was read.
   *
   * @default {[]}
   */
  readonly fonts?: readonly Uint8Array[];
}

/** Options of {@linkcode trainingCurves}. */
export interface TrainingCurvesOptions extends FigureOptions {
  /**
   * Text above the curves.
   *
   * @default {"Training and validation <metric>"}
   */
  readonly title?: string;
  /**
   * Text below the x axis.
   *
   * @default {"epoch"}
   */
  readonly xLabel?: string;
  /** Text beside the y axis; without it, the metric's name. */
  readonly yLabel?: string;
  /**
   * `log` for a logarithmic y axis: values of 0 or less are marked at its lower end.
   *
   * @default {"linear"}
   */
  readonly yScale?: "linear" | "log";
  /**
   * Width in logical pixels, 320 to 8192.
   *
   * @default {800}
   */
  readonly width?: number;
  /**
   * Height in logical pixels, 240 to 8192.
   *
   * @default {500}
   */
  readonly height?: number;
  /**
   * Epochs from one validation to the next, at least 1. Without it, a validation series that is shorter than the
   * training series tells it by its length: 5 values to 10 epochs stand at epochs 2, 4, 6, 8 and 10.
   */
  readonly validationFreq?: number;
}

/** What `model.fit` and `model.fitDataset` of TensorFlow.js give. */
export interface TrainingHistory {
  /** The epochs, counted from 0. */
  readonly epoch: readonly number[];
  /** A value an epoch for each metric. Tensors among them are not read: call `syncData()` before. */
  readonly history: Readonly<Record<string, readonly (number | object)[]>>;
}

/**
 * Draws how a metric went over the epochs of a training, beside its `val_` form where there is one.
 *
 * NaN and infinite values leave a gap and are marked at the edge. Of more epochs than there are pixels, each column
 * keeps its extremes.
 *
 * @example
 * ```ts
 * import { trainingCurves } from "@mlflow-deno/mlflow/plots";
 *
 * const history = { acc: [0.5, 0.8, 0.9], val_acc: [0.4, 0.7, 0.75] };
 * const svg: string = await (await trainingCurves(history, "accuracy")).toSvg();
 * ```
 *
 * @param history what `model.fit` gave, or the values of each metric by its name; epochs are drawn from 1
 * @param metric which one; `accuracy` finds `acc` too, and the reverse
 * @throws {TypeError} if the history has no such metric, or something other than numbers in it
 * @throws {RangeError} if a size is out of range
 */
export async function trainingCurves(
  history: TrainingHistory | Readonly<Record<string, ArrayLike<number>>>,
  metric: string = "loss",
  options: TrainingCurvesOptions = {},
): Promise<Figure> {
  const { xLabel = "epoch", yLabel = metric, yScale = "linear", width = 800, height = 500, fonts = [] } = options;
  const { validationFreq } = options;
  const action = "Cannot draw training curves";
  checkRange(action, "width", width, 320, 8192);
  checkRange(action, "height", height, 240, 8192);
  if (validationFreq !== undefined) checkWhole(action, "validationFreq", validationFreq, 1, Number.MAX_SAFE_INTEGER);
  const [{ curvesOf }, { layOutLineChart }, { makeFigure }] = await Promise.all([
    import("./plot/history.ts"),
    import("./plot/line_chart.ts"),
    import("./plot/figure.ts"),
  ]);
  const curves = curvesOf(history, metric, validationFreq);
  const names = curves.map(({ name }) => name).join(" and ");
  const {
    title = `${names[0].toUpperCase()}${names.slice(1)} ${metric.replace(/^val_/, "")}`,
  } = options;
  const series = curves.map(({ name, epochs, values }) => {
    return { name, look: name === "training" ? 0 : 1, x: epochs, y: values } as const;
  });
  return await makeFigure(fonts, (measure) => {
    return layOutLineChart({ title, xLabel, yLabel, yScale, width, height, series }, measure);
  });
}

/** Options of {@linkcode confusionMatrix}. */
export interface ConfusionMatrixOptions extends FigureOptions {
  /** Name of each class, at most 1,000; without them, the classes are 0 to the highest label. */
  readonly classNames?: readonly string[];
  /**
   * Text above the matrix.
   *
   * @default {"Confusion matrix"}
   */
  readonly title?: string;
  /**
   * Text below the columns.
   *
   * @default {"predicted"}
   */
  readonly xLabel?: string;
  /**
   * Text beside the rows.
   *
   * @default {"true"}
   */
  readonly yLabel?: string;
  /**
   * What stands in a cell that has room for it: how many samples, or their percentage of the row.
   *
   * @default {"count"}
   */
  readonly cells?: "count" | "percent";
}

/**
 * Draws how often each class was taken for which: a row for each true class, a column for each predicted one, the cell
 * the darker the greater its share of the row. A row without samples is grey.
 *
 * @example
 * ```ts
 * import { confusionMatrix } from "@mlflow-deno/mlflow/plots";
 *
 * const figure = await confusionMatrix([0, 0, 1], [0, 1, 1], { classNames: ["cat", "dog"] });
 * ```
 *
 * @param trueLabels the class of each sample, a whole number from 0
 * @param predictedLabels as many, in the same order
 * @throws {TypeError} if the lengths differ, or there are neither labels nor class names
 * @throws {RangeError} if a label is no whole number or has no class, or there are more than 1,000 classes
 */
export async function confusionMatrix(
  trueLabels: ArrayLike<number>,
  predictedLabels: ArrayLike<number>,
  options: ConfusionMatrixOptions = {},
): Promise<Figure> {
  const { title = "Confusion matrix", xLabel = "predicted", yLabel = "true", cells = "count", fonts = [] } = options;
  if (trueLabels.length !== predictedLabels.length) {
    throw new TypeError(
      `Cannot draw a confusion matrix: there are ${trueLabels.length} true and ${predictedLabels.length} predicted labels, there must be as many of both`,
    );
  }
  if (trueLabels.length === 0 && !options.classNames?.length) {
    throw new TypeError("Cannot draw a confusion matrix: there are neither labels nor class names");
  }
  const classes = options.classNames?.length ?? 1 + Math.max(highestLabel(trueLabels), highestLabel(predictedLabels));
  if (classes > MOST_CLASSES) {
    throw new RangeError(
      `Cannot draw a confusion matrix: at most ${MOST_CLASSES} classes are possible: found ${classes}`,
    );
  }
  checkLabels("trueLabels", trueLabels, classes);
  checkLabels("predictedLabels", predictedLabels, classes);
  const names = options.classNames ?? Array.from({ length: classes }, (_, index) => String(index));
  const counts = new Float64Array(classes * classes);
  for (let index = 0; index < trueLabels.length; index++) {
    counts[trueLabels[index] * classes + predictedLabels[index]]++;
  }
  const [{ layOutMatrixChart }, { makeFigure }] = await Promise.all([
    import("./plot/matrix_chart.ts"),
    import("./plot/figure.ts"),
  ]);
  return await makeFigure(fonts, (measure) => {
    return layOutMatrixChart({ title, xLabel, yLabel, names, counts, cells }, measure);
  });
}

/** An image of {@linkcode imageGrid}, with what is said of it. */
export interface ImageGridItem {
  /** The image, of any size; its values are copied. */
  readonly image: Image;
  /** Text below it, up to three lines; `\n` starts a new one. */
  readonly caption?: string;
  /** Draws a green edge and a tick, or a red one and a cross. */
  readonly mark?: "right" | "wrong";
}

/** Options of {@linkcode imageGrid}. */
export interface ImageGridOptions extends FigureOptions {
  /**
   * Images in a row, at least 1.
   *
   * @default {6}
   */
  readonly columns?: number;
  /**
   * Side in logical pixels of the square that each image is fitted into, 16 to 2048.
   *
   * @default {120}
   */
  readonly cellSize?: number;
}

/**
 * Draws images in rows, each with its caption. Small images are enlarged with their pixels kept square, an alpha
 * channel is laid over white.
 *
 * @example
 * ```ts
 * import { imageGrid } from "@mlflow-deno/mlflow/plots";
 *
 * const image = { width: 2, height: 1, channels: 1, data: Uint8Array.of(0, 255) } as const;
 * const figure = await imageGrid([{ image, caption: "edge", mark: "right" }], { title: "Predictions" });
 * ```
 *
 * @param items the images, drawn row by row
 * @throws {TypeError} if an image's data does not fit its size
 * @throws {RangeError} if the figure would be too large
 */
export async function imageGrid(items: readonly ImageGridItem[], options: ImageGridOptions = {}): Promise<Figure> {
  const { title = "", columns = 6, cellSize = 120, fonts = [] } = options;
  const action = "Cannot draw an image grid";
  checkWhole(action, "columns", columns, 1, 1024);
  checkRange(action, "cellSize", cellSize, 16, 2048);
  items.forEach(({ image }, index) => checkImage(image, index));
  const [{ rasterize }, { layOutGridChart }, { makeFigure }] = await Promise.all([
    import("./plot/raster.ts"),
    import("./plot/grid_chart.ts"),
    import("./plot/figure.ts"),
  ]);
  const prepared = items.map(({ image, caption = "", mark }) => {
    return { pixels: rasterize(image, cellSize * LARGEST_SCALE), caption, mark };
  });
  return await makeFigure(fonts, (measure) => {
    const used = Math.max(1, Math.min(columns, items.length));
    return layOutGridChart({ title, items: prepared, columns: used, cellSize }, measure);
  });
}

function checkRange(action: string, name: string, value: number, low: number, high: number): void {
  if (!(value >= low && value <= high)) {
    throw new RangeError(`${action}: ${name} must be ${low} to ${high} logical pixels: received ${value}`);
  }
}

function checkWhole(action: string, name: string, value: number, low: number, high: number): void {
  if (!(Number.isInteger(value) && value >= low && value <= high)) {
    throw new RangeError(`${action}: ${name} must be a whole number from ${low} to ${high}: received ${value}`);
  }
}

function highestLabel(labels: ArrayLike<number>): number {
  let highest = 0;
  for (let index = 0; index < labels.length; index++) {
    if (labels[index] > highest) highest = labels[index];
  }
  return highest;
}

function checkLabels(name: string, labels: ArrayLike<number>, classes: number): void {
  for (let index = 0; index < labels.length; index++) {
    const label = labels[index];
    if (!(Number.isInteger(label) && label >= 0 && label < classes)) {
      throw new RangeError(
        `Cannot draw a confusion matrix: ${name}[${index}] must be a whole number from 0 to ${
          classes - 1
        }: received ${label}`,
      );
    }
  }
}

function checkImage({ width, height, channels, data }: Image, index: number): void {
  const fits = width >= 1 && height >= 1 && [1, 3, 4].includes(channels) && data.length === width * height * channels;
  if (!fits) {
    throw new TypeError(
      `Cannot draw an image grid: image ${index} has ${data.length} values, it must have height x width x channels (1, 3 or 4): received ${height} x ${width} x ${channels}`,
    );
  }
}
