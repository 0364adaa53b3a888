/** The proximal operator of softmax cross entropy at one row, and its Jacobian. */

import { exp, log } from "../linear/elementary.js";
import { excess, softmax } from "./softmax.js";

const NEWTON_STEPS = 100;
const BACKTRACKS = 60;
const START_STEPS = 50;
const INNER_STEPS = 3;
/** Logits this near to the solution, Newton on all of them converges at its full speed. */
const NEAR = 0.05;
const CONVERGED = 1e-15; // length of a step, relative to q and z

/** The prox with work space for rows of C logits. */
export interface RowProx {
  /** Z_row = argmin t (logsumexp(z) - <y, z>) + |z - q|^2 / 2, and its Jacobian diag(slope) + spread spread'. */
  solve(
    Q: Float64Array,
    Y: Float64Array,
    row: number,
    t: number,
    Z: Float64Array,
    slope: Float64Array,
    spread: Float64Array | null,
  ): void;
}

/**
 * Newton on r(z) = q - z - t (softmax(z) - y) = 0. The matrix I + t (diag(p) - p p') is inverted by Sherman and Morrison, so
 * that a step costs O(C); with E = (I + t diag(p))^-1 and 1 - t p'E p = 1'E p, nothing cancels for large t.
 */
export function rowProx(C: number): RowProx {
  const p = new Float64Array(C);
  const others = new Float64Array(C);
  const r = new Float64Array(C);
  const step = new Float64Array(C);
  const z = new Float64Array(C);
  const trial = new Float64Array(C);

  /** r := the residual at x; returns its largest entry. Leaves p = softmax(x). */
  function residual(x: Float64Array, Q: Float64Array, Y: Float64Array, at: number, t: number): number {
    softmax(x, 0, C, p, others);
    let total = 0;
    for (let c = 0; c < C; c++) {
      r[c] = excess(p[c], others[c], Y[at + c]);
      total += r[c];
    }
    let largest = 0;
    for (let c = 0; c < C; c++) {
      // softmax(z) - y sums to zero. Its rounding, times t, would go undamped into a shift of all logits.
      r[c] = Q[at + c] - x[c] - t * (r[c] - p[c] * total);
      largest = Math.max(largest, Math.abs(r[c]));
    }
    return largest;
  }

  return {
    solve(Q, Y, row, t, Z, slope, spread) {
      const at = row * C;
      start(Q, Y, at, t, z);
      let length = 1; // what rounding is relative to
      for (let c = 0; c < C; c++) length = Math.max(length, Math.abs(Q[at + c]), Math.abs(z[c]));
      let now = residual(z, Q, Y, at, t);
      for (let k = 0; k < NEWTON_STEPS && now > 0; k++) {
        const size = newtonStep(p, r, t, step);
        // The objective falls along the step as long as r keeps pointing along it; near the end the residual itself tells.
        for (let back = 0, alpha = 1; back < BACKTRACKS; back++, alpha /= 2) {
          let along = 0;
          for (let c = 0; c < C; c++) trial[c] = z[c] + alpha * step[c];
          const next = residual(trial, Q, Y, at, t);
          for (let c = 0; c < C; c++) along += r[c] * step[c];
          if (along >= 0 || next <= now / 2 || size <= CONVERGED * length) {
            now = next;
            break;
          }
        }
        z.set(trial);
        if (size <= CONVERGED * length) break;
      }
      let left = 0; // 1'E p
      for (let c = 0; c < C; c++) {
        Z[at + c] = z[c];
        slope[at + c] = 1 / (1 + t * p[c]);
        left += slope[at + c] * p[c];
      }
      if (spread === null) return;
      const kappa = Math.sqrt(t / left);
      for (let c = 0; c < C; c++) spread[at + c] = kappa * slope[at + c] * p[c];
    },
  };
}

/**
 * z := the solution up to NEAR, whatever the sizes of q and t: one unknown m, the logsumexp of z, in place of C.
 *
 * Given m, logit c solves z + t exp(z - m) = q + t y; with v = z - m + log t this is v + e^v = x - m. The sum of the e^v
 * falls with m and is convex, so Newton towards the sum t climbs without overshooting from any m where it is too large: from
 * the largest q - t (1 - y), which alone gives its class the probability 1 (and no class more).
 */
function start(Q: Float64Array, Y: Float64Array, at: number, t: number, z: Float64Array): void {
  const C = z.length;
  let m = Number.NEGATIVE_INFINITY;
  for (let c = 0; c < C; c++) {
    z[c] = Q[at + c];
    m = Math.max(m, z[c] - t * (1 - Y[at + c]));
  }
  if (!(t > 0)) return;
  const logT = log(t);
  for (let k = 0; k < START_STEPS; k++) {
    let sum = -t;
    let fall = 0;
    for (let c = 0; c < C; c++) {
      const x = Q[at + c] + t * Y[at + c] - m + logT;
      let v = x > 1 ? log(x) : x; // right of the root, from where Newton is monotone
      let e = exp(v);
      for (let inner = 0; inner < INNER_STEPS; inner++) {
        v -= (v + e - x) / (1 + e);
        e = exp(v);
      }
      z[c] = v;
      sum += e;
      fall += e / (1 + e);
    }
    m += sum / fall;
    if (Math.abs(sum) <= NEAR * fall) break;
  }
  for (let c = 0; c < C; c++) z[c] += m - logT;
}

/** step := (I + t (diag(p) - p p'))^-1 r; returns its largest entry. */
function newtonStep(p: Float64Array, r: Float64Array, t: number, step: Float64Array): number {
  let product = 0;
  let left = 0;
  for (let c = 0; c < p.length; c++) {
    const e = 1 / (1 + t * p[c]);
    step[c] = e * r[c];
    product += p[c] * step[c];
    left += p[c] * e;
  }
  const factor = (t * product) / left;
  let largest = 0;
  for (let c = 0; c < p.length; c++) {
    step[c] += (factor * p[c]) / (1 + t * p[c]);
    largest = Math.max(largest, Math.abs(step[c]));
  }
  return largest;
}
