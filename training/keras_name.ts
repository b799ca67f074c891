const METRICS_OF_TFJS = [
  "binaryAccuracy",
  "binaryCrossentropy",
  "categoricalAccuracy",
  "categoricalCrossentropy",
  "cosineProximity",
  "meanAbsoluteError",
  "meanAbsolutePercentageError",
  "meanSquaredError",
  "sparseCategoricalAccuracy",
  "sparseCategoricalCrossentropy",
];
const TFJS_NAME = new RegExp(`(^|_)(acc|${METRICS_OF_TFJS.join("|")})$`);

/** A metric's name as Keras writes it: `val_acc` is `val_accuracy`. An output's name before it stays as it is. */
export function kerasName(name: string): string {
  return name.replace(
    TFJS_NAME,
    (_all, before, metric) => before + (metric === "acc" ? "accuracy" : snakeCase(metric)),
  );
}

/** `learningRate` is `learning_rate`, `beta1` is `beta_1`. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]|\d+/g, (part) => `_${part.toLowerCase()}`);
}
