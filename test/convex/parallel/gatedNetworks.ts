/** The objective of gated branches as a function of all their weights, by its definition, with its gradient. */

import type { GatedBranchProblem } from "../../../src/convex/parallel/gated/index.js";

/** Which neurons are open on which rows, and how long a vector of all weights is: W [K m d], w2 [K m], w3 [K C], bias [C]. */
export interface Open {
  readonly each: number; // branches behind the same gates
  readonly K: number;
  readonly masks: Uint8Array; // [n x K m], K of all branches
  readonly length: number;
}

export function describeOpen({ X, gates, loss }: GatedBranchProblem, each: number): Open {
  const { hidden: m, first, second } = gates;
  const given = second.length / m;
  const K = given * each;
  const masks = new Uint8Array(X.rows * K * m);
  for (let i = 0; i < X.rows; i++) {
    for (let k = 0; k < given; k++) {
      const sums = Array.from({ length: m }, (_, j) => {
        let sum = 0;
        for (let p = 0; p < X.cols; p++) sum += X.data[i * X.cols + p] * first.data[p * first.cols + k * m + j];
        return sum;
      });
      const outer = sums.reduce((all, sum, j) => all + Math.max(0, sum) * second[k * m + j], 0) >= 0;
      for (let e = 0; e < each; e++) {
        for (let j = 0; j < m; j++) masks[(i * K + k * each + e) * m + j] = Number(outer && sums[j] >= 0);
      }
    }
  }
  return { each, K, masks, length: K * m * X.cols + K * m + K * loss.outputs + loss.outputs };
}

export function networkObjective({ X, loss, beta, gates, charge, outputBias }: GatedBranchProblem, { K, masks }: Open) {
  const { hidden: m } = gates;
  const [n, d, C] = [X.rows, X.cols, loss.outputs];
  const ends = [K * m * d, K * m * (d + 1), K * m * (d + 1) + K * C];
  const views = (all: Float64Array) => [
    all.subarray(0, ends[0]),
    all.subarray(ends[0], ends[1]),
    all.subarray(ends[1], ends[2]),
    all.subarray(ends[2]),
  ];
  return (all: Float64Array, gradient: Float64Array): number => {
    gradient.fill(0);
    const [W, w, o, bias] = views(all);
    const [gW, gw, go, gBias] = views(gradient);
    const linear = new Float64Array(n * K * m);
    const values = new Float64Array(n * K);
    const Z = new Float64Array(n * C);
    for (let i = 0; i < n; i++) {
      for (let c = 0; c < C; c++) Z[i * C + c] = outputBias === null ? 0 : bias[c];
      for (let u = 0; u < K * m; u++) {
        if (masks[i * K * m + u] === 0) continue;
        let sum = 0;
        for (let p = 0; p < d; p++) sum += X.data[i * d + p] * W[u * d + p];
        linear[i * K * m + u] = sum;
        values[i * K + Math.floor(u / m)] += sum * w[u];
      }
      for (let k = 0; k < K; k++) for (let c = 0; c < C; c++) Z[i * C + c] += values[i * K + k] * o[k * C + c];
    }
    const N = new Float64Array(n * C);
    loss.gradient(Z, N);
    for (let i = 0; i < n; i++) {
      for (let c = 0; c < C; c++) if (outputBias !== null) gBias[c] += N[i * C + c];
      for (let k = 0; k < K; k++) {
        let back = 0;
        for (let c = 0; c < C; c++) {
          go[k * C + c] += N[i * C + c] * values[i * K + k];
          back += N[i * C + c] * o[k * C + c];
        }
        for (let u = k * m; u < (k + 1) * m; u++) {
          if (masks[i * K * m + u] === 0) continue;
          gw[u] += back * linear[i * K * m + u];
          for (let p = 0; p < d; p++) gW[u * d + p] += back * w[u] * X.data[i * d + p];
        }
      }
    }
    let total = loss.value(Z);
    const addPower = (part: Float64Array, into: Float64Array) => {
      const size = Math.hypot(...part);
      total += (beta * size ** 3) / 3;
      for (let p = 0; p < part.length; p++) into[p] += beta * size * part[p];
    };
    for (let k = 0; k < K; k++) {
      const [a, b] = [k * m, (k + 1) * m];
      const third = [o.subarray(k * C, (k + 1) * C), go.subarray(k * C, (k + 1) * C)] as const;
      if (charge === "sum") {
        addPower(W.subarray(a * d, b * d), gW.subarray(a * d, b * d));
        addPower(w.subarray(a, b), gw.subarray(a, b));
        addPower(...third);
        continue;
      }
      // Path regularization, |w_3| (sum_j |w_1j|^2 w_2j^2)^(1/2).
      const squares = Array.from({ length: m }, (_, j) =>
        W.subarray((a + j) * d, (a + j + 1) * d).reduce((s, v) => s + v * v, 0),
      );
      const inner = Math.sqrt(squares.reduce((s, square, j) => s + square * w[a + j] ** 2, 0)) + 1e-12;
      const outer = Math.hypot(...third[0]) + 1e-12;
      total += beta * outer * inner;
      for (let c = 0; c < C; c++) third[1][c] += (beta * inner * third[0][c]) / outer;
      for (let j = 0; j < m; j++) {
        gw[a + j] += (beta * outer * squares[j] * w[a + j]) / inner;
        for (let p = (a + j) * d; p < (a + j + 1) * d; p++) gW[p] += (beta * outer * w[a + j] ** 2 * W[p]) / inner;
      }
    }
    return total;
  };
}
