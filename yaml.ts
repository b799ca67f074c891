import { parse, type ScalarTag, stringify } from "@std/yaml";

/** A number that JavaScript writes with an exponent and no point, which PyYAML would read as text. */
const exponentNumber: ScalarTag = {
  tag: "tag:yaml.org,2002:float",
  default: true,
  identify: (value) => typeof value === "number" && /^-?\d+e/.test(String(value)),
  test: /(?!)/,
  resolve: Number,
  stringify: ({ value }) => String(value).replace("e", ".0e"),
};

/** Text that no reader of YAML 1.1 or 1.2 takes for anything else; all other text is quoted. */
const PLAIN = /^(?!(?:y|n|yes|no|on|off|true|false|null|nan|inf)$)[a-z_](?:[\w ./+-]*[\w/])?$/i;

const plainText: ScalarTag = {
  tag: "tag:yaml.org,2002:str",
  default: true,
  identify: (value) => typeof value === "string",
  resolve: (text) => text,
  stringify: ({ value }) => {
    const text = String(value);
    if (PLAIN.test(text)) return text;
    // A JSON string is a YAML string too, once what YAML calls a line break is escaped as well.
    return JSON.stringify(text).replace(
      /[\x7f-\x9f\u2028\u2029\ufeff]/g,
      (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
  },
};

/** The library's own tags that are not to write text: its plain text, and the merge key `<<`. */
const REPLACED: ReadonlySet<string> = new Set(["tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"]);

/**
 * Writes YAML in block style that PyYAML, a reader of YAML 1.1, reads back as the same values: `no`, `1:30` and the like
 * are quoted, and numbers with exponents carry a point.
 *
 * @param options `sortKeys`: put the keys of each mapping in order. @default {false}
 */
export function writeYaml(value: unknown, options: { readonly sortKeys?: boolean } = {}): string {
  return stringify(value, {
    version: "1.1",
    customTags: (tags) => [exponentNumber, plainText, ...tags.filter((tag) => !REPLACED.has((tag as ScalarTag).tag))],
    sortMapEntries: options.sortKeys ?? false,
    aliasDuplicateObjects: false,
    lineWidth: 0,
  });
}

/** Reads YAML as PyYAML does. Broken text throws a `SyntaxError`-like error of the YAML library with line and column. */
export function readYaml(text: string): unknown {
  return parse(text, { version: "1.1", logLevel: "silent" });
}
