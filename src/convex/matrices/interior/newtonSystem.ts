/** The system of n rows that a step of the interior method solves. */

import type { Kernels } from "../../kernels/types.js";
import { choleskySolve } from "../../linear/cholesky.js";
import { dotAt, transpose } from "../../linear/vectors.js";
import type { OutputBias } from "../../types.js";
import type { Cone, Grams, InteriorProblem } from "./cones.js";

/** (I + R H R) y = R r, or (1 / L'' + H) y = r, with R the roots of L'' and H the forms' Gram matrix less what the multipliers take up. */
export class NewtonSystem {
  private constructor(
    private readonly factor: Float64Array, // [n x n]
    private readonly H: Float64Array, // [n x n], whole
    private readonly roots: Float64Array,
    private readonly inverseHessian: Float64Array | undefined,
    private readonly parts: readonly Part[],
    private readonly outputBias: OutputBias | null,
  ) {}

  static of(
    { diagonals, outputBias }: Pick<InteriorProblem, "diagonals" | "outputBias">,
    grams: Grams,
    kernels: Kernels,
    cones: readonly Cone[],
    roots: Float64Array,
    inverseHessian: Float64Array | undefined, // ... and where it is no diagonal, roots of ones beside its inverse
    [H, factor]: readonly [Float64Array, Float64Array], // room [n x n]
  ): NewtonSystem | null {
    const n = roots.length;
    const q = diagonals.count;
    H.fill(0);
    const parts: Part[] = [];
    for (const { sign, W, inverse } of cones) {
      const B = grams.addCone(W, inverse, diagonals, H);
      for (let k = 0; k < B.length; k++) B[k] *= sign;
      const G = diagonals.weighted(W, inverse);
      if (!kernels.factor(G, q)) return null;
      kernels.addOuter(H, solved(G, B, q, n), n, q, -1);
      parts.push({ B, G, q });
    }
    for (let k = 0; k < n; k++) {
      for (let l = 0; l <= k; l++) {
        factor[k * n + l] = roots[k] * roots[l] * H[k * n + l];
        H[l * n + k] = H[k * n + l];
      }
      if (inverseHessian === undefined) factor[k * n + k] += 1;
      else for (let kl = k * n; kl <= k * n + k; kl++) factor[kl] += inverseHessian[kl];
    }
    return kernels.factor(factor, n) ? new NewtonSystem(factor, H, roots, inverseHessian, parts, outputBias) : null;
  }

  /** `rows` [n], `ends` [q] a cone, and what the bias' own equation lacks. */
  solve(rows: Float64Array, ends: readonly Float64Array[], rest: number) {
    const r = rows.slice();
    this.parts.forEach(({ B, G, q }, s) => {
      const t = ends[s].slice();
      choleskySolve(G, q, t);
      for (let k = 0; k < r.length; k++) for (let j = 0; j < q; j++) r[k] -= B[k * q + j] * t[j];
    });
    let bias = 0;
    let dN = this.gradientChange(r);
    if (this.outputBias !== null) {
      const ones = this.gradientChange(new Float64Array(r.length).fill(1));
      const sum = (v: Float64Array) => v.reduce((total, value) => total + value, 0);
      bias = (rest - sum(dN)) / (sum(ones) + 2 * this.outputBias.ridge);
      dN = dN.map((value, k) => value + bias * ones[k]);
      for (let k = 0; k < r.length; k++) r[k] += bias;
    }
    const n = r.length;
    // The same as r - H dN, of which little is left where outputs are far larger than the charge.
    const inverse = this.inverseHessian;
    const dZ = r.map((value, k) =>
      inverse === undefined ? value - dotAt(this.H, k * n, dN, 0, n) : dotAt(inverse, k * n, dN, 0, n),
    );
    const multipliers = this.parts.map(({ B, G, q }, s) => {
      const t = ends[s].slice();
      for (let k = 0; k < n; k++) for (let j = 0; j < q; j++) t[j] -= B[k * q + j] * dN[k];
      choleskySolve(G, q, t);
      return t;
    });
    return { dZ, dN, bias, multipliers };
  }

  /** dN of dZ + H dN = r, dN = R^2 dZ. */
  private gradientChange(r: Float64Array): Float64Array {
    const y = r.map((value, k) => this.roots[k] * value);
    choleskySolve(this.factor, r.length, y);
    return y.map((value, k) => this.roots[k] * value);
  }
}

/** What the multipliers of one cone do: <M_k, W diag(g_j) K^-1>, and the factor of their own matrix. */
interface Part {
  readonly B: Float64Array; // [n x q]
  readonly G: Float64Array; // [q x q]
  readonly q: number;
}

/** L^-1 B' [q x n], B [n x q]. */
export function solved(L: Float64Array, B: Float64Array, q: number, n: number): Float64Array {
  const out = new Float64Array(q * n);
  transpose(B, n, q, out);
  for (let j = 0; j < q; j++) {
    const row = j * n;
    for (let i = 0; i < j; i++) {
      const factor = L[j * q + i];
      for (let k = 0; k < n; k++) out[row + k] -= factor * out[i * n + k];
    }
    const pivot = L[j * q + j];
    for (let k = row; k < row + n; k++) out[k] /= pivot;
  }
  return out;
}
