/** Units of one place as a descent moves them: their outputs, and the gradient by their vectors, from patches or from moments. */

import type { Kernels } from "../../kernels/types.js";
import type { Matrix } from "../../types.js";
import type { Polynomial } from "../hiddenUnits.js";
import { type Place, packedSize, unpack } from "../places.js";

/** Units p = r u with one output each, whose weight is sign r^2. */
export interface Moving {
  readonly activation: Polynomial;
  readonly units: readonly number[]; // which of all vectors are here
  readonly signs: readonly (1 | -1)[]; // of all
  readonly outputs: readonly number[]; // of all
  readonly C: number;
}

export interface Standing {
  /** Z += outputs, at vectors theta [m x d] of lengths r. */
  add(theta: Float64Array, lengths: Float64Array, Z: Float64Array): void;
  /** The gradient by the vectors of what N [n x C] is times the outputs, after `add` at the same theta. */
  back(theta: Float64Array, lengths: Float64Array, N: Float64Array, gradient: Float64Array): void;
}

export function standingAt(place: Place, moving: Moving, kernels: Kernels): Standing {
  if (place.kind === "rows") return new OnRows(place.X, place.window, moving, kernels);
  return new OnMoments(place.Phi, moving, kernels);
}

class OnRows implements Standing {
  private readonly P: Float64Array; // [units x d], vectors, and then their gradients
  private readonly T: Float64Array; // [units x n window], P X', and then what it is multiplied by

  constructor(
    private readonly X: Matrix,
    private readonly window: number,
    private readonly moving: Moving,
    private readonly kernels: Kernels,
  ) {
    this.P = new Float64Array(moving.units.length * X.cols);
    this.T = new Float64Array(moving.units.length * X.rows);
  }

  add(theta: Float64Array, lengths: Float64Array, Z: Float64Array): void {
    const { P, T, window } = this;
    const { rows, cols: d, data } = this.X;
    const { units, signs, outputs, C, activation } = this.moving;
    const { a, b, c } = activation;
    units.forEach((j, i) => {
      P.set(theta.subarray(j * d, (j + 1) * d), i * d);
    });
    this.kernels.multiplyTransposed(P, data, T, units.length, d, rows);
    units.forEach((j, i) => {
      const r = lengths[j];
      let from = i * rows;
      for (let to = outputs[j]; to < Z.length; to += C) {
        let sum = 0;
        for (let t = 0; t < window; t++, from++) sum += (a * T[from] + b * r) * T[from];
        Z[to] += signs[j] * (sum / window + c * r * r);
      }
    });
  }

  back(theta: Float64Array, lengths: Float64Array, N: Float64Array, gradient: Float64Array): void {
    const { P, T, window } = this;
    const { rows, cols: d, data } = this.X;
    const { units, signs, outputs, C, activation } = this.moving;
    const { a, b, c } = activation;
    const along = new Float64Array(units.length); // what p itself is multiplied by
    units.forEach((j, i) => {
      const r = lengths[j];
      let turned = 0;
      let total = 0;
      let to = i * rows;
      for (let k = outputs[j]; k < N.length; k += C) {
        const nu = N[k] / window;
        total += N[k];
        for (let t = 0; t < window; t++, to++) {
          turned += nu * T[to];
          T[to] = signs[j] * nu * (2 * a * T[to] + b * r);
        }
      }
      along[i] = signs[j] * (2 * c * total + (r > 0 ? (b * turned) / r : 0));
    });
    this.kernels.multiply(T, data, P, units.length, rows, d);
    units.forEach((j, i) => {
      for (let p = 0; p < d; p++) gradient[j * d + p] = P[i * d + p] + along[i] * theta[j * d + p];
    });
  }
}

class OnMoments implements Standing {
  private readonly sums: Float64Array; // [C x F], what the units of an output are together
  private readonly Z: Float64Array; // [C x n]

  constructor(
    private readonly Phi: Matrix,
    private readonly moving: Moving,
    private readonly kernels: Kernels,
  ) {
    this.sums = new Float64Array(moving.C * Phi.cols);
    this.Z = new Float64Array(moving.C * Phi.rows);
  }

  add(theta: Float64Array, lengths: Float64Array, Z: Float64Array): void {
    const { sums, Z: own } = this;
    const { rows: n, cols: F, data } = this.Phi;
    const { units, signs, outputs, C, activation } = this.moving;
    const { a, b, c } = activation;
    const d = dimensionOf(F);
    const constants = new Float64Array(C);
    sums.fill(0);
    for (const j of units) {
      let to = outputs[j] * F;
      for (let i = 0; i < d; i++) {
        const value = a * signs[j] * theta[j * d + i];
        for (let l = 0; l <= i; l++, to++) sums[to] += value * theta[j * d + l];
      }
      for (let i = 0; i < d; i++, to++) sums[to] += b * signs[j] * lengths[j] * theta[j * d + i];
      constants[outputs[j]] += c * signs[j] * lengths[j] ** 2;
    }
    this.kernels.multiplyTransposed(sums, data, own, C, F, n);
    for (let o = 0; o < C; o++) for (let k = 0; k < n; k++) Z[k * C + o] += own[o * n + k] + constants[o];
  }

  back(theta: Float64Array, lengths: Float64Array, N: Float64Array, gradient: Float64Array): void {
    const { sums, Z: turned } = this;
    const { rows: n, cols: F, data } = this.Phi;
    const { units, signs, outputs, C, activation } = this.moving;
    const { a, b, c } = activation;
    const d = dimensionOf(F);
    const totals = new Float64Array(C);
    for (let o = 0; o < C; o++) {
      for (let k = 0; k < n; k++) {
        turned[o * n + k] = N[k * C + o];
        totals[o] += N[k * C + o];
      }
    }
    this.kernels.multiply(turned, data, sums, C, n, F);
    for (let o = 0; o < C; o++) {
      const own = units.filter((j) => outputs[j] === o);
      if (own.length === 0) continue;
      const Q = new Float64Array(d * d);
      const q = new Float64Array(d);
      unpack(sums.subarray(o * F, (o + 1) * F), a, b, Q, q);
      for (let i = 0; i < d; i++) for (let l = 0; l < i; l++) Q[l * d + i] = Q[i * d + l];
      const P = new Float64Array(own.length * d);
      own.forEach((j, i) => {
        P.set(theta.subarray(j * d, (j + 1) * d), i * d);
      });
      const QP = new Float64Array(P.length);
      this.kernels.multiply(P, Q, QP, own.length, d, d);
      own.forEach((j, i) => {
        const r = lengths[j];
        let along = 0;
        for (let p = 0; p < d; p++) along += q[p] * P[i * d + p];
        const own = 2 * c * totals[o] + (r > 0 ? along / r : 0);
        for (let p = 0; p < d; p++) {
          gradient[j * d + p] = signs[j] * (2 * QP[i * d + p] + r * q[p] + own * P[i * d + p]);
        }
      });
    }
  }
}

/** d of d (d + 3) / 2 numbers. */
function dimensionOf(F: number): number {
  const d = Math.round((Math.sqrt(9 + 8 * F) - 3) / 2);
  if (packedSize(d) !== F) throw new Error(`no moments have ${F} numbers`);
  return d;
}
