/** Elementwise losses: one scalar function an entry, and the wrapper that binds it to targets and sample weights. */

import type { Loss, LossTerms, Matrix } from "../types.js";

/** A convex function l(z; y) of one prediction, without the weight of its entry. */
export interface ScalarLoss {
  readonly name: Exclude<LossTerms["kind"], "categoricalCrossentropy">;
  /** Lipschitz constant of the derivative; Infinity with kinks. */
  readonly curvature: number;
  value(z: number, y: number): number;
  /** A (sub)derivative in z. */
  derivative(z: number, y: number): number;
  secondDerivative(z: number, y: number): number;
  /** l*(u; y), for u inside the domain. */
  conjugate(u: number, y: number): number;
  /** The interval on which the conjugate is finite. */
  lowest(y: number): number;
  highest(y: number): number;
  /** argmin_z t l(z; y) + (z - q)^2 / 2. */
  prox(q: number, t: number, y: number): number;
  /** Derivative of the prox in q at its result z (any element of its generalised derivative on a kink). */
  proxSlope(q: number, z: number, t: number, y: number): number;
}

/** A dual entry this far outside its interval, relative to the interval's scale, is a rounding error of the inside. */
const OUTSIDE = 1e-9;
const BALANCE_STEPS = 200;
/** Columns that sum to this share of their absolute sum are balanced: what is left is rounding. */
const BALANCED = 1e-16;

/**
 * L(Z) = sum_k a_k l(Z_k; Y_k) with a_k = sampleWeight / (n C): tfjs's mean over samples and outputs.
 *
 * @param weights sample weights [n], or null for ones
 */
export function bindScalarLoss(scalar: ScalarLoss, Y: Matrix, weights: Float64Array | null): Loss {
  const { rows: n, cols: C } = Y;
  const entries = new Float64Array(n * C);
  for (let k = 0; k < n * C; k++) entries[k] = (weights === null ? 1 : weights[Math.floor(k / C)]) / (n * C);
  return bindEntries(scalar, Y, entries);
}

function bindEntries(scalar: ScalarLoss, target: Matrix, a: Float64Array): Loss {
  const { rows: n, cols: C, data: Y } = target;
  let heaviest = 0;
  for (const weight of a) heaviest = Math.max(heaviest, weight);
  return {
    name: scalar.name,
    rows: n,
    outputs: C,
    separable: true,
    terms: { kind: scalar.name, targets: Y, weights: a },
    // With kinks it is infinite also where all weights are 0.
    curvature: Number.isFinite(scalar.curvature) ? heaviest * scalar.curvature : scalar.curvature,

    value(Z) {
      let sum = 0;
      for (let k = 0; k < a.length; k++) sum += a[k] * scalar.value(Z[k], Y[k]);
      return sum;
    },

    gradient(Z, out) {
      for (let k = 0; k < a.length; k++) out[k] = a[k] * scalar.derivative(Z[k], Y[k]);
    },

    hessianDiagonal(Z, out) {
      for (let k = 0; k < a.length; k++) out[k] = a[k] * scalar.secondDerivative(Z[k], Y[k]);
    },

    conjugate(N) {
      let sum = 0;
      for (let k = 0; k < a.length; k++) {
        if (a[k] === 0) {
          if (N[k] !== 0) return Number.POSITIVE_INFINITY;
          continue;
        }
        const u = N[k] / a[k];
        const low = scalar.lowest(Y[k]);
        const high = scalar.highest(Y[k]);
        if (u < low - OUTSIDE || u > high + OUTSIDE) return Number.POSITIVE_INFINITY;
        sum += a[k] * scalar.conjugate(Math.min(high, Math.max(low, u)), Y[k]);
      }
      return sum;
    },

    prox(Q, tau, Z, slope) {
      for (let k = 0; k < a.length; k++) {
        // Nothing pulls at a sample of weight zero: its dual (Q - Z) / tau must be exactly 0 to lie in the domain.
        if (a[k] === 0) {
          Z[k] = Q[k];
          slope[k] = 1;
          continue;
        }
        const t = tau * a[k];
        Z[k] = scalar.prox(Q[k], t, Y[k]);
        slope[k] = scalar.proxSlope(Q[k], Z[k], t, Y[k]);
      }
    },

    balance(N) {
      for (let c = 0; c < C; c++) balanceColumn(N, scalar, Y, a, c, C);
    },

    part(rows) {
      const some = new Float64Array(rows.length * C);
      const weights = new Float64Array(rows.length * C);
      rows.forEach((row, k) => {
        some.set(Y.subarray(row * C, (row + 1) * C), k * C);
        weights.set(a.subarray(row * C, (row + 1) * C), k * C);
      });
      return bindEntries(scalar, { rows: rows.length, cols: C, data: some }, weights);
    },

    output(c) {
      const column = new Float64Array(n);
      const weights = new Float64Array(n);
      for (let k = 0; k < n; k++) {
        column[k] = Y[k * C + c];
        weights[k] = a[k * C + c];
      }
      return bindEntries(scalar, { rows: n, cols: 1, data: column }, weights);
    },
  };
}

/**
 * Shifts column c by a t and clips it to its intervals, t such that it sums to zero: the nearest such point (KKT), each entry measured
 * by its weight, so that one of next to no weight moves by next to nothing: it is charged by N^2 / a.
 *
 * The sum falls with t, in pieces that are linear, and is zero between the extremes of the column since zero lies in every
 * interval: Newton, which ends at the right piece, inside a bracket.
 */
function balanceColumn(
  N: Float64Array,
  scalar: ScalarLoss,
  Y: Float64Array,
  a: Float64Array,
  c: number,
  C: number,
): void {
  let heaviest = 0;
  for (let k = c; k < N.length; k += C) heaviest = Math.max(heaviest, a[k]);
  const share = (k: number) => a[k] / heaviest; // 1 where all weights are one
  let reach = 0;
  for (let k = c; k < N.length; k += C) if (a[k] > 0) reach = Math.max(reach, Math.abs(N[k]) / share(k));
  let low = -2 * reach;
  let high = 2 * reach;
  let t = 0;
  for (let step = 0; step < BALANCE_STEPS; step++) {
    let sum = 0;
    let size = 0;
    let free = 0; // shares of the entries inside their intervals: minus the slope of the sum
    for (let k = c; k < N.length; k += C) {
      const shifted = N[k] - share(k) * t;
      const clipped = clip(shifted, scalar, Y[k], a[k]);
      sum += clipped;
      size += Math.abs(clipped);
      if (clipped === shifted) free += share(k);
    }
    if (Math.abs(sum) <= BALANCED * size) break;
    if (sum > 0) low = t;
    else high = t;
    let next = t + sum / free;
    if (!(next > low && next < high)) next = (low + high) / 2;
    if (next === t || next === low || next === high) break;
    t = next;
  }
  let rest = 0;
  for (let k = c; k < N.length; k += C) {
    N[k] = clip(N[k] - share(k) * t, scalar, Y[k], a[k]);
    rest += N[k];
  }
  // Only rounding is left: it fits into the heaviest entries, or else into the first, with room for it.
  for (const least of [heaviest / 2, 0]) {
    for (let k = c; k < N.length && rest !== 0; k += C) {
      if (a[k] < least) continue;
      const moved = clip(N[k] - rest, scalar, Y[k], a[k]);
      rest -= N[k] - moved;
      N[k] = moved;
    }
  }
}

/** The nearest point of an entry's interval a [lowest, highest]; the interval of a weight of zero is {0}. */
function clip(value: number, scalar: ScalarLoss, y: number, a: number): number {
  if (a === 0) return 0;
  return Math.min(a * scalar.highest(y), Math.max(a * scalar.lowest(y), value));
}
