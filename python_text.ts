/**
 * A value as Python's `str()` writes it, so that the same setting logged from Python and from here compares equal:
 * `True`, `None`, `0.1`, `1e-05`, `[1, 'a']`, `{'k': 2}`.
 */
export function pythonText(value: unknown): string {
  return typeof value === "string" ? value : represent(value);
}

function represent(value: unknown): string {
  switch (typeof value) {
    case "string":
      return quote(value);
    case "number":
      return number(value);
    case "boolean":
      return value ? "True" : "False";
    case "undefined":
      return "None";
    case "bigint":
      return String(value);
    case "function":
      return value.name || "function";
    case "symbol":
      return String(value);
  }
  if (value === null) return "None";
  if (Array.isArray(value) || ArrayBuffer.isView(value)) {
    return `[${Array.from(value as unknown as ArrayLike<unknown>, represent).join(", ")}]`;
  }
  if (value instanceof Date || value instanceof URL || value instanceof RegExp) {
    return value instanceof Date ? value.toISOString() : String(value);
  }
  if (value instanceof Set) return `{${[...value].map(represent).join(", ")}}`;
  const entries = value instanceof Map ? [...value] : Object.entries(value as object);
  return `{${entries.map(([key, entry]) => `${represent(key)}: ${represent(entry)}`).join(", ")}}`;
}

/** JavaScript turns to exponents below 1e-6, Python below 1e-4, with at least two digits. */
function number(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Object.is(value, -0)) return "-0.0";
  const text = value !== 0 && Math.abs(value) < 1e-4 ? value.toExponential() : String(value);
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}

function quote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(
    /[\\\p{Cc}]/gu,
    (c) => ESCAPES[c] ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return mark + (mark === "'" ? escaped.replaceAll("'", "\\'") : escaped) + mark;
}

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };
