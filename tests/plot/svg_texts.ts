/** A text of one of our SVG files, with the box that it takes. */
export interface PlacedText {
  readonly text: string;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  /** Degrees, clockwise. */
  readonly rotation: number;
}

/** The texts of an SVG file as our painter writes it, where they stand. Heights are those of capital letters. */
export function textsOf(svg: string): PlacedText[] {
  return [...svg.matchAll(/<text([^>]*)>([^<]*)<\/text>/g)].map(([, attributes, text]) => {
    const value = (name: string): string | undefined => attributes.match(new RegExp(` ${name}="([^"]*)"`))?.[1];
    const [x, y, size, width] = ["x", "y", "font-size", "textLength"].map((name) => Number(value(name) ?? 0));
    const start = { start: 0, middle: -width / 2, end: -width }[value("text-anchor") ?? "start"] as number;
    const rotation = Number(value("transform")?.match(/rotate\((-?[\d.]+)/)?.[1] ?? 0);
    const cos = Math.cos(rotation * Math.PI / 180);
    const sin = Math.sin(rotation * Math.PI / 180);
    const corners = [[start, 0], [start + width, 0], [start, -0.72 * size], [start + width, -0.72 * size]];
    const xs = corners.map(([dx, dy]) => x + dx * cos - dy * sin);
    const ys = corners.map(([dx, dy]) => y + dx * sin + dy * cos);
    return {
      text,
      rotation,
      left: Math.min(...xs),
      right: Math.max(...xs),
      top: Math.min(...ys),
      bottom: Math.max(...ys),
    };
  });
}

/** What is wrong with the places of the texts: those that leave the picture, and pairs that lie on each other. */
export function misplacedTexts(svg: string, size: { readonly width: number; readonly height: number }): string[] {
  const texts = textsOf(svg);
  const outside = texts.filter(({ left, right, top, bottom }) => {
    return !(left >= 0 && top >= 0 && right <= size.width && bottom <= size.height);
  });
  // The boxes of slanted texts overlap where the texts do not.
  const straight = texts.filter(({ rotation }) => rotation % 90 === 0).sort((a, b) => a.top - b.top);
  const overlaps: string[] = [];
  straight.forEach((a, index) => {
    for (const b of straight.slice(index + 1)) {
      if (b.top >= a.bottom) break;
      if (a.left < b.right && b.left < a.right) overlaps.push(`"${a.text}" and "${b.text}" overlap`);
    }
  });
  return [...outside.map(({ text }) => `"${text}" leaves the picture`), ...overlaps];
}
