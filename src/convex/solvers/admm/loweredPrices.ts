/**
 * From a dual point N of a program with cones to one that no block prices above beta, to first order.
 *
 * The price of a block is |q|, q the projection of -+A_i' N onto its cone, and with u = q / |q| its gradient is -w, w = +-A_i u.
 * With the w as columns of W, N + T W m is nearest to N, in the product of T^-1, among the points whose linear prices are at
 * most beta, where m >= 0 minimises 1/2 m' W' T W m - m' (prices - beta). Alternating directions leave prices that are a few
 * percent too high, one here and one there, which would scale the whole of N down.
 */

import { boundedQuadratic } from "../../linear/boundedQuadratic.js";
import { norm } from "../../linear/vectors.js";
import { shrinkVectors } from "../activeBlocks.js";
import type { Setting } from "../solver.js";
import type { WorkingSet } from "../workingSet.js";

/** Blocks from this share of beta on are looked at: others may become dearer than beta on the way, and then the next time. */
const NEAR = 0.95;
/** Most of them, of one output: what a quadratic program solves in a moment. */
const MOST = 1500;
/** Exchanges of blocks between zero and more. */
const EXCHANGES = 50;
/** Relative, on the diagonal: two blocks may be the same on the data. */
const SHIFT = 1e-8;

/**
 * The new point; null where there are too many dear blocks, time is up, T is zero where they are or it leaves the domain of L*.
 * T [n x C] is a diagonal.
 */
export function lowerPrices(
  { program, products, kernels, memory, late }: Setting,
  working: WorkingSet,
  N: Float64Array, // [n x C]
  T: Float64Array,
): Float64Array | null {
  const { loss, beta, X } = program;
  const [n, C, d] = [loss.rows, loss.outputs, X.cols];
  const G = new Float64Array(working.slots * d);
  products.adjoint(
    N.map((value) => value / NEAR),
    C,
    working.gates,
    G,
  );
  const step = {
    program,
    working,
    centers: G.map(() => 0),
    projector: memory.judge,
    sigma: 1,
    spans: memory.spans,
    late,
  };
  const dear = shrinkVectors(step, G);
  if (dear === null) return null;
  const lowered = N.slice();
  for (let c = 0; c < C; c++) {
    const mine = Array.from(dear.slots.keys()).filter((k) => working.outputOf(dear.slots[k]) % C === c);
    const m = mine.length;
    if (m > MOST || late()) return null;
    const W = new Float64Array(m * n);
    const q = mine.map((k, i) => {
      const slot = dear.slots[k];
      const u = dear.vectors.slice(k * d, (k + 1) * d);
      const scale = working.signOf(slot) / norm(u);
      const position = Math.floor(working.outputOf(slot) / C);
      const row = W.subarray(i * n, (i + 1) * n);
      products.rows(
        working.gateOf(slot),
        u.map((value) => scale * value),
        1,
        row,
        position,
      );
      return beta - (NEAR * beta) / (1 - dear.shares[k]);
    });
    const TW = W.map((value, at) => value * T[(at % n) * C + c]);
    const S = new Float64Array(m * m);
    kernels.multiplyTransposed(W, TW, S, m, n, m);
    for (let i = 0; i < m; i++) S[i * m + i] *= 1 + SHIFT;
    const above = q.map((value) => value < 0);
    const sizes = boundedQuadratic(S, Float64Array.from(q), new Float64Array(m), above, kernels, EXCHANGES, late);
    if (sizes === null) return null;
    for (let i = 0; i < m; i++) for (let j = 0; j < n; j++) lowered[j * C + c] += sizes[i] * TW[i * n + j];
  }
  // A sign that has turned may lie outside the domain whatever the scale; what is a little too large does not.
  return Number.isFinite(loss.conjugate(lowered.map((value) => NEAR * value))) ? lowered : null;
}
