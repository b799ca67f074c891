/**
 * An image in memory, as `loadImage` reads it and `imageGrid` draws it: rows from the top, `channels` values a pixel,
 * each 0 to 255.
 */
export interface Image {
  /** Pixels in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** 1: grayscale. 3: red, green, blue. 4: red, green, blue, alpha (not premultiplied). */
  readonly channels: 1 | 3 | 4;
  /** `height * width * channels` values, 0 to 255. */
  readonly data: Uint8Array | Uint8ClampedArray | Float32Array;
}

/** A picture that can be written as PNG or as SVG: what the functions of `plots` give and `logFigure` takes. */
export interface Figure {
  /** Width in logical pixels. */
  readonly width: number;
  /** Height in logical pixels. */
  readonly height: number;
  /**
   * The picture as the bytes of a PNG file.
   *
   * @param options `scale`: pixels of the file for a logical pixel. @default {2}
   */
  toPng(options?: { readonly scale?: number }): Promise<Uint8Array<ArrayBuffer>>;
  /** The picture as the text of an SVG file. */
  toSvg(): Promise<string>;
}
