/**
 * Hidden units that a charge on the output weights alone can hold, and their outputs on the data: the columns of an l1 problem.
 *
 * A network sum_j a_j h(x w_j) + c with an l1 charge beta sum_j |a_j| on the output weights is convex in (a, c) for given units
 * (Bengio et al. 2006, section 2). As a program it is that of gated networks in one dimension: unit j stands where D_j X stands,
 * its outputs [n x 1] where a masked column of ones would.
 */

import { engineLike } from "../kernels/engineLike.js";
import type { GatedProducts, Kernels } from "../kernels/types.js";
import { tanh } from "../linear/elementary.js";
import { dotAt } from "../linear/vectors.js";
import type { GateSet, Matrix } from "../types.js";

/** a t^2 + b t + c. */
export interface Polynomial {
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** h: the hyperbolic tangent, the sign with h(0) = 1, or a polynomial, whose units have weights of length one. */
export type UnitActivation = "tanh" | "sign" | Polynomial;

export function activate(activation: UnitActivation, z: number): number {
  if (activation === "tanh") return tanh(z);
  if (activation === "sign") return z >= 0 ? 1 : -1;
  return (activation.a * z + activation.b) * z + activation.c;
}

/** Outputs [n] of the unit with weights w [d] on the rows of X. */
export function outputsOfUnit(activation: UnitActivation, { rows, cols, data }: Matrix, w: Float64Array): Float64Array {
  const h = new Float64Array(rows);
  for (let k = 0; k < rows; k++) h[k] = activate(activation, dotAt(data, k * cols, w, 0, cols));
  return h;
}

/** What the solvers see of `count` units: one column of ones, and as many gates. */
export function unitGates(count: number, rows: number): { readonly X: Matrix; readonly gates: GateSet } {
  const ones = { rows, cols: 1, data: new Float64Array(rows).fill(1) };
  const generators = { rows: count, cols: 1, data: new Float64Array(count).fill(1) };
  return { X: ones, gates: { count, rows, bits: new Uint32Array(0), generators, complete: false } };
}

/** Kernels whose products with X, the column of ones, are those with the units' outputs H [units][n]. */
export function unitKernels(kernels: Kernels, H: readonly Float64Array[], X: Matrix): Kernels {
  return engineLike(kernels, {
    bind: (Y, gates) => (Y === X ? new UnitProducts(H, X.rows) : kernels.bind(Y, gates)),
    iterate: undefined,
  });
}

class UnitProducts implements GatedProducts {
  constructor(
    private readonly H: readonly Float64Array[],
    private readonly n: number,
  ) {}

  forward(
    gate: Int32Array,
    output: Int32Array,
    sign: Float64Array,
    vectors: Float64Array,
    outputs: number,
    out: Float64Array,
  ): void {
    out.fill(0, 0, this.n * outputs);
    for (let k = 0; k < gate.length; k++) {
      const h = this.H[gate[k]];
      const a = sign[k] * vectors[k];
      for (let j = 0; j < this.n; j++) out[j * outputs + output[k]] += a * h[j];
    }
  }

  adjoint(R: Float64Array, outputs: number, list: Int32Array | null, out: Float64Array): void {
    const count = list === null ? this.H.length : list.length;
    out.fill(0, 0, count * outputs);
    for (let k = 0; k < count; k++) {
      const h = this.H[list === null ? k : list[k]];
      for (let j = 0; j < this.n; j++)
        for (let c = 0; c < outputs; c++) out[k * outputs + c] += h[j] * R[j * outputs + c];
    }
  }

  adjointNorms(R: Float64Array, outputs: number, out: Float64Array): void {
    this.adjoint(R, outputs, null, out);
    for (let k = 0; k < this.H.length * outputs; k++) out[k] = Math.abs(out[k]);
  }

  rows(gate: number, U: Float64Array, k: number, out: Float64Array): void {
    const h = this.H[gate];
    for (let i = 0; i < k; i++) for (let j = 0; j < this.n; j++) out[i * this.n + j] = U[i] * h[j];
  }

  addMaskedGram(H: Float64Array, gate: Int32Array, weight: Float64Array): void {
    for (let k = 0; k < gate.length; k++) {
      const h = this.H[gate[k]];
      for (let i = 0; i < this.n; i++) {
        const value = weight[k] * h[i];
        for (let j = 0; j <= i; j++) H[i * this.n + j] += value * h[j];
      }
    }
  }

  gram(): Float64Array {
    return new Float64Array(this.n * this.n).fill(1);
  }

  dispose(): void {}
}
