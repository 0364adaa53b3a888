/** Parallel three-layer networks as numbers, and their objective by the definition: what the program is held against. */

import type { Loss, Matrix } from "../../../src/convex/types.js";

export type Charge = "power" | "path";

export interface ParallelWeights {
  readonly first: Float64Array; // [K x m x d]
  readonly second: Float64Array; // [K x m]
  readonly third: Float64Array; // [K]
}

/** Loss and beta times the charge, with the gradient added to `out` where it is given. */
export function objectiveOf(
  X: Matrix,
  loss: Loss,
  beta: number,
  charge: Charge,
  m: number,
  { first, second, third }: ParallelWeights,
  out: ParallelWeights | null = null,
): number {
  const { rows: n, cols: d, data } = X;
  const K = third.length;
  const hidden = new Float64Array(n * K * m);
  const sums = new Float64Array(n * K);
  const outputs = new Float64Array(n);
  for (let r = 0; r < n; r++) {
    for (let k = 0; k < K; k++) {
      for (let j = 0; j < m; j++) {
        let t = 0;
        for (let p = 0; p < d; p++) t += data[r * d + p] * first[(k * m + j) * d + p];
        hidden[(r * K + k) * m + j] = t;
        sums[r * K + k] += Math.max(0, t) * second[k * m + j];
      }
      outputs[r] += Math.max(0, sums[r * K + k]) * third[k];
    }
  }
  if (out !== null) {
    const N = new Float64Array(n);
    loss.gradient(outputs, N);
    for (let r = 0; r < n; r++) {
      for (let k = 0; k < K; k++) {
        if (sums[r * K + k] <= 0) continue;
        out.third[k] += N[r] * sums[r * K + k];
        for (let j = 0; j < m; j++) {
          const t = hidden[(r * K + k) * m + j];
          if (t <= 0) continue;
          out.second[k * m + j] += N[r] * third[k] * t;
          for (let p = 0; p < d; p++) {
            out.first[(k * m + j) * d + p] += N[r] * third[k] * second[k * m + j] * data[r * d + p];
          }
        }
      }
    }
  }
  let total = loss.value(outputs);
  for (let k = 0; k < K; k++) total += beta * branchCharge(charge, m, d, beta, k, { first, second, third }, out);
  return total;
}

function branchCharge(
  charge: Charge,
  m: number,
  d: number,
  beta: number,
  k: number,
  { first, second, third }: ParallelWeights,
  out: ParallelWeights | null,
): number {
  const W = first.subarray(k * m * d, (k + 1) * m * d);
  const w = second.subarray(k * m, (k + 1) * m);
  const square = (v: Float64Array) => v.reduce((sum, value) => sum + value * value, 0);
  if (charge === "power") {
    const [a, b, c] = [Math.sqrt(square(W)), Math.sqrt(square(w)), Math.abs(third[k])];
    if (out !== null) {
      W.forEach((value, i) => {
        out.first[k * m * d + i] += beta * a * value;
      });
      w.forEach((value, i) => {
        out.second[k * m + i] += beta * b * value;
      });
      out.third[k] += beta * c * third[k];
    }
    return (a ** 3 + b ** 3 + c ** 3) / 3;
  }
  let sum = 0;
  for (let j = 0; j < m; j++) sum += square(W.subarray(j * d, (j + 1) * d)) * w[j] ** 2;
  const root = Math.sqrt(sum);
  if (out !== null && root > 0) {
    for (let j = 0; j < m; j++) {
      for (let p = 0; p < d; p++) {
        out.first[(k * m + j) * d + p] += (beta * Math.abs(third[k]) * W[j * d + p] * w[j] ** 2) / root;
      }
      out.second[k * m + j] += (beta * Math.abs(third[k]) * square(W.subarray(j * d, (j + 1) * d)) * w[j]) / root;
    }
    out.third[k] += beta * Math.sign(third[k]) * root;
  }
  return root * Math.abs(third[k]);
}

/** All weights in one vector, and views of them. */
export function viewsOf(all: Float64Array, K: number, m: number, d: number): ParallelWeights {
  const [a, b] = [K * m * d, K * m * d + K * m];
  return { first: all.subarray(0, a), second: all.subarray(a, b), third: all.subarray(b) };
}
