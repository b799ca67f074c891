import { type LayerJson, NotInKeras } from "./tfjs_model.ts";

/**
 * Which weights of a layer make an activation that is `hardSigmoid`: all, those after the first, or the columns of its
 * gates. tfjs clips 0.2 x + 0.5 and Keras 3 clips x / 6 + 0.5, so that x 1.2 times as large gives the same.
 */
export type HardSigmoidWeights =
  | "all"
  | "all but the first"
  | ((units: number) => readonly (readonly [number, number])[]);

/** What is special about a class of layers. */
interface LayerRule {
  /** Settings by tfjs's name that Keras knows by another one, or not at all. */
  readonly rename?: Readonly<Record<string, string | null>>;
  /** Why a layer of these settings gives other numbers in Keras, or none; undefined if it does not. */
  readonly refuse?: (config: Readonly<Record<string, unknown>>, inputRank: number | undefined) => string | undefined;
  /** The weights behind `activation`. */
  readonly hardActivation?: HardSigmoidWeights;
  /** The weights behind `recurrent_activation`. */
  readonly hardRecurrent?: HardSigmoidWeights;
}

const NONE: LayerRule = {};
const WHOLE: LayerRule = { hardActivation: "all" };
/** Gates i, f and o, with c between them. */
const LSTM_GATES: HardSigmoidWeights = (units) => [[0, 2 * units], [3 * units, 4 * units]];
const GRU_GATES: HardSigmoidWeights = (units) => [[0, 2 * units]];

const isStateful = ({ stateful }: Readonly<Record<string, unknown>>) =>
  stateful === true ? "it keeps its state from one batch to the next" : undefined;

/** The layers that Keras 3 has as tfjs has them. A class that is not here is not carried over. */
const LAYERS: Readonly<Record<string, LayerRule>> = {
  InputLayer: NONE,
  Activation: NONE,
  ELU: NONE,
  LeakyReLU: { rename: { alpha: "negative_slope" } },
  PReLU: NONE,
  ReLU: NONE,
  Softmax: NONE,
  Conv1D: { ...WHOLE, refuse: ({ padding }) => padding === "causal" ? "tfjs cannot pad causally" : undefined },
  Conv2D: WHOLE,
  Conv3D: WHOLE,
  Conv2DTranspose: WHOLE,
  Conv3DTranspose: WHOLE,
  SeparableConv2D: { hardActivation: "all but the first" },
  DepthwiseConv2D: {
    ...WHOLE,
    refuse: ({ dilation_rate: dilation }) =>
      [dilation].flat().some((rate) => rate !== 1) ? "tfjs computes it without its dilation" : undefined,
  },
  ConvLSTM2D: { refuse: isStateful, hardRecurrent: LSTM_GATES },
  Cropping2D: NONE,
  UpSampling2D: {
    refuse: ({ interpolation }) =>
      interpolation === "bilinear" ? "Keras puts the centres of the pixels elsewhere when it interpolates" : undefined,
  },
  ZeroPadding2D: NONE,
  AveragePooling1D: NONE,
  AveragePooling2D: NONE,
  AveragePooling3D: NONE,
  MaxPooling1D: NONE,
  MaxPooling2D: NONE,
  MaxPooling3D: NONE,
  GlobalAveragePooling1D: NONE,
  GlobalAveragePooling2D: NONE,
  GlobalMaxPooling1D: NONE,
  GlobalMaxPooling2D: NONE,
  Dense: WHOLE,
  Embedding: { rename: { input_length: null } },
  Flatten: NONE,
  Masking: NONE,
  Permute: NONE,
  RepeatVector: NONE,
  Reshape: NONE,
  Rescaling: NONE,
  Dropout: NONE,
  AlphaDropout: NONE,
  GaussianDropout: NONE,
  GaussianNoise: NONE,
  SpatialDropout1D: { rename: { trainable: null, noise_shape: null } },
  BatchNormalization: {
    refuse: ({ axis }, rank) =>
      [-1, rank === undefined ? -1 : rank - 1].includes(one(axis) as number)
        ? undefined
        : "tfjs normalizes another axis than the last one wrongly",
  },
  LayerNormalization: NONE,
  Add: NONE,
  Average: NONE,
  Concatenate: NONE,
  Dot: NONE,
  Maximum: NONE,
  Minimum: NONE,
  Multiply: NONE,
  LSTM: { refuse: isStateful, hardRecurrent: LSTM_GATES },
  GRU: { refuse: isStateful, hardRecurrent: GRU_GATES },
  SimpleRNN: { ...WHOLE, refuse: isStateful },
  Bidirectional: NONE,
  TimeDistributed: NONE,
};

/** Why a class that tfjs has is not in the table. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  ThresholdedReLU: "Keras 3 has no such layer",
  CenterCrop: "tfjs gives it the shape of its output for that of its input",
  CategoryEncoding: "tfjs gives it the shape of its output for that of its input",
  RNN: "a list of cells has no name in Keras's files",
};

/** Settings that Keras knows by the same name and in the same sense, whichever layer they are of. */
const SETTINGS = new Set(
  ("activation alpha axes axis center cropping data_format depth_multiplier dilation_rate dims dropout dtype epsilon " +
    "filters go_backwards input_dim interpolation kernel_size mask_value mask_zero max_value merge_mode momentum n name " +
    "noise_shape normalize offset output_dim padding pool_size rate recurrent_activation recurrent_dropout reset_after " +
    "return_sequences return_state scale seed shared_axes size stateful stddev strides trainable " +
    "unit_forget_bias units unroll use_bias").split(" "),
);
/** What tfjs says for itself alone. */
const DROPPED = new Set(["batch_input_shape", "implementation", "input_dtype", "ragged", "sparse"]);

const ACTIVATIONS = new Set(
  "elu gelu hard_sigmoid linear log_softmax mish relu relu6 selu sigmoid softmax softplus softsign swish tanh".split(
    " ",
  ),
);

/** What a layer is called, does and is made of in Keras's words; a layer that Keras computes otherwise throws. */
export function layerSettings(
  { class_name: className, config }: LayerJson,
  inputRank: number | undefined,
): Record<string, unknown> {
  const rule = ruleOf(className, config.name);
  const no = (reason: string) => NotInKeras.layer(className, config.name, reason);
  const reason = rule.refuse?.(config, inputRank);
  if (reason !== undefined) throw no(reason);
  if (config.data_format === "channels_first") throw no("its channels come first");
  for (const key of ["activation", "recurrent_activation"]) {
    const activation = config[key];
    if (activation === undefined || activation === null) continue;
    if (!ACTIVATIONS.has(activation as string)) throw no(`Keras has no activation "${activation}"`);
    const weights = key === "activation" ? rule.hardActivation : rule.hardRecurrent;
    if (activation === "hard_sigmoid" && weights === undefined) {
      throw no("Keras 3 computes hardSigmoid with a slope of 1/6, tfjs with one of 0.2");
    }
  }
  const settings: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(config)) {
    // Null stands for Keras's own default, but for "not merged".
    if ((value === null && key !== "merge_mode") || DROPPED.has(key)) continue;
    const name = rule.rename?.[key] === undefined ? key : rule.rename[key];
    if (name === null) continue;
    const part = /_(initializer|regularizer|constraint)$/.exec(key)?.[1];
    if (part !== undefined) {
      const known = partJson(part, value as LayerJson);
      if (known !== undefined) settings[name] = known;
    } else if (key === "target_shape") settings[name] = (value as (number | null)[]).map((size) => size ?? -1);
    else if (SETTINGS.has(key)) settings[name] = key === "axis" ? one(value) : value;
    else if (key !== "layer") throw no(`its setting "${key}" is not known here`);
  }
  return settings;
}

/** The weights that have to be scaled for a layer's `hardSigmoid`, in the two places where it can be. */
export function hardSigmoidWeights({ class_name: className, config }: LayerJson): HardSigmoidWeights | undefined {
  const { hardActivation, hardRecurrent } = ruleOf(className, config.name);
  if (config.activation === "hard_sigmoid") return hardActivation;
  return config.recurrent_activation === "hard_sigmoid" ? hardRecurrent : undefined;
}

function ruleOf(className: string, name: unknown): LayerRule {
  if (Object.hasOwn(LAYERS, className)) return LAYERS[className];
  throw NotInKeras.layer(
    className,
    name,
    LEFT_OUT[className] ?? "it is not among the layers that Keras is known to have",
  );
}

/** Names that all releases of Keras 3 know; of the rest Keras's own defaults do for weights that are there already. */
const PARTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  initializer: {
    Zeros: "Zeros",
    Ones: "Ones",
    Constant: "Constant",
    RandomNormal: "RandomNormal",
    RandomUniform: "RandomUniform",
    TruncatedNormal: "TruncatedNormal",
    VarianceScaling: "VarianceScaling",
    Orthogonal: "OrthogonalInitializer",
    Identity: "IdentityInitializer",
  },
  regularizer: { L1L2: "L1L2" },
  constraint: { MaxNorm: "MaxNorm", MinMaxNorm: "MinMaxNorm", NonNeg: "NonNeg", UnitNorm: "UnitNorm" },
};

function partJson(part: string, { class_name: className, config = {} }: LayerJson): unknown {
  const name = PARTS[part][className];
  if (name === undefined) return undefined;
  return { module: `keras.${part}s`, class_name: name, config, registered_name: null };
}

/** The only one of a list of one: Keras wants an axis as a number where there is one. */
function one(value: unknown): unknown {
  return Array.isArray(value) && value.length === 1 ? value[0] : value;
}
