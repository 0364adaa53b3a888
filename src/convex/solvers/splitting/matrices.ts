/** The matrices of `splitting`'s system, made in pieces: M = I + w X'X and its inverse, Q where it has a factor, and the inverse of that. */

import type { CholeskyFactor, ConeSystem, Kernels } from "../../kernels/types.js";
import { eachActive, wordsPerGate } from "../../linear/bits.js";
import type { Pieces } from "../../linear/pieces.js";
import { gaussianSource } from "../../linear/random.js";
import { LEAST, norm } from "../../linear/vectors.js";
import type { GateSet, Matrix } from "../../types.js";
import type { Setting } from "../solver.js";

/** w of the slacks times the largest eigenvalue of X'X, against 1 of the blocks. */
const SLACK_WEIGHT = 5;
const POWER_STEPS = 30;
/** Multiplications between two turns of the host, some 10 ms. */
const TURN = 3e7;
/** Rows or columns that a product has at least, so that what goes with it does not count; and multiplications that 32 gates are worth. */
const LEAST_ROWS = 32;
const POPCOUNT = 10;

/**
 * M = I + w X'X as engines want it, w = 0 without cones, with the largest eigenvalue of X'X; null where rounding made M indefinite, or where
 * it is told to end.
 */
export function* sharedMatrix(
  X: Matrix,
  kernels: Kernels,
  cones = true,
): Pieces<(Omit<ConeSystem, "solution"> & { readonly largest: number }) | null> {
  const { rows: n, cols: d } = X;
  const M = new Float64Array(d * d);
  const together = Math.max(LEAST_ROWS, Math.floor(TURN / (d * d)));
  for (let from = 0; from < n; from += together) {
    const count = Math.min(together, n - from);
    kernels.addOuter(M, X.data.subarray(from * d, (from + count) * d), d, count, 1);
    if (yield) return null;
  }
  const largest = Math.max(largestEigenvalue(M, d), LEAST);
  if (!cones) return { sides: 1, weight: 0, inverse: new Float64Array(0), Y: X, largest };
  const weight = SLACK_WEIGHT / largest;
  for (let i = 0; i < d; i++) {
    for (let j = 0; j <= i; j++) M[i * d + j] = weight * M[i * d + j] + (i === j ? 1 : 0);
  }
  const factor = kernels.cholesky(M, d);
  if (factor === null) return null;
  const inverse = yield* inverseOf(factor, d);
  factor.dispose();
  if (inverse === null) return null;
  const Y: Matrix = { rows: n, cols: d, data: new Float64Array(n * d) };
  for (let from = 0; from < n; from += together) {
    const count = Math.min(together, n - from);
    const [rows, out] = [X.data, Y.data].map((data) => data.subarray(from * d, (from + count) * d));
    kernels.multiply(rows, inverse, out, count, d, d);
    if (yield) return null;
  }
  return { sides: 2, weight, inverse, Y, largest };
}

/** Lower triangle of Q [n x n], by blocks of rows; null where it is told to end. */
export function* denseSystem(
  { program: { X, gates, cones }, kernels }: Pick<Setting, "program" | "kernels">,
  Y: Matrix,
  shift: number,
  biasScale: number,
): Pieces<Float64Array | null> {
  const { rows: n, cols: d } = X;
  const words = wordsPerGate(gates.count);
  const open = openGates(gates);
  const Q = new Float64Array(n * n);
  const together = Math.max(1, Math.floor(TURN / (n * (d + POPCOUNT * words))));
  for (let from = 0; from < n; from += together) {
    const end = Math.min(n, from + together);
    // The rows [end - from x end] of a product whose columns end with the block.
    const gram = new Float64Array((end - from) * end);
    kernels.multiplyTransposed(Y.data.subarray(from * d, end * d), X.data, gram, end - from, d, end);
    for (let i = from; i < end; i++) {
      for (let j = 0; j <= i; j++) {
        const both = (cones ? 2 : 1) * commonBits(open, i * words, j * words, words);
        Q[i * n + j] = both * gram[(i - from) * end + j] + biasScale + (i === j ? shift : 0);
      }
    }
    if (yield) return null;
  }
  return Q;
}

/** Which gates are open on each row, [n x words] with a bit a gate. */
function openGates(gates: GateSet): Uint32Array {
  const words = wordsPerGate(gates.count);
  const open = new Uint32Array(gates.rows * words);
  for (let i = 0; i < gates.count; i++) {
    eachActive(gates, i, (row) => {
      open[row * words + (i >>> 5)] |= 1 << (i & 31);
    });
  }
  return open;
}

/** How many bits are set in both of two runs of words (Warren, Hacker's Delight, 5-1). */
function commonBits(bits: Uint32Array, a: number, b: number, words: number): number {
  let count = 0;
  for (let w = 0; w < words; w++) {
    let word = bits[a + w] & bits[b + w];
    word -= (word >>> 1) & 0x55555555;
    word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
    count += Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
  }
  return count;
}

/** H^-1 [n x n] of a factor, some columns at a time; null where it is told to end. */
export function* inverseOf(factor: CholeskyFactor, n: number): Pieces<Float64Array | null> {
  const inverse = new Float64Array(n * n);
  const together = Math.max(LEAST_ROWS, Math.floor(TURN / (n * n)));
  for (let from = 0; from < n; from += together) {
    const count = Math.min(together, n - from);
    const columns = new Float64Array(n * count);
    for (let k = 0; k < count; k++) columns[(from + k) * count + k] = 1;
    factor.solve(columns, count);
    for (let i = 0; i < n; i++) inverse.set(columns.subarray(i * count, (i + 1) * count), i * n + from);
    if (yield) return null;
  }
  return inverse;
}

/**
 * Of H [d x d], whose lower triangle is read; by power steps, to a few percent. They begin at random numbers in the units of the columns:
 * no fixed vector, like that of ones, is sure to see the eigenvector, and no diagonal entry is larger than the answer.
 */
function largestEigenvalue(H: Float64Array, d: number): number {
  const draw = gaussianSource(1);
  let u = Float64Array.from({ length: d }, (_, i) => draw() * Math.sqrt(H[i * d + i]));
  let value = 0;
  let least = 0;
  for (let i = 0; i < d; i++) least = Math.max(least, H[i * d + i]);
  const length = norm(u);
  if (!(length > 0)) return least;
  u = u.map((entry) => entry / length);
  for (let step = 0; step < POWER_STEPS; step++) {
    const next = new Float64Array(d);
    for (let i = 0; i < d; i++) {
      for (let j = 0; j <= i; j++) {
        next[i] += H[i * d + j] * u[j];
        if (j < i) next[j] += H[i * d + j] * u[i];
      }
    }
    value = norm(next);
    if (!(value > 0)) break;
    u = next.map((entry) => entry / value);
  }
  return Math.max(value, least);
}
