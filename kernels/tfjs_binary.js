// @ts-self-types="./tfjs_binary.d.ts"
// A file of JavaScript because TypeScript does not know source phase imports, which need no permission to read.
import source sharedMemory from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm";

export { sharedMemory };
