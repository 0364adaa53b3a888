/** Minima by trying all points of a grid. */

const POINTS = 200_001;

/** The least value of f on equidistant points of [low, high], and where it is. */
export function leastOnGrid(
  f: (t: number) => number,
  low: number,
  high: number,
): { readonly value: number; readonly at: number } {
  let value = Number.POSITIVE_INFINITY;
  let at = low;
  for (let k = 0; k < POINTS; k++) {
    const t = low + ((high - low) * k) / (POINTS - 1);
    const here = f(t);
    if (here < value) [value, at] = [here, t];
  }
  return { value, at };
}
