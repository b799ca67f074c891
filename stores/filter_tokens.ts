/** A piece of a filter. */
export interface Token {
  /** What it is; a `list` is everything between two brackets, they included. */
  readonly kind: "text" | "name" | "number" | "operator" | "list" | "other";
  /** The piece as it is written. */
  readonly text: string;
}

/** Words that a key cannot be without quotes: MLflow's tokenizer never takes them for names. */
const RESERVED = /^(?:case|in|values|using|from|as)$/i;

// In the order they are tried. A text is MLflow's: quotes may be doubled or follow a backslash, and stay as they are.
const TOKEN = new RegExp(
  [
    /(?<space>\s+)/,
    /(?<text>'(?:''|\\'|[^'])*')(?!\.)/,
    /(?<name>(?:[\p{L}_][\p{L}\p{N}_]*|`(?:``|[^`])*`|"(?:""|\\"|[^"])*")(?:\.(?:[\p{L}\p{N}_]+|`(?:``|[^`])*`|"(?:""|\\"|[^"])*"|'(?:''|\\'|[^'])*'))*)/u,
    /(?<number>-?(?:\d+(?:\.\d+)?[eE]-?\d+|\d+\.?\d*|\.\d+)(?![\p{L}\p{N}_]))/u,
    /(?<operator>[<>=!]+)/,
    /(?<other>.)/,
  ].map((part) => part.source).join("|"),
  "gsu",
);

/** Cuts a filter or an order into its pieces; spaces and the piece that they are in are left out. */
export function tokenize(text: string): Token[] {
  const found = [...text.matchAll(TOKEN)].map(({ groups, index, 0: { length } }) => {
    const [kind, value] = Object.entries(groups!).find(([, value]) => value !== undefined)!;
    return { kind, text: value!, start: index, end: index + length };
  });
  const tokens: Token[] = [];
  for (let i = 0; i < found.length; i++) {
    const { kind, text: piece, start } = found[i];
    const close = piece === "(" ? found.findIndex(({ text }, j) => j > i && text === ")") : -1;
    if (close > 0) {
      tokens.push({ kind: "list", text: text.slice(start, found[close].end) });
      i = close;
    } else if (kind === "name" && isReserved(piece)) {
      tokens.push({ kind: "other", text: piece });
    } else if (kind !== "space") {
      tokens.push({ kind: kind as Token["kind"], text: piece });
    }
  }
  return tokens;
}

function isReserved(name: string): boolean {
  return name.split(".").slice(1).some((part) => RESERVED.test(part) || /^\d+$/.test(part));
}

/**
 * The texts of a list such as `('a', "b")`, which MLflow reads as a tuple of Python; undefined where it is none, and
 * `NaN` among them for what is not a text.
 */
export function readList(list: string): (string | number)[] | undefined {
  const inner = list.slice(1, -1).trim().replace(/,\s*$/, "");
  if (inner === "") return [];
  const items: (string | number)[] = [];
  const item = /\s*((?:(?:'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")\s*)+|-?[\d.]+(?:[eE][+-]?\d+)?|\w+)\s*(?:,|$)/suy;
  while (item.lastIndex < inner.length) {
    const found = item.exec(inner);
    if (found === null) return undefined;
    items.push(
      /^['"]/.test(found[1])
        ? [...found[1].matchAll(/'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)"/gsu)].map((text) =>
          unescape(text[1] ?? text[2])
        ).join("")
        : NaN,
    );
  }
  return items;
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  a: "\x07",
  b: "\b",
  f: "\f",
  v: "\v",
  "\n": "",
};

/** What the escapes in a text of Python stand for; an unknown one stays as it is. */
function unescape(text: string): string {
  return text.replace(
    /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{1,3})|([\\'"nrtabfv\n]))/g,
    (_, hex2, hex4, hex8, octal, letter) =>
      letter === undefined
        ? String.fromCodePoint(octal === undefined ? parseInt(hex2 ?? hex4 ?? hex8, 16) : parseInt(octal, 8))
        : ESCAPES[letter] ?? letter,
  );
}

/** A name or text without the quotes around it. */
export function unquote(text: string, marks: RegExp): string {
  return text.length >= 2 && marks.test(text[0]) && text.endsWith(text[0]) ? text.slice(1, -1) : text;
}
