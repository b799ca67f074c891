/** The small convolutional network that the examples train. */
import type * as TF from "@tensorflow/tfjs";

/** What the network is made for. */
export interface ModelOptions {
  /** Pixels on each side of an image. */
  readonly size: number;
  /** 1 for grayscale, 3 for colour. */
  readonly channels: number;
  readonly classes: number;
  readonly learningRate: number;
  /** Of the first weights and of what dropout drops. */
  readonly seed: number;
}

/** Pixels of 0 to 255 in, a probability for each class out; compiled for labels that are whole numbers. */
export function buildModel(tf: typeof TF, options: ModelOptions): TF.Sequential {
  const { size, channels, classes, learningRate, seed } = options;
  let next = seed;
  const kernelInitializer = () => tf.initializers.glorotUniform({ seed: next++ });
  const model = tf.sequential({ name: "classifier" });
  model.add(tf.layers.rescaling({ scale: 1 / 255, inputShape: [size, size, channels] }));
  let side = size;
  for (let filters = 16; filters <= 64 && (filters <= 32 || side > 16) && side >= 4; filters *= 2) {
    model.add(
      tf.layers.conv2d({
        filters,
        kernelSize: 5,
        padding: "same",
        activation: "relu",
        kernelInitializer: kernelInitializer(),
      }),
    );
    model.add(tf.layers.maxPooling2d({ poolSize: 2 }));
    side = Math.floor(side / 2);
  }
  model.add(tf.layers.flatten());
  model.add(tf.layers.dropout({ rate: 0.5, seed: next++ }));
  model.add(tf.layers.dense({ units: 128, activation: "relu", kernelInitializer: kernelInitializer() }));
  model.add(tf.layers.dropout({ rate: 0.3, seed: next++ }));
  model.add(tf.layers.dense({ units: classes, activation: "softmax", kernelInitializer: kernelInitializer() }));
  model.compile({
    optimizer: tf.train.adam(learningRate),
    loss: "sparseCategoricalCrossentropy",
    metrics: ["accuracy"],
  });
  return model;
}
