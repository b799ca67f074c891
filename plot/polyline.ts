/**
 * The lines through points in logical pixels, broken where y is NaN: x and y one after the other in each.
 *
 * Where there are more points than the picture can show, each column keeps its first, lowest, highest and last, which
 * draws the same pixels.
 */
export function polylines(xs: readonly number[], ys: readonly number[], columnsPerPixel = 2): number[][] {
  const span = xs.length === 0 ? 0 : xs[xs.length - 1] - xs[0];
  const kept = xs.length > 4 * columnsPerPixel * (span + 1) ? extremes(xs, ys, columnsPerPixel) : xs.keys();
  const lines: number[][] = [];
  let line: number[] = [];
  for (const index of kept) {
    if (Number.isNaN(ys[index])) {
      if (line.length > 0) lines.push(line);
      line = [];
    } else line.push(xs[index], ys[index]);
  }
  if (line.length > 0) lines.push(line);
  return lines;
}

// Indices in order: of each column the extremes, or one NaN where it holds nothing else.
function extremes(xs: readonly number[], ys: readonly number[], columnsPerPixel: number): number[] {
  const kept: number[] = [];
  let start = 0;
  while (start < xs.length) {
    const column = Math.floor(xs[start] * columnsPerPixel);
    let end = start;
    let first = -1;
    let last = -1;
    let lowest = -1;
    let highest = -1;
    for (; end < xs.length && Math.floor(xs[end] * columnsPerPixel) === column; end++) {
      if (Number.isNaN(ys[end])) continue;
      if (first === -1) first = lowest = highest = end;
      if (ys[end] < ys[lowest]) lowest = end;
      if (ys[end] > ys[highest]) highest = end;
      last = end;
    }
    if (first === -1) kept.push(start);
    else kept.push(...new Set([first, lowest, highest, last].sort((a, b) => a - b)));
    start = end;
  }
  return kept;
}
