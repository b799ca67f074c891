let lastTime = 0;

/**
 * The time of a value that is also a model's, in milliseconds since the Unix epoch: `now`, or the next millisecond that
 * was not given before. A model can have one value of a metric at one step and time, and values come faster than that.
 */
export function distinctTime(now: number): number {
  lastTime = Math.max(now, lastTime + 1);
  return lastTime;
}
