import { layerSettings } from "./layer_rules.ts";
import {
  isModelClass,
  type LayerJson,
  type LayerLike,
  type ModelLike,
  type NodeJson,
  NotInKeras,
  type Shape,
  type TensorRef,
} from "./tfjs_model.ts";

/** A layer or model as Keras 3 writes it to `config.json`. */
export interface KerasObject {
  readonly module: string;
  readonly class_name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly registered_name: string | null;
}

/** A model in Keras's words. */
export interface ModelConfig {
  /** What `config.json` holds. */
  readonly config: KerasObject;
  /** What the model's inputs are called, in their order. */
  readonly inputNames: readonly string[];
}

/** Says a model in Keras's words; one that Keras would not compute alike throws {@linkcode NotInKeras}. */
export function modelConfig(model: ModelLike): ModelConfig {
  const json = model.toJSON(null, false) as LayerJson;
  refuseMasksThroughModels(json);
  const config = layerObject(json, model);
  const inputs = (json.config.input_layers ?? []) as TensorRef[];
  const names = kerasNames(model.layers.map(({ name }) => name));
  return { config, inputNames: inputs.map(([name]) => names.get(name)!) };
}

/** A layer's name in Keras, which takes no `/` in it; TensorFlow wants names to begin with a letter, digit or point. */
export function kerasName(name: string): string {
  return name.replace(/[^\w.\-]/g, "_").replace(/^[_\-]/, "layer$&");
}

/** Keras's names of several layers, each different from the others. */
export function kerasNames(names: readonly string[]): Map<string, string> {
  const taken = new Set(names.filter((name) => kerasName(name) === name));
  return new Map(names.map((name) => {
    const wanted = kerasName(name);
    let unique = wanted;
    for (let i = 1; unique !== name && taken.has(unique); i++) unique = `${wanted}_${i}`;
    taken.add(unique);
    return [name, unique];
  }));
}

function layerObject(json: LayerJson, layer: LayerLike): KerasObject {
  const { class_name: className } = json;
  if (layer === undefined || layer.getClassName() !== className) {
    throw NotInKeras.layer(className, json.config?.name, "the model does not have the layer that its JSON tells of");
  }
  if (className === "Sequential") return sequential(json, layer as ModelLike);
  if (isModelClass(className)) return functional(json, layer as ModelLike);
  const config = layerSettings(json, inputRank(layer));
  config.name = kerasName(config.name as string);
  // It is missing in tfjs's JSON.
  if (className === "SeparableConv2D") {
    config.depth_multiplier = (layer as { depthMultiplier?: number }).depthMultiplier;
  }
  if (className === "InputLayer") {
    return kerasLayer("InputLayer", {
      batch_shape: json.config.batch_input_shape,
      dtype: config.dtype,
      name: config.name,
    });
  }
  if (className === "Bidirectional" || className === "TimeDistributed") {
    config.layer = wrapped(json.config.layer as LayerJson, layer.layer ?? layer.forwardLayer!);
  }
  return kerasLayer(className, config);
}

function kerasLayer(className: string, config: Readonly<Record<string, unknown>>): KerasObject {
  return { module: "keras.layers", class_name: className, config, registered_name: null };
}

const RECURRENT = new Set(["LSTM", "GRU", "SimpleRNN"]);
/** Layers whose numbers do not depend on which step of a sequence they see. */
const STEPWISE = new Set(
  ("Activation BatchNormalization Conv1D Conv2D Conv2DTranspose Dense DepthwiseConv2D Flatten GlobalAveragePooling1D " +
    "GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D LayerNormalization LeakyReLU MaxPooling1D " +
    "MaxPooling2D AveragePooling1D AveragePooling2D ReLU Reshape SeparableConv2D").split(" "),
);

/** The layer inside of another one. */
function wrapped(json: LayerJson, inner: LayerLike): KerasObject {
  const known = inner.cell === undefined ? STEPWISE : RECURRENT;
  if (json.config.go_backwards === true) {
    throw NotInKeras.layer(json.class_name, json.config.name, "within another layer it goes backwards");
  }
  if (known.has(json.class_name)) return layerObject(json, inner);
  throw NotInKeras.layer(
    json.class_name,
    json.config.name,
    "it is not known how Keras computes it within another layer",
  );
}

function sequential({ config }: LayerJson, model: ModelLike): KerasObject {
  const json = config.layers as LayerJson[];
  const names = kerasNames(json.map(({ config }) => config.name as string));
  if (names.size < json.length) throw NotInKeras.layer("Sequential", model.name, "two of its layers have one name");
  const layers = json.map((layer, i) => renamed(layerObject(layer, model.layers[i]), layer.config.name, names));
  if (layers[0].class_name !== "InputLayer") {
    const [{ shape, dtype, name }] = model.inputs;
    layers.unshift(kerasLayer("InputLayer", { batch_shape: shape, dtype, name: unlike(kerasName(name), names) }));
  }
  return {
    module: "keras",
    class_name: "Sequential",
    config: { name: kerasName(model.name), trainable: model.trainable !== false, layers },
    registered_name: null,
  };
}

function functional({ config }: LayerJson, model: ModelLike): KerasObject {
  const byName = new Map(model.layers.map((layer) => [layer.name, layer]));
  const names = kerasNames([...byName.keys()]);
  const nodes = config.layers as NodeJson[];
  const layers = nodes.map((node) => {
    return {
      ...renamed(layerObject(node, byName.get(node.name)!), node.name, names),
      name: names.get(node.name),
      inbound_nodes: node.inbound_nodes.map((inputs) => call(node, inputs, byName, names)),
    };
  });
  const end = ([name, index, tensor]: TensorRef, isOutput: boolean) => {
    // Of a nested model's calls tfjs takes the first for number 1. Keras counts from 0 here, too, but for functional ones.
    const first = isOutput && byName.get(name)!.getClassName() === "Sequential" ? 1 : 0;
    return [names.get(name), index - first, tensor];
  };
  const ends = (refs: readonly TensorRef[], isOutput: boolean) => {
    const list = refs.map((ref) => end(ref, isOutput));
    // A list would make Keras's model give a list of one.
    return list.length === 1 ? list[0] : list;
  };
  // Of an input that no output depends on, tfjs's own files know nothing.
  const loose = model.inputNames.find((name) =>
    !(config.input_layers as TensorRef[]).some(([input]) => input === name)
  );
  if (loose !== undefined) throw NotInKeras.layer("InputLayer", loose, "no output depends on it");
  return {
    module: "keras.src.models.functional",
    class_name: "Functional",
    config: {
      name: kerasName(model.name),
      trainable: model.trainable !== false,
      layers,
      input_layers: ends(config.input_layers as TensorRef[], false),
      output_layers: ends(config.output_layers as TensorRef[], true),
    },
    registered_name: "Functional",
  };
}

function renamed(object: KerasObject, name: unknown, names: ReadonlyMap<string, string>): KerasObject {
  return { ...object, config: { ...object.config, name: names.get(name as string) } };
}

/** One call of a layer: what it took. */
function call(
  { class_name: className, name }: NodeJson,
  inputs: readonly TensorRef[],
  byName: ReadonlyMap<string, LayerLike>,
  names: ReadonlyMap<string, string>,
): unknown {
  if (inputs.some(([, , , told]) => Object.keys(told ?? {}).length > 0)) {
    throw NotInKeras.layer(className, name, "it is called with more than tensors");
  }
  if (inputs.length > 1 && (RECURRENT.has(className) || className === "ConvLSTM2D" || className === "Bidirectional")) {
    throw NotInKeras.layer(className, name, "it is given the state that it begins with");
  }
  const tensors = inputs.map(([from, index, tensor]) => {
    const layer = byName.get(from)!;
    const nodeIndex = isModelClass(layer.getClassName()) ? index - 1 : index;
    const shape = outputShape(layer, index, tensor);
    const history = [names.get(from), nodeIndex, tensor];
    return {
      class_name: "__keras_tensor__",
      config: { shape, dtype: layer.dtype ?? "float32", keras_history: history },
    };
  });
  return { args: [tensors.length === 1 ? tensors[0] : tensors], kwargs: {} };
}

function outputShape({ inboundNodes, outputShape: own }: LayerLike, index: number, tensor: number): Shape {
  const shapes = inboundNodes?.[index]?.outputShapes ?? own!;
  return Array.isArray(shapes[0]) ? (shapes as readonly Shape[])[tensor] : shapes as Shape;
}

/** The dimensions of what a layer takes, the batch among them. */
function inputRank({ inboundNodes }: LayerLike): number | undefined {
  const shapes = (inboundNodes?.[0] as { readonly inputShapes?: readonly Shape[] } | undefined)?.inputShapes;
  return shapes?.[0]?.length;
}

/** tfjs keeps masks out of the models in a model, Keras does not. */
function refuseMasksThroughModels(json: LayerJson): void {
  const all = (one: LayerJson): LayerJson[] => [one, ...((one.config.layers ?? []) as LayerJson[]).flatMap(all)];
  const [, ...layers] = all(json);
  const masking = layers.find(({ class_name, config }) => class_name === "Masking" || config.mask_zero === true);
  if (masking === undefined || !layers.some(({ class_name }) => isModelClass(class_name))) return;
  throw NotInKeras.layer(
    masking.class_name,
    masking.config.name,
    "masks of a model with models in it reach other layers",
  );
}

/** A name that none of the others is. */
function unlike(name: string, others: ReadonlyMap<string, string>): string {
  const taken = new Set(others.values());
  let unique = name;
  for (let i = 1; taken.has(unique); i++) unique = `${name}_${i}`;
  return unique;
}
