/**
 * What the closed forms of deep networks share: networks X W_1 ... W_L with a squared loss and weight decay on every layer.
 *
 * min |X W_1 ... W_L + 1 c' - Y|^2 / (n C) + sum_l g_l |W_l|^2. Layers whose product has singular values t cost at least
 * L g sum_k t_k^(2/L), g the geometric mean of the g_l (Schatten, not a norm from L = 3 on), and layers of equal charges attain it.
 * A free bias c takes the means away: X and Y are centred then.
 */

import { counted } from "../../../arguments.js";
import { eigenSymmetric, type SingularVectors, singularVectors } from "../../linear/eigen/index.js";
import { exp, log, realPower } from "../../linear/elementary.js";
import { columnSums, dotAt, turned } from "../../linear/vectors.js";
import type { Matrix } from "../../types.js";
import type { MatrixFormulation, MatrixProblem, MatrixSolution } from "../formulation.js";

export interface DeepProblem extends MatrixProblem {
  readonly Y: Matrix; // [n x C]
  /** Factors g_l of |W_l|^2, from the first layer on; `beta` is their geometric mean. */
  readonly charges: readonly number[]; // [L]
  readonly widths: readonly number[]; // [L - 1], of the hidden layers
}

export interface DeepSolution extends MatrixSolution {
  readonly kernels: readonly Matrix[]; // [L], W_l [inputs x units]
  readonly bias: Float64Array; // [C]; zeros without one
  /** How many directions go through the layers. */
  readonly rank: number;
  /** What the theorem asks of the data, with the numbers that were found. */
  readonly assumption: string;
  /** The networks that `gap.dual` is about, to stand behind "No network of". */
  readonly among: string;
}

export interface DeepFormulation extends MatrixFormulation<DeepProblem, DeepSolution> {
  readonly source: string; // of the theorem, and what was changed of it
}

/** Sides of the smaller Gram matrix whose decomposition is a matter of seconds. */
const MOST_SIDE = 1500;
/** Multiplications up to which the singular vectors are computed from X itself, not from its Gram matrix. */
const DIRECT = 3e7;

/** Null, or why no closed form of this kind is for the problem. */
export function refusesDeep({ X, Y, loss, outputBias, charges, widths, beta }: DeepProblem): string | null {
  if (loss.name !== "meanSquaredError") return `expected the loss meanSquaredError, got ${loss.name}`;
  if (charges.length !== widths.length + 1 || charges.length < 2) {
    return `expected one charge a layer and at least two layers, got ${charges.length} and ${counted(widths.length, "hidden layer")}`;
  }
  if (!charges.every((charge) => charge > 0) || !(beta > 0)) {
    return `expected weight decay on every layer, without which no weights attain the least charge, got factors ${charges.join(", ")}`;
  }
  if (outputBias !== null && outputBias.ridge !== 0) {
    return `expected an output bias without decay, or none, got decay ${outputBias.ridge}`;
  }
  if (X.rows !== Y.rows) return `expected as many rows of y as of x, ${X.rows}, got ${Y.rows}`;
  const side = Math.min(X.rows, X.cols);
  if (side > MOST_SIDE) return `expected at most ${MOST_SIDE} rows or columns, got ${X.rows} x ${X.cols}`;
  return null;
}

/** The geometric mean of the charges. */
export function meanCharge(charges: readonly number[]): number {
  return exp(charges.reduce((sum, charge) => sum + log(charge), 0) / charges.length);
}

/** X and Y as the kernels see them: less their means where an output bias is free. */
export interface DeepData {
  readonly X: Matrix;
  readonly Y: Matrix;
  readonly scale: number; // 1 / (n C), of the squares
  readonly power: number; // 2 / L
  readonly charge: number; // L g
  /** The bias that goes with a product W [d x C]. */
  biasOf(W: Matrix): Float64Array;
}

export function deepData({ X, Y, outputBias, charges, beta }: DeepProblem): DeepData {
  const L = charges.length;
  const shared = { scale: 1 / (Y.rows * Y.cols), power: 2 / L, charge: L * beta };
  if (outputBias === null) return { X, Y, ...shared, biasOf: () => new Float64Array(Y.cols) };
  const [x, y] = [centred(X), centred(Y)];
  return { X: x.matrix, Y: y.matrix, ...shared, biasOf: (W) => offset(y.means, x.means, W) };
}

/** A matrix less the means of its columns, and the means. */
export interface Centred {
  readonly matrix: Matrix;
  readonly means: Float64Array;
}

/** Of matrices that are asked for again: when a problem is refused or not, and when it is solved. */
const centredOnes = new WeakMap<Matrix, Centred>();
const spectra = new WeakMap<Matrix, SingularVectors>();

export function centred(M: Matrix): Centred {
  let known = centredOnes.get(M);
  if (known === undefined) {
    const means = columnSums(M.data, M.cols).map((sum) => sum / M.rows);
    known = { matrix: { ...M, data: M.data.map((value, k) => value - means[k % M.cols]) }, means };
    centredOnes.set(M, known);
  }
  return known;
}

/** to - from W. */
export function offset(to: Float64Array, from: Float64Array, W: Matrix): Float64Array {
  const C = W.cols;
  return to.map((value, c) => from.reduce((rest, mean, p) => rest - mean * W.data[p * C + c], value));
}

/** The nonzero singular values of X, decreasing, with their vectors. */
export function spectrum(X: Matrix): SingularVectors {
  const known = spectra.get(X) ?? decompose(X);
  spectra.set(X, known);
  return known;
}

function decompose(X: Matrix): SingularVectors {
  const { rows: n, cols: d } = X;
  const side = Math.min(n, d);
  if (n * d * side <= DIRECT) return first(singularVectors(X), Number.EPSILON * Math.max(n, d));
  const tall = n >= d;
  const across = tall ? turned(X) : X; // [side x other], whose rows are multiplied
  const other = tall ? n : d;
  const gram = new Float64Array(side * side);
  for (let i = 0; i < side; i++) {
    for (let j = 0; j <= i; j++) {
      gram[i * side + j] = dotAt(across.data, i * other, across.data, j * other, other);
    }
  }
  const { values, vectors } = eigenSymmetric(gram, side);
  const near = { rows: side, cols: side, data: new Float64Array(side * side) };
  const far = { rows: side, cols: other, data: new Float64Array(side * other) };
  const roots = new Float64Array(side);
  for (let k = 0; k < side; k++) {
    const from = side - 1 - k;
    roots[k] = Math.sqrt(Math.max(0, values[from]));
    near.data.set(vectors.data.subarray(from * side, (from + 1) * side), k * side);
    for (let i = 0; i < side && roots[k] > 0; i++) {
      const weight = near.data[k * side + i] / roots[k];
      for (let p = 0; p < other; p++) far.data[k * other + p] += weight * across.data[i * other + p];
    }
  }
  const found = tall ? { left: far, right: near } : { left: near, right: far };
  return first({ values: roots, ...found }, Math.sqrt(Number.EPSILON * Math.max(n, d)));
}

/** Those above a share of the largest. */
function first({ values, left, right }: SingularVectors, share: number): SingularVectors {
  const floor = share * (values[0] ?? 0);
  const count = values.filter((value) => value > floor).length;
  const upper = ({ cols, data }: Matrix) => ({ rows: count, cols, data: data.slice(0, count * cols) });
  return { values: values.slice(0, count), left: upper(left), right: upper(right) };
}

/** A B' for A [m x k], B [n x k]. */
export function timesTransposed(A: Matrix, B: Matrix): Matrix {
  const data = new Float64Array(A.rows * B.rows);
  for (let i = 0; i < A.rows; i++) {
    for (let j = 0; j < B.rows; j++) data[i * B.rows + j] = dotAt(A.data, i * A.cols, B.data, j * B.cols, A.cols);
  }
  return { rows: A.rows, cols: B.rows, data };
}

/** A B for A [m x k], B [k x n]. */
export function times(A: Matrix, B: Matrix): Matrix {
  return timesTransposed(A, turned(B));
}

/** |A|^2. */
export function squares({ data }: Matrix): number {
  return dotAt(data, 0, data, 0, data.length);
}

/** t_k left_k right_k' as layers: direction k goes through unit k of each. */
export interface Directions {
  readonly sizes: Float64Array; // [r], t_k > 0
  readonly left: Matrix; // [r x d], rows of length one
  readonly right: Matrix; // [r x C], rows of length one
}

/** Kernels of L layers whose product is sum_k t_k left_k right_k', each layer charged g t_k^(2/L) for direction k. */
export function asLayers({ sizes, left, right }: Directions, { charges, widths, beta }: DeepProblem): Matrix[] {
  const L = charges.length;
  const share = (l: number, k: number) => Math.sqrt(beta / charges[l]) * realPower(sizes[k], 1 / L);
  return charges.map((_, l) => {
    const rows = l === 0 ? left.cols : widths[l - 1];
    const cols = l === L - 1 ? right.cols : widths[l];
    const data = new Float64Array(rows * cols);
    for (let k = 0; k < sizes.length; k++) {
      if (l === 0) for (let p = 0; p < rows; p++) data[p * cols + k] = share(l, k) * left.data[k * rows + p];
      else if (l === L - 1) for (let c = 0; c < cols; c++) data[k * cols + c] = share(l, k) * right.data[k * cols + c];
      else data[k * cols + k] = share(l, k);
    }
    return { rows, cols, data };
  });
}

/** What the L layers cost. */
export function decayOfLayers(kernels: readonly Matrix[], charges: readonly number[]): number {
  return kernels.reduce((sum, kernel, l) => sum + charges[l] * squares(kernel), 0);
}
