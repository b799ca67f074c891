import type { Image } from "../entities.ts";
import type { Pixels } from "./scene.ts";

/**
 * A copy of an image as a picture's pixels: channels filled up to four, values rounded and held to 0 to 255 (NaN is 0).
 *
 * An image with sides of more than `maxSide` pixels is made smaller by a whole number of times, each pixel the mean of
 * a square, so that neither the figure nor its SVG holds more than can be seen.
 */
export function rasterize(image: Image, maxSide: number): Pixels {
  const { channels, data } = image;
  const step = Math.max(1, Math.floor(Math.max(image.width, image.height) / maxSide));
  const width = Math.max(1, Math.floor(image.width / step));
  const height = Math.max(1, Math.floor(image.height / step));
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let red = 0;
      let green = 0;
      let blue = 0;
      let opacity = 0;
      let count = 0;
      for (let row = y * step; row < Math.min((y + 1) * step, image.height); row++) {
        for (let column = x * step; column < Math.min((x + 1) * step, image.width); column++) {
          const at = (row * image.width + column) * channels;
          // What is see-through must not colour its neighbours.
          const alpha = channels === 4 ? data[at + 3] : 255;
          red += data[at] * alpha;
          green += data[channels === 1 ? at : at + 1] * alpha;
          blue += data[channels === 1 ? at : at + 2] * alpha;
          opacity += alpha;
          count++;
        }
      }
      if (opacity === 0) continue;
      const to = (y * width + x) * 4;
      pixels[to] = red / opacity;
      pixels[to + 1] = green / opacity;
      pixels[to + 2] = blue / opacity;
      pixels[to + 3] = opacity / count;
    }
  }
  return { width, height, data: new Uint8Array(pixels.buffer) };
}
