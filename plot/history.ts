/** The values of one metric over the epochs. */
export interface Curve {
  readonly name: "training" | "validation";
  /** The epoch of each value, from 1. */
  readonly epochs: readonly number[];
  /** As many values; NaN and the infinities among them. */
  readonly values: readonly number[];
}

/** What a history looks like in either form, before anything in it is believed. */
interface Recorded {
  /** Epochs as tfjs counts them, from 0. */
  readonly epoch?: readonly number[];
  readonly series: Readonly<Record<string, ArrayLike<unknown>>>;
}

/**
 * The training and the validation curve of a metric: one of them, or both.
 *
 * @param validationFreq epochs from one validation to the next; without it a shorter series tells it by its length
 */
export function curvesOf(history: object, metric: string, validationFreq: number | undefined): Curve[] {
  const { epoch, series } = recorded(history);
  const find = (name: string): string | undefined => spellings(name).find((key) => Object.hasOwn(series, key));
  const training = find(metric);
  const validation = find(`val_${metric}`);
  if (training === undefined && validation === undefined) {
    const found = Object.keys(series).map((key) => `"${key}"`).join(", ") || "no metric at all";
    throw new TypeError(`Cannot draw training curves of "${metric}": the history holds ${found}`);
  }
  const count = Math.max(...[training, validation].map((key) => key === undefined ? 0 : series[key].length));
  const numbered = epoch?.length === count && epoch.every((value, index) => index === 0 || value > epoch[index - 1]);
  const every = Array.from({ length: count }, (_, index) => numbered ? epoch[index] + 1 : index + 1);
  const curves: Curve[] = [];
  if (training !== undefined) {
    const name = training.startsWith("val_") ? "validation" : "training";
    curves.push({ name, epochs: every, values: numbers(series[training], training) });
  }
  if (validation !== undefined) {
    const values = numbers(series[validation], validation);
    const step = validationFreq ?? stepOf(values.length, count);
    if (values.length * step > count) {
      throw new RangeError(
        `Cannot draw training curves of "${metric}": ${values.length} values of "${validation}", one every ${step} epochs, must fit into ${count} epochs`,
      );
    }
    curves.push({ name: "validation", epochs: values.map((_, k) => every[(k + 1) * step - 1]), values });
  }
  return curves;
}

function recorded(history: object): Recorded {
  const { epoch, history: inner } = history as { epoch?: unknown; history?: unknown };
  const isHistory = typeof inner === "object" && inner !== null && !isSeries(inner);
  const series = Object.entries(isHistory ? inner : history).filter(([, values]) => isSeries(values));
  return {
    epoch: isHistory && Array.isArray(epoch) ? epoch : undefined,
    series: Object.fromEntries(series),
  };
}

function isSeries(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

// tfjs says "acc" where Keras says "accuracy", also at the end of an output's name ("digit_acc").
function spellings(name: string): string[] {
  if (/(^|_)acc$/.test(name)) return [name, `${name}uracy`];
  return /(^|_)accuracy$/.test(name) ? [name, name.slice(0, -"uracy".length)] : [name];
}

function numbers(values: ArrayLike<unknown>, key: string): number[] {
  return Array.from(values, (value, index) => {
    if (typeof value === "number") return value;
    // JSON writes NaN as null.
    if (value === null || value === undefined) return NaN;
    throw new TypeError(
      `Cannot draw training curves of "${key}": value ${index} is no number; await history.syncData() if it is a tensor`,
    );
  });
}

// Keras validates at epochs k, 2k, … of `validation_freq: k`, which makes floor(count / k) values.
function stepOf(length: number, count: number): number {
  if (length === 0 || length >= count) return 1;
  const step = Math.floor(count / length);
  return Math.floor(count / step) === length ? step : 1;
}
