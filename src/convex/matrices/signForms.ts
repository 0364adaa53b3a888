/**
 * Units with weights in {-1, 1} as quadratic forms of sign vectors: what the relaxation, the sampling and the prices share.
 *
 * A unit is p in {-1, 1}^D, its output on row k is p'M_k p. Bilinear units (x'u)(x'v): p = (u, v), D = 2 d, M_k has x x' / 2 off the
 * diagonal. Units a t^2 + b t + c of t = x'u: p = (u, 1), D = d + 1, M_k = [a x x', b x / 2; b x' / 2, c]. p and -p are one unit.
 */

import type { Matrix } from "../types.js";
import type { Polynomial } from "../units/index.js";

export type SignUnit = "bilinear" | Polynomial;

export interface SignForms {
  readonly kind: SignUnit;
  readonly X: Matrix; // [n x d]
  readonly size: number; // D
  /** True when -1 times the output is an output too, so that one sign of output weights is enough. */
  readonly odd: boolean;
  /** What all outputs are multiplied by. */
  readonly scale: number;
}

export function signForms(kind: SignUnit, X: Matrix, scale = 1): SignForms {
  return { kind, X, size: kind === "bilinear" ? 2 * X.cols : X.cols + 1, odd: kind === "bilinear", scale };
}

/** A size of the outputs: their root mean square over sign vectors, or the most that it may be. */
export function typicalOutput(kind: SignUnit, { rows, data }: Matrix): number {
  const square = data.reduce((sum, value) => sum + value * value, 0) / rows; // the mean of (x'u)^2
  if (kind === "bilinear") return square;
  return Math.abs(kind.a) * square + Math.abs(kind.b) * Math.sqrt(square) + Math.abs(kind.c);
}

/** Outputs [n] of sum_r p_r' M p_r, W [D x r] holding row i of all p. */
export function formOutputs({ kind, X, scale }: SignForms, W: Float64Array, r: number): Float64Array {
  const { rows: n, cols: d } = X;
  const A = times(X, W.subarray(0, d * r), r);
  if (kind === "bilinear") {
    const B = times(X, W.subarray(d * r), r);
    return sumsOf(n, r, (k) => scale * A[k] * B[k]);
  }
  const last = W.subarray(d * r);
  return sumsOf(n, r, (k) => scale * ((kind.a * A[k] + kind.b * last[k % r]) * A[k] + kind.c * last[k % r] ** 2));
}

/** S = sum_k N_k M_k [D x D], symmetric. */
export function formMatrix({ kind, X, size, scale }: SignForms, given: Float64Array): Float64Array {
  const { rows: n, cols: d, data } = X;
  const S = new Float64Array(size * size);
  const N = given.map((value) => scale * value);
  const shift = kind === "bilinear" ? d : 0;
  const weight = kind === "bilinear" ? 0.5 : kind.a;
  const linear = kind === "bilinear" ? 0 : kind.b / 2;
  let total = 0;
  for (let k = 0; k < n; k++) {
    total += N[k];
    for (let i = 0; i < d; i++) {
      const value = N[k] * data[k * d + i];
      for (let j = 0; j < d; j++) S[i * size + shift + j] += weight * value * data[k * d + j];
      if (shift === 0) S[i * size + d] += linear * value;
    }
  }
  for (let i = 0; i < d; i++) {
    if (shift === 0) S[d * size + i] = S[i * size + d];
    else for (let j = 0; j < d; j++) S[(d + j) * size + i] = S[i * size + d + j];
  }
  if (kind !== "bilinear") S[size * size - 1] = kind.c * total;
  return S;
}

/** S W [D x r] without making S: N [n]. */
export function formTimes(
  { kind, X, size, scale }: SignForms,
  given: Float64Array,
  W: Float64Array,
  r: number,
): Float64Array {
  const N = given.map((value) => scale * value);
  const { rows: n, cols: d, data } = X;
  const out = new Float64Array(size * r);
  const first = times(X, W.subarray(0, d * r), r);
  const second = kind === "bilinear" ? times(X, W.subarray(d * r), r) : null;
  const back = (from: Float64Array, to: number, weight: number) => {
    for (let k = 0; k < n; k++) {
      for (let i = 0; i < d; i++) {
        const value = weight * N[k] * data[k * d + i];
        for (let q = 0; q < r; q++) out[(to + i) * r + q] += value * from[k * r + q];
      }
    }
  };
  if (kind === "bilinear") {
    back(second as Float64Array, 0, 0.5);
    back(first, d, 0.5);
    return out;
  }
  const last = W.subarray(d * r);
  for (let k = 0; k < n; k++) {
    for (let q = 0; q < r; q++) {
      out[d * r + q] += N[k] * ((kind.b / 2) * first[k * r + q] + kind.c * last[q]);
      first[k * r + q] = kind.a * first[k * r + q] + (kind.b / 2) * last[q];
    }
  }
  back(first, 0, 1);
  return out;
}

/** X W [n x r]. */
function times({ rows: n, cols: d, data }: Matrix, W: Float64Array, r: number): Float64Array {
  const out = new Float64Array(n * r);
  for (let k = 0; k < n; k++) {
    for (let i = 0; i < d; i++) {
      const x = data[k * d + i];
      for (let q = 0; q < r; q++) out[k * r + q] += x * W[i * r + q];
    }
  }
  return out;
}

function sumsOf(n: number, r: number, entry: (k: number) => number): Float64Array {
  return Float64Array.from({ length: n }, (_, k) => {
    let sum = 0;
    for (let q = 0; q < r; q++) sum += entry(k * r + q);
    return sum;
  });
}
