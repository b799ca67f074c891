/** The binary of tfjs-backend-wasm that works on a shared memory handed to it. */
export const sharedMemory: WebAssembly.Module;
