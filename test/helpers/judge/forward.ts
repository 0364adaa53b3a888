/** Two-layer networks by their definition: plain neurons over patches, their outputs, their objective and its gradient. */

import { lossOf, type Targets } from "./losses.js";

/** What a network is judged on. Without convolution every row is its own only patch. */
export interface Task extends Targets {
  readonly patches: number; // K
  readonly inputs: number; // d of a patch
  readonly X: Float64Array; // [n K x d]
  readonly positions: number; // A, what the last layer reads of each filter
  readonly readOut: Float64Array; // [A x K]
  readonly hiddenBias: boolean;
  readonly outputBias: boolean;
  /** The rows [n x p] that a linear layer beside the neurons sees; null without one. */
  readonly skip: { readonly X: Float64Array; readonly inputs: number } | null;
  readonly gated: boolean;
  /** What units that are no gated ones do to negative sums. */
  readonly slope: number;
  /** Factors of the squared hidden weights, hidden biases, output weights and output biases. */
  readonly charge: {
    readonly hidden: number;
    readonly hiddenBias: number;
    readonly output: number;
    readonly outputBias: number;
    readonly skip: number;
  };
}

/** m neurons; a `mask` says on which patches of which rows one is on, null: where its own sum is positive. */
export interface Net {
  readonly W: Float64Array; // [m x d]
  readonly b: Float64Array; // [m]
  readonly A: Float64Array; // [m x A C]
  readonly c: Float64Array; // [C]
  readonly U: Float64Array; // [p x C], empty without a linear layer beside them
  readonly masks: readonly (Uint8Array | null)[]; // each [n K]
}

export interface Gradient {
  readonly W: Float64Array;
  readonly b: Float64Array;
  readonly A: Float64Array;
  readonly c: Float64Array;
  readonly U: Float64Array;
}

export function emptyNet(task: Task, masks: readonly (Uint8Array | null)[]): Net {
  const m = masks.length;
  return {
    W: new Float64Array(m * task.inputs),
    b: new Float64Array(m),
    A: new Float64Array(m * task.positions * task.outputs),
    c: new Float64Array(task.outputs),
    U: new Float64Array((task.skip?.inputs ?? 0) * task.outputs),
    masks,
  };
}

interface Pass {
  readonly on: Float64Array; // [m x n K]: by what a sum is multiplied
  readonly pooled: Float64Array; // [m x n A]
  readonly Z: Float64Array; // [n x C]
}

function pass(task: Task, { W, b, A, c, U, masks }: Net): Pass {
  const { rows: n, patches: K, inputs: d, X, positions, readOut, outputs: C } = task;
  const m = masks.length;
  const on = new Float64Array(m * n * K);
  const pooled = new Float64Array(m * n * positions);
  const Z = new Float64Array(n * C);
  for (let k = 0; k < Z.length; k++) {
    Z[k] = c[k % C];
    addLinear(task, k, (x, at) => {
      Z[k] += x * U[at];
    });
  }
  for (let j = 0; j < m; j++) {
    const mask = masks[j];
    for (let i = 0; i < n * K; i++) {
      let sum = b[j];
      for (let p = 0; p < d; p++) sum += W[j * d + p] * X[i * d + p];
      const open = mask === null ? sum > 0 : mask[i] === 1;
      const factor = open ? 1 : task.slope;
      if (factor === 0) continue;
      on[j * n * K + i] = factor;
      const row = (i - (i % K)) / K;
      for (let a = 0; a < positions; a++)
        pooled[(j * n + row) * positions + a] += readOut[a * K + (i % K)] * factor * sum;
    }
    for (let row = 0; row < n; row++) {
      for (let a = 0; a < positions; a++) {
        const value = pooled[(j * n + row) * positions + a];
        if (value === 0) continue;
        for (let o = 0; o < C; o++) Z[row * C + o] += value * A[(j * positions + a) * C + o];
      }
    }
  }
  return { on, pooled, Z };
}

/** Visits what a linear layer beside the neurons has of output k: an entry of its rows, and the place of its weight. */
function addLinear({ skip, outputs: C }: Task, k: number, use: (x: number, at: number) => void): void {
  if (skip === null) return;
  const { X, inputs } = skip;
  for (let p = 0; p < inputs; p++) use(X[Math.floor(k / C) * inputs + p], p * C + (k % C));
}

/** The outputs before the last activation [n x C]. */
export function outputsOf(task: Task, net: Net): Float64Array {
  return pass(task, net).Z;
}

export function sizeOf({ charge }: Task, { W, b, A, c, U }: Net): number {
  return (
    charge.hidden * square(W) +
    charge.hiddenBias * square(b) +
    charge.output * square(A) +
    charge.outputBias * square(c) +
    charge.skip * square(U)
  );
}

/** Loss and charges; writes the gradient where `out` is given. */
export function objective(task: Task, net: Net, out?: Gradient, weight = 1): number {
  const { rows: n, patches: K, inputs: d, X, positions, readOut, outputs: C, charge } = task;
  const { on, pooled, Z } = pass(task, net);
  if (out === undefined) return weight * lossOf(task, Z) + sizeOf(task, net);
  const slope = new Float64Array(n * C);
  const loss = weight * lossOf(task, Z, slope);
  const { W, b, A, c, U, masks } = net;
  for (let p = 0; p < W.length; p++) out.W[p] = 2 * charge.hidden * W[p];
  for (let p = 0; p < b.length; p++) out.b[p] = 2 * charge.hiddenBias * b[p];
  for (let p = 0; p < A.length; p++) out.A[p] = 2 * charge.output * A[p];
  for (let p = 0; p < C; p++) out.c[p] = 2 * charge.outputBias * c[p];
  for (let p = 0; p < U.length; p++) out.U[p] = 2 * charge.skip * U[p];
  for (let k = 0; k < slope.length; k++) {
    slope[k] *= weight;
    out.c[k % C] += slope[k];
    addLinear(task, k, (x, at) => {
      out.U[at] += x * slope[k];
    });
  }
  for (let j = 0; j < masks.length; j++) {
    for (let row = 0; row < n; row++) {
      for (let a = 0; a < positions; a++) {
        const value = pooled[(j * n + row) * positions + a];
        let back = 0;
        for (let o = 0; o < C; o++) {
          const at = (j * positions + a) * C + o;
          out.A[at] += value * slope[row * C + o];
          back += A[at] * slope[row * C + o];
        }
        if (back === 0) continue;
        for (let k = 0; k < K; k++) {
          const i = row * K + k;
          const share = back * readOut[a * K + k] * on[j * n * K + i];
          if (share === 0) continue;
          out.b[j] += share;
          for (let p = 0; p < d; p++) out.W[j * d + p] += share * X[i * d + p];
        }
      }
    }
  }
  if (!task.hiddenBias) out.b.fill(0);
  if (!task.outputBias) out.c.fill(0);
  return loss + sizeOf(task, net);
}

/**
 * How far the objective may move when every number is rounded to float32, and sums are: the loss at the worst outputs within
 * their error bounds less the loss as it is, and the rounding of the charges.
 */
export function roundingOf(task: Task, net: Net, terms = 4): number {
  const { rows: n, patches: K, inputs: d, X, positions, readOut, outputs: C } = task;
  const { on, Z } = pass(task, net);
  const reach = Float64Array.from(Z, (_, k) => {
    let sum = Math.abs(net.c[k % C]);
    addLinear(task, k, (x, at) => {
      sum += Math.abs(x * net.U[at]);
    });
    return sum;
  });
  for (let j = 0; j < net.masks.length; j++) {
    for (let i = 0; i < n * K; i++) {
      const factor = Math.abs(on[j * n * K + i]);
      if (factor === 0) continue;
      let sum = Math.abs(net.b[j]);
      for (let p = 0; p < d; p++) sum += Math.abs(net.W[j * d + p] * X[i * d + p]);
      const row = (i - (i % K)) / K;
      for (let a = 0; a < positions; a++) {
        const share = readOut[a * K + (i % K)] * factor * sum;
        if (share === 0) continue;
        for (let o = 0; o < C; o++) reach[row * C + o] += share * Math.abs(net.A[(j * positions + a) * C + o]);
      }
    }
  }
  const unit = terms * 2 ** -24;
  const loss = lossOf(task, Z);
  let moved = 0;
  for (let k = 0; k < Z.length; k++) {
    let most = 0;
    for (const sign of [-1, 1]) {
      const at = Z.slice();
      at[k] += sign * unit * reach[k];
      most = Math.max(most, lossOf(task, at) - loss);
    }
    moved += 2 * most; // entries move together; losses are convex
  }
  return moved + 2 * unit * sizeOf(task, net);
}

function square(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}
