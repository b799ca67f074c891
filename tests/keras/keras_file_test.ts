import * as tf from "@tensorflow/tfjs";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { kerasFile } from "../../keras/keras_file.ts";
import { kerasNames } from "../../keras/model_config.ts";
import { type ModelLike, NotInKeras, type WeightLike } from "../../keras/tfjs_model.ts";
import { snakeCase } from "../../keras/weights.ts";
import { saveModel } from "../../models.ts";
import { onCpu } from "../kernels/cpu_and_wasm.ts";
import { kerasTest } from "../support/keras.ts";
import { catalog, randomInputs, refused } from "./catalog.ts";

/** How far what Keras predicts may be from what tfjs does. */
const TOLERANCE = 1e-5;

function values(weight: WeightLike): Float32Array {
  return (weight as unknown as tf.layers.Layer["weights"][number]).read().dataSync() as Float32Array;
}

function layersOf(model: tf.LayersModel): ModelLike {
  return model as unknown as ModelLike;
}

Deno.test("kerasFile() refuses what Keras lacks or computes otherwise, and names the layer", async (t) => {
  await onCpu(async () => {
    for (const { name, model, reason } of refused()) {
      await t.step(name, () => {
        const error = assertThrows(() => kerasFile(layersOf(model), values), NotInKeras);
        assertEquals(error.message, reason);
      });
    }
  });
});

Deno.test("kerasFile() refuses what does not fit into a file", async () => {
  await onCpu(() => {
    const model = tf.sequential({
      layers: Array.from({ length: 17 }, () => tf.layers.dense({ units: 1, useBias: false, inputShape: [1] })),
    });
    const quarter = new Float32Array(2 ** 26);
    const error = assertThrows(() => kerasFile(layersOf(model), () => quarter), NotInKeras);
    assertEquals(error.message, "its weights are 4.3 GiB, a Keras file holds 4 GiB");
  });
});

Deno.test("kerasFile() takes the model's own memory", async () => {
  await onCpu(() => {
    const model = tf.sequential({ layers: [tf.layers.dense({ units: 2, inputShape: [3] })] });
    const kernel = new Float32Array(6);
    const { pieces } = kerasFile(layersOf(model), ({ shape }) => shape.length === 2 ? kernel : new Float32Array(2));
    assert(pieces.some((piece) => piece.buffer === kernel.buffer));
  });
});

Deno.test("kerasNames() keeps names apart", () => {
  assertEquals([...kerasNames(["a/b", "a_b", "a:b", "_c", "d.e-f"]).values()], [
    "a_b_1",
    "a_b",
    "a_b_2",
    "layer_c",
    "d.e-f",
  ]);
});

Deno.test("snakeCase() writes classes as Keras does", () => {
  const names = [
    "Conv2DTranspose",
    "PReLU",
    "ConvLSTM2D",
    "ReLU",
    "GRU",
    "SimpleRNN",
    "LayerNormalization",
    "InputLayer",
  ];
  assertEquals(names.map(snakeCase), [
    "conv2d_transpose",
    "p_re_lu",
    "conv_lstm2d",
    "re_lu",
    "gru",
    "simple_rnn",
    "layer_normalization",
    "input_layer",
  ]);
});

kerasTest(
  "Keras predicts through MLflow what tfjs predicts, of each usual layer and of random graphs",
  async (mlflow, t) => {
    const cases = await onCpu(async () => {
      const list: { name: string; path: string; inputs: unknown[]; outputs: unknown[]; byPyfunc: boolean }[] = [];
      for (const entry of catalog()) {
        const path = join(mlflow.dir, `${list.length}`);
        await saveModel(entry.model, path);
        const inputs = randomInputs(entry);
        const predicted = entry.model.predict(inputs.length === 1 ? inputs[0] : inputs);
        const outputs = Array.isArray(predicted) ? predicted : [predicted];
        // MLflow makes one array of all outputs. It takes half a second a model: some do.
        const byPyfunc = outputs.length === 1 && list.length % 8 === 0;
        list.push({
          name: entry.name,
          path,
          inputs: inputs.map((tensor) => tensor.arraySync()),
          outputs: outputs.map((tensor) => tensor.arraySync()),
          byPyfunc,
        });
      }
      return list;
    });
    const differences = await mlflow.python<Record<string, number | string>>(
      `
    import os
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import mlflow
    import numpy as np

    def difference(found, wanted):
        found, wanted = np.asarray(found), np.array(wanted, dtype="float32")
        return float(np.max(np.abs(found - wanted))) if found.shape == wanted.shape else f"shape {found.shape}"

    def differences(case):
        names = mlflow.models.get_model_info(case["path"]).signature.inputs.input_names()
        arrays = [np.array(values, dtype="float32") for values in case["inputs"]]
        inputs = dict(zip(names, arrays)) if len(arrays) > 1 else arrays[0]
        model = mlflow.keras.load_model(case["path"])
        outputs = model(arrays if len(arrays) > 1 else arrays[0], training=False)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        if len(outputs) != len(case["outputs"]): return f"{len(outputs)} outputs"
        found = [difference(*pair) for pair in zip(outputs, case["outputs"])]
        if case["byPyfunc"]:
            found.append(difference(mlflow.pyfunc.load_model(case["path"]).predict(inputs), case["outputs"][0]))
        return max(found) if all(isinstance(one, float) for one in found) else str(found)

    result = {}
    for case in args:
        try:
            result[case["name"]] = differences(case)
        except Exception as error:
            result[case["name"]] = f"{type(error).__name__}: {error}"[:1000]
    `,
      cases,
      { timeout: 300_000 },
    );
    assert(cases.length >= 130);
    for (const { name } of cases) {
      await t.step(name, () => {
        const difference = differences[name];
        assert(typeof difference === "number" && difference <= TOLERANCE, `${difference}`);
      });
    }
  },
);
