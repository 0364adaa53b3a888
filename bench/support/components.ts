/** Principal components of a data matrix, by subspace iteration on the Gram matrix of its rows. */

import type { Kernels } from "../../src/convex/kernels/index.js";
import { gaussianSource } from "../../src/convex/linear/random.js";
import type { Matrix } from "../../src/convex/types.js";

const ROUNDS = 30;
const SPARE = 20; // further vectors in the subspace: the last component wanted then converges like the others

/**
 * Scores [n x count] of the centred rows on their leading components, largest first; the columns are orthogonal. Their signs
 * mean nothing.
 */
export function principalScores(X: Matrix, count: number, kernels: Kernels): Matrix {
  const { rows: n, cols: d } = X;
  const centred = centre(X);
  const K = new Float64Array(n * n);
  kernels.multiplyTransposed(centred, centred, K, n, d, n);
  const size = Math.min(n, count + SPARE);
  let Q = Float64Array.from({ length: size * n }, gaussianSource(1)); // [size x n], rows orthonormal from here on
  orthonormalise(Q, size, n);
  const next = new Float64Array(size * n);
  for (let round = 0; round < ROUNDS; round++) {
    kernels.multiply(Q, K, next, size, n, n);
    Q = Float64Array.from(next);
    orthonormalise(Q, size, n);
  }
  // Rows of Q are now close to eigenvectors, the largest first: Gram-Schmidt in that order keeps them apart.
  kernels.multiply(Q, K, next, size, n, n);
  const scores = new Float64Array(n * count);
  for (let i = 0; i < count; i++) {
    let value = 0;
    for (let k = 0; k < n; k++) value += Q[i * n + k] * next[i * n + k];
    for (let k = 0; k < n; k++) scores[k * count + i] = Q[i * n + k] * Math.sqrt(Math.max(0, value));
  }
  return { rows: n, cols: count, data: scores };
}

function centre({ rows: n, cols: d, data }: Matrix): Float64Array {
  const means = new Float64Array(d);
  for (let k = 0; k < n; k++) for (let p = 0; p < d; p++) means[p] += data[k * d + p] / n;
  return data.map((value, k) => value - means[k % d]);
}

/** Gram-Schmidt on the rows of Q [size x n], twice. */
function orthonormalise(Q: Float64Array, size: number, n: number): void {
  for (let i = 0; i < size; i++) {
    const row = Q.subarray(i * n, (i + 1) * n);
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < i; j++) {
        const other = Q.subarray(j * n, (j + 1) * n);
        let product = 0;
        for (let k = 0; k < n; k++) product += row[k] * other[k];
        for (let k = 0; k < n; k++) row[k] -= product * other[k];
      }
    }
    let square = 0;
    for (const value of row) square += value * value;
    const length = Math.sqrt(square);
    if (length > 0) for (let k = 0; k < n; k++) row[k] /= length;
  }
}
