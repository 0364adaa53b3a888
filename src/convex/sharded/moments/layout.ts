/** Where the sums of one fold stand. */

/** Numbers of the upper triangle of a [d x d] matrix, row by row. */
export function productsOf(d: number): number {
  return (d * (d + 1)) / 2;
}

/** Pairs (i, j), j <= i, of gates below `gates`: that of i and j is number i (i + 1) / 2 + j. */
export function pairsOf(gates: number): number {
  return (gates * (gates + 1)) / 2;
}

/** Numbers of all that is linear in A: n, y'y and 1'y [C each], A'1 [P x d], A'y [P x C x d]. */
export function momentsSize(gates: number, C: number, d: number): number {
  return 1 + 2 * C + gates * d * (1 + C);
}
