/** The cone of a block, {Z : (2 D_1j - I) X z_j >= 0, (2 D_2 - I) sum_j s_j D_1j X z_j >= 0}, as rows of a matrix, and its middle. */

import { norm } from "../linear/vectors.js";
import { leastDistance } from "../optimalSet/index.js";
import type { Matrix } from "../types.js";
import type { Block, Piece } from "./branch.js";

/** The row [m d] of h_k = sum_j s_j D_1j x_k z_j. */
export function sumRow({ cols: d, data }: Matrix, pieces: readonly Piece[], k: number): Float64Array {
  const row = new Float64Array(pieces.length * d);
  pieces.forEach(({ on, sign }, j) => {
    if (on[k] === 1) for (let p = 0; p < d; p++) row[j * d + p] = sign * data[k * d + p];
  });
  return row;
}

/** Rows [walls x m d] of the cone; those that are zero everywhere say nothing and are left out. */
export function wallsOf(X: Matrix, { pieces, on }: Pick<Block, "pieces" | "on">): Matrix {
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
    const sums = sumRow(X, pieces, k);
    if (sums.some((value) => value !== 0)) walls.push(sums.map((value) => (2 * on[k] - 1) * value));
  }
  const all = new Float64Array(walls.length * size);
  walls.forEach((wall, i) => {
    all.set(wall, i * size);
  });
  return { rows: walls.length, cols: size, data: all };
}

/** The direction [m d] farthest from all walls; null where rounding finds none inside. */
export function middleOf(X: Matrix, block: Pick<Block, "pieces" | "on">): Float64Array | null {
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
