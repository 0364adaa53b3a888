/** The proximal operator of softmax cross entropy at one row, and its Jacobian. */

import { excess, softmax } from "./softmax.js";

const NEWTON_STEPS = 200;
const BACKTRACKS = 60;
const CONVERGED = 1e-15; // length of a step, relative to the logits

/** Work space for rows of C logits. */
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
    let largest = 0;
    for (let c = 0; c < C; c++) {
      r[c] = Q[at + c] - x[c] - t * excess(p[c], others[c], Y[at + c]);
      largest = Math.max(largest, Math.abs(r[c]));
    }
    return largest;
  }

  return {
    solve(Q, Y, row, t, Z, slope, spread) {
      const at = row * C;
      for (let c = 0; c < C; c++) z[c] = Q[at + c];
      let now = residual(z, Q, Y, at, t);
      for (let k = 0; k < NEWTON_STEPS && now > 0; k++) {
        const size = newtonStep(p, r, t, C, step);
        let length = 1;
        for (let c = 0; c < C; c++) length = Math.max(length, Math.abs(z[c]));
        // The objective falls along the step as long as r keeps pointing along it; the residual decides near the end.
        for (let back = 0, alpha = 1; back < BACKTRACKS; back++, alpha /= 2) {
          let along = 0;
          for (let c = 0; c < C; c++) trial[c] = z[c] + alpha * step[c];
          const next = residual(trial, Q, Y, at, t);
          for (let c = 0; c < C; c++) along += r[c] * step[c];
          if (along >= 0 || next <= now / 2 || size <= CONVERGED * length) {
            now = next;
            z.set(trial);
            break;
          }
        }
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

/** step := (I + t (diag(p) - p p'))^-1 r; returns its largest entry. */
function newtonStep(p: Float64Array, r: Float64Array, t: number, C: number, step: Float64Array): number {
  let product = 0;
  let left = 0;
  for (let c = 0; c < C; c++) {
    const e = 1 / (1 + t * p[c]);
    step[c] = e * r[c];
    product += p[c] * step[c];
    left += p[c] * e;
  }
  const factor = (t * product) / left;
  let largest = 0;
  for (let c = 0; c < C; c++) {
    step[c] += (factor * p[c]) / (1 + t * p[c]);
    largest = Math.max(largest, Math.abs(step[c]));
  }
  return largest;
}
