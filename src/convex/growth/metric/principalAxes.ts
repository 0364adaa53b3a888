/**
 * The rows of X in the axes of X'X, in which their columns are orthogonal: what a descent of neurons steps along. A rotation changes
 * neither the outputs nor the lengths of neurons, so that the objective is the same.
 */

import type { Kernels } from "../../kernels/types.js";
import { eigenSymmetric } from "../../linear/eigen.js";
import { turned } from "../../linear/vectors.js";
import type { Matrix } from "../../types.js";

/** Columns, and multiplications, up to which they are made. */
const MOST_COLUMNS = 256;
const MOST_WORK = 2 ** 28;

export interface Axes {
  /** [n x d], column p along axis p. */
  readonly X: Matrix;
  /** The squares of each column of that, summed over rows; null where X is as it was. */
  readonly squares: Float64Array | null;
  /** Weights [m x d] of X as weights of these rows, and back. */
  there(weights: Float64Array): Float64Array;
  back(weights: Float64Array): Float64Array;
}

const known = new WeakMap<Matrix, Axes>();

/** Those of X; on large data, and where the rows are made piece by piece, X as it is. */
export function axesOf(X: Matrix, kernels: Kernels): Axes {
  const axes = known.get(X) ?? made(X, kernels);
  known.set(X, axes);
  return axes;
}

function made(X: Matrix, kernels: Kernels): Axes {
  const { rows: n, cols: d } = X;
  const same = (weights: Float64Array) => weights.slice();
  const still = () => ({ X, squares: null, there: same, back: same });
  if (d > MOST_COLUMNS || n * d * d > MOST_WORK || X.block !== undefined) return still();
  const gram = new Float64Array(d * d);
  kernels.addOuter(gram, X.data, d, n, 1);
  const { values, vectors } = eigenSymmetric(gram, d);
  if (!vectors.data.every(Number.isFinite)) return still();
  const V = vectors.data; // row p is axis p
  const across = turned(vectors).data;
  const times = (A: Float64Array, B: Float64Array) => {
    const out = new Float64Array(A.length);
    kernels.multiply(A, B, out, A.length / d, d, d);
    return out;
  };
  return {
    X: { rows: n, cols: d, data: times(X.data, across) },
    squares: values.map((value) => Math.max(0, value)),
    there: (weights) => times(weights, across),
    back: (weights) => times(weights, V),
  };
}
