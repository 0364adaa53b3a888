/** Newton directions for a linear part: conjugate gradients from a Cholesky factor that is kept as long as it serves. */

import { choleskyInPlace, choleskySolve } from "../../linear/cholesky.js";
import { dot } from "../../linear/vectors.js";
import type { LinearPart } from "../../types.js";

/** Of the largest curvature of an entry: where there is less the system would be singular. */
const FLAT = 1e-9;
/** Relative residual of the conjugate gradients, and steps from which a new factor is made. */
const RESIDUAL = 1e-4;
const MOST_STEPS = 60;
const WORN = 4;
/** Products n k^2 C of two numbers that a factor may take: about half a second. */
const MOST_WORK = 2 ** 30;

export class PartNewton {
  private readonly C: number;
  private factors: Float64Array[] | null = null; // [C], each [k x k]

  constructor(private readonly part: LinearPart) {
    this.C = part.loss.outputs;
  }

  /** The Newton direction -H^-1 slope, roughly, H = F' L''(W) F + 2 diag(ridge). */
  direction(slope: Float64Array, W: Float64Array): Float64Array {
    const { C } = this;
    const { loss, ridge } = this.part;
    const h = new Float64Array(W.length);
    loss.hessianDiagonal(W, h);
    const largest = h.reduce((most, value) => Math.max(most, value), 0) || loss.curvature;
    const floor = FLAT * largest;
    const fresh = this.factors === null;
    this.factors ??= this.factorsAt(h, floor);
    const { factors } = this;
    const times = (v: Float64Array): Float64Array => {
      const through = new Float64Array(W.length);
      this.part.add(v, through);
      const bent = new Float64Array(W.length);
      if (loss.hessianTimes !== undefined) {
        loss.hessianTimes(W, through, bent);
        for (let k = 0; k < bent.length; k++) bent[k] += floor * through[k];
      } else for (let k = 0; k < bent.length; k++) bent[k] = Math.max(h[k], floor) * through[k];
      const out = this.part.pull(bent);
      for (let at = 0; at < out.length; at++) out[at] += 2 * ridge[Math.floor(at / C)] * v[at];
      return out;
    };
    const x = new Float64Array(slope.length);
    const r = slope.map((value) => -value);
    let z = this.solved(factors, r);
    let p = z;
    let rho = dot(r, z);
    const goal = RESIDUAL ** 2 * rho;
    let steps = 0;
    while (steps < MOST_STEPS) {
      const Hp = times(p);
      const alpha = rho / dot(p, Hp);
      steps += 1;
      if (!Number.isFinite(alpha)) break;
      for (let k = 0; k < x.length; k++) {
        x[k] += alpha * p[k];
        r[k] -= alpha * Hp[k];
      }
      z = this.solved(factors, r);
      const next = dot(r, z);
      if (!(next > goal)) break;
      const turn = next / rho;
      p = z.map((value, k) => value + turn * p[k]);
      rho = next;
    }
    if (steps > WORN && !fresh) this.factors = null;
    return x;
  }

  /**
   * Each output's own block of H, factored. Where the curvature is one number, and where products of every row would take seconds, of
   * the Gram matrix times the mean curvature: conjugate gradients do the rest.
   */
  private factorsAt(h: Float64Array, floor: number): Float64Array[] {
    const { C } = this;
    const { F, gram, ridge } = this.part;
    const { rows: n, cols: k, data } = F;
    const weights = h.map((value) => Math.max(value, floor));
    if (weights.every((value) => value === weights[0]) || n * k * k * C > MOST_WORK) {
      const mean = weights.reduce((sum, value) => sum + value, 0) / weights.length;
      const shared = factored(
        gram.map((value) => mean * value),
        ridge,
      );
      return new Array(C).fill(shared);
    }
    return Array.from({ length: C }, (_, o) => {
      const H = new Float64Array(k * k);
      for (let j = 0; j < n; j++) {
        const weight = weights[j * C + o];
        for (let p = 0; p < k; p++) {
          const left = weight * data[j * k + p];
          if (left !== 0) for (let q = 0; q <= p; q++) H[p * k + q] += left * data[j * k + q];
        }
      }
      return factored(H, ridge);
    });
  }

  private solved(factors: readonly Float64Array[], r: Float64Array): Float64Array {
    const { C } = this;
    const { cols: k } = this.part.F;
    const z = new Float64Array(r.length);
    const column = new Float64Array(k);
    for (let o = 0; o < C; o++) {
      for (let p = 0; p < k; p++) column[p] = r[p * C + o];
      choleskySolve(factors[o], k, column);
      for (let p = 0; p < k; p++) z[p * C + o] = column[p];
    }
    return z;
  }
}

/** L L' = H + 2 diag(ridge), lifted by as little as makes it positive definite. */
function factored(H: Float64Array, ridge: Float64Array): Float64Array {
  const k = ridge.length;
  let trace = 0;
  for (let p = 0; p < k; p++) trace += H[p * k + p] += 2 * ridge[p];
  for (let lift = 1e-14; ; lift *= 100) {
    const L = H.slice();
    for (let p = 0; p < k; p++) L[p * k + p] += (lift * trace) / k + Number.MIN_VALUE;
    if (choleskyInPlace(L, k) || lift > 1) return L;
  }
}
