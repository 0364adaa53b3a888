/**
 * Pairs of a quasi-Newton metric in plain arrays. Every loop does what two neighbours of the recursion want, and is a function of its own:
 * V8 does not keep its code for long functions with loops.
 */

import type { VectorPairs } from "../../kernels/types.js";

export function plainPairs(size: number, count: number): VectorPairs {
  const all = Array.from({ length: count }, () => ({ move: new Float32Array(size), turn: new Float32Array(size) }));
  return {
    count,
    at: (k) => all[k],
    products: (k) => ({ curvature: product(all[k].move, all[k].turn), square: product(all[k].turn, all[k].turn) }),
    apply: (order, curvatures, scales, q) => {
      const moves = order.map((k) => all[k].move);
      const turns = order.map((k) => all[k].turn);
      const last = order.length - 1;
      const shares = new Float64Array(order.length);
      shares[last] = product(moves[last], q) / curvatures[last];
      for (let k = last; k > 0; k--)
        shares[k - 1] = addAndMultiply(-shares[k], turns[k], q, moves[k - 1]) / curvatures[k - 1];
      addMultiple(-shares[0], turns[0], q);
      scaleAll(curvatures[last] / scaledSquare(scales, turns[last]), scales, q);
      let share = product(turns[0], q);
      for (let k = 0; k < last; k++)
        share = addAndMultiply(shares[k] - share / curvatures[k], moves[k], q, turns[k + 1]);
      addMultiple(shares[last] - share / curvatures[last], moves[last], q);
    },
    dispose: () => undefined,
  };
}

/** a'b. */
function product(a: Float32Array, b: Float32Array | Float64Array): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let p = 0;
  for (; p + 3 < a.length; p += 4) {
    s0 += a[p] * b[p];
    s1 += a[p + 1] * b[p + 1];
    s2 += a[p + 2] * b[p + 2];
    s3 += a[p + 3] * b[p + 3];
  }
  for (; p < a.length; p++) s0 += a[p] * b[p];
  return s0 + s1 + (s2 + s3);
}

/** q += factor a. */
function addMultiple(factor: number, a: Float32Array, q: Float64Array): void {
  for (let p = 0; p < q.length; p++) q[p] += factor * a[p];
}

/** q += factor a; then b'q. */
function addAndMultiply(factor: number, a: Float32Array, q: Float64Array, b: Float32Array): number {
  let s0 = 0;
  let s1 = 0;
  let p = 0;
  for (; p + 1 < q.length; p += 2) {
    const first = q[p] + factor * a[p];
    const second = q[p + 1] + factor * a[p + 1];
    q[p] = first;
    q[p + 1] = second;
    s0 += b[p] * first;
    s1 += b[p + 1] * second;
  }
  if (p < q.length) {
    q[p] += factor * a[p];
    s0 += b[p] * q[p];
  }
  return s0 + s1;
}

/** q := factor scales q, entry by entry. */
function scaleAll(factor: number, scales: Float64Array, q: Float64Array): void {
  for (let p = 0; p < q.length; p++) q[p] *= factor * scales[p];
}

/** sum_p scales_p a_p^2. */
function scaledSquare(scales: Float64Array, a: Float32Array): number {
  let s0 = 0;
  let s1 = 0;
  let p = 0;
  for (; p + 1 < a.length; p += 2) {
    s0 += scales[p] * a[p] * a[p];
    s1 += scales[p + 1] * a[p + 1] * a[p + 1];
  }
  if (p < a.length) s0 += scales[p] * a[p] * a[p];
  return s0 + s1;
}
