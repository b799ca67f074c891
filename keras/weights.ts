import type { Hdf5Dataset, Hdf5Group } from "./hdf5.ts";
import { type HardSigmoidWeights, hardSigmoidWeights } from "./layer_rules.ts";
import {
  isModelClass,
  kerasClass,
  type LayerJson,
  type LayerLike,
  type ModelLike,
  type WeightLike,
} from "./tfjs_model.ts";

/** Gives the values of a weight. */
export type WeightReader = (weight: WeightLike) => Float32Array;

/** A group while it is made. */
interface Group {
  [name: string]: Group | Hdf5Dataset;
}

/** How many times as steep tfjs's hardSigmoid is as Keras 3's: 0.2 to 1/6. */
const SLOPE_RATIO = 1.2;

/**
 * The weights of a model at the places where Keras 3 looks for them: `layers/<class>_<count>/vars/<index>`, by the names
 * of the layers' classes and not of the layers, in the order of the model's layers.
 */
export function weightGroups(model: ModelLike, read: WeightReader): Hdf5Group {
  const root: Group = {};
  putModel(model, root, read);
  return root;
}

function putModel(model: ModelLike, group: Group, read: WeightReader): void {
  // Keras 3.3 wants the group of each layer's own weights to be there, even where there are none.
  put(group, [], read);
  const layers = subgroup(group, "layers");
  const counts = new Map<string, number>();
  for (const layer of model.layers) {
    const name = snakeCase(kerasClass(layer.getClassName()));
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    putLayer(layer, subgroup(layers, count === 0 ? name : `${name}_${count}`), read);
  }
}

function putLayer(layer: LayerLike, group: Group, read: WeightReader): void {
  const className = layer.getClassName();
  if (isModelClass(className)) return putModel(layer as ModelLike, group, read);
  if (/Dropout|^GaussianNoise$/.test(className)) putSeed(group);
  if (layer.forwardLayer !== undefined && layer.backwardLayer !== undefined) {
    put(group, [], read);
    putLayer(layer.forwardLayer, subgroup(group, "forward_layer"), read);
    putLayer(layer.backwardLayer, subgroup(group, "backward_layer"), read);
  } else if (layer.layer !== undefined) {
    put(group, [], read);
    putLayer(layer.layer, subgroup(group, "layer"), read);
  } else if (layer.cell !== undefined && layer.cell !== null) {
    put(group, [], read);
    const cell = subgroup(group, "cell");
    putSeed(group);
    putSeed(cell);
    put(cell, weightsOf(layer), read, hardWeights(layer));
  } else put(group, weightsOf(layer), read, hardWeights(layer));
}

/** The state of a generator of random numbers, which Keras 3.3 wants to find. */
function putSeed(group: Group): void {
  subgroup(subgroup(group, "seed_generator"), "vars")["0"] = { shape: [2], data: new Float32Array(2) };
}

function put(group: Group, weights: readonly WeightLike[], read: WeightReader, hard?: HardWeights): void {
  const vars = subgroup(group, "vars");
  for (const [i, weight] of weights.entries()) {
    const shape = weight.shape.map(Number);
    const data = read(weight);
    vars[`${i}`] = { shape, data: hard === undefined ? data : scaled(data, shape, i, hard) };
  }
}

function subgroup(group: Group, name: string): Group {
  return (group[name] ??= {}) as Group;
}

/** A layer's weights in the order in which they were made, which is Keras's, whichever of them are trained. */
function weightsOf({ trainableWeights, nonTrainableWeights }: LayerLike): WeightLike[] {
  return [...trainableWeights, ...nonTrainableWeights].sort((a, b) => a.id - b.id);
}

/** Which weights of a layer are to be scaled, and how many units it has. */
interface HardWeights {
  readonly which: HardSigmoidWeights;
  readonly units: number;
}

function hardWeights(layer: LayerLike): HardWeights | undefined {
  const config = activations(layer);
  const which = hardSigmoidWeights({ class_name: layer.getClassName(), config } as LayerJson);
  return which === undefined ? undefined : { which, units: config.units };
}

/** What a live layer's activations are called in JSON, and its units or filters. */
function activations(layer: LayerLike): { activation?: string; recurrent_activation?: string; units: number } {
  interface Activated {
    readonly activation?: { getClassName(): string };
    readonly recurrentActivation?: { getClassName(): string };
    readonly units?: number;
    readonly filters?: number;
  }
  const { activation, recurrentActivation, units, filters } = (layer.cell ?? layer) as Activated;
  return {
    ...(activation === undefined ? {} : { activation: snakeCase(activation.getClassName()) }),
    ...(recurrentActivation === undefined
      ? {}
      : { recurrent_activation: snakeCase(recurrentActivation.getClassName()) }),
    units: units ?? filters ?? 0,
  };
}

function scaled(
  data: Float32Array,
  shape: readonly number[],
  index: number,
  { which, units }: HardWeights,
): Float32Array {
  if (which === "all but the first" && index === 0) return data;
  const columns = shape.at(-1)!;
  const ranges = typeof which === "function" ? which(units) : [[0, columns]];
  const result = data.slice();
  for (let row = 0; row < data.length; row += columns) {
    for (const [from, to] of ranges) {
      for (let i = row + from; i < row + to; i++) result[i] *= SLOPE_RATIO;
    }
  }
  return result;
}

/** `Conv2DTranspose` as `conv2d_transpose`, by Keras's own rule. */
export function snakeCase(name: string): string {
  return name.replace(/\W+/g, "").replace(/(.)([A-Z][a-z]+)/g, "$1_$2").replace(/([a-z])([A-Z])/g, "$1_$2")
    .toLowerCase();
}
