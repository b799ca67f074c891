import init from "canvaskit-wasm/full";
import type { CanvasKit } from "canvaskit-wasm";

let loading: Promise<CanvasKit> | undefined;

/**
 * The canvas engine, loaded once and only when it is first needed.
 *
 * It is the `/full` build: the default one encodes PNG alone, and MLflow's image log needs WebP.
 * Reading its `.wasm` file is the only permission it asks for.
 */
export function canvasKit(): Promise<CanvasKit> {
  // The package's default export is a function that its own types do not call one.
  return loading ??= (init as unknown as () => Promise<CanvasKit>)().catch((error) => {
    // What was refused now may be allowed later.
    loading = undefined;
    throw error;
  });
}
