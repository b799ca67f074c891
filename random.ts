/**
 * A number from 0 to 1, not 1 itself. It leaves `Math.random` alone, by which tfjs shuffles: a training that seeds it goes
 * the same way with and without tracking.
 */
export function random(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] / 2 ** 32;
}
