/** The cone of a block, {Z : (2 D_1j - I) X z_j >= 0, (2 D - I) h >= 0 for the neurons above}, as rows of a matrix, and its middle. */

import { norm } from "../linear/vectors.js";
import { leastDistance } from "../optimalSet/index.js";
import type { Matrix } from "../types.js";
import { type Block, type Branch, type Piece, sumsOf } from "./branch.js";

/** What the neurons of layers 2, .., L - 1 have on row k, as factors of what those of the second layer have. */
export function factorsOf(above: Block["above"], k: number): Float64Array[][] {
  const [second] = above;
  let below = second.map((_, i) => Float64Array.from(second, (_, j) => Number(i === j)));
  return above.map((layer, l) => {
    if (l === 0) return below;
    const fanIn = below.length / layer.length;
    const sums = layer.map(() => new Float64Array(second.length));
    below.forEach((factors, j) => {
      const { on, sign } = above[l - 1][j];
      const into = sums[Math.floor(j / fanIn)];
      if (on[k] === 1) for (let i = 0; i < into.length; i++) into[i] += sign * factors[i];
    });
    below = sums;
    return sums;
  });
}

/** Patterns of the neurons above the first layer of a branch that lies off all walls. */
export function patternsAbove(X: Matrix, branch: Branch): Block["above"] {
  return sumsOf(X, branch).map((layer, l) =>
    layer.map((h, i) => ({ on: Uint8Array.from(h, (value) => Number(value >= 0)), sign: branch.signs[l + 1][i] })),
  );
}

/** The row [M d] of sum_i f_i h_ik, h_ik = sum_j s_j D_1j x_k z_j being what neuron i of the second layer has. */
export function sumRow(
  { cols: d, data }: Matrix,
  pieces: readonly Piece[],
  f: ArrayLike<number>,
  k: number,
): Float64Array {
  const row = new Float64Array(pieces.length * d);
  pieces.forEach(({ on, sign, of }, j) => {
    if (on[k] === 1) for (let p = 0; p < d; p++) row[j * d + p] = f[of] * sign * data[k * d + p];
  });
  return row;
}

/** Rows [walls x M d] of the cone; those that are zero everywhere say nothing and are left out. */
export function wallsOf(X: Matrix, { pieces, above }: Pick<Block, "pieces" | "above">): Matrix {
  const { rows: n, cols: d, data } = X;
  const size = pieces.length * d;
  const walls: Float64Array[] = [];
  for (let k = 0; k < n; k++) {
    const row = data.subarray(k * d, (k + 1) * d);
    if (row.every((value) => value === 0)) continue;
    pieces.forEach((piece, j) => {
      const wall = new Float64Array(size);
      for (let p = 0; p < d; p++) wall[j * d + p] = (2 * piece.on[k] - 1) * row[p];
      walls.push(wall);
    });
    factorsOf(above, k).forEach((layer, l) => {
      layer.forEach((factors, i) => {
        const sums = sumRow(X, pieces, factors, k);
        if (sums.some((value) => value !== 0)) walls.push(sums.map((value) => (2 * above[l][i].on[k] - 1) * value));
      });
    });
  }
  const all = new Float64Array(walls.length * size);
  walls.forEach((wall, i) => {
    all.set(wall, i * size);
  });
  return { rows: walls.length, cols: size, data: all };
}

/** The direction [M d] farthest from all walls; null where rounding finds none inside. */
export function middleOf(X: Matrix, block: Pick<Block, "pieces" | "above">): Float64Array | null {
  const walls = wallsOf(X, block);
  const { rows, cols, data } = walls;
  const lengths = Float64Array.from({ length: rows }, (_, i) => norm(data.subarray(i * cols, (i + 1) * cols)));
  const found = leastDistance(new Float64Array(cols), walls, lengths);
  if (found === null) return null;
  const length = norm(found);
  const middle = found.map((value) => value / length);
  for (let i = 0; i < rows; i++) {
    let slack = 0;
    for (let p = 0; p < cols; p++) slack += data[i * cols + p] * middle[p];
    if (!(slack > 0)) return null;
  }
  return middle;
}
