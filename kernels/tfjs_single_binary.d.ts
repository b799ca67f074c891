/** The binary of tfjs-backend-wasm that makes a memory of its own, which no worker can share. */
export const ownMemory: WebAssembly.Module;
