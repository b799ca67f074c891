// @ts-self-types="./tfjs_single_binary.d.ts"
// In a file of its own, so that it is loaded only where shared memory is refused.
import source ownMemory from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm";

export { ownMemory };
