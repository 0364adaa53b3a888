/**
 * A partial Cholesky factor of a Newton system's curvature, S = sum_i w_i D_i K D_i + Y'Y ~ F F', from a few of its columns.
 *
 * Pivots are drawn by the diagonal that is left, over that of T: blocks of randomly pivoted Cholesky (Chen, Epperly, Tropp and
 * Webber 2023, algorithm 4), whose T + F F' is the preconditioner of Diaz, Epperly, Frangella, Tropp and Webber (2023,
 * section 2). An entry of S costs d + #gates + #rows multiplications, so that S is never made.
 */

import type { GatedColumns, GatedProducts, GrowingRows, Kernels } from "../../kernels/types.js";
import { unpackPattern } from "../../linear/bits.js";
import { uniformSource } from "../../linear/random.js";
import { whereRoom } from "../../linear/whereRoom.js";
import type { GateSet, Matrix } from "../../types.js";

/** Columns that are drawn together. */
const BLOCK = 64;
/** Added to the block of pivots, relative to its trace: repeated rows make it singular. */
const SHIFT = 1e-12;
/** What is left of the trace, relative to T, at which nothing more is worth a column: eigenvalues of T^-1 S are then below it. */
const LEFT = 1;

/** Diagonals of S up to so many times T lose less than T to float32; beyond these sizes it has no room for products. */
const ROUGH_SHARE = 1e4;
const ROUGH_MOST = 1e30;

/** Columns that a factor has at least, and entries that it has at most (256 MB). */
export const LEAST_RANK = 64;
export const MAX_ENTRIES = 2 ** 25;

/** Multiplications that a factor of this rank takes, with as many terms as gates and rows together. */
export function sketchCost(rank: number, n: number, d: number, terms: number): number {
  return n * rank * (d + terms + rank);
}

/** The least rank, doubled as long as that `fits`. */
export function largestRank(fits: (rank: number) => boolean): number {
  let rank = LEAST_RANK;
  while (fits(2 * rank)) rank *= 2;
  return rank;
}

/** A positive semidefinite S [n x n] that is never made. */
export interface Hidden extends Pick<GatedColumns, "columns"> {
  readonly diagonal: Float64Array; // [n]; says where columns are worth most, so that a guess will do
}

/** S, by its parts. */
export interface Curvature {
  readonly X: Matrix;
  readonly gates: GateSet;
  readonly list: Int32Array; // gates with a whole Gram matrix
  readonly weights: Float64Array; // of them
  readonly rows: Float64Array; // Y [m x n]
  readonly rowCount: number; // m
}

/** S as what hides behind its parts. */
export function hiddenCurvature(
  parts: Curvature,
  n: number,
  { kernels, products }: { readonly kernels: Kernels; readonly products: GatedProducts },
): Hidden {
  const { X, gates, list, weights, rows: Y, rowCount: m } = parts.X.cols === 1 ? rowsOnly(parts, n, products) : parts;
  const d = X.cols;
  const a = list.length;
  const masks = new Float64Array(a * n);
  const diagonal = new Float64Array(n);
  for (let i = 0; i < a; i++) {
    const mask = masks.subarray(i * n, (i + 1) * n);
    unpackPattern(gates, list[i], Math.sqrt(weights[i]), mask);
    for (let j = 0; j < n; j++) diagonal[j] += mask[j] * mask[j];
  }
  timesSquaredRows(diagonal, X);
  for (let k = 0; k < m; k++) for (let j = 0; j < n; j++) diagonal[j] += Y[k * n + j] ** 2;
  const other = new Float64Array(BLOCK * n);
  return {
    diagonal,
    columns(pivots, out) {
      const b = pivots.length;
      const data = new Float64Array(b * d);
      pivots.forEach((j, s) => {
        data.set(X.data.subarray(j * d, (j + 1) * d), s * d);
      });
      kernels.multiplyTransposed(data, X.data, out, b, d, n);
      kernels.multiply(columnsAt(masks, a, n, pivots), masks, other, b, a, n);
      for (let k = 0; k < b * n; k++) out[k] *= other[k];
      if (m === 0) return;
      kernels.multiply(columnsAt(Y, m, n, pivots), Y, other, b, m, n);
      for (let k = 0; k < b * n; k++) out[k] += other[k];
    },
  };
}

/** The diagonal of sum_i w_i D_i K D_i, of the sums of the weights of the masks that are open at each row; in place. */
export function timesSquaredRows(sums: Float64Array, { cols: d, data }: Matrix): void {
  for (let j = 0; j < sums.length; j++) {
    let square = 0;
    for (let p = j * d; p < (j + 1) * d; p++) square += data[p] ** 2;
    sums[j] *= square;
  }
}

/** With one column D_i K D_i has rank one: a row is all of it, and where the gate stands for a hidden unit it has no mask. */
function rowsOnly(parts: Curvature, n: number, products: GatedProducts): Curvature {
  const { list, weights } = parts;
  const rows = new Float64Array((list.length + parts.rowCount) * n);
  list.forEach((gate, k) => {
    products.rows(gate, Float64Array.of(Math.sqrt(weights[k])), 1, rows.subarray(k * n, (k + 1) * n));
  });
  rows.set(parts.rows, list.length * n);
  return { ...parts, list: new Int32Array(0), rows, rowCount: list.length + parts.rowCount };
}

/** Rows F' [r x n], r <= rank, of a factor S ~ F F'; T [n] says where S matters. Fewer when it is `late`. */
export function partialCholesky(
  { diagonal, columns }: Hidden,
  T: Float64Array,
  rank: number,
  kernels: Kernels,
  late: () => boolean = () => false,
): { rows: Float64Array; rowCount: number } {
  const n = T.length;
  const uniform = uniformSource(1);
  const left = diagonal.slice(); // of S - F F'
  const F = new Float64Array(rank * n);
  let r = 0;
  const rough = T.every((t, j) => diagonal[j] <= Math.min(ROUGH_SHARE * t, ROUGH_MOST) && t >= 1 / ROUGH_MOST);
  const gram = new Float64Array(BLOCK * n);
  const held = whereRoom(() => kernels.growing?.(n, rank)) ?? growingHere(F, n, kernels);
  try {
    while (r < rank && !late()) {
      const pivots = draw(left, T, Math.min(BLOCK, rank - r), uniform);
      const b = pivots.length;
      if (b === 0) break;
      columns(pivots, gram);
      if (r > 0) held.subtract(columnsAt(F, r, n, pivots), gram, b, rough);
      if (!divideByFactor(gram, pivots, n, F.subarray(r * n), kernels)) break;
      let rest = 0;
      for (let j = 0; j < n; j++) {
        for (let s = r; s < r + b; s++) left[j] -= F[s * n + j] ** 2;
        left[j] = Math.max(0, left[j]);
        rest += left[j] / T[j];
      }
      for (const j of pivots) left[j] = 0;
      held.add(F.subarray(r * n, (r + b) * n));
      r += b;
      if (rest <= LEFT) break;
    }
  } finally {
    held.dispose();
  }
  return { rows: F.subarray(0, r * n), rowCount: r };
}

/** Rows that are in F already, multiplied by an engine that does not hold them. */
function growingHere(F: Float64Array, n: number, kernels: Kernels): GrowingRows {
  return {
    add: () => undefined,
    subtract: (A, G, m) => {
      const outer = new Float64Array(m * n);
      kernels.multiply(A, F, outer, m, A.length / m, n);
      for (let k = 0; k < m * n; k++) G[k] -= outer[k];
    },
    dispose: () => undefined,
  };
}

/** Distinct rows drawn with probabilities left / T. */
function draw(left: Float64Array, T: Float64Array, count: number, uniform: () => number): number[] {
  const sums = new Float64Array(left.length);
  let total = 0;
  for (let j = 0; j < left.length; j++) {
    total += left[j] / T[j];
    sums[j] = total;
  }
  const drawn = new Set<number>();
  if (!(total > 0) || !Number.isFinite(total)) return [];
  for (let k = 0; k < count; k++) {
    const goal = total * uniform();
    let low = 0;
    let high = sums.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] <= goal) low = middle + 1;
      else high = middle;
    }
    drawn.add(low);
  }
  return [...drawn].sort((a, b) => a - b);
}

/** Columns of M [k x n] at the pivots, as rows [b x k]. */
function columnsAt(M: Float64Array, k: number, n: number, pivots: readonly number[]): Float64Array {
  const out = new Float64Array(pivots.length * k);
  for (let i = 0; i < k; i++) for (let s = 0; s < pivots.length; s++) out[s * k + i] = M[i * n + pivots[s]];
  return out;
}

/** out [b x n] := R^-1 G, R R' being the pivots' block of G [b x n]. */
function divideByFactor(
  G: Float64Array,
  pivots: readonly number[],
  n: number,
  out: Float64Array,
  kernels: Kernels,
): boolean {
  const b = pivots.length;
  const R = columnsAt(G, b, n, pivots);
  let trace = 0;
  for (let s = 0; s < b; s++) trace += R[s * b + s];
  for (let s = 0; s < b; s++) R[s * b + s] += SHIFT * trace;
  if (!(trace > 0) || !kernels.factor(R, b)) return false;
  const inverse = new Float64Array(b * b);
  for (let c = 0; c < b; c++) {
    inverse[c * b + c] = 1 / R[c * b + c];
    for (let s = c + 1; s < b; s++) {
      let sum = 0;
      for (let k = c; k < s; k++) sum += R[s * b + k] * inverse[k * b + c];
      inverse[s * b + c] = -sum / R[s * b + s];
    }
  }
  kernels.multiply(inverse, G, out, b, b, n);
  return true;
}
