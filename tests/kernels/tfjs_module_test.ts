import { assertEquals, assertThrows } from "@std/assert";
import { MlflowError } from "../../errors.ts";
import { startTfjsModule } from "../../kernels/tfjs_module.ts";

Deno.test("what a kernel of tfjs-wasm complains of is an error, and what follows computes", async () => {
  const { module, memory } = await startTfjsModule();
  const { initWithThreadsCount, registerTensor } = module.tfjs as Record<string, (...values: number[]) => void>;
  initWithThreadsCount(1);
  const places = [1, 2].map((id) => {
    const place = module._malloc(16);
    registerTensor(id, 4, place);
    return place;
  });
  new Float32Array(memory.buffer, places[0], 4).set([-1, 2, -3, 4]);
  const abs = module.cwrap("Abs", null, ["number", "number", "number"]);
  const [float32, bool] = [0, 2];
  const error = assertThrows(() => abs(1, bool, 2), MlflowError);
  assertEquals(
    error.message,
    "Cannot compute on the wasm backend: Abs for tensor ids 1 failed. Unknown dtype 2 (INVALID_PARAMETER_VALUE)",
  );
  abs(1, float32, 2);
  assertEquals([...new Float32Array(memory.buffer, places[1], 4)], [1, 2, 3, 4]);
});
