import { INK } from "./palette.ts";
import type { Measure, Text, Weight } from "./scene.ts";

/** How a line of text is set. */
export interface TextStyle {
  /** Size of the font in logical pixels. @default {13} */
  readonly size?: number;
  /** @default {400} */
  readonly weight?: Weight;
  /** @default {INK} */
  readonly fill?: string;
  /** @default {"start"} */
  readonly anchor?: Text["anchor"];
  /** Degrees, clockwise. @default {0} */
  readonly rotation?: number;
  /** Width in logical pixels beyond which the middle of the text is cut out. @default {Infinity} */
  readonly maxWidth?: number;
}

/** Sets one line of text with its baseline at `x`, `y`. */
export function setText(measure: Measure, x: number, y: number, text: string, style: TextStyle = {}): Text {
  const { size = 13, weight = 400, fill = INK, anchor = "start", rotation = 0, maxWidth = Infinity } = style;
  const line = ellipsize(measure, tidy(text), maxWidth, size, weight);
  return { kind: "text", x, y, text: line, size, weight, fill, anchor, rotation, width: measure(line, size, weight) };
}

/** The text if it fits, else with an ellipsis for its middle: names of metrics and classes differ at either end. */
export function ellipsize(measure: Measure, text: string, maxWidth: number, size: number, weight: Weight): string {
  if (measure(text, size, weight) <= maxWidth) return text;
  const characters = [...text];
  const keep = (count: number): string => {
    const head = Math.ceil(count / 2);
    return characters.slice(0, head).join("") + "…" + characters.slice(characters.length - (count - head)).join("");
  };
  let low = 0;
  let high = characters.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (measure(keep(middle), size, weight) <= maxWidth) low = middle;
    else high = middle - 1;
  }
  return keep(low);
}

/** Breaks a text at spaces and newlines into at most `maxLines` lines, each cut to `maxWidth` logical pixels. */
export function wrapText(
  measure: Measure,
  text: string,
  options: {
    readonly maxWidth: number;
    readonly maxLines: number;
    readonly size: number;
    readonly weight: Weight;
  },
): string[] {
  const { maxWidth, maxLines, size, weight } = options;
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of tidy(paragraph).split(/\s+/)) {
      const longer = line === "" ? word : `${line} ${word}`;
      if (line !== "" && measure(longer, size, weight) > maxWidth) {
        lines.push(line);
        line = word;
      } else line = longer;
    }
    if (line !== "") lines.push(line);
  }
  const kept = lines.slice(0, maxLines);
  if (lines.length > maxLines) kept[maxLines - 1] = lines.slice(maxLines - 1).join(" ");
  return kept.map((line) => ellipsize(measure, line, maxWidth, size, weight));
}

// Control characters are no text in SVG, and neither has a font a glyph for them; a lone surrogate is not Unicode.
function tidy(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\uFFFE\uFFFF]+/gu, " ").toWellFormed();
}
