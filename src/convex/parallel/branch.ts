/**
 * Parallel branches of three layers, q ((X W)_+ w)_+, by their blocks (Ergen and Pilanci 2021; Wang, Ergen and Pilanci 2022).
 *
 * A branch is m vectors z_j with signs s_j: h = sum_j s_j (X z_j)_+, output q (h)_+. Within a block - patterns D_1j of the hidden
 * neurons, D_2 of h, and q - its output is the linear map q D_2 sum_j s_j D_1j X z_j on the cone (2 D_1j - I) X z_j >= 0,
 * (2 D_2 - I) h >= 0.
 */

import { dotAt, norm } from "../linear/vectors.js";
import type { Matrix } from "../types.js";

/** What a branch is charged for: sum_j |z_j|, or |Z|_F. */
export type BranchCharge = "sum" | "frobenius";

/** A hidden neuron that a block has: the pattern of its rows, and the sign with which it enters. */
export interface Piece {
  readonly on: Uint8Array; // [n]
  readonly inner: Float64Array; // [d]: a direction off all rows that makes the pattern
  readonly sign: 1 | -1;
}

export interface Block {
  readonly pieces: readonly Piece[]; // m
  readonly on: Uint8Array; // [n]: the pattern D_2
  readonly sign: 1 | -1; // q
  /** [m x d], strictly inside its cone. */
  readonly inner: Float64Array;
}

/** A branch with its weights. */
export interface Branch {
  readonly Z: Float64Array; // [m x d]
  readonly signs: readonly (1 | -1)[]; // s_j
  readonly sign: 1 | -1; // q
}

/** h [n] of a branch, by its ReLUs. */
export function sumsOf({ rows: n, cols: d, data }: Matrix, { Z, signs }: Pick<Branch, "Z" | "signs">): Float64Array {
  const h = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    for (let j = 0; j < signs.length; j++) h[k] += signs[j] * Math.max(0, dotAt(data, k * d, Z, j * d, d));
  }
  return h;
}

/** Outputs [n] of a branch. */
export function branchOutputs(X: Matrix, branch: Branch): Float64Array {
  return sumsOf(X, branch).map((value) => branch.sign * Math.max(0, value));
}

export function chargeOf(charge: BranchCharge, Z: Float64Array, d: number): number {
  if (charge === "frobenius") return norm(Z);
  let sum = 0;
  for (let at = 0; at < Z.length; at += d) sum += Math.sqrt(dotAt(Z, at, Z, at, d));
  return sum;
}
