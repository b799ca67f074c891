/** To be loaded before a program: a runtime that knows SIMD, but not the relaxed one. */
import { RELAXED_SIMD } from "../../../kernels/native_code.ts";

const { validate } = WebAssembly;
WebAssembly.validate = (bytes) => (bytes as Uint8Array).toBase64?.() !== RELAXED_SIMD && validate(bytes);
