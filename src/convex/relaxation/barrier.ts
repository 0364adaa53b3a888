/**
 * Least bounds of the largest eigenvalue of A + sum_k l_k (p_k q_k' + q_k p_k') / 2 over weights l >= 0: points near the minimum of
 * t - mu logdet(t I - matrix) - mu sum log l (Vandenberghe and Boyd 1996), A diagonal, all in the coordinates of one span.
 *
 * Every t on the way is a bound, since a Cholesky factor of t I - matrix was found.
 */

import type { Kernels } from "../kernels/types.js";
import { log } from "../linear/elementary.js";
import { dot } from "../linear/vectors.js";

/** Newton steps to a centre, and the squared decrement that counts as there. */
const STEPS = 20;
const CENTRED = 0.25;
/** Halvings of a step, or of new weights, after which there is none. */
const HALVINGS = 30;
/** The least fall of the barrier, against the one that its slope promises (Armijo 1966). */
const FALLS = 1e-4;
/** Share of the way to a weight of zero that a step may go. */
const INSIDE = 0.95;
/** Added to the diagonal of a Newton matrix that rounding has made indefinite, relative; more where that is not enough. */
const RIDGE = 1e-12;
const HARDER = 100;

/** Two vectors in coordinates of the span; coordinates that are missing at the end are zero. */
export interface Pair {
  readonly p: Float64Array;
  readonly q: Float64Array;
}

export interface Centre {
  readonly t: number;
  readonly weights: Float64Array; // [K], of the pairs
}

/** The matrix by its diagonal part and its pairs. */
export class EigenvalueBarrier {
  private readonly m: number;
  private readonly P: Float64Array; // [K x m]
  private readonly Q: Float64Array;

  constructor(
    private readonly diagonal: Float64Array, // [m]
    private readonly pairs: readonly Pair[],
    private readonly kernels: Kernels,
  ) {
    this.m = diagonal.length;
    this.P = packed(
      pairs.map(({ p }) => p),
      this.m,
    );
    this.Q = packed(
      pairs.map(({ q }) => q),
      this.m,
    );
  }

  /** The weights, those from `first` on halved until the matrix is below t; null where that does not help. */
  admit({ t, weights }: Centre, first: number): Centre | null {
    const smaller = weights.slice();
    for (let halving = 0; halving < HALVINGS; halving++) {
      if (this.kernels.factor(this.slack(t, smaller), this.m)) return { t, weights: smaller };
      for (let k = first; k < smaller.length; k++) smaller[k] /= 2;
    }
    return null;
  }

  /**
   * Newton's method in (t, log l) from a point inside, until it is near the centre or t at most `enough`; with it
   * mu (t I - matrix)^-1 [m x m], the dual. Null where rounding leads astray.
   */
  centre(start: Centre, mu: number, enough: number): (Centre & { readonly dual: Float64Array }) | null {
    const { m } = this;
    const Z = new Float64Array(m * m);
    let now = start;
    for (let step = 0; step < STEPS; step++) {
      if (!this.inverse(now, Z)) return null;
      const { move, decrement } = this.newton(now, Z, mu);
      const next = Number.isFinite(decrement) ? this.search(now, mu, move, decrement) : null;
      if (next !== null) now = next;
      if (next === null || decrement < CENTRED || now.t <= enough) break;
    }
    return this.inverse(now, Z) ? { ...now, dual: Z.map((value) => mu * value) } : null;
  }

  /** The Newton step of the barrier / mu, in t and relative in each weight. */
  private newton({ weights: l }: Centre, Z: Float64Array, mu: number): { move: Float64Array; decrement: number } {
    const { kernels, m, P, Q } = this;
    const K = l.length;
    const [ZP, ZQ] = [new Float64Array(K * m), new Float64Array(K * m)];
    const [pp, qq, pq] = [new Float64Array(K * K), new Float64Array(K * K), new Float64Array(K * K)];
    kernels.multiply(P, Z, ZP, K, m, m);
    kernels.multiply(Q, Z, ZQ, K, m, m);
    kernels.multiplyTransposed(P, ZP, pp, K, m, K);
    kernels.multiplyTransposed(Q, ZQ, qq, K, m, K);
    kernels.multiplyTransposed(P, ZQ, pq, K, m, K);
    const size = K + 1;
    const H = new Float64Array(size * size);
    const downhill = new Float64Array(size);
    H[0] = dot(Z, Z);
    downhill[0] = -1 / mu;
    for (let i = 0; i < m; i++) downhill[0] += Z[i * m + i];
    for (let k = 0; k < K; k++) {
      const row = (k + 1) * size;
      downhill[k + 1] = 1 - l[k] * pq[k * K + k];
      H[row] = -l[k] * dot(ZP.subarray(k * m, (k + 1) * m), ZQ.subarray(k * m, (k + 1) * m));
      // The term l_k times the gradient, of the logarithm's own curvature, is left out: it vanishes at the centre.
      for (let j = 0; j <= k; j++) {
        H[row + j + 1] = (l[k] * l[j] * (pp[k * K + j] * qq[k * K + j] + pq[k * K + j] * pq[j * K + k])) / 2;
      }
      H[row + k + 1] += 1;
    }
    const move = this.solve(H, downhill);
    return { move, decrement: dot(downhill, move) };
  }

  /** H^-1 g for a positive definite H (lower), made more so where rounding hides it. */
  private solve(H: Float64Array, g: Float64Array): Float64Array {
    const size = g.length;
    for (let ridge = RIDGE; ridge < 1; ridge *= HARDER) {
      const L = H.slice();
      if (this.kernels.factor(L, size)) {
        const x = g.slice();
        this.kernels.solve(L, size, x);
        return x;
      }
      for (let k = 0; k < size; k++) H[k * size + k] *= 1 + ridge;
    }
    return new Float64Array(size).fill(Number.NaN);
  }

  /** A step along `move` that lowers the barrier and keeps the matrix below t. */
  private search(now: Centre, mu: number, move: Float64Array, decrement: number): Centre | null {
    const before = this.value(now, mu);
    let step = 1;
    for (let k = 1; k < move.length; k++) if (move[k] < 0) step = Math.min(step, -INSIDE / move[k]);
    for (let halving = 0; halving < HALVINGS; halving++, step /= 2) {
      const t = now.t + step * move[0];
      const next = { t, weights: now.weights.map((value, k) => value * (1 + step * move[k + 1])) };
      if (this.value(next, mu) <= before - FALLS * step * decrement) return next;
    }
    return null;
  }

  /** t / mu - logdet(t I - matrix) - sum log l; NaN where the matrix is not below t. */
  private value({ t, weights }: Centre, mu: number): number {
    const { m } = this;
    const S = this.slack(t, weights);
    if (!this.kernels.factor(S, m)) return Number.NaN;
    let value = t / mu;
    for (let i = 0; i < m; i++) value -= 2 * log(S[i * m + i]);
    for (const weight of weights) value -= log(weight);
    return value;
  }

  /** out := (t I - matrix)^-1; false where that is not positive definite. */
  private inverse({ t, weights }: Centre, out: Float64Array): boolean {
    const { m } = this;
    const factor = this.kernels.cholesky(this.slack(t, weights), m);
    if (factor === null) return false;
    out.fill(0);
    for (let i = 0; i < m; i++) out[i * m + i] = 1;
    factor.solve(out, m);
    factor.dispose();
    return true;
  }

  /** t I - matrix, [m x m]. */
  private slack(t: number, weights: Float64Array): Float64Array {
    const { m } = this;
    const S = new Float64Array(m * m);
    this.pairs.forEach(({ p, q }, k) => {
      const half = weights[k] / 2;
      for (let i = 0; i < m; i++) {
        const a = i < p.length ? half * p[i] : 0;
        const b = i < q.length ? half * q[i] : 0;
        for (let j = 0; j < q.length; j++) S[i * m + j] -= a * q[j];
        for (let j = 0; j < p.length; j++) S[i * m + j] -= b * p[j];
      }
    });
    for (let i = 0; i < m; i++) S[i * m + i] += t - this.diagonal[i];
    return S;
  }
}

/** Vectors as rows of width m, zeros behind them. */
function packed(vectors: readonly Float64Array[], m: number): Float64Array {
  const all = new Float64Array(vectors.length * m);
  vectors.forEach((vector, k) => {
    all.set(vector, k * m);
  });
  return all;
}
