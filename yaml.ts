import {
  boolYaml11Tag,
  dump,
  floatYaml11Tag,
  load,
  NOT_RESOLVED,
  SCALAR_STYLE,
  timestampTag,
  visit,
  YAML11_SCHEMA,
} from "@std/yaml";
import { pythonFloatText } from "./python_text.ts";

/** Text that no reader of YAML 1.1 or 1.2 takes for anything else; all other text is quoted. */
const PLAIN = /^(?!(?:y|n|yes|no|on|off|true|false|null|nan|inf)$)[a-z_](?:[\w ./+-]*[\w/])?$/i;
const TEXT_TAG = "tag:yaml.org,2002:str";

/** YAML 1.1 without what PyYAML leaves out of it: to it, `y` and `n` are text. */
const PYYAML_SCHEMA = YAML11_SCHEMA.withTags({
  ...boolYaml11Tag,
  resolve: (source: string, isExplicit: boolean, tagName: string) =>
    /^[yn]$/i.test(source) ? NOT_RESOLVED : boolYaml11Tag.resolve(source, isExplicit, tagName),
});

/** What JavaScript cannot tell from something else, `1.0` from `1` and a day from a moment, is text as in Python. */
const TEXT_SCHEMA = PYYAML_SCHEMA.withTags({
  ...floatYaml11Tag,
  resolve: (source: string, isExplicit: boolean, tagName: string) => {
    const value = floatYaml11Tag.resolve(source, isExplicit, tagName);
    // deno-lint-ignore no-explicit-any -- the tag's type knows of numbers alone
    return (typeof value === "number" ? pythonFloatText(value) : value) as any;
  },
}, {
  ...timestampTag,
  resolve: (source: string, isExplicit: boolean, tagName: string) => {
    const value = timestampTag.resolve(source, isExplicit, tagName);
    // deno-lint-ignore no-explicit-any -- as above, of dates
    return (value === NOT_RESOLVED ? value : source) as any;
  },
});

/**
 * Writes YAML in block style that PyYAML, a reader of YAML 1.1, reads back as the same values: `no`, `1:30` and the like
 * are quoted, and numbers with exponents carry a point.
 *
 * @param options `sortKeys`: put the keys of each mapping in order. @default {false}
 */
export function writeYaml(value: unknown, options: { readonly sortKeys?: boolean } = {}): string {
  return dump(value, {
    schema: YAML11_SCHEMA,
    sortKeys: options.sortKeys ?? false,
    skipInvalid: true,
    noRefs: true,
    lineWidth: -1,
    transform: (documents) =>
      visit(documents, (node) => {
        if (node.kind !== "scalar" || node.tag !== TEXT_TAG) return;
        node.style = PLAIN.test(node.value) ? SCALAR_STYLE.PLAIN : SCALAR_STYLE.DOUBLE_QUOTED;
      }),
  });
}

/**
 * Reads YAML as PyYAML does. Broken text throws an error with its line and column.
 *
 * @param options `floats`: give numbers with a point as numbers, or as the text of Python's `str()`, in which `1.0` is not
 * `1`; dates then are text too. @default {"number"}
 */
export function readYaml(text: string, options: { readonly floats?: "number" | "text" } = {}): unknown {
  return load(text, { schema: options.floats === "text" ? TEXT_SCHEMA : PYYAML_SCHEMA });
}
