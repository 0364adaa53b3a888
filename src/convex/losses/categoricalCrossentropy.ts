/** Softmax cross entropy over the C logits of a row; the one loss whose outputs see each other. */

import { ConvexError } from "../../errors.js";
import { log } from "../linear/elementary.js";
import type { Loss, Matrix } from "../types.js";
import { excess, softmax } from "./softmax.js";
import { balanceRows } from "./softmaxBalance.js";
import { rowProx } from "./softmaxProx.js";

/** p = y + N / a this far outside the simplex is a rounding error of the inside. */
const OUTSIDE = 1e-9;

/**
 * L(Z) = sum_k a_k (logsumexp(Z_k) - <Y_k, Z_k>), a_k = sampleWeight / n: tfjs's mean over samples.
 *
 * Its conjugate at N is sum_k a_k sum_c p log p with p = Y_k + N_k / a_k on the simplex, infinite elsewhere. tfjs clips the
 * probability at 1e-7 before the logarithm, which only a sample that is wrong by more than 16 logits would show. A row of
 * targets with the sum s is s times the loss of its distribution, as in tfjs: L would have no minimum otherwise.
 *
 * @param weights sample weights [n], or null for ones
 */
export function bindSoftmaxLoss(target: Matrix, weights: Float64Array | null): Loss {
  const { rows: n, cols: C } = target;
  const Y = target.data.slice();
  const a = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    const sum = normalise(Y, k * C, C);
    a[k] = ((weights === null ? 1 : weights[k]) * sum) / n;
  }
  return bindRows(Y, a, C);
}

/** The same for distributions Y [n x C] and the weights of their rows. */
function bindRows(Y: Float64Array, a: Float64Array, C: number): Loss {
  const n = a.length;
  let heaviest = 0;
  for (const weight of a) heaviest = Math.max(heaviest, weight);
  const p = new Float64Array(C);
  const others = new Float64Array(C);
  const prox = rowProx(C);

  /** logsumexp(Z_k) - <Y_k, Z_k>; leaves the softmax of the row. */
  function rowLoss(Z: Float64Array, k: number): number {
    let top = k * C;
    for (let c = 1; c < C; c++) if (Z[k * C + c] > Z[top]) top = k * C + c;
    let row = softmax(Z, k * C, C, p, others);
    for (let c = 0; c < C; c++) row += Y[k * C + c] * (Z[top] - Z[k * C + c]);
    return row;
  }

  /** Of a row whose softmax was made last. */
  function writeGradient(k: number, out: Float64Array): void {
    for (let c = 0; c < C; c++) out[k * C + c] = a[k] * excess(p[c], others[c], Y[k * C + c]);
  }

  return {
    name: "categoricalCrossentropy",
    rows: n,
    outputs: C,
    separable: false,
    terms: { kind: "categoricalCrossentropy", targets: Y, weights: a },
    curvature: heaviest / 2, // largest eigenvalue of diag(p) - p p' over the simplex

    value(Z) {
      let sum = 0;
      for (let k = 0; k < n; k++) if (a[k] !== 0) sum += a[k] * rowLoss(Z, k);
      return sum;
    },

    gradient(Z, out) {
      for (let k = 0; k < n; k++) {
        softmax(Z, k * C, C, p, others);
        writeGradient(k, out);
      }
    },

    valueAndGradient(Z, out) {
      let sum = 0;
      for (let k = 0; k < n; k++) {
        const row = rowLoss(Z, k);
        if (a[k] !== 0) sum += a[k] * row;
        writeGradient(k, out);
      }
      return sum;
    },

    hessianDiagonal(Z, out) {
      for (let k = 0; k < n; k++) {
        softmax(Z, k * C, C, p, others);
        for (let c = 0; c < C; c++) out[k * C + c] = a[k] * p[c] * others[c];
      }
    },

    hessianTimes(Z, V, out) {
      for (let k = 0; k < n; k++) {
        softmax(Z, k * C, C, p, others);
        let mean = 0;
        for (let c = 0; c < C; c++) mean += p[c] * V[k * C + c];
        for (let c = 0; c < C; c++) out[k * C + c] = a[k] * p[c] * (V[k * C + c] - mean);
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
          if (share > 0) sum += a[k] * share * log(share);
        }
        if (a[k] > 0 && Math.abs(total - 1) > OUTSIDE) return Number.POSITIVE_INFINITY;
      }
      return sum;
    },

    prox(Q, tau, Z, slope, spread) {
      for (let k = 0; k < n; k++) prox.solve(Q, Y, k, tau * a[k], Z, slope, spread);
    },

    balance(N) {
      balanceRows(N, Y, a, C);
    },

    part(rows) {
      const some = new Float64Array(rows.length * C);
      rows.forEach((row, k) => {
        some.set(Y.subarray(row * C, (row + 1) * C), k * C);
      });
      const weights = Float64Array.from(rows, (row) => a[row]);
      return bindRows(some, weights, C);
    },

    output() {
      throw new ConvexError(
        "solver/none",
        "categoricalCrossentropy: expected a loss whose outputs are separate, but softmax couples them; solve all outputs together.",
      );
    },
  };
}

/** Divides a row by its sum, which it returns. */
function normalise(Y: Float64Array, at: number, C: number): number {
  let sum = 0;
  for (let c = 0; c < C; c++) sum += Y[at + c];
  if (sum > 0) for (let c = 0; c < C; c++) Y[at + c] /= sum;
  return sum;
}
