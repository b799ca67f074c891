/** To be loaded before a program: a runtime that gives no shared memory. */
const { Memory } = WebAssembly;
WebAssembly.Memory = class extends Memory {
  constructor(descriptor: WebAssembly.MemoryDescriptor) {
    if (descriptor.shared) throw new TypeError("no shared memory here");
    super(descriptor);
  }
};
