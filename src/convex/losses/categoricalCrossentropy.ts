/** Softmax cross entropy over the C logits of a row; the one loss whose outputs see each other. */

import { ConvexError } from "../../errors.js";
import { smallSolve } from "../smallSolve.js";
import type { Loss, Matrix } from "../types.js";

const NEWTON_STEPS = 200;
const CONVERGED = 1e-15; // relative residual of the prox equation
const BACKTRACKS = 60;
/** p = y + N / a this far outside the simplex is a rounding error of the inside. */
const OUTSIDE = 1e-9;
const BALANCE_STEPS = 200;
/** A full Newton step may raise the potential by this much: near its minimum only rounding is left to compare. */
const ROUNDING = 1e-13;
/** Probabilities below this are lifted to it before balancing: from exactly zero no shift would bring them back. */
const FLOOR = 1e-14;
/** Logits that one step of balancing may move: the sums are steep only near the border of the simplex. */
const LONGEST_SHIFT = 4;

/**
 * L(Z) = sum_k a_k (logsumexp(Z_k) - <Y_k, Z_k>), a_k = sampleWeight / n: tfjs's mean over samples.
 *
 * Its conjugate at N is sum_k a_k sum_c p log p with p = Y_k + N_k / a_k on the simplex, infinite elsewhere. tfjs clips the
 * probability at 1e-7 before the logarithm, which only a sample that is wrong by more than 16 logits would show.
 *
 * @param weights sample weights [n], or null for ones
 */
export function bindSoftmaxLoss(target: Matrix, weights: Float64Array | null): Loss {
  const { rows: n, cols: C, data: Y } = target;
  const a = new Float64Array(n);
  let heaviest = 0;
  for (let k = 0; k < n; k++) {
    a[k] = (weights === null ? 1 : weights[k]) / n;
    heaviest = Math.max(heaviest, a[k]);
  }
  const p = new Float64Array(C);

  return {
    name: "categoricalCrossentropy",
    rows: n,
    outputs: C,
    separable: false,
    curvature: heaviest / 2, // largest eigenvalue of diag(p) - p p' over the simplex

    value(Z) {
      let sum = 0;
      for (let k = 0; k < n; k++) {
        if (a[k] === 0) continue;
        let inner = 0;
        for (let c = 0; c < C; c++) inner += Y[k * C + c] * Z[k * C + c];
        sum += a[k] * (logSumExp(Z, k * C, C) - inner);
      }
      return sum;
    },

    gradient(Z, out) {
      for (let k = 0; k < n; k++) {
        softmax(Z, k * C, C, p);
        for (let c = 0; c < C; c++) out[k * C + c] = a[k] * (p[c] - Y[k * C + c]);
      }
    },

    hessianDiagonal(Z, out) {
      for (let k = 0; k < n; k++) {
        softmax(Z, k * C, C, p);
        for (let c = 0; c < C; c++) out[k * C + c] = a[k] * p[c] * (1 - p[c]);
      }
    },

    conjugate(N) {
      let sum = 0;
      for (let k = 0; k < n; k++) {
        let total = 0;
        for (let c = 0; c < C; c++) {
          const value = N[k * C + c];
          if (a[k] === 0) {
            if (value !== 0) return Number.POSITIVE_INFINITY;
            continue;
          }
          const share = Y[k * C + c] + value / a[k];
          if (share < -OUTSIDE) return Number.POSITIVE_INFINITY;
          total += share;
          if (share > 0) sum += a[k] * share * Math.log(share);
        }
        if (a[k] > 0 && Math.abs(total - 1) > OUTSIDE) return Number.POSITIVE_INFINITY;
      }
      return sum;
    },

    prox(Q, tau, Z, slope, spread) {
      for (let k = 0; k < n; k++) proxRow(Q, Y, k * C, C, tau * a[k], Z, slope, spread, p);
    },

    balance(N) {
      balanceRows(N, Y, a, n, C);
    },

    output() {
      throw new ConvexError(
        "solver/none",
        "categoricalCrossentropy: expected a loss whose outputs are separate, but softmax couples them; solve all outputs together.",
      );
    },
  };
}

/** argmin t (logsumexp(z) - <y, z>) + |z - q|^2 / 2 for one row, by damped Newton; each step costs O(C). */
function proxRow(
  Q: Float64Array,
  Y: Float64Array,
  at: number,
  C: number,
  t: number,
  Z: Float64Array,
  slope: Float64Array,
  spread: Float64Array | null,
  p: Float64Array,
): void {
  const z = Z.subarray(at, at + C);
  const r = new Float64Array(C); // q + t y: the row satisfies z + t softmax(z) = r
  let scale = 1;
  for (let c = 0; c < C; c++) {
    r[c] = Q[at + c] + t * Y[at + c];
    z[c] = Q[at + c];
    scale = Math.max(scale, Math.abs(r[c]));
  }
  const step = new Float64Array(C);
  const trial = new Float64Array(C);
  const objective = (x: Float64Array) => {
    let sum = t * logSumExp(x, 0, C);
    for (let c = 0; c < C; c++) sum += 0.5 * (x[c] - r[c]) ** 2;
    return sum;
  };
  let value = objective(z);
  for (let k = 0; k < NEWTON_STEPS; k++) {
    softmax(z, 0, C, p);
    let residual = 0;
    for (let c = 0; c < C; c++) {
      step[c] = r[c] - z[c] - t * p[c];
      residual = Math.max(residual, Math.abs(step[c]));
    }
    if (residual <= CONVERGED * Math.max(scale, t)) break;
    let slopeOfStep = 0;
    for (let c = 0; c < C; c++) trial[c] = step[c];
    applyInverse(p, t, C, step);
    for (let c = 0; c < C; c++) slopeOfStep += trial[c] * step[c];
    let moved = false;
    for (let back = 0, alpha = 1; back < BACKTRACKS; back++, alpha /= 2) {
      for (let c = 0; c < C; c++) trial[c] = z[c] + alpha * step[c];
      const next = objective(trial);
      if (next <= value - 1e-4 * alpha * slopeOfStep || (back === 0 && next <= value + 1e-15 * Math.abs(value))) {
        moved = next < value || back === 0;
        z.set(trial);
        value = next;
        break;
      }
    }
    if (!moved) break;
  }
  softmax(z, 0, C, p);
  let shrunk = 0; // p' E p with E = (I + t diag(p))^-1
  for (let c = 0; c < C; c++) {
    slope[at + c] = 1 / (1 + t * p[c]);
    shrunk += slope[at + c] * p[c] * p[c];
  }
  if (spread === null) return;
  const kappa = Math.sqrt(t / (1 - t * shrunk));
  for (let c = 0; c < C; c++) spread[at + c] = kappa * slope[at + c] * p[c];
}

/** x := (I + t (diag(p) - p p'))^-1 x, by Sherman and Morrison. */
function applyInverse(p: Float64Array, t: number, C: number, x: Float64Array): void {
  let product = 0;
  let shrunk = 0;
  for (let c = 0; c < C; c++) {
    x[c] /= 1 + t * p[c];
    product += p[c] * x[c];
    shrunk += (p[c] * p[c]) / (1 + t * p[c]);
  }
  const factor = (t * product) / (1 - t * shrunk);
  for (let c = 0; c < C; c++) x[c] += (factor * p[c]) / (1 + t * p[c]);
}

/**
 * Moves N to columns that sum to zero without leaving the domain: p_k := softmax(log p_k + shift) with one shift an output,
 * chosen by Newton so that sum_k a_k (p_k - y_k) = 0. The map keeps every row on the simplex.
 */
function balanceRows(N: Float64Array, Y: Float64Array, a: Float64Array, n: number, C: number): void {
  const logs = new Float64Array(n * C);
  for (let k = 0; k < n; k++) {
    for (let c = 0; c < C; c++) {
      logs[k * C + c] =
        a[k] > 0 ? Math.log(Math.max(FLOOR, Y[k * C + c] + N[k * C + c] / a[k])) : Number.NEGATIVE_INFINITY;
    }
  }
  const p = new Float64Array(C);
  const row = new Float64Array(C);
  const sums = new Float64Array(C);
  const H = new Float64Array(C * C);
  // The convex function whose gradient the column sums are.
  const potential = (shift: Float64Array) => {
    let sum = 0;
    for (let k = 0; k < n; k++) {
      if (a[k] === 0) continue;
      let inner = 0;
      for (let c = 0; c < C; c++) {
        row[c] = logs[k * C + c] + shift[c];
        inner += Y[k * C + c] * shift[c];
      }
      sum += a[k] * (logSumExp(row, 0, C) - inner);
    }
    return sum;
  };
  let shift = new Float64Array(C);
  let value = potential(shift);
  for (let step = 0; step <= BALANCE_STEPS; step++) {
    sums.fill(0);
    H.fill(0);
    let largest = 0;
    for (let k = 0; k < n; k++) {
      if (a[k] === 0) {
        for (let c = 0; c < C; c++) N[k * C + c] = 0;
        continue;
      }
      for (let c = 0; c < C; c++) row[c] = logs[k * C + c] + shift[c];
      softmax(row, 0, C, p);
      for (let c = 0; c < C; c++) {
        const entry = a[k] * (p[c] - Y[k * C + c]);
        N[k * C + c] = entry;
        sums[c] += entry;
        largest = Math.max(largest, Math.abs(entry));
        for (let e = 0; e < C; e++) H[c * C + e] += a[k] * ((c === e ? p[c] : 0) - p[c] * p[e]);
      }
    }
    let imbalance = 0;
    for (const sum of sums) imbalance = Math.max(imbalance, Math.abs(sum));
    if (step === BALANCE_STEPS || imbalance <= 1e-16 * n * largest) return;
    const direction = sums.slice();
    newtonShift(H, direction, C);
    let longest = 1;
    for (const entry of direction) longest = Math.max(longest, Math.abs(entry) / LONGEST_SHIFT);
    let alpha = 1 / longest;
    let next = value;
    let trial = shift;
    for (let back = 0; back < BACKTRACKS; back++, alpha /= 2) {
      trial = shift.map((entry, c) => entry - alpha * direction[c]);
      next = potential(trial);
      if (next < value || (back === 0 && next <= value + ROUNDING * (1 + Math.abs(value)))) break;
    }
    shift = trial;
    value = next;
  }
}

/** b := (H + 1 1' trace / C)^-1 b: H is singular along 1, to which b is orthogonal. */
function newtonShift(H: Float64Array, b: Float64Array, C: number): void {
  let trace = 0;
  for (let c = 0; c < C; c++) trace += H[c * C + c];
  const lift = Math.max(trace, Number.MIN_VALUE * 2 ** 60) / C;
  for (let k = 0; k < H.length; k++) H[k] += lift;
  for (let c = 0; c < C; c++) H[c * C + c] += 1e-14 * lift; // a class that no sample prefers has a zero row
  smallSolve(H, b, C);
}

function logSumExp(z: Float64Array, at: number, C: number): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let c = 0; c < C; c++) largest = Math.max(largest, z[at + c]);
  let sum = 0;
  for (let c = 0; c < C; c++) sum += Math.exp(z[at + c] - largest);
  return largest + Math.log(sum);
}

function softmax(z: Float64Array, at: number, C: number, p: Float64Array): void {
  let largest = Number.NEGATIVE_INFINITY;
  for (let c = 0; c < C; c++) largest = Math.max(largest, z[at + c]);
  let sum = 0;
  for (let c = 0; c < C; c++) {
    p[c] = Math.exp(z[at + c] - largest);
    sum += p[c];
  }
  for (let c = 0; c < C; c++) p[c] /= sum;
}
