/**
 * What a branch can be worth at a dual point: max w'(h)_+ over branches of charge 1 whose neurons have given patterns, from both sides.
 *
 * Of the neurons above the first layer patterns are chosen (rowOptions.ts), so that the worth is the least of linear maps of what the second layer
 * has, c'h_i with c in a box, on a cone. By duality it is
 *   min over c, mu >= 0 of   max_j |r_j|  (charge sum_j |z_j|)   or   |r|  (charge |Z|_F),
 *   r_j = s_j X'D_1j c_i + X'(2 D_1j - I) mu_j,   i the neuron that j feeds,
 * and every c and mu bound it.
 */

import { dot, dotAt, norm } from "../../linear/vectors.js";
import type { Matrix } from "../../types.js";
import { type BranchCharge, chargeOf, type Piece } from "../branch.js";
import { sumRow } from "../cone.js";
import { boundedLeastSquares, type Columns } from "./boundedLeastSquares.js";
import { type Coefficients, coefficientsAt } from "./coefficients.js";
import { minimax } from "./minimax.js";

/** Rounds of the weights theta, which are cheap and mostly enough, before a barrier method decides. */
const ROUNDS = 25;
/** Both sides are as good as equal. */
const TIGHT = 1e-10;
/** Pieces keep this share of the weights, so that they can come back. */
const LEAST_WEIGHT = 1e-14;

export interface Price {
  readonly upper: number; // no branch of these patterns is worth more
  readonly lower: number; // the one at hand, by its linear map
  readonly Z: Float64Array; // [M x d]: the one at hand, of any length
  readonly c: readonly Float64Array[]; // [n] each: what `upper` was found with
}

/** Prices a tuple of pieces, until both sides differ by the share `tight`. With `enough` above 0 it ends early where the price is on one side of that. */
export function priceOf(
  X: Matrix,
  pieces: readonly Piece[],
  rows: Coefficients,
  charge: BranchCharge,
  enough: number,
  tight = TIGHT,
): Price {
  const m = pieces.length;
  const d = X.cols;
  const theta = new Float64Array(m).fill(charge === "sum" ? 1 / m : 1);
  let x: Float64Array | null = null;
  let best: Price = { upper: Number.POSITIVE_INFINITY, lower: 0, Z: new Float64Array(m * d), c: rows.base };
  for (let round = 0; ; round++) {
    const posed = columnsOf(X, pieces, rows, theta);
    const found = boundedLeastSquares(posed.columns, posed.g, posed.upper, x);
    x = found.x;
    const c = coefficientsAt(rows, found.x);
    const Z = new Float64Array(m * d); // z_j = theta_j r_j
    for (let j = 0; j < m; j++) {
      for (let p = 0; p < d; p++) Z[j * d + p] = Math.sqrt(theta[j]) * found.rest[j * d + p];
    }
    if (charge === "frobenius") return { upper: norm(found.rest), lower: norm(found.rest), Z, c };
    const lengths = Float64Array.from({ length: m }, (_, j) => Math.sqrt(dotAt(Z, j * d, Z, j * d, d)));
    const total = lengths.reduce((sum, length) => sum + length, 0);
    const lower = total === 0 ? 0 : lengths.reduce((sum, length, j) => sum + length ** 2 / theta[j], 0) / total;
    const upper = pieces.reduce((most, piece) => Math.max(most, pieceWorth(X, piece, c)), 0);
    if (upper < best.upper) best = { ...best, upper, c };
    if (lower > best.lower) best = { ...best, lower, Z };
    if (best.upper <= enough || (enough > 0 && best.lower > enough)) return best;
    if (best.upper - best.lower <= tight * best.upper || m === 1) return best;
    if (round >= ROUNDS) return byBarrier(X, pieces, rows, best, tight);
    for (let j = 0; j < m; j++) theta[j] = Math.max(LEAST_WEIGHT, lengths[j] / total);
  }
}

/** The better of what is known and what a barrier method finds. */
function byBarrier(X: Matrix, pieces: readonly Piece[], rows: Coefficients, known: Price, tight: number): Price {
  let best = known;
  const posed = columnsOf(X, pieces, rows, new Float64Array(pieces.length).fill(1));
  for (const { v, z } of minimax(posed.columns, posed.g, posed.upper, X.cols, tight)) {
    const c = coefficientsAt(rows, v);
    const upper = pieces.reduce((most, piece) => Math.max(most, pieceWorth(X, piece, c)), 0);
    const lower = worthOf(X, pieces, rows, z);
    if (upper < best.upper) best = { ...best, upper, c };
    if (lower > best.lower) best = { ...best, lower, Z: z };
  }
  return best;
}

/** The worth of Z, in its cone, per unit of charge: the least over the ranges of c. */
function worthOf(X: Matrix, pieces: readonly Piece[], { base, moves }: Coefficients, Z: Float64Array): number {
  const total = chargeOf("sum", Z, X.cols);
  let worth = 0;
  for (let k = 0; k < X.rows; k++) {
    const row = base.map((values) => values[k]);
    worth += dot(sumRow(X, pieces, row, k), Z);
  }
  for (const { row, factors, upper } of moves) {
    if (Number.isFinite(upper)) worth += Math.min(0, upper * dot(sumRow(X, pieces, factors, row), Z));
  }
  return total > 0 ? worth / total : 0;
}

/** min over mu >= 0 of |s X'D c + X'(2 D - I) mu|: the worth of one neuron (z)_+, |z| = 1, at coefficients c. */
export function pieceWorth(X: Matrix, piece: Piece, c: readonly Float64Array[]): number {
  const d = X.cols;
  const g = slopeOf(X, piece, c);
  const { length, data } = coneColumns(X, piece);
  const at = new Int32Array(length.length);
  const upper = new Float64Array(length.length).fill(Number.POSITIVE_INFINITY);
  return norm(boundedLeastSquares({ rows: d, at, length, data }, g, upper).rest);
}

/** s X'D c [d]. */
function slopeOf(
  { rows: n, cols: d, data }: Matrix,
  { on, sign, of }: Piece,
  c: readonly Float64Array[],
): Float64Array {
  const g = new Float64Array(d);
  for (let k = 0; k < n; k++) {
    if (on[k] === 1) for (let p = 0; p < d; p++) g[p] += sign * c[of][k] * data[k * d + p];
  }
  return g;
}

/** The rows (2 D - I) X of a pattern's cone, as columns. */
function coneColumns({ rows: n, cols: d, data }: Matrix, { on }: Piece): Pick<Columns, "length" | "data"> {
  const signed = new Float64Array(n * d);
  for (let k = 0; k < n; k++) {
    for (let p = 0; p < d; p++) signed[k * d + p] = (2 * on[k] - 1) * data[k * d + p];
  }
  return { length: new Int32Array(n).fill(d), data: signed };
}

/** Columns of x and then of each mu_j, entries of piece j times sqrt(theta_j). */
function columnsOf(X: Matrix, pieces: readonly Piece[], { base, moves }: Coefficients, theta: Float64Array) {
  const { rows: n, cols: d, data } = X;
  const size = pieces.length * d;
  const count = moves.length + pieces.length * n;
  const at = new Int32Array(count);
  const length = new Int32Array(count).fill(d).fill(size, 0, moves.length);
  const all = new Float64Array((moves.length + n) * size);
  const upper = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
  const g = new Float64Array(size);
  const roots = theta.map(Math.sqrt);
  moves.forEach((move, i) => {
    const row = sumRow(X, pieces, move.factors, move.row);
    all.set(
      row.map((value, p) => roots[Math.floor(p / d)] * value),
      i * size,
    );
    upper[i] = move.upper;
  });
  pieces.forEach((piece, j) => {
    g.set(
      slopeOf(X, piece, base).map((value) => roots[j] * value),
      j * d,
    );
    const first = moves.length + j * n;
    const behind = moves.length * size + j * n * d;
    for (let k = 0; k < n; k++) {
      at[first + k] = j * d;
      for (let p = 0; p < d; p++) all[behind + k * d + p] = roots[j] * (2 * piece.on[k] - 1) * data[k * d + p];
    }
  });
  return { columns: { rows: size, at, length, data: all }, g, upper };
}
