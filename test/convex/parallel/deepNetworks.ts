/** Parallel ReLU networks of any number of layers as numbers, and their objective by the definition: what their program is held against. */

import { descend } from "../../../src/convex/linear/lbfgs.js";
import { gaussianSource } from "../../../src/convex/linear/random.js";
import type { LayerWeights } from "../../../src/convex/matrices/index.js";
import type { ParallelProblem } from "../../../src/convex/parallel/index.js";

/**
 * What a branch is: a tree, in which each neuron has those below it for itself, or layers of which every neuron reads every neuron below. `widths`: of
 * layers 0 (the inputs), .., L.
 */
export interface Shape {
  readonly kind: "tree" | "shared";
  readonly hidden: readonly number[];
  readonly branches: number;
  readonly widths: readonly number[];
  readonly length: number;
}

export function shapeOf(kind: Shape["kind"], features: number, hidden: readonly number[], branches: number): Shape {
  const own = kind === "shared" ? hidden : hidden.map((_, l) => hidden.slice(l).reduce((all, m) => all * m, 1));
  const widths = [features, ...own, 1, 1];
  const each = widths.slice(1).reduce((sum, width, l) => sum + width * widths[l], 0);
  return { kind, hidden, branches, widths, length: branches * each };
}

/** Loss and beta times the charge ("sum": L-th powers of norms, "frobenius": path regularization), with the gradient. */
export function objectiveOf(
  { X, loss, beta, charge }: Pick<ParallelProblem, "X" | "loss" | "beta" | "charge">,
  { kind, hidden, branches, widths, length }: Shape,
) {
  const L = widths.length - 1;
  const each = length / branches;
  const starts = widths
    .slice(1)
    .map((_, l) => widths.slice(1, l + 1).reduce((sum, width, i) => sum + width * widths[i], 0));
  const isThere = (l: number, a: number, b: number) =>
    kind === "shared" || l === 0 || l === L - 1 || Math.floor(a / hidden[l - 1]) === b;
  /** Every weight of layer l of branch k. */
  const eachWeight = (k: number, l: number, use: (at: number, a: number, b: number) => void) => {
    for (let a = 0; a < widths[l]; a++) {
      for (let b = 0; b < widths[l + 1]; b++) {
        if (isThere(l, a, b)) use(k * each + starts[l] + a * widths[l + 1] + b, a, b);
      }
    }
  };
  return (all: Float64Array, gradient: Float64Array): number => {
    const n = X.rows;
    gradient.fill(0);
    const outputs = new Float64Array(n);
    const layers = Array.from({ length: branches }, () => widths.map((width) => new Float64Array(n * width)));
    for (const [k, values] of layers.entries()) {
      values[0].set(X.data);
      for (let l = 0; l < L; l++) {
        eachWeight(k, l, (at, a, b) => {
          for (let r = 0; r < n; r++) values[l + 1][r * widths[l + 1] + b] += values[l][r * widths[l] + a] * all[at];
        });
        if (l < L - 1)
          values[l + 1].forEach((value, i) => {
            values[l + 1][i] = Math.max(0, value);
          });
      }
      for (let r = 0; r < n; r++) outputs[r] += values[L][r];
    }
    let total = loss.value(outputs);
    const N = new Float64Array(n);
    loss.gradient(outputs, N);
    for (const [k, values] of layers.entries()) {
      let back: Float64Array = N;
      for (let l = L - 1; l >= 0; l--) {
        const next = new Float64Array(n * widths[l]);
        eachWeight(k, l, (at, a, b) => {
          for (let r = 0; r < n; r++) {
            const slope = back[r * widths[l + 1] + b];
            gradient[at] += values[l][r * widths[l] + a] * slope;
            next[r * widths[l] + a] += all[at] * slope;
          }
        });
        back = next.map((slope, i) => (l === 0 || values[l][i] > 0 ? slope : 0));
      }
      if (charge === "sum") {
        for (let l = 0; l < L; l++) {
          let square = 0;
          eachWeight(k, l, (at) => {
            square += all[at] ** 2;
          });
          total += (beta * square ** (L / 2)) / L;
          eachWeight(k, l, (at) => {
            gradient[at] += beta * square ** (L / 2 - 1) * all[at];
          });
        }
        continue;
      }
      const ahead = [new Float64Array(widths[0]).fill(1)];
      for (let l = 0; l < L; l++) {
        const sums = new Float64Array(widths[l + 1]);
        eachWeight(k, l, (at, a, b) => {
          sums[b] += ahead[l][a] * all[at] ** 2;
        });
        ahead.push(sums);
      }
      const root = Math.sqrt(ahead[L][0]) + 1e-12;
      total += beta * root;
      let behind = Float64Array.of(1);
      for (let l = L - 1; l >= 0; l--) {
        const sums = new Float64Array(widths[l]);
        eachWeight(k, l, (at, a, b) => {
          gradient[at] += (beta * ahead[l][a] * behind[b] * all[at]) / root;
          sums[a] += behind[b] * all[at] ** 2;
        });
        behind = sums;
      }
    }
    return total;
  };
}

/** The vector of all weights of recovered layers, trees of K branches. */
export function weightsOf(layers: readonly LayerWeights[], { branches: K, widths, length }: Shape): Float64Array {
  const all = new Float64Array(length);
  let at = 0;
  for (let k = 0; k < K; k++) {
    for (const [l, { kernel }] of layers.entries()) {
      const [rows, cols] = [widths[l], widths[l + 1]];
      const [row, col] = [l === 0 ? 0 : k * rows, l === layers.length - 1 ? 0 : k * cols];
      for (let a = 0; a < rows; a++) {
        for (let b = 0; b < cols; b++, at++) all[at] = kernel.data[(row + a) * kernel.cols + col + b];
      }
    }
  }
  return all;
}

/** Values that descents from Gaussian weights end at. */
export async function descents(
  problem: Pick<ParallelProblem, "X" | "loss" | "beta" | "charge">,
  shape: Shape,
  runs: number,
  seed = 1,
): Promise<number[]> {
  const draw = gaussianSource(seed);
  const objective = objectiveOf(problem, shape);
  const ends: number[] = [];
  for (let run = 0; run < runs; run++) {
    const start = Float64Array.from({ length: shape.length }, () => 0.8 * draw());
    ends.push((await descend(objective, start, 300, async () => false)).value);
  }
  return ends;
}
