/** What a painter draws: a list of operations, first to last, in logical pixels from the top left corner. */
export interface Scene {
  /** Width in logical pixels. */
  readonly width: number;
  /** Height in logical pixels. */
  readonly height: number;
  /** The operations, first to last. */
  readonly operations: readonly Operation[];
}

/** One thing drawn. */
export type Operation = Rectangle | Circle | Path | Text | Raster;

/** How an area or a line is painted. Colours are `#RRGGBB`; what is left out is not painted. */
export interface Ink {
  /** Colour of the inside. */
  readonly fill?: string;
  /** Colour of the line. */
  readonly stroke?: string;
  /** Width of the line in logical pixels. @default {1} */
  readonly strokeWidth?: number;
}

/** A rectangle from its top left corner. */
export interface Rectangle extends Ink {
  readonly kind: "rectangle";
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A circle around its centre. */
export interface Circle extends Ink {
  readonly kind: "circle";
  readonly x: number;
  readonly y: number;
  readonly radius: number;
}

/** Straight lines through points. */
export interface Path extends Ink {
  readonly kind: "path";
  /** x and y of each point, one after the other. */
  readonly points: readonly number[];
  /** Whether the last point is joined to the first. @default {false} */
  readonly closed?: boolean;
}

/** One line of text, placed by its baseline. */
export interface Text {
  readonly kind: "text";
  readonly x: number;
  readonly y: number;
  readonly text: string;
  /** Size of the font in logical pixels. */
  readonly size: number;
  readonly weight: Weight;
  readonly fill: string;
  /** What of the text stands at `x`. */
  readonly anchor: "start" | "middle" | "end";
  /** Turn around `x`, `y` in degrees, clockwise. */
  readonly rotation: number;
  /** Width of the text in logical pixels, as measured. */
  readonly width: number;
}

/** A picture in a rectangle. */
export interface Raster {
  readonly kind: "raster";
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly pixels: Pixels;
  /** `crisp` keeps enlarged pixels square, `smooth` blends them. */
  readonly sampling: "crisp" | "smooth";
}

/** Pixels of red, green, blue and alpha (not premultiplied), a byte each, rows from the top. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Weights of the font at hand: 400 is regular, 500 medium. */
export type Weight = 400 | 500;

/** Gives the width of a text in logical pixels, for a font size in the same. */
export type Measure = (text: string, size: number, weight?: Weight) => number;
