/**
 * Parallel branches of L layers by their blocks (Ergen and Pilanci 2021; Wang, Ergen and Pilanci 2022): of three layers q ((X W)_+ w)_+.
 *
 * A branch is a tree of neurons: m_1 of the first layer feed each of the second, m_2 of these each of the third, one neuron of layer L - 1 all. A
 * neuron of the first layer is a vector z_j, the product of the weights on its way up, of which the signs s alone are left: h = sum_j s_j (X z_j)_+
 * in the second layer, sums of s (h)_+ above, output q (h)_+. Within a block - patterns D of all neurons, their signs, q - outputs are linear in Z
 * on the cone (2 D_1j - I) X z_j >= 0, (2 D - I) h >= 0.
 */

import { dotAt, norm } from "../linear/vectors.js";
import type { Matrix } from "../types.js";

/** What a branch is charged for: sum_j |z_j|, or |Z|_F. */
export type BranchCharge = "sum" | "frobenius";

export type Sign = 1 | -1;

/** A neuron that a block has: the pattern of its rows, and the sign with which it enters the layer above. */
export interface Neuron {
  readonly on: Uint8Array; // [n]
  readonly sign: Sign;
}

/** One of the first layer. */
export interface Piece extends Neuron {
  readonly inner: Float64Array; // [d]: a direction off all rows that makes the pattern
  readonly of: number; // the neuron of the second layer that it feeds
}

export interface Block {
  readonly pieces: readonly Piece[]; // M = m_1 .. m_L-2
  /** Layers 2, .., L - 1, of which each feeds the next in equal parts, the last one neuron with the sign q. */
  readonly above: readonly (readonly Neuron[])[];
  /** [M x d], strictly inside its cone. */
  readonly inner: Float64Array;
}

/** A branch with its weights. */
export interface Branch {
  readonly Z: Float64Array; // [M x d]
  readonly signs: readonly (readonly Sign[])[]; // of layers 1, .., L - 1
}

/** Neurons of layers 1, .., L - 2 of so many branches. */
export function widthsOf(hidden: readonly number[], branches = 1): number[] {
  return hidden.map((_, l) => hidden.slice(l).reduce((all, m) => all * m, branches));
}

/** Tails of a branch, the ways up behind the first layer; where branches are trees, its neurons of the second layer. */
export function tailCount(hidden: readonly number[]): number {
  return hidden.slice(1).reduce((all, m) => all * m, 1);
}

/** What the neurons of layers 2, .., L - 1 have before their ReLUs, [n] each. */
export function sumsOf({ rows: n, cols: d, data }: Matrix, { Z, signs }: Branch): Float64Array[][] {
  let below = signs[0].map((_, j) => Float64Array.from({ length: n }, (_, k) => dotAt(data, k * d, Z, j * d, d)));
  return signs.slice(1).map((layer, l) => {
    const fanIn = below.length / layer.length;
    const sums = layer.map(() => new Float64Array(n));
    below.forEach((values, j) => {
      const into = sums[Math.floor(j / fanIn)];
      for (let k = 0; k < n; k++) into[k] += signs[l][j] * Math.max(0, values[k]);
    });
    below = sums;
    return sums;
  });
}

/** Outputs [n] of a branch. */
export function branchOutputs(X: Matrix, branch: Branch): Float64Array {
  const [h] = sumsOf(X, branch)[branch.signs.length - 2];
  const [q] = branch.signs[branch.signs.length - 1];
  return h.map((value) => q * Math.max(0, value));
}

export function chargeOf(charge: BranchCharge, Z: Float64Array, d: number): number {
  if (charge === "frobenius") return norm(Z);
  let sum = 0;
  for (let at = 0; at < Z.length; at += d) sum += Math.sqrt(dotAt(Z, at, Z, at, d));
  return sum;
}
