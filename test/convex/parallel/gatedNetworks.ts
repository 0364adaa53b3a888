/** The objective of gated branches as a function of all their weights, by its definition, with its gradient. */

import type { BranchLayers, GatedBranchProblem } from "../../../src/convex/parallel/gated/index.js";
import type { Matrix } from "../../../src/convex/types.js";

/** Which neurons are open on which rows, and where a vector of all weights has each kernel: W_1 [K m_1 d], W_l [K m_l-1 m_l], .., w_L [K C], bias [C]. */
export interface Open {
  readonly each: number; // branches behind the same gates
  readonly K: number;
  readonly masks: readonly Uint8Array[]; // of layers 1, .., L - 1: [n x K m_l], K of all branches
  readonly ends: readonly number[];
  readonly length: number;
}

export function describeOpen({ X, gates, loss }: GatedBranchProblem, each: number): Open {
  const { hidden, first, behind } = gates;
  const widths = [...hidden, 1];
  const given = first.cols / hidden[0];
  const K = given * each;
  const masks = widths.map((m) => new Uint8Array(X.rows * K * m));
  for (let i = 0; i < X.rows; i++) {
    for (let k = 0; k < given; k++) {
      let sums = Array.from({ length: hidden[0] }, (_, j) => {
        let sum = 0;
        for (let p = 0; p < X.cols; p++) sum += X.data[i * X.cols + p] * first.data[p * first.cols + k * hidden[0] + j];
        return sum;
      });
      for (const [l, m] of widths.entries()) {
        for (let e = 0; e < each; e++) {
          for (let j = 0; j < m; j++) masks[l][(i * K + k * each + e) * m + j] = Number(sums[j] >= 0);
        }
        if (l === hidden.length) break;
        const after = widths[l + 1];
        const weights = behind[l].subarray(k * m * after, (k + 1) * m * after);
        sums = Array.from({ length: after }, (_, o) =>
          sums.reduce((all, sum, j) => all + Math.max(0, sum) * weights[j * after + o], 0),
        );
      }
    }
  }
  const kernels = widths.map((m, l) => K * m * (l === 0 ? X.cols : widths[l - 1]));
  let end = 0;
  const ends = [...kernels, K * loss.outputs, loss.outputs].map((size) => {
    end += size;
    return end;
  });
  return { each, K, masks, ends, length: end };
}

/** The vector of all weights of some layers. */
export function weightsOf({ kernel, behind, output }: BranchLayers, bias: Float64Array): Float64Array {
  return Float64Array.from([
    ...transposed(kernel),
    ...behind.flatMap((part) => Array.from(part)),
    ...output.data,
    ...bias,
  ]);
}

/** The layers of such a vector, a branch behind each of the gates. */
export function layersFrom(
  problem: GatedBranchProblem,
  weights: Float64Array,
): { layers: BranchLayers; bias: Float64Array } {
  const { gates, loss } = problem;
  const { ends, K } = describeOpen(problem, 1);
  const [first, ...parts] = ends.map((end, k) => weights.slice(k === 0 ? 0 : ends[k - 1], end));
  const [rows, cols] = [gates.first.cols, gates.first.rows];
  const kernel = { rows: cols, cols: rows, data: Float64Array.from(transposed({ rows, cols, data: first })) };
  const output = { rows: K, cols: loss.outputs, data: parts[parts.length - 2] };
  return { layers: { kernel, behind: parts.slice(0, -2), gates, output }, bias: parts[parts.length - 1] };
}

function transposed({ rows, cols, data }: Matrix): number[] {
  return Array.from({ length: rows * cols }, (_, at) => data[(at % rows) * cols + Math.floor(at / rows)]);
}

export function networkObjective(problem: GatedBranchProblem, { K, masks, ends }: Open) {
  const { X, loss, beta, gates, charge, outputBias } = problem;
  const widths = [...gates.hidden, 1];
  const L = widths.length + 1;
  const [n, d, C] = [X.rows, X.cols, loss.outputs];
  const views = (all: Float64Array) => ends.map((end, k) => all.subarray(k === 0 ? 0 : ends[k - 1], end));
  return (all: Float64Array, gradient: Float64Array): number => {
    gradient.fill(0);
    const [weights, slopes] = [views(all), views(gradient)];
    const [o, bias, go, gBias] = [weights[L - 1], weights[L], slopes[L - 1], slopes[L]];
    const layers = widths.map((m) => new Float64Array(n * K * m));
    const Z = new Float64Array(n * C);
    /** Every open neuron of layer l, with the place of its weights and the inputs that they meet. */
    const eachNeuron = (
      l: number,
      use: (unit: number, from: number, at: number, stride: number, input: number) => void,
    ) => {
      const m = widths[l];
      for (let i = 0; i < n; i++) {
        for (let u = 0; u < K * m; u++) {
          if (masks[l][i * K * m + u] === 0) continue;
          const [k, j] = [Math.floor(u / m), u % m];
          if (l === 0) use(i * K * m + u, 0, u * d, 1, i * d);
          else use(i * K * m + u, k, k * widths[l - 1] * m + j, m, (i * K + k) * widths[l - 1]);
        }
      }
    };
    const below = (l: number) => (l === 0 ? X.data : layers[l - 1]);
    const fanIn = (l: number) => (l === 0 ? d : widths[l - 1]);
    for (let l = 0; l < widths.length; l++) {
      eachNeuron(l, (unit, _, at, stride, input) => {
        for (let p = 0; p < fanIn(l); p++) layers[l][unit] += weights[l][at + p * stride] * below(l)[input + p];
      });
    }
    const values = layers[widths.length - 1]; // [n x K]
    for (let i = 0; i < n; i++) {
      for (let c = 0; c < C; c++) Z[i * C + c] = outputBias === null ? 0 : bias[c];
      for (let k = 0; k < K; k++) for (let c = 0; c < C; c++) Z[i * C + c] += values[i * K + k] * o[k * C + c];
    }
    const N = new Float64Array(n * C);
    loss.gradient(Z, N);
    let back = new Float64Array(n * K);
    for (let i = 0; i < n; i++) {
      for (let c = 0; c < C; c++) {
        if (outputBias !== null) gBias[c] += N[i * C + c];
        for (let k = 0; k < K; k++) {
          go[k * C + c] += N[i * C + c] * values[i * K + k];
          back[i * K + k] += N[i * C + c] * o[k * C + c];
        }
      }
    }
    for (let l = widths.length - 1; l >= 0; l--) {
      const next = new Float64Array(l === 0 ? 0 : n * K * widths[l - 1]);
      eachNeuron(l, (unit, _, at, stride, input) => {
        for (let p = 0; p < fanIn(l); p++) {
          slopes[l][at + p * stride] += back[unit] * below(l)[input + p];
          if (l > 0) next[input + p] += back[unit] * weights[l][at + p * stride];
        }
      });
      back = next;
    }
    let total = loss.value(Z);
    const ofBranch = (parts: readonly Float64Array[], l: number, k: number) => {
      const size = parts[l].length / K;
      return parts[l].subarray(k * size, (k + 1) * size);
    };
    for (let k = 0; k < K; k++) {
      const [W, w, last] = [0, 1, L - 1].map((l) => [ofBranch(weights, l, k), ofBranch(slopes, l, k)]);
      if (charge === "sum") {
        for (let l = 0; l < L; l++) {
          const [part, into] = [ofBranch(weights, l, k), ofBranch(slopes, l, k)];
          const size = Math.hypot(...part);
          total += (beta * size ** L) / L;
          for (let p = 0; p < part.length; p++) into[p] += beta * size ** (L - 2) * part[p];
        }
        continue;
      }
      // Path regularization, |w_3| (sum_j |w_1j|^2 w_2j^2)^(1/2).
      const squares = Array.from(w[0], (_, j) => W[0].subarray(j * d, (j + 1) * d).reduce((s, v) => s + v * v, 0));
      const inner = Math.sqrt(squares.reduce((s, square, j) => s + square * w[0][j] ** 2, 0)) + 1e-12;
      const outer = Math.hypot(...last[0]) + 1e-12;
      total += beta * outer * inner;
      for (let c = 0; c < C; c++) last[1][c] += (beta * inner * last[0][c]) / outer;
      for (let j = 0; j < w[0].length; j++) {
        w[1][j] += (beta * outer * squares[j] * w[0][j]) / inner;
        for (let p = j * d; p < (j + 1) * d; p++) W[1][p] += (beta * outer * w[0][j] ** 2 * W[0][p]) / inner;
      }
    }
    return total;
  };
}
