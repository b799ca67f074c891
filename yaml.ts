import { boolYaml11Tag, dump, load, NOT_RESOLVED, SCALAR_STYLE, visit, YAML11_SCHEMA } from "@std/yaml";

/** Text that no reader of YAML 1.1 or 1.2 takes for anything else; all other text is quoted. */
const PLAIN = /^(?!(?:y|n|yes|no|on|off|true|false|null|nan|inf)$)[a-z_](?:[\w ./+-]*[\w/])?$/i;
const TEXT_TAG = "tag:yaml.org,2002:str";

/** YAML 1.1 without what PyYAML leaves out of it: to it, `y` and `n` are text. */
const PYYAML_SCHEMA = YAML11_SCHEMA.withTags({
  ...boolYaml11Tag,
  resolve: (source: string, isExplicit: boolean, tagName: string) =>
    /^[yn]$/i.test(source) ? NOT_RESOLVED : boolYaml11Tag.resolve(source, isExplicit, tagName),
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

/** Reads YAML as PyYAML does. Broken text throws an error with its line and column. */
export function readYaml(text: string): unknown {
  return load(text, { schema: PYYAML_SCHEMA });
}
