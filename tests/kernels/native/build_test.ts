import { assert } from "@std/assert";
import { jpegCode, missingCompiler, nativeCode, ZIGLANG } from "../../../kernels/native/build.ts";
import { gatedTest } from "../../support/gate.ts";

gatedTest({
  name: `kernels/native_code.ts is, byte for byte, what ziglang ${ZIGLANG} makes of kernels/native`,
  missing: await missingCompiler(),
  fn: async () => {
    const written = await Deno.readTextFile(new URL("../../../kernels/native_code.ts", import.meta.url));
    assert(written === await nativeCode(), "run deno run -A kernels/native/build.ts");
  },
});

gatedTest({
  name: `image/jpeg_code.ts is, byte for byte, what ziglang ${ZIGLANG} makes of image/native`,
  missing: await missingCompiler(),
  fn: async () => {
    const written = await Deno.readTextFile(new URL("../../../image/jpeg_code.ts", import.meta.url));
    assert(written === await jpegCode(), "run deno run -A kernels/native/build.ts");
  },
});
