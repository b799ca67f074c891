import type { CanvasKit, Font, Typeface } from "canvaskit-wasm";
import { mediumFaces, regularFaces } from "./font.ts";
import type { Weight } from "./scene.ts";

/** A stretch of a text in one font. */
export interface TextRun {
  readonly font: Font;
  readonly text: string;
  /** Advance in logical pixels. */
  readonly width: number;
}

// Neither drawn nor as wide as anything: joiners, variation selectors, directional marks.
const ignorable = /\p{Default_Ignorable_Code_Point}/u;

let builtIn: Record<Weight, readonly Typeface[]> | undefined;
// The engine's cache of glyphs holds on to a typeface that is deleted: one for each font file, and for good.
const users: { readonly bytes: Uint8Array; readonly typeface: Typeface }[] = [];
const alreadyWarned = new Set<string>();

/** Measures text and chooses the font of each character: the built-in Roboto, then the user's fonts in order. */
export class Typesetter implements Disposable {
  readonly #kit: CanvasKit;
  readonly #faces: Record<Weight, readonly Typeface[]>;
  readonly #fonts = new Map<Typeface, Map<number, Font>>();
  readonly #missing = new Set<string>();

  /** @param fonts font files (TTF, OTF, WOFF, WOFF2) for the characters that Roboto lacks */
  constructor(kit: CanvasKit, fonts: readonly Uint8Array[]) {
    this.#kit = kit;
    if (builtIn === undefined) {
      const regular = regularFaces.map((face) => readTypeface(kit, Uint8Array.fromBase64(face)));
      const medium = mediumFaces.map((face) => readTypeface(kit, Uint8Array.fromBase64(face)));
      builtIn = { 400: regular, 500: [...medium, ...regular] };
    }
    const more = fonts.map((bytes) => userTypeface(kit, bytes));
    this.#faces = { 400: [...builtIn[400], ...more], 500: [...builtIn[500], ...more] };
  }

  /** Width of a text in logical pixels. */
  measure(text: string, size: number, weight: Weight = 400): number {
    return this.runs(text, size, weight).reduce((sum, run) => sum + run.width, 0);
  }

  /** The text in stretches of one font each; a character that no font has is a stretch of its own. */
  runs(text: string, size: number, weight: Weight): TextRun[] {
    const stretches: { face: Typeface; text: string; missing: boolean }[] = [];
    for (const character of text) {
      if (ignorable.test(character)) continue;
      const found = this.#faces[weight].find((face) => face.getGlyphIDs(character)[0] !== 0);
      const face = found ?? this.#faces[weight][0];
      if (found === undefined) this.#missing.add(character);
      const last = stretches.at(-1);
      if (found !== undefined && last?.face === face && !last.missing) last.text += character;
      else stretches.push({ face, text: character, missing: found === undefined });
    }
    return stretches.map(({ face, text, missing }) => {
      const font = this.#font(face, size);
      const glyphs = font.getGlyphWidths(font.getGlyphIDs(text));
      // A reader of the SVG may well have the font: room for a character as wide as East Asian ones and emoji are.
      return { font, text, width: missing ? size : glyphs.reduce((sum, width) => sum + width, 0) };
    });
  }

  /** Says on the console, once for each character, that there is no font for it. */
  warnOfMissing(): void {
    const fresh = [...this.#missing].filter((character) => !alreadyWarned.has(character));
    if (fresh.length === 0) return;
    for (const character of fresh) alreadyWarned.add(character);
    const shown = fresh.slice(0, 5).map((character) => {
      return `"${character}" (U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")})`;
    });
    const more = fresh.length > 5 ? ` and ${fresh.length - 5} more` : "";
    console.warn(
      `warning: no font at hand has ${
        shown.join(", ")
      }${more}: drawn as a box in PNG; pass a font that has it in "fonts"`,
    );
  }

  [Symbol.dispose](): void {
    for (const fonts of this.#fonts.values()) for (const font of fonts.values()) font.delete();
  }

  #font(face: Typeface, size: number): Font {
    const sizes = this.#fonts.get(face) ?? new Map<number, Font>();
    this.#fonts.set(face, sizes);
    const known = sizes.get(size);
    if (known !== undefined) return known;
    const font = new this.#kit.Font(face, size);
    font.setSubpixel(true);
    font.setEdging(this.#kit.FontEdging.AntiAlias);
    font.setHinting(this.#kit.FontHinting.None);
    sizes.set(size, font);
    return font;
  }
}

function userTypeface(kit: CanvasKit, bytes: Uint8Array): Typeface {
  const known = users.find((user) => isSame(user.bytes, bytes));
  if (known !== undefined) return known.typeface;
  const typeface = readTypeface(kit, bytes);
  users.push({ bytes, typeface });
  return typeface;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && a.every((byte, index) => byte === b[index]));
}

function readTypeface(kit: CanvasKit, bytes: Uint8Array): Typeface {
  // A copy of its own: the engine takes an ArrayBuffer, and a view may show only a part of one.
  const typeface = kit.Typeface.MakeTypefaceFromData(bytes.slice().buffer as ArrayBuffer);
  if (typeface === null) {
    throw new TypeError(`Cannot read a font of ${bytes.length} bytes: it must be a TTF, OTF, WOFF or WOFF2 file`);
  }
  return typeface;
}
