/**
 * A value as Python's `str()` writes it, so that the same setting logged from Python and from here compares equal:
 * `True`, `None`, `0.1`, `1e-05`, `[1, 'a']`, `{'k': 2}`.
 */
export function pythonText(value: unknown): string {
  return typeof value === "string" ? value : represent(value);
}

/** Each value as {@linkcode pythonText} writes it. */
export function pythonTexts(values: Readonly<Record<string, unknown>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, pythonText(value)]));
}

/** A number that is a float in Python, as its `str()` writes it: `1.0`, `0.1`, `1e+16`. */
export function pythonFloatText(value: number): string {
  const text = Math.abs(value) >= 1e16 && Number.isFinite(value) ? value.toExponential() : number(value);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

/** @param around the lists and dictionaries that hold the value */
function represent(value: unknown, around: readonly object[] = []): string {
  switch (typeof value) {
    case "string":
      return pythonQuote(value);
    case "number":
      return number(value);
    case "boolean":
      return value ? "True" : "False";
    case "undefined":
      return "None";
    case "function":
      return value.name || "function";
    case "bigint":
    case "symbol":
      return String(value);
    case "object":
      return value === null ? "None" : container(value, around);
  }
}

function container(value: object, around: readonly object[]): string {
  if (value instanceof Date) return value.toISOString();
  if (value instanceof URL || value instanceof RegExp) return String(value);
  const isList = Array.isArray(value) || ArrayBuffer.isView(value);
  if (around.includes(value)) return isList ? "[...]" : "{...}";
  const inside = [...around, value];
  const all = (values: Iterable<unknown>) => Array.from(values, (entry) => represent(entry, inside)).join(", ");
  if (isList) return `[${all(value as unknown as Iterable<unknown>)}]`;
  if (value instanceof Set) return value.size === 0 ? "set()" : `{${all(value)}}`;
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return `{${entries.map(([key, entry]) => `${represent(key)}: ${represent(entry, inside)}`).join(", ")}}`;
}

/** JavaScript turns to exponents below 1e-6, Python below 1e-4, with at least two digits. */
function number(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Object.is(value, -0)) return "-0.0";
  const text = value !== 0 && Math.abs(value) < 1e-4 ? value.toExponential() : String(value);
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * A text as Python's `repr()` writes it: in quotes, the backslash and whatever it does not call printable (control
 * characters, odd spaces, …) escaped.
 */
export function pythonQuote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(/\\|(?! )[\p{C}\p{Z}]/gu, (character) => ESCAPES[character] ?? numbered(character));
  return mark + (mark === "'" ? escaped.replaceAll("'", "\\'") : escaped) + mark;
}

function numbered(character: string): string {
  const code = character.codePointAt(0)!.toString(16);
  if (code.length <= 2) return `\\x${code.padStart(2, "0")}`;
  return code.length <= 4 ? `\\u${code.padStart(4, "0")}` : `\\U${code.padStart(8, "0")}`;
}
