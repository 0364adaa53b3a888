/**
 * Gradient and Newton matrix of the smooth problem at a point.
 *
 *   H = J' L'' J + diag_j [ 2 g1 I,      B_j G_j ]
 *                         [ G_j' B_j',   2 g2 I  ],   G_j = A_j' L'(Z)
 *
 * At an optimum the second part is positive semidefinite, since no direction of a neuron is worth more than beta = 2 sqrt(g1 g2): it is
 * the curvature beta (I - u u') / |v| of the convex program's penalty, in the weights that layers hold.
 */

import type { Kernels } from "../kernels/types.js";
import { gaussianSource } from "../linear/random.js";
import { dot, dotAt, norm } from "../linear/vectors.js";
import type { Loss, Matrix } from "../types.js";
import { outputsAt, type Point, placesOf, pulled, slopes } from "./point.js";

/** Added to the diagonal, relative to its mean: far below what the data could tell apart, and enough for a factor. */
const SHIFT = 1e-13;
const HARDER = 100;
const MOST_SHIFT = 1e-2;
/** Steps that take the shift out again where H is definite. */
const REFINEMENTS = 3;
const INVERSE_STEPS = 30;
/** Columns that are solved for together. */
const BLOCK = 256;

/** Everything of second order at a point. */
export interface Curvature {
  readonly Z: Float64Array; // [n C]
  readonly xi: Float64Array; // [n C]: L'(Z)
  readonly J: Float64Array; // [p x n C]
  readonly gradient: Float64Array; // [p]
  readonly H: Float64Array; // [p x p], whole
  readonly size: number; // p
}

export function curvatureAt(point: Point, X: Matrix, loss: Loss, kernels: Kernels): Curvature {
  const { units, shape, bias } = point;
  const places = placesOf(point);
  const p = places[units.length + 1];
  const Z = outputsAt(point, X);
  const xi = new Float64Array(Z.length);
  loss.gradient(Z, xi);
  const J = slopes(point, X, kernels);
  const H = new Float64Array(p * p);
  kernels.multiplyTransposed(J, lossCurved(loss, Z, J, p), H, p, Z.length, p);
  const gradient = alongRows(J, xi);
  const { hidden: g1, output: g2, outputBias: ridge } = shape.decay;
  units.forEach((unit, j) => {
    const { basis, w, a, feeds } = unit;
    const d = w.length;
    const r = basis.length / d;
    const G = pulled(unit, X, xi, shape);
    const column = new Float64Array(d);
    for (let i = 0; i < r; i++) {
      const at = places[j] + i;
      gradient[at] += 2 * g1 * dotAt(basis, i * d, w, 0, d);
      H[at * p + at] += 2 * g1;
    }
    feeds.forEach((feed, f) => {
      const at = places[j] + r + f;
      gradient[at] += 2 * g2 * a[feed];
      H[at * p + at] += 2 * g2;
      for (let q = 0; q < d; q++) column[q] = G[q * a.length + feed];
      for (let i = 0; i < r; i++) {
        const value = dotAt(basis, i * d, column, 0, d);
        H[(places[j] + i) * p + at] += value;
        H[at * p + places[j] + i] += value;
      }
    });
  });
  for (let at = places[units.length], c = 0; at < p; at++, c++) {
    gradient[at] += 2 * ridge * bias[c];
    H[at * p + at] += 2 * ridge;
  }
  if (!loss.separable && shape.outputBias && ridge === 0) keepTheMean(H, p, places[units.length]);
  for (let i = 0; i < p; i++) {
    for (let j = 0; j < i; j++) H[i * p + j] = H[j * p + i] = (H[i * p + j] + H[j * p + i]) / 2;
  }
  return { Z, xi, J, gradient, H, size: p };
}

/** Softmax sees no constant in the outputs: of free biases the mean stays as it is, which changes nothing else. */
function keepTheMean(H: Float64Array, p: number, from: number): void {
  let size = 0;
  for (let i = from; i < p; i++) size = Math.max(size, H[i * p + i]);
  for (let i = from; i < p; i++) for (let j = from; j < p; j++) H[i * p + j] += size / (p - from);
}

/** M v [p], M [p x length of v]. */
export function alongRows(M: Float64Array, v: Float64Array): Float64Array {
  const length = v.length;
  return Float64Array.from({ length: M.length / length }, (_, i) => dotAt(M, i * length, v, 0, length));
}

/** M's, M [length of s x length]. */
export function sumOfRows(M: Float64Array, s: Float64Array, length: number): Float64Array {
  const out = new Float64Array(length);
  s.forEach((share, i) => {
    for (let k = 0; k < length; k++) out[k] += share * M[i * length + k];
  });
  return out;
}

/** L''(Z) on each of p rows of V [p x n C]. */
export function lossCurved(loss: Loss, Z: Float64Array, V: Float64Array, p: number): Float64Array {
  const out = new Float64Array(V.length);
  const length = Z.length;
  const diagonal = new Float64Array(length);
  loss.hessianDiagonal(Z, diagonal);
  for (let i = 0; i < p; i++) {
    const row = V.subarray(i * length, (i + 1) * length);
    const to = out.subarray(i * length, (i + 1) * length);
    if (loss.hessianTimes !== undefined) loss.hessianTimes(Z, row, to);
    else for (let k = 0; k < length; k++) to[k] = diagonal[k] * row[k];
  }
  return out;
}

/** The inverse of H, on the span where it has one. */
export class Inverse {
  private constructor(
    private readonly H: Float64Array,
    private readonly size: number,
    private readonly L: Float64Array,
    private readonly shift: number,
    private readonly kernels: Kernels,
  ) {}

  /** Null where H is not positive semidefinite by far: the point is no minimum. */
  static of({ H, size: p }: Pick<Curvature, "H" | "size">, kernels: Kernels): Inverse | null {
    const mean = meanDiagonal(H, p);
    if (p === 0) return new Inverse(H, 0, H, 0, kernels);
    for (let share = SHIFT; share <= MOST_SHIFT; share *= HARDER) {
      const L = shifted(H, p, share * mean);
      if (kernels.factor(L, p)) return new Inverse(H, p, L, share * mean, kernels);
    }
    return null;
  }

  /** H^-1 b [p]; where H is singular the least such vector, for b in its range. */
  solve(b: Float64Array): Float64Array {
    const x = b.slice();
    if (this.size === 0) return x;
    this.kernels.solve(this.L, this.size, x);
    for (let step = 0; step < REFINEMENTS; step++) {
      const left = Float64Array.from(b, (value, i) => value - dotAt(this.H, i * this.size, x, 0, this.size));
      this.kernels.solve(this.L, this.size, left);
      for (let i = 0; i < x.length; i++) x[i] += left[i];
    }
    return x;
  }

  /** B := H^-1 B, B [p x k]: what `solve` says of each column, blocks of them together. */
  solveAll(B: Float64Array, k: number): void {
    const p = this.size;
    if (p === 0) return;
    const { kernels, H, L } = this;
    // Null from an engine whose factors round in another way than its `factor`, by which L is there.
    const held = kernels.cholesky(shifted(H, p, this.shift), p);
    const divide = (V: Float64Array, width: number) => {
      if (held !== null) held.solve(V, width);
      else eachColumn(V, p, width, (column) => kernels.solve(L, p, column));
    };
    try {
      for (let from = 0; from < k; from += BLOCK) {
        const width = Math.min(BLOCK, k - from);
        const b = new Float64Array(p * width);
        for (let i = 0; i < p; i++) b.set(B.subarray(i * k + from, i * k + from + width), i * width);
        const x = b.slice();
        divide(x, width);
        const left = new Float64Array(p * width);
        for (let step = 0; step < REFINEMENTS; step++) {
          kernels.multiply(H, x, left, p, p, width);
          for (let i = 0; i < x.length; i++) left[i] = b[i] - left[i];
          divide(left, width);
          for (let i = 0; i < x.length; i++) x[i] += left[i];
        }
        for (let i = 0; i < p; i++) B.set(x.subarray(i * width, (i + 1) * width), i * k + from);
      }
    } finally {
      held?.dispose();
    }
  }

  /** The least eigenvalue, relative to the mean of the diagonal, by inverse iteration. */
  leastEigenvalue(): number {
    if (this.size === 0) return 1;
    const draw = gaussianSource(1);
    let x = Float64Array.from({ length: this.size }, draw);
    for (let step = 0; step < INVERSE_STEPS; step++) {
      const size = norm(x);
      x = x.map((value) => value / size);
      this.kernels.solve(this.L, this.size, x);
    }
    const y = Float64Array.from(x, (_, i) => dotAt(this.H, i * this.size, x, 0, this.size));
    return dot(x, y) / dot(x, x) / meanDiagonal(this.H, this.size);
  }
}

/** Each column of V [p x k] by itself, in place. */
function eachColumn(V: Float64Array, p: number, k: number, use: (column: Float64Array) => void): void {
  const column = new Float64Array(p);
  for (let c = 0; c < k; c++) {
    for (let i = 0; i < p; i++) column[i] = V[i * k + c];
    use(column);
    for (let i = 0; i < p; i++) V[i * k + c] = column[i];
  }
}

function meanDiagonal(H: Float64Array, p: number): number {
  let mean = 0;
  for (let i = 0; i < p; i++) mean += H[i * p + i] / p;
  return mean > 0 ? mean : 1;
}

function shifted(H: Float64Array, p: number, shift: number): Float64Array {
  const out = H.slice();
  for (let i = 0; i < p; i++) out[i * p + i] += shift;
  return out;
}
