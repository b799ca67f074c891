import type { DataEntry, TensorInfo, WasmBackend } from "./wasm_backend.ts";

/** A result that is not computed before it is read: the next kernel may compute it and its own in one go. */
export interface Deferral {
  /** What kind of result this is, for the kernel that comes next. */
  readonly kind: string;
  /** What it is computed from, as {@linkcode asItIs} gives it; held until it is computed or given up. */
  readonly sources: readonly TensorInfo[];
  /** Computes it to a place on the heap. */
  compute(place: number): void;
}

interface DeferredEntry extends DataEntry {
  deferral?: Deferral;
}

/** The table of data of tfjs's `BackendWasm`, and its members that read it, some of them private to its types. */
interface BackendInternals {
  readonly dataIdMap: {
    get(dataId: object): DeferredEntry | undefined;
    set(dataId: object, entry: DeferredEntry): void;
    has(dataId: object): boolean;
    delete(dataId: object): boolean;
  };
  dataIdNextNumber: number;
  readonly wasm: {
    _malloc(bytes: number): number;
    _free(place: number): void;
    readonly tfjs: { registerTensor(id: number, size: number, place: number): void };
  };
  incRef(dataId: object): void;
  refCount(dataId: object): number;
  typedArrayFromHeap(tensor: TensorInfo): Float32Array | Int32Array | Uint8Array;
  disposeData(dataId: object, force?: boolean): boolean;
}

/** A tensor as it is now: a variable has other data once it is assigned to. */
export function asItIs({ dataId, shape, dtype }: TensorInfo): TensorInfo {
  return { dataId, shape, dtype };
}

/**
 * Results that wait to be computed, on a backend whose table of data is watched: whoever looks a result up finds it
 * computed. A training's forward pass makes many that nobody looks up, a convolution without its bias for one.
 */
export class DeferredData {
  readonly #backend: BackendInternals;
  readonly #waiting = new Map<object, DeferredEntry>();
  readonly #lookUp: (dataId: object) => DeferredEntry | undefined;

  constructor(backend: WasmBackend) {
    const internals = backend as unknown as BackendInternals;
    this.#backend = internals;
    this.#lookUp = internals.dataIdMap.get.bind(internals.dataIdMap);
    const dispose = internals.disposeData.bind(internals);
    internals.dataIdMap.get = (dataId) => {
      const entry = this.#lookUp(dataId);
      if (entry?.deferral !== undefined) this.#compute(dataId, entry);
      return entry;
    };
    internals.incRef = (dataId) => {
      const entry = this.#lookUp(dataId);
      if (entry !== undefined) entry.refCount++;
    };
    internals.refCount = (dataId) => {
      // data that moves to another backend takes this count along, and those that wait for it stay here
      this.#computeWhere(({ sources }) => sources.some((source) => source.dataId === dataId));
      return this.#lookUp(dataId)?.refCount ?? 0;
    };
    const view = internals.typedArrayFromHeap.bind(internals);
    internals.typedArrayFromHeap = (tensor) => {
      // it looks at the heap first, which is another buffer if computing the data makes it grow
      internals.dataIdMap.get(tensor.dataId);
      return view(tensor);
    };
    internals.disposeData = (dataId, force = false) => {
      const entry = this.#lookUp(dataId);
      if (entry?.deferral === undefined) {
        // data that goes away by force, to another backend, may be what others wait to be computed from
        if (force) this.#computeWhere(() => true);
        return dispose(dataId, force);
      }
      if (--entry.refCount > 0 && !force) return false;
      internals.dataIdMap.delete(dataId);
      this.#release(dataId, entry);
      return true;
    };
  }

  /** A new tensor that is computed when it is first read. */
  defer(shape: number[], deferral: Deferral): TensorInfo {
    const id = this.#backend.dataIdNextNumber++;
    const dataId = { id };
    for (const source of deferral.sources) this.#backend.incRef(source.dataId);
    const entry: DeferredEntry = { id, memoryOffset: null, shape, dtype: "float32", refCount: 1, deferral };
    this.#backend.dataIdMap.set(dataId, entry);
    this.#waiting.set(dataId, entry);
    return { dataId, shape, dtype: "float32" };
  }

  /** What a tensor waits for; undefined once it is computed. */
  of(tensor: TensorInfo): Deferral | undefined {
    return this.#lookUp(tensor.dataId)?.deferral;
  }

  #compute(dataId: object, entry: DeferredEntry): void {
    const { wasm } = this.#backend;
    const size = entry.shape.reduce((product, length) => product * length, 1);
    const place = wasm._malloc(size * 4) >>> 0;
    try {
      entry.deferral!.compute(place);
    } catch (error) {
      wasm._free(place);
      throw error;
    }
    wasm.tfjs.registerTensor(entry.id, size, place);
    entry.memoryOffset = place;
    this.#release(dataId, entry);
  }

  #computeWhere(condition: (deferral: Deferral) => boolean): void {
    for (const [dataId, entry] of this.#waiting) {
      if (entry.deferral !== undefined && condition(entry.deferral)) this.#compute(dataId, entry);
    }
  }

  #release(dataId: object, entry: DeferredEntry): void {
    const { sources } = entry.deferral!;
    entry.deferral = undefined;
    this.#waiting.delete(dataId);
    for (const source of sources) this.#backend.disposeData(source.dataId);
  }
}
