import { scaleLinear, scaleLog } from "d3-scale";

/** What is used of a scale of d3, which comes without types. */
interface NumericScale {
  (value: number): number;
  domain(): [number, number];
  domain(limits: readonly [number, number]): NumericScale;
  range(limits: readonly [number, number]): NumericScale;
  nice(count?: number): NumericScale;
  ticks(count: number): number[];
}

/** An axis: where a value stands, and the values that are written beside it. */
export interface Axis {
  /** The place of a value in logical pixels. */
  readonly place: (value: number) => number;
  readonly ticks: readonly Tick[];
}

/** A value written beside an axis. */
export interface Tick {
  readonly value: number;
  readonly label: string;
}

const MOST_COUNT_TICKS = 15;
// 1, 2, 5, 10, 20, … as far as whole numbers go.
const roundSteps = Array.from({ length: 16 }, (_, exponent) => [1, 2, 5].map((digit) => digit * 10 ** exponent)).flat();

/**
 * An axis of values from `low` to `high`, widened to round limits.
 *
 * @param range where its ends stand, in logical pixels
 * @param count about how many ticks there is room for
 */
export function linearAxis(
  [low, high]: readonly [number, number],
  range: readonly [number, number],
  count: number,
): Axis {
  const scale: NumericScale = scaleLinear().domain(padded(low, high)).nice(count).range(range);
  return { place: scale, ticks: labelled(scale.ticks(count)) };
}

/** The same on a logarithmic scale; both limits are above 0. */
export function logAxis([low, high]: readonly [number, number], range: readonly [number, number], count: number): Axis {
  const decades = Math.log10(high) - Math.log10(low);
  if (decades < 0.7) {
    const padding = low === high ? 2 : (high / low) ** 0.05;
    const limits: [number, number] = [low / padding, high * padding];
    const scale: NumericScale = scaleLog().domain(limits).range(range);
    return { place: scale, ticks: labelled((scaleLinear().domain(limits) as NumericScale).ticks(count)) };
  }
  const scale: NumericScale = scaleLog().domain([low, high]).nice().range(range);
  const [first, last] = scale.domain().map((limit) => Math.round(Math.log10(limit)));
  const stride = Math.ceil((last - first) / Math.max(2, count));
  const multiples = last - first <= 2 ? [1, 2, 5] : [1];
  const ticks: number[] = [];
  for (let exponent = Math.ceil(first / stride) * stride; exponent <= last; exponent += stride) {
    for (const multiple of multiples) {
      // Parsed and not computed: 10 ** -5 is not 0.00001.
      const value = Number(`${multiple}e${exponent}`);
      if (value <= Number(`1e${last}`)) ticks.push(value);
    }
  }
  const plain = first >= -4 && last <= 6;
  return {
    place: scale,
    ticks: ticks.map((value) => ({ value, label: plain ? grouped(String(value)) : scientific(value) })),
  };
}

/**
 * An axis of whole numbers from `first` to `last`, with `first` itself among its ticks.
 *
 * @param room width in logical pixels that a label takes at the least, with the gap to the next
 */
export function countAxis(
  [first, last]: readonly [number, number],
  range: readonly [number, number],
  room: (label: string) => number,
): Axis {
  const limits: [number, number] = first === last ? [first - 0.5, last + 0.5] : [first, last];
  const scale: NumericScale = scaleLinear().domain(limits).range(range);
  const widest = room(grouped(String(last)));
  const pixelsPerCount = (range[1] - range[0]) / (limits[1] - limits[0]);
  const nextMultiple = (step: number): number => Math.floor(first / step + 1) * step;
  const steps = roundSteps.filter((step) => {
    return step * pixelsPerCount >= widest && (last - first) / step <= MOST_COUNT_TICKS;
  });
  // A step whose first multiple collides with `first` leaves a hole there: the next one often does not.
  const clear = steps.slice(0, 2).find((step) => (nextMultiple(step) - first) * pixelsPerCount >= widest);
  const step = clear ?? steps[0];
  const ticks = [first];
  for (let value = nextMultiple(step); value <= last; value += step) {
    if ((value - first) * pixelsPerCount >= widest) ticks.push(value);
  }
  return { place: scale, ticks: ticks.map((value) => ({ value, label: grouped(String(value)) })) };
}

/** A whole number with commas: 12,345. */
export function grouped(digits: string): string {
  const [whole, fraction] = digits.replace("-", "−").split(".");
  const commas = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? commas : `${commas}.${fraction}`;
}

// A little room at either end, but none across 0 or, for shares such as an accuracy, above 1.
function padded(low: number, high: number): [number, number] {
  const magnitude = Math.max(Math.abs(low), Math.abs(high));
  // Numbers that have lost their precision: as good as 0.
  if (magnitude < 1e-300) return [-0.5, 0.5];
  // Below a billionth of the values a difference is noise of the floating point: a constant.
  if (high - low <= magnitude * 1e-9) {
    const padding = magnitude * 0.1;
    return [low - padding, high + padding];
  }
  const padding = (high - low) * 0.04;
  const top = high <= 1 && low >= 0 ? Math.min(1, high + padding) : high + padding;
  return [low >= 0 ? Math.max(0, low - padding) : low - padding, high <= 0 ? Math.min(0, top) : top];
}

// One form for all ticks of an axis: the same decimals, or the same power of ten.
function labelled(ticks: readonly number[]): Tick[] {
  const magnitude = Math.max(...ticks.map(Math.abs));
  const exponent = magnitude === 0 ? 0 : Math.floor(Math.log10(magnitude) + 1e-9);
  const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : magnitude || 1;
  const stepExponent = Math.floor(Math.log10(step) + 1e-9);
  const label = (value: number): string => {
    if (value === 0) return "0";
    if (exponent < 7 && stepExponent >= -5) return grouped(value.toFixed(Math.max(0, -stepExponent)));
    const mantissa = value / Number(`1e${exponent}`);
    return `${mantissa.toFixed(Math.min(15, Math.max(0, exponent - stepExponent)))}e${exponent}`.replaceAll("-", "−");
  };
  return ticks.map((value) => ({ value, label: label(value) }));
}

function scientific(value: number): string {
  return value.toExponential().replace("e+", "e").replace("-", "−");
}
