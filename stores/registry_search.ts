import { MlflowError } from "../errors.ts";
import { invalid } from "../validate.ts";
import {
  type Comparison,
  type Order,
  parseModelVersionFilter,
  parseModelVersionOrder,
  parseRegisteredModelFilter,
  parseRegisteredModelOrder,
} from "./filter.ts";
import { PROMPT_TAG, type RegistrySearch } from "./registry_store.ts";

/** A search of the registry, read: what holds, in which order, and whether prompts are looked for too. */
export interface RegistryQuestion {
  readonly filter: readonly Comparison[];
  readonly orders: readonly Order[];
  readonly prompts: boolean;
}

/** Reads a search for registered models; what it orders by is `name` or `last_updated_timestamp`. */
export function readRegisteredModelSearch({ filter = "", orderBy = [] }: RegistrySearch): RegistryQuestion {
  const orders = orderBy.map(parseRegisteredModelOrder)
    .map((order) => order.key === "timestamp" ? { ...order, key: "last_updated_timestamp" } : order);
  return question(parseRegisteredModelFilter(filter), orders, orderBy, [byAttribute("name")]);
}

/** Reads a search for versions. */
export function readModelVersionSearch({ filter = "", orderBy = [] }: RegistrySearch): RegistryQuestion {
  const comparisons = parseModelVersionFilter(filter);
  const fraction = comparisons.find(({ key, value }) => key === "version_number" && !Number.isInteger(value));
  if (fraction !== undefined) {
    throw invalid(`Invalid value for numeric attribute 'version_number': ${fraction.value}`);
  }
  const orders = orderBy.map(parseModelVersionOrder);
  const other = orders.find(({ entity }) => entity !== "attribute");
  if (other !== undefined) throw invalid(`Invalid order_by entity: ${other.entity}`);
  const ties = [byAttribute("name"), byAttribute("version_number", false)];
  return question(
    comparisons,
    orders,
    orderBy,
    orders.length > 0 ? ties : [byAttribute("last_updated_timestamp", false), ...ties],
  );
}

function question(
  comparisons: readonly Comparison[],
  orders: readonly Order[],
  terms: readonly string[],
  ties: readonly Order[],
): RegistryQuestion {
  const keys = orders.map(({ key }) => key);
  if (new Set(keys).size < keys.length) {
    // MLflow's own code for it.
    throw new MlflowError(
      "INTERNAL_ERROR",
      `\`order_by\` contains duplicate fields: [${terms.map((term) => `'${term}'`).join(", ")}]`,
    );
  }
  const asked = comparisons.find(({ entity, key }) => entity === "tag" && key === PROMPT_TAG);
  const prompts = asked !== undefined && (asked.comparator === "=" || asked.comparator === "!=") &&
    String(asked.value).toLowerCase() === String(asked.comparator === "=");
  return {
    // Where models alone are looked for, the tag says no more: they do not have it.
    filter: prompts ? comparisons : comparisons.filter(({ entity, key }) => entity !== "tag" || key !== PROMPT_TAG),
    orders: [...orders, ...ties.filter(({ key }) => !keys.includes(key))],
    prompts,
  };
}

function byAttribute(key: string, ascending = true): Order {
  return { entity: "attribute", key, ascending };
}
