/**
 * The rows of X in the axes of X'X, in which their columns are orthogonal: what a descent of neurons steps along. A rotation changes
 * neither the outputs nor the lengths of neurons, so that the objective is the same.
 */

import type { Kernels } from "../../kernels/types.js";
import { eigenInPieces } from "../../linear/eigen/index.js";
import { inTurns, type Pieces } from "../../linear/pieces.js";
import { rowBlock, rowsMadeBy } from "../../linear/rowBlock.js";
import { turned } from "../../linear/vectors.js";
import type { Matrix } from "../../types.js";

/** Columns, and multiplications, up to which they are made. */
const MOST_COLUMNS = 256;
const MOST_WORK = 2 ** 28;
/** Rows that are multiplied between two turns of the host. */
const TOGETHER = 65_536;

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

/** Those of X; on large data, and where it is told to end before, X as it is. */
export async function axesOf(X: Matrix, kernels: Kernels, pause: () => Promise<boolean>): Promise<Axes> {
  const axes = known.get(X) ?? (await inTurns(making(X, kernels), pause));
  if (axes !== null) known.set(X, axes);
  return axes ?? still(X);
}

function still(X: Matrix): Axes {
  const same = (weights: Float64Array) => weights.slice();
  return { X, squares: null, there: same, back: same };
}

function* making(X: Matrix, kernels: Kernels): Pieces<Axes | null> {
  const { rows: n, cols: d } = X;
  if (d > MOST_COLUMNS || n * d * d > MOST_WORK) return still(X);
  const gram = new Float64Array(d * d);
  for (let from = 0; from < n; from += TOGETHER) {
    const count = Math.min(TOGETHER, n - from);
    kernels.addOuter(gram, rowBlock(X, from, count), d, count, 1);
    if (yield) return null;
  }
  const eigen = yield* eigenInPieces(gram, d);
  if (eigen === null) return null;
  const { values, vectors } = eigen;
  if (!vectors.data.every(Number.isFinite)) return still(X);
  const V = vectors.data; // row p is axis p
  const across = turned(vectors).data;
  const times = (A: Float64Array, B: Float64Array) => {
    const out = new Float64Array(A.length);
    kernels.multiply(A, B, out, A.length / d, d, d);
    return out;
  };
  return {
    X:
      X.block === undefined
        ? { rows: n, cols: d, data: times(X.data, across) }
        : rowsMadeBy(n, d, (from, count) => times(rowBlock(X, from, count), across)),
    squares: values.map((value) => Math.max(0, value)),
    there: (weights) => times(weights, across),
    back: (weights) => times(weights, V),
  };
}
