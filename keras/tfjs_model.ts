/** A weight of a layer. */
export interface WeightLike {
  /** It grows from weight to weight as they are made. */
  readonly id: number;
  readonly shape: readonly (number | null)[];
}

/** A layer of tfjs, as far as its weights and its place among others are read. */
export interface LayerLike {
  readonly name: string;
  readonly trainable?: boolean;
  readonly trainableWeights: readonly WeightLike[];
  readonly nonTrainableWeights: readonly WeightLike[];
  /** The layers of a model. */
  readonly layers?: readonly LayerLike[];
  /** The layer that a wrapper wraps. */
  readonly layer?: LayerLike;
  readonly forwardLayer?: LayerLike;
  readonly backwardLayer?: LayerLike;
  /** What a recurrent layer computes at each step. */
  readonly cell?: unknown;
  /** How often a layer has been called, and with what. */
  readonly inboundNodes?: readonly { readonly outputShapes: readonly Shape[] | Shape }[];
  readonly outputShape?: readonly Shape[] | Shape;
  readonly dtype?: string;
  getClassName(): string;
}

/** Sizes; null where any fits. */
export type Shape = readonly (number | null)[];

/** A model of tfjs: a layer of layers. */
export interface ModelLike extends LayerLike {
  readonly layers: readonly LayerLike[];
  readonly inputs: readonly { readonly name: string; readonly dtype: string; readonly shape: Shape }[];
  readonly outputs: readonly unknown[];
  readonly inputNames: readonly string[];
  // deno-lint-ignore no-explicit-any -- tfjs gives a text or an object, by its second argument
  toJSON(unused?: any, returnString?: boolean): any;
}

/** A layer's entry in what a model's `toJSON` gives. */
export interface LayerJson {
  readonly class_name: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** Another layer's call: its name, which call it was, which of its outputs, and what it was told besides. */
export type TensorRef = readonly [string, number, number, Readonly<Record<string, unknown>>?];

/** A layer's entry in a functional model. */
export interface NodeJson extends LayerJson {
  readonly name: string;
  /** What each of its calls took. */
  readonly inbound_nodes: readonly (readonly TensorRef[])[];
}

const MODELS = new Set(["Sequential", "Model", "Functional"]);

/** Whether a layer's class is one of models. */
export function isModelClass(className: string): boolean {
  return MODELS.has(className);
}

/** Keras's name of a class of tfjs. */
export function kerasClass(className: string): string {
  return className === "Model" ? "Functional" : className;
}

/** Why a model cannot be carried over to Keras. */
export class NotInKeras extends Error {
  /** Always `"NotInKeras"`. */
  override readonly name = "NotInKeras";

  /** The layer that cannot be carried over, and the reason. */
  static layer(className: string, name: unknown, reason: string): NotInKeras {
    return new NotInKeras(`layer "${name}" (${className}): ${reason}`);
  }
}
