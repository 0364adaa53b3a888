/**
 * The prox of the nuclear norm at one gate's block, and its derivative as an operator.
 *
 * For Z = U diag(s) V' the prox is U diag(f) V', f = (s - t)_+. A derivative in direction H (Lewis and Sendov 2001; Ding, Sun,
 * Sun and Toh 2014, section 2) is, with W = U' H V, S and T its symmetric and skew parts and gamma_i = f_i / s_i,
 *
 *   U [ (G1 o S + G2 o T) V' + diag(gamma) U' H (I - V V') ],   G1_ij = (f_i - f_j) / (s_i - s_j),  G2_ij = (f_i + f_j) / (s_i + s_j).
 */

import { transpose } from "../linear/vectors.js";
import { singular } from "../penalties/nuclear.js";

/** Singular values below this share of the largest have no direction of their own; their limits need none. */
const VANISHING = 1e-12;

/** A shrunk block [C x d] with what its derivative needs. */
export interface ShrunkBlock {
  readonly result: Float64Array; // [C x d]
  readonly left: number; // sum of squared shrunk singular values
  readonly share: number; // mean of gamma over the C directions
  /** out [C x d] := the derivative applied to H [C x d]. */
  derivative(H: Float64Array, out: Float64Array): void;
}

/** Shrinks a block by the threshold t; null when nothing is left. */
export function shrinkBlock(block: Float64Array, C: number, d: number, t: number): ShrunkBlock | null {
  if (C > d) return transposed(block, C, d, t);
  const { U, rows, values } = singular(block, C, d);
  let largest = 0;
  for (const value of values) largest = Math.max(largest, value);
  if (largest <= t) return null;
  const f = values.map((value) => Math.max(0, value - t));
  let left = 0;
  let share = 0;
  const V = rows; // row k becomes v_k'
  const defined = new Uint8Array(C);
  for (let k = 0; k < C; k++) {
    left += f[k] * f[k];
    if (values[k] <= VANISHING * largest) continue;
    defined[k] = 1;
    share += f[k] / values[k] / C;
    for (let p = 0; p < d; p++) V[k * d + p] /= values[k];
  }
  const result = new Float64Array(C * d);
  for (let i = 0; i < C; i++) {
    for (let k = 0; k < C; k++) {
      const weight = U[i * C + k] * f[k];
      if (weight === 0) continue;
      for (let p = 0; p < d; p++) result[i * d + p] += weight * V[k * d + p];
    }
  }
  return { result, left, share, derivative: (H, out) => derive(H, out, U, V, values, f, defined, C, d) };
}

function derive(
  H: Float64Array,
  out: Float64Array,
  U: Float64Array,
  V: Float64Array,
  s: Float64Array,
  f: Float64Array,
  defined: Uint8Array,
  C: number,
  d: number,
): void {
  const turned = new Float64Array(C * d); // U' H
  for (let k = 0; k < C; k++) {
    for (let i = 0; i < C; i++) {
      const weight = U[k * C + i];
      if (weight === 0) continue;
      for (let p = 0; p < d; p++) turned[i * d + p] += weight * H[k * d + p];
    }
  }
  const W = new Float64Array(C * C); // U' H V
  for (let i = 0; i < C; i++) {
    for (let j = 0; j < C; j++) {
      if (defined[j] === 0) continue;
      let sum = 0;
      for (let p = 0; p < d; p++) sum += turned[i * d + p] * V[j * d + p];
      W[i * C + j] = sum;
    }
  }
  const E = new Float64Array(C * d);
  for (let i = 0; i < C; i++) {
    const gamma = f[i] > 0 ? f[i] / s[i] : 0;
    if (gamma > 0) for (let p = 0; p < d; p++) E[i * d + p] = gamma * turned[i * d + p];
    for (let j = 0; j < C; j++) {
      if (defined[j] === 0 || (f[i] === 0 && f[j] === 0)) continue;
      const equal = f[i] > 0 && f[j] > 0;
      const sym = equal ? 1 : (f[i] - f[j]) / (s[i] - s[j]);
      const skew = (f[i] + f[j]) / (s[i] + s[j]);
      const along = 0.5 * (sym * (W[i * C + j] + W[j * C + i]) + skew * (W[i * C + j] - W[j * C + i]));
      const weight = along - gamma * W[i * C + j];
      for (let p = 0; p < d; p++) E[i * d + p] += weight * V[j * d + p];
    }
  }
  out.fill(0);
  for (let k = 0; k < C; k++) {
    for (let i = 0; i < C; i++) {
      const weight = U[k * C + i];
      if (weight === 0) continue;
      for (let p = 0; p < d; p++) out[k * d + p] += weight * E[i * d + p];
    }
  }
}

/** More outputs than features: the same on the transposed block. */
function transposed(block: Float64Array, C: number, d: number, t: number): ShrunkBlock | null {
  const flip = (from: Float64Array, rows: number, cols: number): Float64Array => {
    const to = new Float64Array(rows * cols);
    transpose(from, rows, cols, to);
    return to;
  };
  const inner = shrinkBlock(flip(block, C, d), d, C, t);
  if (inner === null) return null;
  const buffer = new Float64Array(C * d);
  return {
    result: flip(inner.result, d, C),
    left: inner.left,
    share: (inner.share * d) / C,
    derivative(H, out) {
      inner.derivative(flip(H, C, d), buffer);
      out.set(flip(buffer, d, C));
    },
  };
}
